//! The table behind [`Locks`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::Duration;

use super::{
    Busy, Change, Event, Grant, Kept, Lease, Limits, OnBusy, Outcome, Request, RequestError, Stale,
    Step, Token,
};

/// Order of arrival of a waiter.
type Ticket = u64;

#[derive(Debug, Clone)]
struct Waiter<S, H> {
    holder: H,
    sections: BTreeSet<S>,
    lease: Duration,
    until: Option<Duration>,
}

/// What is due at a deadline. At the same moment waits end before leases, so that a waiter whose time
/// is over never gets a lock that nobody will use (etcd#11456).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Due<S> {
    Wait(Ticket),
    Lease(S),
}

/// The locks of one document. Holds D1 to D5 and the lock part of M13.
///
/// # Example
/// ```
/// use ggml_agent_core::lease::{Limits, Locks, OnBusy, Outcome, Request};
/// use std::time::Duration;
/// let s = Duration::from_secs;
/// let mut locks = Locks::new(Limits::DEFAULT);
/// let ask = |holder| Request {
///     holder,
///     sections: ["intro"].into(),
///     lease: s(30),
///     on_busy: OnBusy::Queue { until: None },
/// };
/// assert!(matches!(locks.request(ask("writer-1"), s(0)).answer, Ok(Outcome::Granted(_))));
/// assert_eq!(locks.request(ask("writer-2"), s(1)).answer, Ok(Outcome::Queued { position: 1 }));
/// // writer-1 dies: writer-2 has the lock at once, with a larger token.
/// let events = locks.drop_holder(&"writer-1", s(2));
/// assert_eq!(events.len(), 2);
/// assert_eq!(locks.lease(&"intro", s(2)).unwrap().holder, "writer-2");
/// ```
#[derive(Debug, Clone)]
pub struct Locks<S, H> {
    limits: Limits,
    last_token: Token,
    last_ticket: Ticket,
    held: BTreeMap<S, Lease<H>>,
    held_by: BTreeMap<H, BTreeSet<S>>,
    waiting: BTreeMap<Ticket, Waiter<S, H>>,
    queues: BTreeMap<S, BTreeSet<Ticket>>,
    ticket_of: BTreeMap<H, Ticket>,
    deadlines: BTreeSet<(Duration, Due<S>)>,
    /// What changed since it was taken last, if anybody takes it.
    changes: Option<Vec<Change<S, H>>>,
}

