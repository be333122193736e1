//! Agents that survive: typed actors under OTP supervision, on tokio.
//!
//! An agent is a value that handles one message at a time. Its supervisor starts it, watches it and
//! starts it again when it fails; its address and its queued messages survive that. The numbered
//! promises (M1, S5, …) are listed in `docs/semantics.md`, each with its test.
//!
//! Not here: models (`ggml-agent-llama`), documents (`ggml-agent-doc`), disks, networks; and no
//! rules either: those are pure and live in [`ggml_agent_core`].
//!
//! ```
//! use ggml_agent::{Agent, ChildSpec, Context, Reply, Report, Supervisor, System};
//!
//! struct Counter(u64);
//!
//! enum Msg {
//!     Add(u64),
//!     Total(Reply<u64>),
//! }
//!
//! impl Agent for Counter {
//!     type Msg = Msg;
//!     type Error = Report;
//!
//!     async fn handle(&mut self, msg: Msg, _ctx: &mut Context<Self>) -> Result<(), Report> {
//!         match msg {
//!             Msg::Add(n) => self.0 += n,
//!             Msg::Total(reply) => reply.send(self.0),
//!         }
//!         Ok(())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let system = System::new();
//! let tree = Supervisor::new("tree").child(ChildSpec::new("counter", || Counter(0)));
//! let tree = system.supervise(tree).await?;
//! let counter = system.lookup::<Counter>("counter").expect("just started");
//! counter.tell(Msg::Add(2))?;
//! counter.tell(Msg::Add(40))?;
//! assert_eq!(counter.ask(Msg::Total).await?, 42);
//! tree.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! Reading order: `agent`, `address`, `cell` (where a message goes), `pool` (who lets a cell run),
//! `spec` and `supervisor`, `system`, `observe`.

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

mod agent;
mod context;

mod address;
mod error;
mod reply;

mod cell;
mod placement;
mod pool;

mod root;
mod spec;
mod supervisor;

mod durable;
mod run;

mod guarded;

mod dead_letter;
mod envelope_agent;
mod observe;
mod registry;
mod stream;
mod system;

mod jobs;
mod sync;
mod time;

pub use address::{ASK_DEADLINE_DEFAULT, Addr, AnyAddr, Ledger, Recipient};
pub use agent::Agent;
pub use bytes::Bytes;
pub use cell::dispatch::{Dispatch, Runnable, TURN_BUDGET};
pub use cell::mailbox::{Lane, MailboxOptions, Overflow};
pub use context::{Context, Timer};
pub use dead_letter::{DeadLetter, Reason};
pub use durable::{
    CodecError, DelayTeller, Durable, DurableAddr, DurableAgent, DurableAskError, DurableContext,
    DurableOptions, DurableSendError, IdempotencyKey, Nudge, OnceError, Saved, StoreDelay,
};
pub use envelope_agent::{EnvelopeAgent, EnvelopeContext, Enveloped, Handled, Handlers};
pub use error::{AskError, SendError, StartError};
pub use ggml_agent_core as core;
pub use ggml_agent_core::envelope::{Envelope, MessageType, Priority};
pub use ggml_agent_core::registry::Tag;
pub use ggml_agent_core::supervise::{Backoff, Restart, Shutdown, Strategy};
pub use ggml_agent_core::{AgentId, ExitReason, Report};
pub use guarded::{Guard, GuardError, Guarded};
pub use observe::{CustomEvent, Event, EventKind, Events, WatchError};
pub use placement::{Placement, Shard};
pub use registry::RegistryChanges;
pub use reply::Reply;
pub use run::{
    Expired, Flow, JournalError, Retention, RunAgent, RunContext, RunError, RunMail, RunMsg,
    RunRecord, RunStatus, RunSummary, Runs, SignalRecord, StepRecord, Untaken,
};
pub use spec::{Child, ChildSpec};
pub use supervisor::{StartChildrenError, Supervisor, SupervisorRef};
pub use system::{Options, System, SystemRef};
pub use time::TokioClock;
