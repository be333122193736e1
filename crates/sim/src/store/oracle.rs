//! What must be true of a history of deliveries, whoever made it.
//!
//! Pure: a history goes in, what is wrong with it comes out. It knows nothing of stores or agents, so the
//! simulator, a test that kills processes and an engine over a network can all be judged by it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ggml_agent_core::store::{Epoch, Position, Watermarks};
use ggml_agent_core::{AgentId, MessageId, Priority};

use super::Effect;

/// A message as senders and receivers know it, whatever envelope it comes in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Letter {
    /// Who wrote it.
    pub sender: AgentId,
    /// In which lane it travels.
    pub lane: Priority,
    /// Its number among those of its sender to one receiver; it grows from letter to letter.
    pub sequence: u64,
    /// What it says. Two letters of one number that say different things are different letters.
    pub says: u64,
}

impl fmt::Display for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sender, lane, sequence, says } = self;
        write!(f, "{sender}#{sequence} ({lane:?}, {says})")
    }
}

/// What a sender knows of a letter that it sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Nothing, or an error: it may have arrived or not.
    Nothing,
    /// It was accepted, and is at this position if that was said.
    Accepted(Option<Position>),
}

/// A letter that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// To whom.
    pub to: AgentId,
    /// The letter.
    pub letter: Letter,
    /// The id of its envelope, if the sender says it.
    pub id: Option<MessageId>,
    /// What its sender heard.
    pub heard: Heard,
}

/// A letter that waits in a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Where.
    pub position: Position,
    /// The id of its envelope.
    pub id: MessageId,
    /// The letter.
    pub letter: Letter,
}

/// What is kept of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Which.
    pub agent: AgentId,
    /// Its committed state: the letters that it applied, in order.
    pub applied: Vec<Letter>,
    /// How far its mailbox is applied.
    pub watermarks: Watermarks,
    /// Its mailbox: each lane in order.
    pub waiting: Vec<Waiting>,
    /// Letters of its outbox, and to whom they go.
    pub outbox: Vec<(AgentId, Letter)>,
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dead {
    /// To whom it was sent.
    pub to: AgentId,
    /// The id of its envelope.
    pub id: MessageId,
    /// The letter.
    pub letter: Letter,
}

/// All that is known at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    /// Everything that was sent. What an agent's committed state has promised to send belongs to it too, as
    /// accepted: it must be somewhere, if only in the outbox.
    pub sent: Vec<Sent>,
    /// What is kept of each agent.
    pub kept: Vec<Kept>,
    /// The dead letters.
    pub dead: Vec<Dead>,
    /// Incarnations and their commits, in the order in which they took effect.
    pub effects: Vec<Effect>,
}

/// Where a letter was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the state of its receiver.
    State,
    /// In the mailbox of its receiver.
    Mailbox,
    /// Among the dead letters.
    DeadLetters,
}

/// Something that must never be. `to` is always who should get `letter`.
#[expect(missing_docs, reason = "the fields are the evidence, and a variant says what they show")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// It was accepted and is nowhere.
    Lost { to: AgentId, letter: Letter },
    /// It was accepted and its mailbox says that it was applied, which its receiver's state does not know:
    /// the acknowledgement without the state.
    AcknowledgedWithoutState {
        to: AgentId,
        letter: Letter,
        position: Position,
        watermark: Position,
    },
    /// Its receiver's state has it and it waits still: the state without the acknowledgement.
    StateWithoutAcknowledgement { to: AgentId, letter: Letter, position: Position },
    /// Nobody sent it.
    Invented { to: AgentId, letter: Letter, place: Place },
    /// It has an id under which nobody sent it.
    Renamed { to: AgentId, letter: Letter, id: MessageId, sent_as: MessageId },
    /// Its receiver's state has it twice, at these places from 0.
    AppliedTwice { to: AgentId, letter: Letter, first: usize, again: usize },
    /// It waits twice in one mailbox.
    WaitsTwice { to: AgentId, letter: Letter, first: Position, again: Position },
    /// It was applied, or waits, behind a later one of its sender and lane.
    Reordered { to: AgentId, letter: Letter, behind: Letter, place: Place },
    /// It is a dead letter and was applied too.
    DeadAndApplied { to: AgentId, letter: Letter },
    /// It is a dead letter and waits too.
    DeadAndWaiting { to: AgentId, letter: Letter, position: Position },
    /// It is a dead letter twice.
    DeadTwice { to: AgentId, letter: Letter },
    /// An incarnation committed after a later one had begun.
    Unfenced { agent: AgentId, epoch: Epoch, current: Epoch },
}

