//! A driver in memory: does at once what the machine says, unless a script says otherwise.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::supervise::*;
use crate::{AgentId, ExitReason, Report};

/// How the next start of a child goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plan {
    Ignore,
    Fail,
    Hang,
}

pub(super) struct World {
    pub(super) machine: Machine,
    pub(super) now: Duration,
    pub(super) decisions: Vec<Decision>,
    trace: Vec<String>,
    plans: BTreeMap<String, VecDeque<Plan>>,
    stuck: Vec<String>,
    live: BTreeMap<ChildKey, Incarnation>,
    names: BTreeMap<ChildKey, String>,
    timers: BTreeMap<TimerId, Duration>,
    answers: BTreeMap<CallId, Result<Answer, CallError>>,
    events: VecDeque<Event>,
    calls: u64,
}

pub(super) fn id(text: &str) -> AgentId {
    text.parse().unwrap()
}

pub(super) fn worker(text: &str) -> ChildSpec {
    ChildSpec::worker(id(text))
}

pub(super) fn error() -> ExitReason {
    ExitReason::Error(Report::msg("boom"))
}

pub(super) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Permanent workers with these one-word ids.
pub(super) fn team(ids: &str) -> Vec<ChildSpec> {
    ids.split(' ').map(worker).collect()
}

pub(super) fn spec(strategy: Strategy) -> SupervisorSpec {
    SupervisorSpec { strategy, ..SupervisorSpec::DEFAULT }
}

impl World {
    pub(super) fn new(spec: SupervisorSpec, children: Vec<ChildSpec>) -> Self {
        Self {
            machine: Machine::new(spec, children, 7).unwrap(),
            now: Duration::ZERO,
            decisions: Vec::new(),
            trace: Vec::new(),
            plans: BTreeMap::new(),
            stuck: Vec::new(),
            live: BTreeMap::new(),
            names: BTreeMap::new(),
            timers: BTreeMap::new(),
            answers: BTreeMap::new(),
            events: VecDeque::new(),
            calls: 0,
        }
    }

    /// A world that has started, with an empty trace.
    pub(super) fn started(spec: SupervisorSpec, children: Vec<ChildSpec>) -> Self {
        let mut world = Self::new(spec, children);
        world.start();
        world.take();
        world
    }

    pub(super) fn plan(&mut self, id: &str, plans: &[Plan]) {
        self.plans.entry(id.into()).or_default().extend(plans);
    }

    /// This child does not obey stops from now on, only kills.
    pub(super) fn stick(&mut self, id: &str) {
        self.stuck.push(id.into());
    }

    pub(super) fn start(&mut self) {
        self.event(Event::Start);
    }

    pub(super) fn stop(&mut self) {
        self.event(Event::Stop { reason: ExitReason::Shutdown });
    }

    pub(super) fn key(&self, id: &str) -> ChildKey {
        self.machine.by_id(id).unwrap().key
    }

    pub(super) fn state(&self, id: &str) -> Option<ChildState> {
        self.machine.by_id(id).map(|info| info.state)
    }

    /// The child ends by itself.
    pub(super) fn exit(&mut self, id: &str, reason: ExitReason) {
        let event = self.exit_event(id, reason);
        self.event(event);
    }

    pub(super) fn exit_event(&mut self, id: &str, reason: ExitReason) -> Event {
        let key = self.key(id);
        let incarnation = self.live.remove(&key).expect("the child is live");
        Event::ChildExited { key, incarnation, reason }
    }

    pub(super) fn crash(&mut self, id: &str) {
        self.exit(id, error());
    }

    /// A hanging start returns.
    pub(super) fn finish_start(&mut self, id: &str) {
        let info = self.machine.by_id(id).unwrap();
        self.event(Event::ChildStarted { key: info.key, incarnation: info.incarnation });
    }

