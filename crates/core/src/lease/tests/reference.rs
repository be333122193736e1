//! The locks of a document as plainly as can be said: lists, looked through from the start.

mod acts;

use std::cmp::Ordering;

use super::*;
use crate::lease::{Lease, OPS_MAX, Op, Over, PAST_OPS_MAX, PREEMPTORS_MAX, PreemptError, Rank};

type Ev = Event<u8, u8>;
type Asked = Result<Outcome<u8, u8>, RequestError<u8>>;

/// What is wanted, until when, and whether by preemption.
pub(super) type Waits = (Request<u8, u8>, Option<Duration>, Option<Over>);

#[derive(Default)]
pub(super) struct Reference {
    pub(super) limits: Limits,
    pub(super) locks: Vec<Lock>,
    pub(super) waits: Vec<Waits>,
    /// Section, holder, end, length.
    pub(super) intents: Vec<(u8, u8, Duration, Duration)>,
    pub(super) protected: Vec<u8>,
    pub(super) past: Vec<(u8, u8, Op)>,
    pub(super) token: u64,
    pub(super) paused: Option<Duration>,
}

pub(super) struct Lock {
    pub(super) s: u8,
    pub(super) lease: Lease<u8>,
    pub(super) told: Duration,
    pub(super) hold_max: Option<Duration>,
    pub(super) ops: Vec<Op>,
}

