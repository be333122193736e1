//! The envelope: the untyped message that is routed by id, and its binary and JSON forms.

#[cfg(feature = "serde")]
mod base64;
mod codec;
#[cfg(feature = "serde")]
mod json;
mod kind;
mod trace;

use bytes::Bytes;

use crate::id::{AgentId, MessageId};

pub use codec::{DecodeError, DecodeFault, EncodeError, Field, VERSION};
pub use kind::{MessageType, UnknownMessageType};
pub use trace::{TraceContext, TraceContextError};

/// A message on its way: who to whom, what, since when. Holds M8.
///
/// Cheap to clone: ids and payload are shared, so a broadcast holds one payload (G4).
/// Core has no clock and no randomness; who makes an envelope brings its id and time.
///
/// # Example
/// ```
/// use ggml_agent_core::{Envelope, MessageIds, MessageType};
/// let mut ids = MessageIds::new(1);
/// let now_ms = 1_700_000_000_000;
/// let task = Envelope::new(ids.next(now_ms), now_ms, "writer".parse()?, MessageType::Task, "draft it")
///     .sent_by("editor".parse()?);
/// let done = task.reply(MessageType::TaskResult, "done", ids.next(now_ms), now_ms).expect("has a sender");
/// assert_eq!(done.to.as_str(), "editor");
/// assert_eq!(done.correlation_id, Some(task.id));
/// assert_eq!(Envelope::decode(&done.encode()?)?, done);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Envelope {
    /// Its id, by which duplicates are known.
    pub id: MessageId,
    /// Who sent it; `None` is the world outside the system, to which no reply can be routed.
    pub from: Option<AgentId>,
    /// Who gets it.
    pub to: AgentId,
    /// What it means (`type` on the wire).
    pub kind: MessageType,
    /// What it says; at most [`PAYLOAD_LEN_MAX`](crate::limits::PAYLOAD_LEN_MAX) bytes can be encoded.
    pub payload: Bytes,
    /// When it was made, by the sender's wall clock: milliseconds since the Unix epoch, UTC.
    pub timestamp_ms: u64,
    /// The id of the message that this one answers.
    pub correlation_id: Option<MessageId>,
    /// Which of the two user lanes it takes (M3).
    pub priority: Priority,
    /// From when on nobody wants it, by the sender's wall clock: milliseconds since the Unix epoch, UTC.
    pub deadline_ms: Option<u64>,
    /// The trace that it belongs to.
    pub trace: Option<TraceContext>,
}

/// The lane of a message that is not the system's (M3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Priority {
    /// The user lane.
    #[default]
    #[cfg_attr(feature = "serde", serde(rename = "normal"))]
    Normal,
    /// The priority lane: before the user lane, without starving it.
    #[cfg_attr(feature = "serde", serde(rename = "high"))]
    High,
}

impl Envelope {
    /// An envelope from outside, of normal priority, with nothing optional set.
    #[must_use]
    pub fn new(
        id: MessageId,
        timestamp_ms: u64,
        to: AgentId,
        kind: MessageType,
        payload: impl Into<Bytes>,
    ) -> Self {
        Self {
            id,
            from: None,
            to,
            kind,
            payload: payload.into(),
            timestamp_ms,
            correlation_id: None,
            priority: Priority::Normal,
            deadline_ms: None,
            trace: None,
        }
    }

    /// Sets the sender.
    #[must_use]
    pub fn sent_by(self, from: AgentId) -> Self {
        Self { from: Some(from), ..self }
    }

    /// Says which message it answers.
    #[must_use]
    pub fn answering(self, question: MessageId) -> Self {
        Self { correlation_id: Some(question), ..self }
    }

    /// Sets the priority.
    #[must_use]
    pub fn with_priority(self, priority: Priority) -> Self {
        Self { priority, ..self }
    }

    /// Sets the deadline, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn with_deadline_ms(self, deadline_ms: u64) -> Self {
        Self { deadline_ms: Some(deadline_ms), ..self }
    }

    /// Sets the trace context.
    #[must_use]
    pub fn with_trace(self, trace: TraceContext) -> Self {
        Self { trace: Some(trace), ..self }
    }

    /// The answer to this envelope: back to its sender, with its id as correlation id. Holds M8.
    ///
    /// Priority, deadline and trace are those of the question: who asked in a hurry waits in one, and
    /// after its deadline nobody waits. `None` when the question came from outside.
    #[must_use]
    pub fn reply(
        &self,
        kind: MessageType,
        payload: impl Into<Bytes>,
        id: MessageId,
        now_ms: u64,
    ) -> Option<Self> {
        Some(Self {
            id,
            from: Some(self.to.clone()),
            to: self.from.clone()?,
            kind,
            payload: payload.into(),
            timestamp_ms: now_ms,
            correlation_id: Some(self.id),
            priority: self.priority,
            deadline_ms: self.deadline_ms,
            trace: self.trace,
        })
    }

    /// Whether its deadline has come at `now_ms` (milliseconds since the Unix epoch).
    #[must_use]
    pub fn is_expired(&self, now_ms: u64) -> bool {
        self.deadline_ms.is_some_and(|deadline_ms| now_ms >= deadline_ms)
    }
}

#[cfg(test)]
mod tests;
