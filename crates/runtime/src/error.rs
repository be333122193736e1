//! What can go wrong between a sender and an agent. A refused message comes back in the error.

use std::fmt;
use std::time::Duration;

use ggml_agent_core::AgentId;

/// Why a message was not accepted; it comes back (M5).
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError<M> {
    /// The mailbox is full. Retry later, or use `send` and wait for room.
    #[error("the mailbox is full: retry later")]
    Full(M),
    /// The agent has ended or is ending. Look it up again, or give up.
    #[error("the agent has ended")]
    Closed(M),
    /// No agent of this id is registered.
    #[error("no agent of this id: check the id, or start the agent first")]
    Unknown(M),
    /// The agent has no handler for such an envelope.
    #[error("the agent does not understand such an envelope")]
    NotUnderstood(M),
    /// The agent of this id takes messages of another type.
    #[error("the agent of this id takes messages of another type")]
    WrongType(M),
    /// The sender's incarnation was fenced after it held its thread too long (M10).
    #[error("the sender's incarnation is over")]
    Fenced(M),
}

impl<M> SendError<M> {
    /// The message.
    pub fn into_inner(self) -> M {
        match self {
            Self::Full(m)
            | Self::Closed(m)
            | Self::Unknown(m)
            | Self::NotUnderstood(m)
            | Self::WrongType(m)
            | Self::Fenced(m) => m,
        }
    }

    /// The same error about another form of the message.
    pub fn map<N>(self, f: impl FnOnce(M) -> N) -> SendError<N> {
        match self {
            Self::Full(m) => SendError::Full(f(m)),
            Self::Closed(m) => SendError::Closed(f(m)),
            Self::Unknown(m) => SendError::Unknown(f(m)),
            Self::NotUnderstood(m) => SendError::NotUnderstood(f(m)),
            Self::WrongType(m) => SendError::WrongType(f(m)),
            Self::Fenced(m) => SendError::Fenced(f(m)),
        }
    }

    /// Whether the same message may be accepted later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Full(_))
    }
}

impl<M> fmt::Debug for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
            Self::Unknown(_) => "Unknown(..)",
            Self::NotUnderstood(_) => "NotUnderstood(..)",
            Self::WrongType(_) => "WrongType(..)",
            Self::Fenced(_) => "Fenced(..)",
        })
    }
}

/// Why an ask has no answer (M6).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The mailbox is full: nothing was asked. Retry later.
    #[error("the mailbox is full: retry later")]
    Full,
    /// The agent has ended, or ended before it took the question.
    #[error("the agent has ended")]
    Ended,
    /// The incarnation that handled the question failed, and the agent is being started again.
    /// It may have done part of the work.
    #[error("the agent failed while it handled the question and is restarting: ask again")]
    Restarting,
    /// The handler dropped the [`Reply`](crate::Reply) without an answer.
    #[error("the agent gave no answer")]
    NoReply,
    /// The mailbox's overflow policy dropped the question before it was handled.
    #[error("the question was dropped from a full mailbox: ask again")]
    Dropped,
    /// No answer within this time. The question may still be handled.
    #[error("no answer within {0:?}")]
    Deadline(Duration),
    /// The asker's own incarnation was fenced (M10).
    #[error("the asker's incarnation is over")]
    Fenced,
}

impl AskError {
    /// Whether asking again makes sense: the failure is of the moment.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Full | Self::Restarting | Self::Dropped | Self::Deadline(_) => true,
            Self::Ended | Self::NoReply | Self::Fenced => false,
        }
    }
}

/// Why an agent or a supervisor did not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A living agent has this id. Stop it first, or choose another id (G1).
    #[error("an agent of the id {id} is alive: stop it first, or choose another id")]
    IdTaken {
        /// The id.
        id: AgentId,
    },
    /// `on_start` failed, of the agent itself or of a child (S2).
    #[error("{id} did not start: {reason}")]
    Failed {
        /// Who failed.
        id: AgentId,
        /// How.
        reason: ggml_agent_core::ExitReason,
    },
    /// The agent asked to be ignored (S3).
    #[error("{id} chose not to run")]
    Ignored {
        /// The id.
        id: AgentId,
    },
    /// The id is not one.
    #[error("the spec's id is wrong")]
    Id(#[from] ggml_agent_core::ParseAgentIdError),
    /// The spec is wrong.
    #[error("the supervisor's spec is wrong")]
    Spec(#[from] ggml_agent_core::supervise::SpecError),
    /// The registry cannot take it: there are too many agents. End some first.
    #[error("the agent cannot be registered")]
    Unregistered(#[source] ggml_agent_core::registry::RegisterError),
    /// The supervisor answered with an error.
    #[error("the supervisor refused")]
    Refused(#[from] ggml_agent_core::supervise::CallError),
    /// The supervisor or the system has ended.
    #[error("the supervisor or the system has ended")]
    Ended,
}
