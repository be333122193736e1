//! A queue of many producers and one consumer at a time: one atomic read-modify-write per push and
//! none per pop.
//!
//! Messages stand inline in blocks; an empty queue that was never used, or was trimmed, owns no
//! block. The tail word carries three flags beside the position, so that the single
//! compare-and-swap that claims a slot also
//! - checks the bound,
//! - learns whether the queue is closed or others wait for room,
//! - takes the *parked* flag: exactly one producer sees the change from empty to non-empty.
//!
//! The consumer's side is the [`Head`], which is not on the way of a send. It makes every pop
//! exclusive whoever calls it: the cell's current incarnation, a sender that evicts the oldest
//! message, or an incarnation that was fenced and comes back late. It is held for a few instructions
//! and never while code of a user runs.
//!
//! The two sides meet as rarely as they can: a producer compares its position with a limit that it
//! refreshes from the head only when it reaches it, and the consumer looks at a slot's own flag and
//! turns to the tail only when that says that nothing is there.
#![expect(unsafe_code, reason = "slots are written by their claimer and read once by the consumer")]

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;

use std::mem::MaybeUninit;
use std::ptr;

use super::head::{Access, Head};
use crate::sync::{AtomicBool, AtomicPtr, AtomicUsize, Ordering, UnsafeCell, pause};

/// Positions per block; the last one is not a slot but means "the next block is being installed".
// 15 slots of a small message (40 B with its flag) are 616 B: malloc's quick lists end at 1,032 B.
#[cfg(not(loom))]
const LAP: usize = 16;
#[cfg(loom)]
const LAP: usize = 3; // small, so that a model reaches the border of a block

/// Messages per block.
const BLOCK_LEN: usize = LAP - 1;

/// The consumer found the queue empty and sleeps: whoever pushes next must wake it.
const PARKED: usize = 0b001;
/// No push is accepted.
const CLOSED: usize = 0b010;
/// Senders wait for room: a newcomer queues behind them.
const WAITERS: usize = 0b100;
const FLAGS: usize = 0b111;
/// One position of the tail.
const STEP: usize = 0b1000;

/// How often the consumer looks again for a message whose slot is claimed but not yet written.
#[cfg(not(loom))]
const SPINS: usize = 64;
#[cfg(loom)]
const SPINS: usize = 1;

struct Slot<T> {
    value: UnsafeCell<MaybeUninit<T>>,
    ready: AtomicBool,
}

struct Block<T> {
    next: AtomicPtr<Self>,
    slots: [Slot<T>; BLOCK_LEN],
}

impl<T> Block<T> {
    fn boxed() -> Box<Self> {
        Box::new(Self {
            next: AtomicPtr::new(ptr::null_mut()),
            slots: std::array::from_fn(|_| Slot {
                value: UnsafeCell::new(MaybeUninit::uninit()),
                ready: AtomicBool::new(false),
            }),
        })
    }

    /// Makes it as new; no slot of it holds a message.
    fn reset(&mut self) {
        self.next.store(ptr::null_mut(), Ordering::Relaxed);
        for slot in &self.slots {
            slot.ready.store(false, Ordering::Relaxed);
        }
    }
}

/// What a successful push found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pushed {
    /// The consumer was parked: the caller must wake it.
    pub(crate) wake: bool,
}

/// Why a push was refused; the message comes back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused<T> {
    Full(T),
    Closed(T),
}

impl Refused<()> {
    /// With the message that was refused.
    pub(crate) fn with<T>(self, message: T) -> Refused<T> {
        match self {
            Self::Full(()) => Refused::Full(message),
            Self::Closed(()) => Refused::Closed(message),
        }
    }
}

/// A slot that is claimed and not yet written.
#[must_use = "the consumer waits for the message"]
pub(crate) struct Reserved<'a, T> {
    /// The compare-and-swap gave us this one alone; its block lives until the consumer has seen
    /// `ready` of every slot.
    slot: &'a Slot<T>,
    wake: bool,
}

