//! An agent that threads of several cores have mail for all the time belongs to one of them for a
//! while: to send from two cores, message by message, costs three times as much as from one.
//!
//! Tasks of the other threads stand back: they yield to the other tasks of their worker until the
//! lease is over. A lease is a matter of speed alone. Whoever does not look at it does no harm.

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;

use std::cell::Cell;
use std::sync::LazyLock;
use std::sync::atomic::AtomicU32 as Counter;

use tokio::time::Instant;

use super::pace;
use super::runner::now;
use crate::sync::{AtomicU32, Ordering};

/// How long a lease is, in microseconds: as long as some thousand messages take, so that the change of
/// hands, of some microseconds, does not count; a task that stands back is that late at most.
const LEASE_US: u32 = 200;
/// Threads that handle less meet by chance.
const MESSAGES_PER_US: u64 = 2;
/// A task lets so many leases of others pass.
const LEASES_MAX: u32 = 4;
/// After so many yields a task goes on in any case: where time is virtual it does not pass by itself.
const YIELDS_MAX: u32 = 4_096;
/// Of the word, the thread; the rest is the time when its lease began.
const THREAD: u32 = 0xff;
const TIME: u32 = u32::MAX >> 8;

/// Who has the agent, and since when: 0 before threads met there.
#[derive(Debug)]
pub(crate) struct Lease(AtomicU32);

impl Lease {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// This thread meets another one here all the time: it takes the lease, unless one runs.
    #[cold]
    pub(crate) fn contest(&self) {
        let (word, now) = (self.word(), time());
        if word == 0 || is_over(word, now) {
            self.change(word, now << 8 | me());
        }
    }

    fn word(&self) -> u32 {
        // Relaxed here and elsewhere: no memory depends on who has the lease.
        self.0.load(Ordering::Relaxed)
    }

    /// Fails when another thread has changed it.
    fn change(&self, from: u32, to: u32) {
        _ = self.0.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Whether a lease of another thread runs, or has run out and was not taken.
    #[inline]
    pub(crate) fn is_foreign(&self) -> bool {
        let word = self.word();
        word != 0 && word & THREAD != me()
    }

    /// Whether a lease of another thread runs.
    #[inline]
    pub(crate) fn keeps_out(&self) -> bool {
        self.is_foreign() && !is_over(self.word(), time())
    }

    /// Waits for the end of a lease of another thread, or long enough. Afterwards this thread has the
    /// lease if it was worth it: if the agent, of which `n_handled` tells the messages, was busy.
    #[cold]
    pub(crate) async fn stand_back(&self, n_handled: impl Fn() -> u64) {
        let mut yields_left = YIELDS_MAX;
        for _ in 0..LEASES_MAX {
            // Looked at once: its place in memory is with the thread that has the agent.
            let (word, begin) = (self.word(), time());
            if word == 0 || word & THREAD == me() {
                return;
            }
            if is_over(word, begin) {
                // Nobody has waited for its end.
                return self.change(word, 0);
            }
            let n_before = n_handled();
            while !is_over(word, time()) && yields_left > 0 {
                yields_left -= 1;
                // tokio's own `yield_now` would leave the worker's queue empty meanwhile, and the worker
                // would take tasks from the one that has the agent.
                pace::go_to_the_end().await;
            }
            let now = time();
            let is_busy = is_worth_it(n_handled().wrapping_sub(n_before), now.wrapping_sub(begin));
            self.change(word, if is_busy { now << 8 | me() } else { 0 });
        }
    }
}

/// Whether an agent that handles so many messages in so many microseconds is better left to one
/// thread.
fn is_worth_it(n_handled: u64, us: u32) -> bool {
    n_handled >= MESSAGES_PER_US * u64::from(us & TIME)
}

fn is_over(word: u32, now: u32) -> bool {
    now.wrapping_sub(word >> 8) & TIME >= LEASE_US
}

/// Microseconds since some moment, modulo 16 s.
fn time() -> u32 {
    static EPOCH: LazyLock<Instant> = LazyLock::new(now);
    let us = now().duration_since(*EPOCH).as_micros();
    u32::try_from(us & u128::from(TIME)).expect("invariant: masked")
}

/// The number of this thread. Two that share one stand back for each other no longer, that is all.
#[inline]
fn me() -> u32 {
    thread_local! {
        static ME: Cell<u32> = const { Cell::new(0) };
    }
    #[cold]
    fn number() -> u32 {
        static LAST: Counter = Counter::new(0);
        let me = LAST.fetch_add(1, Ordering::Relaxed) % THREAD + 1;
        ME.set(me);
        me
    }
    match ME.get() {
        0 => number(),
        me => me,
    }
}