/// Everything that is wrong with a history; nothing, if all is well.
#[must_use]
pub fn judge(history: &History) -> Vec<Violation> {
    let mut judge = Judge::new(history);
    for kept in &history.kept {
        judge.state(kept);
        judge.mailbox(kept);
    }
    for dead in &history.dead {
        judge.dead(dead);
    }
    judge.accepted();
    judge.fences();
    judge.violations
}

/// A letter by its receiver, sender, lane and number, whatever it says.
type Key<'a> = (&'a AgentId, &'a AgentId, Priority, u64);

fn key<'a>(to: &'a AgentId, letter: &'a Letter) -> Key<'a> {
    (to, &letter.sender, letter.lane, letter.sequence)
}

struct Judge<'a> {
    history: &'a History,
    sent: BTreeMap<Key<'a>, Vec<&'a Sent>>,
    applied: BTreeMap<Key<'a>, usize>,
    waiting: BTreeMap<Key<'a>, Position>,
    dead: BTreeSet<Key<'a>>,
    violations: Vec<Violation>,
}

impl<'a> Judge<'a> {
    fn new(history: &'a History) -> Self {
        let mut sent: BTreeMap<Key<'_>, Vec<_>> = BTreeMap::new();
        for sending in &history.sent {
            sent.entry(key(&sending.to, &sending.letter)).or_default().push(sending);
        }
        Self {
            history,
            sent,
            applied: BTreeMap::new(),
            waiting: BTreeMap::new(),
            dead: BTreeSet::new(),
            violations: Vec::new(),
        }
    }

    fn state(&mut self, kept: &'a Kept) {
        let mut newest: BTreeMap<_, &Letter> = BTreeMap::new();
        for (at, letter) in kept.applied.iter().enumerate() {
            let to = &kept.agent;
            let is_sent = self.must_be_sent(to, letter, None, Place::State);
            if let Some(&first) = self.applied.get(&key(to, letter)) {
                let (to, letter) = (to.clone(), letter.clone());
                self.violations.push(Violation::AppliedTwice { to, letter, first, again: at });
                continue;
            }
            self.applied.insert(key(to, letter), at);
            if is_sent {
                self.must_follow(to, letter, &mut newest, Place::State);
            }
        }
        // What waits comes after what was applied, so it is judged as its continuation.
        for Waiting { letter, .. } in &kept.waiting {
            let known = key(&kept.agent, letter);
            if !self.applied.contains_key(&known) {
                self.must_follow(&kept.agent, letter, &mut newest, Place::Mailbox);
            }
        }
    }

