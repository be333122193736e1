//! A circuit breaker: a target that keeps failing is left alone for a while, then probed, then trusted again.
//!
//! It guards a target, not an incarnation: it lives beside the target, is shared by all callers through an
//! [`Arc`], and survives the target's restarts (B7). Time is passed in as `now`, a [`Duration`] since an
//! arbitrary origin (the same one for every call), so the rule runs on any clock.
//!
//! How it stays lock-free (B9): state, period and count are one atomic word, so that every change of state
//! is one compare-and-swap that exactly one thread wins (B5). The places for probes are one atomic each; a
//! call takes its place first and then looks at the state again, so it is never let in by an old look.
//!
//! # Example
//! ```
//! use ggml_agent_core::breaker::{Breaker, Options, State};
//! use std::time::Duration;
//!
//! let breaker = Breaker::new(Options { failure_threshold: 1, ..Options::DEFAULT })?;
//! let now = Duration::ZERO;
//! let permit = breaker.admit(now)?; // CLOSED: every call is let through
//! let opened = permit.failure(now).expect("the only failure it takes");
//! assert_eq!((opened.from, opened.to), (State::Closed, State::Open));
//! let refused = breaker.admit(now).unwrap_err();
//! assert_eq!(refused.retry_after, Duration::from_secs(30));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Reading order: `word` (the rule), then this file (who may apply it), then `probes` and `permit`.

mod options;
mod permit;
mod probes;
mod word;

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use crate::sync::{AtomicU64, Ordering};
use probes::{Place, Probes};
use word::{Phase, Word, ms_floor};

pub use options::{HALF_OPEN_CALLS_MAX, Options, OptionsError};
use permit::Ticket;
pub use permit::{Outcome, OwnedPermit, Permit};

/// A circuit breaker, shared by all callers of one target.
///
/// Holds B1 to B9. Every method takes `&self`, is lock-free and allocates nothing; only [`Breaker::new`]
/// allocates (8 bytes for each call that HALF_OPEN lets through at a time).
///
/// `now` may differ a little between threads; a call that passes an older `now` than others sees OPEN for
/// that much longer. Times are kept in whole milliseconds, rounded so that the breaker is never early.
#[derive(Debug)]
pub struct Breaker {
    options: Options,
    word: AtomicU64,
    probes: Probes,
    /// The latest time that any caller passed in, in milliseconds: all that a dropped permit knows.
    seen_ms: AtomicU64,
}

impl Breaker {
    /// A breaker in the CLOSED state.
    ///
    /// # Errors
    /// [`OptionsError`] names the option that is out of its range; correct it.
    pub fn new(options: Options) -> Result<Self, OptionsError> {
        let n_places = options.check()?;
        Ok(Self {
            options,
            word: AtomicU64::new(Word::NEW.pack()),
            probes: Probes::new(n_places),
            seen_ms: AtomicU64::new(0),
        })
    }

    /// The options it was made with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Asks to let a call through; the permit takes the call's outcome. Holds B1, B2, B3.
    ///
    /// The first call after `open_timeout` makes the step from OPEN to HALF_OPEN, and only that call's
    /// [`Permit::transition`] tells of it.
    ///
    /// # Errors
    /// [`Refused`] when OPEN, or when HALF_OPEN has all its probes out. The target must not be called; the
    /// error says when to ask again.
    pub fn admit(&self, now: Duration) -> Result<Permit<&Self>, Refused> {
        Self::admit_through(self, now)
    }

    /// As [`Breaker::admit`], with a permit that is `'static` and can move into a job.
    ///
    /// # Errors
    /// As [`Breaker::admit`].
    pub fn admit_owned(self: &Arc<Self>, now: Duration) -> Result<OwnedPermit, Refused> {
        Self::admit_through(Arc::clone(self), now)
    }

