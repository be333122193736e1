//! A durable agent's rules: which message is next, what is committed together, and what may be sent when.
//!
//! The machine is told what a store holds ([`Opened`], pages of messages) and what its agent did
//! ([`Effects`]); it says what to do next ([`Step`]). It never waits: while a commit is under way it goes on
//! with the next messages, and what they did becomes one commit when the store has answered. So a busy agent
//! commits in groups, and an idle one at once.
//!
//! What makes an effect happen once: state, acknowledgement and outbox are one commit; nothing of the outbox
//! leaves before its commit is answered; ids of sent messages follow from the message that caused them, so a
//! handler that runs again sends the same ones; and a store refuses commits of incarnations that are over.

mod effects;
mod ids;
mod lane;
mod timers;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

pub use self::effects::Effects;
pub use self::ids::{once_key, sent_id};
use self::lane::Lanes;
pub use self::timers::Timers;
use crate::envelope::{Envelope, Priority};
use crate::id::{AgentId, MessageId};
use crate::limits;
use crate::store::{Commit, Epoch, Once, Opened, Position, Revision, Snapshot, Stored, Watermarks};

/// How a durable agent treats its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How often the delivery of a message may begin; then it is a dead letter. At least 1.
    pub deliveries_max: u32,
    /// Most messages in one commit.
    pub batch_max: usize,
    /// Commits that may be under way at once.
    pub in_flight_max: usize,
}

impl Rules {
    /// 5 deliveries, 256 messages in a commit, two commits under way.
    pub const DEFAULT: Self = Self {
        deliveries_max: limits::DELIVERIES_MAX_DEFAULT,
        batch_max: limits::COMMIT_MESSAGES_MAX,
        in_flight_max: 2,
    };
}

/// What an agent does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Let the agent handle it, then tell [`Machine::handled`].
    Hand(Stored),
    /// Read a page of a lane, then tell [`Machine::fetched`].
    Fetch {
        /// Which lane.
        lane: Priority,
        /// Behind where.
        after: Position,
        /// At most how many.
        limit: usize,
    },
    /// Take the agent's state if [`Machine::is_state_dirty`], and begin [`Machine::commit`].
    Commit,
    /// Nothing to do until a commit is answered, a message arrives, or the time comes.
    Wait {
        /// When the next timer is due, in milliseconds since the Unix epoch.
        due_ms: Option<u64>,
    },
}

/// What a commit that was answered sets free.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Released {
    /// Messages to send now, in order.
    pub outbox: Vec<Envelope>,
    /// Messages whose effects are durable now: who asked them may hear the answer.
    pub acknowledged: Vec<MessageId>,
}

/// One incarnation of a durable agent.
#[derive(Debug)]
pub struct Machine {
    agent: AgentId,
    epoch: Epoch,
    rules: Rules,
    /// The revision that the next commit expects.
    revision: Revision,
    lanes: Lanes,
    timers: Timers,
    once: BTreeMap<String, Bytes>,
    /// What the next commit holds.
    batch: Batch,
    in_flight: VecDeque<(Revision, Released)>,
    /// A message whose delivery is not its first: it waits until that is counted.
    held: Option<Stored>,
    /// Messages of the outbox that have left, to be reported with the next commit.
    sent: Vec<MessageId>,
}

#[derive(Debug, Default)]
struct Batch {
    handled: usize,
    /// Messages that were handled or refused.
    n_applied: u64,
    begun: Vec<Position>,
    is_state_dirty: bool,
    dead: Vec<(Position, String)>,
    acknowledged: Vec<MessageId>,
    outbox: Vec<Envelope>,
    fire: Vec<String>,
    set: Vec<crate::store::Timer>,
    cancel: Vec<String>,
    forget: Vec<String>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.handled == 0 && self.begun.is_empty() && self.dead.is_empty() && self.fire.is_empty()
    }
}

impl Machine {
    /// The incarnation that `opened` begins, and what its predecessors left in the outbox: to be sent
    /// again, with the ids that it has.
    #[must_use]
    pub fn new(agent: AgentId, opened: &Opened, rules: Rules) -> (Self, Vec<Envelope>) {
        let once = opened.once.iter().map(|once| (once.key.clone(), once.result.clone())).collect();
        let machine = Self {
            agent,
            epoch: opened.epoch,
            rules,
            revision: opened.revision,
            lanes: Lanes::new(opened.applied),
            timers: Timers::new(&opened.timers),
            once,
            batch: Batch::default(),
            in_flight: VecDeque::new(),
            held: None,
            sent: Vec::new(),
        };
        (machine, opened.outbox.clone())
    }

    /// The epoch that its commits carry.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Something may have come into `lane` of the mailbox.
    pub fn arrived(&mut self, lane: Priority) {
        self.lanes.arrived(lane);
    }

    /// What to do at `now_ms`, milliseconds since the Unix epoch.
    pub fn next(&mut self, now_ms: u64) -> Step {
        self.batch.fire.extend(self.timers.take_due(now_ms));
        loop {
            // With nothing under way it would only wait; else more messages are worth collecting.
            if !self.batch.is_empty() && self.in_flight.is_empty() {
                return Step::Commit;
            }
            if self.batch.handled >= self.rules.batch_max {
                let may_commit = self.in_flight.len() < self.rules.in_flight_max;
                return if may_commit { Step::Commit } else { self.wait() };
            }
            if self.held.is_some() && !self.in_flight.is_empty() {
                return self.wait();
            }
            if let Some(message) = self.held.take() {
                return Step::Hand(message);
            }
            if let Some((lane, after)) = self.lanes.to_fetch() {
                return Step::Fetch { lane, after, limit: limits::DURABLE_PAGE_LEN };
            }
            let Some(message) = self.lanes.take() else {
                return self.wait();
            };
            if message.attempts >= self.rules.deliveries_max {
                let why = format!("delivered {} times without success", message.attempts);
                self.refused(&message, why);
            } else if message.attempts == 0 {
                return Step::Hand(message);
            } else {
                // It may end the process: what is not counted before is never counted.
                self.batch.begun.push(message.position);
                self.held = Some(message);
            }
        }
    }