impl<T> Reserved<'_, T> {
    /// Writes the message.
    #[inline(always)]
    pub(crate) fn fill(self, message: T) -> Pushed {
        // SAFETY: the message is written as a whole.
        unsafe { self.fill_in_place(|place| place.write(message)) }
    }

    /// Has the message written part by part where it is to be.
    ///
    /// # Safety
    /// `write` initialises the message, and does not panic.
    #[inline(always)]
    pub(crate) unsafe fn fill_in_place(self, write: impl FnOnce(*mut T)) -> Pushed {
        self.slot.value.with_mut(|value| write(value.cast()));
        self.slot.ready.store(true, Ordering::Release);
        Pushed { wake: self.wake }
    }
}

/// What a pop found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Popped<T> {
    Message(T),
    Empty,
    /// A producer has claimed the next slot and not yet written it: come back soon.
    Writing,
}

/// Why there is no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nothing {
    Empty,
    /// As [`Popped::Writing`].
    Writing,
    /// It was not allowed.
    Fenced,
}

/// The oldest message, found and not yet taken. It holds the head.
pub(crate) struct Claimed<'a, T> {
    queue: &'a Queue<T>,
    block: *mut Block<T>,
    access: Access,
}

impl<T> Claimed<'_, T> {
    /// Takes it; true if senders wait for room, which is looked for once per block.
    #[inline(always)]
    pub(crate) fn take(self) -> (T, bool) {
        // SAFETY: the whole is read, once.
        let message = unsafe { self.read(|message| message.read()) };
        (message, self.leave())
    }

    /// Reads it, or part of it.
    ///
    /// # Safety
    /// What is read is not read again, and [`Self::leave`] is called when nothing is left.
    #[inline(always)]
    pub(crate) unsafe fn read<R>(&self, read: impl FnOnce(*mut T) -> R) -> R {
        // SAFETY: as in `claim_by`: we still have the access.
        let slot = unsafe { &(*self.block).slots[self.access.position % LAP] };
        // `ready` was set after the value was written.
        slot.value.with_mut(|value| read(value.cast()))
    }

    /// Moves on to the next one; true as with [`Self::take`].
    #[inline(always)]
    pub(crate) fn leave(self) -> bool {
        let Self { queue, block, access } = self;
        let position = access.position;
        if position % LAP + 1 == BLOCK_LEN {
            queue.leave_block(block);
            queue.head.leave(&access, position + 2);
            queue.has_waiters()
        } else {
            queue.head.leave(&access, position + 1);
            false
        }
    }
}

/// What the consumer found when it wanted to sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parked {
    /// The next push wakes it.
    Asleep {
        /// Senders wait for room, and there is some.
        waiters: bool,
    },
    /// There is mail.
    Mail,
}

/// How a push treats senders that already wait for room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Behind them: refused as full while anyone waits.
    Newcomer,
    /// The first of them: only the bound counts.
    Waiter,
}

/// See the module.
// The words of the consumer first, those of the producers last.
#[repr(C)]
pub(crate) struct Queue<T> {
    head: Head,
    /// Written by the first producer (null to block) and by the consumer.
    head_block: AtomicPtr<Block<T>>,
    /// Slots that were jumped over by [`Queue::trim`] and never held a message.
    skipped: AtomicUsize,
    /// Up to so many messages, counted from the first, there was room at some time: a lower bound.
    limit: AtomicUsize,
    /// A block that the consumer has emptied, for the next producer that needs one: their threads
    /// would fight over the allocator's locks.
    spare: AtomicPtr<Block<T>>,
    tail_block: AtomicPtr<Block<T>>,
    /// Position of the next free slot times [`STEP`], and the flags.
    tail: AtomicUsize,
}

// SAFETY: the queue moves values of T between threads and never shares a reference to one.
unsafe impl<T: Send> Send for Queue<T> {}
// SAFETY: as above; slots are accessed by one claimer, then by the holder of the head's lock.
unsafe impl<T: Send> Sync for Queue<T> {}

