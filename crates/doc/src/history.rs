//! What was changed, by whom, in which order.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use crate::change::Splice;
use crate::coordinator::{Holder, OpId, StreamId};
use crate::limits::{HISTORY_BYTES_MAX, HISTORY_LEN_MAX};
use crate::rope::Text;
use crate::section::SectionId;
use crate::sheet::OutlineChange;
use crate::text::Changes;

/// One accepted command: everything that it changed, at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Its number in the document: 1, 2, 3, ... without a gap (D7).
    pub seq: u64,
    /// Who wrote it.
    pub author: Holder,
    /// When, on the clock of the coordinator that accepted it; each process has its own.
    pub at: Duration,
    /// Why the text changed.
    pub cause: Cause,
    /// The name that its author gave it, so that it is carried out once.
    pub op: Option<OpId>,
    /// What is known of that command, if it was one that can be told from others.
    pub mark: Option<OpMark>,
    /// Changes of sections and their order, made before the edits.
    pub outline: Vec<OutlineChange>,
    /// What became of the texts, each section at most once.
    pub edits: SmallVec<[SectionEdit; 1]>,
}

/// What is remembered of a command that has a name, so that its repetition has the same answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpMark {
    /// What it said, as a number: another command of the same name has another.
    pub content: u64,
    /// Somebody had changed a section since the version that it named.
    pub base_moved: bool,
}

/// Why a text changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Cause {
    /// Somebody wrote.
    #[default]
    Edit,
    /// Earlier updates were taken back.
    Revert {
        /// Their numbers, from and to, in order.
        of: Vec<(u64, u64)>,
    },
    /// A part of a text that comes piece by piece.
    Stream {
        /// Which stream brought it.
        stream: StreamId,
    },
    /// A suggestion was accepted; the author is who accepted it.
    Suggestion {
        /// Who had suggested it.
        by: Holder,
    },
    /// The file of the document was changed by somebody else; the author is who follows it.
    File,
}

/// What became of the text of one section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionEdit {
    /// The section.
    pub section: SectionId,
    /// The version that it made: 1, 2, 3, ... without a gap (D7). The one before is one less.
    pub version: u64,
    /// The places, in order, each in bytes of the text before; no two touch.
    pub splices: SmallVec<[Splice; 1]>,
}

impl Update {
    /// What became of this section, if anything did.
    #[must_use]
    pub fn edit(&self, section: SectionId) -> Option<&SectionEdit> {
        self.edits.iter().find(|edit| edit.section == section)
    }

    /// Whose words these are: of an accepted suggestion, those of who suggested it.
    #[must_use]
    pub fn writer(&self) -> &Holder {
        match &self.cause {
            Cause::Suggestion { by } => by,
            _ => &self.author,
        }
    }

    /// Texts that went from one section to another.
    pub(crate) fn moves(&self) -> Vec<Move> {
        self.outline.iter().filter_map(|change| self.moved(change)).collect()
    }

    fn moved(&self, change: &OutlineChange) -> Option<Move> {
        let (from, from_at, to, to_at) = match change {
            OutlineChange::Added { section, from: Some((from, at)), .. } => {
                (*from, *at, *section, 0)
            }
            OutlineChange::Merged { section, into, at } => (*section, 0, *into, *at),
            _ => return None,
        };
        let splice = |section, at| {
            let splices = &self.edit(section)?.splices;
            // Positions before and after are the same up to the first place that changes.
            splices.first().filter(|splice| splice.at == at)
        };
        let (gone, come) = (splice(from, from_at)?, splice(to, to_at)?);
        let is_moved = !gone.removed.is_empty() && come.inserted.ends_with(&gone.removed);
        is_moved.then(|| Move {
            from,
            range: from_at..from_at + gone.removed.len(),
            to,
            at: to_at + come.inserted.len() - gone.removed.len(),
        })
    }

