//! A runner's own queue of cells: pushed to and popped by its thread, and stolen from by others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use crossbeam_deque::{Steal, Stealer, Worker};

use super::seat::Seat;
use crate::cell::dispatch::Runnable;

/// Queued work beyond which another runner is worth its wake.
const WORTH_A_WAKE: Duration = Duration::from_micros(50);
/// What a turn is taken to cost before it was measured, in nanoseconds.
const TURN_COST_GUESS_NS: u64 = 1_000;

/// The part of a runner that only its thread touches.
pub(crate) struct Local {
    pub(super) runner: Arc<Runner>,
    queue: Worker<Runnable>,
}

/// The part of a runner that the others see.
pub(crate) struct Runner {
    pub(super) seat: Arc<Seat>,
    stealer: Stealer<Runnable>,
    asleep: AtomicBool,
    /// A handler holds its thread: new work goes to others until that turn is over.
    pub(super) held: AtomicBool,
    waker: Mutex<Option<Waker>>,
    /// Running average of a turn's cost, in nanoseconds.
    turn_cost_ns: AtomicU64,
}

impl Local {
    pub(super) fn new() -> Self {
        let queue = Worker::new_fifo();
        let runner = Runner {
            seat: Arc::default(),
            stealer: queue.stealer(),
            asleep: AtomicBool::new(false),
            held: AtomicBool::new(false),
            waker: Mutex::default(),
            turn_cost_ns: AtomicU64::new(TURN_COST_GUESS_NS),
        };
        Self { runner: Arc::new(runner), queue }
    }

    #[inline]
    pub(super) fn push(&self, cell: Runnable) {
        self.queue.push(cell);
    }

    #[inline]
    pub(super) fn pop(&self) -> Option<Runnable> {
        self.queue.pop()
    }

    /// Where others' work goes.
    pub(super) fn queue(&self) -> &Worker<Runnable> {
        &self.queue
    }

    /// What waits here is worth another runner's wake.
    pub(super) fn is_overloaded(&self) -> bool {
        self.runner.is_worth_a_wake(self.queue.len())
    }
}

impl Runner {
    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether others should take from its queue: it has more than is worth keeping on one core, or
    /// it cannot come to it.
    pub(super) fn is_worth_stealing_from(&self) -> bool {
        let len = self.stealer.len();
        len != 0 && (self.held.load(Ordering::Acquire) || self.is_worth_a_wake(len))
    }

    pub(super) fn is_worth_a_wake(&self, len: usize) -> bool {
        let cost = self.turn_cost_ns.load(Ordering::Relaxed);
        let waiting_ns = (len as u64).saturating_mul(cost);
        u128::from(waiting_ns) > WORTH_A_WAKE.as_nanos()
    }

    pub(super) fn has_work(&self) -> bool {
        !self.stealer.is_empty()
    }

    /// Moves half of its queue to `thief` and takes one.
    pub(super) fn steal_into(&self, thief: &Worker<Runnable>) -> Option<Runnable> {
        loop {
            match self.stealer.steal_batch_and_pop(thief) {
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
