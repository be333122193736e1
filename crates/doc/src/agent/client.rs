//! The other side of a document: who works on it, and the calls that they make.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use ggml_agent::{
    Addr, Agent, AnyAddr, AskError, ChildSpec, Context, Recipient, Reply, SendError, StartError,
    System,
};
use ggml_agent_core::AgentId;
use ggml_agent_core::lease::{Grant, Stale, Token};

use super::command::CommandMsg;
use super::{DocMsg, DocumentAgent, LockMsg, Look};
use crate::coordinator::{
    Accepted, BaseText, Command, Coordinator, Done, Edit, EditError, Holder, ImportError, Imported,
    Lock, LockError, OpError, Query, QueryError, ReserveRefused, SectionView, Snapshot, Splices,
    SubscribeError, View,
};
use crate::history::Update;
use crate::section::{Document, SectionId};

/// Longest wait of a call to a document agent whose answer does not depend on other holders.
const CALL_DEADLINE: Duration = Duration::from_secs(5);
/// Longest wait for a lock's queue, when the request itself has no end.
const QUEUE_DEADLINE: Duration = Duration::from_secs(24 * 60 * 60);
/// A document's address, with calls in place of messages.
#[derive(Debug, Clone)]
pub struct DocumentRef {
    addr: Addr<DocumentAgent>,
}

impl DocumentRef {
    /// Starts the agent of a document, without a supervisor: a document whose agent failed is lost
    /// unless its history is kept elsewhere, so a restart must not begin with the old text.
    ///
    /// # Errors
    /// [`StartError::IdTaken`].
    pub async fn start(
        system: &System,
        id: &AgentId,
        document: Document,
    ) -> Result<Self, StartError> {
        let spec = ChildSpec::new(id, move || DocumentAgent::new(&document)).temporary();
        Ok(Self { addr: system.start(spec).await? })
    }

    /// The document behind an address.
    #[must_use]
    pub fn new(addr: Addr<DocumentAgent>) -> Self {
        Self { addr }
    }

    /// The agent's address.
    #[must_use]
    pub fn addr(&self) -> &Addr<DocumentAgent> {
        &self.addr
    }

    /// Locks sections, all or none (D1, D5); waits for its turn if the request says so (D4).
    ///
    /// # Errors
    /// [`LockDenied`] says who holds it and until when, or what is wrong.
    ///
    /// # Cancel safety
    /// A lock that is granted after the future was dropped is given back at once.
    pub async fn lock(
        &self,
        client: &Client,
        lock: Lock,
    ) -> Result<Vec<Grant<SectionId>>, LockDenied> {
        let client = client.clone();
        self.addr
            .ask_within(QUEUE_DEADLINE, |reply| LockMsg::Lock { client, lock, reply }.into())
            .await?
    }

    /// Replaces the text of a section (D6, D7).
    ///
    /// # Errors
    /// [`CallError::Refused`] says why, and that nothing was changed.
    pub async fn edit(
        &self,
        holder: &Holder,
        edit: Edit,
    ) -> Result<Accepted, CallError<EditError>> {
        let holder = holder.clone();
        self.call(|reply| DocMsg::Edit { holder, edit, reply }).await
    }

    /// Changes places of a section (D6, D7): a large one need not be sent whole.
    ///
    /// # Errors
    /// [`CallError::Refused`] says why, and that nothing was changed.
    pub async fn splice(
        &self,
        holder: &Holder,
        splices: Splices,
    ) -> Result<Accepted, CallError<EditError>> {
        let holder = holder.clone();
        self.call(|reply| DocMsg::Splice { holder, splices, reply }).await
    }

    /// Takes in what somebody else made of the document's file: see [`crate::Coordinator::import`] (D24).
    ///
    /// # Errors
    /// [`CallError::Refused`] says why nothing was changed.
    pub async fn import(
        &self,
        author: &Holder,
        base: &BaseText,
        file: String,
    ) -> Result<Imported, CallError<ImportError>> {
        let (author, base) = (author.clone(), base.clone());
        self.call(|reply| DocMsg::Import { author, base, file, reply }).await
    }

    /// Carries out one command (D6, D9, D14).
    ///
    /// # Errors
    /// [`CallError::Refused`] says why, with what is needed to go on; nothing was changed. A command that has an
    /// [operation id](crate::OpId) may be sent again after [`CallError::Unreachable`]: it is carried out once.
    pub async fn command(
        &self,
        holder: &Holder,
        command: Command,
    ) -> Result<Done, CallError<OpError>> {
        let holder = holder.clone();
        self.call(|reply| CommandMsg::One { holder, command, reply }.into()).await
    }

    /// Carries out several commands as one, or none of them (D15): see [`Coordinator::batch`].
    ///
    /// # Errors
    /// As [`DocumentRef::command`]; [`OpError::InBatch`] says which one was refused.
    ///
    /// [`Coordinator::batch`]: crate::Coordinator::batch
    pub async fn batch(
        &self,
        holder: &Holder,
        commands: Vec<Command>,
    ) -> Result<Done, CallError<OpError>> {
        let holder = holder.clone();
        self.call(|reply| CommandMsg::Batch { holder, commands, reply }.into()).await
    }

