//! The thirteen message types of the protocol.

use std::fmt;
use std::str::FromStr;

/// What an envelope means: the thirteen types of the protocol. Holds M9 (the names and numbers).
///
/// The list is the protocol's: another type is a new version of it, so a `match` may be exhaustive.
/// Numbers are stable for ever; names are written in upper case, as `DOC_EDIT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum MessageType {
    /// Anything between agents that the other types do not name.
    User = 1,
    /// Asks whether an agent makes progress; answered without user code.
    Heartbeat = 2,
    /// Answers [`Heartbeat`](Self::Heartbeat).
    HeartbeatAck = 3,
    /// Asks an agent to end after its current message; obeyed without user code.
    Shutdown = 4,
    /// Says that what it answers has failed.
    Error = 5,
    /// Gives work to an agent.
    Task = 6,
    /// Answers [`Task`](Self::Task) with its result.
    TaskResult = 7,
    /// Asks the document's coordinator to change a section.
    DocEdit = 8,
    /// Tells a subscriber of a document about a new version.
    DocUpdate = 9,
    /// Asks for the lock of a section.
    LockRequest = 10,
    /// Gives the lock of a section back.
    LockRelease = 11,
    /// Grants a lock, with its fencing token and the end of its lease.
    LockAcquired = 12,
    /// Refuses a lock, and says who holds it and until when.
    LockDenied = 13,
}

impl MessageType {
    /// All types, in the order of their numbers.
    pub const ALL: [Self; 13] = [
        Self::User,
        Self::Heartbeat,
        Self::HeartbeatAck,
        Self::Shutdown,
        Self::Error,
        Self::Task,
        Self::TaskResult,
        Self::DocEdit,
        Self::DocUpdate,
        Self::LockRequest,
        Self::LockRelease,
        Self::LockAcquired,
        Self::LockDenied,
    ];

    /// Its number in the binary form: 1 to 13.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The type with this number, if there is one.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "USER",
            Self::Heartbeat => "HEARTBEAT",
            Self::HeartbeatAck => "HEARTBEAT_ACK",
            Self::Shutdown => "SHUTDOWN",
            Self::Error => "ERROR",
            Self::Task => "TASK",
            Self::TaskResult => "TASK_RESULT",
            Self::DocEdit => "DOC_EDIT",
            Self::DocUpdate => "DOC_UPDATE",
            Self::LockRequest => "LOCK_REQUEST",
            Self::LockRelease => "LOCK_RELEASE",
            Self::LockAcquired => "LOCK_ACQUIRED",
            Self::LockDenied => "LOCK_DENIED",
        }
    }

    /// Whether it travels in the system lane, before any other message (M3).
    #[must_use]
    pub const fn is_system(self) -> bool {
        matches!(self, Self::Heartbeat | Self::HeartbeatAck | Self::Shutdown)
    }
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for MessageType {
    type Err = UnknownMessageType;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == name);
        found
            .ok_or_else(|| UnknownMessageType { name: name.chars().take(NAME_SHOWN_MAX).collect() })
    }
}

crate::text::serde_as_text!(MessageType, "the name of a message type, such as USER");

/// Characters of an unknown name that its error repeats: at most 32 x 4 B.
const NAME_SHOWN_MAX: usize = 32;

/// A name that is none of the thirteen types. Names are upper case: `TASK`, not `task`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown message type {name:?}")]
#[non_exhaustive]
pub struct UnknownMessageType {
    /// Its first 32 characters.
    pub name: String,
}
