//! The leave to make one call, which takes its outcome.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use super::probes::Place;
use super::word::Word;
use super::{Breaker, Transition};

/// How a guarded call ended, in the breaker's eyes (B6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The target did its work. Resets the failures of CLOSED; closes HALF_OPEN after enough of them.
    Success,
    /// The target did not: an error, a timeout, a broken stream.
    Failure,
    /// The target is alive but busy (a full mailbox, a 429). Counts neither way: more patience is needed,
    /// not less traffic from everybody.
    BackPressure,
    /// Says nothing about the target, such as a request that was wrong. Counts neither way.
    Ignored,
}

/// Leave to make one call. Report the call's outcome with it, once; for a stream at the stream's end.
///
/// Dropped without an outcome it counts as a failure (B6). A drop is not told the time, so the failure gets
/// the latest time that the breaker has seen from any caller: OPEN then lasts `open_timeout` from there,
/// hence may end early, never late, and at worst (nobody else called meanwhile) the next call is a probe at
/// once. Nor can a drop hand out the transition it makes; it shows in
/// [`Snapshot::n_transitions`](super::Snapshot::n_transitions) alone. A driver that has a clock therefore
/// keeps the permit in a guard whose own drop calls [`Permit::failure`].
///
/// An outcome counts only while the breaker is in the period (between two transitions) in which it gave the
/// permit; a late outcome of an older period changes nothing.
#[derive(Debug)]
#[must_use = "a permit that is dropped counts as a failure"]
pub struct Permit<B: Deref<Target = Breaker>> {
    breaker: B,
    /// `None` once the outcome is known.
    ticket: Option<Ticket>,
}

/// A permit that shares the breaker and can move into a job.
pub type OwnedPermit = Permit<Arc<Breaker>>;

/// What the breaker remembers of a call that it let in.
#[derive(Debug)]
pub(super) struct Ticket {
    /// The word under which the call was let in; its period is what counts.
    pub(super) word: Word,
    /// Set for probes.
    pub(super) place: Option<Place>,
    /// The transition that letting it in made.
    pub(super) transition: Option<Transition>,
}

impl<B: Deref<Target = Breaker>> Permit<B> {
    pub(super) fn new(breaker: B, ticket: Ticket) -> Self {
        Self { breaker, ticket: Some(ticket) }
    }

    /// The transition that admitting this call made (OPEN to HALF_OPEN), for the caller to report (B5).
    #[must_use]
    pub fn transition(&self) -> Option<Transition> {
        self.ticket.as_ref().and_then(|ticket| ticket.transition)
    }

    /// Whether the call is a probe of a target that failed before.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.ticket.as_ref().is_some_and(|ticket| ticket.place.is_some())
    }

    /// The breaker that gave the permit.
    #[must_use]
    pub fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// The call succeeded at `now`. Gives the transition, if this made one.
    pub fn success(self, now: Duration) -> Option<Transition> {
        self.report(Outcome::Success, now)
    }

    /// The call failed at `now`. Gives the transition, if this made one.
    pub fn failure(self, now: Duration) -> Option<Transition> {
        self.report(Outcome::Failure, now)
    }

    /// The target was busy at `now`; never opens the breaker, never closes it.
    pub fn back_pressure(self, now: Duration) -> Option<Transition> {
        self.report(Outcome::BackPressure, now)
    }

    /// The call ended at `now` in a way that says nothing about the target.
    pub fn ignore(self, now: Duration) -> Option<Transition> {
        self.report(Outcome::Ignored, now)
    }

    /// The call ended at `now` with this outcome. Gives the transition, if this made one. Holds B6.
    pub fn report(mut self, outcome: Outcome, now: Duration) -> Option<Transition> {
        let ticket = self.ticket.take()?;
        self.breaker.settle(&ticket, outcome, now)
    }
}

impl<B: Deref<Target = Breaker>> Drop for Permit<B> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            // Nobody is there to be told of a transition; see the type's documentation.
            let _unreported =
                self.breaker.settle(&ticket, Outcome::Failure, self.breaker.last_seen());
        }
    }
}
