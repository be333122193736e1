//! The mailbox of a cell: two lanes for messages, their bound and overflow policy, and the senders
//! that wait for room. (The third lane, for system messages, is the cell's control word.)

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ggml_agent_core::limits;

use super::queue::{Parked, Popped, Pushed, Queue, Refused, Turn};
use crate::sync::{AtomicUsize, Mutex, Ordering, lock};

/// What a full mailbox does with one more message (M4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// `send` waits for room, at most this long, first come, first served; `tell` is refused.
    Wait(Duration),
    /// The message comes back in the error.
    Reject,
    /// The new message becomes a dead letter.
    DropNewest,
    /// The oldest message of the lane becomes a dead letter, the new one is queued.
    DropOldest,
}

/// Size and overflow policy of a mailbox.
///
/// # Example
/// ```
/// use ggml_agent::{MailboxOptions, Overflow};
/// let options = MailboxOptions { len_max: 64, overflow: Overflow::DropOldest };
/// # let _ = options;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailboxOptions {
    /// Most messages that one lane (user or priority) holds, at least 1.
    pub len_max: usize,
    /// What happens to one more.
    pub overflow: Overflow,
}

impl MailboxOptions {
    /// 1,024 messages per lane; `send` waits up to 5 s for room.
    pub const DEFAULT: Self = Self {
        len_max: limits::MAILBOX_CAPACITY_DEFAULT,
        overflow: Overflow::Wait(Duration::from_secs(5)),
    };

    /// No bound: a choice that whoever reads the spec can see.
    pub const UNBOUNDED: Self = Self { len_max: usize::MAX, overflow: Overflow::Reject };
}

impl Default for MailboxOptions {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Which queue of the mailbox a message takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lane {
    /// Ordinary messages.
    #[default]
    User,
    /// Handled before user messages; after [`limits::PRIORITY_STREAK_MAX`] of them one user message
    /// has its turn, so that neither lane starves (M3).
    Priority,
}

/// The side of a pending ask that its queued message knows.
pub(crate) trait Asker: Send + Sync {
    /// Nobody waits for the answer any more.
    fn has_left(&self) -> bool;
    /// The message was handed to a handler, in this step of this incarnation.
    fn begin(&self, incarnation: u64, step: u64);
}

/// A message in a lane.
pub(crate) struct Mail<M> {
    pub(crate) message: M,
    pub(crate) asker: Option<Arc<dyn Asker>>,
}

/// What the consumer got.
pub(crate) enum Taken<M> {
    Mail(Mail<M>),
    Empty,
    /// A message is being written: look again soon.
    Writing,
    /// The caller's incarnation is over.
    Fenced,
}

/// See the module.
pub(crate) struct Mailbox<M> {
    user: Queue<Mail<M>>,
    priority: Queue<Mail<M>>,
    pub(crate) options: MailboxOptions,
    /// Priority messages taken in a row; written by the consumer only.
    streak: AtomicUsize,
    waiters: Mutex<Option<Box<Waiters>>>,
}

/// Senders that wait for room, first come, first served over both lanes.
#[derive(Default)]
struct Waiters {
    queue: VecDeque<Waiter>,
    next_ticket: u64,
}

struct Waiter {
    ticket: u64,
    waker: Option<Waker>,
}

impl<M> Mailbox<M> {
    pub(crate) fn new(options: MailboxOptions) -> Self {
        Self {
            user: Queue::new(),
            priority: Queue::new(),
            options: MailboxOptions { len_max: options.len_max.max(1), ..options },
            streak: AtomicUsize::new(0),
            waiters: Mutex::new(None),
        }
    }

    fn lane(&self, lane: Lane) -> &Queue<Mail<M>> {
        match lane {
            Lane::User => &self.user,
            Lane::Priority => &self.priority,
        }
    }

    /// Admits a message as the overflow policy says, without waiting.
    ///
    /// `Ok(None)`: the policy dropped the new message. Whatever the policy drops goes to `dropped`,
    /// which makes a dead letter of it: nothing disappears here.
    pub(crate) fn push(
        &self,
        lane: Lane,
        mail: Mail<M>,
        mut dropped: impl FnMut(Mail<M>, Overflow),
    ) -> Result<Option<Pushed>, Refused<Mail<M>>> {
        let queue = self.lane(lane);
        let mut mail = mail;
        loop {
            mail = match queue.push(mail, self.options.len_max, Turn::Newcomer) {
                Ok(pushed) => return Ok(Some(pushed)),
                Err(Refused::Closed(mail)) => return Err(Refused::Closed(mail)),
                Err(Refused::Full(mail)) => mail,
            };
            match self.options.overflow {
                Overflow::Wait(_) | Overflow::Reject => return Err(Refused::Full(mail)),
                Overflow::DropNewest => {
                    dropped(mail, Overflow::DropNewest);
                    return Ok(None);
                }
                // Another sender may take the room that we make: then we make room again.
                Overflow::DropOldest => {
                    if let Popped::Message { message, .. } = queue.pop() {
                        dropped(message, Overflow::DropOldest);
                    }
                }
            }
        }
    }

