//! What follows from a child's own end: nothing, a restart, a group restart, or the end of all.

use super::child::{Cause, State};
use super::decision::Decision;
use super::event::{ChildKey, Command, Incarnation, TimerId};
use super::intensity::Verdict;
use super::machine::{Finish, Group, Machine, Phase, Queued, Step};
use super::spec::Restart;
use super::stop::Grace;
use super::strategy::Strategy;
use crate::ExitReason;

impl Machine {
    pub(super) fn on_exited(
        &mut self,
        key: ChildKey,
        incarnation: Incarnation,
        reason: ExitReason,
        out: &mut Vec<Command>,
    ) {
        let Some(state) = self.state_of(key, incarnation) else { return };
        if !state.is_live() {
            return;
        }
        if matches!(state, State::Starting(_)) {
            self.on_start_failed(key, incarnation, reason, out);
            return;
        }
        let unresponsive = matches!(state, State::Stopping { unresponsive: true, .. });
        let reason = if unresponsive { ExitReason::Unresponsive } else { reason };
        let (id, told) = (self.id_of(key), reason.clone());
        out.push(Command::Observe(Decision::Exited { id, incarnation, reason: told }));
        if matches!(state, State::Stopping { unresponsive: false, .. }) {
            self.stopped(key, out);
            return;
        }
        self.forgive(key);
        self.table.set(key, State::Exited);
        match &self.phase {
            Phase::Running => self.own_exit(key, &reason, out),
            // It ended before the group's stop reached it: that is its stop (S20).
            Phase::Group(group) if group.is_stopping(key) => self.shelve(key, out),
            Phase::Group(_) | Phase::Booting => {
                self.queue.push_back(Queued::Exit(key, incarnation, reason));
            }
            Phase::Ending(_) | Phase::New | Phase::Ended => self.table.set(key, State::Stopped),
        }
    }

    /// Decides about a child that ended by itself and has not been dealt with.
    pub(super) fn own_exit(&mut self, key: ChildKey, reason: &ExitReason, out: &mut Vec<Command>) {
        let Some(child) = self.table.get(key) else { return };
        if child.rules.restart.applies_to(reason) {
            self.restart(key, out);
            return;
        }
        let (id, significant) = (child.id.clone(), child.rules.significant);
        self.settle(key, out);
        if significant && self.spec.auto_shutdown.applies(self.table.significant()) {
            out.push(Command::Observe(Decision::AutoShutdown { id }));
            self.end(Finish::Exit(ExitReason::Shutdown), out);
        }
    }

    /// Counts a restart, and begins it now or after its backoff (S8, S11, S12).
    pub(super) fn restart(&mut self, key: ChildKey, out: &mut Vec<Command>) {
        let id = self.id_of(key);
        let (restarts_max, period) = (self.spec.restarts_max, self.spec.period);
        let Verdict::Restart { in_window } = self.intensity.record(self.now) else {
            out.push(Command::Observe(Decision::GaveUp { id, restarts_max, period }));
            self.end(Finish::Exit(ExitReason::Shutdown), out);
            return;
        };
        let restarting = Decision::Restarting { id: id.clone(), in_window, restarts_max, period };
        out.push(Command::Observe(restarting));
        let child = self.table.get_mut(key).expect("invariant: the child is in the table");
        let Some(backoff) = child.rules.backoff.clone() else {
            self.attempt(key, out);
            return;
        };
        let wait = backoff.delay(child.failures(), self.rng.fraction());
        child.set_failures(child.failures().saturating_add(1));
        let timer = TimerId::Backoff(key, child.incarnation);
        self.table.set(key, State::Waiting { timed: true });
        out.push(Command::Observe(Decision::BackingOff { id, wait }));
        out.push(Command::ArmTimer { timer, after: wait });
    }

    /// Forgets the failures in a row of a child that has been running long enough (S32).
    pub(super) fn forgive(&mut self, key: ChildKey) {
        let Some(child) = self.table.get_mut(key) else { return };
        if let (State::Running { since }, Some(backoff)) = (child.state(), &child.rules.backoff)
            && self.now.saturating_sub(since.time()) >= backoff.healthy_for
        {
            child.set_failures(0);
        }
    }

    pub(super) fn on_backoff_timer(
        &mut self,
        key: ChildKey,
        incarnation: Incarnation,
        out: &mut Vec<Command>,
    ) {
        match self.phase {
            Phase::Running => self.attempt(key, out),
            // While another group restart runs, this one takes its turn.
            Phase::Group(_) => self.queue.push_back(Queued::Attempt(key, incarnation)),
            Phase::New | Phase::Booting | Phase::Ending(_) | Phase::Ended => {}
        }
    }

    /// One attempt to restart: the child alone, or its group (S15, S16, S18).
    pub(super) fn attempt(&mut self, key: ChildKey, out: &mut Vec<Command>) {
        let Some(from) = self.spec.strategy.group_from(key) else {
            self.order_start(key, Cause::Restart, out);
            return;
        };
        let (id, strategy) = (self.id_of(key), self.spec.strategy);
        out.push(Command::Observe(Decision::GroupRestart { id, strategy }));
        self.table.set(key, State::Pending);
        self.group_stop(from, None, out);
    }

    /// Takes the group down in reverse order, up to the first child that must be waited for.
    pub(super) fn group_stop(
        &mut self,
        from: ChildKey,
        mut before: Option<ChildKey>,
        out: &mut Vec<Command>,
    ) {
        while let Some(key) = self.table.last_before(before, from) {
            before = Some(key);
            self.phase = Phase::Group(Group { from, step: Step::Stopping(before) });
            if self.table.get(key).is_some_and(|child| child.state().is_live()) {
                self.order_stop(key, Grace::Own, out);
                return;
            }
            self.shelve(key, out);
        }
        self.group_start(from, from, out);
    }

    /// A child of a group is down, and will be started with it; a temporary one is freed (S7).
    ///
    /// OTP also starts those that had been stopped before (supervisor.erl, `start_children/2`).
    pub(super) fn shelve(&mut self, key: ChildKey, out: &mut Vec<Command>) {
        let Some(child) = self.table.get(key) else { return };
        if child.state() == (State::Waiting { timed: true }) {
            let timer = TimerId::Backoff(key, child.incarnation);
            out.push(Command::CancelTimer { timer });
        }
        if child.rules.restart == Restart::Temporary {
            self.forget(key, out);
        } else {
            self.table.set(key, State::Pending);
        }
    }

    /// Starts the group in order, from the first pending child at or after `at`.
    pub(super) fn group_start(&mut self, from: ChildKey, mut at: ChildKey, out: &mut Vec<Command>) {
        while let Some(key) = self.table.at_or_after(at) {
            if self.table.get(key).is_some_and(|child| child.state() == State::Pending) {
                self.phase = Phase::Group(Group { from, step: Step::Starting(key) });
                self.order_start(key, Cause::Group, out);
                return;
            }
            at = key.next();
        }
        self.phase = Phase::Running;
    }

    /// After a retry was called off: starts what waited behind it, unless another retry will.
    ///
    /// OTP leaves those down for ever; a permanent child that nobody stopped should not be.
    pub(super) fn resume_group(&mut self, out: &mut Vec<Command>) {
        if self.spec.strategy == Strategy::OneForOne || self.table.counts().restarting == 0 {
            return;
        }
        let first = self
            .table
            .iter()
            .find(|(_, child)| matches!(child.state(), State::Waiting { .. } | State::Pending));
        if let Some((key, State::Pending)) = first.map(|(key, child)| (key, child.state())) {
            self.group_start(key, key, out);
        }
    }
}
