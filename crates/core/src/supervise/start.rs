//! Starts: the first one of all children in order, and what comes back from each.

use super::child::{Cause, Moment, State};
use super::decision::Decision;
use super::event::{Answer, CallError, ChildKey, Command, Incarnation};
use super::machine::{Finish, Group, Machine, Phase, Queued, Step};
use crate::ExitReason;

impl Machine {
    pub(super) fn on_start(&mut self, out: &mut Vec<Command>) {
        if matches!(self.phase, Phase::New) {
            self.boot(ChildKey::FIRST, out);
        }
    }

    /// Starts the first child at or after `from`, or is done (S1).
    fn boot(&mut self, from: ChildKey, out: &mut Vec<Command>) {
        match self.table.at_or_after(from) {
            Some(key) => {
                self.phase = Phase::Booting;
                self.order_start(key, Cause::Boot, out);
            }
            None => {
                self.phase = Phase::Running;
                out.push(Command::Observe(Decision::Ready));
                out.push(Command::Ready);
            }
        }
    }

    pub(super) fn order_start(&mut self, key: ChildKey, cause: Cause, out: &mut Vec<Command>) {
        let child = self.table.get_mut(key).expect("invariant: the child is in the table");
        child.incarnation += 1;
        let (id, incarnation) = (child.id.clone(), child.incarnation);
        self.table.set(key, State::Starting(cause));
        out.push(Command::Observe(Decision::Starting { id, incarnation }));
        out.push(Command::StartChild { key, incarnation });
    }

    pub(super) fn on_started(
        &mut self,
        key: ChildKey,
        incarnation: Incarnation,
        out: &mut Vec<Command>,
    ) {
        // A child that was told to stop meanwhile stays told: its exit is what counts.
        let Some(State::Starting(cause)) = self.state_of(key, incarnation) else { return };
        self.table.set(key, State::Running { since: Moment::at(self.now) });
        let id = self.id_of(key);
        out.push(Command::Observe(Decision::Started { id, incarnation }));
        self.start_returned(key, cause, Answer::Started { key, incarnation }, out);
    }

    pub(super) fn on_ignored(
        &mut self,
        key: ChildKey,
        incarnation: Incarnation,
        out: &mut Vec<Command>,
    ) {
        match self.state_of(key, incarnation) {
            Some(State::Starting(cause)) => {
                let id = self.id_of(key);
                out.push(Command::Observe(Decision::Ignored { id, incarnation }));
                self.settle(key, out);
                self.start_returned(key, cause, Answer::Ignored { key }, out);
            }
            Some(State::Stopping { .. }) => self.stopped(key, out),
            _ => {}
        }
    }

    /// Goes on with whatever waited for this start.
    fn start_returned(
        &mut self,
        key: ChildKey,
        cause: Cause,
        answer: Answer,
        out: &mut Vec<Command>,
    ) {
        match (cause, &self.phase) {
            (Cause::Boot, Phase::Booting) => self.boot(key.next(), out),
            (Cause::Group, Phase::Group(Group { from, step: Step::Starting(at) }))
                if *at == key =>
            {
                let from = *from;
                self.group_start(from, key.next(), out);
            }
            (Cause::Added(call) | Cause::Asked(call), _) => Self::answer(call, Ok(answer), out),
            // The supervisor is ending, or a restart of one child is done.
            (Cause::Boot | Cause::Group | Cause::Restart, _) => {}
        }
    }

    pub(super) fn on_start_failed(
        &mut self,
        key: ChildKey,
        incarnation: Incarnation,
        reason: ExitReason,
        out: &mut Vec<Command>,
    ) {
        match self.state_of(key, incarnation) {
            Some(State::Starting(cause)) => {
                let (id, told) = (self.id_of(key), reason.clone());
                out.push(Command::Observe(Decision::StartFailed { id, incarnation, reason: told }));
                self.start_failed(key, cause, reason, out);
            }
            Some(State::Stopping { .. }) => self.stopped(key, out),
            _ => {}
        }
    }

    fn start_failed(
        &mut self,
        key: ChildKey,
        cause: Cause,
        reason: ExitReason,
        out: &mut Vec<Command>,
    ) {
        let id = self.id_of(key);
        match cause {
            Cause::Added(call) => {
                self.forget(key, out);
                Self::answer(call, Err(CallError::StartFailed { id, reason }), out);
            }
            Cause::Asked(call) => {
                self.settle(key, out);
                Self::answer(call, Err(CallError::StartFailed { id, reason }), out);
            }
            // Whoever is stopping everything finds this one down.
            _ if matches!(self.phase, Phase::Ending(_)) => self.table.set(key, State::Stopped),
            Cause::Boot => {
                self.table.set(key, State::Stopped);
                self.end(Finish::StartFailed { child: id, reason }, out);
            }
            Cause::Restart | Cause::Group => {
                // OTP: back to the loop before the next attempt, so that the supervisor stays
                // reachable (supervisor.erl, try_again_restart/1). Holds S17, S19, S21.
                let incarnation = self.table.get(key).map_or(0, |child| child.incarnation);
                self.table.set(key, State::Waiting { timed: false });
                self.queue.push_back(Queued::TryAgain(key, incarnation));
                if cause == Cause::Group {
                    self.phase = Phase::Running;
                }
            }
        }
    }
}
