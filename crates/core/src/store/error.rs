//! Why a store refused.

use super::record::{Epoch, Revision};
use crate::id::AgentId;

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No agent of this name was ever opened here. The caller is at fault: start it first.
    #[error("the store has no mailbox of agent \"{agent}\"")]
    UnknownMailbox {
        /// The name.
        agent: AgentId,
    },
    /// The mailbox is at its bound, and its policy is to refuse. Try again later, with the same id.
    #[error("the durable mailbox of \"{agent}\" is full: {messages} messages, {bytes} bytes")]
    Full {
        /// Whose mailbox.
        agent: AgentId,
        /// Messages in it.
        messages: u64,
        /// Bytes in it.
        bytes: u64,
    },
    /// A later incarnation has begun: whoever gets this is the agent no more, and must end.
    #[error("agent \"{agent}\" was begun again since: its epoch is {}", current.0)]
    Fenced {
        /// Whose commit.
        agent: AgentId,
        /// The epoch that holds now.
        current: Epoch,
    },
    /// The agent's record is not the one that the commit was made from, or a message that it applies was
    /// evicted: open it again.
    #[error("the record of \"{agent}\" is at revision {}", found.0)]
    Conflict {
        /// Whose commit.
        agent: AgentId,
        /// The revision that holds now.
        found: Revision,
    },
    /// No dead letter has this number.
    #[error("there is no dead letter {number}")]
    UnknownDeadLetter {
        /// The number.
        number: u64,
    },
    /// The commit contradicts itself or the record, a bug of its maker: nothing was changed.
    #[error("a commit of \"{agent}\" is not possible: {why}")]
    Malformed {
        /// Whose commit.
        agent: AgentId,
        /// What is wrong.
        why: &'static str,
    },
    /// The disk is full. Nothing was changed; make room and try again, with the same id.
    #[error("no space is left for the store")]
    NoSpace,
    /// Nothing was changed. The environment is at fault: a device that fails, a folder that cannot be
    /// written.
    #[error("the store cannot be used: {why}")]
    Unavailable {
        /// What the engine says.
        why: String,
    },
    /// It may have happened or not: the device failed in the middle. The store was closed and is opened
    /// again and checked; ask again with the same id.
    #[error("the store failed in the middle of a write: {why}")]
    Indeterminate {
        /// What the engine says.
        why: String,
    },
    /// What was stored there is damaged and was set aside, untouched: an operator must look.
    #[error("{what} is damaged and was set aside: {why}")]
    Quarantined {
        /// Whose mailbox, state or journal.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Whether the same write, with the same ids, may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Full { .. }
            | Self::NoSpace
            | Self::Unavailable { .. }
            | Self::Indeterminate { .. } => true,
            Self::UnknownMailbox { .. }
            | Self::Fenced { .. }
            | Self::Conflict { .. }
            | Self::UnknownDeadLetter { .. }
            | Self::Malformed { .. }
            | Self::Quarantined { .. }
            | Self::Closed => false,
        }
    }
}
