//! Health checks (S33): when they are due, and what follows from a missed heartbeat.

use std::time::Duration;

use super::child::State;
use super::decision::Decision;
use super::event::{ChildKey, Command, TimerId};
use super::machine::{Machine, Phase};
use crate::heartbeat::{Missed, Pulse, Vital};

/// Where the next health check stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    /// None is planned.
    Idle,
    /// Its timer runs.
    Armed,
    /// The driver was told to look at the children.
    Due,
}

impl Machine {
    /// One health check. Holds S33.
    ///
    /// `busy` are the children that have something to do; one that is not reported is idle, hence
    /// healthy, and no longer suspected. So the cost grows with the busy children alone. Only
    /// running children are judged, and only from `Ready` until the supervisor begins to end: how
    /// long a start or a stop takes is not a heartbeat's business. A child
    /// that has been seen without progress for its timeout is killed, and its end counts as
    /// [`ExitReason::Unresponsive`](crate::ExitReason::Unresponsive).
    pub fn check_health(
        &mut self,
        now: Duration,
        busy: &mut dyn Iterator<Item = (ChildKey, Vital)>,
        out: &mut Vec<Command>,
    ) {
        self.now = self.now.max(now);
        if matches!(self.phase, Phase::Running | Phase::Group(_)) {
            let (table, default) = (&self.table, self.spec.heartbeat_timeout);
            let pulses = busy.filter_map(|(key, vital)| {
                let child = table.get(key)?;
                let running = matches!(child.state(), State::Running { .. });
                let timeout = child.rules.heartbeat_timeout.unwrap_or(default);
                running.then_some(Pulse { key: (key, child.incarnation), vital, timeout })
            });
            for Missed { key: (key, incarnation), silent_for } in
                self.heartbeats.check(self.now, pulses)
            {
                let id = self.id_of(key);
                self.forgive(key);
                out.push(Command::Observe(Decision::Unresponsive { id, incarnation, silent_for }));
                let state = State::Stopping { killed: true, timed: false, unresponsive: true };
                self.table.set(key, state);
                out.push(Command::KillChild { key, incarnation });
            }
        }
        // Whether or not the timer's firing went through `handle`: the next check is one interval away.
        self.health = Health::Idle;
        self.sync_health(out);
    }

    pub(super) fn on_health_timer(&mut self, out: &mut Vec<Command>) {
        if self.health == Health::Armed {
            self.health = Health::Due;
            out.push(Command::CheckHealth);
        }
    }

    /// Arms the timer when there is something to check, and only then.
    pub(super) fn sync_health(&mut self, out: &mut Vec<Command>) {
        let wanted = matches!(self.phase, Phase::Running | Phase::Group(_))
            && !self.table.is_empty()
            && !self.spec.health_check_interval.is_zero();
        let timer = TimerId::Health;
        match (self.health, wanted) {
            (Health::Idle, true) => {
                self.health = Health::Armed;
                out.push(Command::ArmTimer { timer, after: self.spec.health_check_interval });
            }
            // Also when it is due: a late firing of an old timer may have come before its own.
            (Health::Armed | Health::Due, false) => {
                self.health = Health::Idle;
                out.push(Command::CancelTimer { timer });
            }
            (Health::Idle, false) | (Health::Armed | Health::Due, true) => {}
        }
    }
}
