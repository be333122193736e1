//! The shared pool: a few runners, one per worker of the tokio runtime, that give cells their turns.
//!
//! A send from inside a runner touches no tokio state: the cell goes to the runner's own queue. A
//! runner without work takes from the others before it sleeps. A second runner is woken only when
//! the work that waits is worth the wake, which costs 10 to 40 µs across cores.

pub(crate) mod seat;
pub(crate) mod solo;

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use self::seat::{Place, Seat};
use crate::cell::dispatch::{Dispatch, Runnable, TURN_BUDGET};

/// Turns that a runner gives before it lets tokio's other jobs have the worker.
const TURNS_PER_POLL: u32 = 64;
/// Queued work beyond which another runner is worth its wake.
const WORTH_A_WAKE: Duration = Duration::from_micros(50);
/// Every so many turns a runner looks at the clock: a look costs some 25 ns.
const TURNS_PER_SAMPLE: u32 = 16;
/// What a turn is taken to cost before it was measured, in nanoseconds.
const TURN_COST_GUESS_NS: u64 = 1_000;

/// See the module.
pub(crate) struct Pool {
    runners: Box<[Arc<Runner>]>,
    closed: AtomicBool,
}

/// One runner's part that the others see.
pub(crate) struct Runner {
    seat: Arc<Seat>,
    queue: Mutex<VecDeque<Runnable>>,
    /// Length of the queue, readable without its lock.
    len: AtomicUsize,
    asleep: AtomicBool,
    /// A handler holds its thread: new work goes to others until that turn is over.
    held: AtomicBool,
    waker: Mutex<Option<Waker>>,
    /// Running average of a turn's cost, in nanoseconds.
    turn_cost_ns: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Runner {
    fn new() -> Self {
        Self {
            seat: Arc::default(),
            queue: Mutex::default(),
            len: AtomicUsize::new(0),
            asleep: AtomicBool::new(false),
            held: AtomicBool::new(false),
            waker: Mutex::default(),
            turn_cost_ns: AtomicU64::new(TURN_COST_GUESS_NS),
        }
    }

    fn push(&self, cell: Runnable) {
        let mut queue = lock(&self.queue);
        queue.push_back(cell);
        self.len.store(queue.len(), Ordering::Release);
    }

    fn pop(&self) -> Option<Runnable> {
        if self.len.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut queue = lock(&self.queue);
        let cell = queue.pop_front();
        self.len.store(queue.len(), Ordering::Release);
        cell
    }

    /// Half of what waits here, oldest first.
    fn give(&self) -> VecDeque<Runnable> {
        if self.len.load(Ordering::Acquire) == 0 {
            return VecDeque::new();
        }
        let mut queue = lock(&self.queue);
        let half = queue.len().div_ceil(2);
        let rest = queue.split_off(half);
        let given = std::mem::replace(&mut *queue, rest);
        self.len.store(queue.len(), Ordering::Release);
        given
    }

    /// Wakes it if it sleeps; true when this call did.
    fn wake(&self) -> bool {
        // The pair of `sleep`: queue first, then the flag, with a full fence between on both sides.
        fence(Ordering::SeqCst);
        if !self.asleep.load(Ordering::Relaxed) || !self.asleep.swap(false, Ordering::AcqRel) {
            return false;
        }
        if let Some(waker) = lock(&self.waker).take() {
            waker.wake();
        }
        true
    }

    /// What waits here is worth another runner's wake.
    fn is_overloaded(&self) -> bool {
        let len = self.len.load(Ordering::Acquire) as u64;
        let cost = self.turn_cost_ns.load(Ordering::Relaxed);
        len.saturating_mul(cost) > u64::try_from(WORTH_A_WAKE.as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Pool {
    /// A pool of `n_runners`, at least one.
    pub(crate) fn new(n_runners: usize) -> Arc<Self> {
        let runners = (0..n_runners.max(1)).map(|_| Arc::new(Runner::new())).collect();
        Arc::new(Self { runners, closed: AtomicBool::new(false) })
    }

    /// The futures that run the pool; each belongs on a job of its own.
    pub(crate) fn jobs(self: &Arc<Self>) -> impl Iterator<Item = RunnerJob> {
        self.runners.iter().map(|runner| RunnerJob {
            pool: self.clone(),
            place: Place { seat: runner.seat.clone(), runner: Some(runner.clone()) },
            runner: runner.clone(),
        })
    }

    /// The threads' seats, for the watch over handlers that block.
    pub(crate) fn seats(&self) -> impl Iterator<Item = &Arc<Seat>> {
        self.runners.iter().map(|runner| &runner.seat)
    }

    /// Ends the runners once they have nothing to do.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        for runner in &self.runners {
            runner.asleep.store(false, Ordering::Release);
            if let Some(waker) = lock(&runner.waker).take() {
                waker.wake();
            }
        }
    }

    fn wake_one(&self) {
        for runner in &self.runners {
            if runner.wake() {
                return;
            }
        }
    }

    /// Notes whose thread has been stuck in one of these turns, and wakes a sleeper if work waits.
    pub(crate) fn relieve(&self, stuck: &[(usize, u64)]) {
        for runner in &self.runners {
            let held = runner.seat.current().is_some_and(|turn| stuck.contains(&turn));
            runner.held.store(held, Ordering::Release);
        }
        if self.runners.iter().any(|runner| runner.len.load(Ordering::Acquire) != 0) {
            self.wake_one();
        }
    }

    fn steal(&self, thief: &Arc<Runner>) -> Option<Runnable> {
        for victim in self.runners.iter().filter(|runner| !Arc::ptr_eq(runner, thief)) {
            let mut given = victim.give();
            let Some(first) = given.pop_front() else { continue };
            if !given.is_empty() {
                let mut queue = lock(&thief.queue);
                queue.append(&mut given);
                thief.len.store(queue.len(), Ordering::Release);
            }
            return Some(first);
        }
        None
    }

    fn is_mine(&self, runner: &Arc<Runner>) -> bool {
        self.runners.iter().any(|own| Arc::ptr_eq(own, runner))
    }
}

impl Dispatch for Pool {
    fn dispatch(&self, cell: Runnable) {
        let mut cell = Some(cell);
        let local = seat::with_runner(|runner| {
            if !self.is_mine(runner) {
                return false;
            }
            if let Some(cell) = cell.take() {
                runner.push(cell);
            }
            if runner.is_overloaded() {
                self.wake_one();
            }
            true
        });
        if local == Some(true) {
            return;
        }
        let Some(cell) = cell else { return };
        // From outside: to whoever is awake, so that work stays on one core; else wake the first.
        let free = || self.runners.iter().filter(|runner| !runner.held.load(Ordering::Acquire));
        let awake = free().find(|runner| !runner.asleep.load(Ordering::Acquire));
        let runner = awake.or_else(|| free().next()).unwrap_or(&self.runners[0]);
        runner.push(cell);
        if !runner.wake() && runner.is_overloaded() {
            self.wake_one();
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("runners", &self.runners.len()).finish_non_exhaustive()
    }
}

/// A runner as a future: gives turns until there is nothing to do, then sleeps.
pub(crate) struct RunnerJob {
    pool: Arc<Pool>,
    runner: Arc<Runner>,
    place: Place,
}

impl Future for RunnerJob {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        seat::sit(&self.place, || self.poll_seated(cx))
    }
}

impl RunnerJob {
    fn poll_seated(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut sample = Sample::start();
        for turn in 1..=TURNS_PER_POLL {
            let Some(cell) = self.runner.pop().or_else(|| self.pool.steal(&self.runner)) else {
                return self.sleep(cx);
            };
            let seated = self.runner.seat.begin(cell.address());
            cell.run(TURN_BUDGET);
            drop(seated);
            if self.runner.held.load(Ordering::Relaxed) {
                self.runner.held.store(false, Ordering::Release);
            }
            if turn % TURNS_PER_SAMPLE == 0 {
                sample.note(&self.runner, TURNS_PER_SAMPLE);
            }
        }
        if self.runner.is_overloaded() {
            self.pool.wake_one();
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn sleep(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.pool.closed.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        *lock(&self.runner.waker) = Some(cx.waker().clone());
        self.runner.asleep.store(true, Ordering::Relaxed);
        // The pair of `wake`: whoever queued before this fence is seen below, whoever queues after
        // it sees the flag.
        fence(Ordering::SeqCst);
        if self.pool.runners.iter().any(|runner| runner.len.load(Ordering::Acquire) != 0)
            || self.pool.closed.load(Ordering::Acquire)
        {
            self.runner.asleep.store(false, Ordering::Release);
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

/// Measures what turns cost.
struct Sample {
    since: Instant,
}

impl Sample {
    fn start() -> Self {
        Self { since: now() }
    }

    fn note(&mut self, runner: &Runner, turns: u32) {
        let at = now();
        let spent = at.duration_since(self.since) / turns.max(1);
        self.since = at;
        let spent = u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX);
        let before = runner.turn_cost_ns.load(Ordering::Relaxed);
        // A quarter of the new value: follows within a few samples, shrugs off one preemption.
        let after = before - before / 4 + spent / 4;
        runner.turn_cost_ns.store(after.max(1), Ordering::Relaxed);
    }
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "real cost of turns, not a rule's time")]
    Instant::now()
}
