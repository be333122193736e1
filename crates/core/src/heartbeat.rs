//! Who has made no progress for too long (S33): a rule over what is seen at each check.

use std::collections::BTreeMap;
use std::time::Duration;

/// What a check sees of one agent that has something to do.
///
/// An agent with nothing to do is not reported, and is healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vital {
    /// Steps handled so far; any change is progress.
    pub progress: u64,
    /// Whether the handler declared a long wait (`ctx.protect`), which is not a missed heartbeat.
    pub protected: bool,
}

/// One agent as a check sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulse<K> {
    /// Which incarnation of which agent; a new incarnation has a new key, or else a new progress.
    pub key: K,
    /// What was seen.
    pub vital: Vital,
    /// How long it may make no progress.
    pub timeout: Duration,
}

/// An agent that made no progress for its timeout although it had something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missed<K> {
    /// Which.
    pub key: K,
    /// For how long it has been seen without progress.
    pub silent_for: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Suspect {
    progress: u64,
    since: Duration,
}

/// Remembers only agents that were busy at the last check. Holds S33.
///
/// Idle agents cost nothing: memory and time of a check grow with the busy ones alone.
#[derive(Debug, Clone)]
pub struct Heartbeats<K> {
    suspects: BTreeMap<K, Suspect>,
}

impl<K: Ord + Copy> Heartbeats<K> {
    /// Nobody is suspected.
    #[must_use]
    pub const fn new() -> Self {
        Self { suspects: BTreeMap::new() }
    }

    /// One check at `now` (monotonic): `busy` are the agents that have something to do.
    ///
    /// Who is not in `busy` is healthy and no longer suspected. Returns those that have been seen
    /// without progress for their timeout or longer, in the order of `busy`.
    pub fn check(&mut self, now: Duration, busy: impl Iterator<Item = Pulse<K>>) -> Vec<Missed<K>> {
        let mut suspects = BTreeMap::new();
        let mut missed = Vec::new();
        for Pulse { key, vital, timeout } in busy {
            if vital.protected {
                continue;
            }
            let fresh = Suspect { progress: vital.progress, since: now };
            let suspect = match self.suspects.get(&key) {
                Some(known) if known.progress == vital.progress => *known,
                Some(_) | None => fresh,
            };
            let silent_for = now.saturating_sub(suspect.since);
            if silent_for >= timeout && suspect.since < now {
                missed.push(Missed { key, silent_for });
            } else {
                suspects.insert(key, suspect);
            }
        }
        self.suspects = suspects;
        missed
    }

    /// How many agents are suspected at the moment.
    #[must_use]
    pub fn suspected(&self) -> usize {
        self.suspects.len()
    }
}

impl<K: Ord + Copy> Default for Heartbeats<K> {
    fn default() -> Self {
        Self::new()
    }
}
