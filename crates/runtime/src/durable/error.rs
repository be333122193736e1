//! What can go wrong with what is durable.

use std::time::Duration;

use ggml_agent_core::ParseAgentIdError;
use ggml_agent_core::envelope::{EncodeError, Envelope};
use ggml_agent_core::id::{AgentId, MessageId};
use ggml_agent_core::store::StoreError;

use super::codec::CodecError;

/// Why a message is not known to be durable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DurableSendError {
    /// The system was made without a store: give its options one.
    #[error("the system has no store: set `Options::store`")]
    NoStore,
    /// The id is not one.
    #[error("the id is wrong")]
    Id(#[from] ParseAgentIdError),
    /// The message cannot be written.
    #[error("the message cannot be written")]
    Codec(#[from] CodecError),
    /// The message is too long: send it by reference.
    #[error("the message is too long")]
    TooLong(#[from] EncodeError),
    /// The store refused; here is the message, with its id. Where the cause
    /// [is retryable](StoreError::is_retryable), [`deliver`](crate::SystemRef::deliver) it again: by its id
    /// it is known if it got there after all.
    #[error("the message to {} was refused", envelope.to)]
    Refused {
        /// The message. Boxed, since errors are moved far more often than they happen.
        envelope: Box<Envelope>,
        /// Why.
        #[source]
        cause: StoreError,
    },
    /// The mailbox was full, and its policy made a dead letter of the message.
    #[error("the mailbox of {to} is full: the message {id} is a dead letter")]
    Dropped {
        /// Whose mailbox.
        to: AgentId,
        /// The message.
        id: MessageId,
    },
}

impl DurableSendError {
    /// Whether the same message may be accepted later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Refused { cause, .. } if cause.is_retryable())
    }
}

/// Why an ask of a durable agent has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DurableAskError {
    /// The question is not known to be durable.
    #[error("the question was not sent")]
    Send(#[from] DurableSendError),
    /// No answer within this time. The question is durable and will be handled; its answer reaches nobody.
    #[error("no answer within {after:?}: the question {id} is still going to be handled")]
    Indeterminate {
        /// The question.
        id: MessageId,
        /// How long the asker waited.
        after: Duration,
    },
    /// The question was handled, without an answer; or it became a dead letter.
    #[error("the agent gave no answer")]
    NoReply,
    /// The answer is of another type.
    #[error("the answer is of another type")]
    Codec(#[from] CodecError),
}

/// Why an effect outside has no durable result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OnceError<E> {
    /// The effect failed; nothing was kept, and it may be tried again.
    #[error("the effect failed")]
    Effect(#[source] E),
    /// The effect happened, and its result could not be kept: it may happen again, with the same key.
    #[error("the result could not be kept")]
    Store(#[source] StoreError),
    /// The result cannot be written, or what was kept is of another type.
    #[error("the result cannot be kept in this form")]
    Codec(#[source] CodecError),
}
