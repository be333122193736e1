//! The places for probes: one atomic each, so that no more calls than places are at the target at a time.

use std::time::Duration;

use super::word::{ms_ceil, ms_floor};
use crate::sync::{AtomicU64, Ordering};

const FREE: u64 = 0;

/// A fixed number of places. Each is free or holds the millisecond at which its probe is forgotten (B8).
#[derive(Debug)]
pub(super) struct Probes {
    places: Box<[AtomicU64]>,
}

/// A place that was taken; whoever holds it gives it back once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    idx: usize,
    until_ms: u64,
}

impl Probes {
    pub(super) fn new(n_places: usize) -> Self {
        Self { places: (0..n_places).map(|_| AtomicU64::new(FREE)).collect() }
    }

    /// Takes a place that is free or whose probe is forgotten; `None` when there is none.
    ///
    /// Places are not bound to a period: a probe of an earlier HALF_OPEN period that is still out keeps its
    /// place, so B3 counts calls that are at the target, not calls of this period.
    pub(super) fn take(&self, now: Duration, probe_timeout: Duration) -> Option<Place> {
        let now_ms = ms_floor(now);
        // Later than `now_ms`, hence never FREE and never what a forgotten probe of this place holds: its
        // holder cannot give back a place that is somebody else's by now.
        let until_ms = ms_ceil(now.saturating_add(probe_timeout)).max(now_ms + 1);
        self.places.iter().enumerate().find_map(|(idx, place)| {
            let found = place.load(Ordering::Acquire);
            if found > now_ms {
                return None;
            }
            place
                .compare_exchange(found, until_ms, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
                .then_some(Place { idx, until_ms })
        })
    }

    /// Frees the place, unless its probe was forgotten and the place is somebody else's.
    pub(super) fn give_back(&self, place: Place) {
        // A lost exchange is the other case above, so there is nothing left to do.
        let _lost = self.places[place.idx]
            .compare_exchange(place.until_ms, FREE, Ordering::AcqRel, Ordering::Relaxed)
            .is_err();
    }

    pub(super) fn n_taken(&self, now: Duration) -> usize {
        let now_ms = ms_floor(now);
        self.places.iter().filter(|place| place.load(Ordering::Acquire) > now_ms).count()
    }
}
