//! Why a command was refused.

use std::time::Duration;

use ggml_agent_core::lease::{RequestError, Stale};

use super::author::Holder;
use crate::limits::{DOCUMENT_BYTES_MAX, SECTION_BYTES_MAX, SECTIONS_MAX, SUBSCRIBERS_MAX};
use crate::section::SectionId;

/// The caller's life is over, or a later one of the same agent has taken its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{holder} has ended or was restarted; only a later incarnation may act")]
pub struct Gone {
    /// Who asked.
    pub holder: Holder,
}

/// Why a lock request was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// The caller has ended.
    #[error(transparent)]
    Gone(#[from] Gone),
    /// There is no such section.
    #[error("the document has no section {section}; read the list of sections again")]
    UnknownSection {
        /// Which.
        section: SectionId,
    },
    /// The store has not kept up: see [`EditError::Unsaved`].
    #[error("the document waits for its store to keep earlier changes; try again later")]
    Unsaved,
    /// The holder does not have to give way: it is a person, or the asker is an agent.
    #[error("section {section} is held by {holder}, who does not give way; wait for the lock")]
    NoPrecedence {
        /// Which.
        section: SectionId,
        /// Who holds it.
        holder: Holder,
    },
    /// The request itself is at fault, or the queue is full.
    #[error(transparent)]
    Request(#[from] RequestError<SectionId>),
}

impl LockError {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Request(error) => error.is_retryable(),
            Self::Unsaved | Self::NoPrecedence { .. } => true,
            Self::Gone(_) | Self::UnknownSection { .. } => false,
        }
    }
}

/// Why a subscription was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The caller has ended.
    #[error(transparent)]
    Gone(#[from] Gone),
    /// The document has as many subscribers as are allowed.
    #[error("{SUBSCRIBERS_MAX} subscribers follow the document already; try again later")]
    TooMany,
}

impl SubscribeError {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::TooMany)
    }
}

/// Why an edit was refused; nothing was changed (D6).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The caller has ended.
    #[error(transparent)]
    Gone(#[from] Gone),
    /// There is no such section.
    #[error("the document has no section {section}; read the list of sections again")]
    UnknownSection {
        /// Which.
        section: SectionId,
    },
    /// The lock is not the caller's any more (D2, D3).
    #[error(transparent)]
    Stale(#[from] Stale),
    /// The edit has no token, and somebody holds the section.
    #[error("section {section} is locked by {holder} until {until:?}; wait for the lock")]
    Locked {
        /// Which.
        section: SectionId,
        /// By whom.
        holder: Holder,
        /// Until when, unless renewed.
        until: Duration,
    },
    /// The store of a durable document has not kept up: its disk is full, fails, or is too slow. Nothing
    /// was decided.
    #[error("the document waits for its store to keep earlier changes; try again later")]
    Unsaved,
    /// The edit has neither a token nor the version that it was made from.
    #[error("an edit needs a lock's token or the version it was made from; send one of them")]
    NoTokenAndNoBase,
    /// Somebody has changed the section since.
    #[error(
        "section {section} is at version {current}, the edit was made from {base}; read it again"
    )]
    Outdated {
        /// Which.
        section: SectionId,
        /// The version that the edit was made from.
        base: u64,
        /// The version that it has.
        current: u64,
    },
    /// The section is not part of the document any more.
    #[error("section {section} is archived; restore it, or work on another one")]
    Archived {
        /// Which.
        section: SectionId,
    },
    /// The section is part of the document, or there is none of this name.
    #[error("section {section} is not archived; only an archived section can be restored")]
    NotArchived {
        /// Which.
        section: SectionId,
    },
    /// The section is written to with its lock only.
    #[error("section {section} is written to with its lock only; lock it and send the token")]
    NeedsLock {
        /// Which.
        section: SectionId,
    },
    /// People write in this section, and agents suggest.
    #[error("in section {section} agents only suggest; send the edit as a suggestion")]
    SuggestOnly {
        /// Which.
        section: SectionId,
    },
    /// A change is not inside the text, cuts a character in two, or touches the one before it.
    #[error(
        "section {section} has no place for a change at byte {at}; \
         read it again, and send changes in order, each apart from the one before"
    )]
    NoSuchPlace {
        /// Of which section.
        section: SectionId,
        /// Where the change begins, in bytes.
        at: usize,
    },
    /// The document would have no section.
    #[error("it is the last section, and a document has one at least; replace its text instead")]
    LastSection,
    /// The document would have more than [`SECTIONS_MAX`] sections, the archived ones counted.
    #[error("the document would have {n} sections, at most {SECTIONS_MAX} are allowed; merge some")]
    TooManySections {
        /// How many it would have.
        n: usize,
    },
    /// The new text is larger than [`SECTION_BYTES_MAX`].
    #[error("the new text has {len} bytes, at most {SECTION_BYTES_MAX} are allowed; shorten it")]
    SectionTooLarge {
        /// Its length in bytes.
        len: usize,
    },
    /// The document would be larger than [`DOCUMENT_BYTES_MAX`].
    #[error(
        "the document would have {len} bytes, at most {DOCUMENT_BYTES_MAX} are allowed; shorten the text"
    )]
    DocumentTooLarge {
        /// The length in bytes that it would have.
        len: usize,
    },
    /// The section has a heading and the new text does not begin with one.
    #[error(
        "the new text must begin with the section's heading, such as \"## Title\"; put it first"
    )]
    HeadingMissing,
    /// The next section's heading would become part of this section.
    #[error(
        "the new text would swallow the heading after it; \
         end it with a line break and close its fences and HTML"
    )]
    SwallowsNext,
    /// The new heading would become part of the section before.
    #[error(
        "the section before would swallow the new heading; write it as \"# Title\", \
         and see that the section before ends with a line break and has no open fence or HTML"
    )]
    JoinsPrevious,
    /// Byte order mark and front matter are not what the change was made from.
    #[error("the front matter was changed meanwhile; read the document again")]
    FrontChanged,
    /// With the new text the document would begin with (other) front matter or a byte order mark.
    #[error(
        "the document would begin with front matter then; \
         write a rule as \"***\", or put a blank line after the first \"---\" or \"+++\""
    )]
    BecomesFrontMatter,
}

impl EditError {
    /// Whether the same edit may succeed later; every other needs a new lock, a new read or a new text.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Locked { .. } | Self::Unsaved)
    }
}
