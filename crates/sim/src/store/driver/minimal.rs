//! The smallest driver that keeps every promise, and the bugs that can be planted in it.

use std::collections::VecDeque;
use std::pin::Pin;

use ggml_agent_core::store::{
    Accepted, Answer, Commit, Epoch, Found, Open, Opened, Position, Read, Revision, StoreError,
    StoreRef, Stored, Timer, Watermarks, Write, Written,
};
use ggml_agent_core::{Envelope, MessageId, Priority};

use super::{Driver, Ending, Turn};
use crate::rng::Rng;
use crate::store::clerk::{Clerk, DELIVERIES_MAX, Deeds, envelope_of};
use crate::store::poll_now;

/// A mistake in a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// The mailbox is acknowledged in a commit of its own, before that of the state.
    AcknowledgeBeforeCommit,
    /// The state is committed before the mailbox is acknowledged.
    AcknowledgeAfterCommit,
    /// What a handler sends is sent before its commit.
    OutboxBeforeCommit,
    /// What waits in the outbox is sent from its end.
    OutboxOutOfOrder,
    /// What waits in the outbox after a restart is sent under another id.
    FreshIds,
    /// No commit says what was sent: an outbox only grows.
    SentIsNotReported,
    /// The mailbox is acknowledged as far as it was read, not as far as it was handled.
    TrimTooEarly,
}

/// One operation at a time, one snapshot per commit.
#[derive(Debug)]
pub struct Minimal {
    clerk: Clerk,
    store: StoreRef,
    in_hand: Option<Vec<Position>>,
    bug: Option<Bug>,
    rng: Rng,
    epoch: Epoch,
    revision: Revision,
    watermarks: Watermarks,
    /// Committed and not yet sent.
    outbox: VecDeque<Outgoing>,
    /// Sent, which the next commit reports.
    sent: Vec<MessageId>,
    /// Committed and not yet fired, eldest first.
    /// Messages whose delivery was counted by this incarnation, before it began.
    counted: Vec<Position>,
    timers: VecDeque<Timer>,
    doing: Doing,
}

/// A message of the outbox.
#[derive(Debug)]
struct Outgoing {
    /// By which the outbox knows it.
    record: MessageId,
    envelope: Envelope,
}

enum Doing {
    Opening(Answer<Written>),
    Resting,
    /// `then` is committed after it.
    Committing {
        answer: Answer<Written>,
        commit: Box<Commit>,
        then: Option<Box<Commit>>,
    },
    Sending(Answer<Written>),
    Ended(Ending),
}

impl std::fmt::Debug for Doing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Opening(_) => "Opening",
            Self::Resting => "Resting",
            Self::Committing { .. } => "Committing",
            Self::Sending(_) => "Sending",
            Self::Ended(_) => "Ended",
        })
    }
}

impl Driver for Minimal {
    type Options = Option<Bug>;

    fn begin(
        clerk: Clerk,
        store: &StoreRef,
        in_hand: Option<Vec<Position>>,
        bug: &Option<Bug>,
        seed: u64,
    ) -> Self {
        let mut minimal = Self {
            clerk,
            store: store.clone(),
            in_hand,
            bug: *bug,
            rng: Rng::new(seed),
            epoch: Epoch(0),
            revision: Revision(0),
            watermarks: Watermarks::default(),
            outbox: VecDeque::new(),
            sent: Vec::new(),
            counted: Vec::new(),
            timers: VecDeque::new(),
            doing: Doing::Resting,
        };
        minimal.open();
        minimal
    }

    fn turn(&mut self) -> Turn {
        let answer = match &mut self.doing {
            Doing::Resting => return self.go_on(),
            Doing::Ended(ending) => return Turn::Ended(ending.clone()),
            Doing::Opening(answer) | Doing::Sending(answer) => answer,
            Doing::Committing { answer, .. } => answer,
        };
        let Some(heard) = poll_now(Pin::as_mut(answer)) else { return Turn::Waits };
        let done = std::mem::replace(&mut self.doing, Doing::Resting);
        match heard {
            Ok(written) => self.done(done, written),
            Err(StoreError::NoSpace | StoreError::Unavailable { .. } | StoreError::Full { .. }) => {
                self.again(done);
            }
            // The one that it writes to may be begun later.
            Err(StoreError::UnknownMailbox { .. }) if matches!(done, Doing::Sending(_)) => {}
            Err(StoreError::Fenced { .. } | StoreError::Conflict { .. }) => {
                return self.end(Ending::Fenced);
            }
            Err(error) => return self.end(Ending::Store(error)),
        }
        Turn::Worked
    }
}

