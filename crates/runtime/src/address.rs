//! Handles of agents: typed ([`Addr`]), by message ([`Recipient`]), and untyped ([`AnyAddr`]).

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use ggml_agent_core::envelope::Envelope;
use ggml_agent_core::{AgentId, ExitReason};

use crate::agent::Agent;
use crate::cell;
use crate::cell::handle::{CellRef, TypedRef};
use crate::cell::header::control;
use crate::cell::mailbox::{Lane, Mail, Overflow};
use crate::cell::queue::Refused;
use crate::error::{AskError, SendError};
use crate::pool::{contention, pace, seat};
use crate::reply::{Reply, Unanswered};
use crate::time;

/// The default deadline of an ask.
pub const ASK_DEADLINE_DEFAULT: Duration = Duration::from_secs(5);

/// The address of an agent: cheap to clone, does not keep the agent alive, survives its restarts.
///
/// Delivery is at most once: what is accepted is handled once or becomes a dead letter (M7).
pub struct Addr<A: Agent> {
    cell: TypedRef<A::Msg>,
}

impl<A: Agent> Addr<A> {
    pub(crate) fn from_cell(cell: TypedRef<A::Msg>) -> Self {
        Self { cell }
    }

    /// The agent's name.
    #[must_use]
    pub fn id(&self) -> &AgentId {
        &self.cell.header().id
    }

    /// Sends a message without waiting, in the order of the calls (M2).
    ///
    /// # Errors
    /// [`SendError`] gives the message back. With [`Overflow::Wait`] a full mailbox answers `Full`:
    /// use [`Addr::send`] to wait.
    pub fn tell(&self, msg: A::Msg) -> Result<(), SendError<A::Msg>> {
        self.tell_on(Lane::User, msg)
    }

    /// As [`Addr::tell`], in the lane of your choice.
    ///
    /// # Errors
    /// As [`Addr::tell`].
    pub fn tell_on(&self, lane: Lane, msg: A::Msg) -> Result<(), SendError<A::Msg>> {
        push(&self.cell, lane, msg)
    }