    /// Bytes of memory, roughly.
    fn len(&self) -> usize {
        let texts = self.edits.iter().flat_map(|edit| &edit.splices).map(Splice::heap);
        let outline = self.outline.iter().map(|change| size_of::<OutlineChange>() + change.heap());
        size_of::<Self>() + outline.sum::<usize>() + texts.sum::<usize>()
    }
}

impl SectionEdit {
    /// Makes the text after of the text before; false, and the text is worth nothing, if it is another.
    #[must_use]
    pub fn apply(&self, text: &mut Text) -> bool {
        // From the back, so that what is in front keeps its place.
        self.splices.iter().rev().all(|splice| text.apply(splice))
    }

    /// Makes the text after of the text before, which it was drafted for: nothing is compared.
    pub(crate) fn make(&self, text: &mut Text) {
        self.splices.iter().rev().for_each(|splice| text.make(splice));
    }

    /// Makes the text before of the text after; false, and the text is worth nothing, if it is another.
    #[must_use]
    pub fn undo(&self, text: &mut Text) -> bool {
        self.splices.iter().all(|splice| text.apply(&splice.inverse()))
    }

    /// The same, as changes of a text.
    pub(crate) fn changes(&self) -> Changes {
        let mut changes = Changes::none();
        for Splice { at, removed, inserted } in &self.splices {
            changes.push_parts(*at, removed.len(), inserted);
        }
        changes
    }

    /// Bytes that came, and bytes that went.
    #[must_use]
    pub fn n_bytes(&self) -> (usize, usize) {
        let sum = |of: fn(&Splice) -> usize| self.splices.iter().map(of).sum();
        (sum(|splice| splice.inserted.len()), sum(|splice| splice.removed.len()))
    }
}

/// A text that went from one section to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Move {
    pub(crate) from: SectionId,
    /// Where it was, in bytes of the text before.
    pub(crate) range: Range<usize>,
    pub(crate) to: SectionId,
    /// Where it is, in bytes of the text after.
    pub(crate) at: usize,
}

/// The accepted commands of a document in order; the oldest are forgotten when a limit is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    updates: VecDeque<Arc<Update>>,
    bytes: usize,
}

impl History {
    /// The update with this number, if it is still remembered.
    #[must_use]
    pub fn get(&self, seq: u64) -> Option<&Arc<Update>> {
        let first = self.updates.front()?.seq;
        self.updates.get(usize::try_from(seq.checked_sub(first)?).ok()?)
    }

    /// The remembered updates, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Update>> {
        self.updates.iter()
    }

    /// How many updates are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.updates.len()
    }

    /// Whether no update is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.updates.is_empty()
    }

    /// What is forgotten for it.
    pub(crate) fn push(&mut self, update: Arc<Update>, mut forget: impl FnMut(&Update)) {
        self.bytes += update.len();
        self.updates.push_back(update);
        while self.updates.len() > 1
            && (self.updates.len() > HISTORY_LEN_MAX || self.bytes > HISTORY_BYTES_MAX)
        {
            if let Some(oldest) = self.updates.pop_front() {
                self.bytes -= oldest.len();
                forget(&oldest);
            }
        }
    }

    /// The text of a section at an earlier version, made of `text`, which it has at `current`. `None` if the
    /// updates since are not remembered any more, or the version is none that it had. Updates after `current` do
    /// not matter.
    #[must_use]
    pub fn text_at(
        &self,
        section: SectionId,
        version: u64,
        (current, text): (u64, &Text),
    ) -> Option<Text> {
        let mut text = text.clone();
        let mut at = current;
        let edits = self.iter().rev().filter_map(|update| update.edit(section));
        let edits = edits.skip_while(|edit| edit.version > current);
        for edit in edits.take_while(|edit| edit.version > version) {
            if edit.version != at || !edit.undo(&mut text) {
                return None;
            }
            at -= 1;
        }
        (at == version).then_some(text)
    }
}