/// Messages pushed before `position`: every lap has one position that is not a slot.
#[inline(always)]
fn count(position: usize) -> usize {
    position - position / LAP
}

impl<T> Queue<T> {
    /// An empty queue; see [`Head::new`] about `biased`.
    pub(crate) fn new(biased: bool) -> Self {
        Self {
            head: Head::new(biased),
            head_block: AtomicPtr::new(ptr::null_mut()),
            skipped: AtomicUsize::new(0),
            limit: AtomicUsize::new(0),
            spare: AtomicPtr::new(ptr::null_mut()),
            tail_block: AtomicPtr::new(ptr::null_mut()),
            tail: AtomicUsize::new(0),
        }
    }

    /// A queue that accepts nothing yet, and whose consumer takes no notice of it before the first
    /// push has woken it.
    pub(crate) fn closed_and_parked() -> Self {
        let queue = Self::new(false);
        queue.tail.store(CLOSED | PARKED, Ordering::Relaxed);
        queue
    }

    /// Appends `message` unless `len_max` messages are queued, others wait, or the queue is closed.
    #[inline(always)]
    pub(crate) fn push(
        &self,
        message: T,
        len_max: usize,
        turn: Turn,
    ) -> Result<Pushed, Refused<T>> {
        match self.reserve(len_max, turn) {
            Ok(reserved) => Ok(reserved.fill(message)),
            Err(refused) => Err(refused.with(message)),
        }
    }

