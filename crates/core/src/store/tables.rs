//! What every write and read means, in plain collections.
//!
//! Engines are held against this: it is the memory of [`MemoryStore`](super::MemoryStore), the truth of
//! the conformance suite, and what the simulated store loses when its power is cut.

mod agent;

use std::collections::BTreeMap;

use self::agent::{Agent, Arrival};
use super::StoreError;
use super::record::{
    Accepted, AgentSummary, Commit, DeadRecord, Epoch, Open, Opened, Revision, Taken,
};
use super::words::{Found, Read, Write, Written};
use crate::envelope::Envelope;
use crate::id::AgentId;
use crate::limits;

/// Why a message is dead that a newer one has driven out.
pub const EVICTED: &str = "evicted by a newer message";

/// Why a message is dead that came to a full mailbox.
pub const DROPPED: &str = "the mailbox was full";

/// Everything that a store keeps. A write that fails changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    agents: BTreeMap<AgentId, Agent>,
    dead: BTreeMap<u64, DeadRecord>,
    dead_last: u64,
    /// The highest epoch of an agent that was removed: who begins anew under an old name begins behind it.
    removed: Epoch,
    dedupe_ids_max: usize,
}

impl Default for Tables {
    fn default() -> Self {
        Self::new()
    }
}

impl Tables {
    /// Empty ones.
    #[must_use]
    pub fn new() -> Self {
        Self::with_dedupe_window(limits::DEDUPE_IDS_MAX)
    }

    /// Empty ones that know the last `ids_max` message ids of each mailbox.
    #[must_use]
    pub fn with_dedupe_window(ids_max: usize) -> Self {
        Self {
            agents: BTreeMap::new(),
            dead: BTreeMap::new(),
            dead_last: 0,
            removed: Epoch(0),
            dedupe_ids_max: ids_max,
        }
    }

    /// Carries out one write.
    ///
    /// # Errors
    /// Those that are not the engine's own: who has no mailbox, is full, was fenced, contradicts itself.
    pub fn write(&mut self, write: Write) -> Result<Written, StoreError> {
        match write {
            Write::Open(open) => Ok(Written::Opened(Box::new(self.open(open)))),
            Write::Append(envelope) => self.append(envelope).map(Written::Accepted),
            Write::AppendAll(envelopes) => Ok(Written::Taken(self.append_all(envelopes))),
            Write::Commit(commit) => self.commit(*commit).map(Written::Committed),
            Write::Close { agent, epoch } => self.close(&agent, epoch),
            Write::Resend { number } => self.resend(number),
            Write::Discard { number } => match self.dead.remove(&number) {
                Some(_) => Ok(Written::Done),
                None => Err(StoreError::UnknownDeadLetter { number }),
            },
            Write::Remove { agent } => match self.agents.remove(&agent) {
                Some(removed) => {
                    self.removed = self.removed.max(removed.epoch());
                    Ok(Written::Done)
                }
                None => Err(StoreError::UnknownMailbox { agent }),
            },
        }
    }

    /// Answers one question.
    ///
    /// # Errors
    /// [`StoreError::UnknownMailbox`].
    pub fn read(&self, read: &Read) -> Result<Found, StoreError> {
        match read {
            Read::Messages { mailbox, lane, after, limit } => {
                Ok(Found::Messages(self.agent(mailbox)?.messages(*lane, *after, *limit)))
            }
            Read::Journal { agent, after, limit } => {
                Ok(Found::Journal(self.agent(agent)?.journal(*after, *limit)))
            }
            Read::DeadLetters { after, limit } => {
                let later = self.dead.range(after.saturating_add(1)..);
                Ok(Found::DeadLetters(
                    later.take(*limit).map(|(_, letter)| letter.clone()).collect(),
                ))
            }
            Read::Agents { after, limit } => {
                Ok(Found::Agents(self.summaries(after.as_ref(), *limit)))
            }
        }
    }

    fn agent(&self, id: &AgentId) -> Result<&Agent, StoreError> {
        self.agents.get(id).ok_or_else(|| StoreError::UnknownMailbox { agent: id.clone() })
    }

    fn agent_mut(&mut self, id: &AgentId) -> Result<&mut Agent, StoreError> {
        self.agents.get_mut(id).ok_or_else(|| StoreError::UnknownMailbox { agent: id.clone() })
    }

    fn summaries(&self, after: Option<&AgentId>, limit: usize) -> Vec<AgentSummary> {
        let later = self.agents.iter().filter(|(id, _)| after.is_none_or(|after| *id > after));
        later.take(limit).map(|(id, agent)| agent.summary(id.clone())).collect()
    }

    fn open(&mut self, open: Open) -> Opened {
        let agent =
            self.agents.entry(open.agent).or_insert_with(|| Agent::new(open.bounds, self.removed));
        agent.open(open.bounds, open.in_hand.as_deref())
    }

    fn append(&mut self, envelope: Envelope) -> Result<Accepted, StoreError> {
        let (to, window) = (envelope.to.clone(), self.dedupe_ids_max);
        match self.agent_mut(&to)?.arrive(envelope, window) {
            Arrival::Accepted(position) => Ok(Accepted::At(position)),
            Arrival::Evicting(position, evicted) => {
                for message in evicted {
                    self.bury(message.attempts, message.envelope, EVICTED.into());
                }
                Ok(Accepted::At(position))
            }
            Arrival::Duplicate => Ok(Accepted::Duplicate),
            Arrival::Dropped(envelope) => {
                self.bury(0, envelope, DROPPED.into());
                Ok(Accepted::Dropped)
            }
            Arrival::Refused { messages, bytes } => {
                Err(StoreError::Full { agent: to, messages, bytes })
            }
        }
    }

    fn append_all(&mut self, envelopes: Vec<Envelope>) -> Taken {
        let mut n = 0;
        for envelope in envelopes {
            if let Err(error) = self.append(envelope) {
                return Taken { n, refused: Some(error) };
            }
            n += 1;
        }
        Taken { n, refused: None }
    }

    fn bury(&mut self, attempts: u32, envelope: Envelope, reason: String) {
        self.dead_last += 1;
        let number = self.dead_last;
        self.dead.insert(number, DeadRecord { number, reason, attempts, envelope });
    }

    fn commit(&mut self, commit: Commit) -> Result<Revision, StoreError> {
        let window = self.dedupe_ids_max;
        let (revision, dead) = self.agent_mut(&commit.agent.clone())?.commit(commit, window)?;
        for (letter, reason) in dead {
            self.bury(letter.attempts, letter.envelope, reason);
        }
        Ok(revision)
    }

    fn close(&mut self, id: &AgentId, epoch: Epoch) -> Result<Written, StoreError> {
        let agent = self.agent_mut(id)?;
        agent.must_be(id, epoch)?;
        agent.is_closed = true;
        Ok(Written::Done)
    }

    fn resend(&mut self, number: u64) -> Result<Written, StoreError> {
        let letter = self.dead.get(&number).ok_or(StoreError::UnknownDeadLetter { number })?;
        let envelope = letter.envelope.clone();
        self.agent_mut(&envelope.to.clone())?.enqueue(envelope);
        self.dead.remove(&number);
        Ok(Written::Done)
    }
}

#[cfg(test)]
mod tests;
