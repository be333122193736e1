//! The envelope: the untyped message that is routed by id, and its binary and JSON forms.

#[cfg(feature = "serde")]
mod base64;
mod codec;
mod extras;
#[cfg(feature = "serde")]
mod json;
mod kind;
mod trace;

use std::fmt;
use std::ops::{Deref, DerefMut};

use bytes::Bytes;

use crate::id::{AgentId, MessageId};
use extras::Extra;

pub use codec::{DecodeError, DecodeFault, EncodeError, Field, VERSION};
pub use extras::Extras;
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
#[derive(Clone, PartialEq, Eq)]
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
    /// Which of the two user lanes it takes (M3).
    pub priority: Priority,
    /// What few have, behind one pointer: see [`Extras`].
    extras: Extra,
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
            priority: Priority::Normal,
            extras: Extra::none(),
        }
    }

    /// Sets the sender.
    #[must_use]
    pub fn sent_by(self, from: AgentId) -> Self {
        Self { from: Some(from), ..self }
    }

    /// Says which message it answers.
    #[must_use]
    pub fn answering(mut self, question: MessageId) -> Self {
        self.correlation_id = Some(question);
        self
    }

    /// Sets the priority.
    #[must_use]
    pub fn with_priority(self, priority: Priority) -> Self {
        Self { priority, ..self }
    }

    /// Sets the deadline, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn with_deadline_ms(mut self, deadline_ms: u64) -> Self {
        self.deadline_ms = Some(deadline_ms);
        self
    }

    /// Sets the trace context.
    #[must_use]
    pub fn with_trace(mut self, trace: TraceContext) -> Self {
        self.trace = Some(trace);
        self
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
            priority: self.priority,
            extras: Extra::from(Extras { correlation_id: Some(self.id), ..**self }),
        })
    }

    /// Whether its deadline has come at `now_ms` (milliseconds since the Unix epoch).
    #[must_use]
    pub fn is_expired(&self, now_ms: u64) -> bool {
        self.deadline_ms.is_some_and(|deadline_ms| now_ms >= deadline_ms)
    }
}

impl Deref for Envelope {
    type Target = Extras;

    #[inline]
    fn deref(&self) -> &Extras {
        &self.extras
    }
}

impl DerefMut for Envelope {
    fn deref_mut(&mut self) -> &mut Extras {
        &mut self.extras
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("id", &self.id)
            .field("from", &self.from)
            .field("to", &self.to)
            .field("kind", &self.kind)
            .field("payload", &self.payload)
            .field("timestamp_ms", &self.timestamp_ms)
            .field("correlation_id", &self.correlation_id)
            .field("priority", &self.priority)
            .field("deadline_ms", &self.deadline_ms)
            .field("trace", &self.trace)
            .finish()
    }
}

#[cfg(test)]
mod tests;
