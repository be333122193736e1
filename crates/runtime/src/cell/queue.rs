//! A queue of many producers and one consumer at a time: one atomic read-modify-write per push.
//!
//! Messages stand inline in blocks of [`BLOCK_LEN`] slots; an empty queue that was never used, or
//! was trimmed, owns no block. The tail word carries three flags beside the position, so that the
//! single compare-and-swap that claims a slot also
//! - checks the bound (position minus what was popped),
//! - learns whether the queue is closed or others wait for room,
//! - takes the *parked* flag: exactly one producer sees the change from empty to non-empty.
//!
//! The consumer side is a mutex over the head. It is not on the send path; it makes every pop
//! exclusive whoever calls it: the cell's current incarnation, a sender that evicts the oldest
//! message, or an incarnation that was fenced and comes back late.
#![expect(unsafe_code, reason = "slots are written by their claimer and read once by the consumer")]

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;

use std::mem::MaybeUninit;
use std::ptr;

use crate::sync::{
    AtomicBool, AtomicPtr, AtomicUsize, Mutex, Ordering, UnsafeCell, lock, spin_loop,
};

/// Positions per block; the last one is not a slot but means "the next block is being installed".
#[cfg(not(loom))]
const LAP: usize = 32;
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
/// One position.
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

/// What a pop found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Popped<T> {
    Message {
        message: T,
        /// Senders wait for the room that this pop made.
        waiters: bool,
    },
    Empty,
    /// A producer has claimed the next slot and not yet written it: come back soon.
    Writing,
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

/// Consumer's side.
struct Head {
    /// Position of the next message, as in the tail word without flags.
    position: usize,
    /// Slots that were jumped over by [`Queue::trim`] and never held a message.
    skipped: usize,
}

/// See the module.
pub(crate) struct Queue<T> {
    /// Position of the next free slot times [`STEP`], and the flags.
    tail: AtomicUsize,
    tail_block: AtomicPtr<Block<T>>,
    head: Mutex<Head>,
    /// Written by the first producer (null to block) and by the consumer.
    head_block: AtomicPtr<Block<T>>,
    /// Messages popped so far: what producers compare the bound with.
    popped: AtomicUsize,
}

// SAFETY: the queue moves values of T between threads and never shares a reference to one.
unsafe impl<T: Send> Send for Queue<T> {}
// SAFETY: as above; slots are accessed by one claimer, then by the holder of the head's lock.
unsafe impl<T: Send> Sync for Queue<T> {}

