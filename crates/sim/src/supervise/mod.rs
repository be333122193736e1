//! The supervisor against a naive model: [`run`] one seed.

mod model;
mod order;
mod world;

pub use world::{Outcome, Trace, run};
