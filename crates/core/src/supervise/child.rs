//! The children of one machine: by order, by id, and counted by state at every step.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::event::{CallId, ChildKey, Incarnation};
use super::spec::{CHILDREN_MAX, ChildKind, ChildSpec, Restart, SpecError};
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
    fn of(&mut self, state: ChildState) -> &mut usize {
        match state {
            ChildState::Stopped => &mut self.stopped,
            ChildState::Starting => &mut self.starting,
            ChildState::Running => &mut self.running,
            ChildState::Restarting => &mut self.restarting,
            ChildState::Stopping => &mut self.stopping,
        }
    }

    fn of_kind(&mut self, kind: ChildKind) -> &mut usize {
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
    Running { since: Duration },
    /// It was told to stop or killed; `unresponsive`: because it missed its heartbeats, so that its
    /// end is a failure of its own.
    Stopping { killed: bool, timed: bool, unresponsive: bool },
}

impl State {
    fn seen(self) -> ChildState {
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

/// One child.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) spec: ChildSpec,
    pub(super) incarnation: Incarnation,
    /// Failures in a row, for backoff.
    pub(super) failures: u32,
    /// `Stop` calls that wait for its end.
    pub(super) stop_calls: Vec<CallId>,
    state: State,
}

impl Child {
    pub(super) fn state(&self) -> State {
        self.state
    }

    pub(super) fn seen(&self) -> ChildState {
        self.state.seen()
    }

    pub(super) fn info(&self, key: ChildKey) -> ChildInfo {
        ChildInfo {
            key,
            id: self.spec.id.clone(),
            kind: self.spec.kind,
            restart: self.spec.restart,
            state: self.seen(),
            incarnation: self.incarnation,
            restarts: self.incarnation.saturating_sub(1),
        }
    }
}

/// All children; look-up by key and by id, insertion and removal in O(log n).
#[derive(Debug, Default)]
pub(super) struct Table {
    by_key: BTreeMap<ChildKey, Child>,
    by_id: BTreeMap<AgentId, ChildKey>,
    next_key: Option<ChildKey>,
    counts: Counts,
    /// Significant children that are not stopped.
    significant: usize,
}

impl Table {
    /// Adds a stopped child at the end.
    pub(super) fn insert(&mut self, spec: ChildSpec) -> Result<ChildKey, SpecError> {
        if self.by_key.len() >= CHILDREN_MAX {
            return Err(SpecError::TooManyChildren);
        }
        if self.by_id.contains_key(&spec.id) {
            return Err(SpecError::DuplicateId { id: spec.id });
        }
        let key = self.next_key.map_or(ChildKey::FIRST, |key| key);
        self.next_key = Some(key.next());
        self.counts.specs += 1;
        self.counts.stopped += 1;
        *self.counts.of_kind(spec.kind) += 1;
        self.by_id.insert(spec.id.clone(), key);
        let stop_calls = Vec::new();
        let child = Child { spec, incarnation: 0, failures: 0, stop_calls, state: State::Stopped };
        self.by_key.insert(key, child);
        Ok(key)
    }

    /// Removes a child that is not live.
    pub(super) fn remove(&mut self, key: ChildKey) -> Option<Child> {
        self.set(key, State::Stopped);
        let child = self.by_key.remove(&key)?;
        self.by_id.remove(&child.spec.id);
        self.counts.specs -= 1;
        self.counts.stopped -= 1;
        *self.counts.of_kind(child.spec.kind) -= 1;
        Some(child)
    }

    /// The only way to change a state, so that counts are right at every step.
    pub(super) fn set(&mut self, key: ChildKey, state: State) {
        let Some(child) = self.by_key.get_mut(&key) else { return };
        *self.counts.of(child.state.seen()) -= 1;
        *self.counts.of(state.seen()) += 1;
        if child.spec.significant {
            self.significant -= usize::from(child.state != State::Stopped);
            self.significant += usize::from(state != State::Stopped);
        }
        child.state = state;
    }

    pub(super) fn get(&self, key: ChildKey) -> Option<&Child> {
        self.by_key.get(&key)
    }

    pub(super) fn get_mut(&mut self, key: ChildKey) -> Option<&mut Child> {
        self.by_key.get_mut(&key)
    }

    pub(super) fn key_of(&self, id: &str) -> Option<ChildKey> {
        self.by_id.get(id).copied()
    }

    /// The first child at or after `from` in start order.
    pub(super) fn at_or_after(&self, from: ChildKey) -> Option<ChildKey> {
        self.by_key.range(from..).next().map(|(key, _)| *key)
    }

    /// The last child before `before` (of all, if `None`) that is at or after `from`.
    pub(super) fn last_before(&self, before: Option<ChildKey>, from: ChildKey) -> Option<ChildKey> {
        match before {
            Some(before) if before <= from => None,
            Some(before) => self.by_key.range(from..before).next_back().map(|(key, _)| *key),
            None => self.by_key.range(from..).next_back().map(|(key, _)| *key),
        }
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (ChildKey, &Child)> {
        self.by_key.iter().map(|(key, child)| (*key, child))
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Significant children that are not stopped.
    pub(super) fn significant(&self) -> usize {
        self.significant
    }

    /// Children of which an incarnation may be alive.
    pub(super) fn live(&self) -> impl DoubleEndedIterator<Item = ChildKey> {
        self.iter().filter(|(_, child)| child.state.is_live()).map(|(key, _)| key)
    }
}
