//! Taking locks away.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use super::{Locks, Terms, Waiter};
use crate::lease::{
    Event, Outcome, Over, PREEMPTORS_MAX, PreemptError, Preempted, Request, RequestError, Step,
};

impl<S: Ord + Clone + Debug, H: Ord + Clone> Locks<S, H> {
    /// Asks for sections, all or none, and takes them from others who hold them: each is told at once
    /// ([`Event::Revoking`]) and keeps its lock until it releases it or `grace` ([`GRACE`](super::super::GRACE)
    /// is what people expect) is over ([`Event::Revoked`]); it can renew up to there and not further.
    /// The asker gets them before all waiters; the newest preemptor is first. Holds D4.
    ///
    /// [`Request::on_busy`] is not used: the asker waits until the last grace is over, at most. If it leaves
    /// before, what was announced still happens. A waiter may preempt what it waits for.
    ///
    /// # Errors
    /// In the answer: [`PreemptError`], when somebody does not give way; nothing changed.
    pub fn preempt(
        &mut self,
        request: Request<S, H>,
        over: Over,
        grace: Duration,
        now: Duration,
    ) -> Step<Preempted<S, H>, S, H> {
        let mut events = self.expire(now);
        let answer = self.take_over(request, over, grace, now, &mut events);
        Step { answer, events }
    }

    fn take_over(
        &mut self,
        request: Request<S, H>,
        over: Over,
        grace: Duration,
        now: Duration,
        events: &mut Vec<Event<S, H>>,
    ) -> Preempted<S, H> {
        let Request { holder, sections, lease, on_busy: _, hold_max, rank, op } = request;
        let terms = Terms { lease, hold_max, rank, op };
        let waits = self.waits_for(&holder, &sections, terms)?;
        if over == Over::LowerRank {
            sections.iter().try_for_each(|section| self.gives_way(section, &holder, terms))?;
        }
        let is_taken = |s: &&S| self.held.get(*s).is_some_and(|held| held.lease.holder != holder);
        let taken: BTreeSet<S> = sections.iter().filter(is_taken).cloned().collect();
        if let Some(first) = taken.first().filter(|_| !grace.is_zero()) {
            self.may_wait(&holder, first)?;
            self.has_room(&sections, waits)?;
        }
        if let Some(ticket) = waits {
            self.leave(ticket);
        }
        for section in &taken {
            self.revoke(section, grace, now, events);
        }
        if taken.is_empty() || grace.is_zero() {
            // Nobody else can have become ready: what was freed is granted here.
            self.sweep(now, events);
            return Ok(Outcome::Granted(self.grant(&holder, &sections, terms, now)));
        }
        let ticket = self.jump_in(Waiter { holder, sections, terms, until: None });
        Ok(Outcome::Queued { position: self.position(ticket) })
    }

    /// Whether whoever has `section`, or preempts it, is of lower rank.
    fn gives_way(&self, section: &S, holder: &H, terms: Terms) -> Result<(), PreemptError<S, H>> {
        let lease = self.held.get(section).map(|held| (&held.lease.holder, held.lease.rank));
        let preemptors = self.queues.get(section).into_iter().flat_map(|queue| queue.range(..0));
        let waiters = preemptors.map(|ticket| &self.waiting[ticket]);
        let mut all = lease.into_iter().chain(waiters.map(|w| (&w.holder, w.terms.rank)));
        match all.find(|(who, rank)| *who != holder && *rank >= terms.rank) {
            Some((who, rank)) => Err(PreemptError::RankTooLow {
                section: section.clone(),
                holder: who.clone(),
                rank,
            }),
            None => Ok(()),
        }
    }

    /// Whether one more preemptor may wait, which may be one already.
    fn has_room(&self, sections: &BTreeSet<S>, own: Option<i64>) -> Result<(), RequestError<S>> {
        for section in sections {
            let others = self
                .queues
                .get(section)
                .map_or(0, |queue| queue.range(..0).filter(|ticket| Some(**ticket) != own).count());
            if others >= PREEMPTORS_MAX {
                return Err(RequestError::QueueFull { section: section.clone(), len: others });
            }
        }
        Ok(())
    }

    /// Lets a lease end when `grace` is over, if it does not end earlier.
    fn revoke(
        &mut self,
        section: &S,
        grace: Duration,
        now: Duration,
        events: &mut Vec<Event<S, H>>,
    ) {
        let end = self.lease_time(now).saturating_add(grace);
        let held = self.held.get_mut(section).expect("invariant: only held sections are taken");
        let lease = &mut held.lease;
        let at = end.min(lease.hold_end);
        if lease.revoked_at.is_some_and(|earlier| earlier <= at) {
            return;
        }
        lease.revoked_at = Some(at);
        lease.hold_end = at;
        held.promised = held.promised.min(at);
        let (holder, token, deadline) = (lease.holder.clone(), lease.token, lease.deadline.min(at));
        self.move_deadline(section, deadline);
        let at = self.shown(at, now);
        events.push(Event::Revoking { section: section.clone(), holder, token, at });
    }
}
