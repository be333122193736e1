//! Real time: the one place of the benchmarks that reads the clock, waits, or holds a thread.

use std::time::{Duration, Instant};

/// The time.
#[inline]
pub(super) fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
    Instant::now()
}

/// Lets time pass.
pub(super) async fn pause(time: Duration) {
    #[expect(clippy::disallowed_methods, reason = "a phase of a benchmark lasts for real")]
    tokio::time::sleep(time).await;
}

/// Holds the calling thread, as a handler must not.
pub(super) fn hold_thread(time: Duration) {
    #[expect(clippy::disallowed_methods, reason = "a handler that blocks is what is measured")]
    std::thread::sleep(time);
}

/// Nanoseconds since `before`.
#[inline]
pub(super) fn ns_since(before: Instant) -> u64 {
    ns(now().saturating_duration_since(before))
}

/// Nanoseconds.
#[inline]
pub(super) fn ns(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds of each of `n`.
pub(super) fn ns_per(time: Duration, n: u64) -> f64 {
    time.as_secs_f64() * 1e9 / n.max(1) as f64
}
