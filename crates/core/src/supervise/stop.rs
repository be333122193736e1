//! Stops: one child, or all of them, and how the supervisor ends.

use std::time::Duration;

use super::child::{Cause, State};
use super::decision::Decision;
use super::event::{Answer, CallError, ChildKey, Command, Incarnation, TimerId};
use super::machine::{Ending, Finish, Group, Machine, Order, Phase, Queued, Step};
use super::spec::{Children, Shutdown};
use crate::ExitReason;

/// How long a child that is told to stop has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grace {
    /// What its spec says.
    Own,
    /// Until the shared deadline of a dynamic supervisor, unless its spec says kill or for ever.
    Shared,
    /// None: it is killed.
    None,
}

impl Machine {
    pub(super) fn on_stop(&mut self, reason: ExitReason, out: &mut Vec<Command>) {
        let killed = reason == ExitReason::Killed;
        match self.phase {
            Phase::Ended => {}
            Phase::Ending(_) if killed => self.tell_all(Grace::None, out),
            Phase::Ending(_) => {}
            _ if killed => {
                self.begin_end(Finish::Exit(reason), out);
                self.tell_all(Grace::None, out);
            }
            _ => self.end(Finish::Exit(reason), out),
        }
    }

    /// Stops all children as their supervisor's kind asks, then finishes. Holds S22.
    pub(super) fn end(&mut self, finish: Finish, out: &mut Vec<Command>) {
        self.begin_end(finish, out);
        match self.spec.children {
            Children::Static => self.end_next(None, out),
            Children::Dynamic => self.tell_all(Grace::Shared, out),
        }
    }

    fn begin_end(&mut self, finish: Finish, out: &mut Vec<Command>) {
        let reason = match &finish {
            Finish::Exit(reason) | Finish::StartFailed { reason, .. } => reason.clone(),
        };
        out.push(Command::Observe(Decision::Ending { reason }));
        for queued in std::mem::take(&mut self.queue) {
            if let Queued::Call(call, _) = queued {
                Self::answer(call, Err(CallError::Stopping), out);
            }
        }
        self.calls_waiting = 0;
        self.phase = Phase::Ending(Ending { finish, order: Order::Reverse(None) });
        // Here, because nothing may follow the exit.
        self.sync_health(out);
    }

    /// Goes down the children in reverse order, up to the first that must be waited for.
    fn end_next(&mut self, mut before: Option<ChildKey>, out: &mut Vec<Command>) {
        while let Some(key) = self.table.last_before(before, ChildKey::FIRST) {
            before = Some(key);
            if self.table.get(key).is_some_and(|child| child.state().is_live()) {
                if let Phase::Ending(ending) = &mut self.phase {
                    ending.order = Order::Reverse(before);
                }
                self.order_stop(key, Grace::Own, out);
                return;
            }
            self.lay_down(key, out);
        }
        self.finish(out);
    }

    /// Tells all children at once.
    fn tell_all(&mut self, grace: Grace, out: &mut Vec<Command>) {
        let (mut left, mut longest) = (0, None);
        let mut from = ChildKey::FIRST;
        while let Some(key) = self.table.at_or_after(from) {
            from = key.next();
            let Some(child) = self.table.get(key) else { continue };
            if !child.state().is_live() {
                self.lay_down(key, out);
                continue;
            }
            left += 1;
            let told = matches!(child.state(), State::Stopping { .. });
            if let (false, Grace::Shared, Shutdown::Timeout(time)) =
                (told, grace, child.rules.shutdown)
            {
                longest = longest.max(Some(time));
            }
            self.order_stop(key, grace, out);
        }
        self.share_deadline(left, longest, out);
        if left == 0 {
            self.finish(out);
        }
    }

    fn share_deadline(&mut self, left: usize, after: Option<Duration>, out: &mut Vec<Command>) {
        let Phase::Ending(ending) = &mut self.phase else { return };
        let was_timed = matches!(ending.order, Order::AtOnce { timed: true, .. });
        ending.order = Order::AtOnce { left, timed: was_timed || after.is_some() };
        if let Some(after) = after {
            out.push(Command::ArmTimer { timer: TimerId::Deadline, after });
        }
    }

    /// A child that does not run will not be started either: the supervisor ends.
    fn lay_down(&mut self, key: ChildKey, out: &mut Vec<Command>) {
        if let Some(child) = self.table.get(key) {
            if child.state() == (State::Waiting { timed: true }) {
                let timer = TimerId::Backoff(key, child.incarnation);
                out.push(Command::CancelTimer { timer });
            }
            self.table.set(key, State::Stopped);
        }
    }

