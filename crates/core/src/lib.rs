//! The rules of `ggml-agent` as pure state machines: events and a time go in, commands come out.
//!
//! Not here: clocks, async, I/O, randomness that was not passed in, orders that a hash decides and a
//! user could see, `unsafe`. Those live in the drivers (`ggml-agent` on tokio, the simulator in tests).
//!
//! Reading order: [`id`], [`exit`], [`envelope`], then [`supervise`]; [`breaker`], [`retry`]
//! and [`guard`] (both together) stand by themselves; [`store`] is the seam of what is durable;
//! [`sequence`] is what keeps numbered things.

pub mod breaker;
pub mod durable;
pub mod envelope;
pub mod exit;
pub mod guard;
pub mod heartbeat;
pub mod id;
pub mod lease;
pub mod limits;
pub mod registry;
pub mod retry;
pub mod seam;
#[cfg(test)]
mod seeded;
pub mod sequence;
pub mod store;
pub mod supervise;
mod sync;
mod text;

pub use envelope::{Envelope, MessageType, Priority, TraceContext};
pub use exit::{ExitReason, Report};
pub use id::{AgentId, MessageId, MessageIds, ParseAgentIdError, ParseMessageIdError};
pub use registry::{Registry, Tag};
pub use seam::Clock;