    fn wait(&self) -> Step {
        Step::Wait { due_ms: self.timers.next_due() }
    }

    /// A page of a lane, asked for by [`Step::Fetch`]: an empty one says that there is no more.
    pub fn fetched(&mut self, lane: Priority, page: Vec<Stored>) {
        self.lanes.fetched(lane, page);
    }

    /// The agent has handled `message`, and did `effects`.
    pub fn handled(&mut self, message: &Stored, effects: Effects) {
        self.lanes.done(message.envelope.priority, message.position);
        let batch = &mut self.batch;
        batch.handled += 1;
        batch.n_applied += 1;
        batch.is_state_dirty |= effects.is_state_dirty;
        batch.acknowledged.push(message.envelope.id);
        batch.outbox.extend(effects.outbox);
        for key in effects.cancel {
            self.timers.cancel(&key);
            batch.set.retain(|timer| timer.key != key);
            batch.fire.retain(|fire| *fire != key);
            batch.cancel.push(key);
        }
        for timer in effects.set {
            // It can fire when a commit holds it; until then nothing of its key does.
            self.timers.cancel(&timer.key);
            batch.set.retain(|other| other.key != timer.key);
            batch.cancel.retain(|key| *key != timer.key);
            batch.fire.retain(|key| *key != timer.key);
            batch.set.push(timer);
        }
        // Its results were for the case that it runs again.
        let of_message = ids::once_prefix(message.envelope.id);
        let range = of_message.clone()..;
        let keys = self.once.range(range).map(|(key, _)| key);
        let keys: Vec<_> = keys.take_while(|key| key.starts_with(&of_message)).cloned().collect();
        for key in keys {
            self.once.remove(&key);
            batch.forget.push(key);
        }
    }

    /// `message` cannot be handled, now or ever: it becomes a dead letter.
    pub fn refused(&mut self, message: &Stored, why: String) {
        self.lanes.done(message.envelope.priority, message.position);
        self.batch.n_applied += 1;
        self.batch.acknowledged.push(message.envelope.id);
        self.batch.dead.push((message.position, why));
    }

    /// Whether something of the agent's state changed that no commit holds yet.
    #[must_use]
    pub fn is_state_dirty(&self) -> bool {
        self.batch.is_state_dirty
    }

    /// Whether something waits for a commit to report it: a reason for one before the end.
    #[must_use]
    pub fn has_news(&self) -> bool {
        !self.batch.is_empty() || !self.sent.is_empty()
    }

    /// How many messages of the outbox have left that no commit has reported yet.
    #[must_use]
    pub fn sent_len(&self) -> usize {
        self.sent.len()
    }

    /// Whether commits are under way.
    #[must_use]
    pub fn is_committing(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// Begins a commit of everything since the last one. `snapshot` is the agent's state, if it is dirty.
    pub fn commit(&mut self, snapshot: Option<Snapshot>) -> Commit {
        let batch = std::mem::take(&mut self.batch);
        let released = Released { outbox: batch.outbox.clone(), acknowledged: batch.acknowledged };
        let marks = self.lanes.begin();
        let mut commit = self.begin(marks, released);
        for timer in &batch.set {
            self.timers.set(timer);
        }
        commit.snapshot = snapshot;
        commit.n_applied = Some(batch.n_applied);
        commit.begun = batch.begun;
        commit.dead = batch.dead;
        commit.outbox = batch.outbox;
        commit.sent = std::mem::take(&mut self.sent);
        commit.set = batch.set;
        commit.cancel = batch.cancel;
        commit.fire = batch.fire;
        commit.forget = batch.forget;
        if !commit.fire.is_empty() {
            // What fires is a message that comes in with this commit.
            self.lanes.arrived(Priority::High);
            self.lanes.arrived(Priority::Normal);
        }
        commit
    }

    fn begin(&mut self, applied: Watermarks, released: Released) -> Commit {
        let expected = self.revision;
        self.revision.0 += 1;
        self.in_flight.push_back((self.revision, released));
        Commit::new(self.agent.clone(), self.epoch, expected, applied)
    }

    /// The commit that makes `revision` was answered with `Ok`. They are answered in order.
    ///
    /// # Panics
    /// If it was not begun here.
    pub fn committed(&mut self, revision: Revision) -> Released {
        let (begun, released) = self.in_flight.pop_front().expect("invariant: it was begun");
        assert!(begun == revision, "invariant: a store answers commits in order");
        released
    }

    /// A message of the outbox was delivered, or is somebody else's to deliver now.
    pub fn sent(&mut self, id: MessageId) {
        self.sent.push(id);
    }

    /// The result of an effect that happened before, in this incarnation or an earlier one.
    #[must_use]
    pub fn result(&self, key: &str) -> Option<&Bytes> {
        self.once.get(key)
    }

    /// Begins a commit that holds the result of an effect and nothing else: the message in hand is not
    /// applied by it, nor anything before it that waits for its own commit.
    pub fn record(&mut self, key: String, result: Bytes) -> Commit {
        self.once.insert(key.clone(), result.clone());
        let mut commit = self.begin(self.lanes.begun(), Released::default());
        commit.once.push(Once { key, result });
        commit
    }
}

#[cfg(test)]
mod tests;
