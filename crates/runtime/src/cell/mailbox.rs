//! The mailbox of a cell: two lanes for messages, their bound and overflow policy, and the senders
//! that wait for room. (The third lane, for system messages, is the cell's control word.)

use std::fmt;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use ggml_agent_core::limits;

use super::answer::MailSide;
use super::lazy::Lazy;
use super::line::{Lanes, Line, Progress};
use super::queue::{Claimed, Nothing, Parked, Popped, Pushed, Queue, Refused, Reserved, Turn};

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
// In this order: with the message second, a processor that has just copied the whole in pieces of 16
// bytes must wait for two of them when the message is moved on.
#[repr(C)]
pub(crate) struct Mail<M> {
    pub(crate) message: M,
    /// The side of a pending ask that its queued message knows.
    pub(crate) asker: Option<MailSide>,
}

impl<M> Mail<M> {
    /// A message that nobody waits for.
    #[inline]
    pub(crate) fn new(message: M) -> Self {
        Self { message, asker: None }
    }

    #[inline(always)]
    pub(crate) fn into_parts(self) -> (M, Option<MailSide>) {
        (self.message, self.asker)
    }
}

impl<M> Reserved<'_, Mail<M>> {
    /// Writes a message that nobody waits for: moved once, where a [`Mail`] would be made and moved
    /// again.
    #[inline(always)]
    #[expect(unsafe_code, reason = "see SAFETY")]
    pub(crate) fn fill_with(self, message: M) -> Pushed {
        // Borrowed by the closure, which would else be the place that it is moved through.
        let message = ManuallyDrop::new(message);
        // SAFETY: both fields are written, nothing panics, and the message is forgotten here.
        unsafe {
            self.fill_in_place(|mail| {
                (&raw mut (*mail).message).copy_from_nonoverlapping(&raw const *message, 1);
                (&raw mut (*mail).asker).write(None);
            })
        }
    }
}

/// The next message, found and not yet taken: take it at once.
pub(crate) struct Next<'a, M> {
    claimed: Claimed<'a, Mail<M>>,
    mailbox: &'a Mailbox<M>,
}

impl<M> Next<'_, M> {
    /// Takes it.
    pub(crate) fn take(self) -> Mail<M> {
        let (mail, waiters) = self.claimed.take();
        if waiters {
            self.mailbox.admit_at_half();
        }
        mail
    }

    /// Takes the side of its asker out of it, so that whoever looks whether the asker still waits needs
    /// not move the message before.
    #[inline(always)]
    #[expect(unsafe_code, reason = "see SAFETY")]
    pub(crate) fn take_asker(&mut self) -> Option<MailSide> {
        // SAFETY: what is taken is replaced.
        unsafe { self.claimed.read(|mail| (*mail).asker.take()) }
    }

    /// Takes it, without the side of its asker: from its place to where it is needed.
    #[inline(always)]
    #[expect(unsafe_code, reason = "see SAFETY")]
    pub(crate) fn take_message(mut self) -> M {
        drop(self.take_asker());
        // SAFETY: read once, and nothing else is left.
        let message = unsafe { self.claimed.read(|mail| (&raw const (*mail).message).read()) };
        if self.claimed.leave() {
            self.mailbox.admit_at_half();
        }
        message
    }
}

/// See the module.
#[repr(C)]
pub(crate) struct Mailbox<M> {
    user: Queue<Mail<M>>,
    /// None for the default.
    options: Option<Box<MailboxOptions>>,
    rare: Lazy<Rare<M>>,
}

/// What a mailbox gets when it is used for the first time: most never do.
struct Rare<M> {
    priority: Queue<Mail<M>>,
    /// Priority messages taken in a row; written by the consumer only.
    streak: AtomicUsize,
    line: Line<Mail<M>>,
}

