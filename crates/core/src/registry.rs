//! Who is registered under which id, in which groups, and who gets a broadcast. Holds G1 to G6 (rules).
//!
//! A value, not a static (G6): two systems hold two registries. Every mutating call answers with the
//! [`Change`]s that it made, in order, so that a driver can publish them to watchers. Lookups are
//! `O(log n)` in an ordered map, because every listing must have one order.

mod tag;
mod tags;

use std::collections::BTreeMap;
use std::fmt;

use crate::envelope::Envelope;
use crate::id::AgentId;
use crate::limits::{AGENTS_MAX, TAGS_PER_AGENT_MAX};
use tags::Tags;

pub use tag::{ParseTagNameError, Tag, TagName};

/// Agents by id, each with a handle `H` by which it is reached.
///
/// # Example
/// ```
/// use ggml_agent_core::registry::{Registry, Tag};
/// let mut registry = Registry::new();
/// let writers = Tag::group("writers")?;
/// for name in ["ada", "bob"] {
///     let id = name.parse()?;
///     let (registration, _change) = registry.register(&id, name.len())?;
///     registry.join(&id, registration, &writers)?;
/// }
/// let mut turns = String::new();
/// for _ in 0..3 {
///     turns += registry.pick(&writers).expect("has members").id.as_str();
/// }
/// assert_eq!(turns, "adabobada");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Registry<H> {
    agents: BTreeMap<AgentId, Seat<H>>,
    tags: Tags,
    n_registrations: u64,
    agents_max: usize,
}

#[derive(Clone)]
struct Seat<H> {
    handle: H,
    state: AgentState,
    registration: Registration,
}

/// What a registered agent is doing, as far as its id is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AgentState {
    /// An incarnation runs.
    Live,
    /// Between two incarnations: the id stays taken, and messages wait in the mailbox (G2, M12).
    Restarting,
}

impl fmt::Display for AgentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Live => "live",
            Self::Restarting => "restarting",
        })
    }
}

/// One stay of an agent under its id, over all its incarnations.
///
/// Says which agent is meant when an id was freed and taken again: news about the earlier one, however
/// late, cannot hit the later one. Unique within one registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Registration(u64);

/// A registered agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry<'a, H> {
    /// Its id.
    pub id: &'a AgentId,
    /// How it is reached.
    pub handle: &'a H,
    /// What it is doing.
    pub state: AgentState,
    /// Which stay under the id it is.
    pub registration: Registration,
}

/// What came of removing an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Removed<H> {
    /// Its handle.
    pub handle: H,
    /// `Left` for each of its tags, then `Ended`.
    pub changes: Vec<Change>,
}

/// A change of a registry, for watchers (G1).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// The agent is registered, and live.
    Registered {
        /// The agent.
        id: AgentId,
    },
    /// Its incarnation ended, and another will follow.
    Restarting {
        /// The agent.
        id: AgentId,
    },
    /// Its next incarnation runs.
    Restarted {
        /// The agent.
        id: AgentId,
    },
    /// The agent has ended; its id is free.
    Ended {
        /// The agent.
        id: AgentId,
    },
    /// The agent carries a tag from now on.
    Joined {
        /// The agent.
        id: AgentId,
        /// The tag.
        tag: Tag,
    },
    /// The agent does not carry the tag any more.
    Left {
        /// The agent.
        id: AgentId,
        /// The tag.
        tag: Tag,
    },
}

impl<H> Registry<H> {
    /// An empty registry for at most [`AGENTS_MAX`] agents.
    #[must_use]
    pub fn new() -> Self {
        Self::with_agents_max(AGENTS_MAX)
    }

    /// An empty registry for at most `agents_max` agents.
    #[must_use]
    pub fn with_agents_max(agents_max: usize) -> Self {
        Self { agents: BTreeMap::new(), tags: Tags::default(), n_registrations: 0, agents_max }
    }

