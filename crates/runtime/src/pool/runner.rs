//! A runner as a future: gives turns until there is nothing to do, then sleeps.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::task::coop;
use tokio::time::Instant;

use super::local::{Local, Runner};
use super::seat::{self, Place};
use super::{Pool, pace};
use crate::cell::dispatch::Runnable;

/// How long a runner gives turns before it lets tokio's other jobs have the worker.
// tokio looks at its timers every 61 polls when all workers are busy: 61 × 50 µs = 3 ms late at most.
const SLICE: Duration = Duration::from_micros(50);
/// As [`SLICE`], while another worker is free to do those jobs. What a handler has just woken waits
/// for us all the same: tokio keeps it in a place of this worker that no other looks into.
const SLICE_MAX: Duration = Duration::from_micros(250);
/// Turns after which it does so in any case: where time is virtual, it does not pass by itself.
const TURNS_MAX: u32 = 4_096;
/// So many messages and turns after a look at the clock, the next turn is measured: two looks cost
/// some 50 ns.
const UNTIL_LOOK: u32 = 64;
/// Every so many turns a runner looks for work from outside.
const TURNS_PER_GLANCE: u32 = 8;

/// See the module.
pub(crate) struct RunnerJob {
    pool: Arc<Pool>,
    runner: Arc<Runner>,
    place: Option<Box<Place>>,
}

impl RunnerJob {
    pub(super) fn new(pool: Arc<Pool>, local: Local) -> Self {
        let runner = local.runner.clone();
        let place =
            Box::new(Place { seat: runner.seat.clone(), pool: pool.address(), local: Some(local) });
        Self { pool, runner, place: Some(place) }
    }
}

impl Drop for RunnerJob {
    fn drop(&mut self) {
        self.pool.runner_ends();
    }
}

impl Future for RunnerJob {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { pool, runner, place } = self.get_mut();
        let slice = Slice { pool, runner };
        // tokio's budget would suspend every cell of a runner once one of them had spent it.
        let mut turns = coop::unconstrained(poll_fn(|cx| seat::sit(place, || slice.run(cx))));
        let polled = Pin::new(&mut turns).poll(cx);
        if runner.is_asleep() {
            spend_budget();
        }
        polled
    }
}

/// Spends what is left of tokio's budget for this poll, when the runner rests.
///
/// If a turn has woken a task, tokio then runs that task next, from its queue. It would else run it
/// from the place beside the queue, and after three in a row from there (a sender, this runner, the
/// sender) it wakes another worker for it: sender and runner would go on in parallel, on two cores, at
/// every message.
fn spend_budget() {
    let mut nobody = Context::from_waker(Waker::noop());
    while coop::has_budget_remaining() {
        if pin!(coop::consume_budget()).poll(&mut nobody).is_pending() {
            return;
        }
    }
}

/// One poll of a runner.
struct Slice<'a> {
    pool: &'a Pool,
    runner: &'a Runner,
}

impl Slice<'_> {
    fn run(&self, cx: &mut Context<'_>) -> Poll<()> {
        let begin = now();
        let mut until_look = 0;
        let mut n_postponed = 0;
        let mut is_shared = false;
        for turn in 1..=TURNS_MAX {
            let Some(cell) = self.next(turn) else { return self.sleep(cx) };
            if cell.header().lease.keeps_out() {
                n_postponed += 1;
                if self.postpone(cell) <= n_postponed {
                    break;
                }
                continue;
            }
            n_postponed = 0;
            if until_look > 0 {
                let n_messages = self.give_turn(&cell);
                until_look = u32::saturating_sub(until_look, n_messages + 1);
                if pace::is_pause_due() {
                    break;
                }
                continue;
            }
            until_look = UNTIL_LOOK;
            let before = now();
            let n_messages = self.give_turn(&cell);
            let after = now();
            self.runner.note_cost(after - before);
            pace::note(cell.header(), after - before, n_messages);
            let spent = after - begin;
            if pace::is_pause_due()
                || spent >= SLICE_MAX
                || spent >= SLICE && !self.pool.has_free_worker()
            {
                break;
            }
            // However few wait at any time: there is no end to them.
            if !is_shared && spent >= SLICE && self.runner.is_dear() && self.runner.has_work() {
                is_shared = true;
                self.pool.wake_one();
            }
        }
        if seat::with_place(|place| place.local.as_ref().is_some_and(Local::is_overloaded))
            == Some(true)
        {
            self.pool.wake_one();
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Lets a cell run; how many messages it handled.
    #[inline]
    fn give_turn(&self, cell: &Runnable) -> u32 {
        let budget = pace::budget(cell.header());
        let seated = self.runner.seat.begin(cell.address());
        cell.give(budget);
        drop(seated);
        if self.runner.held.load(Ordering::Relaxed) {
            self.runner.held.store(false, Ordering::Release);
        }
        // Another thread may run it already; then this is a guess.
        budget.saturating_sub(cell.header().budget())
    }

    /// The next cell: one's own (now and then with those from outside), else what others can spare.
    #[inline]
    fn next(&self, turn: u32) -> Option<Runnable> {
        seat::with_place(|place| {
            let local = place.local.as_ref().expect("invariant: a runner's place has its queue");
            if turn.is_multiple_of(TURNS_PER_GLANCE) {
                self.pool.take_from_outside(local);
            }
            local.pop(turn).or_else(|| {
                if self.pool.take_from_outside(local) {
                    local.pop(turn)
                } else {
                    self.pool.steal(local)
                }
            })
        })
        .expect("invariant: a runner is seated while it runs")
    }

    /// Puts a cell that another thread has a lease of behind all others; how many there are.
    #[cold]
    fn postpone(&self, cell: Runnable) -> usize {
        seat::with_place(|place| {
            let local = place.local.as_ref().expect("invariant: a runner's place has its queue");
            local.postpone(cell);
            self.runner.len()
        })
        .expect("invariant: a runner is seated while it runs")
    }

    fn sleep(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.pool.is_closed() {
            return Poll::Ready(());
        }
        if !self.runner.fall_asleep(cx.waker(), || self.pool.has_work_for(self.runner)) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

/// The time by which turns are measured: tokio's, so that where time is virtual nothing depends on how
/// quick the machine is.
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[cfg(all(test, not(loom)))]
mod tests;
