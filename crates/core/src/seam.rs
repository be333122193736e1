//! The seams: what the rules and their drivers need from the world, as small traits stated as laws.
//!
//! `Clock` is here because it has users now. The other seams of the design stand beside their first
//! user, in the crate that drives it: `Spawner` in the runtime, `Disk` in the store, `Transport` in the
//! cluster.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Where time comes from. A rule never asks a clock: its driver does, and passes `now` in.
///
/// # Laws
/// - [`now`](Self::now) never goes back, not even across threads: what happened later reads the same or more.
/// - Its origin is arbitrary but fixed for the life of the clock. Only differences mean something.
/// - Stepping the wall clock moves [`unix_ms`](Self::unix_ms) and leaves `now` alone (S14).
pub trait Clock: Send + Sync {
    /// Time since the origin of this clock, monotonic.
    fn now(&self) -> Duration;

    /// The wall clock: milliseconds since the Unix epoch, UTC. May jump, in both directions.
    fn unix_ms(&self) -> u64;
}

impl<C: Clock + ?Sized> Clock for &C {
    fn now(&self) -> Duration {
        (**self).now()
    }

    fn unix_ms(&self) -> u64 {
        (**self).unix_ms()
    }
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn now(&self) -> Duration {
        (**self).now()
    }

    fn unix_ms(&self) -> u64 {
        (**self).unix_ms()
    }
}

/// A clock that moves only when it is told to: for tests and the simulator.
///
/// # Example
/// ```
/// use ggml_agent_core::seam::{Clock, ManualClock};
/// use std::time::Duration;
/// let clock = ManualClock::new(1_700_000_000_000);
/// clock.advance(Duration::from_millis(1_500));
/// assert_eq!(clock.now(), Duration::from_millis(1_500));
/// assert_eq!(clock.unix_ms(), 1_700_000_001_500);
/// clock.step_wall_to(0);
/// assert_eq!((clock.now(), clock.unix_ms()), (Duration::from_millis(1_500), 0));
/// ```
pub struct ManualClock {
    /// Monotonic time in nanoseconds: 2^64 ns = 584 years.
    now_ns: AtomicU64,
    /// Wall time minus monotonic time, in milliseconds, modulo 2^64: a step back is a negative offset.
    wall_offset_ms: AtomicU64,
}

impl ManualClock {
    /// A clock at its origin, whose wall shows `unix_ms`.
    #[must_use]
    pub const fn new(unix_ms: u64) -> Self {
        Self { now_ns: AtomicU64::new(0), wall_offset_ms: AtomicU64::new(unix_ms) }
    }

    /// Lets `by` pass, on both clocks. Saturates at 2^64 ns (584 years).
    pub fn advance(&self, by: Duration) {
        let by_ns = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        // One atomic step per call: concurrent calls add up, and a reader never sees time go back.
        let advanced = |ns: u64| Some(ns.saturating_add(by_ns));
        let (Ok(_) | Err(_)) =
            self.now_ns.fetch_update(Ordering::AcqRel, Ordering::Acquire, advanced);
    }

    /// Steps the wall clock to `unix_ms`; monotonic time stays.
    pub fn step_wall_to(&self, unix_ms: u64) {
        self.wall_offset_ms.store(unix_ms.wrapping_sub(self.elapsed_ms()), Ordering::Release);
    }

    fn elapsed_ms(&self) -> u64 {
        self.now_ns.load(Ordering::Acquire) / 1_000_000
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.now_ns.load(Ordering::Acquire))
    }

    fn unix_ms(&self) -> u64 {
        self.wall_offset_ms.load(Ordering::Acquire).wrapping_add(self.elapsed_ms())
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualClock")
            .field("now", &self.now())
            .field("unix_ms", &self.unix_ms())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stepping_the_wall_clock_leaves_monotonic_time_alone() {
        let clock = ManualClock::new(1_000);
        clock.advance(Duration::from_secs(2));
        for wall_ms in [0, 5_000_000, 1] {
            clock.step_wall_to(wall_ms);
            assert_eq!((clock.now(), clock.unix_ms()), (Duration::from_secs(2), wall_ms));
        }
        clock.advance(Duration::from_millis(7));
        assert_eq!((clock.now(), clock.unix_ms()), (Duration::from_millis(2_007), 8));
    }

    #[test]
    fn advancing_past_the_end_of_time_saturates() {
        let clock = ManualClock::new(0);
        clock.advance(Duration::MAX);
        clock.advance(Duration::from_secs(1));
        assert_eq!(clock.now(), Duration::from_nanos(u64::MAX));
    }

    #[test]
    fn many_threads_advance_one_clock_without_losing_time() {
        let clock = ManualClock::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1_000).for_each(|_| clock.advance(Duration::from_millis(1))));
            }
        });
        assert_eq!(clock.now(), Duration::from_secs(4));
    }
}
