//! Why a registry refuses.

use super::AgentState;
use crate::id::AgentId;
use crate::limits::TAGS_PER_AGENT_MAX;

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