    /// As [`Breaker::admit`], with the permit holding the breaker through any pointer to it.
    ///
    /// # Errors
    /// As [`Breaker::admit`].
    pub fn admit_through<B: Deref<Target = Self>>(
        breaker: B,
        now: Duration,
    ) -> Result<Permit<B>, Refused> {
        let ticket = breaker.enter(now)?;
        Ok(Permit::new(breaker, ticket))
    }

    /// The rule of admission: takes a place first where one is needed, then looks (again) at the word.
    ///
    /// A probe that reports changes the word before it gives its place back, so whoever gets the place
    /// afterwards sees that change in its second look.
    fn enter(&self, now: Duration) -> Result<Ticket, Refused> {
        self.see(now);
        let mut place = None;
        loop {
            let word = self.load();
            match (word.phase, place) {
                (Phase::Closed { .. }, held) => {
                    self.give_back(held);
                    return Ok(Ticket { word, place: None, transition: None });
                }
                (Phase::Open { until_ms }, held) if ms_floor(now) < until_ms => {
                    self.give_back(held);
                    return Err(Refused::open(until_ms, now));
                }
                (Phase::Open { .. } | Phase::HalfOpen { .. }, None) => {
                    place = Some(
                        self.probes
                            .take(now, self.options.probe_timeout)
                            .ok_or(Refused::PROBING)?,
                    );
                }
                (Phase::HalfOpen { .. }, held) => {
                    return Ok(Ticket { word, place: held, transition: None });
                }
                (Phase::Open { .. }, held) => {
                    let probing = word.next(Phase::HalfOpen { successes: 0 });
                    if self.swap(word, probing) {
                        let transition = word.transition_to(probing);
                        return Ok(Ticket { word: probing, place: held, transition });
                    }
                    // Somebody else changed the state; the place stays good for the next look.
                }
            }
        }
    }

    /// Applies the outcome of a call. It counts only in the period in which the call was let in.
    fn settle(&self, ticket: &Ticket, outcome: Outcome, now: Duration) -> Option<Transition> {
        self.see(now);
        let transition = match outcome {
            Outcome::Success => self.change(|word| {
                word.is_period_of(ticket.word).then(|| word.after_success(&self.options))
            }),
            Outcome::Failure => self.change(|word| {
                word.is_period_of(ticket.word).then(|| word.after_failure(&self.options, now))
            }),
            Outcome::BackPressure | Outcome::Ignored => None,
        };
        // After the word: see `enter`.
        self.give_back(ticket.place);
        transition
    }

    /// The state at `now`. OPEN whose time is over reads HALF_OPEN: the next call is let through as a probe.
    #[must_use]
    pub fn state(&self, now: Duration) -> State {
        self.load().state_at(now)
    }

    /// State, counts and time left, all of one moment (the number of probes may be of a slightly later one).
    #[must_use]
    pub fn snapshot(&self, now: Duration) -> Snapshot {
        let word = self.load();
        let (mut failures, mut successes, mut time_left) = (0, 0, Duration::ZERO);
        match word.phase {
            Phase::Closed { failures: n } => failures = n,
            Phase::HalfOpen { successes: n } => successes = n,
            Phase::Open { until_ms } => time_left = time_until(until_ms, now),
        }
        Snapshot {
            state: word.state_at(now),
            failures,
            successes,
            time_left,
            n_probes: self.probes.n_taken(now),
            n_transitions: word.period,
        }
    }

    /// Opens the breaker for `open_timeout` from `now`, whatever its state; when OPEN, the time starts anew.
    ///
    /// Outcomes of calls that are under way do not count any more. Gives the transition, if this made one.
    pub fn trip(&self, now: Duration) -> Option<Transition> {
        self.see(now);
        self.change(|word| Some(word.tripped(&self.options, now)))
    }

    /// Closes the breaker with no failures, whatever its state.
    ///
    /// Outcomes of calls that are under way do not count any more, unless it was CLOSED already. Probes that
    /// are out keep their places until they report or time out. Gives the transition, if this made one.
    pub fn reset(&self, now: Duration) -> Option<Transition> {
        self.see(now);
        self.change(|word| Some(word.reset()))
    }