    /// Sends a message; with [`Overflow::Wait`] it waits for room, first come, first served.
    ///
    /// Before it waits it may make room itself, by handling some of the mail in the agent's place, as
    /// [`Addr::ask`] does.
    ///
    /// # Errors
    /// [`SendError`] gives the message back; `Full` after the policy's deadline.
    ///
    /// # Cancel safety
    /// Dropping the future drops a message that is still waiting for room; it was not accepted.
    #[expect(
        clippy::manual_async_fn,
        reason = "that would keep the message twice, and move it once more"
    )]
    pub fn send(
        &self,
        msg: A::Msg,
    ) -> impl Future<Output = Result<(), SendError<A::Msg>>> + Send + '_ {
        async move {
            // A loop of sends may never have to wait: timers and others must have their turn all the
            // same.
            if pace::is_send_to_account() {
                self.account_for_sends().await;
            }
            if self.cell.header().lease.is_foreign() {
                self.stand_back().await;
            }
            match push(&self.cell, Lane::User, msg) {
                Err(SendError::Full(msg)) => {
                    let sent = wait_for_room(&self.cell, Lane::User, Mail::new(msg)).await;
                    sent.map_err(|error| error.map(|mail| mail.message))
                }
                sent => sent,
            }
        }
    }

    #[cold]
    async fn account_for_sends(&self) {
        self.contest();
        pace::account_for_sends(self.cell.header().system.pool()).await;
    }

    #[cold]
    async fn stand_back(&self) {
        let header = self.cell.header();
        header.lease.stand_back(|| header.steps() / 2).await;
    }

    /// Takes a lease if this thread meets another one at this agent all the time.
    fn contest(&self) {
        if contention::is_constant_at(self.cell.mailbox().address()) {
            self.cell.header().lease.contest();
        }
    }

    /// Asks, and waits for the answer at most [`ASK_DEADLINE_DEFAULT`].
    ///
    /// If the agent is at rest and known to be quick, it handles the question on this stack, within
    /// the first poll: a turn like any other, in order with all other mail. A handler that holds its
    /// thread would then hold the asker as well; such agents belong on
    /// [`Placement::Thread`](crate::Placement::Thread), where this is never done.
    ///
    /// # Errors
    /// [`AskError`] says why there is no answer; it never hangs (M6).
    ///
    /// # Cancel safety
    /// A question that is still queued when the future is dropped is never handled.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(Reply<T>) -> A::Msg,
    ) -> Result<T, AskError> {
        self.ask_within(ASK_DEADLINE_DEFAULT, question).await
    }

    /// As [`Addr::ask`], with a deadline of your choice.
    ///
    /// # Errors
    /// As [`Addr::ask`].
    pub async fn ask_within<T: Send + 'static>(
        &self,
        deadline: Duration,
        question: impl FnOnce(Reply<T>) -> A::Msg,
    ) -> Result<T, AskError> {
        if seat::is_fenced() {
            return Err(AskError::Fenced);
        }
        if self.cell.header().lease.is_foreign() {
            self.stand_back().await;
        }
        let (reply, mut answer, asker) = Reply::open();
        let refused = match self.pose(Some(Mail { message: question(reply), asker: Some(asker) })) {
            Ok(soon) => {
                if soon {
                    answer.linger();
                }
                None
            }
            Err(SendError::Full(mail)) => Some(mail),
            Err(_) => return Err(AskError::Ended),
        };
        // The answer may be there already; then no timer was needed.
        if refused.is_none()
            && let Poll::Ready(Ok(value)) = poll_once(&mut answer).await
        {
            return Ok(value);
        }
        let answered = async {
            if let Some(mail) = refused {
                wait_for_room(&self.cell, Lane::User, mail).await.map_err(|error| match error {
                    SendError::Full(_) => AskError::Full,
                    _ => AskError::Ended,
                })?;
            }
            match answer.await {
                Ok(value) => Ok(value),
                Err(unanswered) => Err(verdict(self.cell.untyped(), unanswered).await),
            }
        };
        time::within(deadline, answered).await.unwrap_or(Err(AskError::Deadline(deadline)))
    }

    /// Queues a question; an agent at rest may handle it here and now. True when it is being answered
    /// by another thread.
    fn pose(&self, mut mail: Option<Mail<A::Msg>>) -> Result<bool, SendError<Mail<A::Msg>>> {
        let header = self.cell.header();
        if pace::is_instant(header) && header.schedule.running().is_some() {
            contention::note(self.cell.mailbox().address());
            self.contest();
        }
        header.system.offer_here(&self.cell, &mut mail);
        let Some(mail) = mail else { return Ok(false) };
        let wake = cell::admit(&self.cell, Lane::User, mail).map_err(refusal)?;
        Ok(header.system.answer_here(self.cell.untyped(), wake))
    }

    /// Lets it handle what is queued, then end (M10). New messages are refused from now on.
    pub fn stop(&self) {
        request_stop(self.cell.untyped());
    }

    /// Lets it finish the current message, then end (M10). What is queued becomes dead letters.
    pub fn shutdown(&self) {
        request_shutdown(self.cell.untyped());
    }

    /// Drops its handler at the next await point (M10). A handler that never awaits is fenced.
    pub fn kill(&self) {
        request_kill(self.cell.untyped());
    }

    /// Whether an incarnation is alive now.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.cell.header().is_alive()
    }

    /// The number of the latest incarnation; 0 before the first start.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.cell.header().incarnation()
    }

    /// Messages queued.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.cell.mailbox().len()
    }

    /// What became of the messages that this agent accepted, at this instant.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        ledger(self.cell.untyped())
    }

    /// Waits until the agent is gone for good, and says how its last incarnation ended.
    pub async fn ended(&self) -> ExitReason {
        ended(self.cell.untyped()).await
    }

    /// Calls `f` once, when the current incarnation ends, before the next one starts; at once, with
    /// false, if none is alive.
    pub fn on_exit(&self, f: impl FnOnce(&AgentId, u64, &ExitReason) + Send + 'static) -> bool {
        on_exit(self.cell.untyped(), f)
    }

    /// The same agent for those who know only a message type that converts into its own.
    #[must_use]
    pub fn recipient<M>(&self) -> Recipient<M>
    where
        M: Into<A::Msg> + Send + 'static,
    {
        let addr = self.clone();
        Recipient {
            id: self.id().clone(),
            tell: Arc::new(move |message: M| {
                // The message comes back as the agent's type; a recipient's user has no other form
                // of it, so it is dropped after it was refused, which the error says.
                addr.tell(message.into()).map_err(|error| error.map(drop))
            }),
        }
    }

    /// The same agent without its type.
    #[must_use]
    pub fn untyped(&self) -> AnyAddr {
        AnyAddr { cell: self.cell.untyped().clone() }
    }

    pub(crate) fn cell(&self) -> &TypedRef<A::Msg> {
        &self.cell
    }
}

