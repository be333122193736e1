//! What the cases stand on: short words for what they ask of a store.

use bytes::Bytes;
use ggml_agent_core::store::{
    Accepted, AgentSummary, Bounds, Commit, DeadRecord, Entry, Epoch, Level, Open, Opened,
    Position, Revision, StoreError, StoreRef, Stored, Taken, Timer, Watermarks, Write, Written,
};
use ggml_agent_core::{AgentId, Envelope, MessageId, MessageType, Priority};

use super::{End, World};
use crate::store::block_on;

/// See [`Ground::everything`].
#[derive(Debug, PartialEq)]
pub(super) struct Everything {
    opened: Opened,
    agents: Vec<AgentSummary>,
    urgent: Vec<Stored>,
    normal: Vec<Stored>,
    journal: Vec<Entry>,
    dead: Vec<DeadRecord>,
}

/// More than there ever is.
pub(super) const ALL: usize = 1_000_000;

pub(super) struct Ground<'w> {
    world: &'w mut dyn World,
    store: Option<StoreRef>,
}

/// An agent's name.
pub(super) fn id(name: &str) -> AgentId {
    name.parse().expect("invariant: cases use good names")
}

pub(super) fn message_id(number: u64) -> MessageId {
    MessageId::from_u128(number.into())
}

/// Message `number` to `to`, of five bytes, in the user lane.
pub(super) fn letter_to(to: &str, number: u64) -> Envelope {
    Envelope::new(message_id(number), 0, id(to), MessageType::User, "12345")
}

/// Message `number` to agent `a`.
pub(super) fn letter(number: u64) -> Envelope {
    letter_to("a", number)
}

/// Message `number` to agent `a`, with this payload.
pub(super) fn saying(number: u64, payload: impl Into<Bytes>) -> Envelope {
    Envelope::new(message_id(number), 0, id("a"), MessageType::User, payload)
}

/// Message `number` to agent `a`, in the priority lane.
pub(super) fn urgent(number: u64) -> Envelope {
    letter(number).with_priority(Priority::High)
}

pub(super) fn timer(key: &str, due_ms: u64, envelope: Envelope) -> Timer {
    Timer { key: key.into(), due_ms, envelope }
}

pub(super) fn up_to(high: u64, normal: u64) -> Watermarks {
    Watermarks { high: Position(high), normal: Position(normal) }
}

/// A commit of what was just opened, which changes nothing.
pub(super) fn commit_of(agent: &str, opened: &Opened) -> Commit {
    Commit::new(id(agent), opened.epoch, opened.revision, opened.applied)
}

pub(super) fn numbers(messages: &[Stored]) -> Vec<u128> {
    messages.iter().map(|message| message.envelope.id.to_u128()).collect()
}

/// Who contradicts itself is told so; the words are the engine's own.
#[track_caller]
pub(super) fn assert_malformed<T: std::fmt::Debug>(answer: Result<T, StoreError>) {
    let is_malformed =
        matches!(&answer, Err(StoreError::Malformed { agent, .. }) if *agent == id("a"));
    assert!(is_malformed, "{answer:?}");
}

impl<'w> Ground<'w> {
    pub(super) fn new(world: &'w mut dyn World) -> Self {
        let store = Some(world.fresh());
        Self { world, store }
    }

    pub(super) fn store(&self) -> StoreRef {
        self.store.clone().expect("invariant: a store is missing only while it is opened again")
    }

    pub(super) fn dedupe_ids_max(&self) -> usize {
        self.world.dedupe_ids_max()
    }

    pub(super) fn run<T>(&mut self, future: impl Future<Output = T>) -> T {
        block_on(future, || self.world.work())
    }

    pub(super) fn survives(&self) -> bool {
        self.store().level() == Level::Durable
    }

    /// Opens the store again, if it is one that survives.
    pub(super) fn reopen(&mut self, end: End) {
        if self.survives()
            && let Some(store) = self.store.take()
        {
            self.store = Some(self.world.reopen(store, end));
        }
    }

    /// `check` holds now, and after each way to end.
    pub(super) fn holds(&mut self, check: impl Fn(&mut Self)) {
        check(self);
        for end in [End::Close, End::Cut] {
            self.reopen(end);
            check(self);
        }
    }

