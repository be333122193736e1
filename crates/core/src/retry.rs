//! Retrying as a pure rule: an attempt failed, so wait this long or give up for this reason.
//!
//! The driver makes the attempts and does the waiting, on any clock; `now` is a [`Duration`] since an
//! arbitrary origin. A wait is a value and nothing is held during it, so whoever is cancelled just drops the
//! [`Retry`] (R6).
//!
//! # Example
//! ```
//! use ggml_agent_core::retry::{Class, Options, Policy, Retry, Verdict, Why};
//! use std::time::Duration;
//!
//! let policy = Policy::new(Options { max_attempts: 2, ..Options::DEFAULT })?;
//! let now = Duration::ZERO;
//! let mut retry = Retry::new(policy, now, 42);
//! let failed = Class::Transient { retry_after: None };
//! assert_eq!(retry.after_failure(failed, now), Verdict::Wait(Duration::from_millis(100)));
//! assert_eq!(retry.after_failure(failed, now), Verdict::GiveUp(Why::Attempts { made: 2 }));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod policy;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use policy::{Jitter, Options, Policy, PolicyError};

/// What kind of failure an attempt met; decides whether another attempt makes sense (R4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The same attempt may succeed later. The target may have said when to come back (`Retry-After`).
    Transient {
        /// Not to be retried before this much time has passed (R2).
        retry_after: Option<Duration>,
    },
    /// The same attempt fails again, however often it is made.
    Permanent,
    /// A breaker refused the attempt; the target was not called (R7).
    BreakerOpen {
        /// The breaker lets nobody in before this much time has passed.
        retry_after: Duration,
    },
}

/// What to do after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Wait this long, then make another attempt.
    Wait(Duration),
    /// Make no further attempt; hand the last failure to the caller.
    GiveUp(Why),
}

/// Why no further attempt is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// The target was called as often as the policy allows (R1).
    #[error("gave up, attempts made: {made}")]
    Attempts {
        /// Calls that were made, the first included.
        made: u32,
    },
    /// The failure is one that another attempt cannot mend (R4).
    #[error("not retried: the same call would fail again")]
    Permanent,
    /// The next attempt could start only at or after the deadline (R5).
    #[error("gave up: the next attempt in {wait:?} would miss the deadline in {left:?}")]
    Deadline {
        /// The wait that was due.
        wait: Duration,
        /// The time that was left; less than or equal to the wait.
        left: Duration,
    },
    /// The target or the breaker asked for a longer wait than the policy allows (R2).
    #[error("gave up: asked to wait {retry_after:?}, the policy allows {max:?}")]
    AskedTooLong {
        /// What was asked for.
        retry_after: Duration,
        /// The policy's `retry_after_max`.
        max: Duration,
    },
    /// The breaker refused as many attempts as the policy allows (R7).
    #[error("gave up: the breaker refused every attempt ({refused})")]
    Breaker {
        /// Attempts that were refused; none of them touched the target.
        refused: u32,
    },
}

impl Why {
    /// Whether the same call may succeed when it is made again later, from the start.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Permanent => false,
            Self::Attempts { .. }
            | Self::Deadline { .. }
            | Self::AskedTooLong { .. }
            | Self::Breaker { .. } => true,
        }
    }
}

/// The retries of one call, from its first attempt to its end.
///
/// Holds R1 to R7. A refusal by a breaker is not an attempt at the target and does not use one up: a call
/// that comes while the target is being spared still gets all its attempts afterwards. So that a breaker
/// which never closes does not hold a call for ever, refusals have a count of their own with the same
/// maximum. Both counts lengthen the backoff.
#[derive(Debug, Clone)]
pub struct Retry {
    policy: Policy,
    started_at: Duration,
    seed: u64,
    failed: u32,
    refused: u32,
}

impl Retry {
    /// The retries of a call whose first attempt starts at `started_at`; `seed` draws the jitter.
    #[must_use]
    pub fn new(policy: Policy, started_at: Duration, seed: u64) -> Self {
        Self { policy, started_at, seed, failed: 0, refused: 0 }
    }

    /// An attempt ended at `now` with a failure of this class: wait, or give up.
    pub fn after_failure(&mut self, class: Class, now: Duration) -> Verdict {
        let max_attempts = self.policy.options().max_attempts;
        let n_before = self.failed.saturating_add(self.refused);
        let floor = match class {
            Class::Permanent => return Verdict::GiveUp(Why::Permanent),
            Class::Transient { retry_after } => {
                self.failed = self.failed.saturating_add(1);
                if self.failed >= max_attempts {
                    return Verdict::GiveUp(Why::Attempts { made: self.failed });
                }
                retry_after.unwrap_or(Duration::ZERO)
            }
            Class::BreakerOpen { retry_after } => {
                self.refused = self.refused.saturating_add(1);
                if self.refused >= max_attempts {
                    return Verdict::GiveUp(Why::Breaker { refused: self.refused });
                }
                retry_after
            }
        };
        let max = self.policy.options().retry_after_max;
        if floor > max {
            return Verdict::GiveUp(Why::AskedTooLong { retry_after: floor, max });
        }
        let wait = self.wait(n_before, floor);
        match self.time_left(now) {
            // A wait that uses up all the time leaves none for the attempt.
            Some(left) if wait >= left => Verdict::GiveUp(Why::Deadline { wait, left }),
            _ => Verdict::Wait(wait),
        }
    }

    /// The time until the deadline, for the driver to bound the attempt itself by (R5); `None` without one.
    #[must_use]
    pub fn time_left(&self, now: Duration) -> Option<Duration> {
        let deadline = self.policy.options().deadline?;
        Some(deadline.saturating_sub(now.saturating_sub(self.started_at)))
    }

    /// Attempts at the target that failed so far.
    #[must_use]
    pub fn failed(&self) -> u32 {
        self.failed
    }

    /// Attempts that a breaker refused so far.
    #[must_use]
    pub fn refused(&self) -> u32 {
        self.refused
    }

    fn wait(&mut self, n_before: u32, floor: Duration) -> Duration {
        let backoff = self.policy.backoff(n_before);
        match self.policy.options().jitter {
            Jitter::None => backoff.max(floor),
            // On top of the floor: everybody was told the same moment, and must not come all at that moment.
            Jitter::Full => floor.saturating_add(up_to(backoff, self.draw())),
        }
    }

    /// The next number of `SplitMix64` (Steele, Lea, Flood 2014): good enough to spread waits, 8 bytes.
    fn draw(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.seed ^ (self.seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// A duration from zero to `max`, both included, in proportion to `draw`.
fn up_to(max: Duration, draw: u64) -> Duration {
    // The policy keeps waits below 2^64 ns, so the product fits 128 bits and the result 64.
    let nanos = (max.as_nanos() + 1).saturating_mul(u128::from(draw)) >> 64;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).min(max)
}