impl<S: Ord + Clone + Debug, H: Ord + Clone> Locks<S, H> {
    /// An empty table.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self::resume(limits, Token::NONE)
    }

    /// An empty table whose next token is larger than `last_token`: after a restart of the
    /// coordinator all leases are gone, and what was written with their tokens stays refused (D2).
    #[must_use]
    pub fn resume(limits: Limits, last_token: Token) -> Self {
        Self {
            limits,
            last_token,
            last_ticket: 0,
            held: BTreeMap::new(),
            held_by: BTreeMap::new(),
            waiting: BTreeMap::new(),
            queues: BTreeMap::new(),
            ticket_of: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            changes: None,
        }
    }

    /// A table with the leases that survived the coordinator before, each with its full length to live
    /// from `now` on: on which clock they began is forgotten, so none is shortened (D3). Nobody waits.
    ///
    /// `leases` name each section once.
    #[must_use]
    pub fn restore(
        limits: Limits,
        last_token: Token,
        leases: impl IntoIterator<Item = Kept<S, H>>,
        now: Duration,
    ) -> Self {
        let mut table = Self::resume(limits, last_token);
        for Kept { section, holder, token, length } in leases {
            table.last_token = table.last_token.max(token);
            let deadline = now.saturating_add(length);
            table.deadlines.insert((deadline, Due::Lease(section.clone())));
            table.held_by.entry(holder.clone()).or_default().insert(section.clone());
            table.held.insert(section, Lease { holder, token, deadline, since: now, length });
        }
        table
    }

    /// From now on changes of leases are kept for [`Self::take_changes`].
    pub fn keep_changes(&mut self) {
        self.changes.get_or_insert_default();
    }

    /// What changed since the last call, in order: with the leases of then, and the newest token of them
    /// and these, [`Self::restore`] makes the table again. Waiters are not part of it.
    pub fn take_changes(&mut self) -> Vec<Change<S, H>> {
        self.changes.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Every lease, those included that are due and were not yet swept, by section.
    pub fn leases(&self) -> impl Iterator<Item = Kept<S, H>> {
        self.held.iter().map(|(section, lease)| Kept {
            section: section.clone(),
            holder: lease.holder.clone(),
            token: lease.token,
            length: lease.length,
        })
    }

    /// Asks for sections, all or none. Holds D1, D4, D5.
    ///
    /// A holder that asks for what it holds gets the same token and a lease that is renewed, never
    /// shortened. A waiter that repeats its request keeps its place, lease and deadline. A wait whose
    /// `until` is not in the future is denied like [`OnBusy::Deny`].
    ///
    /// # Errors
    /// In the answer: [`RequestError`], when the request cannot be considered; nothing changed.
    pub fn request(
        &mut self,
        request: Request<S, H>,
        now: Duration,
    ) -> Step<Result<Outcome<S, H>, RequestError<S>>, S, H> {
        let events = self.expire(now);
        Step { answer: self.admit(request, now), events }
    }

    fn admit(
        &mut self,
        request: Request<S, H>,
        now: Duration,
    ) -> Result<Outcome<S, H>, RequestError<S>> {
        let Request { holder, sections, lease, on_busy } = request;
        if sections.is_empty() {
            return Err(RequestError::NoSections);
        }
        if lease.is_zero() {
            return Err(RequestError::ZeroLease);
        }
        if let Some(ticket) = self.ticket_of.get(&holder) {
            let waiting_for = &self.waiting[ticket].sections;
            return if *waiting_for == sections {
                Ok(Outcome::Queued { position: self.position(*ticket) })
            } else {
                Err(RequestError::AlreadyWaiting { waiting_for: waiting_for.clone() })
            };
        }
        let busy = sections.iter().find_map(|s| Some((s, self.busy(s, &holder)?)));
        let Some((section, busy)) = busy else {
            return Ok(Outcome::Granted(self.grant(&holder, &sections, lease, now)));
        };
        let section = section.clone();
        let until = match on_busy {
            OnBusy::Queue { until } if until.is_none_or(|until| now < until) => until,
            OnBusy::Queue { .. } | OnBusy::Deny => return Ok(Outcome::Denied { section, busy }),
        };
        if let Some(held) = self.held_by.get(&holder).and_then(BTreeSet::first) {
            return Err(RequestError::WaitWhileHolding { held: held.clone(), wanted: section });
        }
        if let Some(crowded) =
            sections.iter().find(|s| self.n_waiting(s) >= self.limits.waiters_max)
        {
            let len = self.n_waiting(crowded);
            return Err(RequestError::QueueFull { section: crowded.clone(), len });
        }
        let ticket = self.enqueue(Waiter { holder, sections, lease, until });
        Ok(Outcome::Queued { position: self.position(ticket) })
    }

    /// Gives a section back. Holds D2.
    ///
    /// # Errors
    /// In the answer: [`Stale`], when the token is not the current one of this holder; then nothing
    /// is freed, so that a late or repeated release never takes a newer lock away (etcd#22082).
    pub fn release(
        &mut self,
        section: &S,
        holder: &H,
        token: Token,
        now: Duration,
    ) -> Step<Result<(), Stale>, S, H> {
        let mut events = Vec::new();
        let mut touched = self.sweep(now, &mut events);
        let answer = self.check_holder(section, holder, token, now);
        if answer.is_ok() {
            self.free(section);
            touched.insert(section.clone());
            events.push(Event::Released {
                section: section.clone(),
                holder: holder.clone(),
                token,
            });
        }
        self.serve(&touched, now, &mut events);
        Step { answer, events }
    }

    /// Moves the end of a lease to `lease` from now, never earlier than it was and never later than
    /// [`Limits::hold_max`] after the grant; answers the new deadline. Holds D3.
    ///
    /// # Errors
    /// In the answer: [`Stale`], when the token is not the current one of this holder.
    pub fn renew(
        &mut self,
        section: &S,
        holder: &H,
        token: Token,
        lease: Duration,
        now: Duration,
    ) -> Step<Result<Duration, Stale>, S, H> {
        let events = self.expire(now);
        let answer = self
            .check_holder(section, holder, token, now)
            .map(|()| self.hold(holder, section, lease, now).deadline);
        Step { answer, events }
    }

    /// Ends every lease and every wait whose deadline is not after `now`, and serves who is next.
    /// Holds D3.
    #[must_use = "the events tell waiters that it is their turn"]
    pub fn expire(&mut self, now: Duration) -> Vec<Event<S, H>> {
        let mut events = Vec::new();
        let touched = self.sweep(now, &mut events);
        self.serve(&touched, now, &mut events);
        events
    }

    /// Frees what a dead or restarted holder held, forgets what it waited for, and serves who is
    /// next. Holds D3 and M13.
    #[must_use = "the events tell waiters that it is their turn"]
    pub fn drop_holder(&mut self, holder: &H, now: Duration) -> Vec<Event<S, H>> {
        let mut events = Vec::new();
        // Withdrawn first: what becomes free in this call must not be granted to the dead.
        let mut touched = self.withdraw(holder, &mut events);
        touched.append(&mut self.sweep(now, &mut events));
        for section in self.held_by.get(holder).cloned().unwrap_or_default() {
            let Lease { holder, token, .. } = self.free(&section);
            events.push(Event::Lost { section: section.clone(), holder, token });
            touched.insert(section);
        }
        self.serve(&touched, now, &mut events);
        events
    }

    /// Takes a waiter's request back; answers whether there was one.
    pub fn cancel(&mut self, holder: &H, now: Duration) -> Step<bool, S, H> {
        let mut events = Vec::new();
        let mut touched = self.withdraw(holder, &mut events);
        let answer = !touched.is_empty();
        touched.append(&mut self.sweep(now, &mut events));
        self.serve(&touched, now, &mut events);
        Step { answer, events }
    }

    /// Whether `token` may write to `section` at `now`. Holds D2 and D3.
    ///
    /// # Errors
    /// [`Stale`] says why not.
    pub fn check(&self, section: &S, token: Token, now: Duration) -> Result<(), Stale> {
        let Some(lease) = self.held.get(section) else { return Err(Stale::NotHeld { token }) };
        let current = lease.token;
        if token < current {
            return Err(Stale::Superseded { token, current });
        }
        if token > current {
            return Err(Stale::NeverGiven { token, current });
        }
        if lease.deadline <= now {
            return Err(Stale::Expired { token, at: lease.deadline });
        }
        Ok(())
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
        self.check(section, token, now)?;
        if self.held.get(section).is_some_and(|lease| lease.holder == *holder) {
            Ok(())
        } else {
            Err(Stale::NotYours { token })
        }
    }

    /// The moment at which [`Self::expire`] has something to do; `None` when nothing is held or waits
    /// with a deadline.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Who holds `section` at `now`.
    #[must_use]
    pub fn lease(&self, section: &S, now: Duration) -> Option<&Lease<H>> {
        self.held.get(section).filter(|lease| now < lease.deadline)
    }

    /// What `holder` holds, expired leases that were not yet swept included, ordered by section.
    pub fn held_by(&self, holder: &H) -> impl Iterator<Item = &S> {
        self.held_by.get(holder).into_iter().flatten()
    }

    /// Every holder and waiter, ordered.
    #[must_use]
    pub fn holders(&self) -> BTreeSet<&H> {
        self.held_by.keys().chain(self.ticket_of.keys()).collect()
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

    /// Ends what is due; answers the sections that this frees or leaves to others.
    fn sweep(&mut self, now: Duration, events: &mut Vec<Event<S, H>>) -> BTreeSet<S> {
        let mut touched = BTreeSet::new();
        while self.deadlines.first().is_some_and(|(at, _)| *at <= now) {
            match self.deadlines.pop_first() {
                Some((_, Due::Wait(ticket))) => {
                    let Waiter { holder, sections, .. } = self.leave(ticket);
                    touched.extend(sections.iter().cloned());
                    events.push(Event::WaitTimedOut { holder, sections });
                }
                Some((_, Due::Lease(section))) => {
                    let Lease { holder, token, .. } = self.free(&section);
                    touched.insert(section.clone());
                    events.push(Event::Expired { section, holder, token });
                }
                None => unreachable!("the loop saw a first deadline"),
            }
        }
        touched
    }

    /// Who keeps `holder` from having `section` at once. Expired leases have been swept.
    fn busy(&self, section: &S, holder: &H) -> Option<Busy<H>> {
        match self.held.get(section) {
            Some(lease) if lease.holder == *holder => None,
            Some(lease) => Some(Busy::Held { holder: lease.holder.clone(), until: lease.deadline }),
            None => {
                let first = self.queues.get(section)?.first()?;
                Some(Busy::Promised { to: self.waiting[first].holder.clone() })
            }
        }
    }

    fn grant(
        &mut self,
        holder: &H,
        sections: &BTreeSet<S>,
        lease: Duration,
        now: Duration,
    ) -> Vec<Grant<S>> {
        sections.iter().map(|section| self.hold(holder, section, lease, now)).collect()
    }

    /// Makes or renews one lease. The caller has made sure that nobody else holds the section.
    fn hold(&mut self, holder: &H, section: &S, lease: Duration, now: Duration) -> Grant<S> {
        let hold_max = self.limits.hold_max;
        let end = |since: Duration| now.saturating_add(lease).min(since.saturating_add(hold_max));
        let (token, deadline) = if let Some(old) = self.held.get_mut(section) {
            self.deadlines.remove(&(old.deadline, Due::Lease(section.clone())));
            old.deadline = old.deadline.max(end(old.since));
            old.length = old.deadline.saturating_sub(now);
            (old.token, old.deadline)
        } else {
            self.last_token = self.last_token.next();
            let new = Lease {
                holder: holder.clone(),
                token: self.last_token,
                deadline: end(now),
                since: now,
                length: end(now).saturating_sub(now),
            };
            let grant = (new.token, new.deadline);
            self.held.insert(section.clone(), new);
            self.held_by.entry(holder.clone()).or_default().insert(section.clone());
            grant
        };
        self.deadlines.insert((deadline, Due::Lease(section.clone())));
        if let Some(changes) = &mut self.changes {
            changes.push(Change::Held(Kept {
                section: section.clone(),
                holder: holder.clone(),
                token,
                length: deadline.saturating_sub(now),
            }));
        }
        Grant { section: section.clone(), token, deadline }
    }

    /// Ends one lease.
    fn free(&mut self, section: &S) -> Lease<H> {
        let lease = self.held.remove(section).expect("invariant: only held sections are freed");
        if let Some(changes) = &mut self.changes {
            changes.push(Change::Free { section: section.clone() });
        }
        self.deadlines.remove(&(lease.deadline, Due::Lease(section.clone())));
        if let Some(sections) = self.held_by.get_mut(&lease.holder) {
            sections.remove(section);
            if sections.is_empty() {
                self.held_by.remove(&lease.holder);
            }
        }
        lease
    }

    fn enqueue(&mut self, waiter: Waiter<S, H>) -> Ticket {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        for section in &waiter.sections {
            self.queues.entry(section.clone()).or_default().insert(ticket);
        }
        if let Some(until) = waiter.until {
            self.deadlines.insert((until, Due::Wait(ticket)));
        }
        self.ticket_of.insert(waiter.holder.clone(), ticket);
        self.waiting.insert(ticket, waiter);
        ticket
    }

    /// Removes one waiter from every queue.
    fn leave(&mut self, ticket: Ticket) -> Waiter<S, H> {
        let waiter = self.waiting.remove(&ticket).expect("invariant: only waiters leave");
        self.ticket_of.remove(&waiter.holder);
        if let Some(until) = waiter.until {
            self.deadlines.remove(&(until, Due::Wait(ticket)));
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
    fn withdraw(&mut self, holder: &H, events: &mut Vec<Event<S, H>>) -> BTreeSet<S> {
        let Some(ticket) = self.ticket_of.get(holder).copied() else { return BTreeSet::new() };
        let Waiter { holder, sections, .. } = self.leave(ticket);
        events.push(Event::Withdrawn { holder, sections: sections.clone() });
        sections
    }

    /// Grants to whoever is first at all its sections, now that `touched` were freed or left.
    ///
    /// One pass is enough: only a first waiter at a touched section can have become ready, and a
    /// grant makes sections busy, so it makes nobody else ready.
    fn serve(&mut self, touched: &BTreeSet<S>, now: Duration, events: &mut Vec<Event<S, H>>) {
        let first: BTreeSet<Ticket> =
            touched.iter().filter_map(|s| self.queues.get(s)?.first().copied()).collect();
        for ticket in first {
            let ready = self.waiting[&ticket].sections.iter().all(|section| {
                !self.held.contains_key(section) && self.queues[section].first() == Some(&ticket)
            });
            if ready {
                let Waiter { holder, sections, lease, .. } = self.leave(ticket);
                let grants = self.grant(&holder, &sections, lease, now);
                events.push(Event::Granted { holder, grants });
            }
        }
    }

    fn position(&self, ticket: Ticket) -> usize {
        let sections = &self.waiting[&ticket].sections;
        let ahead = |s: &S| self.queues.get(s).map_or(0, |queue| queue.range(..ticket).count());
        1 + sections.iter().map(ahead).max().unwrap_or(0)
    }
}
