//! What a thread does that meets another one at the same agent: it lets that one go on for a while.
//!
//! Threads of two cores that take an agent and its mail from each other at every message spend ten
//! times as long with that as with the messages. A thread that meets another one by chance waits for
//! a microsecond. Where they do so all the time, tasks take a [`Lease`](super::lease::Lease), and
//! others, which have nothing to yield to, wait for longer.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

use super::runner::now;

/// Threads that met so lately meet all the time.
const LATELY: Duration = Duration::from_micros(100);
/// How long one that meets another by chance waits, and one that does so all the time.
const WAIT: [Duration; 2] = [Duration::from_micros(1), Duration::from_micros(20)];
/// Where time is virtual it does not pass by itself.
const PAUSES_MAX: u32 = 2_048;

thread_local! {
    // When this thread met another one last, at whatever agent.
    static LAST: Cell<Option<Instant>> = const { Cell::new(None) };
    // The queue where it did, until somebody asks.
    static MET_AT: Cell<usize> = const { Cell::new(0) };
}

/// Lets the other thread go on, which was met at the queue of this address.
#[cold]
pub(crate) fn give_way(queue: usize) {
    let begin = now();
    let is_lately = LAST.get().is_some_and(|last| begin.duration_since(last) < LATELY);
    let wait = WAIT[usize::from(is_lately)];
    for _ in 0..PAUSES_MAX / 16 {
        (0..16).for_each(|_| std::hint::spin_loop());
        if begin.elapsed() >= wait {
            break;
        }
    }
    LAST.set(Some(now()));
    MET_AT.set(queue);
    super::pace::make_account_due();
}

/// Whether this thread has met another one at the queue of this address; told once.
pub(crate) fn has_met_at(queue: usize) -> bool {
    MET_AT.replace(0) == queue
}
