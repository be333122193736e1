//! Why a command was refused, with what its author needs to go on.

use crate::coordinator::{EditError, Gone, OpId};
use crate::limits::BATCH_BYTES_MAX;
use crate::section::SectionId;
use crate::text::anchor::hint;
use crate::text::{AnchorError, Candidate, Conflict, Excerpt, Misfit, Shown};

use super::Proposal;

/// Why a command was refused; nothing was changed (D6).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpError {
    /// The author may not write there, or the text would not fit into its document.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// There is nothing to look for.
    #[error("the text to replace is empty; send what stands there now, word for word")]
    EmptyOld,
    /// The text to replace is not in the section.
    #[error(
        "the text to replace is not in section {section} at version {version}; \
         send it as it stands there, word for word{}",
        hint(.nearest.as_ref())
    )]
    NoMatch {
        /// Which section.
        section: SectionId,
        /// The version that was looked at.
        version: u64,
        /// What is closest to it.
        nearest: Option<Candidate>,
        /// The text that was looked at: whole if it has at most
        /// [`CURRENT_BYTES_MAX`](crate::limits::CURRENT_BYTES_MAX) bytes, otherwise its beginning.
        current: String,
    },
    /// The text to replace occurs more or less often than expected.
    #[error(
        "the text to replace occurs {found} times in section {section} at version {version}, \
         expected were {expected}; send more of what stands around the one that is meant, or expect {found}"
    )]
    Count {
        /// Which section.
        section: SectionId,
        /// The version that was looked at.
        version: u64,
        /// How often it was expected.
        expected: usize,
        /// How often it occurs.
        found: usize,
        /// The first of them, at most [`EXCERPTS_MAX`](crate::text::anchor::EXCERPTS_MAX).
        excerpts: Vec<Excerpt>,
    },
    /// The text to replace occurs as often as expected, but the occurrences overlap.
    #[error(
        "{found} occurrences of the text to replace overlap in section {section} at version {version}; \
         send more of what stands around them"
    )]
    Overlapping {
        /// Which section.
        section: SectionId,
        /// The version that was looked at.
        version: u64,
        /// How often it occurs.
        found: usize,
        /// The first of them, at most [`EXCERPTS_MAX`](crate::text::anchor::EXCERPTS_MAX).
        excerpts: Vec<Excerpt>,
    },
    /// The place to insert at is not there.
    #[error("in section {section} at version {version} there is no such place: {error}")]
    NoPlace {
        /// Which section.
        section: SectionId,
        /// The version that was looked at.
        version: u64,
        /// Why.
        error: AnchorError,
        /// As in [`OpError::NoMatch`].
        current: String,
    },
    /// The section has changed since the base.
    #[error(
        "section {section} has changed from version {base} to {current}: {since}; \
         make the text anew from that, or ask for a merge"
    )]
    Outdated {
        /// Which section.
        section: SectionId,
        /// The version that the text was made from.
        base: u64,
        /// The version that it has.
        current: u64,
        /// What has changed.
        since: Shown,
    },
    /// The section has changed since the base, in the same places.
    #[error(
        "section {section} has changed from version {base} to {current}, and {conflict}; \
         make these changes anew from the text that is there now"
    )]
    Conflict {
        /// Which section.
        section: SectionId,
        /// The version that the text was made from.
        base: u64,
        /// The version that it has.
        current: u64,
        /// Where.
        conflict: Box<Conflict>,
        /// What has changed since the base.
        since: Shown,
    },
    /// The section never had the base, or nobody remembers what it was.
    #[error(
        "what section {section} was at version {base} is not known, it is at {current}; \
         read it again and make the change from that"
    )]
    BaseUnknown {
        /// Which section.
        section: SectionId,
        /// The version that was named.
        base: u64,
        /// The version that it has.
        current: u64,
    },
    /// Places are not in the text that they were to be counted in.
    #[error("section {section} at version {base} has no such place: {misfit}; read it again")]
    Misfit {
        /// Which section.
        section: SectionId,
        /// The version that they were counted in.
        base: u64,
        /// What is wrong.
        misfit: Misfit,
    },
    /// It was asked for as a suggestion if the section has changed, which it has. Keep it as one.
    #[error(
        "section {} has changed since version {}; keep the change as a suggestion",
        .0.section,
        .0.base
    )]
    AsSuggestion(Proposal),
    /// The agent has used this name for another command.
    #[error(
        "the operation id {:?} names another command, which made update {seq}; choose a new id",
        op_id.as_str()
    )]
    OpIdReused {
        /// The name.
        op_id: OpId,
        /// What the other command made.
        seq: u64,
    },
    /// One of several commands was refused, and so all are.
    #[error("command {index} of the batch, counted from 0, was refused, and so were all: {error}")]
    InBatch {
        /// Which one, from 0.
        index: usize,
        /// Why.
        error: Box<Self>,
    },
    /// The commands of a batch have different names, but a batch is one command.
    #[error("command {index} of the batch has an operation id of its own; name the first one only")]
    SeveralNames {
        /// Which one, from 0.
        index: usize,
    },
    /// There is no command.
    #[error("there is no command; send one at least")]
    NoCommand,
    /// There are too many commands.
    #[error("{n} commands were sent at once, at most {max} are allowed; send fewer")]
    TooMany {
        /// How many.
        n: usize,
        /// How many are allowed.
        max: usize,
    },
    /// The commands have more than [`BATCH_BYTES_MAX`] bytes of text.
    #[error("the commands have {bytes} bytes, at most {BATCH_BYTES_MAX} are allowed; send fewer")]
    TooLarge {
        /// How many bytes.
        bytes: usize,
    },
}

impl From<Gone> for OpError {
    fn from(gone: Gone) -> Self {
        Self::Edit(gone.into())
    }
}

impl OpError {
    /// Whether the same command may succeed later, under the same name.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Edit(error) => error.is_retryable(),
            Self::InBatch { error, .. } => error.is_retryable(),
            _ => false,
        }
    }

    /// What was refused for the author's rights or the document's borders, if that is the reason.
    #[must_use]
    pub fn edit_error(&self) -> Option<&EditError> {
        match self {
            Self::Edit(error) => Some(error),
            Self::InBatch { error, .. } => error.edit_error(),
            _ => None,
        }
    }
}