impl Reference {
    pub(super) fn clock(&self, now: Duration) -> Duration {
        self.paused.unwrap_or(now)
    }
    pub(super) fn on(&self, s: u8) -> Option<&Lock> {
        self.locks.iter().find(|l| l.s == s)
    }
    pub(super) fn end(&self, l: &Lock) -> Duration {
        if self.protected.contains(&l.lease.holder) { l.lease.hold_end } else { l.told }
    }
    pub(super) fn wanting(&self, s: u8) -> Vec<u8> {
        self.waits.iter().filter(|w| w.0.sections.contains(&s)).map(|w| w.0.holder).collect()
    }
    pub(super) fn remove(&mut self, s: u8) -> Lease<u8> {
        let l = self.locks.remove(self.locks.iter().position(|l| l.s == s).unwrap());
        for op in l.ops.into_iter().map(|op| (s, l.lease.holder, op)) {
            self.past.extend((!self.past.contains(&op)).then_some(op));
        }
        self.past.drain(..self.past.len().saturating_sub(PAST_OPS_MAX));
        l.lease
    }
    pub(super) fn end_due(&mut self, now: Duration, out: &mut Vec<Ev>) {
        for (w, ..) in self.waits.extract_if(.., |w| w.1.is_some_and(|until| until <= now)) {
            out.push(Event::WaitTimedOut { holder: w.holder, sections: w.sections });
        }
        let due = |l: &&Lock| self.end(l) <= self.clock(now);
        let ended: Vec<_> = self.locks.iter().filter(due).map(|l| (l.s, self.end(l))).collect();
        for (section, end) in ended {
            let Lease { holder, token, revoked_at, .. } = self.remove(section);
            out.push(match revoked_at {
                Some(at) if at == end => Event::Revoked { section, holder, token },
                _ => Event::Expired { section, holder, token },
            });
        }
        let clock = self.clock(now);
        self.end_intents(|_, _, end| end <= clock, out);
    }
    pub(super) fn end_intents(
        &mut self,
        over: impl Fn(u8, u8, Duration) -> bool,
        out: &mut Vec<Ev>,
    ) {
        for (section, holder, ..) in self.intents.extract_if(.., |i| over(i.0, i.1, i.2)) {
            out.push(Event::ReservationEnded { section, holder });
        }
    }
    /// Whoever wants nothing that is held or that one before it wants is served.
    pub(super) fn serve(&mut self, now: Duration, out: &mut Vec<Ev>) {
        let mut before = BTreeSet::new();
        for w in std::mem::take(&mut self.waits) {
            let wanted = w.0.sections.clone();
            if wanted.iter().all(|s| self.on(*s).is_none() && !before.contains(s)) {
                out.push(Event::Granted { holder: w.0.holder, grants: self.take(&w.0, now) });
            } else {
                before.extend(wanted);
                self.waits.push(w);
            }
        }
    }
    pub(super) fn take(&mut self, r: &Request<u8, u8>, now: Duration) -> Vec<Grant<u8>> {
        let (clock, op) = (self.clock(now), r.op.map(Op::Lock));
        let one = |&section: &u8| {
            if self.on(section).is_none() {
                self.token += 1;
                let hold = r.hold_max.unwrap_or(Duration::MAX).min(self.limits.hold_max);
                let (token, hold_end) = (Token::from_u64(self.token), clock + hold);
                let lease = Lease {
                    holder: r.holder,
                    token,
                    deadline: clock,
                    since: now,
                    length: clock,
                    hold_end,
                    depth: u32::from(op.is_none()),
                    rank: r.rank,
                    revoked_at: None,
                };
                self.locks.push(Lock {
                    s: section,
                    lease,
                    told: clock,
                    hold_max: r.hold_max,
                    ops: vec![],
                });
            }
            let l = self.locks.iter_mut().find(|l| l.s == section).unwrap();
            l.told = l.told.max((clock + r.lease).min(l.lease.hold_end));
            l.lease.length = l.told - clock;
            if let Some(op) = op.filter(|op| !l.ops.contains(op)) {
                l.lease.depth += 1;
                l.ops.push(op);
                l.ops.drain(..l.ops.len().saturating_sub(OPS_MAX));
            }
            Grant { section, token: l.lease.token, deadline: l.told + (now - clock) }
        };
        r.sections.iter().map(one).collect()
    }
    /// Whether it waits for just that already.
    fn consider(&self, r: &Request<u8, u8>) -> Result<bool, RequestError<u8>> {
        if let Some(w) = self.waits.iter().find(|w| w.0.holder == r.holder) {
            let waiting_for = w.0.sections.clone();
            let same = waiting_for == r.sections;
            return if same { Ok(true) } else { Err(RequestError::AlreadyWaiting { waiting_for }) };
        }
        for (section, op) in r.sections.iter().flat_map(|s| r.op.map(|op| (*s, op))) {
            let own = self.on(section).filter(|l| l.lease.holder == r.holder);
            if own.is_some_and(|l| l.ops.contains(&Op::Lock(op))) {
                continue;
            } else if self.past.contains(&(section, r.holder, Op::Lock(op))) {
                return Err(RequestError::Repeated { section, op });
            } else if own.is_some_and(|l| l.lease.depth == 32) {
                return Err(RequestError::TooDeep { section, depth: 32 });
            }
        }
        Ok(false)
    }
    fn place(&self, r: &Request<u8, u8>) -> Outcome<u8, u8> {
        let before = |s: &u8| self.wanting(*s).iter().position(|h| *h == r.holder).unwrap();
        Outcome::Queued { position: 1 + r.sections.iter().map(before).max().unwrap() }
    }
    /// Nobody waits who holds, nor where `max` of this kind wait.
    fn may_wait(
        &self,
        r: &Request<u8, u8>,
        wanted: u8,
        max: usize,
        kind: &dyn Fn(Option<Over>) -> bool,
    ) -> Result<(), RequestError<u8>> {
        if let Some(held) =
            self.locks.iter().filter(|l| l.lease.holder == r.holder).map(|l| l.s).min()
        {
            return Err(RequestError::WaitWhileHolding { held, wanted });
        }
        let others = |s: &u8| {
            self.waits
                .iter()
                .filter(|w| kind(w.2) && w.0.sections.contains(s) && w.0.holder != r.holder)
                .count()
        };
        match r.sections.iter().find(|s| others(s) >= max) {
            Some(s) => Err(RequestError::QueueFull { section: *s, len: others(s) }),
            None => Ok(()),
        }
    }
    pub(super) fn request(&mut self, r: Request<u8, u8>, now: Duration) -> Asked {
        if self.consider(&r)? {
            return Ok(self.place(&r));
        }
        let blocked =
            r.sections.iter().find_map(|s| match (self.on(*s), self.wanting(*s).first()) {
                (Some(l), _) if l.lease.holder == r.holder => None,
                (Some(l), _) => {
                    Some((*s, Busy::Held { holder: l.lease.holder, until: self.end(l) }))
                }
                (None, first) => first.map(|to| (*s, Busy::Promised { to: *to })),
            });
        let Some((section, busy)) = blocked else {
            return Ok(Outcome::Granted(self.take(&r, now)));
        };
        match r.on_busy {
            OnBusy::Queue { until } if until.is_none_or(|until| until > now) => {
                self.may_wait(&r, section, self.limits.waiters_max, &|_| true)?;
                self.waits.push((r.clone(), until, None));
                Ok(self.place(&r))
            }
            _ => Ok(Outcome::Denied { section, busy }),
        }
    }
    pub(super) fn preempt(
        &mut self,
        r: Request<u8, u8>,
        over: Over,
        grace: Duration,
        now: Duration,
        out: &mut Vec<Ev>,
    ) -> Result<Outcome<u8, u8>, PreemptError<u8, u8>> {
        self.consider(&r)?;
        for &section in r.sections.iter().filter(|_| over == Over::LowerRank) {
            let held = self.on(section).map(|l| (l.lease.holder, l.lease.rank));
            let mine =
                self.waits.iter().filter(|w| w.2.is_some() && w.0.sections.contains(&section));
            let mut all = held.into_iter().chain(mine.map(|w| (w.0.holder, w.0.rank)));
            if let Some((holder, rank)) = all
                .find(|(h, rank)| *h != r.holder && (r.rank, *rank) != (Rank::Person, Rank::Agent))
            {
                return Err(PreemptError::RankTooLow { section, holder, rank });
            }
        }
        let taken = |l: &Lock| r.sections.contains(&l.s) && l.lease.holder != r.holder;
        let first = self.locks.iter().filter(|l| taken(l)).map(|l| l.s).min();
        if let Some(first) = first.filter(|_| grace > Duration::ZERO) {
            self.may_wait(&r, first, PREEMPTORS_MAX, &|over| over.is_some())?;
        }
        self.waits.retain(|w| w.0.holder != r.holder);
        let clock = self.clock(now);
        for l in self.locks.iter_mut().filter(|l| taken(l)) {
            let at = l.lease.hold_end.min(clock + grace);
            if l.lease.revoked_at.is_none_or(|old| at < old) {
                (l.lease.revoked_at, l.lease.hold_end, l.told) = (Some(at), at, l.told.min(at));
                let (section, holder, token) = (l.s, l.lease.holder, l.lease.token);
                out.push(Event::Revoking { section, holder, token, at: at + (now - clock) });
            }
        }
        self.end_due(now, out);
        if first.is_none() || grace.is_zero() {
            return Ok(Outcome::Granted(self.take(&r, now)));
        }
        self.waits.insert(0, (r.clone(), None, Some(over)));
        Ok(self.place(&r))
    }
}
