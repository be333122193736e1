//! The frames of y-protocols, read strictly: one message per frame, to the last byte.
//!
//! A lenient reader takes a short frame for the end of its input; two messages in one frame lose the second in
//! every stock editor. So neither is written here, and neither is taken.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::{
    limits,
    mirror::ClientId,
    wire::{Reader, WireError, put_bytes, put_number},
};
use bytes::Bytes;
use thiserror::Error;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<'a> {
    /// "This is what I have": a state vector, to be answered by what is lacking.
    SyncStep1(&'a [u8]),
    /// What the other lacked, as an update.
    SyncStep2(&'a [u8]),
    /// A change, as an update.
    Update(&'a [u8]),
    /// Who is there.
    Awareness(Vec<Presence<'a>>),
    /// "You may not": only a server says so.
    AuthDenied(&'a str),
    /// "Who is there?"
    QueryAwareness,
}

/// What one client says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presence<'a> {
    /// Of whom this is.
    pub client: ClientId,
    /// The larger one is the newer one.
    pub clock: u64,
    /// JSON: an object, or `null` once the client has left.
    pub state: &'a str,
}

/// Why a frame was not taken. The sender is no Yjs editor: close the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// It is longer than [`FRAME_LEN_MAX`](limits::FRAME_LEN_MAX).
    #[error("the frame has {len} bytes, and {max} is the most", max = limits::FRAME_LEN_MAX)]
    TooLong {
        /// Its length.
        len: usize,
    },
    /// It ends in the middle, or holds a number or a text that cannot be.
    #[error("damaged frame")]
    Damaged,
    /// Something follows the message: a frame holds one.
    #[error("bytes after the message; send one message per frame")]
    Trailing,
    /// The message is of no kind that a client may send.
    #[error("message kind {kind} is not spoken here")]
    UnknownKind {
        /// Its number.
        kind: u64,
    },
    /// More clients in one presence message than [`PRESENCE_ENTRIES_MAX`](limits::PRESENCE_ENTRIES_MAX).
    #[error("presence of {count} clients in one frame, and {max} is the most", max = limits::PRESENCE_ENTRIES_MAX)]
    TooManyClients {
        /// How many.
        count: u64,
    },
}

impl From<WireError> for FrameError {
    fn from(_: WireError) -> Self {
        Self::Damaged
    }
}

const SYNC: u64 = 0;
const AWARENESS: u64 = 1;
const AUTH: u64 = 2;
const QUERY_AWARENESS: u64 = 3;
const STEP_1: u64 = 0;
const STEP_2: u64 = 1;
const UPDATE: u64 = 2;
const DENIED: u64 = 0;

impl<'a> Message<'a> {
    /// Reads a frame.
    ///
    /// # Errors
    /// [`FrameError`] if it is not exactly one message.
    pub fn decode(frame: &'a [u8]) -> Result<Self, FrameError> {
        if frame.len() > limits::FRAME_LEN_MAX {
            return Err(FrameError::TooLong { len: frame.len() });
        }
        let mut reader = Reader::new(frame);
        let message = match reader.number()? {
            SYNC => match reader.number()? {
                STEP_1 => Self::SyncStep1(reader.bytes()?),
                STEP_2 => Self::SyncStep2(reader.bytes()?),
                UPDATE => Self::Update(reader.bytes()?),
                kind => return Err(FrameError::UnknownKind { kind }),
            },
            AWARENESS => Self::Awareness(presences(reader.bytes()?)?),
            AUTH => match reader.number()? {
                DENIED => Self::AuthDenied(reader.text()?),
                kind => return Err(FrameError::UnknownKind { kind }),
            },
            QUERY_AWARENESS => Self::QueryAwareness,
            kind => return Err(FrameError::UnknownKind { kind }),
        };
        if reader.is_empty() { Ok(message) } else { Err(FrameError::Trailing) }
    }

    /// The frame of this message.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::new();
        let mut sync = |kind, body: &[u8]| {
            put_number(&mut out, SYNC);
            put_number(&mut out, kind);
            put_bytes(&mut out, body);
        };
        match self {
            Self::SyncStep1(state_vector) => sync(STEP_1, state_vector),
            Self::SyncStep2(update) => sync(STEP_2, update),
            Self::Update(update) => sync(UPDATE, update),
            Self::Awareness(presences) => {
                put_number(&mut out, AWARENESS);
                put_bytes(&mut out, &presence_body(presences));
            }
            Self::AuthDenied(reason) => {
                put_number(&mut out, AUTH);
                put_number(&mut out, DENIED);
                put_bytes(&mut out, reason.as_bytes());
            }
            Self::QueryAwareness => put_number(&mut out, QUERY_AWARENESS),
        }
        out.into()
    }
}

fn presences(body: &[u8]) -> Result<Vec<Presence<'_>>, FrameError> {
    let mut reader = Reader::new(body);
    let count = reader.number()?;
    if count > limits::PRESENCE_ENTRIES_MAX as u64 {
        return Err(FrameError::TooManyClients { count });
    }
    let mut presences = Vec::new();
    for _ in 0..count {
        let client = ClientId::new(reader.number()?).ok_or(FrameError::Damaged)?;
        let (clock, state) = (reader.number()?, reader.text()?);
        presences.push(Presence { client, clock, state });
    }
    if reader.is_empty() { Ok(presences) } else { Err(FrameError::Trailing) }
}

fn presence_body(presences: &[Presence<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    put_number(&mut body, presences.len() as u64);
    for Presence { client, clock, state } in presences {
        put_number(&mut body, client.get());
        put_number(&mut body, *clock);
        put_bytes(&mut body, state.as_bytes());
    }
    body
}

#[cfg(test)]
mod tests;
