//! The seam of durability: what a store keeps for agents, stated as laws.
//!
//! A store holds, per agent: a mailbox, a state (snapshot and journal), an outbox, timers and results
//! of outside effects; and, for all of them, dead letters. Everything that belongs together changes in
//! one [`Write`], which happens whole or not at all.
//!
//! Reading order: [`Store`], [`record`] (what is kept), [`Write`] and [`Read`]; [`Tables`] says in
//! plain collections what each of them means, and every engine is held against it.

mod error;
mod memory;
pub mod record;
mod tables;
mod words;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::envelope::{Envelope, Priority};
use crate::id::AgentId;

pub use self::error::StoreError;
pub use self::memory::MemoryStore;
pub use self::record::{
    Accepted, AgentSummary, Bounds, Commit, DeadRecord, Entry, Epoch, OnFull, Once, Open, Opened,
    Position, Revision, Snapshot, Stored, Taken, Timer, Watermarks,
};
pub use self::tables::{DROPPED, EVICTED, Tables};
pub use self::words::{Found, Read, Write, Written};

/// What comes back from a store, some time later.
///
/// # Cancel safety
/// Dropping it does not take the operation back: it happens or not, unheard.
pub type Answer<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// What survives what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Ends with the process.
    Volatile,
    /// `Ok` means that it survives a power cut: it was flushed to the device before.
    Durable,
}

/// Where durable things are kept.
///
/// # Laws
/// - **Atomic.** A [`Write`] takes effect whole or not at all, also across a power cut.
/// - **Durable.** At [`Level::Durable`], `Ok` comes after the write, and every directory entry that it
///   needs, would survive a power cut. A write without an answer may have happened or not.
/// - **In order.** Writes take effect one after another, in the order in which one caller makes them; what
///   survives a power cut is a prefix of that order, which holds everything that was answered with `Ok`.
/// - **As in the tables.** Each write and read means what [`Tables`] does.
/// - **Fails closed.** After [`StoreError::Indeterminate`] nothing is answered with `Ok` before the store
///   was opened again and checked. What is damaged is refused by name ([`StoreError::Quarantined`]), never
///   skipped and never deleted.
/// - **One owner.** A second process that opens the same store is refused.
pub trait Store: Send + Sync + 'static {
    /// What `Ok` means.
    fn level(&self) -> Level;

    /// Changes something. The write is begun by the call, in the order of calls; the answer may be
    /// awaited later, or dropped.
    fn write(&self, write: Write) -> Answer<Written>;

    /// Looks something up. It sees every write that was begun before, by the same caller.
    fn read(&self, read: Read) -> Answer<Found>;
}

/// A store in use: [`Store`]'s two verbs, by name and with types. Cheap to clone.
#[derive(Clone)]
pub struct StoreRef(Arc<dyn Store>);

impl StoreRef {
    /// A handle of `store`.
    #[must_use]
    pub fn new(store: impl Store) -> Self {
        Self(Arc::new(store))
    }

    /// What `Ok` means.
    #[must_use]
    pub fn level(&self) -> Level {
        self.0.level()
    }

    /// Any write.
    pub fn write(&self, write: Write) -> Answer<Written> {
        self.0.write(write)
    }

    /// Any read.
    pub fn read(&self, read: Read) -> Answer<Found> {
        self.0.read(read)
    }

    /// Begins an incarnation: takes the next epoch of the agent, which fences all before it, and loads
    /// what it needs to go on.
    ///
    /// # Errors
    /// [`StoreError`]; nothing of the agent's own is at fault but [`StoreError::Quarantined`].
    pub fn open(
        &self,
        open: Open,
    ) -> impl Future<Output = Result<Opened, StoreError>> + Send + use<> {
        expect_answer(self.write(Write::Open(open)), Written::into_opened)
    }

    /// Puts an envelope into the durable mailbox of its receiver; a second one of the same id is dropped.
    ///
    /// # Errors
    /// [`StoreError::UnknownMailbox`], [`StoreError::Full`], or that of the engine.
    pub fn append(
        &self,
        envelope: Envelope,
    ) -> impl Future<Output = Result<Accepted, StoreError>> + Send + use<> {
        expect_answer(self.write(Write::Append(envelope)), Written::into_accepted)
    }

    /// Puts envelopes into the mailboxes of their receivers, in order, until one is refused.
    ///
    /// # Errors
    /// That of the engine; that an envelope is refused is part of the answer.
    pub fn append_all(
        &self,
        envelopes: Vec<Envelope>,
    ) -> impl Future<Output = Result<Taken, StoreError>> + Send + use<> {
        expect_answer(self.write(Write::AppendAll(envelopes)), Written::into_taken)
    }

    /// State, acknowledgement, outbox, timers and results of one agent, in one step.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] and [`StoreError::Conflict`]: somebody else is the agent now.
    pub fn commit(
        &self,
        commit: Commit,
    ) -> impl Future<Output = Result<Revision, StoreError>> + Send + use<> {
        expect_answer(self.write(Write::Commit(Box::new(commit))), Written::into_revision)
    }

    /// Messages of one lane behind `after`, at most `limit`, in order.
    ///
    /// # Errors
    /// [`StoreError::UnknownMailbox`], or that of the engine.
    pub fn messages(
        &self,
        mailbox: AgentId,
        lane: Priority,
        after: Position,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Stored>, StoreError>> + Send + use<> {
        let read = Read::Messages { mailbox, lane, after, limit };
        expect_answer(self.read(read), Found::into_messages)
    }

    /// Entries of an agent's journal behind `after`, at most `limit`, in order.
    ///
    /// # Errors
    /// [`StoreError::UnknownMailbox`], or that of the engine.
    pub fn journal(
        &self,
        agent: AgentId,
        after: u64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Entry>, StoreError>> + Send + use<> {
        expect_answer(self.read(Read::Journal { agent, after, limit }), Found::into_journal)
    }

    /// Dead letters behind number `after`, at most `limit`, in order.
    ///
    /// # Errors
    /// That of the engine.
    pub fn dead_letters(
        &self,
        after: u64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<DeadRecord>, StoreError>> + Send + use<> {
        expect_answer(self.read(Read::DeadLetters { after, limit }), Found::into_dead)
    }

    /// Agents that the store knows, behind `after` by name, at most `limit`.
    ///
    /// # Errors
    /// That of the engine.
    pub fn agents(
        &self,
        after: Option<AgentId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<AgentSummary>, StoreError>> + Send + use<> {
        expect_answer(self.read(Read::Agents { after, limit }), Found::into_agents)
    }

    /// A write that has nothing to say but that it is done: [`Write::Close`], [`Write::Resend`],
    /// [`Write::Discard`], [`Write::Remove`].
    ///
    /// # Errors
    /// As the write has.
    pub fn settle(
        &self,
        write: Write,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        expect_answer(self.write(write), |_| Some(()))
    }
}

impl fmt::Debug for StoreRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoreRef").field(&self.level()).finish()
    }
}

/// What an answer holds, which the kind of the question decides.
async fn expect_answer<A, T>(
    answer: Answer<A>,
    take: impl FnOnce(A) -> Option<T>,
) -> Result<T, StoreError> {
    answer.await.map(|found| take(found).expect("invariant: an engine answers what it was asked"))
}
