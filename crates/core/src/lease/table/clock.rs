//! When the time of a lease does not count.

use std::fmt::Debug;
use std::time::Duration;

use super::Locks;
use crate::lease::{Event, PROTECTED_MAX, Step, TooManyProtected};

impl<S: Ord + Clone + Debug, H: Ord + Clone> Locks<S, H> {
    /// From now on no lease, no reservation and no grace ends by time, until [`Self::resume_leases`]: for a
    /// coordinator that cannot keep anything at the moment, so that nobody loses a lock because its renewal
    /// cannot be answered (etcd#15247). Waits end as usual. A pause in a pause changes nothing. Holds D3.
    ///
    /// What was due before still ends, which the events say.
    #[must_use = "the events tell waiters that it is their turn"]
    pub fn pause_leases(&mut self, now: Duration) -> Vec<Event<S, H>> {
        let events = self.expire(now);
        self.paused_at.get_or_insert(now);
        events
    }

    /// Lets the time of leases go on: each deadline has moved by the length of the pause, or of the part
    /// of it after which it was given. Without a pause nothing changes. Holds D3.
    #[must_use = "the events tell waiters that it is their turn"]
    pub fn resume_leases(&mut self, now: Duration) -> Vec<Event<S, H>> {
        let pause = now.saturating_sub(self.lease_time(now));
        if self.paused_at.take().is_some() {
            let later = |at: Duration| at.saturating_add(pause);
            for held in self.held.values_mut() {
                held.promised = later(held.promised);
                held.lease.deadline = later(held.lease.deadline);
                held.lease.hold_end = later(held.lease.hold_end);
                held.lease.revoked_at = held.lease.revoked_at.map(later);
            }
            for reservation in self.reserved.values_mut().flat_map(|of| of.values_mut()) {
                reservation.deadline = later(reservation.deadline);
            }
            let deadlines = std::mem::take(&mut self.deadlines);
            self.deadlines = deadlines.into_iter().map(|(at, due)| (later(at), due)).collect();
        }
        self.expire(now)
    }

    /// From now on the leases of `holder` do not end for want of a renewal, those that it gets later
    /// included: it is known to be at work. They still end with the hold ([`Request::hold_max`], or the
    /// grace of a preemption), and with their holder. Does nothing for one that is protected. Holds D3.
    ///
    /// [`Request::hold_max`]: super::super::Request::hold_max
    ///
    /// # Errors
    /// In the answer: [`TooManyProtected`]; nothing changed.
    pub fn protect(
        &mut self,
        holder: &H,
        now: Duration,
    ) -> Step<Result<(), TooManyProtected>, S, H> {
        let events = self.expire(now);
        let len = self.protected.len();
        if !self.protected.contains(holder) && len >= PROTECTED_MAX {
            return Step { answer: Err(TooManyProtected { len }), events };
        }
        if self.protected.insert(holder.clone()) {
            for section in self.held_by.get(holder).cloned().unwrap_or_default() {
                let hold_end = self.held[&section].lease.hold_end;
                self.move_deadline(&section, hold_end);
            }
        }
        Step { answer: Ok(()), events }
    }

    /// Ends what [`Self::protect`] began: each lease of `holder` lasts for its length from now, as if it
    /// had just been renewed.
    #[must_use = "the events tell waiters that it is their turn"]
    pub fn unprotect(&mut self, holder: &H, now: Duration) -> Vec<Event<S, H>> {
        let events = self.expire(now);
        if self.protected.remove(holder) {
            let lease_now = self.lease_time(now);
            for section in self.held_by.get(holder).cloned().unwrap_or_default() {
                let Some(held) = self.held.get_mut(&section) else { continue };
                let renewed = lease_now.saturating_add(held.lease.length).max(held.promised);
                held.promised = renewed.min(held.lease.hold_end);
                let promised = held.promised;
                self.move_deadline(&section, promised);
            }
        }
        events
    }

    /// The moment at which [`Self::expire`] has something to do; `None` when nothing ends by time.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let lease = self.deadlines.first().map(|(at, _)| *at).filter(|_| self.paused_at.is_none());
        let wait = self.wait_ends.first().map(|(at, _)| *at);
        lease.into_iter().chain(wait).min()
    }

    /// Whether something ends by `now`.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.wait_ends.first().is_some_and(|(at, _)| *at <= now)
            || self.deadlines.first().is_some_and(|(at, _)| *at <= self.lease_time(now))
    }

    /// The time that counts for leases: it stands still in a pause.
    pub(super) fn lease_time(&self, now: Duration) -> Duration {
        self.paused_at.map_or(now, |at| at.min(now))
    }

    /// A moment in the time of leases, as it will be on the clock if a pause ends now.
    pub(super) fn shown(&self, at: Duration, now: Duration) -> Duration {
        at.saturating_add(now.saturating_sub(self.lease_time(now)))
    }
}
