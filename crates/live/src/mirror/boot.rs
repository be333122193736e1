//! What a mirror starts from.

use crate::limits;
use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};
use thiserror::Error;

/// Name of a section within its document: 1 to [`SECTION_ID_LEN_MAX`](limits::SECTION_ID_LEN_MAX) bytes of
/// ASCII letters, digits, `-`, `_` and `.`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SectionId(Arc<str>);

/// A section's name is empty, too long, or has other characters than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "a section is named by 1 to {} letters, digits, '-', '_' and '.'",
    limits::SECTION_ID_LEN_MAX
)]
pub struct ParseSectionIdError;

impl FromStr for SectionId {
    type Err = ParseSectionIdError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > limits::SECTION_ID_LEN_MAX || !name.bytes().all(allowed)
        {
            return Err(ParseSectionIdError);
        }
        Ok(Self(name.into()))
    }
}

impl SectionId {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The root text of the section in the Yjs document.
    #[must_use]
    pub fn root(&self) -> String {
        format!("{ROOT_PREFIX}{self}")
    }
}

/// What the names of all root texts begin with.
pub(super) const ROOT_PREFIX: &str = "s/";

impl Borrow<str> for SectionId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Id of a Yjs client: below [`CLIENT_ID_MAX`](limits::CLIENT_ID_MAX).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientId(u64);

impl ClientId {
    /// A small id from a random number: 28 bits, of which 4 bytes stay on the wire.
    ///
    /// Small ids halve updates. Of 268 million, two boots of one document share one by bad luck only, and ids that
    /// the loaded state knows are stepped over.
    #[must_use]
    pub const fn small(random: u64) -> Self {
        Self(1 + random % ((1 << 28) - 1))
    }

    /// The id with this number, if there can be one.
    #[must_use]
    pub const fn new(id: u64) -> Option<Self> {
        if id < limits::CLIENT_ID_MAX { Some(Self(id)) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The id after this one, within the small ones.
    pub(super) const fn step(self) -> Self {
        Self::small(self.0)
    }
}

/// The start of a mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boot {
    /// The count of histories of the document.
    pub epoch: u64,
    /// A fresh random id: one that was used in another boot would make two texts out of one, for ever.
    pub client: ClientId,
}

/// What the outline says of a section.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// Its heading.
    pub title: String,
    /// Its place: sections are sorted by this text.
    pub order: String,
    /// Whether it is shown. Sections are archived, never removed: a removed root would lose concurrent edits.
    pub archived: bool,
    /// Level of its heading, 0 for the text before the first.
    pub level: u8,
}

/// A section to start with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed {
    /// Its name.
    pub id: SectionId,
    /// Its text.
    pub text: String,
    /// Its entry in the outline.
    pub entry: Entry,
}

impl Seed {
    /// A section with this text.
    #[must_use]
    pub fn new(id: SectionId, text: impl Into<String>, entry: Entry) -> Self {
        Self { id, text: text.into(), entry }
    }
}
