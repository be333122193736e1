//! What is kept of one agent.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use crate::envelope::{Envelope, Priority};
use crate::id::{AgentId, MessageId};
use crate::store::StoreError;
use crate::store::record::{
    AgentSummary, Bounds, Commit, Entry, Epoch, OnFull, Once, Opened, Position, Revision, Snapshot,
    Stored, Timer, Watermarks,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Agent {
    bounds: Bounds,
    epoch: Epoch,
    revision: Revision,
    /// The newest incarnation ended in order.
    pub(super) is_closed: bool,
    applied: Watermarks,
    /// The position of the newest message.
    tail: Position,
    messages: BTreeMap<(Priority, Position), Stored>,
    queued_bytes: u64,
    /// Ids that were accepted, and the same in the order of their arrival.
    seen: BTreeSet<MessageId>,
    arrivals: VecDeque<MessageId>,
    snapshot: Option<Snapshot>,
    journal: BTreeMap<u64, Bytes>,
    journal_last: u64,
    outbox: Vec<Envelope>,
    timers: BTreeMap<String, Timer>,
    once: BTreeMap<String, Bytes>,
}

/// What became of an envelope that arrived.
pub(super) enum Arrival {
    Accepted(Position),
    Evicting(Position, Vec<Stored>),
    Duplicate,
    Dropped(Envelope),
    Refused { messages: u64, bytes: u64 },
}

impl Agent {
    pub(super) fn new(bounds: Bounds, epoch: Epoch) -> Self {
        Self {
            bounds,
            epoch,
            revision: Revision(0),
            is_closed: true,
            applied: Watermarks::default(),
            tail: Position(0),
            messages: BTreeMap::new(),
            queued_bytes: 0,
            seen: BTreeSet::new(),
            arrivals: VecDeque::new(),
            snapshot: None,
            journal: BTreeMap::new(),
            journal_last: 0,
            outbox: Vec::new(),
            timers: BTreeMap::new(),
            once: BTreeMap::new(),
        }
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(super) fn open(&mut self, bounds: Bounds, in_hand: Option<&[Position]>) -> Opened {
        self.count_attempts(in_hand);
        self.bounds = bounds;
        self.epoch.0 += 1;
        self.is_closed = false;
        Opened {
            epoch: self.epoch,
            revision: self.revision,
            snapshot: self.snapshot.clone(),
            journal_after: self.journal_last - self.journal.len() as u64,
            journal_last: self.journal_last,
            applied: self.applied,
            queued: self.messages.len() as u64,
            outbox: self.outbox.clone(),
            timers: self.timers.values().cloned().collect(),
            once: self
                .once
                .iter()
                .map(|(key, result)| Once { key: key.clone(), result: result.clone() })
                .collect(),
        }
    }

    fn count_attempts(&mut self, in_hand: Option<&[Position]>) {
        let firsts = [Priority::High, Priority::Normal].map(|lane| self.first_of(lane));
        let was_closed = self.is_closed;
        for ((_, position), message) in &mut self.messages {
            let was_in_hand = match in_hand {
                Some(in_hand) => in_hand.contains(position),
                None => !was_closed && firsts.contains(&Some(*position)),
            };
            if was_in_hand {
                message.attempts = message.attempts.max(1);
            }
        }
    }

    fn lane(&self, lane: Priority, after: Position) -> impl Iterator<Item = &Stored> {
        self.messages
            .range((lane, Position(after.0.saturating_add(1)))..=(lane, Position(u64::MAX)))
            .map(|(_, message)| message)
    }

    fn first_of(&self, lane: Priority) -> Option<Position> {
        self.lane(lane, Position(0)).next().map(|message| message.position)
    }

    pub(super) fn messages(&self, lane: Priority, after: Position, limit: usize) -> Vec<Stored> {
        self.lane(lane, after).take(limit).cloned().collect()
    }

    pub(super) fn journal(&self, after: u64, limit: usize) -> Vec<Entry> {
        let later = self.journal.range(after.saturating_add(1)..).take(limit);
        later.map(|(&number, bytes)| Entry { number, bytes: bytes.clone() }).collect()
    }

    pub(super) fn summary(&self, agent: AgentId) -> AgentSummary {
        AgentSummary {
            agent,
            epoch: self.epoch,
            revision: self.revision,
            queued: self.messages.len() as u64,
            queued_bytes: self.queued_bytes,
            entries: self.journal.len() as u64,
            outbox: self.outbox.len() as u64,
            timers: self.timers.len() as u64,
            once: self.once.len() as u64,
        }
    }

    pub(super) fn arrive(&mut self, envelope: Envelope, window: usize) -> Arrival {
        if self.seen.contains(&envelope.id) {
            return Arrival::Duplicate;
        }
        let messages = self.messages.len() as u64;
        let bytes = self.queued_bytes;
        if self.has_room_for(&envelope) {
            self.remember(envelope.id, window);
            return Arrival::Accepted(self.enqueue(envelope));
        }
        match self.bounds.on_full {
            OnFull::Refuse => Arrival::Refused { messages, bytes },
            OnFull::DropNewest => {
                self.remember(envelope.id, window);
                Arrival::Dropped(envelope)
            }
            OnFull::DropOldest => {
                self.remember(envelope.id, window);
                let Bounds { messages_max, bytes_max, .. } = self.bounds;
                if messages_max == 0 || envelope.payload.len() as u64 > bytes_max {
                    return Arrival::Dropped(envelope);
                }
                let mut evicted = Vec::new();
                while !self.has_room_for(&envelope) {
                    evicted.extend(self.evict(envelope.priority));
                }
                Arrival::Evicting(self.enqueue(envelope), evicted)
            }
        }
    }

    fn has_room_for(&self, envelope: &Envelope) -> bool {
        (self.messages.len() as u64) < self.bounds.messages_max
            && self.queued_bytes.saturating_add(envelope.payload.len() as u64)
                <= self.bounds.bytes_max
    }

    fn evict(&mut self, lane: Priority) -> Option<Stored> {
        let other = match lane {
            Priority::High => Priority::Normal,
            Priority::Normal => Priority::High,
        };
        let (lane, position) = [lane, other]
            .into_iter()
            .find_map(|lane| self.first_of(lane).map(|position| (lane, position)))?;
        self.remove(lane, position)
    }

    fn remove(&mut self, lane: Priority, position: Position) -> Option<Stored> {
        let message = self.messages.remove(&(lane, position))?;
        self.queued_bytes -= message.envelope.payload.len() as u64;
        Some(message)
    }

    /// Remembers an id; one that is known (that of a timer may be) keeps its place.
    fn remember(&mut self, id: MessageId, window: usize) {
        if !self.seen.insert(id) {
            return;
        }
        self.arrivals.push_back(id);
        if self.arrivals.len() > window
            && let Some(eldest) = self.arrivals.pop_front()
        {
            self.seen.remove(&eldest);
        }
    }

    /// Puts a message behind all others, whatever the bounds.
    pub(super) fn enqueue(&mut self, envelope: Envelope) -> Position {
        self.tail.0 += 1;
        self.queued_bytes += envelope.payload.len() as u64;
        let (lane, position) = (envelope.priority, self.tail);
        self.messages.insert((lane, position), Stored { position, attempts: 0, envelope });
        position
    }

    pub(super) fn must_be(&self, id: &AgentId, epoch: Epoch) -> Result<(), StoreError> {
        if epoch == self.epoch {
            return Ok(());
        }
        Err(StoreError::Fenced { agent: id.clone(), current: self.epoch })
    }

    /// The new revision, and what became dead letters.
    pub(super) fn commit(
        &mut self,
        commit: Commit,
        window: usize,
    ) -> Result<(Revision, Vec<(Stored, String)>), StoreError> {
        self.must_be(&commit.agent, commit.epoch)?;
        if commit.expected != self.revision {
            return Err(StoreError::Conflict { agent: commit.agent, found: self.revision });
        }
        if let Some(why) = self.contradiction(&commit) {
            return Err(StoreError::Malformed { agent: commit.agent, why });
        }
        if commit.n_applied.is_some_and(|n| n != self.n_up_to(commit.applied)) {
            return Err(StoreError::Conflict { agent: commit.agent, found: self.revision });
        }
        self.revision.0 += 1;
        if let Some(snapshot) = commit.snapshot {
            self.snapshot = Some(snapshot);
            self.journal.clear();
        }
        for bytes in commit.journal {
            self.journal_last += 1;
            self.journal.insert(self.journal_last, bytes);
        }
        for message in self.messages.values_mut() {
            if commit.begun.contains(&message.position) {
                message.attempts = message.attempts.saturating_add(1);
            }
        }
        let dead = self.apply(commit.applied, commit.dead);
        self.outbox.retain(|envelope| !commit.sent.contains(&envelope.id));
        self.outbox.extend(commit.outbox);
        for key in &commit.fire {
            if let Some(timer) = self.timers.remove(key) {
                self.remember(timer.envelope.id, window);
                self.enqueue(timer.envelope);
            }
        }
        for key in &commit.cancel {
            self.timers.remove(key);
        }
        for timer in commit.set {
            self.timers.insert(timer.key.clone(), timer);
        }
        for Once { key, result } in commit.once {
            self.once.entry(key).or_insert(result);
        }
        for key in &commit.forget {
            self.once.remove(key);
        }
        Ok((self.revision, dead))
    }

    fn contradiction(&self, commit: &Commit) -> Option<&'static str> {
        let (old, new) = (self.applied, commit.applied);
        if new.high < old.high || new.normal < old.normal {
            return Some("the mailbox would be applied less far than it is");
        }
        if new.high > self.tail || new.normal > self.tail {
            return Some("more would be applied than there is");
        }
        let is_new = |position| {
            let mut lanes = [Priority::High, Priority::Normal].into_iter();
            match lanes.find(|lane| self.messages.contains_key(&(*lane, position))) {
                Some(lane) => position <= new.of(lane),
                // It was evicted, and is dead already, or it was never there.
                None => position > old.high.min(old.normal) && position <= new.high.max(new.normal),
            }
        };
        if !commit.dead.iter().all(|(position, _)| is_new(*position)) {
            return Some("a dead letter is not among the newly applied messages");
        }
        if !commit.fire.iter().all(|key| self.timers.contains_key(key)) {
            return Some("a timer that fires is not set");
        }
        if commit.set.iter().any(|timer| timer.envelope.to != commit.agent) {
            return Some("a timer's message is for somebody else");
        }
        None
    }

    fn n_up_to(&self, applied: Watermarks) -> u64 {
        let n = |lane| self.messages.range((lane, Position(0))..=(lane, applied.of(lane))).count();
        (n(Priority::High) + n(Priority::Normal)) as u64
    }

    /// Moves the watermarks and forgets what lies behind them; returns what becomes dead letters.
    fn apply(
        &mut self,
        applied: Watermarks,
        dead: Vec<(Position, String)>,
    ) -> Vec<(Stored, String)> {
        let mut reasons: BTreeMap<_, _> = dead.into_iter().collect();
        let mut letters = Vec::new();
        for lane in [Priority::High, Priority::Normal] {
            while let Some(position) = self.first_of(lane).filter(|at| *at <= applied.of(lane)) {
                if let Some(message) = self.remove(lane, position)
                    && let Some(reason) = reasons.remove(&position)
                {
                    letters.push((message, reason));
                }
            }
        }
        self.applied = applied;
        // In the order of their arrival, whatever the lane.
        letters.sort_by_key(|(message, _)| message.position);
        letters
    }
}
