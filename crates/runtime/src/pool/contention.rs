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
/// So many meetings at one agent in a row are no chance.
const MEETINGS_MAX: u32 = 16;
/// Where time is virtual it does not pass by itself.
const PAUSES_MAX: u32 = 2_048;

thread_local! {
    // When this thread met another one last, at whatever agent.
    static LAST: Cell<Option<Instant>> = const { Cell::new(None) };
    // The queue where it did, and how often in a row.
    static MEETINGS: Cell<(usize, u32)> = const { Cell::new((0, 0)) };
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
    note(queue);
    super::pace::make_account_due();
}

/// Notes that this thread has met another one at the queue of this address.
pub(crate) fn note(queue: usize) {
    let (last, n) = MEETINGS.get();
    MEETINGS.set((queue, if last == queue { n + 1 } else { 1 }));
}

/// Whether this thread meets another one at the queue of this address, and nowhere else; told once.
pub(crate) fn is_constant_at(queue: usize) -> bool {
    let (last, n) = MEETINGS.get();
    let is_constant = last == queue && n >= MEETINGS_MAX;
    if is_constant {
        MEETINGS.set((0, 0));
    }
    is_constant
}
