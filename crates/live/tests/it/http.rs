//! The server as clients meet it: over real sockets of this machine.

mod client;
mod past;
mod requests;
mod routes;
mod soak;
mod socket;