impl<A: Agent> Clone for Addr<A> {
    fn clone(&self) -> Self {
        Self { cell: self.cell.clone() }
    }
}

impl<A: Agent> fmt::Debug for Addr<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Addr").field(self.id()).finish()
    }
}

type TellFn<M> = Arc<dyn Fn(M) -> Result<(), SendError<()>> + Send + Sync>;

/// Any agent that takes messages of type `M`.
pub struct Recipient<M> {
    id: AgentId,
    tell: TellFn<M>,
}

impl<M> Recipient<M> {
    /// The agent's name.
    #[must_use]
    pub fn id(&self) -> &AgentId {
        &self.id
    }

    /// Sends a message without waiting.
    ///
    /// # Errors
    /// As [`Addr::tell`], without the message.
    pub fn tell(&self, message: M) -> Result<(), SendError<()>> {
        (self.tell)(message)
    }
}

impl<M> Clone for Recipient<M> {
    fn clone(&self) -> Self {
        Self { id: self.id.clone(), tell: self.tell.clone() }
    }
}

impl<M> fmt::Debug for Recipient<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Recipient").field(&self.id).finish()
    }
}

/// An agent of any type: takes envelopes.
#[derive(Clone)]
pub struct AnyAddr {
    pub(crate) cell: CellRef,
}

impl AnyAddr {
    /// The agent's name.
    #[must_use]
    pub fn id(&self) -> &AgentId {
        &self.cell.header().id
    }

    /// Hands over an envelope: HEARTBEAT and SHUTDOWN to the runtime, the rest to the agent's codec
    /// (M9).
    ///
    /// # Errors
    /// [`SendError`] gives the envelope back.
    pub fn deliver(&self, envelope: Envelope) -> Result<(), SendError<Envelope>> {
        crate::envelope_agent::deliver(&self.cell, envelope)
    }

    /// As [`Addr::stop`].
    pub fn stop(&self) {
        request_stop(&self.cell);
    }

    /// As [`Addr::shutdown`].
    pub fn shutdown(&self) {
        request_shutdown(&self.cell);
    }

    /// As [`Addr::kill`].
    pub fn kill(&self) {
        request_kill(&self.cell);
    }

