//! The mailbox of a cell: two lanes for messages, their bound and overflow policy, and the senders
//! that wait for room. (The third lane, for system messages, is the cell's control word.)

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use ggml_agent_core::limits;

use super::answer::MailSide;
use super::line::{Lanes, Line, Progress};
use super::queue::{Parked, Popped, Pushed, Queue, Refused, Turn};

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

/// A message in a lane.
pub(crate) struct Mail<M> {
    pub(crate) message: M,
    /// The side of a pending ask that its queued message knows.
    pub(crate) asker: Option<MailSide>,
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
#[repr(C)]
pub(crate) struct Mailbox<M> {
    user: Queue<Mail<M>>,
    /// None for the default.
    options: Option<Box<MailboxOptions>>,
    rare: OnceLock<Box<Rare<M>>>,
}

/// What a mailbox gets when it is used for the first time: most never do.
struct Rare<M> {
    priority: Queue<Mail<M>>,
    /// Priority messages taken in a row; written by the consumer only.
    streak: AtomicUsize,
    line: Line<Mail<M>>,
}

impl<M> Mailbox<M> {
    pub(crate) fn new(options: MailboxOptions) -> Self {
        let options = MailboxOptions { len_max: options.len_max.max(1), ..options };
        Self {
            user: Queue::new(),
            options: (options != MailboxOptions::DEFAULT).then(|| Box::new(options)),
            rare: OnceLock::new(),
        }
    }

    #[inline]
    pub(crate) fn options(&self) -> &MailboxOptions {
        self.options.as_deref().unwrap_or(&MailboxOptions::DEFAULT)
    }

    #[cold]
    fn rare(&self) -> &Rare<M> {
        if let Some(rare) = self.rare.get() {
            return rare;
        }
        let rare = self.rare.get_or_init(|| {
            // Closed until the mailbox's state is known, so that it accepts nothing after a close.
            let priority = Queue::closed_and_parked();
            Box::new(Rare { priority, streak: AtomicUsize::new(0), line: Line::new() })
        });
        self.align(rare);
        rare
    }

    /// Closes or opens the priority lane as the user lane is.
    ///
    /// Who makes the lane and who closes (or opens) the mailbox both come here, each after a
    /// read-modify-write of the user lane's tail. The second of the two sees both the lane and the
    /// mailbox's state, and under the lock the last word is the newest state.
    fn align(&self, rare: &Rare<M>) {
        rare.line.aligned(|| {
            if self.user.is_closed_in_order() {
                rare.priority.close();
            } else {
                rare.priority.open();
            }
        });
    }

    fn lanes<'a>(&'a self, rare: &'a Rare<M>) -> Lanes<'a, Mail<M>> {
        Lanes { user: &self.user, priority: &rare.priority, len_max: self.options().len_max }
    }

    /// Appends a message to its lane, if there is room and nobody waits for some.
    #[inline]
    pub(crate) fn push(&self, lane: Lane, mail: Mail<M>) -> Result<Pushed, Refused<Mail<M>>> {
        let queue = match lane {
            Lane::User => &self.user,
            Lane::Priority => &self.rare().priority,
        };
        queue.push(mail, self.options().len_max, Turn::Newcomer)
    }

    /// Takes the oldest message of a lane out, to make room.
    pub(crate) fn evict(&self, lane: Lane) -> Option<Mail<M>> {
        let queue = match lane {
            Lane::User => &self.user,
            Lane::Priority => &self.rare().priority,
        };
        match queue.pop() {
            Popped::Message { message, .. } => Some(message),
            Popped::Empty | Popped::Writing => None,
        }
    }

    /// Takes the next message if `allowed` holds under the lane's lock.
    #[inline]
    pub(crate) fn take(&self, allowed: impl Fn() -> bool) -> Taken<M> {
        match self.rare.get() {
            None => self.take_from(&self.user, &allowed),
            Some(rare) => self.take_by_priority(rare, &allowed),
        }
    }

    fn take_by_priority(&self, rare: &Rare<M>, allowed: &impl Fn() -> bool) -> Taken<M> {
        let streak = rare.streak.load(Ordering::Relaxed);
        if streak < limits::PRIORITY_STREAK_MAX && rare.priority.len() > 0 {
            let taken = self.take_from(&rare.priority, allowed);
            if !matches!(taken, Taken::Empty) {
                rare.streak.store(streak + 1, Ordering::Relaxed);
                return taken;
            }
        }
        if streak != 0 {
            rare.streak.store(0, Ordering::Relaxed);
        }
        let taken = self.take_from(&self.user, allowed);
        if matches!(taken, Taken::Empty) && rare.priority.len() > 0 {
            return self.take_from(&rare.priority, allowed);
        }
        taken
    }

