//! A runner's own cells: pushed and popped by its thread, and stolen by others.
//!
//! Agents without a supervisor that are to start are taken the youngest first, others in order. So a
//! tree of agents is walked depth first: a branch has ended before the next one needs memory. Thieves
//! take the eldest start, a whole branch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use crossbeam_deque::{Steal, Stealer, Worker};

use super::seat::Seat;
use crate::cell::dispatch::Runnable;
use crate::cell::header::control;

/// Turns that take less cost more on two cores than they save: what they touch goes back and forth.
const DEAR_TURN_NS: u64 = 500;
/// Queued work beyond which another runner is worth its wake, of turns that take at least so long and
/// of others.
const WORTH_A_WAKE: Duration = Duration::from_micros(50);
const CHEAP_WORTH_A_WAKE: Duration = Duration::from_millis(1);
/// Every so many turns one is for a cell that waits in order, before those that are to start.
const TURNS_PER_ELDER: u32 = 8;
/// Every so many turns one is for the agent that has waited longest for its start.
const TURNS_PER_ELDEST: u32 = 64;
/// What a turn is taken to cost before it was measured, in nanoseconds.
const TURN_COST_GUESS_NS: u64 = 1_000;

/// The part of a runner that only its thread touches.
pub(crate) struct Local {
    pub(super) runner: Arc<Runner>,
    queue: Worker<Runnable>,
    fresh: Worker<Runnable>,
}

/// The part of a runner that the others see.
pub(crate) struct Runner {
    pub(super) seat: Arc<Seat>,
    queue: Stealer<Runnable>,
    /// Agents that are to start.
    fresh: Stealer<Runnable>,
    asleep: AtomicBool,
    /// A handler holds its thread: new work goes to others until that turn is over.
    pub(super) held: AtomicBool,
    waker: Mutex<Option<Waker>>,
    /// Running average of a turn's cost, in nanoseconds.
    turn_cost_ns: AtomicU64,
}

impl Local {
    pub(super) fn new() -> Self {
        let (queue, fresh) = (Worker::new_fifo(), Worker::new_lifo());
        let runner = Runner {
            seat: Arc::default(),
            queue: queue.stealer(),
            fresh: fresh.stealer(),
            asleep: AtomicBool::new(false),
            held: AtomicBool::new(false),
            waker: Mutex::default(),
            turn_cost_ns: AtomicU64::new(TURN_COST_GUESS_NS),
        };
        Self { runner: Arc::new(runner), queue, fresh }
    }

    #[inline]
    pub(super) fn push(&self, cell: Runnable) {
        let header = cell.header();
        if header.control() & control::START != 0 && header.owner.is_none() {
            self.fresh.push(cell);
        } else {
            self.queue.push(cell);
        }
    }

    /// As [`Local::push`], behind all that is queued.
    pub(super) fn postpone(&self, cell: Runnable) {
        self.queue.push(cell);
    }

    /// The cell that has the turn of this number.
    #[inline]
    pub(super) fn pop(&self, turn: u32) -> Option<Runnable> {
        if turn.is_multiple_of(TURNS_PER_ELDER) {
            return self.pop_elder(turn);
        }
        self.fresh.pop().or_else(|| self.queue.pop())
    }

    #[cold]
    fn pop_elder(&self, turn: u32) -> Option<Runnable> {
        if turn.is_multiple_of(TURNS_PER_ELDEST)
            && let Steal::Success(cell) = self.runner.fresh.steal()
        {
            return Some(cell);
        }
        self.queue.pop().or_else(|| self.fresh.pop())
    }

    /// Where others' work goes.
    pub(super) fn queue(&self) -> &Worker<Runnable> {
        &self.queue
    }

    /// What waits here is worth another runner's wake.
    pub(super) fn is_overloaded(&self) -> bool {
        self.runner.is_worth_a_wake(self.runner.len())
    }
}

impl Runner {
    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.queue.len() + self.fresh.len()
    }

    /// Whether one that is awake should take from its queue: its turns are worth their way to another
    /// core, or it does not come to them.
    pub(super) fn is_worth_stealing_from(&self) -> bool {
        match self.len() {
            0 => false,
            1 => self.held.load(Ordering::Acquire),
            len => self.held.load(Ordering::Acquire) || self.is_dear() || self.is_worth_a_wake(len),
        }
    }

    /// Whether two cores are quicker than one at its turns.
    pub(super) fn is_dear(&self) -> bool {
        self.turn_cost_ns.load(Ordering::Relaxed) >= DEAR_TURN_NS
    }

    pub(super) fn is_worth_a_wake(&self, len: usize) -> bool {
        is_worth_a_wake(len, self.turn_cost_ns.load(Ordering::Relaxed))
    }

    pub(super) fn has_work(&self) -> bool {
        !self.queue.is_empty() || !self.fresh.is_empty()
    }

    /// Takes its eldest start, else moves half of its queue to `thief` and takes one.
    pub(super) fn steal_into(&self, thief: &Worker<Runnable>) -> Option<Runnable> {
        loop {
            match self.fresh.steal().or_else(|| self.queue.steal_batch_and_pop(thief)) {
                Steal::Success(cell) => return Some(cell),
                Steal::Empty => return None,
                Steal::Retry => {}
            }
        }
    }

    pub(super) fn is_asleep(&self) -> bool {
        self.asleep.load(Ordering::SeqCst)
    }

    /// Wakes it if it sleeps; true when this call did.
    pub(super) fn wake(&self) -> bool {
        // The pair of `fall_asleep`: queue first, then the flag, a full fence between on both sides.
        fence(Ordering::SeqCst);
        if !self.asleep.load(Ordering::Relaxed) || !self.asleep.swap(false, Ordering::AcqRel) {
            return false;
        }
        self.call();
        true
    }

    /// Polls it, asleep or not.
    pub(super) fn call(&self) {
        let waker = self.waker().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Notes that it sleeps from now on, unless there `is_work` after all.
    pub(super) fn fall_asleep(&self, waker: &Waker, is_work: impl FnOnce() -> bool) -> bool {
        *self.waker() = Some(waker.clone());
        // The pair of `wake` and of a push from outside: whoever queued before this is seen by
        // `is_work`, whoever queues after it sees the flag.
        self.asleep.swap(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if is_work() {
            self.asleep.store(false, Ordering::Release);
            return false;
        }
        true
    }

    pub(super) fn stay_awake(&self) {
        self.asleep.store(false, Ordering::Release);
    }

    /// Learns what a turn cost.
    pub(super) fn note_cost(&self, spent: Duration) {
        let spent = u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX);
        let before = self.turn_cost_ns.load(Ordering::Relaxed);
        // A quarter of the new value: follows within a few samples, shrugs off one preemption.
        let after = before - before / 4 + spent / 4;
        self.turn_cost_ns.store(after.max(1), Ordering::Relaxed);
    }
}

fn is_worth_a_wake(len: usize, turn_cost_ns: u64) -> bool {
    let waiting_ns = u128::from(turn_cost_ns) * len as u128;
    let worth = if turn_cost_ns < DEAR_TURN_NS { CHEAP_WORTH_A_WAKE } else { WORTH_A_WAKE };
    waiting_ns > worth.as_nanos()
}

#[cfg(all(test, not(loom)))]
mod tests;