    /// Registers a live agent. Holds G1 and G2: an id is free unless its agent lives or restarts.
    ///
    /// # Errors
    /// - [`RegisterError::Taken`]: choose another id, or wait for the agent's end.
    /// - [`RegisterError::Full`]: retry when agents have ended.
    pub fn register(
        &mut self,
        id: &AgentId,
        handle: H,
    ) -> Result<(Registration, Change), RegisterError> {
        if let Some(seat) = self.agents.get(id) {
            return Err(RegisterError::Taken { id: id.clone(), state: seat.state });
        }
        if self.agents.len() >= self.agents_max {
            return Err(RegisterError::Full { agents_max: self.agents_max });
        }
        self.n_registrations += 1;
        let registration = Registration(self.n_registrations);
        self.agents.insert(id.clone(), Seat { handle, state: AgentState::Live, registration });
        Ok((registration, Change::Registered { id: id.clone() }))
    }

    /// The agent's incarnation has ended and another follows: its tags go with it (M13), its id stays (G2).
    ///
    /// The changes are `Left` for each tag, then `Restarting`; none when it has ended already, or when a
    /// restart failed and is tried again. The next incarnation joins again.
    #[must_use = "watchers wait for the changes"]
    pub fn restarting(&mut self, id: &AgentId, registration: Registration) -> Vec<Change> {
        let Some(seat) = self.seat_mut(id, registration) else { return Vec::new() };
        let before = std::mem::replace(&mut seat.state, AgentState::Restarting);
        let mut changes = self.leave_all(id);
        if before == AgentState::Live {
            changes.push(Change::Restarting { id: id.clone() });
        }
        changes
    }

    /// The next incarnation of a restarting agent runs. `None` when nothing changes by that.
    #[must_use = "watchers wait for the change"]
    pub fn restarted(&mut self, id: &AgentId, registration: Registration) -> Option<Change> {
        let seat = self.seat_mut(id, registration)?;
        let before = std::mem::replace(&mut seat.state, AgentState::Live);
        (before == AgentState::Restarting).then(|| Change::Restarted { id: id.clone() })
    }

    /// The agent has ended for good: its tags go, its id is free (G2). `None` when it was gone already.
    #[must_use = "watchers wait for the changes"]
    pub fn ended(&mut self, id: &AgentId, registration: Registration) -> Option<Removed<H>> {
        self.seat_mut(id, registration)?;
        self.unregister(id)
    }

    /// Takes whoever has this id out of the registry (G1). `None` when nobody has it.
    #[must_use = "watchers wait for the changes"]
    pub fn unregister(&mut self, id: &AgentId) -> Option<Removed<H>> {
        let seat = self.agents.remove(id)?;
        let mut changes = self.leave_all(id);
        changes.push(Change::Ended { id: id.clone() });
        Some(Removed { handle: seat.handle, changes })
    }

