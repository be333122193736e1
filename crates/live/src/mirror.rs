//! The CRDT mirror of a document: one text per section, in the form that Yjs editors speak.
//!
//! The document's own texts decide. The mirror follows them by [`Mirror::apply`], and what editors write comes
//! back as splices from [`Mirror::receive`], after everything that may not be has been undone in the same call.
//!
//! # How a refused write is undone
//! A Yjs update cannot be dropped: every later update of that client would wait for it, and it would come back
//! at the next reconnection. So it is accepted, and what it did to a refused section is inverted by the server in
//! the same call. The inverse is computed from the texts before and after, not by an undo manager: then the
//! section is *by construction* what it was, whatever the update held (other clients' items, halves of surrogate
//! pairs, several sections at once). Two consequences, both of the CRDT and not of the inverse: text that a holder
//! typed into a run that another one deleted at the same moment ends up right beside the run, and a holder's
//! deletion of that very run is lost, for the run came back as a copy.

mod boot;
mod screen;
pub(crate) mod splice;
mod yjs;

pub use boot::{Boot, ClientId, Entry, ParseSectionIdError, SectionId, Seed};
pub use screen::Malformed;
pub(crate) use screen::state_vector as check_state_vector;
pub use splice::{Splice, SpliceError};
pub use yjs::YrsMirror;

use bytes::Bytes;
use thiserror::Error;

/// Whether a section may be changed by the one who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The change stays.
    Accept,
    /// The change is undone.
    Refuse,
}

/// A change that was undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Of which section.
    pub section: SectionId,
    /// What had been inserted, one piece after the other.
    pub inserted: String,
}

/// What an update of an editor came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Received {
    /// What changed in the texts after all undoing: per section, splices to be applied one after the other.
    pub changes: Vec<(SectionId, Vec<Splice>)>,
    /// Changes that were undone: judged so, or too long afterwards.
    pub refused: Vec<Refused>,
    /// What the update changed, for all other editors; `None` if it changed nothing.
    pub update: Option<Bytes>,
    /// The undoing, for all editors, and at once for the one who was refused; `None` if nothing was undone.
    pub undo: Option<Bytes>,
    /// The update builds on something the mirror lacks. That part was left out: ask the sender for its state.
    pub missing: bool,
}

/// Why an edit of ours was not applied. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// There is no such section: add it first.
    #[error("the mirror has no such section; add it first")]
    UnknownSection,
    /// The section exists already.
    #[error("the section is mirrored already; apply a splice instead")]
    KnownSection,
    /// A splice does not fit the text: the mirror and the document have parted.
    #[error("a splice does not fit the mirrored text")]
    Splice(#[from] SpliceError),
    /// The text would be longer than [`SECTION_LEN_MAX`](crate::limits::SECTION_LEN_MAX) or
    /// [`DOCUMENT_LEN_MAX`](crate::limits::DOCUMENT_LEN_MAX).
    #[error("the text would be {len} bytes long, and {max} is the most; split it")]
    TooLong {
        /// Length of the text it would have been.
        len: usize,
        /// Longest allowed.
        max: usize,
    },
    /// The document would have more than [`SECTIONS_MAX`](crate::limits::SECTIONS_MAX) sections.
    #[error("the document has as many sections as it may; archive some and compact")]
    TooManySections,
}

/// Why an update was not taken at all. Nothing was changed; the sender is not a well-behaved editor of this document.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// It is longer than [`FRAME_LEN_MAX`](crate::limits::FRAME_LEN_MAX).
    #[error("the update has {len} bytes, and {max} is the most")]
    TooLong {
        /// Its length.
        len: usize,
        /// Longest allowed.
        max: usize,
    },
    /// It is not a Yjs update, or not one of plain texts in known sections.
    #[error("the update cannot be an editor's of this document")]
    Malformed(#[from] Malformed),
    /// The CRDT refused bytes that look right.
    #[error("the update cannot be integrated")]
    Crdt,
}

/// Why a stored state cannot be loaded: compact from the plain texts instead.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The bytes are not a Yjs state in the second encoding.
    #[error("the stored state is damaged; open a new epoch from the texts")]
    Damaged,
    /// A section or all of them are longer than allowed.
    #[error("the texts do not fit the limits")]
    Limits(#[from] ApplyError),
}

/// The mirror of one document in one epoch.
///
/// All offsets are bytes of UTF-8, also where an editor counts UTF-16.
pub trait Mirror {
    /// The id under which the mirror itself writes.
    fn client(&self) -> ClientId;

    /// The count of histories: it rises when a new one starts from plain texts.
    fn epoch(&self) -> u64;

    /// What the mirror has, as an encoded Yjs state vector.
    fn state_vector(&self) -> Bytes;

    /// What somebody with `state_vector` lacks, as an update.
    ///
    /// # Errors
    /// [`Malformed`] if the bytes are no state vector.
    fn diff(&self, state_vector: &[u8]) -> Result<Bytes, Malformed>;

    /// Several updates as one.
    fn merge(updates: &[Bytes]) -> Bytes;

    /// Applies splices of ours, one after the other, in one transaction; gives the update for the editors.
    ///
    /// # Errors
    /// [`ApplyError`] if they do not fit; nothing is changed then.
    fn apply(&mut self, section: &SectionId, splices: &[Splice]) -> Result<Bytes, ApplyError>;

    /// Adds a section.
    ///
    /// # Errors
    /// [`ApplyError`] if it exists, or if a limit is hit.
    fn add(&mut self, seed: Seed) -> Result<Bytes, ApplyError>;

    /// Sets the entry of a section in the outline.
    ///
    /// # Errors
    /// [`ApplyError::UnknownSection`].
    fn outline(&mut self, section: &SectionId, entry: Entry) -> Result<Bytes, ApplyError>;

    /// Takes an update of an editor, asks `judge` once about every section that it changes, and undoes what was refused.
    ///
    /// What it does to anything but the texts is undone or refused without asking.
    ///
    /// # Errors
    /// [`ReceiveError`] if it is no update of an editor; nothing is changed then.
    fn receive(
        &mut self,
        update: &[u8],
        judge: &mut dyn FnMut(&SectionId) -> Verdict,
    ) -> Result<Received, ReceiveError>;

    /// Clients under whose names `update` brings something new.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    fn authors(&self, update: &[u8]) -> Result<Vec<ClientId>, ReceiveError>;

    /// The text of a section, as the editors see it.
    fn text(&self, section: &SectionId) -> Option<&str>;
}

#[cfg(test)]
mod tests;
