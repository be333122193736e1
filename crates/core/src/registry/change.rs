//! What watchers of a registry are told.

use super::Tag;
use crate::id::AgentId;

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

/// Where changes are told, in their order. One that nobody watches need not be made.
pub trait Changes {
    /// Tells a change, or does not ask what it is.
    fn tell(&mut self, change: impl FnOnce() -> Change);
}

impl Changes for Vec<Change> {
    fn tell(&mut self, change: impl FnOnce() -> Change) {
        self.push(change());
    }
}

/// Nobody watches.
impl Changes for () {
    fn tell(&mut self, _: impl FnOnce() -> Change) {}
}
