//! Supervision as a pure state machine: `(event, now) -> commands`. Holds S1 to S34.
//!
//! A [`Machine`] decides who is started, stopped, killed and restarted, and when the supervisor
//! itself ends. It owns no clock, no job and no agent: a driver tells it what happened and does what
//! it says, in the order it says it. The contract is that of OTP's `supervisor`, plus backoff,
//! heartbeats and a supervisor that answers while a start hangs.
//!
//! Reading order: [`spec`](ChildSpec) (what it is told), [`event`](Event) (in and out),
//! [`intensity`](Intensity), [`strategy`](Strategy), then [`Machine`].
//!
//! # Example
//! ```
//! use ggml_agent_core::supervise::{ChildSpec, Command, Event, Machine, SupervisorSpec};
//! use std::time::Duration;
//! let children = vec![ChildSpec::worker("writer-1".parse()?)];
//! let mut machine = Machine::new(SupervisorSpec::DEFAULT, children, 42)?;
//! let mut commands = Vec::new();
//! machine.handle(Event::Start, Duration::ZERO, &mut commands);
//! assert!(commands.iter().any(|command| matches!(command, Command::StartChild { .. })));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod backoff;
mod call;
mod child;
mod decision;
mod event;
mod health;
mod index;
mod intensity;
mod machine;
mod restart;
mod rules;
mod spec;
mod start;
mod stop;
mod strategy;
mod table;
#[cfg(test)]
mod tests;

pub use crate::heartbeat::Vital;
pub use backoff::Backoff;
pub use child::{ChildInfo, ChildState, Counts};
pub use decision::Decision;
pub use event::{
    Answer, CALLS_WAITING_MAX, CallError, CallId, ChildKey, Command, Event, Incarnation, Request,
    TimerId,
};
pub use intensity::{Intensity, RESTARTS_MAX_LIMIT, Verdict};
pub use machine::Machine;
pub use spec::{
    CHILDREN_MAX, ChildKind, ChildSpec, Children, Restart, SHUTDOWN_DEFAULT, Shutdown, SpecError,
    SupervisorSpec,
};
pub use strategy::{AutoShutdown, ParseStrategyError, Strategy};