    /// Who has this id (G1).
    #[must_use]
    pub fn lookup(&self, id: &AgentId) -> Option<Entry<'_, H>> {
        self.agents.get_key_value(id).map(entry)
    }

    /// The handle of the agent that gets this envelope. Holds G3 (the rule): restarting agents get mail.
    ///
    /// # Errors
    /// [`UnknownAgent`]: tell the sender and record a dead letter.
    pub fn route(&self, envelope: &Envelope) -> Result<&H, UnknownAgent> {
        let seat = self.agents.get(&envelope.to);
        seat.map(|seat| &seat.handle).ok_or_else(|| UnknownAgent { id: envelope.to.clone() })
    }

    /// All registered agents, in the order of their ids (G1).
    pub fn list(&self) -> impl Iterator<Item = Entry<'_, H>> {
        self.agents.iter().map(entry)
    }

    /// How many agents are registered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.agents.len()
    }

    /// Whether nobody is registered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.agents.is_empty()
    }

    /// Who gets a broadcast: everybody registered now, except the sender and one more. Holds G4 (the rule).
    pub fn broadcast<'a>(
        &'a self,
        sender: Option<&'a AgentId>,
        also_except: Option<&'a AgentId>,
    ) -> impl Iterator<Item = Entry<'a, H>> {
        self.list().filter(move |entry| ![sender, also_except].contains(&Some(entry.id)))
    }

    /// Gives the agent a tag (G5), until it leaves, restarts or ends. `None` when it has it already.
    ///
    /// # Errors
    /// - [`JoinError::UnknownAgent`]: it is not registered, or this registration has ended.
    /// - [`JoinError::TooManyTags`]: leave another tag first.
    pub fn join(
        &mut self,
        id: &AgentId,
        registration: Registration,
        tag: &Tag,
    ) -> Result<Option<Change>, JoinError> {
        if self.seat_mut(id, registration).is_none() {
            return Err(JoinError::UnknownAgent { id: id.clone() });
        }
        if self.tags.n_of_agent(id) >= TAGS_PER_AGENT_MAX
            && !self.tags.of_agent(id).any(|own| own == tag)
        {
            return Err(JoinError::TooManyTags { id: id.clone() });
        }
        let is_new = self.tags.add(id, tag);
        Ok(is_new.then(|| Change::Joined { id: id.clone(), tag: tag.clone() }))
    }

    /// Takes a tag from the agent. `None` when it did not have it.
    #[must_use = "watchers wait for the change"]
    pub fn leave(&mut self, id: &AgentId, registration: Registration, tag: &Tag) -> Option<Change> {
        self.seat_mut(id, registration)?;
        let had_it = self.tags.remove(id, tag);
        had_it.then(|| Change::Left { id: id.clone(), tag: tag.clone() })
    }

    /// All agents with this tag, in the order of their ids (G5).
    pub fn members<'a>(&'a self, tag: &Tag) -> impl Iterator<Item = Entry<'a, H>> + use<'a, H> {
        let ids: Vec<&AgentId> = self.tags.members(tag).collect();
        ids.into_iter().filter_map(|id| self.lookup(id))
    }

    /// The agent with this tag whose turn it is (G5): round robin over the live ones, and over all when
    /// each of them restarts. `None` when nobody has the tag.
    pub fn pick(&mut self, tag: &Tag) -> Option<Entry<'_, H>> {
        let agents = &self.agents;
        let is_live =
            |id: &AgentId| agents.get(id).is_some_and(|seat| seat.state == AgentState::Live);
        let id = self.tags.pick(tag, is_live)?;
        self.lookup(&id)
    }

    /// The tags of an agent, in order.
    pub fn tags_of(&self, id: &AgentId) -> impl Iterator<Item = &Tag> {
        self.tags.of_agent(id)
    }

    fn seat_mut(&mut self, id: &AgentId, registration: Registration) -> Option<&mut Seat<H>> {
        self.agents.get_mut(id).filter(|seat| seat.registration == registration)
    }

    fn leave_all(&mut self, id: &AgentId) -> Vec<Change> {
        let left = |tag| Change::Left { id: id.clone(), tag };
        self.tags.remove_all(id).into_iter().map(left).collect()
    }
}

fn entry<'a, H>((id, seat): (&'a AgentId, &'a Seat<H>)) -> Entry<'a, H> {
    Entry { id, handle: &seat.handle, state: seat.state, registration: seat.registration }
}

impl<H> Default for Registry<H> {
    fn default() -> Self {
        Self::new()
    }
}

impl<H> fmt::Debug for Registry<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let states = self.list().map(|entry| (entry.id, entry.state));
        f.debug_map().entries(states).finish()
    }
}

/// Why an agent is not registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The id has an agent that has not ended.
    #[error(
        "agent id {id:?} is taken by an agent that is {state}: choose another, or wait for its end"
    )]
    Taken {
        /// The id.
        id: AgentId,
        /// What the agent that has it is doing.
        state: AgentState,
    },
    /// The registry has as many agents as it may have.
    #[error("registry is full with {agents_max} agents")]
    Full {
        /// The limit.
        agents_max: usize,
    },
}

impl RegisterError {
    /// Whether the same call may succeed later without anybody's doing: only when the registry is full.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Full { .. })
    }
}

/// Nobody is registered under the id that an envelope is addressed to (G3).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no agent has the id {id:?}")]
#[non_exhaustive]
pub struct UnknownAgent {
    /// The id.
    pub id: AgentId,
}

/// Why an agent did not get a tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The agent is not registered, or was registered again since.
    #[error("agent {id:?} is not registered any more")]
    UnknownAgent {
        /// The agent.
        id: AgentId,
    },
    /// The agent has as many tags as it may have.
    #[error("agent {id:?} has {TAGS_PER_AGENT_MAX} tags already: leave one first")]
    TooManyTags {
        /// The agent.
        id: AgentId,
    },
}

#[cfg(test)]
mod tests;