    /// Claims the next slot, unless `len_max` messages are queued, others wait, or the queue is
    /// closed. It must be filled at once: the consumer waits for it.
    ///
    /// Two steps, so that a message is moved once, from where it is into its slot.
    #[inline(always)]
    pub(crate) fn reserve(
        &self,
        len_max: usize,
        turn: Turn,
    ) -> Result<Reserved<'_, T>, Refused<()>> {
        let mut spare: Option<Box<Block<T>>> = None;
        // Acquire: whoever reads a position of a new lap must see the block installed before it.
        let mut tail = self.tail.load(Ordering::Acquire);
        loop {
            if tail & (CLOSED | WAITERS) != 0 {
                if tail & CLOSED != 0 {
                    return Err(Refused::Closed(()));
                }
                if turn == Turn::Newcomer {
                    return Err(Refused::Full(()));
                }
            }
            let position = tail / STEP;
            let offset = position % LAP;
            // Relaxed: an old limit is a lower one, and slots are never used twice, so no memory
            // depends on it.
            if offset == BLOCK_LEN || count(position) >= self.limit.load(Ordering::Relaxed) {
                match self.look_again(tail, len_max) {
                    Some(fresh) => {
                        tail = fresh;
                        continue;
                    }
                    None if offset == BLOCK_LEN => unreachable!("invariant: looked at again"),
                    None => return Err(Refused::Full(())),
                }
            }
            let block = self.tail_block.load(Ordering::Acquire);
            if block.is_null() {
                self.install_first(spare.take().unwrap_or_else(Block::boxed));
                // Read both again, tail first: the block now there may belong to a later position.
                tail = self.tail.load(Ordering::Acquire);
                continue;
            }
            if offset + 1 == BLOCK_LEN && spare.is_none() {
                spare = Some(self.take_spare().unwrap_or_else(Block::boxed));
            }
            // AcqRel: releases nothing of ours but keeps the flags' history in order, and acquires
            // the block pointer that belongs to this position.
            match self.tail.compare_exchange_weak(
                tail,
                (tail + STEP) & !PARKED,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => {
                    if offset + 1 == BLOCK_LEN {
                        let next = spare.take().expect("invariant: allocated before the claim");
                        self.install_next(block, next);
                    }
                    // SAFETY: the block lives until its consumer has seen `ready` of every slot, and
                    // this one is ours to write.
                    let slot = unsafe { &(*block).slots[offset] };
                    return Ok(Reserved { slot, wake: tail & PARKED != 0 });
                }
                Err(_) => {
                    // Not for a waiter: whoever admits it holds the line.
                    #[cfg(not(loom))]
                    if turn == Turn::Newcomer {
                        crate::pool::contention::give_way(self.address());
                    }
                    tail = self.tail.load(Ordering::Acquire);
                }
            }
        }
    }

    /// Tells one queue from another while both exist.
    pub(crate) fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    /// The tail to go on with when the position in `tail` is no slot or lies beyond the known
    /// limit; `None` when the queue is full.
    #[cold]
    fn look_again(&self, tail: usize, len_max: usize) -> Option<usize> {
        let position = tail / STEP;
        if position % LAP == BLOCK_LEN {
            pause();
            return Some(self.tail.load(Ordering::Acquire));
        }
        // Acquire pairs with the consumer's Release: room that we see was really vacated.
        let popped = count(self.head.position());
        let limit = popped.saturating_add(len_max);
        if count(position) < limit {
            // Another producer may store an older limit after this one: it is then looked up again.
            self.limit.store(limit, Ordering::Relaxed);
            return Some(tail);
        }
        // The head may be newer than `tail`; judge again from one that is not stale.
        let fresh = self.tail.load(Ordering::Acquire);
        (fresh != tail).then_some(fresh)
    }

    fn take_spare(&self) -> Option<Box<Block<T>>> {
        if self.spare.load(Ordering::Relaxed).is_null() {
            return None;
        }
        // Acquire: its flags were reset before it was put there.
        let spare = self.spare.swap(ptr::null_mut(), Ordering::Acquire);
        // SAFETY: put there by `keep_spare`, which gave it away, and taken once.
        (!spare.is_null()).then(|| unsafe { Box::from_raw(spare) })
    }

    /// Keeps an empty block for the next producer, unless there is one.
    fn keep_spare(&self, mut block: Box<Block<T>>) {
        if self.spare.load(Ordering::Relaxed).is_null() {
            block.reset();
            // Nobody else puts one there: we have the head, and producers only take.
            self.spare.store(Box::into_raw(block), Ordering::Release);
        }
    }

    /// Gives a queue without a block its first one, unless another producer is quicker.
    fn install_first(&self, fresh: Box<Block<T>>) {
        let fresh = Box::into_raw(fresh);
        match self.tail_block.compare_exchange(
            ptr::null_mut(),
            fresh,
            Ordering::AcqRel,
            Ordering::Acquire,
        ) {
            Ok(_) => {
                // Release: the consumer that reads this pointer sees an initialised block.
                self.head_block.store(fresh, Ordering::Release);
            }
            Err(_) => {
                // SAFETY: nobody else has seen `fresh`.
                drop(unsafe { Box::from_raw(fresh) });
            }
        }
    }

    /// Publishes the block after `block`; the caller holds its last slot, so it is the only one.
    fn install_next(&self, block: *mut Block<T>, next: Box<Block<T>>) {
        let next = Box::into_raw(next);
        // SAFETY: `block` lives until the consumer has read all its slots, ours included, and ours
        // is not written yet.
        unsafe { &*block }.next.store(next, Ordering::Release);
        self.tail_block.store(next, Ordering::Release);
        // An addition, not a store: the consumer may set or clear flags meanwhile.
        self.tail.fetch_add(STEP, Ordering::Release);
    }

    /// Takes the oldest message, for anybody but the holder of the turn.
    pub(crate) fn evict(&self) -> Popped<T> {
        popped(self.claim_by(self.head.share(), || true))
    }

    /// Takes the oldest message, for the holder of the turn.
    pub(crate) fn pop(&self) -> Popped<T> {
        popped(self.claim(|| true))
    }

    /// Finds the oldest message, if `allowed` holds once the head is ours: for the holder of the turn.
    ///
    /// An incarnation that was fenced and comes back must not take mail of its successor. Whoever
    /// gets a claim takes the message at once: others wait for the head meanwhile.
    // In two steps, so that the message is moved once, from its slot to the handler.
    #[inline(always)]
    pub(crate) fn claim(&self, allowed: impl FnOnce() -> bool) -> Result<Claimed<'_, T>, Nothing> {
        self.claim_by(self.head.own(), allowed)
    }

    #[inline(always)]
    fn claim_by(
        &self,
        access: Access,
        allowed: impl FnOnce() -> bool,
    ) -> Result<Claimed<'_, T>, Nothing> {
        let position = access.position;
        if !allowed() {
            self.head.leave(&access, position);
            return Err(Nothing::Fenced);
        }
        let block = self.head_block.load(Ordering::Acquire);
        if !block.is_null() {
            // SAFETY: the head's block is freed only by leave_block and trim, with the access we have.
            let slot = unsafe { &(*block).slots[position % LAP] };
            if slot.ready.load(Ordering::Acquire) {
                return Ok(Claimed { queue: self, block, access });
            }
        }
        self.head.leave(&access, position);
        Err(self.why_nothing(position))
    }

    /// From now on others than the holder of the turn may pop without asking it: its turn was fenced.
    pub(crate) fn revoke_bias(&self) {
        self.head.revoke();
    }

    /// Why there was no message at `position`.
    fn why_nothing(&self, position: usize) -> Nothing {
        for _ in 0..SPINS {
            if count(self.tail.load(Ordering::Acquire) / STEP) == count(position) {
                return Nothing::Empty;
            }
            // Claimed and not yet written: a matter of nanoseconds, unless its producer lost its
            // core. Whether it is there now is seen by the next pop.
            pause();
        }
        Nothing::Writing
    }

    /// Frees a block whose last message was read.
    fn leave_block(&self, block: *mut Block<T>) {
        // SAFETY: as in pop. The producer of the last slot installs the next block before it writes
        // that slot, so `next` is there.
        let next = unsafe { &*block }.next.load(Ordering::Acquire);
        self.head_block.store(next, Ordering::Release);
        // SAFETY: all slots were read, so all their producers have made their last access.
        self.keep_spare(unsafe { Box::from_raw(block) });
    }

    /// Whether the consumer sleeps, nothing is queued, and the next message would be.
    #[inline]
    pub(crate) fn is_parked_open(&self) -> bool {
        self.tail.load(Ordering::Acquire) & FLAGS == PARKED
    }

    /// Marks the consumer as sleeping if the queue is empty. For the one whose turn it is.
    ///
    /// A push after the exchange finds the flag; one before it makes the exchange fail.
    pub(crate) fn park(&self) -> Parked {
        let tail = self.tail.load(Ordering::Acquire);
        if tail & PARKED != 0 {
            // Nothing was pushed since.
            return Parked::Asleep { waiters: tail & WAITERS != 0 };
        }
        let head = self.head.position();
        let parked = count(tail / STEP) == count(head)
            && self
                .tail
                .compare_exchange(tail, tail | PARKED, Ordering::AcqRel, Ordering::Acquire)
                .is_ok();
        if parked { Parked::Asleep { waiters: tail & WAITERS != 0 } } else { Parked::Mail }
    }

    /// Gives the block of an empty queue back to the allocator; false when there is mail. For the
    /// holder of the turn.
    ///
    /// It takes the way of a producer that installs a block: it moves the tail to the position that
    /// is no slot, exchanges the block (for none), and moves on.
    pub(crate) fn trim(&self) -> bool {
        let access = self.head.own();
        let (at, trimmed) = self.trim_at(access.position);
        self.head.leave(&access, at);
        trimmed
    }

    fn trim_at(&self, head: usize) -> (usize, bool) {
        let tail = self.tail.load(Ordering::Acquire);
        let position = tail / STEP;
        let offset = position % LAP;
        if count(position) != count(head) || offset == BLOCK_LEN {
            return (head, false);
        }
        drop(self.take_spare());
        let block = self.head_block.load(Ordering::Acquire);
        if block.is_null() {
            // No block, or its first producer is about to write.
            return (head, true);
        }
        let installing = ((position - offset + BLOCK_LEN) * STEP) | (tail & FLAGS);
        if self
            .tail
            .compare_exchange(tail, installing, Ordering::AcqRel, Ordering::Acquire)
            .is_err()
        {
            return (head, false);
        }
        self.head_block.store(ptr::null_mut(), Ordering::Release);
        self.tail_block.store(ptr::null_mut(), Ordering::Release);
        // The skipped positions were never messages: the counts of head and tail both jump.
        let skipped = self.skipped.load(Ordering::Relaxed);
        self.skipped.store(skipped + BLOCK_LEN - offset, Ordering::Relaxed);
        self.tail.fetch_add(STEP, Ordering::Release);
        // SAFETY: every claimed slot was read (the queue was empty at the exchange), and no producer
        // can claim another one of this block: its position is gone.
        drop(unsafe { Box::from_raw(block) });
        (position - offset + LAP, true)
    }

    /// Refuses every later push.
    pub(crate) fn close(&self) {
        self.tail.fetch_or(CLOSED, Ordering::AcqRel);
    }

    /// Accepts pushes again.
    pub(crate) fn open(&self) {
        self.tail.fetch_and(!CLOSED, Ordering::AcqRel);
    }

    /// Says whether senders wait for room.
    ///
    /// A read-modify-write, like the consumer's park: whichever is second sees the other.
    pub(crate) fn mark_waiters(&self, waiting: bool) {
        if waiting {
            self.tail.fetch_or(WAITERS, Ordering::AcqRel);
        } else {
            self.tail.fetch_and(!WAITERS, Ordering::AcqRel);
        }
    }

    /// Whether senders wait for room.
    pub(crate) fn has_waiters(&self) -> bool {
        self.tail.load(Ordering::Relaxed) & WAITERS != 0
    }

    /// Messages in the queue.
    pub(crate) fn len(&self) -> usize {
        let popped = count(self.head.position());
        count(self.tail.load(Ordering::Acquire) / STEP).saturating_sub(popped)
    }

    /// Messages ever pushed, and ever popped. Exact while nobody trims.
    pub(crate) fn totals(&self) -> (u64, u64) {
        // The head first: what was popped was pushed before.
        let popped = count(self.head.position());
        let pushed = count(self.tail.load(Ordering::Acquire) / STEP);
        let skipped = self.skipped.load(Ordering::Relaxed);
        (pushed.saturating_sub(skipped) as u64, popped.saturating_sub(skipped) as u64)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.tail.load(Ordering::Acquire) & CLOSED != 0
    }

    /// As [`Queue::is_closed`], in one order with closes and opens by others.
    pub(crate) fn is_closed_in_order(&self) -> bool {
        self.tail.fetch_or(0, Ordering::AcqRel) & CLOSED != 0
    }

    /// Whether it owns memory.
    pub(crate) fn is_used(&self) -> bool {
        !self.tail_block.load(Ordering::Relaxed).is_null()
    }
}

fn popped<T>(claimed: Result<Claimed<'_, T>, Nothing>) -> Popped<T> {
    match claimed {
        Ok(claimed) => Popped::Message(claimed.take().0),
        Err(Nothing::Writing) => Popped::Writing,
        Err(Nothing::Empty | Nothing::Fenced) => Popped::Empty,
    }
}

impl<T> Drop for Queue<T> {
    fn drop(&mut self) {
        while let Popped::Message(message) = self.pop() {
            drop(message);
        }
        drop(self.take_spare());
        let block = self.head_block.load(Ordering::Acquire);
        if !block.is_null() {
            // SAFETY: exclusive access; all messages were taken out above.
            drop(unsafe { Box::from_raw(block) });
        }
    }
}

impl<T> std::fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue")
            .field("len", &self.len())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
