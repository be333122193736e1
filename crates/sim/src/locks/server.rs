//! The coordinator: a lock table and one register per section, in one turn per message.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ggml_agent_core::lease::{
    Change, Event, GRACE, Grant, Kept, Limits, Locks, OnBusy, OpId, Outcome as Asked, Over, Rank,
    Request, Token,
};

use super::wgl::Seen;
use super::{Fencing, N_SECTIONS, Outcome, Violation};

/// A client in one of its lives.
pub(super) type Holder = (u8, u32);

/// Short holds, so that they end within a world.
const LIMITS: Limits = Limits { hold_max: Duration::from_secs(6), waiters_max: 8 };

/// What a client sends.
#[derive(Debug, Clone)]
pub(super) enum Command {
    Lock { sections: BTreeSet<u8>, op: u32, lease: Duration, until: Duration },
    Preempt { sections: BTreeSet<u8>, op: u32, lease: Duration },
    Cancel,
    Renew { section: u8, token: Token, lease: Duration },
    Release { section: u8, token: Token, op: u32 },
    Read { section: u8, ask: u32 },
    Append { section: u8, token: Token, id: u32 },
}

/// What it hears.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    Locked(Vec<Grant<u8>>),
    NotLocked { op: u32 },
    Read { ask: u32, saw: Seen },
    Appended { id: u32 },
    Stale { id: u32 },
}

pub(super) struct Server {
    fencing: Fencing,
    locks: Locks<u8, Holder>,
    registers: [Seen; N_SECTIONS as usize],
    /// Appends that were carried out, so that a repeated one is no second one.
    done: BTreeSet<u32>,
    /// Of each client the life that counts.
    alive: BTreeMap<u8, u32>,
    /// Made of the changes alone: what the next coordinator has.
    kept: BTreeMap<u8, Kept<u8, Holder>>,
    newest: Token,
    replies: Vec<(Holder, Reply)>,
    pub(super) outcome: Outcome,
}

impl Server {
    pub(super) fn new(fencing: Fencing) -> Self {
        let mut locks = Locks::new(LIMITS);
        locks.keep_changes();
        Self {
            fencing,
            locks,
            registers: [Seen::default(); N_SECTIONS as usize],
            done: BTreeSet::new(),
            alive: BTreeMap::new(),
            kept: BTreeMap::new(),
            newest: Token::NONE,
            replies: Vec::new(),
            outcome: Outcome::default(),
        }
    }

    /// One turn.
    pub(super) fn turn(&mut self, from: Holder, command: Command, now: Duration) {
        let alive = self.alive.entry(from.0).or_insert(from.1);
        if from.1 < *alive {
            return;
        }
        let former = (from.0, std::mem::replace(alive, from.1));
        if former != from {
            self.gone(former, now);
        }
        match command {
            Command::Lock { sections, op, lease, until } => {
                let on_busy = OnBusy::Queue { until: Some(until) };
                let op_id = Some(OpId::from_u128(op.into()));
                let request = Request { op: op_id, ..Request::new(from, sections, lease, on_busy) };
                let step = self.locks.request(request, now);
                self.told(step.events);
                self.answer_lock(from, op, step.answer.ok());
            }
            Command::Preempt { sections, op, lease } => {
                let op_id = Some(OpId::from_u128(op.into()));
                let request = Request {
                    op: op_id,
                    rank: Rank::Person,
                    ..Request::new(from, sections, lease, OnBusy::Deny)
                };
                let step = self.locks.preempt(request, Over::LowerRank, GRACE, now);
                self.told(step.events);
                self.answer_lock(from, op, step.answer.ok());
            }
            Command::Cancel => {
                let step = self.locks.cancel(&from, now);
                self.told(step.events);
            }
            Command::Renew { section, token, lease } => {
                let step = self.locks.renew(&section, &from, token, lease, now);
                self.told(step.events);
            }
            Command::Release { section, token, op } => {
                let op = OpId::from_u128(op.into());
                let step = self.locks.release_once(&section, &from, token, op, now);
                self.told(step.events);
            }
            Command::Read { section, ask } => {
                let saw = self.registers[usize::from(section)];
                self.replies.push((from, Reply::Read { ask, saw }));
            }
            Command::Append { section, token, id } => self.append(from, section, token, id, now),
        }
        self.keep();
    }