    /// Whether an incarnation is alive now.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.cell.header().is_alive()
    }

    /// The number of the latest incarnation; 0 before the first start.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.cell.header().incarnation()
    }

    /// Whether a handler of it is at work at this instant, also one that awaits something.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.cell.header().is_busy()
    }

    /// Messages queued.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.cell.queued()
    }

    /// What became of the messages that this agent accepted, at this instant.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        ledger(&self.cell)
    }

    /// As [`Addr::on_exit`].
    pub fn on_exit(&self, f: impl FnOnce(&AgentId, u64, &ExitReason) + Send + 'static) -> bool {
        on_exit(&self.cell, f)
    }

    /// As [`Addr::ended`].
    pub async fn ended(&self) -> ExitReason {
        ended(&self.cell).await
    }

    /// The typed address, if the agent is an `A`.
    #[must_use]
    pub fn typed<A: Agent>(&self) -> Option<Addr<A>> {
        self.cell.boxed_addr().downcast::<Addr<A>>().ok().map(|addr| *addr)
    }
}

impl fmt::Debug for AnyAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnyAddr").field(self.id()).finish()
    }
}

/// The account of one agent's mail. Between two turns `accepted = handled + dead + queued`; within a
/// turn a message can be on its way from one column to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ledger {
    /// Messages accepted: the sender's call returned `Ok`.
    pub accepted: u64,
    /// Messages handed to a handler, also if it failed.
    pub handled: u64,
    /// Messages that became dead letters.
    pub dead: u64,
    /// Messages in the mailbox.
    pub queued: u64,
}

impl Ledger {
    /// Whether every accepted message is accounted for.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.accepted == self.handled + self.dead + self.queued
    }
}

fn ledger(cell: &CellRef) -> Ledger {
    let header = cell.header();
    let (pushed, popped) = cell.totals();
    let (dead, turned_away) =
        header.if_cold(|cold| (cold.dead, cold.turned_away)).unwrap_or_default();
    Ledger {
        accepted: pushed + turned_away + header.offers(),
        handled: header.steps().div_ceil(2),
        dead,
        queued: pushed - popped,
    }
}

/// Admits a message without waiting.
pub(crate) fn push<M: Send + 'static>(
    cell: &TypedRef<M>,
    lane: Lane,
    message: M,
) -> Result<(), SendError<M>> {
    if seat::is_fenced() {
        return Err(SendError::Fenced(message));
    }
    // Step by step, so that a message goes from its sender's hands into its place in the queue.
    match cell.mailbox().reserve(lane) {
        Ok(reserved) => {
            if reserved.fill_with(message).wake {
                cell.untyped().wake();
            }
            Ok(())
        }
        Err(refused) => push_refused(cell, lane, refused.with(message)),
    }
}

#[cold]
fn push_refused<M: Send + 'static>(
    cell: &TypedRef<M>,
    lane: Lane,
    refused: Refused<M>,
) -> Result<(), SendError<M>> {
    match refused {
        Refused::Full(message) => match cell::overflow(cell, lane, Mail::new(message)) {
            Ok(wake) => {
                if wake {
                    cell.untyped().wake();
                }
                Ok(())
            }
            Err(refused) => Err(refusal(refused).map(|mail| mail.message)),
        },
        Refused::Closed(message) => Err(SendError::Closed(message)),
    }
}

fn push_mail<M: Send + 'static>(
    cell: &TypedRef<M>,
    lane: Lane,
    mail: Mail<M>,
) -> Result<(), SendError<Mail<M>>> {
    if seat::is_fenced() {
        return Err(SendError::Fenced(mail));
    }
    cell::send(cell, lane, mail).map_err(refusal)
}

pub(crate) fn refusal<M>(refused: Refused<Mail<M>>) -> SendError<Mail<M>> {
    match refused {
        Refused::Full(mail) => SendError::Full(mail),
        Refused::Closed(mail) => SendError::Closed(mail),
    }
}

