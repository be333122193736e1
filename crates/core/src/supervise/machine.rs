//! The machine: its phases, and which rule an event goes to.

use std::collections::VecDeque;
use std::time::Duration;

use super::backoff::Rng;
use super::child::{Child, ChildInfo, ChildState, Counts, State};
use super::decision::Decision;
use super::event::{
    Answer, CallError, CallId, ChildKey, Command, Event, Incarnation, Request, TimerId,
};
use super::health::Health;
use super::intensity::Intensity;
use super::spec::{ChildSpec, Children, SpecError, SupervisorSpec};
use super::table::Table;
use crate::heartbeat::Heartbeats;
use crate::{AgentId, ExitReason};

/// A supervisor's rules. Holds S1 to S34; see the [module](super) for an example.
#[derive(Debug)]
pub struct Machine {
    pub(super) spec: SupervisorSpec,
    pub(super) table: Table,
    pub(super) intensity: Intensity,
    pub(super) rng: Rng,
    pub(super) heartbeats: Heartbeats<(ChildKey, Incarnation)>,
    pub(super) health: Health,
    pub(super) phase: Phase,
    /// What waits for the end of a group restart, or of the start, in the order it came.
    pub(super) queue: VecDeque<Queued>,
    pub(super) calls_waiting: usize,
    pub(super) now: Duration,
}

/// What the supervisor is doing as a whole.
#[derive(Debug)]
pub(super) enum Phase {
    /// Before [`Event::Start`].
    New,
    /// The first start of the static children, one after the other (S1).
    Booting,
    /// Children run, and each event is handled as it comes.
    Running,
    /// A group restart: exits and calls wait in the queue (S20).
    Group(Group),
    /// The children are stopped, for good.
    Ending(Ending),
    /// Nothing runs.
    Ended,
}

/// A group restart of `from` and all after it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    pub(super) from: ChildKey,
    pub(super) step: Step,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// All from here on are down; this one (`None`: none yet) is waited for.
    Stopping(Option<ChildKey>),
    /// All before it have been started again; this one's start is waited for.
    Starting(ChildKey),
}

impl Group {
    /// Whether this child still has to go down, so that its end is part of the group's stop.
    pub(super) fn is_stopping(&self, key: ChildKey) -> bool {
        matches!(self.step, Step::Stopping(_)) && key >= self.from
    }
}

#[derive(Debug)]
pub(super) struct Ending {
    pub(super) finish: Finish,
    pub(super) order: Order,
}

/// What is said when nothing runs any more.
#[derive(Debug)]
pub(super) enum Finish {
    Exit(ExitReason),
    StartFailed { child: AgentId, reason: ExitReason },
}

#[derive(Debug)]
pub(super) enum Order {
    /// One at a time in reverse start order; this one is waited for (S22).
    Reverse(Option<ChildKey>),
    /// All have been told; so many are left.
    AtOnce { left: usize, timed: bool },
}

#[derive(Debug)]
pub(super) enum Queued {
    Exit(ChildKey, Incarnation, ExitReason),
    /// A start failed: count, and try again.
    TryAgain(ChildKey, Incarnation),
    /// A backoff is over: try again; it has been counted.
    Attempt(ChildKey, Incarnation),
    Call(CallId, Request),
}

impl Machine {
    /// A supervisor that has not started; `seed` drives the jitter of restart backoff, and where the
    /// index of ids keeps what.
    ///
    /// The children get their keys in the order given, which is the start order (S1):
    /// [`children`](Self::children) tells them.
    ///
    /// # Errors
    /// [`SpecError`], before anything starts: change the spec. Holds S4.
    pub fn new(
        spec: SupervisorSpec,
        children: Vec<ChildSpec>,
        seed: u64,
    ) -> Result<Self, SpecError> {
        spec.check()?;
        let mut table = Table::new(seed);
        for child in children {
            spec.check_child(&child)?;
            table.insert(child)?;
        }
        Ok(Self {
            intensity: Intensity::new(spec.restarts_max, spec.period),
            spec,
            table,
            rng: Rng::new(seed),
            heartbeats: Heartbeats::new(),
            health: Health::Idle,
            phase: Phase::New,
            queue: VecDeque::new(),
            calls_waiting: 0,
            now: Duration::ZERO,
        })
    }

    /// Handles one event and appends what must be done, in order.
    ///
    /// `now` is a monotonic time since an arbitrary origin; one that lies before the last one counts
    /// as the last one (S14). Stale and odd events change nothing.
    pub fn handle(&mut self, event: Event, now: Duration, out: &mut Vec<Command>) {
        self.now = self.now.max(now);
        match event {
            Event::Start => self.on_start(out),
            Event::ChildStarted { key, incarnation } => self.on_started(key, incarnation, out),
            Event::ChildIgnored { key, incarnation } => self.on_ignored(key, incarnation, out),
            Event::ChildStartFailed { key, incarnation, reason } => {
                self.on_start_failed(key, incarnation, reason, out);
            }
            Event::ChildExited { key, incarnation, reason } => {
                self.on_exited(key, incarnation, reason, out);
            }
            Event::TimerFired { timer } => self.on_timer(timer, out),
            Event::Call { call, request } => self.on_call(call, request, out),
            Event::Stop { reason } => self.on_stop(reason, out),
        }
        self.drain(out);
        self.sync_health(out);
    }

