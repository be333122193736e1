//! The mirror and the rooms, against real Yjs replicas and against each other.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests; helpers outside of a test function too"
)]

mod beside;
mod convergence;
mod hostile;
mod http;
mod node;
mod random;
mod wire;
