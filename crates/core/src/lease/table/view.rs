//! What others may know of a table.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use super::Locks;
use crate::lease::{Kept, Lease, Stale, Token};

/// All that is known of one section, for lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<'a, S, H> {
    /// The section.
    pub section: &'a S,
    /// Who holds it, how deep, since and until when.
    pub lease: Option<&'a Lease<H>>,
    /// Who waits for it: the next one first.
    pub waiters: Vec<&'a H>,
    /// Who means to work on it, ordered, and until when that is said.
    pub reservations: Vec<(&'a H, Duration)>,
}

impl<S: Ord + Clone + Debug, H: Ord + Clone> Locks<S, H> {
    /// Every section that somebody holds, waits for or has reserved, ordered by section. What is due and
    /// was not yet swept is included: see [`Self::expire`].
    pub fn rows(&self) -> impl Iterator<Item = Row<'_, S, H>> {
        let sections: BTreeSet<&S> =
            self.held.keys().chain(self.queues.keys()).chain(self.reserved.keys()).collect();
        sections.into_iter().map(|section| Row {
            section,
            lease: self.held.get(section).map(|held| &held.lease),
            waiters: self.waiters(section).collect(),
            reservations: self.reserved.get(section).map_or_else(Vec::new, |of_section| {
                of_section.iter().map(|(holder, held)| (holder, held.deadline)).collect()
            }),
        })
    }

    fn waiters(&self, section: &S) -> impl Iterator<Item = &H> {
        let tickets = self.queues.get(section).into_iter().flatten();
        tickets.map(|ticket| &self.waiting[ticket].holder)
    }

    /// Every lease, those included that are due and were not yet swept, by section.
    pub fn leases(&self) -> impl Iterator<Item = Kept<S, H>> {
        self.held.iter().map(|(section, held)| self.kept(section, held))
    }

    /// Whether `token` may write to `section` at `now`. Holds D2 and D3.
    ///
    /// # Errors
    /// [`Stale`] says why not.
    pub fn check(&self, section: &S, token: Token, now: Duration) -> Result<(), Stale> {
        self.current(section, token, now).map(drop)
    }

    /// The lease that `token` is good for.
    fn current(&self, section: &S, token: Token, now: Duration) -> Result<&Lease<H>, Stale> {
        let Some(lease) = self.held.get(section).map(|held| &held.lease) else {
            return Err(Stale::NotHeld { token });
        };
        let current = lease.token;
        if token < current {
            return Err(Stale::Superseded { token, current });
        }
        if token > current {
            return Err(Stale::NeverGiven { token, current });
        }
        if lease.deadline <= self.lease_time(now) {
            return Err(Stale::Expired { token, at: lease.deadline });
        }
        Ok(lease)
    }

    /// Like [`Self::check`], and the token must be this holder's: tokens are small numbers, which
    /// can be guessed.
    ///
    /// # Errors
    /// [`Stale`] says why not.
    pub fn check_holder(
        &self,
        section: &S,
        holder: &H,
        token: Token,
        now: Duration,
    ) -> Result<(), Stale> {
        let lease = self.current(section, token, now)?;
        if lease.holder == *holder { Ok(()) } else { Err(Stale::NotYours { token }) }
    }

    /// Who holds `section` at `now`.
    #[must_use]
    pub fn lease(&self, section: &S, now: Duration) -> Option<&Lease<H>> {
        let lease_now = self.lease_time(now);
        self.held.get(section).map(|held| &held.lease).filter(|lease| lease_now < lease.deadline)
    }

    /// What `holder` holds, expired leases that were not yet swept included, ordered by section.
    pub fn held_by(&self, holder: &H) -> impl Iterator<Item = &S> {
        self.held_by.get(holder).into_iter().flatten()
    }

    /// Everybody who holds, waits or has reserved, ordered.
    #[must_use]
    pub fn holders(&self) -> BTreeSet<&H> {
        let reserved = self.reserved_by.keys();
        self.held_by.keys().chain(self.ticket_of.keys()).chain(reserved).collect()
    }

    /// How many requests wait for `section`.
    #[must_use]
    pub fn n_waiting(&self, section: &S) -> usize {
        self.queues.get(section).map_or(0, BTreeSet::len)
    }

    /// The newest token, for [`Self::resume`].
    #[must_use]
    pub fn last_token(&self) -> Token {
        self.last_token
    }
}
