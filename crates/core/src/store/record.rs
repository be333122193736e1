//! What a store keeps.

use bytes::Bytes;

use super::StoreError;
use crate::envelope::{Envelope, Priority};
use crate::id::{AgentId, MessageId};
use crate::limits;

/// The place of a message in a mailbox, over both lanes, from 1. It only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub u64);

/// Number of an incarnation in the store, from 1. The newest one alone may commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u64);

/// Number of an agent's record: how many commits made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub u64);

/// How far each lane of a mailbox was applied: everything up to there is done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Watermarks {
    /// Of the priority lane.
    pub high: Position,
    /// Of the user lane.
    pub normal: Position,
}

impl Watermarks {
    /// That of `lane`.
    #[must_use]
    pub fn of(&self, lane: Priority) -> Position {
        match lane {
            Priority::High => self.high,
            Priority::Normal => self.normal,
        }
    }

    /// That of `lane`, to be moved.
    pub fn of_mut(&mut self, lane: Priority) -> &mut Position {
        match lane {
            Priority::High => &mut self.high,
            Priority::Normal => &mut self.normal,
        }
    }
}

/// How much a durable mailbox holds, and what happens to more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Most messages that wait in it.
    pub messages_max: u64,
    /// Most bytes of payload that wait in it.
    pub bytes_max: u64,
    /// What happens to a message that is too many.
    pub on_full: OnFull,
}

impl Bounds {
    /// 100,000 messages and 256 MiB; more is refused.
    pub const DEFAULT: Self = Self {
        messages_max: limits::DURABLE_MESSAGES_MAX_DEFAULT,
        bytes_max: limits::DURABLE_BYTES_MAX_DEFAULT,
        on_full: OnFull::Refuse,
    };
}

impl Default for Bounds {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What happens to a message for a mailbox that is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFull {
    /// It is refused: the sender has it still, and may wait for room.
    Refuse,
    /// It becomes a dead letter.
    DropNewest,
    /// The eldest of its lane, or else of the other, become dead letters until there is room for it.
    DropOldest,
}

/// What became of an envelope that was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It is in the mailbox.
    At(Position),
    /// One with its id was accepted before, within the last
    /// [`DEDUPE_IDS_MAX`](limits::DEDUPE_IDS_MAX) of the mailbox: nothing was changed.
    Duplicate,
    /// The mailbox was full: it is a dead letter, by policy.
    Dropped,
}

/// What became of envelopes that were appended together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// How many were accepted, from the front.
    pub n: usize,
    /// Why the next one was not; `None` if all were.
    pub refused: Option<StoreError>,
}

/// A message in a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Where it is.
    pub position: Position,
    /// How often its delivery began and did not end; 1 too much if it was first in its lane when a process
    /// ended that nobody heard of again.
    pub attempts: u32,
    /// The message.
    pub envelope: Envelope,
}

/// An agent's state at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Version of its form, which is the agent's own affair.
    pub version: u32,
    /// The state.
    pub bytes: Bytes,
}

/// One entry of an agent's journal: what happened since the snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 1, without a gap. It goes on behind a snapshot.
    pub number: u64,
    /// What it says.
    pub bytes: Bytes,
}

/// A message to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer {
    /// Its name, unique within the agent.
    pub key: String,
    /// When it is due, by the wall clock: milliseconds since the Unix epoch, UTC. Wall time, since it must
    /// mean the same after a restart of the machine.
    pub due_ms: u64,
    /// The message, to the agent itself.
    pub envelope: Envelope,
}

/// The result of an effect outside, kept so that it happens once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// Its key, unique within the agent.
    pub key: String,
    /// Its result.
    pub result: Bytes,
}

/// A message that could not be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadRecord {
    /// Its number, from 1. It only grows.
    pub number: u64,
    /// Why.
    pub reason: String,
    /// How often its delivery began.
    pub attempts: u32,
    /// The message.
    pub envelope: Envelope,
}

