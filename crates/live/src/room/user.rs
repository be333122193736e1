//! Who is connected, to what, and how a connection ends.

use std::{fmt, str::FromStr};
use thiserror::Error;

/// A connection, as the edge numbers them; never used twice in one room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnId(pub u64);

/// Who is behind a connection, as authenticated by the edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Shown to the others, whatever the client says of itself.
    pub name: String,
    /// Colour of the caret, as CSS writes it.
    pub colour: String,
    /// What it is.
    pub kind: UserKind,
    /// Whether it may write at all; single sections are judged per update.
    pub may_write: bool,
}

/// What a user is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserKind {
    /// A human being.
    Person,
    /// A program that writes.
    Agent,
}

impl UserKind {
    /// As presence says it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Agent => "agent",
        }
    }
}

/// Name of a room: `document@epoch`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomName {
    document: String,
    epoch: u64,
}

/// The name of a room is not `document@epoch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a room is named DOCUMENT@EPOCH, for example plan@1")]
pub struct ParseRoomNameError;

impl RoomName {
    /// The room of a document in an epoch.
    #[must_use]
    pub fn new(document: &str, epoch: u64) -> Self {
        Self { document: document.to_owned(), epoch }
    }

    /// The document.
    #[must_use]
    pub fn document(&self) -> &str {
        &self.document
    }

    /// The epoch.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }
}

impl FromStr for RoomName {
    type Err = ParseRoomNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let (document, epoch) = name.rsplit_once('@').ok_or(ParseRoomNameError)?;
        let epoch = epoch.parse().map_err(|_| ParseRoomNameError)?;
        if document.is_empty() { Err(ParseRoomNameError) } else { Ok(Self::new(document, epoch)) }
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.document, self.epoch)
    }
}

/// Why a connection is closed by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Close {
    /// The history was started anew: open the document again.
    OldEpoch,
    /// A frame was not one of y-protocols.
    Protocol,
    /// An update was not one of plain texts in this document's sections. Reload: the editor's copy cannot be synced.
    Unfit,
    /// There are as many connections as there may be: try later.
    Full,
    /// The edge used the number of a living connection again.
    Twice,
}

impl Close {
    /// The close code on the WebSocket, of the range that applications may use.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::OldEpoch => 4001,
            Self::Protocol => 4002,
            Self::Unfit => 4003,
            // "Try again later", of the IANA registry.
            Self::Full => 1013,
            // "Internal error", RFC 6455 §7.4.1.
            Self::Twice => 1011,
        }
    }
}

/// Why a connection was not let in.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The document is elsewhere now.
    #[error("the document is in room {now}; open it there")]
    OtherRoom {
        /// Its room.
        now: RoomName,
    },
    /// The room has as many connections as it may have.
    #[error("the room is full; try again later")]
    Full,
    /// The number is that of a living connection.
    #[error("the connection is in the room already")]
    Twice,
}

impl ConnectError {
    /// How to close the socket.
    #[must_use]
    pub const fn close(&self) -> Close {
        match self {
            Self::OtherRoom { .. } => Close::OldEpoch,
            Self::Full => Close::Full,
            Self::Twice => Close::Twice,
        }
    }
}