impl Minimal {
    fn end(&mut self, ending: Ending) -> Turn {
        self.doing = Doing::Ended(ending.clone());
        Turn::Ended(ending)
    }

    fn open(&mut self) {
        let (agent, bounds) = (self.clerk.id.clone(), self.clerk.bounds);
        let open = Open { agent, bounds, in_hand: self.in_hand.clone() };
        self.doing = Doing::Opening(self.store.write(Write::Open(open)));
    }

    fn commit(&mut self, commit: Box<Commit>, then: Option<Box<Commit>>) {
        let answer = self.store.write(Write::Commit(commit.clone()));
        self.doing = Doing::Committing { answer, commit, then };
    }

    /// The same once more, with the same ids.
    fn again(&mut self, what: Doing) {
        match what {
            Doing::Opening(_) => self.open(),
            Doing::Committing { commit, then, .. } => self.commit(commit, then),
            // The first of the outbox is still the first.
            Doing::Sending(_) | Doing::Resting | Doing::Ended(_) => {}
        }
    }

    fn done(&mut self, what: Doing, written: Written) {
        match (what, written) {
            (Doing::Opening(_), Written::Opened(opened)) => self.opened(*opened),
            (Doing::Committing { commit, then, .. }, Written::Committed(revision)) => {
                self.revision = revision;
                self.timers.extend(commit.set);
                let outgoing = commit.outbox.into_iter();
                self.outbox
                    .extend(outgoing.map(|envelope| Outgoing { record: envelope.id, envelope }));
                if self.bug == Some(Bug::OutboxOutOfOrder) {
                    self.outbox.make_contiguous().reverse();
                }
                if let Some(then) = then {
                    self.commit(Box::new(Commit { expected: revision, ..*then }), None);
                }
            }
            (Doing::Sending(_), Written::Accepted(accepted)) => {
                // Dropped by policy is accepted too: it is a dead letter.
                let (Accepted::At(_) | Accepted::Duplicate | Accepted::Dropped) = accepted;
                if let Some(outgoing) = self.outbox.pop_front()
                    && self.bug != Some(Bug::SentIsNotReported)
                {
                    self.sent.push(outgoing.record);
                }
            }
            (_, other) => unreachable!("invariant: an engine answers what it was asked: {other:?}"),
        }
    }

    fn opened(&mut self, opened: Opened) {
        self.clerk.restore(opened.snapshot.as_ref());
        self.epoch = opened.epoch;
        self.revision = opened.revision;
        self.watermarks = opened.applied;
        self.timers = opened.timers.into();
        self.timers.make_contiguous().sort_by_key(|timer| timer.due_ms);
        for mut envelope in opened.outbox {
            let record = envelope.id;
            if self.bug == Some(Bug::FreshIds) {
                envelope.id = MessageId::from_u128(u128::from(self.rng.bits()));
            }
            self.outbox.push_back(Outgoing { record, envelope });
        }
    }

    /// Begins what is next to do.
    fn go_on(&mut self) -> Turn {
        if self.rng.chance(70)
            && let Some(outgoing) = self.outbox.front()
        {
            let answer = self.store.write(Write::Append(outgoing.envelope.clone()));
            self.doing = Doing::Sending(answer);
            return Turn::Worked;
        }
        match self.batch() {
            Err(error) => self.end(Ending::Store(error)),
            Ok(batch) if batch.is_empty() => {
                if !self.sent.is_empty() || !self.timers.is_empty() {
                    let mut commit = self.next_commit();
                    commit.sent = std::mem::take(&mut self.sent);
                    commit.fire = self.fire();
                    self.commit(Box::new(commit), None);
                    return Turn::Worked;
                }
                if self.outbox.is_empty() { Turn::Rests } else { Turn::Worked }
            }
            Ok(batch) => self.count(&batch).unwrap_or_else(|| self.handle(&batch)),
        }
    }

    fn next_commit(&self) -> Commit {
        Commit::new(self.clerk.id.clone(), self.epoch, self.revision, self.watermarks)
    }

    /// The keys of the timers that fire now: the eldest, as many as it happens.
    fn fire(&mut self) -> Vec<String> {
        let n = self.timers.len() - self.rng.below(self.timers.len());
        self.timers.drain(..n).map(|timer| timer.key).collect()
    }