/// Admits mail that found no room, if the policy says that it waits for some.
async fn wait_for_room<M: Send + 'static>(
    cell: &TypedRef<M>,
    lane: Lane,
    mail: Mail<M>,
) -> Result<(), SendError<Mail<M>>> {
    let Overflow::Wait(deadline) = cell.mailbox().options().overflow else {
        return Err(SendError::Full(mail));
    };
    // Not past those who wait already; they are in nobody's way while the agent is handled here.
    let mail = if cell.header().system.make_room(cell.untyped()) {
        match push_mail(cell, lane, mail) {
            Err(SendError::Full(mail)) => mail,
            other => return other,
        }
    } else {
        mail
    };
    let (ticket, wake) = cell.mailbox().join_waiters(lane, mail).map_err(SendError::Full)?;
    if wake {
        cell.untyped().wake();
    }
    let mut place = Place { cell, ticket: Some(ticket) };
    let waits = poll_fn(|cx| cell.mailbox().poll_waiter(ticket, cx));
    match time::within(deadline, waits).await {
        Some(admitted) => {
            place.ticket = None;
            admitted.map_err(SendError::Closed)
        }
        // It may have been admitted in the last moment.
        None => place.leave().map_or(Ok(()), |mail| Err(SendError::Full(mail))),
    }
}

/// A place in the line of waiting senders; given up on deadline and cancellation alike.
struct Place<'a, M> {
    cell: &'a TypedRef<M>,
    ticket: Option<u64>,
}

impl<M> Place<'_, M> {
    fn leave(&mut self) -> Option<Mail<M>> {
        let (mail, wake) = self.cell.mailbox().leave_waiters(self.ticket.take()?);
        if wake {
            self.cell.untyped().wake();
        }
        mail
    }
}

impl<M> Drop for Place<'_, M> {
    fn drop(&mut self) {
        drop(self.leave());
    }
}

/// One poll, with the waker of the caller.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
}

/// Why a question has no answer, once the step that dropped its reply is over: only then is it known
/// whether the handler failed (M12).
async fn verdict(cell: &CellRef, unanswered: Unanswered) -> AskError {
    let header = cell.header();
    let Some((incarnation, step)) = unanswered.begun else {
        return if header.is_retired() || !header.is_alive() {
            AskError::Ended
        } else {
            AskError::Dropped
        };
    };
    poll_fn(|cx| {
        // A failure is noted before the step ends, and after the incarnation is marked as ended.
        if header.steps() != step {
            return Poll::Ready(());
        }
        header.watch_step(cx.waker());
        // The turn that follows this note sees the request, or the step was over before it.
        cell.wake();
        if header.steps() == step { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    if header.failed_step() != Some((incarnation, step)) {
        AskError::NoReply
    } else if header.restarts {
        AskError::Restarting
    } else {
        AskError::Ended
    }
}

pub(crate) fn request_stop(cell: &CellRef) {
    cell.close();
    cell.header().raise(control::STOP | control::DISCARD);
    cell.wake();
}

pub(crate) fn request_shutdown(cell: &CellRef) {
    cell.header().raise(control::SHUTDOWN | control::DISCARD);
    cell.wake();
}

pub(crate) fn request_kill(cell: &CellRef) {
    cell.header().raise(control::KILL);
    let running = cell.header().schedule.running();
    if let Some(turn) = running {
        // It may be about to come back, or hold its thread for ever.
        cell.header().system.fence_later(cell, turn);
    }
    cell.wake();
}

fn on_exit(cell: &CellRef, f: impl FnOnce(&AgentId, u64, &ExitReason) + Send + 'static) -> bool {
    let header = cell.header();
    let id = header.id.clone();
    header.with_cold(|cold| {
        // Under the lock that the end of an incarnation takes as well, after it is marked.
        if !header.is_alive() {
            return false;
        }
        cold.exit_hooks.push(Box::new(move |exit| f(&id, exit.incarnation, &exit.reason)));
        true
    })
}

fn ended(cell: &CellRef) -> impl Future<Output = ExitReason> + '_ {
    let header = cell.header();
    poll_fn(move |cx| {
        header.watch_end(cx.waker());
        if header.is_retired() {
            let reason = header.last_exit().map_or(ExitReason::Normal, |exit| exit.reason);
            Poll::Ready(reason)
        } else {
            Poll::Pending
        }
    })
}