    /// Time passes; timers fire at their times.
    pub(super) fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some((&timer, &at)) = self.timers.iter().min_by_key(|(_, at)| **at)
            && at <= end
        {
            self.timers.remove(&timer);
            self.now = at;
            self.event(Event::TimerFired { timer });
        }
        self.now = end;
    }

    pub(super) fn call(&mut self, request: Request) -> Option<Result<Answer, CallError>> {
        let call = self.call_later(request);
        self.answer(call)
    }

    /// A call whose answer is looked at later.
    pub(super) fn call_later(&mut self, request: Request) -> CallId {
        self.calls += 1;
        let call = CallId(self.calls);
        self.event(Event::Call { call, request });
        call
    }

    pub(super) fn answer(&self, call: CallId) -> Option<Result<Answer, CallError>> {
        self.answers.get(&call).cloned()
    }

    pub(super) fn add(&mut self, spec: ChildSpec) -> Option<Result<Answer, CallError>> {
        self.call(Request::Start(spec))
    }

    pub(super) fn timer(&self, timer: TimerId) -> Option<Duration> {
        self.timers.get(&timer).copied()
    }

    pub(super) fn live(&self) -> String {
        let live = self.live.iter().map(|(key, n)| format!("{}{n}", self.names[key]));
        live.collect::<Vec<_>>().join(" ")
    }

    /// What the machine ordered since the last look.
    pub(super) fn take(&mut self) -> String {
        std::mem::take(&mut self.trace).join(", ")
    }

    pub(super) fn event(&mut self, event: Event) {
        self.events.push_back(event);
        self.settle();
    }

    pub(super) fn settle(&mut self) {
        while let Some(event) = self.events.pop_front() {
            let mut out = Vec::new();
            self.machine.handle(event, self.now, &mut out);
            self.obey(out);
        }
    }

    pub(super) fn check_health(&mut self, busy: &[(&str, Vital)]) {
        let busy: Vec<_> = busy.iter().map(|(id, vital)| (self.key(id), *vital)).collect();
        let mut out = Vec::new();
        self.machine.check_health(self.now, &mut busy.into_iter(), &mut out);
        self.obey(out);
        self.settle();
    }

    fn note(&mut self, word: &str, key: ChildKey, incarnation: Incarnation) {
        if let Some(info) = self.machine.child(key) {
            self.names.insert(key, info.id.to_string());
        }
        let name = self.names.get(&key).cloned().unwrap_or_else(|| key.to_string());
        self.trace.push(format!("{word} {name}{incarnation}"));
    }

    fn begin(&mut self, key: ChildKey, incarnation: Incarnation) {
        self.note("start", key, incarnation);
        assert_eq!(self.live.get(&key), None, "a child has two live incarnations");
        let plan = self.plans.get_mut(&self.names[&key]).and_then(VecDeque::pop_front);
        let event = match plan {
            None => Some(Event::ChildStarted { key, incarnation }),
            Some(Plan::Ignore) => Some(Event::ChildIgnored { key, incarnation }),
            Some(Plan::Fail) => {
                let reason = ExitReason::StartFailed(Report::msg("no"));
                Some(Event::ChildStartFailed { key, incarnation, reason })
            }
            Some(Plan::Hang) => None,
        };
        if matches!(plan, None | Some(Plan::Hang)) {
            self.live.insert(key, incarnation);
        }
        self.events.extend(event);
    }

    fn gone(&mut self, key: ChildKey, incarnation: Incarnation, reason: ExitReason) {
        // A child that is gone already has sent its exit: the two have crossed.
        if self.live.get(&key) == Some(&incarnation) {
            self.live.remove(&key);
            self.events.push_back(Event::ChildExited { key, incarnation, reason });
        }
    }

    fn obey(&mut self, out: Vec<Command>) {
        for command in out {
            match command {
                Command::StartChild { key, incarnation } => self.begin(key, incarnation),
                Command::StopChild { key, incarnation, .. } => {
                    self.note("stop", key, incarnation);
                    if !self.stuck.contains(&self.names[&key]) {
                        self.gone(key, incarnation, ExitReason::Shutdown);
                    }
                }
                Command::KillChild { key, incarnation } => {
                    self.note("kill", key, incarnation);
                    self.gone(key, incarnation, ExitReason::Killed);
                }
                Command::ForgetChild { key } => {
                    let name = self.names.get(&key).cloned().unwrap_or_default();
                    self.trace.push(format!("forget {name}"));
                }
                Command::ArmTimer { timer, after } => {
                    self.timers.insert(timer, self.now + after);
                }
                Command::CancelTimer { timer } => {
                    self.timers.remove(&timer);
                }
                Command::CheckHealth => self.check_health(&[]),
                Command::Answer { call, answer } => {
                    assert_eq!(self.answers.insert(call, answer), None, "answered twice");
                }
                Command::Observe(decision) => self.decisions.push(decision),
                Command::Ready => self.trace.push("ready".into()),
                Command::StartFailed { child, .. } => {
                    assert!(self.live.is_empty(), "children outlive their supervisor");
                    self.trace.push(format!("start failed: {child}"));
                }
                Command::Exit { reason } => {
                    assert!(self.live.is_empty(), "children outlive their supervisor");
                    self.trace.push(format!("exit {reason}"));
                }
                Command::ChildAdded { .. } => {}
            }
        }
    }
}
