//! What can be asked of the naive supervisor, and what it answers.

use ggml_agent_core::AgentId;
use ggml_agent_core::supervise::{
    AutoShutdown, CallError, CallId, ChildKind, ChildSpec, ChildState, Counts, Request, Restart,
    SpecError, Strategy,
};

use super::{Kid, Life, Mail, Mode, Model, Todo, Why};
use crate::supervise::order::{Order, Reply};

impl Model {
    pub(super) fn call(&mut self, call: CallId, request: Request) {
        match (&self.mode, &request) {
            (_, Request::List | Request::Count) => self.perform(call, request),
            (Mode::Down(_) | Mode::Gone, _) => {
                self.out.push(Order::Answer(call, Reply::Refused(CallError::Stopping)));
            }
            _ => self.mail.push_back(Mail::Call(call, request)),
        }
    }

    pub(super) fn perform(&mut self, call: CallId, request: Request) {
        let reply = match request {
            Request::List => {
                Some(Reply::List(self.kids.iter().map(|k| (k.key, seen(k), k.inc)).collect()))
            }
            Request::Count => Some(Reply::Count(self.counts())),
            Request::Start(spec) => self.call_start(call, spec),
            Request::Stop(id) => self.call_stop(call, id),
            Request::Restart(id) => match self.stopped(id) {
                Ok(key) => {
                    if let Some(kid) = self.at(key) {
                        kid.fails = 0;
                    }
                    self.begin(key, Why::Call(call, false));
                    None
                }
                Err(error) => Some(Reply::Refused(error)),
            },
            Request::Delete(id) => match self.stopped(id) {
                Ok(key) => {
                    self.forget(key);
                    Some(Reply::Deleted)
                }
                Err(error) => Some(Reply::Refused(error)),
            },
        };
        if let Some(reply) = reply {
            self.out.push(Order::Answer(call, reply));
        }
    }

    fn stopped(&self, id: AgentId) -> Result<u64, CallError> {
        match self.kids.iter().find(|kid| kid.spec.id == id) {
            None => Err(CallError::Unknown { id }),
            Some(kid) if kid.life == Life::Down => Ok(kid.key),
            Some(kid) => Err(CallError::NotStopped { id, state: seen(kid) }),
        }
    }

    fn call_start(&mut self, call: CallId, spec: ChildSpec) -> Option<Reply> {
        let id = spec.id.clone();
        if spec.significant && spec.restart == Restart::Permanent {
            let error = SpecError::SignificantPermanent { id };
            return Some(Reply::Refused(CallError::Spec(error)));
        }
        if spec.significant && self.spec.auto_shutdown == AutoShutdown::Never {
            let error = SpecError::SignificantWithoutAutoShutdown { id };
            return Some(Reply::Refused(CallError::Spec(error)));
        }
        if let Some(kid) = self.kids.iter().find(|kid| kid.spec.id == id) {
            return Some(Reply::Refused(CallError::Exists { id, state: seen(kid) }));
        }
        let key = self.add(spec);
        self.out.push(Order::Added(call, key));
        self.begin(key, Why::Call(call, true));
        None
    }

    fn call_stop(&mut self, call: CallId, id: AgentId) -> Option<Reply> {
        let Some(kid) = self.kids.iter_mut().find(|kid| kid.spec.id == id) else {
            return Some(Reply::Refused(CallError::Unknown { id }));
        };
        let (key, life) = (kid.key, kid.life);
        if kid.live() {
            kid.calls.push(call);
            self.tell(key, None);
            return None;
        }
        self.settle(key);
        self.out.push(Order::Answer(call, Reply::Stopped));
        if matches!(life, Life::Retry { .. }) && self.spec.strategy != Strategy::OneForOne {
            // Whatever waited behind this retry would wait for ever.
            let mut waiting =
                self.kids.iter().filter(|k| matches!(k.life, Life::Retry { .. } | Life::Held));
            if let Some(first) = waiting.next().filter(|k| k.life == Life::Held).map(|k| k.key) {
                let behind = self.kids.iter().filter(|k| k.key >= first);
                self.todo = behind.map(|k| Todo::Up(k.key)).collect();
            }
        }
        None
    }

    fn counts(&self) -> Counts {
        let of = |state| self.kids.iter().filter(|kid| seen(kid) == state).count();
        let kind = |kind| self.kids.iter().filter(|kid| kid.spec.kind == kind).count();
        Counts {
            specs: self.kids.len(),
            stopped: of(ChildState::Stopped),
            starting: of(ChildState::Starting),
            running: of(ChildState::Running),
            restarting: of(ChildState::Restarting),
            stopping: of(ChildState::Stopping),
            workers: kind(ChildKind::Worker),
            supervisors: kind(ChildKind::Supervisor),
        }
    }
}

fn seen(kid: &Kid) -> ChildState {
    match kid.life {
        Life::Down => ChildState::Stopped,
        Life::Held | Life::Retry { .. } | Life::Dead | Life::Begin(Why::Alone | Why::Group) => {
            ChildState::Restarting
        }
        Life::Begin(Why::Boot | Why::Call(..)) => ChildState::Starting,
        Life::Up(_) => ChildState::Running,
        Life::Told { .. } => ChildState::Stopping,
    }
}
