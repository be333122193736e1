//! Time at the edge: the one place where the runtime waits for a clock.
//!
//! Everything goes by tokio's clock, so that a test with paused time is a test in virtual time.

use std::future::Future;
use std::time::Duration;

use ggml_agent_core::seam::Clock;

/// tokio's monotonic clock, and the wall clock read once and carried on by it.
///
/// Wall time is for people and timestamps; no rule decides by it. Stepping the system's wall clock
/// while the process lives therefore changes nothing (S14).
#[derive(Debug)]
pub struct TokioClock {
    origin: tokio::time::Instant,
    unix_ms_at_origin: u64,
}

impl TokioClock {
    /// A clock whose origin is now.
    #[must_use]
    pub fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the clock")]
        let wall = std::time::SystemTime::now();
        let since_epoch = wall.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self {
            origin: tokio::time::Instant::now(),
            unix_ms_at_origin: u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    fn unix_ms(&self) -> u64 {
        let elapsed = self.now();
        // Not `as_millis`: its 128 bits are for times that no process lives.
        let elapsed_ms = elapsed.as_secs() * 1_000 + u64::from(elapsed.subsec_millis());
        self.unix_ms_at_origin.saturating_add(elapsed_ms)
    }
}

/// The output of `future`, or `None` after `limit`.
pub(crate) async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    tokio::time::timeout(limit, future).await.ok()
}

/// Waits, from this call on, whenever it is polled first.
pub(crate) fn wait(time: Duration) -> tokio::time::Sleep {
    #[expect(clippy::disallowed_methods, reason = "timers end here")]
    tokio::time::sleep(time)
}