    /// Takes the next message if `allowed` holds under the lane's lock.
    pub(crate) fn take(&self, allowed: impl Fn() -> bool) -> Taken<M> {
        let streak = self.streak.load(Ordering::Relaxed);
        if streak < limits::PRIORITY_STREAK_MAX && self.priority.len() > 0 {
            let taken = self.take_from(&self.priority, &allowed);
            if !matches!(taken, Taken::Empty) {
                self.streak.store(streak + 1, Ordering::Relaxed);
                return taken;
            }
        }
        if streak != 0 {
            self.streak.store(0, Ordering::Relaxed);
        }
        let taken = self.take_from(&self.user, &allowed);
        if matches!(taken, Taken::Empty) && self.priority.len() > 0 {
            return self.take_from(&self.priority, &allowed);
        }
        taken
    }

    fn take_from(&self, queue: &Queue<Mail<M>>, allowed: &impl Fn() -> bool) -> Taken<M> {
        match queue.pop_if(allowed) {
            None => Taken::Fenced,
            Some(Popped::Empty) => Taken::Empty,
            Some(Popped::Writing) => Taken::Writing,
            Some(Popped::Message { message, waiters }) => {
                if waiters {
                    self.wake_first_waiter();
                }
                Taken::Mail(message)
            }
        }
    }

    /// Marks the consumer as asleep in both lanes; false when there is mail.
    pub(crate) fn park(&self) -> bool {
        for queue in [&self.user, &self.priority] {
            match queue.park() {
                Parked::Mail => return false,
                Parked::Asleep { waiters: true } => self.wake_first_waiter(),
                Parked::Asleep { waiters: false } => {}
            }
        }
        true
    }

    /// Frees the memory of empty lanes.
    pub(crate) fn trim(&self) {
        self.user.trim();
        self.priority.trim();
    }

    /// Refuses later messages; waiting senders are told.
    pub(crate) fn close(&self) {
        self.user.close();
        self.priority.close();
        for waiter in lock(&self.waiters).iter_mut().flat_map(|waiters| &mut waiters.queue) {
            if let Some(waker) = waiter.waker.take() {
                waker.wake();
            }
        }
    }

    /// Accepts messages again.
    pub(crate) fn open(&self) {
        self.user.open();
        self.priority.open();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.user.is_closed()
    }

    /// Messages queued in both lanes.
    pub(crate) fn len(&self) -> usize {
        self.user.len() + self.priority.len()
    }

    /// Messages ever queued in both lanes, and ever taken out.
    pub(crate) fn totals(&self) -> (u64, u64) {
        let (user, priority) = (self.user.totals(), self.priority.totals());
        (user.0 + priority.0, user.1 + priority.1)
    }

    /// A place in the line of senders that wait for room.
    pub(crate) fn join_waiters(&self) -> Result<u64, WaitersFull> {
        let mut guard = lock(&self.waiters);
        let waiters = guard.get_or_insert_with(Box::default);
        if waiters.queue.len() >= limits::SEND_WAITERS_MAX {
            return Err(WaitersFull);
        }
        let ticket = waiters.next_ticket;
        waiters.next_ticket += 1;
        waiters.queue.push_back(Waiter { ticket, waker: None });
        self.user.mark_waiters(true);
        self.priority.mark_waiters(true);
        Ok(ticket)
    }

    /// Queues `mail` once its ticket is the first in line and there is room.
    pub(crate) fn poll_waiter(
        &self,
        ticket: u64,
        lane: Lane,
        mail: &mut Option<Mail<M>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Pushed, Refused<Mail<M>>>> {
        {
            let mut guard = lock(&self.waiters);
            let Some(waiters) = guard.as_mut() else { return Poll::Pending };
            let first = waiters.queue.front().map(|waiter| waiter.ticket);
            if let Some(waiter) = waiters.queue.iter_mut().find(|waiter| waiter.ticket == ticket) {
                waiter.waker = Some(cx.waker().clone());
            }
            if first != Some(ticket) && !self.is_closed() {
                return Poll::Pending;
            }
        }
        let Some(message) = mail.take() else { return Poll::Pending };
        match self.lane(lane).push(message, self.options.len_max, Turn::Waiter) {
            Ok(pushed) => Poll::Ready(Ok(pushed)),
            Err(Refused::Closed(message)) => Poll::Ready(Err(Refused::Closed(message))),
            Err(Refused::Full(message)) => {
                *mail = Some(message);
                Poll::Pending
            }
        }
    }

    /// Gives a place in line up, after success, timeout or cancellation.
    pub(crate) fn leave_waiters(&self, ticket: u64) {
        let mut guard = lock(&self.waiters);
        let Some(waiters) = guard.as_mut() else { return };
        waiters.queue.retain(|waiter| waiter.ticket != ticket);
        match waiters.queue.front_mut() {
            // There may be room for the next one too; it looks for itself.
            Some(next) => {
                if let Some(waker) = next.waker.take() {
                    waker.wake();
                }
            }
            None => {
                *guard = None;
                self.user.mark_waiters(false);
                self.priority.mark_waiters(false);
            }
        }
    }

    fn wake_first_waiter(&self) {
        let waker = lock(&self.waiters)
            .as_mut()
            .and_then(|waiters| waiters.queue.front_mut())
            .and_then(|waiter| waiter.waker.take());
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// More than [`limits::SEND_WAITERS_MAX`] senders wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WaitersFull;

impl<M> fmt::Debug for Mailbox<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox")
            .field("user", &self.user)
            .field("priority", &self.priority)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
