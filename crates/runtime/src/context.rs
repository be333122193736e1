//! What a handler has at hand: itself, the system, timers, jobs, and its own end.

use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use ggml_agent_core::envelope::{Envelope, MessageType};
use ggml_agent_core::id::MessageId;
use ggml_agent_core::{AgentId, ExitReason, Report};
use tokio::task::AbortHandle;

use crate::address::Addr;
use crate::agent::Agent;
use crate::cell;
use crate::cell::answer::MailSide;
use crate::cell::handle::TypedRef;
use crate::cell::header::{Header, Start, control};
use crate::cell::mailbox::{Lane, Next};
use crate::cell::offer::Offer;
use crate::cell::queue::Nothing;
use crate::dead_letter::{DeadLetter, Reason};
use crate::error::SendError;
use crate::jobs::Jobs;
use crate::observe::EventKind;
use crate::pool::pace;
use crate::system::SystemRef;
use crate::time;

/// One incarnation's view of itself and its surroundings.
///
/// Timers, jobs and group memberships made through it end with the incarnation, before the next one
/// starts (M13).
pub struct Context<A: Agent> {
    cell: TypedRef<A::Msg>,
    incarnation: u64,
    /// Boxed, since few need it and every agent has a context.
    rare: Option<Box<Rare>>,
}

/// What an agent gets with its first job or wish.
#[derive(Default)]
struct Rare {
    wish: Option<Wish>,
    jobs: Option<OwnJobs>,
}

/// What an agent wants of its life.
enum Wish {
    /// From `on_start`: not to run (S3).
    Ignore,
    /// To end after the current message.
    Stop(ExitReason),
}

/// Jobs that end with the context, whoever else knows of them.
struct OwnJobs(Arc<Jobs>);

impl Drop for OwnJobs {
    fn drop(&mut self) {
        self.0.abort_all();
    }
}

/// What comes next in a life.
pub(crate) enum Step<'a, M> {
    Mail(Next<'a, M>),
    /// As `Mail`, without the queue.
    Offer(Offer<M>),
    Stop(ExitReason),
}