    pub(super) fn write(&mut self, write: Write) -> Result<Written, StoreError> {
        let answer = self.store().write(write);
        self.run(answer)
    }

    pub(super) fn open_as(&mut self, open: Open) -> Opened {
        let answer = self.store().open(open);
        self.run(answer).expect("a beginning cannot fail")
    }

    pub(super) fn open_with(&mut self, agent: &str, bounds: Bounds) -> Opened {
        self.open_as(Open { agent: id(agent), bounds, in_hand: Some(Vec::new()) })
    }

    /// Begins an incarnation that had nothing in hand.
    pub(super) fn open(&mut self, agent: &str) -> Opened {
        self.open_with(agent, Bounds::DEFAULT)
    }

    pub(super) fn append(&mut self, envelope: Envelope) -> Result<Accepted, StoreError> {
        let answer = self.store().append(envelope);
        self.run(answer)
    }

    pub(super) fn append_all(&mut self, envelopes: Vec<Envelope>) -> Taken {
        let answer = self.store().append_all(envelopes);
        self.run(answer).expect("a refusal is part of the answer")
    }

    /// Appends what there is room for.
    #[track_caller]
    pub(super) fn send(&mut self, envelopes: impl IntoIterator<Item = Envelope>) {
        for envelope in envelopes {
            let answer = self.append(envelope);
            assert!(matches!(answer, Ok(Accepted::At(_))), "{answer:?}");
        }
    }

    pub(super) fn commit(&mut self, commit: Commit) -> Result<Revision, StoreError> {
        let answer = self.store().commit(commit);
        self.run(answer)
    }

    pub(super) fn settle(&mut self, write: Write) -> Result<(), StoreError> {
        let answer = self.store().settle(write);
        self.run(answer)
    }

    pub(super) fn page(
        &mut self,
        agent: &str,
        lane: Priority,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        let answer = self.store().messages(id(agent), lane, Position(after), limit);
        self.run(answer)
    }

    /// The user lane of `agent`.
    pub(super) fn lane_of(&mut self, agent: &str) -> Vec<Stored> {
        self.page(agent, Priority::Normal, 0, ALL).expect("it was begun")
    }

    /// Numbers of the messages that wait for agent `a`: first those of the priority lane.
    pub(super) fn waiting(&mut self) -> Vec<u128> {
        let mut all = self.page("a", Priority::High, 0, ALL).expect("it was begun");
        all.extend(self.lane_of("a"));
        numbers(&all)
    }

    /// Attempts of the messages that wait for agent `a`, in the same order.
    pub(super) fn attempts(&mut self) -> Vec<u32> {
        let mut all = self.page("a", Priority::High, 0, ALL).expect("it was begun");
        all.extend(self.lane_of("a"));
        all.iter().map(|message| message.attempts).collect()
    }

    pub(super) fn journal(&mut self, after: u64, limit: usize) -> Vec<Entry> {
        let answer = self.store().journal(id("a"), after, limit);
        self.run(answer).expect("it was begun")
    }

    pub(super) fn dead(&mut self) -> Vec<DeadRecord> {
        let answer = self.store().dead_letters(0, ALL);
        self.run(answer).expect("the list is always there")
    }

    /// Number, message and reason of each dead letter.
    pub(super) fn dead_in_short(&mut self) -> Vec<(u64, u128, String)> {
        let dead = self.dead().into_iter();
        dead.map(|dead| (dead.number, dead.envelope.id.to_u128(), dead.reason)).collect()
    }

    pub(super) fn agents(&mut self, after: Option<&str>, limit: usize) -> Vec<AgentSummary> {
        let answer = self.store().agents(after.map(id), limit);
        self.run(answer).expect("the list is always there")
    }

    /// All that can be read, and all that the next incarnation of `a` begins with, but its epoch.
    pub(super) fn everything(&mut self) -> Everything {
        let opened = Opened { epoch: Epoch(0), ..self.open("a") };
        let agents = self.agents(None, ALL).into_iter();
        Everything {
            opened,
            agents: agents.map(|of| AgentSummary { epoch: Epoch(0), ..of }).collect(),
            urgent: self.page("a", Priority::High, 0, ALL).expect("it was begun"),
            normal: self.lane_of("a"),
            journal: self.journal(0, ALL),
            dead: self.dead(),
        }
    }
}
