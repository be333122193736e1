//! How many messages an agent may handle in a row: as many as take some 100 µs, so that an agent
//! with endless mail and slow handlers holds up the others no longer than one with quick ones.

use std::cell::Cell;
use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use super::Pool;
use crate::cell::dispatch::TURN_BUDGET;
use crate::cell::header::Header;

/// Longest that one turn should take, in nanoseconds.
const TURN_NS: u32 = 100_000;
/// A handler that takes longer is not run on the stack of whoever asks: the asker may have better
/// things to do, such as asking others.
const QUICK_NS: u32 = 10_000;
/// Sends are accounted for in lumps: each account costs some 20 ns.
const SENDS_PER_ACCOUNT: u32 = 32;
/// Of the 128 units of tokio's budget.
const UNITS_PER_ACCOUNT: u32 = 8;
/// See [`is_instant`].
const INSTANT_NS: u32 = 500;
/// An agent that runs on askers' stacks is measured every so many asks.
pub(crate) const ASKS_PER_LOOK: u64 = 16;

/// Learns what the messages of a turn cost.
pub(crate) fn note(header: &Header, spent: Duration, n_messages: u32) {
    let spent = u32::try_from(spent.as_nanos()).unwrap_or(u32::MAX);
    let each = spent / n_messages.max(1);
    let before = header.cost_ns.load(Ordering::Relaxed);
    // As a runner's average; the first value stands for itself.
    let after = if before == 0 { each } else { before - before / 4 + each / 4 };
    header.cost_ns.store(after.max(1), Ordering::Relaxed);
}

/// How many messages its next turn may handle.
#[inline]
pub(crate) fn budget(header: &Header) -> u32 {
    budget_of(header, TURN_BUDGET)
}

/// How many messages a turn may handle, `most` if they are quick.
#[inline]
pub(crate) fn budget_of(header: &Header, most: u32) -> u32 {
    match header.cost_ns.load(Ordering::Relaxed) {
        cost if cost <= TURN_NS / most => most,
        cost => (TURN_NS / cost).max(1),
    }
}

/// Whether its handlers are known to be quick.
#[inline]
pub(crate) fn is_quick(header: &Header) -> bool {
    header.cost_ns.load(Ordering::Relaxed) <= QUICK_NS
}

/// Whether its handlers are so quick that an answer is worth a wait of a microsecond, which a sleep
/// and a wake would cost in any case.
#[inline]
pub(crate) fn is_instant(header: &Header) -> bool {
    (1..=INSTANT_NS).contains(&header.cost_ns.load(Ordering::Relaxed))
}

thread_local! {
    // Sends of this thread since the last that was accounted for; of whom does not matter.
    static SENDS: Cell<u32> = const { Cell::new(0) };
}

thread_local! {
    // See `ask_for_pause`.
    static IS_PAUSE_DUE: Cell<bool> = const { Cell::new(false) };
}

/// Has the runner of this thread let tokio's jobs run after this turn: what goes on in the next one
/// has time.
pub(crate) fn ask_for_pause() {
    IS_PAUSE_DUE.set(true);
}

/// Whether a pause was asked for since the last call.
#[inline]
pub(super) fn is_pause_due() -> bool {
    IS_PAUSE_DUE.get() && IS_PAUSE_DUE.replace(false)
}

/// Lets all go first that wait for the same worker or runner.
pub(crate) async fn go_to_the_end() {
    let mut is_back = false;
    poll_fn(|cx| {
        if is_back {
            return Poll::Ready(());
        }
        is_back = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Has the next send of this thread accounted for.
pub(crate) fn make_account_due() {
    SENDS.set(SENDS_PER_ACCOUNT - 1);
}

/// Whether so many sends were made on this thread that they are due.
#[inline]
pub(crate) fn is_send_to_account() -> bool {
    let n = SENDS.get() + 1;
    SENDS.set(n % SENDS_PER_ACCOUNT);
    n == SENDS_PER_ACCOUNT
}

/// Spends tokio's budget for the sends so far: a task that does nothing but send lets others run
/// after some 512 of them, 25 µs, or after 4,096 while another worker is free to run them. A task of
/// any other kind does so after 128 operations; a switch costs as much as ten sends.
#[cold]
pub(crate) async fn account_for_sends(pool: &Pool) {
    let units = if pool.has_free_worker() { 1 } else { UNITS_PER_ACCOUNT };
    for _ in 0..units {
        tokio::task::coop::consume_budget().await;
    }
}

/// Notes that a handler holds its thread.
pub(crate) fn note_blocked(header: &Header) {
    header.cost_ns.store(u32::MAX / 2, Ordering::Relaxed);
}
