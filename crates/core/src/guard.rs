//! Breaker and retry together: one call of a guarded target, as a pure rule.
//!
//! The driver asks [`Guarded::attempt`] before each attempt and tells [`Guarded::report`] (or
//! [`Guarded::succeed`]) its outcome. No permit is held during a wait, so a call that is cancelled while it
//! waits leaves nothing behind, and one that is cancelled while it runs drops its permit (R6, B6).
//!
//! # Example
//! ```
//! use ggml_agent_core::breaker::{Breaker, Options};
//! use ggml_agent_core::guard::{Fault, Guarded, Step};
//! use ggml_agent_core::retry::{Policy, Retry, Verdict};
//! use std::time::Duration;
//!
//! let breaker = Breaker::new(Options::DEFAULT)?;
//! let mut now = Duration::ZERO;
//! let mut call = Guarded::new(&breaker, Retry::new(Policy::DEFAULT, now, 42));
//! let Step::Call(permit) = call.attempt(now) else { unreachable!("the breaker is CLOSED") };
//! let busy = Fault::Busy { retry_after: Some(Duration::from_secs(1)) };
//! let reported = call.report(permit, busy, now);
//! assert_eq!(reported.verdict, Verdict::Wait(Duration::from_secs(1)));
//! now += Duration::from_secs(1);
//! let Step::Call(permit) = call.attempt(now) else { unreachable!("busy opens no breaker") };
//! assert_eq!(call.succeed(permit, now), None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(test)]
mod tests;

use std::ops::Deref;
use std::time::Duration;

use crate::breaker::{Breaker, Outcome, Permit, Transition};
use crate::retry::{Class, Retry, Verdict, Why};

/// What a failed call says about its target and about its chances; the one thing to decide per error.
///
/// | Fault | the breaker counts | another attempt |
/// |---|---|---|
/// | `Transient` | a failure | yes |
/// | `Busy` | nothing (back-pressure) | yes |
/// | `Broken` | a failure | no |
/// | `Rejected` | nothing (ignored) | no |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The target failed and may work later: a crash, a timeout of a call that is safe to repeat, a 503.
    Transient {
        /// When the target asked to be called again, if it did.
        retry_after: Option<Duration>,
    },
    /// The target works and is busy: a full mailbox, a 429.
    Busy {
        /// When the target asked to be called again, if it did.
        retry_after: Option<Duration>,
    },
    /// The target failed and the call must not be repeated, such as one with an unknown outcome that is not
    /// safe to repeat.
    Broken,
    /// The target is fine, the request is not: a refusal that would be the same again.
    Rejected,
}

impl Fault {
    /// What it means to the breaker (B6).
    #[must_use]
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Transient { .. } | Self::Broken => Outcome::Failure,
            Self::Busy { .. } => Outcome::BackPressure,
            Self::Rejected => Outcome::Ignored,
        }
    }

    /// What it means to the retry (R4).
    #[must_use]
    pub fn class(self) -> Class {
        match self {
            Self::Transient { retry_after } | Self::Busy { retry_after } => {
                Class::Transient { retry_after }
            }
            Self::Broken | Self::Rejected => Class::Permanent,
        }
    }
}

/// Implemented by error types that know what they say about the target.
///
/// Law: the answer depends on the error alone, so that breaker and retry see the same.
pub trait Classify {
    /// The kind of failure this is.
    fn fault(&self) -> Fault;
}

/// One call of a guarded target, over all its attempts.
///
/// `B` is any pointer to the breaker: `&Breaker`, or `Arc<Breaker>` for permits that can move into a job.
#[derive(Debug, Clone)]
pub struct Guarded<B> {
    breaker: B,
    retry: Retry,
}

/// What to do next.
#[derive(Debug)]
#[must_use]
pub enum Step<B: Deref<Target = Breaker>> {
    /// Call the target and report the outcome with this permit. Its transition is the driver's to publish.
    Call(Permit<B>),
    /// The breaker refused: wait this long, then ask again. The target was not touched.
    Wait(Duration),
    /// The breaker refused, and no further attempt is made.
    GiveUp(Why),
}

/// What a failed attempt led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Reported {
    /// The transition of the breaker that it made, for the driver to publish (B5).
    pub transition: Option<Transition>,
    /// Whether there is another attempt.
    pub verdict: Verdict,
}

impl<B: Deref<Target = Breaker> + Clone> Guarded<B> {
    /// A call of the target that `breaker` guards.
    #[must_use]
    pub fn new(breaker: B, retry: Retry) -> Self {
        Self { breaker, retry }
    }

    /// Asks for an attempt at `now`. Holds R7: no wait ends before the breaker can let a call in.
    pub fn attempt(&mut self, now: Duration) -> Step<B> {
        match Breaker::admit_through(self.breaker.clone(), now) {
            Ok(permit) => Step::Call(permit),
            Err(refused) => {
                let class = Class::BreakerOpen { retry_after: refused.retry_after };
                match self.retry.after_failure(class, now) {
                    Verdict::Wait(wait) => Step::Wait(wait),
                    Verdict::GiveUp(why) => Step::GiveUp(why),
                }
            }
        }
    }

    /// The attempt failed at `now`. Both rules hear of the same fault.
    ///
    /// If the breaker is open afterwards, the wait already covers the time until it can let a call in, so
    /// that the next attempt is not spent on a refusal.
    pub fn report(&mut self, permit: Permit<B>, fault: Fault, now: Duration) -> Reported {
        let transition = permit.report(fault.outcome(), now);
        let class = match fault.class() {
            Class::Transient { retry_after } => {
                let open_for = self.breaker.snapshot(now).time_left;
                Class::Transient {
                    retry_after: Some(retry_after.unwrap_or_default().max(open_for)),
                }
            }
            other => other,
        };
        Reported { transition, verdict: self.retry.after_failure(class, now) }
    }

    /// The attempt succeeded at `now`. Gives the transition of the breaker that it made, if any.
    pub fn succeed(self, permit: Permit<B>, now: Duration) -> Option<Transition> {
        permit.success(now)
    }

    /// The retries so far, and the time left for the attempt.
    #[must_use]
    pub fn retry(&self) -> &Retry {
        &self.retry
    }
}

/// Compiles and runs the examples of the manual.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/breaker.md")]
mod manual {}