    fn append(&mut self, from: Holder, section: u8, token: Token, id: u32, now: Duration) {
        let events = self.locks.expire(now);
        self.told(events);
        if !self.done.contains(&id) {
            let allowed = self.locks.check_holder(&section, &from, token, now);
            if self.fencing == Fencing::On && allowed.is_err() {
                self.outcome.fenced += 1;
                self.replies.push((from, Reply::Stale { id }));
                return;
            }
            let register = &mut self.registers[usize::from(section)];
            *register = Seen { version: register.version + 1, last: id };
            self.done.insert(id);
        }
        self.replies.push((from, Reply::Appended { id }));
    }

    fn answer_lock(&mut self, from: Holder, op: u32, answer: Option<Asked<u8, Holder>>) {
        match answer {
            Some(Asked::Granted(grants)) => self.replies.push((from, Reply::Locked(grants))),
            Some(Asked::Queued { .. }) => {}
            Some(Asked::Denied { .. }) | None => {
                self.replies.push((from, Reply::NotLocked { op }));
            }
        }
    }

    /// A life has ended, and somebody noticed.
    pub(super) fn gone(&mut self, holder: Holder, now: Duration) {
        let alive = self.alive.entry(holder.0).or_insert(0);
        *alive = (*alive).max(holder.1 + 1);
        let events = self.locks.drop_holder(&holder, now);
        self.told(events);
        self.keep();
    }

    pub(super) fn expire(&mut self, now: Duration) {
        let events = self.locks.expire(now);
        self.told(events);
        self.keep();
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.locks.next_deadline()
    }

    /// The store is stuck, or is not any more.
    pub(super) fn pause(&mut self, paused: bool, now: Duration) {
        let events =
            if paused { self.locks.pause_leases(now) } else { self.locks.resume_leases(now) };
        self.told(events);
        self.keep();
    }

    /// The runtime knows whether a handler runs.
    pub(super) fn protect(&mut self, holder: Holder, protected: bool, now: Duration) {
        let events = if protected {
            self.locks.protect(&holder, now).events
        } else {
            self.locks.unprotect(&holder, now)
        };
        self.told(events);
        self.keep();
    }

    pub(super) fn force(&mut self, section: u8, now: Duration) {
        let step = self.locks.force_release(&section, now);
        self.told(step.events);
        self.keep();
    }

    /// Its process goes on from what was kept.
    pub(super) fn restart(&mut self, now: Duration) {
        let kept = self.kept.values().cloned();
        self.locks = Locks::restore(LIMITS, self.newest, kept, now);
        self.locks.keep_changes();
        self.outcome.restarts += 1;
    }

    /// Whether everything is free long after everybody has gone silent.
    pub(super) fn is_free_in_the_end(&mut self, now: Duration) -> bool {
        self.pause(false, now);
        self.expire(now + Duration::from_secs(3_600));
        self.locks.rows().next().is_none()
    }

    pub(super) fn take_replies(&mut self) -> Vec<(Holder, Reply)> {
        std::mem::take(&mut self.replies)
    }

    pub(super) fn register(&self, section: u8) -> Seen {
        self.registers[usize::from(section)]
    }

    fn told(&mut self, events: Vec<Event<u8, Holder>>) {
        for event in events {
            match event {
                Event::Granted { holder, grants } => {
                    self.replies.push((holder, Reply::Locked(grants)));
                }
                Event::Expired { .. } => self.outcome.expired += 1,
                Event::Revoked { .. } => self.outcome.revoked += 1,
                _ => {}
            }
        }
    }

    fn keep(&mut self) {
        for change in self.locks.take_changes() {
            match change {
                Change::Held(kept) => {
                    let old = self.kept.insert(kept.section, kept.clone());
                    let is_same = old.is_some_and(|old| old.token == kept.token);
                    if !is_same && kept.token <= self.newest {
                        let (token, newest) = (kept.token.as_u64(), self.newest.as_u64());
                        let violation = Violation::TokenNotLarger { token, newest };
                        self.outcome.violation.get_or_insert(violation);
                    }
                    self.newest = self.newest.max(kept.token);
                }
                Change::Free { section } => drop(self.kept.remove(&section)),
                Change::Reserved { .. } | Change::Unreserved { .. } => {}
            }
        }
    }
}
