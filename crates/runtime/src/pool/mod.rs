//! The shared pool: a few runners, one per worker of the tokio runtime, that give cells their turns.
//!
//! A send from inside a runner touches no tokio state: the cell goes to the runner's own queue. A
//! runner without work takes from the others before it sleeps. A second runner is woken only when
//! the work that waits is worth the wake, which costs 10 to 40 µs across cores.
//!
//! Reading order: `local` (a runner's queue and what others see of it), `runner` (the loop), `pace`
//! (how long a turn is), `guest` (asks that run on the asker's stack), `contention` and `lease`
//! (threads that meet at one agent), `seat` (who runs what where), `warm` (memory of cells at rest),
//! `solo` (agents with a driver of their own).

pub(crate) mod contention;
mod guest;
pub(crate) mod lease;
mod local;
pub(crate) mod pace;
mod runner;
pub(crate) mod seat;
pub(crate) mod solo;
pub(crate) mod warm;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::{Handle, Id, RuntimeMetrics};
use tokio::time::Instant;

use self::local::{Local, Runner};
pub(crate) use self::runner::RunnerJob;
use self::seat::Seat;
use crate::cell::dispatch::{Dispatch, Runnable};
use crate::cell::stack::Stack;

/// Every so many cells that wait outside, somebody looks how long they have waited.
const CELLS_PER_LOOK: usize = 16;
/// A runner that is awake has fetched them by then, unless a handler or a task holds its thread. Not
/// sooner: a task that only sends is quicker beside a core that comes now and then than beside one that
/// takes each message from it.
const FETCHED_WITHIN: Duration = Duration::from_millis(1);

/// See the module.
pub(crate) struct Pool {
    runners: Box<[Arc<Runner>]>,
    /// Cells that were woken by threads that are no runners.
    outside: Stack<Runnable>,
    /// About how many there are: a hint whether they are worth a second runner.
    n_outside: AtomicUsize,
    /// About when they began to wait, in nanoseconds since the pool was made.
    outside_since_ns: AtomicU64,
    made_at: Instant,
    /// The seats of threads that run cells for those who ask.
    guests: Mutex<Vec<Weak<Seat>>>,
    runtime: Id,
    metrics: RuntimeMetrics,
    closed: AtomicBool,
    /// Runners that are not gone.
    n_running: AtomicUsize,
}

impl Pool {
    /// A pool of `n_runners`, at least one, and the futures that run it; each belongs on a job of
    /// its own, on the runtime of `handle`.
    pub(crate) fn new(n_runners: usize, handle: &Handle) -> (Arc<Self>, Vec<RunnerJob>) {
        let locals: Vec<_> = (0..n_runners.max(1)).map(|_| Local::new()).collect();
        let pool = Arc::new(Self {
            runners: locals.iter().map(|local| local.runner.clone()).collect(),
            outside: Stack::new(),
            n_outside: AtomicUsize::new(0),
            outside_since_ns: AtomicU64::new(0),
            made_at: runner::now(),
            guests: Mutex::default(),
            runtime: handle.id(),
            metrics: handle.metrics(),
            closed: AtomicBool::new(false),
            n_running: AtomicUsize::new(locals.len()),
        });
        let jobs = locals.into_iter().map(|local| RunnerJob::new(pool.clone(), local)).collect();
        (pool, jobs)
    }

    /// Tells pools apart while both exist.
    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// The threads' seats, for the watch over handlers that block.
    pub(crate) fn seats(&self) -> Vec<Arc<Seat>> {
        let guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        let runners = self.runners.iter().map(|runner| runner.seat.clone());
        runners.chain(guests.iter().filter_map(Weak::upgrade)).collect()
    }

