//! Administration: an answer for each request in each state (S30).

use super::child::{Cause, ChildState, State};
use super::decision::Decision;
use super::event::{
    Answer, CALLS_WAITING_MAX, CallError, CallId, ChildKey, Command, Request, TimerId,
};
use super::machine::{Machine, Phase, Queued};
use super::spec::{ChildSpec, SpecError};
use super::stop::Grace;
use crate::AgentId;

impl Machine {
    pub(super) fn on_call(&mut self, call: CallId, request: Request, out: &mut Vec<Command>) {
        match (&self.phase, request) {
            (_, Request::List) => {
                Self::answer(call, Ok(Answer::List(self.children().collect())), out);
            }
            (_, Request::Count) => Self::answer(call, Ok(Answer::Count(self.counts())), out),
            (Phase::Ending(_) | Phase::Ended, _) => {
                Self::answer(call, Err(CallError::Stopping), out);
            }
            (Phase::Running, request) => self.perform(call, request, out),
            (Phase::New | Phase::Booting | Phase::Group(_), _)
                if self.calls_waiting >= CALLS_WAITING_MAX =>
            {
                Self::answer(call, Err(CallError::Busy), out);
            }
            (Phase::New | Phase::Booting | Phase::Group(_), request) => {
                self.calls_waiting += 1;
                self.queue.push_back(Queued::Call(call, request));
            }
        }
    }

    /// Does what is asked, now.
    pub(super) fn perform(&mut self, call: CallId, request: Request, out: &mut Vec<Command>) {
        let result = match request {
            Request::Start(spec) => self.call_start(call, spec, out),
            Request::Stop(id) => self.find(&id).and_then(|(key, _)| self.call_stop(call, key, out)),
            Request::Restart(id) => self.find_stopped(id).map(|key| {
                if let Some(child) = self.table.get_mut(key) {
                    child.set_failures(0);
                }
                self.order_start(key, Cause::Asked(call), out);
                None
            }),
            Request::Delete(id) => self.find_stopped(id).map(|key| {
                self.forget(key, out);
                Some(Answer::Deleted)
            }),
            Request::List => Ok(Some(Answer::List(self.children().collect()))),
            Request::Count => Ok(Some(Answer::Count(self.counts()))),
        };
        // `None`: the answer comes when the child has started, or is gone.
        if let Some(answer) = result.transpose() {
            Self::answer(call, answer, out);
        }
    }

    fn find(&self, id: &AgentId) -> Result<(ChildKey, ChildState), CallError> {
        let found = self.table.key_of(id.as_str());
        match found.and_then(|key| Some((key, self.table.get(key)?.seen()))) {
            Some(found) => Ok(found),
            None => Err(CallError::Unknown { id: id.clone() }),
        }
    }

    fn find_stopped(&self, id: AgentId) -> Result<ChildKey, CallError> {
        match self.find(&id)? {
            (key, ChildState::Stopped) => Ok(key),
            (_, state) => Err(CallError::NotStopped { id, state }),
        }
    }

    fn call_start(
        &mut self,
        call: CallId,
        spec: ChildSpec,
        out: &mut Vec<Command>,
    ) -> Result<Option<Answer>, CallError> {
        self.spec.check_child(&spec)?;
        let id = spec.id.clone();
        let key = match self.table.insert(spec) {
            Ok(key) => key,
            Err(SpecError::DuplicateId { id }) => {
                let (_, state) = self.find(&id)?;
                return Err(CallError::Exists { id, state });
            }
            Err(error) => return Err(error.into()),
        };
        out.push(Command::Observe(Decision::Added { id }));
        out.push(Command::ChildAdded { call, key });
        self.order_start(key, Cause::Added(call), out);
        Ok(None)
    }

    fn call_stop(
        &mut self,
        call: CallId,
        key: ChildKey,
        out: &mut Vec<Command>,
    ) -> Result<Option<Answer>, CallError> {
        let Some(child) = self.table.get_mut(key) else { return Ok(Some(Answer::Stopped)) };
        let (id, incarnation, state) = (child.id.clone(), child.incarnation, child.state());
        match state {
            State::Starting(_) | State::Running { .. } | State::Stopping { .. } => {
                if child.n_stop_calls() >= CALLS_WAITING_MAX {
                    return Err(CallError::Busy);
                }
                child.push_stop_call(call);
                self.order_stop(key, Grace::Own, out);
                return Ok(None);
            }
            State::Stopped => {}
            State::Exited => self.settle(key, out),
            State::Pending | State::Waiting { .. } => {
                if state == (State::Waiting { timed: true }) {
                    let timer = TimerId::Backoff(key, incarnation);
                    out.push(Command::CancelTimer { timer });
                }
                out.push(Command::Observe(Decision::RestartCancelled { id }));
                self.settle(key, out);
            }
        }
        Self::answer(call, Ok(Answer::Stopped), out);
        if matches!(state, State::Waiting { .. }) {
            self.resume_group(out);
        }
        Ok(None)
    }
}