/// The beginning of an incarnation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Whose.
    pub agent: AgentId,
    /// Bounds of the mailbox from now on.
    pub bounds: Bounds,
    /// What the incarnation before had in hand when it ended: its delivery began once, at least. `None` when
    /// nobody knows, as after a crash of the process: then that holds for the first message of each lane,
    /// unless that incarnation was closed. A later delivery is counted when it [begins](Commit::begun), so that
    /// no message is held to be at fault for processes that ended before they came to it.
    pub in_hand: Option<Vec<Position>>,
}

/// What an incarnation begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Its epoch, which its commits carry.
    pub epoch: Epoch,
    /// The revision that its first commit expects.
    pub revision: Revision,
    /// The newest snapshot.
    pub snapshot: Option<Snapshot>,
    /// Number of the last entry that the snapshot stands for, 0 if none: the journal is read behind it.
    pub journal_after: u64,
    /// Number of the last entry, 0 if none.
    pub journal_last: u64,
    /// How far the mailbox was applied.
    pub applied: Watermarks,
    /// Messages that wait.
    pub queued: u64,
    /// Messages of the outbox that nobody has reported as sent, in order.
    pub outbox: Vec<Envelope>,
    /// Timers, by key.
    pub timers: Vec<Timer>,
    /// Results of outside effects, by key.
    pub once: Vec<Once>,
}

/// What an agent did since its last commit, in one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Whose.
    pub agent: AgentId,
    /// Of which incarnation: an older one is refused.
    pub epoch: Epoch,
    /// The revision that it was made from.
    pub expected: Revision,
    /// The state after it; `None` leaves it. It stands for the whole journal before this commit.
    pub snapshot: Option<Snapshot>,
    /// Entries for the journal, behind the snapshot.
    pub journal: Vec<Bytes>,
    /// How far the mailbox is applied now; what lies behind is forgotten.
    pub applied: Watermarks,
    /// How many messages that are, if the store is to see to it: if one of them was evicted meanwhile, and is a
    /// dead letter, the commit is refused as a [conflict](super::StoreError::Conflict), so that nothing is both
    /// dead and applied.
    pub n_applied: Option<u64>,
    /// Messages whose delivery begins, and is counted, though it is not the first one.
    pub begun: Vec<Position>,
    /// Messages among the newly applied that become dead letters, and why.
    pub dead: Vec<(Position, String)>,
    /// Messages to send. Nobody may send one before its commit is answered.
    pub outbox: Vec<Envelope>,
    /// Messages of the outbox that were sent, and are forgotten.
    pub sent: Vec<MessageId>,
    /// Timers to set; one of the same key is replaced.
    pub set: Vec<Timer>,
    /// Timers to forget, by key; an unknown one is nothing to speak of.
    pub cancel: Vec<String>,
    /// Timers that are due, by key: their messages go into the mailbox, behind all others and whatever its
    /// bounds, since they were accepted when they were set.
    pub fire: Vec<String>,
    /// Results to keep; the first of a key stays.
    pub once: Vec<Once>,
    /// Results to forget, by key.
    pub forget: Vec<String>,
}

impl Commit {
    /// A commit that changes nothing but the revision.
    #[must_use]
    pub fn new(agent: AgentId, epoch: Epoch, expected: Revision, applied: Watermarks) -> Self {
        Self {
            agent,
            epoch,
            expected,
            snapshot: None,
            journal: Vec::new(),
            applied,
            n_applied: None,
            begun: Vec::new(),
            dead: Vec::new(),
            outbox: Vec::new(),
            sent: Vec::new(),
            set: Vec::new(),
            cancel: Vec::new(),
            fire: Vec::new(),
            once: Vec::new(),
            forget: Vec::new(),
        }
    }
}

/// An agent in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSummary {
    /// Its name.
    pub agent: AgentId,
    /// Its incarnations so far.
    pub epoch: Epoch,
    /// Its commits so far.
    pub revision: Revision,
    /// Messages that wait.
    pub queued: u64,
    /// Bytes of them.
    pub queued_bytes: u64,
    /// Entries of its journal behind the snapshot.
    pub entries: u64,
    /// Messages of its outbox.
    pub outbox: u64,
    /// Timers.
    pub timers: u64,
    /// Results of outside effects.
    pub once: u64,
}
