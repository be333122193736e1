//! Tags: the groups and capabilities by which agents are found without knowing their ids.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::limits::TAG_NAME_LEN_MAX;

/// What an agent can be found by, besides its id (G5). The two kinds do not meet: a group and a
/// capability of the same name are different tags.
///
/// # Example
/// ```
/// use ggml_agent_core::Tag;
/// let tag = Tag::group("writers")?;
/// assert_eq!(tag.to_string(), "group writers");
/// assert_ne!(tag, Tag::capability("writers")?);
/// # Ok::<(), ggml_agent_core::registry::ParseTagNameError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tag {
    /// Agents that belong together.
    Group(TagName),
    /// Agents that can do the same thing.
    Capability(TagName),
}

impl Tag {
    /// The group of this name.
    ///
    /// # Errors
    /// [`ParseTagNameError`]: change the name.
    pub fn group(name: &str) -> Result<Self, ParseTagNameError> {
        name.parse().map(Self::Group)
    }

    /// The capability of this name.
    ///
    /// # Errors
    /// [`ParseTagNameError`]: change the name.
    pub fn capability(name: &str) -> Result<Self, ParseTagNameError> {
        name.parse().map(Self::Capability)
    }

    /// Its name, without its kind.
    #[must_use]
    pub const fn name(&self) -> &TagName {
        match self {
            Self::Group(name) | Self::Capability(name) => name,
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(name) => write!(f, "group {name}"),
            Self::Capability(name) => write!(f, "capability {name}"),
        }
    }
}

/// The name of a tag: 1 to 128 bytes of UTF-8 without control characters. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagName(Arc<str>);

impl TagName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TagName {
    type Err = ParseTagNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        if name.is_empty() {
            return Err(ParseTagNameError::Empty);
        }
        if name.len() > TAG_NAME_LEN_MAX {
            return Err(ParseTagNameError::TooLong { len: name.len() });
        }
        match name.char_indices().find(|(_, c)| c.is_control()) {
            Some((at, _)) => Err(ParseTagNameError::ControlCharacter { at }),
            None => Ok(Self(name.into())),
        }
    }
}

impl fmt::Display for TagName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TagName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &self.0)
    }
}

crate::text::serde_as_text!(TagName, "a tag name of 1 to 128 bytes");

/// Why a text is not the name of a tag. The caller is at fault: change the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseTagNameError {
    /// The text is empty.
    #[error("tag name is empty")]
    Empty,
    /// The text is too long.
    #[error("tag name has {len} bytes, at most {TAG_NAME_LEN_MAX} are allowed")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// A control character (Unicode `Cc`).
    #[error("tag name has a control character at byte {at}")]
    ControlCharacter {
        /// Offset of its first byte.
        at: usize,
    },
}
