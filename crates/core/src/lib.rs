//! The rules of `ggml-agent` as pure state machines: events and a time go in, commands come out.
//!
//! Not here: clocks, async, I/O, randomness that was not passed in, iteration over hash maps, `unsafe`.
//! Those live in the drivers (`ggml-agent` on tokio, the simulator in tests).
//!
//! Reading order: [`id`], [`exit`], [`envelope`], then [`supervise`].

pub mod exit;
pub mod id;
pub mod lease;

pub use exit::{ExitReason, Report};
pub use id::{AgentId, ParseAgentIdError};