    /// Handles what had to wait, until a group restart begins or nothing is left.
    fn drain(&mut self, out: &mut Vec<Command>) {
        while matches!(self.phase, Phase::Running) {
            match self.queue.pop_front() {
                None => return,
                Some(Queued::Exit(key, incarnation, reason)) => {
                    if self.is_state(key, incarnation, |state| state == State::Exited) {
                        self.own_exit(key, &reason, out);
                    }
                }
                Some(Queued::TryAgain(key, incarnation)) => {
                    let untimed = |state| state == State::Waiting { timed: false };
                    if self.is_state(key, incarnation, untimed) {
                        self.restart(key, out);
                    }
                }
                Some(Queued::Attempt(key, incarnation)) => {
                    let timed = |state| state == State::Waiting { timed: true };
                    if self.is_state(key, incarnation, timed) {
                        self.attempt(key, out);
                    }
                }
                Some(Queued::Call(call, request)) => {
                    self.calls_waiting -= 1;
                    self.perform(call, request, out);
                }
            }
        }
    }

    fn on_timer(&mut self, timer: TimerId, out: &mut Vec<Command>) {
        match timer {
            TimerId::Health => self.on_health_timer(out),
            TimerId::Deadline => self.on_deadline(out),
            TimerId::Kill(key, incarnation) => self.on_kill_timer(key, incarnation, out),
            TimerId::Backoff(key, incarnation) => {
                let timed = |state| state == State::Waiting { timed: true };
                if self.is_state(key, incarnation, timed) {
                    self.on_backoff_timer(key, incarnation, out);
                }
            }
        }
    }

    /// Whether this incarnation is its child's newest, and the child in such a state.
    pub(super) fn is_state(
        &self,
        key: ChildKey,
        incarnation: Incarnation,
        is: impl Fn(State) -> bool,
    ) -> bool {
        self.state_of(key, incarnation).is_some_and(is)
    }

    /// The state of a child, if this incarnation is its newest.
    pub(super) fn state_of(&self, key: ChildKey, incarnation: Incarnation) -> Option<State> {
        let child = self.table.get(key)?;
        (child.incarnation == incarnation).then(|| child.state())
    }

    /// The id of a child, for an observation.
    pub(super) fn id_of(&self, key: ChildKey) -> AgentId {
        self.table.get(key).expect("invariant: the child is in the table").id.clone()
    }

    /// Nothing of the child runs or is planned: keep its spec stopped, or free it (S7).
    pub(super) fn settle(&mut self, key: ChildKey, out: &mut Vec<Command>) {
        let Some(child) = self.table.get(key) else { return };
        let temporary = child.rules.restart == super::Restart::Temporary;
        if temporary || self.spec.children == Children::Dynamic {
            self.forget(key, out);
        } else {
            self.table.set(key, State::Stopped);
        }
    }

    /// Frees a spec.
    pub(super) fn forget(&mut self, key: ChildKey, out: &mut Vec<Command>) {
        if let Some(child) = self.table.remove(key) {
            out.push(Command::Observe(Decision::Forgotten { id: child.id }));
            out.push(Command::ForgetChild { key });
        }
    }

    pub(super) fn answer(call: CallId, answer: Result<Answer, CallError>, out: &mut Vec<Command>) {
        out.push(Command::Answer { call, answer });
    }

    /// What the supervisor was told.
    #[must_use]
    pub fn spec(&self) -> &SupervisorSpec {
        &self.spec
    }

    /// All children in start order.
    pub fn children(&self) -> impl DoubleEndedIterator<Item = ChildInfo> {
        self.table.iter().map(|(key, child)| child.info(key))
    }

    /// One child.
    #[must_use]
    pub fn child(&self, key: ChildKey) -> Option<ChildInfo> {
        self.table.get(key).map(|child| child.info(key))
    }

    /// The spec of one child.
    #[must_use]
    pub fn child_spec(&self, key: ChildKey) -> Option<ChildSpec> {
        self.table.get(key).map(|child| child.rules.with_id(child.id.clone()))
    }

    /// What one child is doing.
    #[must_use]
    pub fn child_state(&self, key: ChildKey) -> Option<ChildState> {
        self.table.get(key).map(Child::seen)
    }

    /// Number of the newest start of one child; 0: never started.
    #[must_use]
    pub fn child_incarnation(&self, key: ChildKey) -> Option<Incarnation> {
        self.table.get(key).map(|child| child.incarnation)
    }

    /// The name of one child.
    #[must_use]
    pub fn child_id(&self, key: ChildKey) -> Option<&AgentId> {
        self.table.get(key).map(|child| &child.id)
    }

    /// The key of the child with this id.
    #[must_use]
    pub fn key_of(&self, id: &str) -> Option<ChildKey> {
        self.table.key_of(id)
    }

    /// The child with this id.
    #[must_use]
    pub fn by_id(&self, id: &str) -> Option<ChildInfo> {
        self.table.key_of(id).and_then(|key| self.child(key))
    }

    /// How many children there are, by state and kind; O(1). Holds S30.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.table.counts()
    }

    /// Whether `Exit` or `StartFailed` has been said: nothing below runs.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }
}