    /// Ends the runners once they have nothing to do.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        for runner in &self.runners {
            runner.stay_awake();
            runner.call();
        }
    }

    /// Whether another worker of the runtime is free: it minds the timers and takes what waits, and a
    /// yield would only have it take us over to its core.
    pub(crate) fn has_free_worker(&self) -> bool {
        #[cfg(target_has_atomic = "64")]
        let is_free = |worker| self.metrics.worker_park_unpark_count(worker) % 2 == 1;
        #[cfg(not(target_has_atomic = "64"))]
        let is_free = |_| false;
        (0..self.metrics.num_workers()).any(is_free)
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn wake_one(&self) {
        let asleep = self.runners.iter().filter(|runner| runner.is_asleep());
        for runner in asleep {
            if runner.wake() {
                return;
            }
        }
    }

    /// Notes whose thread has been stuck in one of these turns, and wakes a sleeper if work waits.
    pub(crate) fn relieve(&self, stuck: &[(usize, u64)]) {
        for runner in &self.runners {
            runner.held.store(runner.seat.has_any(stuck), Ordering::Release);
        }
        if !self.outside.is_empty() || self.runners.iter().any(|runner| runner.has_work()) {
            self.wake_one();
        }
    }

    /// Moves what was woken from outside to `local`, in order; false when there was nothing.
    fn take_from_outside(&self, local: &Local) -> bool {
        if self.outside.is_empty() {
            return false;
        }
        self.n_outside.store(0, Ordering::Relaxed);
        let mut any = false;
        for cell in self.outside.take() {
            local.push(cell);
            any = true;
        }
        any
    }

    /// A runner is gone. After the last nobody comes for the cells that were woken from outside: they
    /// hold the system, which holds them.
    fn runner_ends(&self) {
        if self.n_running.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.outside.take().for_each(drop);
        }
    }

    /// What another runner can spare.
    fn steal(&self, thief: &Local) -> Option<Runnable> {
        self.runners
            .iter()
            .filter(|victim| !Arc::ptr_eq(victim, &thief.runner) && victim.is_worth_stealing_from())
            .find_map(|victim| victim.steal_into(thief.queue()))
    }

    fn has_work_for(&self, thief: &Runner) -> bool {
        self.is_closed()
            || !self.outside.is_empty()
            || self.runners.iter().any(|runner| {
                if std::ptr::eq(&raw const **runner, thief) {
                    runner.has_work()
                } else {
                    runner.is_worth_stealing_from()
                }
            })
    }
}

impl Dispatch for Pool {
    #[inline]
    fn dispatch(&self, cell: Runnable) {
        let mut cell = Some(cell);
        let overloaded = seat::with_place(|place| {
            let local = place.local.as_ref().filter(|_| place.pool == self.address())?;
            local.push(cell.take()?);
            Some(local.is_overloaded())
        });
        match (overloaded.flatten(), cell) {
            (Some(true), _) => self.wake_one(),
            (Some(false), _) | (None, None) => {}
            (None, Some(cell)) => self.dispatch_from_outside(cell),
        }
    }
}

impl Pool {
    /// To whoever is awake, so that work stays on one core; else to the first that can be woken.
    fn dispatch_from_outside(&self, cell: Runnable) {
        let n_outside = self.n_outside.load(Ordering::Relaxed) + 1;
        self.n_outside.store(n_outside, Ordering::Relaxed);
        self.outside.push(cell);
        let mut free = self.runners.iter().filter(|runner| !runner.held.load(Ordering::Acquire));
        // A runner that looks awake here either sees the cell before it sleeps, or is seen asleep.
        let awake = free.clone().any(|runner| !runner.is_asleep());
        if !awake || self.is_late(n_outside) || self.is_worth_a_second(n_outside) {
            free.find(|runner| runner.wake());
        }
    }

    /// Whether so many wait outside, for so long, that the runner which is awake seems to be held.
    fn is_late(&self, n_outside: usize) -> bool {
        if !n_outside.is_multiple_of(CELLS_PER_LOOK) {
            return false;
        }
        let now = u64::try_from(self.made_at.elapsed().as_nanos()).unwrap_or(u64::MAX);
        if n_outside == CELLS_PER_LOOK {
            self.outside_since_ns.store(now, Ordering::Relaxed);
        }
        let since = self.outside_since_ns.load(Ordering::Relaxed);
        u128::from(now.saturating_sub(since)) > FETCHED_WITHIN.as_nanos()
    }

    /// So many cells wait outside that one runner would be late for the last of them.
    fn is_worth_a_second(&self, len: usize) -> bool {
        self.runners.first().is_some_and(|runner| runner.is_worth_a_wake(len))
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("runners", &self.runners.len()).finish_non_exhaustive()
    }
}