    /// Carries out several commands one after the other, each with an answer of its own; see
    /// [`Coordinator::commands`](crate::Coordinator::commands).
    ///
    /// # Errors
    /// [`AskError`] when the document's agent does not answer: some may have been carried out.
    pub async fn commands(
        &self,
        holder: &Holder,
        commands: Vec<Command>,
    ) -> Result<Vec<Result<Done, OpError>>, AskError> {
        let holder = holder.clone();
        let ask = |reply| CommandMsg::Each { holder, commands, reply }.into();
        self.addr.ask_within(CALL_DEADLINE, ask).await
    }

    /// The outline, the texts of some sections, or what has changed in them (D16).
    ///
    /// # Errors
    /// [`CallError::Refused`] says what is wrong with the question.
    pub async fn query(&self, query: Query) -> Result<View, CallError<QueryError>> {
        self.call(|reply| CommandMsg::Query { query, reply }.into()).await
    }

    /// Gives a lock back (D2).
    ///
    /// # Errors
    /// [`CallError::Refused`] when the token is not the current one.
    pub async fn release(
        &self,
        client: &Client,
        section: SectionId,
        token: Token,
    ) -> Result<(), CallError<Stale>> {
        let client = client.clone();
        self.call(|reply| LockMsg::Release { client, section, token, reply }.into()).await
    }

    /// Takes sections from agents that hold them: each has [`GRACE`](crate::coordinator::GRACE) to save what it has.
    /// `None` if somebody has that time now: the lock is the caller's when it is over.
    ///
    /// # Errors
    /// [`CallError::Refused`] when somebody does not have to give way.
    pub async fn preempt(
        &self,
        client: &Client,
        lock: Lock,
    ) -> Result<Option<Vec<Grant<SectionId>>>, CallError<LockError>> {
        let client = client.clone();
        self.call(|reply| LockMsg::Preempt { client, lock, reply }.into()).await
    }

    /// Takes a lock from whoever holds it, at once; answers the token that is stale now, if there was one.
    ///
    /// # Errors
    /// [`AskError`] when the document's agent does not answer.
    pub async fn force_release(
        &self,
        by: &Holder,
        section: SectionId,
    ) -> Result<Option<Token>, AskError> {
        let by = by.clone();
        self.addr
            .ask_within(CALL_DEADLINE, |reply| LockMsg::ForceRelease { by, section, reply }.into())
            .await
    }

    /// Says that the client means to work on a section, for `lease`; answers until when, on the system's clock.
    ///
    /// # Errors
    /// [`CallError::Refused`] when too many do.
    pub async fn reserve(
        &self,
        client: &Client,
        section: SectionId,
        lease: Duration,
    ) -> Result<Duration, CallError<ReserveRefused>> {
        let client = client.clone();
        self.call(|reply| LockMsg::Reserve { client, section, lease, reply }.into()).await
    }

    /// Makes a lease last `lease` from now; answers its new end on the system's clock (D3).
    ///
    /// # Errors
    /// [`CallError::Refused`] when the token is not the current one.
    pub async fn renew(
        &self,
        client: &Client,
        section: SectionId,
        token: Token,
        lease: Duration,
    ) -> Result<Duration, CallError<Stale>> {
        let client = client.clone();
        self.call(|reply| LockMsg::Renew { client, section, token, lease, reply }.into()).await
    }

    /// Follows the document: answers it as it is; each later edit comes as a [`DocNote`] (D8).
    ///
    /// # Errors
    /// [`CallError::Refused`] when there are too many subscribers.
    pub async fn subscribe(&self, client: &Client) -> Result<Snapshot, CallError<SubscribeError>> {
        let client = client.clone();
        self.call(|reply| DocMsg::Subscribe { client, reply }).await
    }

    /// Ends a subscription.
    pub fn unsubscribe(&self, holder: &Holder) {
        // An agent that is gone has no subscribers.
        drop(self.addr.tell(DocMsg::Unsubscribe { holder: holder.clone() }));
    }

    /// One section as it is now.
    ///
    /// # Errors
    /// [`AskError`] when the document's agent does not answer.
    pub async fn read(&self, section: SectionId) -> Result<Option<SectionView>, AskError> {
        self.addr.ask_within(CALL_DEADLINE, |reply| DocMsg::Read { section, reply }).await
    }

    /// The whole document as it is now.
    ///
    /// # Errors
    /// [`AskError`] when the document's agent does not answer.
    pub async fn snapshot(&self) -> Result<Snapshot, AskError> {
        self.addr.ask_within(CALL_DEADLINE, |reply| DocMsg::Snapshot { reply }).await
    }

