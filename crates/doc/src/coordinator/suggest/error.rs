//! Why a suggestion was not made, or not answered.

use super::{EditError, Holder, StaleReason, SuggestionId};
use crate::limits::{
    NOTE_BYTES_MAX, SUGGESTION_CHANGES_MAX, SUGGESTIONS_BYTES_MAX, SUGGESTIONS_MAX,
    SUGGESTIONS_PER_SECTION_MAX,
};
use crate::section::SectionId;

/// Why a suggestion was not made, or not answered; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SuggestError {
    /// What also an edit is refused for.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// It changes nothing.
    #[error("the suggestion changes nothing; send at least one change")]
    Empty,
    /// Its words have been changed since the version that it was made for.
    #[error(
        "what the suggestion is about in section {section} was changed by update {seq}; \
         read the section again and suggest anew"
    )]
    Overtaken {
        /// Which section.
        section: SectionId,
        /// By which update.
        seq: u64,
    },
    /// Its note is longer than [`NOTE_BYTES_MAX`], or it has more places than [`SUGGESTION_CHANGES_MAX`].
    #[error(
        "a note of {note_len} bytes and {n_changes} places; \
         at most {NOTE_BYTES_MAX} and {SUGGESTION_CHANGES_MAX} are allowed: suggest less at once"
    )]
    TooLarge {
        /// Bytes of its note.
        note_len: usize,
        /// How many places it changes.
        n_changes: usize,
    },
    /// Too many wait for an answer.
    #[error(
        "section {section} or the document has as many suggestions as are allowed \
         ({SUGGESTIONS_PER_SECTION_MAX} and {SUGGESTIONS_MAX}, of {SUGGESTIONS_BYTES_MAX} bytes in all); \
         wait until some are answered, or withdraw your own"
    )]
    TooMany {
        /// The section that it was for.
        section: SectionId,
    },
    /// There is none of this number, or it is answered.
    #[error("there is no {id}, or it is answered; read the list of suggestions again")]
    Unknown {
        /// Which.
        id: SuggestionId,
    },
    /// Its words or its section are not there any more.
    #[error("{id} is for a text that is not there any more: {stale:?}; reject it, or suggest anew")]
    Stale {
        /// Which.
        id: SuggestionId,
        /// Why.
        stale: StaleReason,
    },
    /// Only its author withdraws it.
    #[error("{id} is of {author}; others can reject it")]
    NotYours {
        /// Which.
        id: SuggestionId,
        /// Whose it is.
        author: Holder,
    },
}

impl SuggestError {
    /// Whether the same command may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Edit(error) => error.is_retryable(),
            Self::TooMany { .. } => true,
            _ => false,
        }
    }
}
