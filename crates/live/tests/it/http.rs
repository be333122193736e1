//! The server as clients meet it: over real sockets of this machine.

mod client;
mod requests;
mod routes;
mod soak;
mod socket;
