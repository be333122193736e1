//! One child: what it is doing, as seen from outside and in full.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::event::{CallId, ChildKey, Incarnation};
use super::rules::Rules;
use super::spec::{ChildKind, Restart};
use crate::AgentId;

/// What a child is doing, as seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum ChildState {
    /// Nothing runs and nothing is planned.
    Stopped,
    /// Its first start, or one that was asked for, has not returned.
    Starting,
    /// It runs.
    Running,
    /// It ended or was stopped for its group, and waits to be started, or is being started again.
    Restarting,
    /// It was told to stop, or killed, and is not gone yet.
    Stopping,
}

impl fmt::Display for ChildState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Restarting => "restarting",
            Self::Stopping => "stopping",
        })
    }
}

/// How many children there are. Holds S30.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// All of them; the sum of the five states, and of the two kinds.
    pub specs: usize,
    /// In [`ChildState::Stopped`].
    pub stopped: usize,
    /// In [`ChildState::Starting`].
    pub starting: usize,
    /// In [`ChildState::Running`].
    pub running: usize,
    /// In [`ChildState::Restarting`].
    pub restarting: usize,
    /// In [`ChildState::Stopping`].
    pub stopping: usize,
    /// Workers, whatever their state.
    pub workers: usize,
    /// Supervisors, whatever their state.
    pub supervisors: usize,
}

impl Counts {
    pub(super) fn of(&mut self, state: ChildState) -> &mut usize {
        match state {
            ChildState::Stopped => &mut self.stopped,
            ChildState::Starting => &mut self.starting,
            ChildState::Running => &mut self.running,
            ChildState::Restarting => &mut self.restarting,
            ChildState::Stopping => &mut self.stopping,
        }
    }

    pub(super) fn of_kind(&mut self, kind: ChildKind) -> &mut usize {
        match kind {
            ChildKind::Worker => &mut self.workers,
            ChildKind::Supervisor => &mut self.supervisors,
        }
    }
}

/// A child as told by `List`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildInfo {
    /// Its key.
    pub key: ChildKey,
    /// Its id.
    pub id: AgentId,
    /// Worker or supervisor.
    pub kind: ChildKind,
    /// When it is restarted.
    pub restart: Restart,
    /// What it is doing.
    pub state: ChildState,
    /// Number of its newest start; 0: never started.
    pub incarnation: Incarnation,
    /// How often it was started again after a first start.
    pub restarts: u64,
}

/// Who wanted a start that has not returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The supervisor's own start.
    Boot,
    /// A restart of this child alone.
    Restart,
    /// A group restart.
    Group,
    /// A `Start` call.
    Added(CallId),
    /// A `Restart` call.
    Asked(CallId),
}

/// A moment of the machine's time in nanoseconds: half the size of a [`Duration`], for 584 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment(u64);

impl Moment {
    pub(super) fn at(time: Duration) -> Self {
        Self(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
    }

    pub(super) fn time(self) -> Duration {
        Duration::from_nanos(self.0)
    }
}

/// What a child is doing, in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing runs and nothing is planned.
    Stopped,
    /// Nothing runs; a group restart, under way or to be tried again, will start it.
    Pending,
    /// Nothing runs; it failed and is tried again: when its turn in the queue comes, or (`timed`)
    /// when its backoff timer fires.
    Waiting { timed: bool },
    /// Nothing runs; its exit is in the queue behind a group restart (S20).
    Exited,
    /// A start was ordered.
    Starting(Cause),
    /// It runs since then.
    Running { since: Moment },
    /// It was told to stop or killed; `unresponsive`: because it missed its heartbeats, so that its
    /// end is a failure of its own.
    Stopping { killed: bool, timed: bool, unresponsive: bool },
}

impl State {
    pub(super) fn seen(self) -> ChildState {
        match self {
            Self::Stopped => ChildState::Stopped,
            Self::Pending
            | Self::Waiting { .. }
            | Self::Exited
            | Self::Starting(Cause::Restart | Cause::Group) => ChildState::Restarting,
            Self::Starting(Cause::Boot | Cause::Added(_) | Cause::Asked(_)) => ChildState::Starting,
            Self::Running { .. } => ChildState::Running,
            Self::Stopping { .. } => ChildState::Stopping,
        }
    }

    /// Whether an incarnation may be alive.
    pub(super) fn is_live(self) -> bool {
        match self {
            Self::Starting(_) | Self::Running { .. } | Self::Stopping { .. } => true,
            Self::Stopped | Self::Pending | Self::Waiting { .. } | Self::Exited => false,
        }
    }
}

/// One child, in 56 bytes: a million of them with their keys are 64 MB.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) id: AgentId,
    pub(super) rules: Arc<Rules>,
    pub(super) incarnation: Incarnation,
    state: State,
    rare: Option<Box<Rare>>,
}

/// What few children have.
#[derive(Debug, Default)]
struct Rare {
    /// Failures in a row, for backoff.
    failures: u32,
    /// `Stop` calls that wait for its end.
    stop_calls: Vec<CallId>,
}

impl Child {
    pub(super) fn new(id: AgentId, rules: Arc<Rules>) -> Self {
        Self { id, rules, incarnation: 0, state: State::Stopped, rare: None }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// For the table alone, which counts.
    pub(super) fn set_state(&mut self, state: State) {
        self.state = state;
    }

    pub(super) fn seen(&self) -> ChildState {
        self.state.seen()
    }

    /// Failures in a row, for backoff.
    pub(super) fn failures(&self) -> u32 {
        self.rare.as_ref().map_or(0, |rare| rare.failures)
    }

    pub(super) fn set_failures(&mut self, failures: u32) {
        if failures != self.failures() {
            self.rare.get_or_insert_default().failures = failures;
            self.tidy();
        }
    }

    /// How many `Stop` calls wait for its end.
    pub(super) fn n_stop_calls(&self) -> usize {
        self.rare.as_ref().map_or(0, |rare| rare.stop_calls.len())
    }

    pub(super) fn push_stop_call(&mut self, call: CallId) {
        self.rare.get_or_insert_default().stop_calls.push(call);
    }

    pub(super) fn take_stop_calls(&mut self) -> Vec<CallId> {
        let calls = self.rare.as_mut().map(|rare| std::mem::take(&mut rare.stop_calls));
        self.tidy();
        calls.unwrap_or_default()
    }

    fn tidy(&mut self) {
        self.rare.take_if(|rare| rare.failures == 0 && rare.stop_calls.is_empty());
    }

    pub(super) fn info(&self, key: ChildKey) -> ChildInfo {
        ChildInfo {
            key,
            id: self.id.clone(),
            kind: self.rules.kind,
            restart: self.rules.restart,
            state: self.seen(),
            incarnation: self.incarnation,
            restarts: self.incarnation.saturating_sub(1),
        }
    }
}