    fn finish(&mut self, out: &mut Vec<Command>) {
        let Phase::Ending(ending) = std::mem::replace(&mut self.phase, Phase::Ended) else {
            return;
        };
        if let Order::AtOnce { timed: true, .. } = ending.order {
            out.push(Command::CancelTimer { timer: TimerId::Deadline });
        }
        let (reason, last) = match ending.finish {
            Finish::Exit(reason) => (reason.clone(), Command::Exit { reason }),
            Finish::StartFailed { child, reason } => {
                (reason.clone(), Command::StartFailed { child, reason })
            }
        };
        out.push(Command::Observe(Decision::Ended { reason }));
        out.push(last);
    }

    /// Tells a live child to stop, or kills it. Holds S23.
    pub(super) fn order_stop(&mut self, key: ChildKey, grace: Grace, out: &mut Vec<Command>) {
        let Some(child) = self.table.get(key) else { return };
        let (id, incarnation) = (child.id.clone(), child.incarnation);
        let shutdown = if grace == Grace::None { Shutdown::Kill } else { child.rules.shutdown };
        match child.state() {
            State::Stopping { killed, timed, .. } => {
                self.table.set(key, State::Stopping { killed, timed, unresponsive: false });
                if grace == Grace::None && !killed {
                    self.kill(key, out);
                }
                return;
            }
            State::Starting(Cause::Added(call) | Cause::Asked(call)) => {
                Self::answer(call, Err(CallError::Interrupted { id: id.clone() }), out);
            }
            _ => {}
        }
        let timed = grace == Grace::Own && matches!(shutdown, Shutdown::Timeout(_));
        self.table.set(key, State::Stopping { killed: false, timed, unresponsive: false });
        if shutdown == Shutdown::Kill {
            self.kill(key, out);
            return;
        }
        out.push(Command::Observe(Decision::Stopping { id, incarnation }));
        out.push(Command::StopChild { key, incarnation, shutdown });
        if let (true, Shutdown::Timeout(after)) = (timed, shutdown) {
            out.push(Command::ArmTimer { timer: TimerId::Kill(key, incarnation), after });
        }
    }

    /// Kills a child that is in `Stopping`.
    fn kill(&mut self, key: ChildKey, out: &mut Vec<Command>) {
        let Some(child) = self.table.get(key) else { return };
        let State::Stopping { timed, unresponsive, .. } = child.state() else { return };
        let (id, incarnation) = (child.id.clone(), child.incarnation);
        if timed {
            out.push(Command::CancelTimer { timer: TimerId::Kill(key, incarnation) });
        }
        self.table.set(key, State::Stopping { killed: true, timed: false, unresponsive });
        out.push(Command::Observe(Decision::Killing { id, incarnation }));
        out.push(Command::KillChild { key, incarnation });
    }

    pub(super) fn on_kill_timer(
        &mut self,
        key: ChildKey,
        incarnation: Incarnation,
        out: &mut Vec<Command>,
    ) {
        let due = |state| matches!(state, State::Stopping { timed: true, .. });
        if self.is_state(key, incarnation, due) {
            self.table
                .set(key, State::Stopping { killed: false, timed: false, unresponsive: false });
            self.kill(key, out);
        }
    }

    pub(super) fn on_deadline(&mut self, out: &mut Vec<Command>) {
        let Phase::Ending(Ending { order: Order::AtOnce { timed, .. }, .. }) = &mut self.phase
        else {
            return;
        };
        *timed = false;
        let mut from = ChildKey::FIRST;
        while let Some(key) = self.table.at_or_after(from) {
            from = key.next();
            let Some(child) = self.table.get(key) else { continue };
            let late = matches!(child.state(), State::Stopping { killed: false, .. });
            if late && matches!(child.rules.shutdown, Shutdown::Timeout(_)) {
                self.kill(key, out);
            }
        }
    }

    /// A child that was told to stop is gone.
    pub(super) fn stopped(&mut self, key: ChildKey, out: &mut Vec<Command>) {
        let Some(child) = self.table.get_mut(key) else { return };
        for call in child.take_stop_calls() {
            Self::answer(call, Ok(Answer::Stopped), out);
        }
        if matches!(child.state(), State::Stopping { timed: true, .. }) {
            let timer = TimerId::Kill(key, child.incarnation);
            out.push(Command::CancelTimer { timer });
        }
        match &mut self.phase {
            Phase::Group(group) if group.is_stopping(key) => {
                let Group { from, step } = *group;
                self.shelve(key, out);
                if matches!(step, Step::Stopping(Some(waited)) if waited == key) {
                    self.group_stop(from, Some(key), out);
                }
            }
            Phase::Ending(Ending { order: Order::Reverse(waited), .. }) => {
                let was_waited = *waited == Some(key);
                self.table.set(key, State::Stopped);
                if was_waited {
                    self.end_next(Some(key), out);
                }
            }
            Phase::Ending(Ending { order: Order::AtOnce { left, .. }, .. }) => {
                *left -= 1;
                let was_last = *left == 0;
                self.table.set(key, State::Stopped);
                if was_last {
                    self.finish(out);
                }
            }
            _ => self.settle(key, out),
        }
    }
}
