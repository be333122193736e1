//! What a breaker can be told.

use std::time::Duration;

/// The most calls that HALF_OPEN can let through at a time.
// 1,024 x 8 B = 8 KiB per breaker; a target that can be probed by more at once needs no probing.
pub const HALF_OPEN_CALLS_MAX: u32 = 1_024;

/// How a breaker decides. Plain data over [`Options::DEFAULT`]; checked by [`Breaker::new`](super::Breaker::new).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct Options {
    /// Consecutive failures that open it (B1); at least 1, 5 by default.
    pub failure_threshold: u32,
    /// Successful probes that close it (B4); at least 1, 2 by default.
    pub success_threshold: u32,
    /// How long OPEN refuses every call (B3); more than 0, 30 s by default.
    pub open_timeout: Duration,
    /// Calls that HALF_OPEN lets through at a time (B3); 1 to [`HALF_OPEN_CALLS_MAX`].
    ///
    /// By default as many as `success_threshold`, but no more than the maximum.
    pub half_open_max_calls: Option<u32>,
    /// After this time a probe that has not reported no longer keeps others out (B8); more than 0, 30 s by
    /// default.
    ///
    /// What it reports later still counts if the breaker is still in the same HALF_OPEN period: a healthy
    /// answer that streams for minutes is no reason to stay HALF_OPEN.
    pub probe_timeout: Duration,
}

impl Options {
    /// 5 failures open it, 30 s later 2 successes close it, 2 probes at a time, forgotten after 30 s.
    pub const DEFAULT: Self = Self {
        failure_threshold: 5,
        success_threshold: 2,
        open_timeout: Duration::from_secs(30),
        half_open_max_calls: None,
        // As long as OPEN: a target that hangs is probed no more often than one that fails.
        probe_timeout: Duration::from_secs(30),
    };

    /// The number of calls that HALF_OPEN lets through at a time, or what is wrong with the options.
    pub(super) fn check(&self) -> Result<usize, OptionsError> {
        if self.failure_threshold == 0 {
            return Err(OptionsError::FailureThresholdZero);
        }
        if self.success_threshold == 0 {
            return Err(OptionsError::SuccessThresholdZero);
        }
        if self.open_timeout.is_zero() {
            return Err(OptionsError::OpenTimeoutZero);
        }
        if self.probe_timeout.is_zero() {
            return Err(OptionsError::ProbeTimeoutZero);
        }
        let calls = match self.half_open_max_calls {
            None => self.success_threshold.min(HALF_OPEN_CALLS_MAX),
            Some(0) => return Err(OptionsError::HalfOpenMaxCallsZero),
            Some(found) if found > HALF_OPEN_CALLS_MAX => {
                return Err(OptionsError::HalfOpenMaxCallsTooMany { found });
            }
            Some(calls) => calls,
        };
        Ok(usize::try_from(calls).expect("invariant: at most HALF_OPEN_CALLS_MAX"))
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// An option of a breaker is out of its range. The caller's mistake: correct the option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// `failure_threshold` is 0: the breaker would be open before the first call.
    #[error("failure_threshold is 0: use at least 1")]
    FailureThresholdZero,
    /// `success_threshold` is 0: the breaker would close without a probe.
    #[error("success_threshold is 0: use at least 1")]
    SuccessThresholdZero,
    /// `open_timeout` is 0: the breaker would never refuse a call.
    #[error("open_timeout is 0: use more")]
    OpenTimeoutZero,
    /// `probe_timeout` is 0: every probe would be forgotten at once.
    #[error("probe_timeout is 0: use more")]
    ProbeTimeoutZero,
    /// `half_open_max_calls` is 0: the breaker would never close again.
    #[error("half_open_max_calls is 0: use at least 1, or leave it out")]
    HalfOpenMaxCallsZero,
    /// `half_open_max_calls` is more than [`HALF_OPEN_CALLS_MAX`].
    #[error("half_open_max_calls is {found}: use at most {HALF_OPEN_CALLS_MAX}")]
    HalfOpenMaxCallsTooMany {
        /// The value that was given.
        found: u32,
    },
}

impl OptionsError {
    /// Never: the same options are wrong again.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        false
    }
}
