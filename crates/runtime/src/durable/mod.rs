//! Agents whose mail and state survive the process.
//!
//! Reading order: [`DurableAgent`], `context` (what its handler has), `address` (how it is sent to),
//! `agent` (the ordinary agent around it), `engine` (the machine's commands carried out), `hub` (what a
//! system's durable agents share). The rules are [`ggml_agent_core::durable`]; what keeps things is a
//! [`Store`](ggml_agent_core::store::Store).

mod address;
mod agent;
pub(crate) mod codec;
mod context;
mod delay;
mod engine;
mod error;
pub(crate) mod hub;
mod outbox;

use std::future::Future;

use bytes::Bytes;
use ggml_agent_core::Report;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::address::DurableAddr;
pub(crate) use self::address::{accepted, deliver};
pub use self::agent::{Durable, DurableOptions, Nudge};
pub use self::codec::CodecError;
pub use self::context::{DurableContext, IdempotencyKey};
pub use self::delay::{DelayTeller, StoreDelay};
pub use self::error::{DurableAskError, DurableSendError, OnceError};

/// An agent that survives: its messages are on disk before their senders hear `Ok`, and its state and the
/// acknowledgement of what it handled are one step on disk.
///
/// **Delivery is at least once, and takes effect once**: a message whose handler was interrupted is handled
/// again, from the state before it, at most
/// [`deliveries_max`](DurableOptions::deliveries_max) times; then it is a durable dead letter. Effects
/// outside of the agent go through [`DurableContext::once`].
///
/// The value itself is the state: what serde makes of it is kept, in CBOR. A field with
/// `#[serde(skip)]` is not, and is brought over from the freshly made value by
/// [`adopt`](DurableAgent::adopt).
///
/// # Example
/// ```
/// use ggml_agent::core::store::{MemoryStore, StoreRef};
/// use ggml_agent::{ChildSpec, DurableAgent, DurableContext, Options, Report, System};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Account {
///     cents: u64,
/// }
///
/// #[derive(Serialize, Deserialize)]
/// enum Msg {
///     Deposit(u64),
///     Balance,
/// }
///
/// impl DurableAgent for Account {
///     type Msg = Msg;
///     type Error = Report;
///
///     async fn handle(&mut self, msg: Msg, ctx: &mut DurableContext<'_, Self>) -> Result<(), Report> {
///         match msg {
///             Msg::Deposit(cents) => self.cents += cents,
///             Msg::Balance => ctx.reply(&self.cents)?,
///         }
///         Ok(())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // `ggml_agent_store::Sqlite` keeps it on disk.
/// let store = StoreRef::new(MemoryStore::new());
/// let system = System::with(Options { store: Some(store), ..Options::default() });
/// system.start(ChildSpec::durable("account", || Account { cents: 0 })).await?;
/// let account = system.durable::<Account>("account")?;
/// account.send(&Msg::Deposit(500)).await?;
/// assert_eq!(account.ask::<u64>(&Msg::Balance).await?, 500);
/// # Ok(())
/// # }
/// ```
pub trait DurableAgent: Serialize + DeserializeOwned + Send + 'static {
    /// What it is sent.
    type Msg: Serialize + DeserializeOwned + Send + 'static;
    /// What its handler fails with; any [`std::error::Error`] will do, or [`Report`].
    type Error: Into<Report>;

    /// Version of the form of its state: raise it when serde could not read the old form any more.
    const VERSION: u32 = 1;

    /// Handles one message. An error or a panic ends the incarnation; the next one begins with the state
    /// of the last commit, and handles the message again.
    ///
    /// # Cancel safety
    /// `kill` drops the future at its next await point: the message is handled again.
    fn handle(
        &mut self,
        msg: Self::Msg,
        ctx: &mut DurableContext<'_, Self>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// The state that was saved as `version`, which is not [`VERSION`](Self::VERSION).
    ///
    /// # Errors
    /// A report, by which the start fails: nothing is changed on disk.
    fn upgrade(version: u32, saved: &Saved) -> Result<Self, Report> {
        let _ = saved;
        Err(Report::msg(format!(
            "the saved state has version {version}, this agent reads {}: give it an `upgrade`",
            Self::VERSION
        )))
    }

    /// Takes over from `fresh`, which the spec has just made, what is not part of the saved state: clients,
    /// caches. Called when a saved state was loaded.
    fn adopt(&mut self, fresh: Self) {
        drop(fresh);
    }
}

/// A saved state of some version.
#[derive(Debug)]
pub struct Saved(Bytes);

impl Saved {
    /// The state as a `T`, which may be a type of an earlier version.
    ///
    /// # Errors
    /// [`CodecError`]: it is no `T`.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, CodecError> {
        codec::decode(&self.0)
    }

    /// Its bytes, in CBOR (RFC 8949).
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