    /// Asks anything about the document: `question` is called in its agent's turn, with the time of its leases,
    /// so it must be quick. It sees all that was decided before, and of a [durable](DocumentAgent::durable)
    /// document maybe some that is not kept yet.
    ///
    /// # Errors
    /// [`AskError`] when the document's agent does not answer.
    pub async fn look<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Coordinator, Duration) -> T + Send + 'static,
    ) -> Result<T, AskError> {
        self.addr
            .ask_within(CALL_DEADLINE, |reply: Reply<T>| {
                DocMsg::Look(Look(Box::new(move |document, now| {
                    reply.send(question(document, now));
                })))
            })
            .await
    }

    /// Hands the document's [companion](super::Companion) a message; one that it has no use for is dropped.
    ///
    /// # Errors
    /// [`SendError`] when the agent has ended, or its mailbox is full.
    pub fn tell_companion(&self, message: impl Any + Send) -> Result<(), SendError<DocMsg>> {
        self.addr.tell(DocMsg::Companion(Box::new(message)))
    }

    /// As [`tell_companion`](Self::tell_companion); waits for room in a full mailbox.
    ///
    /// # Errors
    /// [`SendError`] when the agent has ended, or its mailbox stayed full.
    ///
    /// # Cancel safety
    /// A message that still waits for room is dropped with the future.
    pub async fn send_companion(&self, message: impl Any + Send) -> Result<(), SendError<DocMsg>> {
        self.addr.send(DocMsg::Companion(Box::new(message))).await
    }

    pub(super) async fn call<T: Send + 'static, E: Send + 'static>(
        &self,
        question: impl FnOnce(Reply<Result<T, E>>) -> DocMsg,
    ) -> Result<T, CallError<E>> {
        match self.addr.ask_within(CALL_DEADLINE, question).await {
            Ok(answer) => answer.map_err(CallError::Refused),
            Err(error) => Err(CallError::Unreachable(error)),
        }
    }
}

/// Why a call to a document failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError<E> {
    /// The coordinator refused; nothing was changed.
    #[error("refused")]
    Refused(#[source] E),
    /// The document's agent did not answer: after [`AskError::Deadline`] the call may still take
    /// effect.
    #[error("the document's agent did not answer")]
    Unreachable(#[source] AskError),
}

/// Who works on a document: one incarnation of an agent, and how it wants to be told things.
#[derive(Debug, Clone)]
pub struct Client {
    pub(super) holder: Holder,
    pub(super) addr: Option<AnyAddr>,
    pub(super) notes: Option<Recipient<DocNote>>,
}

impl Client {
    /// The agent of this context; it is told nothing unasked.
    #[must_use]
    pub fn of<A: Agent>(ctx: &Context<A>) -> Self {
        let holder = Holder::new(ctx.id().clone(), ctx.incarnation());
        Self { holder, addr: Some(ctx.addr().untyped()), notes: None }
    }

    /// The agent of this context, which is told of lost locks and, once subscribed, of every edit.
    #[must_use]
    pub fn with_notes<A: Agent>(ctx: &Context<A>) -> Self
    where
        DocNote: Into<A::Msg>,
    {
        Self { notes: Some(ctx.addr().recipient()), ..Self::of(ctx) }
    }

    /// Somebody who is no agent of this system: nobody watches whether it is still there, so its locks end by
    /// their leases.
    #[must_use]
    pub fn unwatched(holder: Holder) -> Self {
        Self { holder, addr: None, notes: None }
    }

    /// The incarnation that holds what this client locks.
    #[must_use]
    pub fn holder(&self) -> &Holder {
        &self.holder
    }
}

/// What a document tells a client unasked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum DocNote {
    /// A lock ended before it was released: do not write any more.
    LockLost {
        /// Of which section.
        section: SectionId,
        /// The token that is now refused.
        token: Token,
    },
    /// A person wants a lock: save what you have and release it before `at`, when it ends.
    LockRevoking {
        /// Of which section.
        section: SectionId,
        /// The token, good until then.
        token: Token,
        /// When, on the system's clock.
        at: Duration,
    },
    /// The document has a new version (D8).
    Updated(Arc<Update>),
    /// Updates were missed: read the document anew; it is at least at `seq`.
    Resync {
        /// The version that the next update follows.
        seq: u64,
    },
}

/// Why a lock was not given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LockDenied {
    /// Somebody holds it (D4).
    #[error("section {section} is held by {holder} until {until:?}: wait, or work on another one")]
    Busy {
        /// The first busy section.
        section: SectionId,
        /// Who holds it, or is before the caller.
        holder: Holder,
        /// When the lease ends unless renewed; `None` if the way is barred by another waiter.
        until: Option<Duration>,
    },
    /// The wait was over before the turn came.
    #[error("the wait for the lock is over: ask again")]
    WaitEnded,
    /// The request was wrong.
    #[error(transparent)]
    Refused(#[from] LockError),
    /// The document's agent did not answer.
    #[error("the document's agent did not answer")]
    Unreachable(#[from] AskError),
}
