//! The rule of the breaker on one 64-bit word: no atomics here, only what follows from what.
//!
//! Layout, from the top: 2 bits phase, 20 bits period, 42 bits of what the phase knows (failures, successes,
//! or the millisecond until which it is open). 2^42 ms = 139 years, so that even a clock that counts from
//! 1970 fits until 2109. The period is the number of transitions, modulo 2^20 = 1,048,576: an outcome counts
//! only in the period of its permit, and a permit would have to outlive a million transitions to be mistaken.

use std::time::Duration;

use super::{Options, State, Transition};

const PERIOD_BITS: u32 = 20;
const DETAIL_BITS: u32 = 42;
const PERIOD_MASK: u32 = (1 << PERIOD_BITS) - 1;
const DETAIL_MASK: u64 = (1 << DETAIL_BITS) - 1;

/// State and count of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) phase: Phase,
    /// Transitions so far, modulo 2^20.
    pub(super) period: u32,
}

/// The state as stored, with what only that state knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Closed { failures: u32 },
    Open { until_ms: u64 },
    HalfOpen { successes: u32 },
}

impl Word {
    pub(super) const NEW: Self = Self { phase: Phase::Closed { failures: 0 }, period: 0 };

    pub(super) fn pack(self) -> u64 {
        let (tag, detail) = match self.phase {
            Phase::Closed { failures } => (0, u64::from(failures)),
            Phase::Open { until_ms } => (1, until_ms),
            Phase::HalfOpen { successes } => (2, u64::from(successes)),
        };
        debug_assert!(detail <= DETAIL_MASK, "a time is cut to size where it is made");
        (tag << (PERIOD_BITS + DETAIL_BITS)) | (u64::from(self.period) << DETAIL_BITS) | detail
    }

    pub(super) fn unpack(raw: u64) -> Self {
        let detail = raw & DETAIL_MASK;
        // Thresholds are u32, so the counts below them fit.
        let count = || u32::try_from(detail).unwrap_or(u32::MAX);
        let period = u32::try_from((raw >> DETAIL_BITS) & u64::from(PERIOD_MASK))
            .expect("invariant: masked to 20 bits");
        let phase = match raw >> (PERIOD_BITS + DETAIL_BITS) {
            0 => Phase::Closed { failures: count() },
            1 => Phase::Open { until_ms: detail },
            2 => Phase::HalfOpen { successes: count() },
            tag => unreachable!("invariant: pack wrote the tag, found {tag}"),
        };
        Self { phase, period }
    }

    /// The word after one transition from this one.
    pub(super) fn next(self, phase: Phase) -> Self {
        Self { phase, period: self.period.wrapping_add(1) & PERIOD_MASK }
    }

    /// Whether no transition lies between this word and the one a permit was given in.
    pub(super) fn is_period_of(self, admitted: Self) -> bool {
        self.period == admitted.period
    }

    /// B1 and B4: what a success makes of it.
    pub(super) fn after_success(self, options: &Options) -> Self {
        match self.phase {
            Phase::Closed { .. } => Self { phase: Phase::Closed { failures: 0 }, ..self },
            Phase::HalfOpen { successes } if successes + 1 >= options.success_threshold => {
                self.next(Phase::Closed { failures: 0 })
            }
            Phase::HalfOpen { successes } => {
                Self { phase: Phase::HalfOpen { successes: successes + 1 }, ..self }
            }
            // Nobody is let in while OPEN, so no permit is of an OPEN period.
            Phase::Open { .. } => self,
        }
    }

    /// B1 and B4: what a failure makes of it.
    pub(super) fn after_failure(self, options: &Options, now: Duration) -> Self {
        match self.phase {
            Phase::Closed { failures } if failures + 1 < options.failure_threshold => {
                Self { phase: Phase::Closed { failures: failures + 1 }, ..self }
            }
            Phase::Closed { .. } | Phase::HalfOpen { .. } => self.tripped(options, now),
            Phase::Open { .. } => self,
        }
    }

    /// OPEN from `now`; the same period when it was OPEN before, since that is no transition.
    pub(super) fn tripped(self, options: &Options, now: Duration) -> Self {
        let open = Phase::Open {
            until_ms: ms_ceil(now.saturating_add(options.open_timeout)).min(DETAIL_MASK),
        };
        match self.phase {
            Phase::Open { .. } => Self { phase: open, ..self },
            Phase::Closed { .. } | Phase::HalfOpen { .. } => self.next(open),
        }
    }

    /// CLOSED without failures; the same period when it was CLOSED before.
    pub(super) fn reset(self) -> Self {
        let closed = Phase::Closed { failures: 0 };
        match self.phase {
            Phase::Closed { .. } => Self { phase: closed, ..self },
            Phase::Open { .. } | Phase::HalfOpen { .. } => self.next(closed),
        }
    }

    pub(super) fn state_at(self, now: Duration) -> State {
        match self.phase {
            Phase::Open { until_ms } if ms_floor(now) >= until_ms => State::HalfOpen,
            _ => self.state(),
        }
    }

    fn state(self) -> State {
        match self.phase {
            Phase::Closed { .. } => State::Closed,
            Phase::Open { .. } => State::Open,
            Phase::HalfOpen { .. } => State::HalfOpen,
        }
    }

    /// The transition that lies between this word and its successor, if the state differs.
    pub(super) fn transition_to(self, new: Self) -> Option<Transition> {
        let (from, to) = (self.state(), new.state());
        (from != to).then_some(Transition { from, to, number: new.period })
    }
}

/// Whole milliseconds that have passed; at most what a word can hold, so that an OPEN that ends "never"
/// ends there.
pub(super) fn ms_floor(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).min(DETAIL_MASK)
}

/// The first whole millisecond that is not before `time`, so that a deadline is never early.
pub(super) fn ms_ceil(time: Duration) -> u64 {
    let up = u128::from(!time.subsec_nanos().is_multiple_of(1_000_000));
    u64::try_from(time.as_millis() + up).unwrap_or(u64::MAX)
}
