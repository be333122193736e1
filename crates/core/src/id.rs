//! Names, parsed once: what holds an [`AgentId`] or a [`MessageId`] never checks it again.

mod message;
mod shared;

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

pub use crate::limits::AGENT_ID_LEN_MAX;
pub use message::{MESSAGE_ID_TEXT_LEN, MessageId, MessageIds, ParseMessageIdError};
pub use shared::SharedMessageIds;

/// The name of an agent: 1 to 128 bytes of UTF-8 without control characters, and not `/` alone.
///
/// Cheap to clone (one reference count).
///
/// # Example
/// ```
/// use ggml_agent_core::AgentId;
/// let id: AgentId = "writer-1".parse()?;
/// assert_eq!(id.as_str(), "writer-1");
/// # Ok::<(), ggml_agent_core::ParseAgentIdError>(())
/// ```
#[derive(Clone, Eq, PartialOrd, Ord)]
pub struct AgentId(Arc<str>);

impl AgentId {
    /// Parses `id`.
    ///
    /// # Errors
    /// [`ParseAgentIdError`] says what is wrong and, where one byte is at fault, which.
    pub fn new(id: impl AsRef<str>) -> Result<Self, ParseAgentIdError> {
        id.as_ref().parse()
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for AgentId {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        // Most that are compared are copies of one.
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Hash for AgentId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl FromStr for AgentId {
    type Err = ParseAgentIdError;

    fn from_str(id: &str) -> Result<Self, Self::Err> {
        if id.is_empty() {
            return Err(ParseAgentIdError::Empty);
        }
        if id.len() > AGENT_ID_LEN_MAX {
            return Err(ParseAgentIdError::TooLong { len: id.len() });
        }
        if let Some((at, _)) = id.char_indices().find(|(_, c)| c.is_control()) {
            return Err(ParseAgentIdError::ControlCharacter { at });
        }
        if id == "/" {
            return Err(ParseAgentIdError::SlashAlone);
        }
        Ok(Self(id.into()))
    }
}

impl TryFrom<&str> for AgentId {
    type Error = ParseAgentIdError;

    fn try_from(id: &str) -> Result<Self, Self::Error> {
        id.parse()
    }
}

impl AsRef<str> for AgentId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for AgentId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

crate::text::serde_as_text!(AgentId, "an agent id of 1 to 128 bytes");

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &self.0)
    }
}

/// Why a text is not an agent id. The caller is at fault: change the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseAgentIdError {
    /// The text is empty.
    #[error("agent id is empty")]
    Empty,
    /// The text is longer than [`AGENT_ID_LEN_MAX`] bytes.
    #[error("agent id has {len} bytes, at most 128 are allowed")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// A control character (Unicode `Cc`).
    #[error("agent id has a control character at byte {at}")]
    ControlCharacter {
        /// Offset of its first byte.
        at: usize,
    },
    /// The text is `/`, which is kept for the root.
    #[error("agent id is \"/\" alone (byte 0), which names the root")]
    SlashAlone,
}

#[cfg(test)]
mod tests;