    #[inline]
    fn take_from(&self, queue: &Queue<Mail<M>>, allowed: &impl Fn() -> bool) -> Taken<M> {
        match queue.pop_if(allowed) {
            None => Taken::Fenced,
            Some(Popped::Empty) => Taken::Empty,
            Some(Popped::Writing) => Taken::Writing,
            Some(Popped::Message { message, waiters }) => {
                // Half empty: from here on a lump of senders is worth its wakes.
                if waiters && queue.len() <= self.options().len_max / 2 {
                    self.admit_waiters();
                }
                Taken::Mail(message)
            }
        }
    }

    /// Marks the consumer as asleep in both lanes; false when there is mail.
    #[inline]
    pub(crate) fn park(&self) -> bool {
        match self.user.park() {
            Parked::Mail => return false,
            Parked::Asleep { waiters: true } if self.admit_waiters() => return false,
            Parked::Asleep { .. } => {}
        }
        // A lane that is made later is made parked.
        self.rare.get().is_none_or(|rare| rare.priority.park() != Parked::Mail)
    }

    /// Admits senders that wait, if there is room; true when the consumer must be woken.
    pub(crate) fn admit_waiters(&self) -> bool {
        match self.rare.get() {
            Some(rare) if self.user.has_waiters() => rare.line.admit(&self.lanes(rare)),
            _ => false,
        }
    }

    /// Frees the memory of empty lanes.
    pub(crate) fn trim(&self) {
        self.user.trim();
        if let Some(rare) = self.rare.get() {
            rare.priority.trim();
        }
    }

    /// Whether it owns memory beyond its own.
    pub(crate) fn is_used(&self) -> bool {
        self.user.is_used() || self.rare.get().is_some_and(|rare| rare.priority.is_used())
    }

    /// Refuses later messages; waiting senders are told.
    pub(crate) fn close(&self) {
        self.user.close();
        if let Some(rare) = self.rare.get() {
            self.align(rare);
            rare.line.wake_all();
        }
    }

    /// Accepts messages again.
    pub(crate) fn open(&self) {
        self.user.open();
        if let Some(rare) = self.rare.get() {
            self.align(rare);
        }
    }

    /// Messages queued in both lanes.
    pub(crate) fn len(&self) -> usize {
        self.user.len() + self.rare.get().map_or(0, |rare| rare.priority.len())
    }

    /// Messages ever queued in both lanes, and ever taken out.
    pub(crate) fn totals(&self) -> (u64, u64) {
        let user = self.user.totals();
        let priority = self.rare.get().map_or((0, 0), |rare| rare.priority.totals());
        (user.0 + priority.0, user.1 + priority.1)
    }

    /// Takes a place in the line of senders that wait for room. The ticket, and whether the caller
    /// must wake the consumer.
    pub(crate) fn join_waiters(&self, lane: Lane, mail: Mail<M>) -> Result<(u64, bool), Mail<M>> {
        let rare = self.rare();
        rare.line.join(&self.lanes(rare), lane, mail)
    }

    /// Whether the message with this ticket is queued, or came back because the mailbox closed.
    pub(crate) fn poll_waiter(
        &self,
        ticket: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Mail<M>>> {
        let rare = self.rare();
        match rare.line.poll(&self.lanes(rare), ticket, cx.waker()) {
            Progress::Admitted => Poll::Ready(Ok(())),
            Progress::Closed(mail) => Poll::Ready(Err(mail)),
            Progress::Waiting => Poll::Pending,
        }
    }

    /// Gives a place in line up, after a deadline or cancellation. The message, unless it was
    /// admitted, and whether the caller must wake the consumer.
    pub(crate) fn leave_waiters(&self, ticket: u64) -> (Option<Mail<M>>, bool) {
        let rare = self.rare();
        rare.line.leave(&self.lanes(rare), ticket)
    }
}

impl<M> fmt::Debug for Mailbox<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox")
            .field("len", &self.len())
            .field("options", self.options())
            .finish_non_exhaustive()
    }
}
