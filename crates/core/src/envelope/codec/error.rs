//! Why there is no binary form, or no envelope in the bytes.

use std::error::Error;
use std::fmt;

use super::VERSION;
use crate::envelope::TraceContextError;
use crate::id::ParseAgentIdError;
use crate::limits::{ENVELOPE_LEN_MAX, PAYLOAD_LEN_MAX};

/// Why an envelope has no binary form. The caller is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The payload is longer than [`PAYLOAD_LEN_MAX`].
    #[error("payload has {len} bytes, at most {PAYLOAD_LEN_MAX} can be sent")]
    PayloadTooLong {
        /// Its length in bytes.
        len: usize,
    },
}

/// Why bytes are not an envelope, and where. The sender is at fault; the same bytes fail again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecodeError {
    /// Offset of the byte at fault: at the input's length when it ends too early.
    pub at: usize,
    /// What is wrong there.
    pub fault: DecodeFault,
}

impl DecodeError {
    /// Never: the same bytes fail in the same way (R4).
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        false
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.fault, self.at)
    }
}

impl Error for DecodeError {
    // The fault is part of this level's text, so the chain goes on behind it.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.fault.source()
    }
}

/// What is wrong with the bytes of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeFault {
    /// The input is longer than any envelope.
    #[error("input has {len} bytes, an envelope at most {ENVELOPE_LEN_MAX}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The first byte is no envelope's.
    #[error("not an envelope: first byte is {byte:#04x}")]
    NotAnEnvelope {
        /// The first byte.
        byte: u8,
    },
    /// An envelope of a version that this program does not read.
    #[error("envelope version {version} is not supported, only version {VERSION} is")]
    UnsupportedVersion {
        /// The version.
        version: u8,
    },
    /// A message type that is none of the thirteen (M9).
    #[error("unknown message type number {number}")]
    UnknownMessageType {
        /// Its number.
        number: u8,
    },
    /// Flags that version 1 does not have.
    #[error("unknown flags {unknown:#010b}")]
    UnknownFlags {
        /// The unknown bits.
        unknown: u8,
    },
    /// The input ends inside a field.
    #[error("input ends inside {field}, {n_missing} bytes early,")]
    Truncated {
        /// The field.
        field: Field,
        /// How many bytes are missing, at least.
        n_missing: usize,
    },
    /// A number of more than 64 bits.
    #[error("{field} has a number above 64 bits")]
    VarintTooLarge {
        /// The field.
        field: Field,
    },
    /// A number that is not in its shortest form.
    #[error("{field} has a number that is not in its shortest form")]
    PaddedVarint {
        /// The field.
        field: Field,
    },
    /// A length above its limit.
    #[error("{field} has {len} bytes, at most {len_max} are allowed,")]
    FieldTooLong {
        /// The field.
        field: Field,
        /// Its length in bytes, as claimed.
        len: u64,
        /// The limit in bytes.
        len_max: usize,
    },
    /// An agent id that is not UTF-8.
    #[error("{field} is not UTF-8")]
    NotUtf8 {
        /// The field.
        field: Field,
    },
    /// A text that is not an agent id.
    #[error("{field} is not an agent id")]
    BadAgentId {
        /// The field.
        field: Field,
        /// What is wrong with it; offsets count from the start of the id.
        source: ParseAgentIdError,
    },
    /// A trace context with an id that is all zero.
    #[error("bad trace context")]
    BadTrace {
        /// What is wrong with it.
        source: TraceContextError,
    },
    /// Bytes after the payload.
    #[error("{n_extra} bytes after the end of the envelope")]
    TrailingBytes {
        /// How many.
        n_extra: usize,
    },
}

impl DecodeFault {
    pub(super) fn at(self, at: usize) -> DecodeError {
        DecodeError { at, fault: self }
    }
}

/// A field of the binary form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Field {
    /// Magic and version.
    Version,
    /// Number of the message type.
    Type,
    /// Which optional fields follow.
    Flags,
    /// Message id.
    Id,
    /// Timestamp.
    Timestamp,
    /// Who gets it.
    To,
    /// Who sent it.
    From,
    /// Correlation id.
    CorrelationId,
    /// Deadline.
    Deadline,
    /// Trace context.
    Trace,
    /// Payload or its length.
    Payload,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "version",
            Self::Type => "type",
            Self::Flags => "flags",
            Self::Id => "id",
            Self::Timestamp => "timestamp",
            Self::To => "to",
            Self::From => "from",
            Self::CorrelationId => "correlation id",
            Self::Deadline => "deadline",
            Self::Trace => "trace",
            Self::Payload => "payload",
        })
    }
}
