//! The table behind [`Locks`].

mod clock;
mod hold;
mod preempt;
mod queue;
mod recent;
mod reserve;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::Duration;

use self::hold::Held;
use self::queue::{Ticket, Waiter};
use self::recent::Recent;
use self::reserve::Reservation;
pub use self::view::Row;
use super::{
    Busy, Change, DEPTH_MAX, Event, Kept, Limits, OnBusy, Op, OpId, Outcome, PAST_OPS_MAX, Rank,
    Request, RequestError, Stale, Step, Token,
};

/// What a request says about the leases that it wants.
#[derive(Debug, Clone, Copy)]
struct Terms {
    lease: Duration,
    hold_max: Option<Duration>,
    rank: Rank,
    op: Option<OpId>,
}

/// What ends by time, besides waits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Due<S, H> {
    Lease(S),
    Reservation(S, H),
}

/// The locks of one document. Holds D1 to D5 and the lock part of M13.
///
/// # Example
/// ```
/// use ggml_agent_core::lease::{Limits, Locks, OnBusy, Outcome, Request};
/// use std::time::Duration;
/// let s = Duration::from_secs;
/// let mut locks = Locks::new(Limits::DEFAULT);
/// let patient = OnBusy::Queue { until: None };
/// let ask = |holder| Request::new(holder, ["intro"].into(), s(30), patient);
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
    /// Of the newest waiter and of the newest preemptor.
    last_tickets: (Ticket, Ticket),
    held: BTreeMap<S, Held<H>>,
    held_by: BTreeMap<H, BTreeSet<S>>,
    waiting: BTreeMap<Ticket, Waiter<S, H>>,
    queues: BTreeMap<S, BTreeSet<Ticket>>,
    ticket_of: BTreeMap<H, Ticket>,
    reserved: BTreeMap<S, BTreeMap<H, Reservation>>,
    reserved_by: BTreeMap<H, BTreeSet<S>>,
    /// What ends by the time of leases, which stands still in a pause.
    deadlines: BTreeSet<(Duration, Due<S, H>)>,
    /// When waits end.
    wait_ends: BTreeSet<(Duration, Ticket)>,
    protected: BTreeSet<H>,
    paused_at: Option<Duration>,
    /// The operations of leases that have ended.
    past: Recent<(S, H, Op)>,
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
            last_tickets: (0, 0),
            held: BTreeMap::new(),
            held_by: BTreeMap::new(),
            waiting: BTreeMap::new(),
            queues: BTreeMap::new(),
            ticket_of: BTreeMap::new(),
            reserved: BTreeMap::new(),
            reserved_by: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            wait_ends: BTreeSet::new(),
            protected: BTreeSet::new(),
            paused_at: None,
            past: Recent::new(PAST_OPS_MAX),
            changes: None,
        }
    }

    /// A table with the leases that survived the coordinator before, each with its full length to live
    /// from `now` on: on which clock they began is forgotten, so none is shortened (D3). Nobody waits,
    /// nobody is protected, and nothing is being taken away: those who wanted that ask again.
    ///
    /// `leases` name each section once. Reservations follow by [`Self::restore_reserved`].
    #[must_use]
    pub fn restore(
        limits: Limits,
        last_token: Token,
        leases: impl IntoIterator<Item = Kept<S, H>>,
        now: Duration,
    ) -> Self {
        let mut table = Self::resume(limits, last_token);
        for kept in leases {
            table.last_token = table.last_token.max(kept.token);
            let (section, held) = Held::restore(kept, &limits, now);
            let (holder, deadline) = (held.lease.holder.clone(), held.lease.deadline);
            table.deadlines.insert((deadline, Due::Lease(section.clone())));
            table.held_by.entry(holder).or_default().insert(section.clone());
            table.held.insert(section, held);
        }
        table
    }

    /// From now on changes of leases are kept for [`Self::take_changes`].
    pub fn keep_changes(&mut self) {
        self.changes.get_or_insert_default();
    }

    /// What changed since the last call, in order: with the leases and reservations of then, and the newest
    /// token of them and these, [`Self::restore`] makes the table again. Waiters are not part of it.
    pub fn take_changes(&mut self) -> Vec<Change<S, H>> {
        self.changes.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Asks for sections, all or none. Holds D1, D4, D5.
    ///
    /// A holder that asks for what it holds gets the same token and a lease that is renewed, never
    /// shortened; with a new [`OpId`], it is one level deeper in it. A waiter that repeats its request keeps its place, lease and deadline. A wait whose
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
        let Request { holder, sections, lease, on_busy, hold_max, rank, op } = request;
        let terms = Terms { lease, hold_max, rank, op };
        if let Some(ticket) = self.waits_for(&holder, &sections, terms)? {
            return Ok(Outcome::Queued { position: self.position(ticket) });
        }
        let busy = sections.iter().find_map(|s| Some((s, self.busy(s, &holder)?)));
        let Some((section, busy)) = busy else {
            return Ok(Outcome::Granted(self.grant(&holder, &sections, terms, now)));
        };
        let section = section.clone();
        let until = match on_busy {
            OnBusy::Queue { until } if until.is_none_or(|until| now < until) => until,
            OnBusy::Queue { .. } | OnBusy::Deny => return Ok(Outcome::Denied { section, busy }),
        };
        self.may_wait(&holder, &section)?;
        if let Some(crowded) =
            sections.iter().find(|s| self.n_waiting(s) >= self.limits.waiters_max)
        {
            let len = self.n_waiting(crowded);
            return Err(RequestError::QueueFull { section: crowded.clone(), len });
        }
        let ticket = self.line_up(Waiter { holder, sections, terms, until });
        Ok(Outcome::Queued { position: self.position(ticket) })
    }

    /// Whether a request can be considered, and the ticket of the asker if it is waiting for just that.
    fn waits_for(
        &self,
        holder: &H,
        sections: &BTreeSet<S>,
        terms: Terms,
    ) -> Result<Option<Ticket>, RequestError<S>> {
        if sections.is_empty() {
            return Err(RequestError::NoSections);
        }
        if terms.lease.is_zero() || terms.hold_max.is_some_and(|hold| hold.is_zero()) {
            return Err(RequestError::ZeroLease);
        }
        if let Some(ticket) = self.ticket_of.get(holder) {
            let waiting_for = &self.waiting[ticket].sections;
            return if waiting_for == sections {
                Ok(Some(*ticket))
            } else {
                Err(RequestError::AlreadyWaiting { waiting_for: waiting_for.clone() })
            };
        }
        if let Some(op) = terms.op {
            sections.iter().try_for_each(|section| self.may_count(holder, section, op))?;
        }
        Ok(None)
    }

    /// Whether `op` may lock `section`, or has done so and it is still locked.
    fn may_count(&self, holder: &H, section: &S, op: OpId) -> Result<(), RequestError<S>> {
        let own = self.held.get(section).filter(|held| held.lease.holder == *holder);
        let repeats = own.is_some_and(|held| held.ops.contains(&Op::Lock(op)));
        if !repeats && self.past.contains(&(section.clone(), holder.clone(), Op::Lock(op))) {
            return Err(RequestError::Repeated { section: section.clone(), op });
        }
        let depth = own.map_or(0, |held| held.lease.depth);
        if !repeats && depth >= DEPTH_MAX {
            return Err(RequestError::TooDeep { section: section.clone(), depth });
        }
        Ok(())
    }

    /// A holder never waits (D5).
    fn may_wait(&self, holder: &H, wanted: &S) -> Result<(), RequestError<S>> {
        match self.held_by.get(holder).and_then(BTreeSet::first) {
            Some(held) => {
                Err(RequestError::WaitWhileHolding { held: held.clone(), wanted: wanted.clone() })
            }
            None => Ok(()),
        }
    }

    /// Gives a section back, or one level of it if it is held deeper. Holds D2.
    ///
    /// A repeated call is a second one here: see [`Self::release_once`].
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
        self.release_for(section, holder, token, None, now)
    }

    /// Like [`Self::release`], but the same operation does it only once: when it comes again it is
    /// answered in the same way and changes nothing. Holds D2.
    ///
    /// # Errors
    /// In the answer: [`Stale`], as [`Self::release`] has it.
    pub fn release_once(
        &mut self,
        section: &S,
        holder: &H,
        token: Token,
        op: OpId,
        now: Duration,
    ) -> Step<Result<(), Stale>, S, H> {
        self.release_for(section, holder, token, Some(Op::Release(op)), now)
    }

    fn release_for(
        &mut self,
        section: &S,
        holder: &H,
        token: Token,
        op: Option<Op>,
        now: Duration,
    ) -> Step<Result<(), Stale>, S, H> {
        let mut events = Vec::new();
        let mut touched = self.sweep(now, &mut events);
        let repeated = op.is_some_and(|op| self.remembers(section, holder, op));
        let answer = if repeated { Ok(()) } else { self.check_holder(section, holder, token, now) };
        if answer.is_ok() && !repeated && self.surface(section, op) {
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

    /// Whether `op` was carried out, as far as that is remembered.
    fn remembers(&self, section: &S, holder: &H, op: Op) -> bool {
        let own = self.held.get(section).filter(|held| held.lease.holder == *holder);
        own.is_some_and(|held| held.ops.contains(&op))
            || self.past.contains(&(section.clone(), holder.clone(), op))
    }

    /// Frees a section whoever holds it, for an operator; answers the token that is stale now, if any.
    pub fn force_release(&mut self, section: &S, now: Duration) -> Step<Option<Token>, S, H> {
        let mut events = Vec::new();
        let mut touched = self.sweep(now, &mut events);
        let answer = self.held.contains_key(section).then(|| {
            let lease = self.free(section);
            let (section, token) = (section.clone(), lease.token);
            touched.insert(section.clone());
            events.push(Event::Revoked { section, holder: lease.holder, token });
            token
        });
        self.serve(&touched, now, &mut events);
        Step { answer, events }
    }

    /// Moves the end of a lease to `lease` from now, never earlier than it was and never later than
    /// [`Request::hold_max`] after the grant; answers the new deadline. Holds D3.
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
            .map(|()| self.extend(section, lease, None, now).deadline);
        Step { answer, events }
    }

    /// Ends every lease and every wait whose deadline is not after `now`, and serves who is next.
    /// Holds D3.
    #[must_use = "the events tell waiters that it is their turn"]
    pub fn expire(&mut self, now: Duration) -> Vec<Event<S, H>> {
        let mut events = Vec::new();
        // Asked before everything that a document does, and hardly ever true.
        if !self.is_due(now) {
            return events;
        }
        let touched = self.sweep(now, &mut events);
        self.serve(&touched, now, &mut events);
        events
    }

    /// Frees what a dead or restarted holder held, forgets what it waited for and what it had reserved,
    /// and serves who is next. Holds D3 and M13.
    #[must_use = "the events tell waiters that it is their turn"]
    pub fn drop_holder(&mut self, holder: &H, now: Duration) -> Vec<Event<S, H>> {
        let mut events = Vec::new();
        // Withdrawn first: what becomes free in this call must not be granted to the dead.
        let mut touched = self.withdraw(holder, &mut events);
        touched.append(&mut self.sweep(now, &mut events));
        for section in self.held_by.get(holder).cloned().unwrap_or_default() {
            let lease = self.free(&section);
            let (holder, token) = (lease.holder, lease.token);
            events.push(Event::Lost { section: section.clone(), holder, token });
            touched.insert(section);
        }
        for section in self.reserved_by.get(holder).cloned().unwrap_or_default() {
            self.end_reservation(&section, holder, &mut events);
        }
        self.protected.remove(holder);
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

    /// Ends what is due; answers the sections that this frees or leaves to others.
    ///
    /// Waits end before leases, so that a waiter whose time is over never gets a lock that nobody will
    /// use (etcd#11456).
    fn sweep(&mut self, now: Duration, events: &mut Vec<Event<S, H>>) -> BTreeSet<S> {
        let mut touched = BTreeSet::new();
        while let Some(&(at, ticket)) = self.wait_ends.first()
            && at <= now
        {
            let Waiter { holder, sections, .. } = self.leave(ticket);
            touched.extend(sections.iter().cloned());
            events.push(Event::WaitTimedOut { holder, sections });
        }
        let lease_now = self.lease_time(now);
        while self.deadlines.first().is_some_and(|(at, _)| *at <= lease_now) {
            match self.deadlines.pop_first() {
                Some((_, Due::Lease(section))) => {
                    let lease = self.free(&section);
                    touched.insert(section.clone());
                    let (holder, token) = (lease.holder, lease.token);
                    events.push(if lease.revoked_at.is_some_and(|at| at <= lease.deadline) {
                        Event::Revoked { section, holder, token }
                    } else {
                        Event::Expired { section, holder, token }
                    });
                }
                Some((_, Due::Reservation(section, holder))) => {
                    self.end_reservation(&section, &holder, events);
                }
                None => unreachable!("the loop saw a first deadline"),
            }
        }
        touched
    }

    /// Who keeps `holder` from having `section` at once. Expired leases have been swept.
    fn busy(&self, section: &S, holder: &H) -> Option<Busy<H>> {
        match self.held.get(section).map(|held| &held.lease) {
            Some(lease) if lease.holder == *holder => None,
            Some(lease) => Some(Busy::Held { holder: lease.holder.clone(), until: lease.deadline }),
            None => {
                let first = self.queues.get(section)?.first()?;
                Some(Busy::Promised { to: self.waiting[first].holder.clone() })
            }
        }
    }
}