impl<A: Agent> Context<A> {
    pub(crate) fn new(cell: TypedRef<A::Msg>, incarnation: u64) -> Self {
        Self { cell, incarnation, rare: None }
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    fn header(&self) -> &Header {
        self.cell.header()
    }

    /// The agent's name.
    #[must_use]
    pub fn id(&self) -> &AgentId {
        &self.header().id
    }

    /// The number of this incarnation, from 1.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// The agent's own address.
    #[must_use]
    pub fn addr(&self) -> Addr<A> {
        Addr::from_cell(self.cell.clone())
    }

    /// The system it lives in.
    #[must_use]
    pub fn system(&self) -> &SystemRef {
        &self.header().system
    }

    /// Ends the incarnation after the current message, normally.
    pub fn stop(&mut self) {
        self.stop_as(ExitReason::Normal);
    }

    /// Ends the incarnation after the current message, with a reason that is not a failure.
    pub fn stop_with(&mut self, reason: Report) {
        self.stop_as(ExitReason::ShutdownWith(reason));
    }

    /// From `on_start`: the agent does not want to run. Its spec is kept, and it is no error (S3).
    pub fn ignore(&mut self) {
        self.rare().wish = Some(Wish::Ignore);
    }

    /// Sends `message` to the agent itself after a delay, unless the incarnation ends first.
    pub fn send_after(&mut self, delay: Duration, message: A::Msg) -> Timer {
        self.send_on_lane_after(Lane::User, delay, message)
    }

    pub(crate) fn send_on_lane_after(
        &mut self,
        lane: Lane,
        delay: Duration,
        message: A::Msg,
    ) -> Timer {
        let addr = self.addr();
        let due = time::wait(delay);
        self.spawn(async move {
            due.await;
            // A refused timer message has nobody to go back to; its refusal is recorded.
            addr.tell_or_dead_letter(lane, message);
        })
    }

    /// Sends a message to the agent itself every `period`, first after one `period`, until the
    /// incarnation ends or the timer is cancelled.
    pub fn send_every(
        &mut self,
        period: Duration,
        mut message: impl FnMut() -> A::Msg + Send + 'static,
    ) -> Timer {
        let addr = self.addr();
        let mut due = Box::pin(time::wait(period));
        self.spawn(async move {
            loop {
                due.as_mut().await;
                due.set(time::wait(period));
                addr.tell_or_dead_letter(Lane::User, message());
            }
        })
    }

    /// Runs a job beside the agent; it is aborted when the incarnation ends.
    pub fn spawn(&mut self, job: impl Future<Output = ()> + Send + 'static) -> Timer {
        let handle = self.header().system.runtime().clone();
        let header = self.cell.header();
        let jobs = self.rare.get_or_insert_default().jobs.get_or_insert_with(|| {
            let jobs = Arc::<Jobs>::default();
            // The context ends them, unless its handler holds a thread and was fenced: then its
            // value may never be dropped, and they must end before the next start all the same.
            let of_fenced = Arc::downgrade(&jobs);
            header.with_cold(|cold| {
                cold.exit_hooks.push(Box::new(move |_| {
                    if let Some(jobs) = of_fenced.upgrade() {
                        jobs.abort_all();
                    }
                }));
            });
            OwnJobs(jobs)
        });
        Timer { job: jobs.0.spawn(&handle, job) }
    }

    /// Runs blocking code on a thread for such, and waits for it without holding a worker.
    ///
    /// # Errors
    /// The report of its panic.
    ///
    /// # Cancel safety
    /// The closure runs to its end even if nobody waits any more.
    pub async fn block<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Report> {
        self.header().system.runtime().spawn_blocking(work).await.map_err(Report::from)
    }

    /// Awaits something long that is no missed heartbeat: a model's answer, a person's (S33).
    pub async fn protect<T>(&self, future: impl Future<Output = T>) -> T {
        struct Protected<'a>(&'a Header, u64);
        impl Drop for Protected<'_> {
            fn drop(&mut self) {
                // The end of an incarnation takes all its protection away; a fenced one that comes
                // back has none of its successor's to give up.
                if self.0.is_live(self.1) {
                    self.0.protect(false);
                }
            }
        }
        self.header().protect(true);
        let _protected = Protected(self.header(), self.incarnation);
        future.await
    }

    /// Declares progress within a long handler (S33).
    pub fn progress(&self) {
        self.header().beat();
    }

    /// Lets others have their turn, and lets a kill take effect here.
    pub async fn yield_now(&self) {
        pace::go_to_the_end().await;
    }

    /// Whether a stop or shutdown was requested: a long handler may look and end early.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.header().control() & (control::STOP | control::SHUTDOWN) != 0
    }

    /// Sends an envelope by id (the untyped road).
    ///
    /// # Errors
    /// [`SendError`] gives the envelope back; an unknown id is also recorded as a dead letter (G3).
    pub fn send_to(
        &self,
        to: &AgentId,
        kind: MessageType,
        payload: impl Into<Bytes>,
    ) -> Result<MessageId, SendError<Envelope>> {
        let envelope = self.system().envelope(to.clone(), kind, payload).sent_by(self.id().clone());
        let id = envelope.id;
        self.system().route(envelope)?;
        Ok(id)
    }

    /// Answers an envelope; the answer carries its id as correlation id (M8).
    ///
    /// # Errors
    /// As [`Context::send_to`]; [`SendError::Unknown`] when the question came from outside.
    pub fn reply_to(
        &self,
        question: &Envelope,
        kind: MessageType,
        payload: impl Into<Bytes>,
    ) -> Result<(), SendError<Envelope>> {
        self.system().reply_as(self.id(), question, kind, payload)
    }

    /// Joins a group until the incarnation ends (G5).
    ///
    /// # Errors
    /// [`ggml_agent_core::registry::JoinError`] names the limit or the missing registration.
    pub fn join(
        &self,
        tag: &ggml_agent_core::registry::Tag,
    ) -> Result<(), ggml_agent_core::registry::JoinError> {
        self.system().join(self.id(), tag)
    }

    // The life's side.

    pub(crate) fn is_ignored(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| matches!(rare.wish, Some(Wish::Ignore)))
    }

    #[inline(always)]
    pub(crate) fn take_stop(&mut self) -> Option<ExitReason> {
        match self.rare.as_mut()?.wish.take()? {
            Wish::Stop(reason) => Some(reason),
            // Said after `on_start`: there is nothing left to ignore.
            Wish::Ignore => None,
        }
    }

    pub(crate) fn report_started(&self) {
        let header = self.header();
        header.raise(control::STARTED);
        // Before its supervisor hears of it: what follows from the start comes later in the stream.
        header.system.emit(|| EventKind::AgentStarted {
            agent: header.id.clone(),
            incarnation: self.incarnation,
        });
        cell::report_start(self.cell.untyped(), self.incarnation, Start::Running);
    }

    /// Ends the incarnation after the current message, as `reason`.
    pub(crate) fn stop_as(&mut self, reason: ExitReason) {
        self.rare().wish = Some(Wish::Stop(reason));
    }

    /// Returns if the incarnation is still the cell's own. A fenced one that comes back must neither
    /// touch the counters of its successor nor run `on_stop`: it stays here until it is dropped,
    /// which is at the end of the turn.
    pub(crate) async fn stay_if_live(&self) {
        if !self.header().is_live(self.incarnation) {
            std::future::pending::<()>().await;
        }
    }

    /// As [`Context::stay_if_live`], as a question.
    #[inline(always)]
    pub(crate) fn is_live(&self) -> bool {
        self.header().is_live(self.incarnation)
    }

    /// Notes that the current step failed, for those who asked something in it (M12), and ends it.
    pub(crate) fn step_failed(&self) {
        let failed = (self.incarnation, self.header().steps());
        self.header().with_cold(|cold| cold.failed_step = Some(failed));
    }

    /// The current step is over; what follows is the end.
    pub(crate) fn step_over(&self) {
        self.header().step_ends();
        self.header().wake_step_watchers();
    }

    /// The next message while the agent is within `on_start` or `on_stop`: for supervisors, whose
    /// start and stop are conversations. `None` when a stop was asked for and `heed_stop`.
    pub(crate) async fn inbox(&self, heed_stop: bool) -> Option<A::Msg> {
        poll_fn(|_| {
            let header = self.header();
            loop {
                if heed_stop && self.is_stopping() {
                    return Poll::Ready(None);
                }
                if !header.spend() {
                    header.raise(control::AGAIN);
                    return Poll::Pending;
                }
                match self.find() {
                    Ok(mut next) => {
                        let asker = next.take_asker();
                        if self.opens(asker.as_ref()) {
                            let message = next.take_message();
                            header.step_ends();
                            return Poll::Ready(Some(message));
                        }
                        self.skip(&next.take_message());
                    }
                    Err(Nothing::Writing) => {
                        header.raise(control::AGAIN);
                        return Poll::Pending;
                    }
                    Err(Nothing::Fenced) => return Poll::Pending,
                    Err(Nothing::Empty) => {
                        if self.cell.mailbox().park() {
                            return Poll::Pending;
                        }
                    }
                }
            }
        })
        .await
    }

    /// Returns when a stop or shutdown is requested. Who requests one gives the agent a turn, and every turn
    /// polls its handler: there is nothing to register.
    pub(crate) async fn stopping(&self) {
        poll_fn(|_| if self.is_stopping() { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// The message that waits, if one does, within `on_stop`.
    pub(crate) async fn leftover(&self) -> Option<A::Msg> {
        let mut next = std::pin::pin!(self.inbox(false));
        poll_fn(|cx| match next.as_mut().poll(cx) {
            Poll::Ready(message) => Poll::Ready(message),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    /// The next message, or the end.
    #[inline(always)]
    pub(crate) fn poll_next(&self) -> Poll<Step<'_, A::Msg>> {
        let header = self.header();
        loop {
            let control = header.control();
            if control & control::KILL != 0 {
                // Whoever raised it has asked for another turn, which drops this life.
                return Poll::Pending;
            }
            if control & control::REQUESTS != 0
                && let Some(reason) = self.obey(control)
            {
                return Poll::Ready(Step::Stop(reason));
            }
            if !header.spend() {
                header.raise(control::AGAIN);
                return Poll::Pending;
            }
            // The queue was empty when the offer was made.
            if let Some(offer) = Offer::find(&self.cell)
                && header.is_live(self.incarnation)
            {
                header.note_offer();
                return Poll::Ready(Step::Offer(offer));
            }
            match self.find() {
                Ok(next) => return Poll::Ready(Step::Mail(next)),
                Err(Nothing::Writing) => {
                    header.raise(control::AGAIN);
                    return Poll::Pending;
                }
                Err(Nothing::Fenced) => return Poll::Pending,
                Err(Nothing::Empty) if control & control::STOP != 0 => {
                    return Poll::Ready(Step::Stop(ExitReason::Normal));
                }
                Err(Nothing::Empty) => {
                    if self.cell.mailbox().park() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn find(&self) -> Result<Next<'_, A::Msg>, Nothing> {
        self.cell.mailbox().next(|| self.header().is_live(self.incarnation))
    }

    /// Begins a step with a message of this asker; false if it has left (M6).
    #[inline(always)]
    pub(crate) fn opens(&self, asker: Option<&MailSide>) -> bool {
        let Some(asker) = asker else {
            self.header().step_begins();
            return true;
        };
        if asker.has_left() {
            return false;
        }
        asker.begin(self.incarnation, self.header().step_begins());
        true
    }

    /// Records a question whose asker has left.
    #[cold]
    pub(crate) fn skip(&self, message: &A::Msg) {
        let header = self.header();
        header.note_dead(1);
        header.system.dead_letter(DeadLetter::of(&header.id, message, Reason::AskerLeft));
    }

    /// The message was handled.
    #[inline(always)]
    pub(crate) fn handled(&self) {
        self.header().step_ends();
    }

    /// Does what the system lane asks for; `Some` when the life is to end.
    #[cold]
    fn obey(&self, control: u32) -> Option<ExitReason> {
        let header = self.header();
        if control & control::WATCH != 0 {
            header.wake_step_watchers();
        }
        if control & control::MAIL != 0 {
            header.lower(control::MAIL);
            let mail = header.if_cold(|cold| std::mem::take(&mut cold.system_mail));
            for envelope in mail.into_iter().flatten() {
                crate::envelope_agent::answer_heartbeat(header, &envelope);
            }
        }
        if control & control::SHUTDOWN != 0 {
            return Some(ExitReason::Shutdown);
        }
        None
    }
}

impl<A: Agent> Addr<A> {
    fn tell_or_dead_letter(&self, lane: Lane, message: A::Msg) {
        if let Err(error) = self.tell_on(lane, message) {
            let reason = Reason::of_refusal(&error);
            self.cell().header().system.dead_letter(DeadLetter::of(
                self.id(),
                &error.into_inner(),
                reason,
            ));
        }
    }
}

impl<A: Agent> fmt::Debug for Context<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("id", self.id())
            .field("incarnation", &self.incarnation)
            .finish_non_exhaustive()
    }
}

/// A timer or job of an incarnation.
#[derive(Debug, Clone)]
pub struct Timer {
    job: AbortHandle,
}

impl Timer {
    /// Ends it; what it has sent already stays sent.
    pub fn cancel(&self) {
        self.job.abort();
    }

    /// Whether it has done its work or was cancelled.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.job.is_finished()
    }
}
