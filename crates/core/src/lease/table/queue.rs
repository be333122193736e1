//! Who waits, and whose turn it is.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use super::{Locks, Terms};
use crate::lease::Event;

/// The place of a waiter: from 1 up for those who came to wait, from -1 down for those who preempt, so that
/// the newest preemptor, who has overcome all others, is first.
pub(super) type Ticket = i64;

#[derive(Debug, Clone)]
pub(super) struct Waiter<S, H> {
    pub(super) holder: H,
    pub(super) sections: BTreeSet<S>,
    pub(super) terms: Terms,
    pub(super) until: Option<Duration>,
}

impl<S: Ord + Clone + Debug, H: Ord + Clone> Locks<S, H> {
    /// Behind all others.
    pub(super) fn line_up(&mut self, waiter: Waiter<S, H>) -> Ticket {
        self.last_tickets.0 += 1;
        self.enqueue(self.last_tickets.0, waiter)
    }

    /// Before all others.
    pub(super) fn jump_in(&mut self, waiter: Waiter<S, H>) -> Ticket {
        self.last_tickets.1 -= 1;
        self.enqueue(self.last_tickets.1, waiter)
    }

    fn enqueue(&mut self, ticket: Ticket, waiter: Waiter<S, H>) -> Ticket {
        for section in &waiter.sections {
            self.queues.entry(section.clone()).or_default().insert(ticket);
        }
        if let Some(until) = waiter.until {
            self.wait_ends.insert((until, ticket));
        }
        self.ticket_of.insert(waiter.holder.clone(), ticket);
        self.waiting.insert(ticket, waiter);
        ticket
    }

    /// Removes one waiter from every queue.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Waiter<S, H> {
        let waiter = self.waiting.remove(&ticket).expect("invariant: only waiters leave");
        self.ticket_of.remove(&waiter.holder);
        if let Some(until) = waiter.until {
            self.wait_ends.remove(&(until, ticket));
        }
        for section in &waiter.sections {
            if let Some(queue) = self.queues.get_mut(section) {
                queue.remove(&ticket);
                if queue.is_empty() {
                    self.queues.remove(section);
                }
            }
        }
        waiter
    }

    /// Takes `holder` out of the queue; answers the sections that it leaves to others.
    pub(super) fn withdraw(&mut self, holder: &H, events: &mut Vec<Event<S, H>>) -> BTreeSet<S> {
        let Some(ticket) = self.ticket_of.get(holder).copied() else { return BTreeSet::new() };
        let Waiter { holder, sections, .. } = self.leave(ticket);
        events.push(Event::Withdrawn { holder, sections: sections.clone() });
        sections
    }

    /// Grants to whoever is first at all its sections, now that `touched` were freed or left.
    ///
    /// One pass is enough: only a first waiter at a touched section can have become ready, and a
    /// grant makes sections busy, so it makes nobody else ready.
    pub(super) fn serve(
        &mut self,
        touched: &BTreeSet<S>,
        now: Duration,
        events: &mut Vec<Event<S, H>>,
    ) {
        let first: BTreeSet<Ticket> =
            touched.iter().filter_map(|s| self.queues.get(s)?.first().copied()).collect();
        for ticket in first {
            let ready = self.waiting[&ticket].sections.iter().all(|section| {
                !self.held.contains_key(section) && self.queues[section].first() == Some(&ticket)
            });
            if ready {
                let Waiter { holder, sections, terms, .. } = self.leave(ticket);
                let grants = self.grant(&holder, &sections, terms, now);
                events.push(Event::Granted { holder, grants });
            }
        }
    }

    pub(super) fn position(&self, ticket: Ticket) -> usize {
        let sections = &self.waiting[&ticket].sections;
        let ahead = |s: &S| self.queues.get(s).map_or(0, |queue| queue.range(..ticket).count());
        1 + sections.iter().map(ahead).max().unwrap_or(0)
    }
}