    /// Applies `rule` until it has nothing to change or this thread's change is the one that is made.
    fn change(&self, rule: impl Fn(Word) -> Option<Word>) -> Option<Transition> {
        loop {
            let old = self.load();
            let new = rule(old)?;
            if new == old {
                // The common case, a success with no failure before it, writes nothing shared.
                return None;
            }
            if self.swap(old, new) {
                return old.transition_to(new);
            }
        }
    }

    fn load(&self) -> Word {
        Word::unpack(self.word.load(Ordering::Acquire))
    }

    /// Whether this thread, and no other, replaced `old` by `new`. Holds B5.
    fn swap(&self, old: Word, new: Word) -> bool {
        self.word
            .compare_exchange(old.pack(), new.pack(), Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    fn give_back(&self, place: Option<Place>) {
        if let Some(place) = place {
            self.probes.give_back(place);
        }
    }

    fn see(&self, now: Duration) {
        let now_ms = ms_floor(now);
        // Looking first keeps the cache line shared: at most one write each millisecond.
        if self.seen_ms.load(Ordering::Relaxed) < now_ms {
            self.seen_ms.fetch_max(now_ms, Ordering::Relaxed);
        }
    }

    /// The latest `now` that any caller passed in: the time of an outcome that comes without one.
    fn last_seen(&self) -> Duration {
        Duration::from_millis(self.seen_ms.load(Ordering::Relaxed))
    }
}

/// The state of a breaker; displayed as `CLOSED`, `OPEN` or `HALF_OPEN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "SCREAMING_SNAKE_CASE"))]
pub enum State {
    /// Every call is let through (B1).
    Closed,
    /// Every call is refused at once (B2).
    Open,
    /// A few calls at a time are let through as probes (B3).
    HalfOpen,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Closed => "CLOSED",
            Self::Open => "OPEN",
            Self::HalfOpen => "HALF_OPEN",
        })
    }
}

/// A change of state. Each is handed to exactly one caller, who reports it (B5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Transition {
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
    /// Which transition of this breaker it is, from 1 without gaps, so that events of racing threads can be
    /// put in order; wraps to 0 after 1,048,575.
    pub number: u32,
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.from, self.to)
    }
}

/// What a breaker looked like at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The state, as [`Breaker::state`] gives it.
    pub state: State,
    /// Consecutive failures while CLOSED, else 0.
    pub failures: u32,
    /// Successful probes while HALF_OPEN, else 0.
    pub successes: u32,
    /// How long OPEN still refuses every call, else 0.
    pub time_left: Duration,
    /// Probes that are out and not yet forgotten, those of earlier HALF_OPEN periods included.
    pub n_probes: usize,
    /// Transitions so far, modulo 1,048,576; equals the `number` of the latest [`Transition`].
    pub n_transitions: u32,
}

/// The breaker did not let the call through; the target was not touched (B2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("breaker is {state}{}", Hint(*.retry_after))]
#[non_exhaustive]
pub struct Refused {
    /// `Open`, or `HalfOpen` when all probes are out.
    pub state: State,
    /// The breaker lets nobody in before this much time has passed.
    ///
    /// Zero when HALF_OPEN: a probe may report at any moment, so wait for your own backoff.
    pub retry_after: Duration,
}

impl Refused {
    const PROBING: Self = Self { state: State::HalfOpen, retry_after: Duration::ZERO };

    fn open(until_ms: u64, now: Duration) -> Self {
        Self { state: State::Open, retry_after: time_until(until_ms, now) }
    }

    /// Always: the same call may be let through later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        true
    }
}

/// The second half of `Refused`'s message: what the caller can do.
struct Hint(Duration);

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_zero() {
            f.write_str(" and its probes are out: try again after a backoff")
        } else {
            write!(f, ": try again in {:?}", self.0)
        }
    }
}

fn time_until(until_ms: u64, now: Duration) -> Duration {
    Duration::from_millis(until_ms).saturating_sub(now)
}