    /// The next messages, those of the priority lane first.
    fn batch(&self) -> Result<Vec<Stored>, StoreError> {
        let mut limit = self.clerk.batch_max;
        if self.bug == Some(Bug::TrimTooEarly) {
            limit += 1;
        }
        let mut batch = Vec::new();
        for lane in [Priority::High, Priority::Normal] {
            let (mailbox, after) = (self.clerk.id.clone(), self.watermarks.of(lane));
            let limit = limit - batch.len();
            let mut answer = self.store.read(Read::Messages { mailbox, lane, after, limit });
            match poll_now(Pin::as_mut(&mut answer)) {
                Some(Ok(Found::Messages(messages))) => batch.extend(messages),
                Some(Err(error)) => return Err(error),
                other => unreachable!("invariant: a simulated store reads at once: {other:?}"),
            }
        }
        Ok(batch)
    }

    /// Counts the deliveries of a batch that are not the first ones; `None` if there is nothing to count.
    fn count(&mut self, batch: &[Stored]) -> Option<Turn> {
        let again = batch.iter().filter(|message| (1..DELIVERIES_MAX).contains(&message.attempts));
        let begun: Vec<_> = again.map(|message| message.position).collect();
        let begun: Vec<_> = begun.into_iter().filter(|at| !self.counted.contains(at)).collect();
        if begun.is_empty() {
            return None;
        }
        self.counted.extend(&begun);
        let commit = Commit { begun, ..self.next_commit() };
        self.commit(Box::new(commit), None);
        Some(Turn::Worked)
    }

    fn handle(&mut self, batch: &[Stored]) -> Turn {
        let mut commit = self.next_commit();
        for (at, message) in batch.iter().enumerate() {
            let (lane, position) = (message.envelope.priority, message.position);
            *commit.applied.of_mut(lane) = position;
            if at >= self.clerk.batch_max {
                continue; // Only who trims too early reads more than it handles.
            }
            if message.attempts >= DELIVERIES_MAX && !self.counted.contains(&position) {
                commit.dead.push((position, "delivered too often".into()));
                continue;
            }
            match self.clerk.handle(message) {
                Err(_) => return self.end(Ending::Crashed(vec![position])),
                Ok(Deeds { draft, alarm }) => {
                    let id = self.id_of(2 * at);
                    commit.outbox.extend(draft.map(|to| envelope_of(id, to.to, &to.letter)));
                    let id = self.id_of(2 * at + 1);
                    commit.set.extend(alarm.map(|alarm| alarm.timer(id, self.clerk.id.clone())));
                }
            }
        }
        if self.rng.chance(50) {
            commit.fire = self.fire();
        }
        commit.snapshot = Some(self.clerk.snapshot());
        commit.sent = std::mem::take(&mut self.sent);
        let old = std::mem::replace(&mut self.watermarks, commit.applied);
        self.commit_with_bug(commit, old);
        Turn::Worked
    }

    /// The id of the message number `at` of the next commit: the same one when it is handled again.
    fn id_of(&self, at: usize) -> MessageId {
        let agent = self.clerk.id.as_str().bytes().fold(1, |sum, byte| sum * 31 + u128::from(byte));
        MessageId::from_u128((agent << 64) + (u128::from(self.revision.0) << 16) + at as u128)
    }

    fn commit_with_bug(&mut self, mut commit: Commit, old: Watermarks) {
        let bare = Commit::new(commit.agent.clone(), commit.epoch, commit.expected, old);
        match self.bug {
            Some(Bug::AcknowledgeBeforeCommit) => {
                let first = Commit { applied: commit.applied, dead: commit.dead, ..bare };
                commit.dead = Vec::new();
                self.commit(Box::new(first), Some(Box::new(commit)));
            }
            Some(Bug::AcknowledgeAfterCommit) => {
                let last = Commit { applied: commit.applied, dead: commit.dead, ..bare };
                commit.dead = Vec::new();
                commit.applied = old;
                self.commit(Box::new(commit), Some(Box::new(last)));
            }
            Some(Bug::OutboxBeforeCommit) => {
                for envelope in std::mem::take(&mut commit.outbox) {
                    drop(self.store.write(Write::Append(envelope)));
                }
                self.commit(Box::new(commit), None);
            }
            _ => self.commit(Box::new(commit), None),
        }
    }
}