    fn must_follow(
        &mut self,
        to: &AgentId,
        letter: &'a Letter,
        newest: &mut BTreeMap<(&'a AgentId, Priority), &'a Letter>,
        place: Place,
    ) {
        match newest.get(&(&letter.sender, letter.lane)) {
            Some(behind) if behind.sequence > letter.sequence => {
                let (to, behind) = (to.clone(), (*behind).clone());
                let letter = letter.clone();
                self.violations.push(Violation::Reordered { to, letter, behind, place });
            }
            _ => {
                newest.insert((&letter.sender, letter.lane), letter);
            }
        }
    }

    fn mailbox(&mut self, kept: &'a Kept) {
        let to = &kept.agent;
        for Waiting { position, id, letter } in &kept.waiting {
            let position = *position;
            self.must_be_sent(to, letter, Some(*id), Place::Mailbox);
            let known = key(to, letter);
            if self.applied.contains_key(&known) {
                let (to, letter) = (to.clone(), letter.clone());
                let violation = Violation::StateWithoutAcknowledgement { to, letter, position };
                self.violations.push(violation);
            }
            if let Some(&first) = self.waiting.get(&known) {
                let (to, letter) = (to.clone(), letter.clone());
                let again = position;
                self.violations.push(Violation::WaitsTwice { to, letter, first, again });
            } else {
                self.waiting.insert(known, position);
            }
        }
    }

    fn dead(&mut self, dead: &'a Dead) {
        let Dead { to, id, letter } = dead;
        self.must_be_sent(to, letter, Some(*id), Place::DeadLetters);
        let known = key(to, letter);
        let (to, letter) = (to.clone(), letter.clone());
        if self.applied.contains_key(&known) {
            let (to, letter) = (to.clone(), letter.clone());
            self.violations.push(Violation::DeadAndApplied { to, letter });
        }
        if let Some(&position) = self.waiting.get(&known) {
            let (to, letter) = (to.clone(), letter.clone());
            self.violations.push(Violation::DeadAndWaiting { to, letter, position });
        }
        if !self.dead.insert(known) {
            self.violations.push(Violation::DeadTwice { to, letter });
        }
    }

    /// Whether somebody sent it, under whatever id.
    fn must_be_sent(
        &mut self,
        to: &'a AgentId,
        letter: &'a Letter,
        id: Option<MessageId>,
        place: Place,
    ) -> bool {
        let sent = self.sent.get(&key(to, letter)).map_or(&[][..], Vec::as_slice);
        let Some(sending) = sent.iter().find(|sending| sending.letter == *letter) else {
            let (to, letter) = (to.clone(), letter.clone());
            self.violations.push(Violation::Invented { to, letter, place });
            return false;
        };
        if let (Some(id), Some(sent_as)) = (id, sending.id)
            && id != sent_as
        {
            let (to, letter) = (to.clone(), letter.clone());
            self.violations.push(Violation::Renamed { to, letter, id, sent_as });
        }
        true
    }

    fn accepted(&mut self) {
        let outboxes = self.history.kept.iter().flat_map(|kept| &kept.outbox);
        let promised: BTreeSet<_> = outboxes.map(|(to, letter)| key(to, letter)).collect();
        for Sent { to, letter, heard, .. } in &self.history.sent {
            let Heard::Accepted(position) = *heard else { continue };
            let known = key(to, letter);
            if self.applied.contains_key(&known)
                || self.waiting.contains_key(&known)
                || self.dead.contains(&known)
                || promised.contains(&known)
            {
                continue;
            }
            let kept = self.history.kept.iter().find(|kept| kept.agent == *to);
            let watermark = kept.map_or(Position(0), |kept| kept.watermarks.of(letter.lane));
            let (to, letter) = (to.clone(), letter.clone());
            self.violations.push(match position {
                Some(position) if position <= watermark => {
                    Violation::AcknowledgedWithoutState { to, letter, position, watermark }
                }
                _ => Violation::Lost { to, letter },
            });
        }
    }

    fn fences(&mut self) {
        let mut newest: BTreeMap<&AgentId, Epoch> = BTreeMap::new();
        for effect in &self.history.effects {
            match effect {
                Effect::Began(agent, epoch) => {
                    newest.insert(agent, *epoch);
                }
                Effect::Committed(agent, epoch) => {
                    let current = newest.get(agent).copied().unwrap_or_default();
                    if *epoch != current {
                        let (agent, epoch) = (agent.clone(), *epoch);
                        self.violations.push(Violation::Unfenced { agent, epoch, current });
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
