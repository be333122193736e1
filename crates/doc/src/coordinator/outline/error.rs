//! Why the sections were not changed.

use super::EditError;
use crate::section::SectionId;

/// Longest title of a section, in bytes.
// Beyond, it is a text and no title; the longest line that people write in a heading has some 200 bytes.
pub(super) const TITLE_BYTES_MAX: usize = 1_024;

/// Why the sections were not changed; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OutlineError {
    /// What also an edit is refused for.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The outline is another one than the caller has seen.
    #[error("the outline is at version {current}, the command was made for {base}; read it again")]
    Outdated {
        /// The version that the caller has seen.
        base: u64,
        /// The one that there is.
        current: u64,
    },
    /// The command says neither which outline was seen nor which lock is held.
    #[error(
        "a change of the sections needs the outline's version or the tokens of the sections it changes; \
         send one of them"
    )]
    NoTokenAndNoOutline {
        /// The first section without a token, if one can be named.
        section: Option<SectionId>,
    },
    /// No section follows the one that is to be merged.
    #[error("no section follows {section}; merge the one before it instead")]
    NoNext {
        /// Which.
        section: SectionId,
    },
    /// A section cannot stand behind itself.
    #[error("section {section} cannot stand behind itself; name another one")]
    BehindItself {
        /// Which.
        section: SectionId,
    },
    /// No heading with this anchor stands in the section, behind its own.
    #[error(
        "no heading behind the first in section {section} has the anchor {anchor:.80?}; read it again"
    )]
    UnknownAnchor {
        /// Which section.
        section: SectionId,
        /// The anchor.
        anchor: String,
    },
    /// No heading begins where the section is cut, or the section has none to be renamed.
    #[error("no heading begins at byte {at} of section {section}; send a title, or edit the text")]
    NoHeading {
        /// Which section.
        section: SectionId,
        /// Where.
        at: usize,
    },
    /// The title is empty, longer than 1,024 bytes, or would not be the heading of the section.
    #[error(
        "the title of section {section} is not one line that makes a heading; choose another one"
    )]
    BadTitle {
        /// Which section.
        section: SectionId,
    },
}

impl OutlineError {
    /// Whether the same command may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Edit(error) if error.is_retryable())
    }
}