/// Messages pushed before `position`: every lap has one position that is not a slot.
fn count(position: usize) -> usize {
    position - position / LAP
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self {
            tail: AtomicUsize::new(0),
            tail_block: AtomicPtr::new(ptr::null_mut()),
            head: Mutex::new(Head { position: 0, skipped: 0 }),
            head_block: AtomicPtr::new(ptr::null_mut()),
            popped: AtomicUsize::new(0),
        }
    }

    /// Appends `message` unless `len_max` messages are queued, others wait, or the queue is closed.
    pub(crate) fn push(
        &self,
        message: T,
        len_max: usize,
        turn: Turn,
    ) -> Result<Pushed, Refused<T>> {
        let mut spare: Option<Box<Block<T>>> = None;
        // Acquire: whoever reads a position of a new lap must see the block installed before it.
        let mut tail = self.tail.load(Ordering::Acquire);
        loop {
            if tail & CLOSED != 0 {
                return Err(Refused::Closed(message));
            }
            if tail & WAITERS != 0 && turn == Turn::Newcomer {
                return Err(Refused::Full(message));
            }
            let position = tail / STEP;
            let offset = position % LAP;
            if offset == BLOCK_LEN {
                pause();
                tail = self.tail.load(Ordering::Acquire);
                continue;
            }
            // Acquire pairs with the consumer's Release: room that we see was really vacated.
            if count(position).wrapping_sub(self.popped.load(Ordering::Acquire)) >= len_max {
                // `popped` may be newer than `tail`; judge again from one that is not stale.
                let fresh = self.tail.load(Ordering::Acquire);
                if fresh == tail {
                    return Err(Refused::Full(message));
                }
                tail = fresh;
                continue;
            }
            let block = self.tail_block.load(Ordering::Acquire);
            if block.is_null() {
                self.install_first(spare.take().unwrap_or_else(Block::boxed));
                // Read both again, tail first: the block now there may belong to a later position.
                tail = self.tail.load(Ordering::Acquire);
                continue;
            }
            if offset + 1 == BLOCK_LEN && spare.is_none() {
                spare = Some(Block::boxed());
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
                    self.write(block, offset, message);
                    return Ok(Pushed { wake: tail & PARKED != 0 });
                }
                Err(found) => tail = found,
            }
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

    fn write(&self, block: *mut Block<T>, offset: usize, message: T) {
        // SAFETY: the compare-and-swap gave us this slot alone; the block lives until the consumer
        // has seen `ready` of every slot.
        let slot = unsafe { &(*block).slots[offset] };
        slot.value.with_mut(|value| {
            // SAFETY: as above: no other reference to the slot exists before `ready`.
            unsafe { value.write(MaybeUninit::new(message)) };
        });
        slot.ready.store(true, Ordering::Release);
    }

    /// Takes the oldest message.
    pub(crate) fn pop(&self) -> Popped<T> {
        let mut head = lock(&self.head);
        self.pop_locked(&mut head)
    }

    /// Takes the oldest message if `allowed` still holds under the head's lock.
    ///
    /// An incarnation that was fenced and comes back must not take mail of its successor.
    pub(crate) fn pop_if(&self, allowed: impl FnOnce() -> bool) -> Option<Popped<T>> {
        let mut head = lock(&self.head);
        allowed().then(|| self.pop_locked(&mut head))
    }

    fn pop_locked(&self, head: &mut Head) -> Popped<T> {
        let tail = self.tail.load(Ordering::Acquire);
        let popped = count(head.position);
        if count(tail / STEP) == popped {
            return Popped::Empty;
        }
        let block = self.head_block.load(Ordering::Acquire);
        if block.is_null() {
            return Popped::Writing; // the first producer is between its two stores
        }
        let offset = head.position % LAP;
        // SAFETY: the head's block is freed only below, under the head's lock, which we hold.
        let slot = unsafe { &(*block).slots[offset] };
        if !is_ready(slot) {
            return Popped::Writing;
        }
        let message = slot.value.with_mut(|value| {
            // SAFETY: `ready` was set after the value was written, and the head moves on below, so
            // it is read once.
            unsafe { (*value).assume_init_read() }
        });
        head.position += 1;
        if offset + 1 == BLOCK_LEN {
            self.leave_block(head, block);
        }
        self.popped.store(popped + 1, Ordering::Release);
        Popped::Message { message, waiters: tail & WAITERS != 0 }
    }

    /// Frees a block whose last message was read.
    fn leave_block(&self, head: &mut Head, block: *mut Block<T>) {
        // SAFETY: as in pop. The producer of the last slot installs the next block before it writes
        // that slot, so `next` is there.
        let next = unsafe { &*block }.next.load(Ordering::Acquire);
        self.head_block.store(next, Ordering::Release);
        head.position += 1;
        // SAFETY: all slots were read, so all their producers have made their last access.
        drop(unsafe { Box::from_raw(block) });
    }

    /// Marks the consumer as sleeping if the queue is empty.
    ///
    /// A sender that waits for room announces itself by a read-modify-write of the tail and then
    /// looks for room; we free room and then exchange the tail. So whichever exchange is second
    /// sees the other side: either we report the waiter here or it finds the room by itself.
    pub(crate) fn park(&self) -> Parked {
        let head = lock(&self.head);
        let tail = self.tail.load(Ordering::Acquire);
        let empty = count(tail / STEP) == count(head.position);
        let swap = |from, to| {
            self.tail.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
        };
        if empty && swap(tail, tail | PARKED) {
            Parked::Asleep { waiters: tail & WAITERS != 0 }
        } else {
            Parked::Mail
        }
    }

    /// Gives the block of an empty queue back to the allocator; false when there is mail.
    ///
    /// It takes the way of a producer that installs a block: it moves the tail to the position that
    /// is no slot, exchanges the block (for none), and moves on.
    pub(crate) fn trim(&self) -> bool {
        let mut head = lock(&self.head);
        let tail = self.tail.load(Ordering::Acquire);
        let position = tail / STEP;
        let offset = position % LAP;
        if count(position) != count(head.position) || offset == BLOCK_LEN {
            return false;
        }
        let block = self.head_block.load(Ordering::Acquire);
        if block.is_null() {
            return true;
        }
        let installing = ((position - offset + BLOCK_LEN) * STEP) | (tail & FLAGS);
        if self
            .tail
            .compare_exchange(tail, installing, Ordering::AcqRel, Ordering::Acquire)
            .is_err()
        {
            return false;
        }
        self.head_block.store(ptr::null_mut(), Ordering::Release);
        self.tail_block.store(ptr::null_mut(), Ordering::Release);
        // The skipped positions were never messages: `popped` and the count of the tail both jump.
        head.skipped += BLOCK_LEN - offset;
        head.position = position - offset + LAP;
        self.popped.store(count(head.position), Ordering::Release);
        self.tail.fetch_add(STEP, Ordering::Release);
        // SAFETY: every claimed slot was read (the queue was empty at the exchange), and no producer
        // can claim another one of this block: its position is gone.
        drop(unsafe { Box::from_raw(block) });
        true
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
    pub(crate) fn mark_waiters(&self, waiting: bool) {
        if waiting {
            self.tail.fetch_or(WAITERS, Ordering::AcqRel);
        } else {
            self.tail.fetch_and(!WAITERS, Ordering::AcqRel);
        }
    }

    /// Messages in the queue.
    pub(crate) fn len(&self) -> usize {
        let popped = self.popped.load(Ordering::Acquire);
        count(self.tail.load(Ordering::Acquire) / STEP).saturating_sub(popped)
    }

    /// Messages ever pushed, and ever popped, in one consistent look.
    pub(crate) fn totals(&self) -> (u64, u64) {
        let head = lock(&self.head);
        let pushed = count(self.tail.load(Ordering::Acquire) / STEP) - head.skipped;
        let popped = count(head.position) - head.skipped;
        (pushed as u64, popped as u64)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.tail.load(Ordering::Acquire) & CLOSED != 0
    }
}

fn is_ready<T>(slot: &Slot<T>) -> bool {
    for _ in 0..SPINS {
        if slot.ready.load(Ordering::Acquire) {
            return true;
        }
        pause();
    }
    slot.ready.load(Ordering::Acquire)
}

fn pause() {
    #[cfg(loom)]
    loom::thread::yield_now();
    spin_loop();
}

impl<T> Drop for Queue<T> {
    fn drop(&mut self) {
        while let Popped::Message { message, .. } = self.pop() {
            drop(message);
        }
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
