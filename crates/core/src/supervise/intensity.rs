//! Restart intensity: how many restarts are allowed in a sliding window (S8 to S14).

use std::collections::VecDeque;
use std::time::Duration;

/// Largest `restarts_max`. 100,000 remembered times of 16 B = 1.6 MB, only if they really happen.
pub const RESTARTS_MAX_LIMIT: u32 = 100_000;

/// What [`Intensity::record`] says about a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is allowed, and is number `in_window` of those within the window.
    Restart {
        /// 1 to `restarts_max`.
        in_window: u32,
    },
    /// It would be one too many: stop the children and exit.
    GiveUp,
}

/// The restarts of one supervisor, over all its children, within the last `period`.
///
/// Holds S8, S9 and S10; memory is at most `restarts_max` entries.
#[derive(Debug, Clone)]
pub struct Intensity {
    restarts_max: u32,
    period: Duration,
    recent: VecDeque<Duration>,
}

impl Intensity {
    /// Allows `restarts_max` restarts (capped at [`RESTARTS_MAX_LIMIT`]) in any `period`.
    #[must_use]
    pub fn new(restarts_max: u32, period: Duration) -> Self {
        let restarts_max = restarts_max.min(RESTARTS_MAX_LIMIT);
        Self { restarts_max, period, recent: VecDeque::new() }
    }

    /// Counts a restart at `now`, unless it is one too many.
    ///
    /// A restart that is exactly `period` old is outside the window. `now` may not go back; a time
    /// before the last one counts as the last one (S14).
    pub fn record(&mut self, now: Duration) -> Verdict {
        let now = self.recent.back().map_or(now, |last| now.max(*last));
        while self.recent.front().is_some_and(|&at| now - at >= self.period) {
            self.recent.pop_front();
        }
        let in_window = u32::try_from(self.recent.len()).unwrap_or(u32::MAX);
        if in_window >= self.restarts_max {
            return Verdict::GiveUp;
        }
        self.recent.push_back(now);
        Verdict::Restart { in_window: in_window + 1 }
    }

    /// How many restart times are remembered; never more than `restarts_max`.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.recent.len()
    }
}
