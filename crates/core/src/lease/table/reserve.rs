//! Intents: what somebody means to work on.

use std::fmt::Debug;
use std::time::Duration;

use super::{Due, Locks};
use crate::lease::{Change, Event, RESERVATIONS_MAX, ReserveError, Step};

#[derive(Debug, Clone, Copy)]
pub(super) struct Reservation {
    pub(super) deadline: Duration,
    /// How long it had to live when it was said last.
    pub(super) length: Duration,
}

impl<S: Ord + Clone + Debug, H: Ord + Clone> Locks<S, H> {
    /// Says that `holder` means to work on `section`, for `lease` from now, or for longer than it said
    /// before; answers until when. Others see it in [`Self::rows`]; it keeps nobody from anything, and
    /// ends like a lease: by time, with its holder, or by [`Self::unreserve`].
    ///
    /// `lease` is cut to [`Limits::hold_max`](super::super::Limits::hold_max); it may be said again for ever.
    ///
    /// # Errors
    /// In the answer: [`ReserveError`]; nothing changed.
    pub fn reserve(
        &mut self,
        section: &S,
        holder: &H,
        lease: Duration,
        now: Duration,
    ) -> Step<Result<Duration, ReserveError<S>>, S, H> {
        let events = self.expire(now);
        Step { answer: self.intend(section, holder, lease, now), events }
    }

    fn intend(
        &mut self,
        section: &S,
        holder: &H,
        lease: Duration,
        now: Duration,
    ) -> Result<Duration, ReserveError<S>> {
        if lease.is_zero() {
            return Err(ReserveError::ZeroLease);
        }
        let lease_now = self.lease_time(now);
        let reserved = self.reserved.get(section);
        let old = reserved.and_then(|of_section| of_section.get(holder)).map(|old| old.deadline);
        let len = reserved.map_or(0, |of_section| of_section.len());
        if old.is_none() && len >= RESERVATIONS_MAX {
            return Err(ReserveError::TooMany { section: section.clone(), len });
        }
        let new = lease_now.saturating_add(lease.min(self.limits.hold_max));
        let deadline = old.map_or(new, |old| old.max(new));
        let length = deadline.saturating_sub(lease_now);
        let due = || Due::Reservation(section.clone(), holder.clone());
        if let Some(old) = old {
            self.deadlines.remove(&(old, due()));
        }
        self.deadlines.insert((deadline, due()));
        let of_section = self.reserved.entry(section.clone()).or_default();
        of_section.insert(holder.clone(), Reservation { deadline, length });
        self.reserved_by.entry(holder.clone()).or_default().insert(section.clone());
        self.note(Change::Reserved { section: section.clone(), holder: holder.clone(), length });
        Ok(self.shown(deadline, now))
    }

    /// Takes a reservation back; answers whether there was one.
    pub fn unreserve(&mut self, section: &S, holder: &H, now: Duration) -> Step<bool, S, H> {
        let mut events = self.expire(now);
        let answer =
            self.reserved_by.get(holder).is_some_and(|sections| sections.contains(section));
        if answer {
            self.end_reservation(section, holder, &mut events);
        }
        Step { answer, events }
    }

    /// Every reservation, as [`Self::restore_reserved`] takes it: whose, and how long it had to live when it
    /// was said last.
    pub fn reserved(&self) -> impl Iterator<Item = ((S, H), Duration)> {
        self.reserved.iter().flat_map(|(section, of_section)| {
            let one = |(holder, held): (&H, &Reservation)| {
                ((section.clone(), holder.clone()), held.length)
            };
            of_section.iter().map(one)
        })
    }

    /// Makes reservations of an earlier life again, each with its full length to live; those that are too
    /// many or too short are left out.
    pub fn restore_reserved(
        &mut self,
        reserved: impl IntoIterator<Item = ((S, H), Duration)>,
        now: Duration,
    ) {
        for ((section, holder), length) in reserved {
            // An intent that is lost is said again with its next renewal.
            drop(self.intend(&section, &holder, length, now));
        }
    }

    pub(super) fn end_reservation(
        &mut self,
        section: &S,
        holder: &H,
        events: &mut Vec<Event<S, H>>,
    ) {
        let of_section = self.reserved.get_mut(section).expect("invariant: it is reserved");
        let old = of_section.remove(holder).expect("invariant: it is reserved by that holder");
        if of_section.is_empty() {
            self.reserved.remove(section);
        }
        if let Some(sections) = self.reserved_by.get_mut(holder) {
            sections.remove(section);
            if sections.is_empty() {
                self.reserved_by.remove(holder);
            }
        }
        let (section, holder) = (section.clone(), holder.clone());
        self.deadlines.remove(&(old.deadline, Due::Reservation(section.clone(), holder.clone())));
        self.note(Change::Unreserved { section: section.clone(), holder: holder.clone() });
        events.push(Event::ReservationEnded { section, holder });
    }
}