impl<M> Mailbox<M> {
    /// An empty mailbox; `has_barrier`: see [`super::head::Head::new`].
    pub(crate) fn new(options: MailboxOptions, has_barrier: bool) -> Self {
        let options = MailboxOptions { len_max: options.len_max.max(1), ..options };
        Self {
            // Where senders evict, a bias would only be in their way.
            user: Queue::new(has_barrier && options.overflow != Overflow::DropOldest),
            options: (options != MailboxOptions::DEFAULT).then(|| Box::new(options)),
            rare: Lazy::new(),
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
            Rare { priority, streak: AtomicUsize::new(0), line: Line::new() }
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
    #[inline(always)]
    pub(crate) fn push(&self, lane: Lane, mail: Mail<M>) -> Result<Pushed, Refused<Mail<M>>> {
        match self.reserve(lane) {
            Ok(reserved) => Ok(reserved.fill(mail)),
            Err(refused) => Err(refused.with(mail)),
        }
    }

    /// Claims a slot, if there is room and nobody waits for some; to be filled at once.
    #[inline(always)]
    pub(crate) fn reserve(&self, lane: Lane) -> Result<Reserved<'_, Mail<M>>, Refused<()>> {
        match lane {
            Lane::User => self.user.reserve(self.options().len_max, Turn::Newcomer),
            Lane::Priority => self.reserve_priority(),
        }
    }

    #[cold]
    fn reserve_priority(&self) -> Result<Reserved<'_, Mail<M>>, Refused<()>> {
        let rare = self.rare();
        loop {
            match rare.priority.reserve(self.options().len_max, Turn::Newcomer) {
                // The lane is closed until whoever made it has looked whether the mailbox is open.
                Err(Refused::Closed(())) if !self.user.is_closed() => self.align(rare),
                reserved => return reserved,
            }
        }
    }

    /// Takes the oldest message of a lane out, to make room.
    pub(crate) fn evict(&self, lane: Lane) -> Option<Mail<M>> {
        let queue = match lane {
            Lane::User => &self.user,
            Lane::Priority => &self.rare().priority,
        };
        match queue.evict() {
            Popped::Message(mail) => Some(mail),
            Popped::Empty | Popped::Writing => None,
        }
    }

    /// Finds the next message if `allowed` holds under the lane's lock.
    #[inline(always)]
    pub(crate) fn next(&self, allowed: impl Fn() -> bool) -> Result<Next<'_, M>, Nothing> {
        let lane = match self.rare.get() {
            Some(rare) if rare.priority.is_used() => self.lane_in_turn(rare),
            _ => &self.user,
        };
        let claimed = match lane.claim(&allowed) {
            // The other lane may have got mail since it was looked at.
            Err(Nothing::Empty) if self.has_priority() => self.rare().priority.claim(&allowed)?,
            claimed => claimed?,
        };
        Ok(Next { claimed, mailbox: self })
    }

    fn has_priority(&self) -> bool {
        self.rare.get().is_some_and(|rare| rare.priority.is_used() && rare.priority.len() > 0)
    }

    /// The priority lane, unless it is empty or the other one has waited long enough.
    #[cold]
    fn lane_in_turn<'a>(&'a self, rare: &'a Rare<M>) -> &'a Queue<Mail<M>> {
        let streak = rare.streak.load(Ordering::Relaxed);
        if streak < limits::PRIORITY_STREAK_MAX && rare.priority.len() > 0 {
            rare.streak.store(streak + 1, Ordering::Relaxed);
            return &rare.priority;
        }
        rare.streak.store(0, Ordering::Relaxed);
        &self.user
    }

    /// Half empty: from here on a lump of senders is worth its wakes.
    #[cold]
    fn admit_at_half(&self) {
        if self.user.len() <= self.options().len_max / 2 {
            self.admit_waiters();
        }
    }

    /// Whether it is open and empty, and the consumer has marked itself as asleep. For the holder of
    /// the turn: a message that it hands over now comes before all that are queued later.
    #[inline]
    pub(crate) fn is_at_rest(&self) -> bool {
        self.user.is_parked_open() && self.rare.get().is_none_or(|rare| !rare.priority.is_used())
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

    /// The turn that may be popping was fenced.
    pub(crate) fn revoke_bias(&self) {
        // The priority lane never has a bias.
        self.user.revoke_bias();
    }

    /// Frees the memory of empty lanes. For the holder of the turn.
    pub(crate) fn trim(&self) {
        self.user.trim();
        if let Some(rare) = self.rare.get() {
            rare.priority.trim();
            rare.line.trim();
        }
    }

    /// Of the lane for user messages.
    pub(crate) fn address(&self) -> usize {
        self.user.address()
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
        if !self.user.is_closed() {
            return;
        }
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

#[cfg(all(test, not(loom)))]
mod tests;
