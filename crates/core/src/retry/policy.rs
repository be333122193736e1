//! How often and how long to wait.

use std::time::Duration;

/// The longest `max_backoff`: a day. A longer wait belongs into a schedule, not into a retry.
const BACKOFF_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How a call is retried. Plain data over [`Options::DEFAULT`]; checked by [`Policy::new`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct Options {
    /// Calls of the target, the first included; at least 1, 3 by default.
    pub max_attempts: u32,
    /// The wait after the first failure; 100 ms by default, at most `max_backoff`.
    pub initial_backoff: Duration,
    /// What each wait is multiplied by to get the next; finite and at least 1.0, 2.0 by default.
    pub multiplier: f64,
    /// The longest wait by backoff; 10 s by default, at most a day.
    pub max_backoff: Duration,
    /// Whether waits are spread at random; not by default.
    pub jitter: Jitter,
    /// The time that attempts and waits may take together; no limit by default.
    pub deadline: Option<Duration>,
    /// The longest wait that a target (`Retry-After`) or a breaker may ask for; 5 minutes by default.
    ///
    /// A longer one gives up at once instead of coming back too early or waiting for ever.
    pub retry_after_max: Duration,
}

/// Whether waits are spread at random, so that callers who failed together do not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Jitter {
    /// The wait is the backoff, or what the target asked for if that is longer.
    #[default]
    None,
    /// The wait is drawn evenly from zero to the backoff, and added to what the target asked for.
    Full,
}

impl Options {
    /// 3 attempts; waits of 100 ms, 200 ms, 400 ms and so on up to 10 s; no jitter, no deadline.
    pub const DEFAULT: Self = Self {
        max_attempts: 3,
        initial_backoff: Duration::from_millis(100),
        multiplier: 2.0,
        max_backoff: Duration::from_secs(10),
        jitter: Jitter::None,
        deadline: None,
        // Ten times the breaker's default open_timeout; rate limits are told in minutes.
        retry_after_max: Duration::from_secs(300),
    };
}

impl Default for Options {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Options that were checked, so that no attempt number makes them overflow (R3).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy(Options);

impl Policy {
    /// The policy of [`Options::DEFAULT`].
    pub const DEFAULT: Self = Self(Options::DEFAULT);

    /// Checks the options.
    ///
    /// # Errors
    /// [`PolicyError`] names the option that is out of its range; correct it.
    pub fn new(options: Options) -> Result<Self, PolicyError> {
        let Options { max_attempts, initial_backoff, multiplier, max_backoff, .. } = options;
        if max_attempts == 0 {
            return Err(PolicyError::MaxAttemptsZero);
        }
        if !multiplier.is_finite() || multiplier < 1.0 {
            return Err(PolicyError::Multiplier { found: multiplier });
        }
        if max_backoff > BACKOFF_MAX {
            return Err(PolicyError::MaxBackoffTooLong { found: max_backoff });
        }
        if initial_backoff > max_backoff {
            return Err(PolicyError::InitialAboveMax { initial_backoff, max_backoff });
        }
        Ok(Self(options))
    }

    /// The options it was made of.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.0
    }

    /// The wait after `n_before` earlier failures, before jitter; at most `max_backoff`. Holds R1, R3.
    #[must_use]
    pub fn backoff(&self, n_before: u32) -> Duration {
        let Options { initial_backoff, multiplier, max_backoff, .. } = self.0;
        if initial_backoff.is_zero() {
            // Else infinity times zero would be no number below.
            return Duration::ZERO;
        }
        let exponent = i32::try_from(n_before).unwrap_or(i32::MAX);
        let secs = initial_backoff.as_secs_f64() * multiplier.powi(exponent);
        // An infinite or too large product is an error here, and means the longest wait.
        Duration::try_from_secs_f64(secs).map_or(max_backoff, |wait| wait.min(max_backoff))
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// An option of a policy is out of its range. The caller's mistake: correct the option.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// `max_attempts` is 0: the call would never be made.
    #[error("max_attempts is 0: use at least 1, which means no retry")]
    MaxAttemptsZero,
    /// `multiplier` is below 1.0 or not a finite number.
    #[error("multiplier is {found}: use a finite number of at least 1.0")]
    Multiplier {
        /// The value that was given.
        found: f64,
    },
    /// `max_backoff` is more than a day.
    #[error("max_backoff is {found:?}: use at most a day")]
    MaxBackoffTooLong {
        /// The value that was given.
        found: Duration,
    },
    /// `initial_backoff` is more than `max_backoff`.
    #[error("initial_backoff {initial_backoff:?} is above max_backoff {max_backoff:?}: lower it")]
    InitialAboveMax {
        /// The first wait that was given.
        initial_backoff: Duration,
        /// The longest wait that was given.
        max_backoff: Duration,
    },
}

impl PolicyError {
    /// Never: the same options are wrong again.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        false
    }
}
