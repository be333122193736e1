//! What somebody else made of the document's file, taken into the document.
//!
//! Three texts meet: the *base*, which is what the file held when it was last written or read, the file as it
//! is, and the document as it is. Which part of the file is which section is decided in `align`; then each
//! section is merged for itself, and all of it is one update. What cannot be merged stays as the document has
//! it, and the file's version is given back, so that nobody's text is lost. Holds D24.

mod align;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ggml_agent_core::AgentId;
use smallvec::SmallVec;

use self::align::{Aligned, Piece, align};
use super::command::Snapshot;
use super::error::{EditError, Gone};
use super::{Coordinator, Holder, Step, tell};
use crate::history::{Cause, Update};
use crate::rope::Text;
use crate::section::{Document, LoadError, SectionId};
use crate::sheet::{Draft, Mode, OutlineChange, Slot};
use crate::text::{self, Change, Granularity, diff, merge};

/// What the file of a document held when it was last written or read, by sections. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BaseText {
    front: Arc<str>,
    sections: Vec<BaseSection>,
}

/// A part of the file, and the section that it is; none for what the document refused.
#[derive(Debug, Clone, PartialEq, Eq)]
struct BaseSection {
    section: Option<SectionId>,
    text: Text,
}

impl From<&Snapshot> for BaseText {
    fn from(snapshot: &Snapshot) -> Self {
        let section = |view: &super::SectionView| BaseSection {
            section: Some(view.id),
            text: view.text.clone(),
        };
        Self {
            front: Arc::clone(&snapshot.front),
            sections: snapshot.sections.iter().map(section).collect(),
        }
    }
}

impl BaseText {
    /// The bytes of the file.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let texts = self.sections.iter().flat_map(|section| section.text.chunks());
        [&*self.front].into_iter().chain(texts).collect()
    }

    /// The base that `file` is, if the document took nothing of it: its parts, by the sections of `base`.
    pub(crate) fn of_file(base: &Self, file: &str) -> Result<Self, LoadError> {
        let parsed = Document::parse(file)?;
        Ok(align(base, file, &parsed).as_base(base))
    }

    /// Makes the text after an update of the text before; false, and it is worth nothing, if that takes more
    /// than is known here.
    pub(crate) fn apply(&mut self, update: &Update) -> bool {
        update.outline.iter().all(|change| self.change_outline(change).is_some())
            && update.edits.iter().all(|edit| {
                let is_it = |section: &&mut BaseSection| section.section == Some(edit.section);
                // An archived one is not part of the text.
                self.sections.iter_mut().find(is_it).is_none_or(|it| edit.apply(&mut it.text))
            })
    }

    fn change_outline(&mut self, change: &OutlineChange) -> Option<()> {
        match change {
            OutlineChange::Added { section, after, .. } => {
                let text = Text::default();
                self.put(BaseSection { section: Some(*section), text }, *after)
            }
            OutlineChange::Moved { section, after } => {
                let moved = self.sections.remove(self.place(*section)?);
                self.put(moved, *after)
            }
            OutlineChange::Archived { section } | OutlineChange::Merged { section, .. } => {
                self.sections.remove(self.place(*section)?);
                Some(())
            }
            // Its text is not known here.
            OutlineChange::Restored { .. } => None,
            OutlineChange::Mode { .. } => Some(()),
            OutlineChange::Front { after, .. } => {
                self.front = Arc::clone(after);
                Some(())
            }
        }
    }

    fn put(&mut self, section: BaseSection, after: Option<SectionId>) -> Option<()> {
        let place = match after {
            None => 0,
            Some(after) => self.place(after)? + 1,
        };
        self.sections.insert(place, section);
        Some(())
    }

    fn place(&self, section: SectionId) -> Option<usize> {
        self.sections.iter().position(|there| there.section == Some(section))
    }

    /// Whether `file` is these bytes.
    #[must_use]
    pub fn is(&self, file: &str) -> bool {
        let mut rest = file;
        let texts = self.sections.iter().flat_map(|section| section.text.chunks());
        let mut all = [&*self.front].into_iter().chain(texts);
        all.all(|text| rest.strip_prefix(text).map(|after| rest = after).is_some())
            && rest.is_empty()
    }
}

/// What came of a changed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The number of the update that it made; `None` if the document had all of it already, or refused it.
    pub seq: Option<u64>,
    /// What the document did not take.
    pub conflicts: Vec<FileConflict>,
    /// The file, by sections: the base of the next import.
    pub base: BaseText,
}

/// A part of the file that the document did not take. The document's text stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileConflict {
    /// Which part.
    pub part: FilePart,
    /// What it was when the file was last written or read.
    pub base: String,
    /// What the document has.
    pub ours: String,
    /// What the file has; `None` if it is not there any more.
    pub theirs: Option<String>,
    /// Why.
    pub why: ConflictReason,
}

impl FileConflict {
    /// A file whose base nobody knows.
    pub(crate) fn unknown(snapshot: &Snapshot, file: String) -> Self {
        Self {
            part: FilePart::Whole,
            base: String::new(),
            ours: snapshot.to_markdown(),
            theirs: Some(file),
            why: ConflictReason::UnknownBase,
        }
    }
}

/// A part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilePart {
    /// Byte order mark and front matter.
    Front,
    /// A section.
    Section(SectionId),
    /// All of it.
    Whole,
}

/// Why a part of a file was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConflictReason {
    /// Both changed the same sentences, rows or lines.
    #[error(transparent)]
    Overlap(#[from] text::Conflict),
    /// Somebody holds the section.
    #[error("{holder} holds the section until {until:?}")]
    Locked {
        /// Who.
        holder: Holder,
        /// Until when, unless renewed.
        until: Duration,
    },
    /// The section is written to with its lock only.
    #[error("the section is written to with its lock only")]
    NeedsLock,
    /// The section was archived in the document meanwhile.
    #[error("the section was archived in the document meanwhile")]
    Archived,
    /// The file has the section no more, and the document has changed it meanwhile.
    #[error("the file has the section no more, and the document has changed it meanwhile")]
    ChangedMeanwhile,
    /// Both differ, and it is not known what they were made from.
    #[error("both differ, and it is not known what they were made from")]
    UnknownBase,
    /// The front of both was changed.
    #[error("both changed the front matter")]
    Front,
    /// Put together, it would be no document.
    #[error(transparent)]
    Refused(#[from] EditError),
}

/// Why a file was not looked at; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The caller has ended.
    #[error(transparent)]
    Gone(#[from] Gone),
    /// The store has not kept up: see [`EditError::Unsaved`].
    #[error("the document waits for its store to keep earlier changes; try again later")]
    Unsaved,
    /// The file cannot be a document.
    #[error(transparent)]
    File(#[from] LoadError),
}

impl ImportError {
    /// Whether the same import may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unsaved)
    }
}

impl Coordinator {
    /// Takes in what somebody else made of the document's file: `file` is its text now, `base` what it was
    /// before. All of it is one update, with [`Cause::File`].
    ///
    /// Sections keep their names where they can be recognised by their heading or their text; new ones come,
    /// those that are gone are archived, moved ones move. A section that both sides changed is merged by
    /// sentences, rows and lines. The locks of others and [`Mode::Locked`] are respected. Holds D24.
    ///
    /// # Errors
    /// In the answer: [`ImportError`]; nothing was changed. What could not be merged is no error: see
    /// [`Imported::conflicts`].
    pub fn import(
        &mut self,
        author: &Holder,
        base: &BaseText,
        file: &str,
        now: Duration,
    ) -> Step<Result<Imported, ImportError>> {
        let mut outs = Vec::new();
        let answer = self.enter(author, now, &mut outs).map_err(ImportError::from).and_then(|()| {
            tell(self.locks.expire(now), &mut outs);
            let parsed = Document::parse(file)?;
            let aligned = align(base, file, &parsed);
            Ok(self.take_in(author, base, &aligned, now))
        });
        if answer.as_ref().is_ok_and(|imported| imported.seq.is_some()) {
            self.subscribers.pump(&self.history, self.sheet.seq, &mut outs);
        }
        Step { answer, outs }
    }

    /// Whether the first life of `agent` may act.
    pub(crate) fn may_begin(&self, agent: &AgentId) -> bool {
        self.lives.alive_from(agent).is_none_or(|from| from <= 1)
    }

    fn take_in(
        &mut self,
        author: &Holder,
        base: &BaseText,
        aligned: &Aligned<'_>,
        now: Duration,
    ) -> Imported {
        let mut refused = None;
        // What two merged sections make of each other may be refused where each for itself is not.
        for is_merging in [true, false] {
            let plan = Plan::make(self, author, base, aligned, now, is_merging);
            let imported = |seq| Imported { seq, conflicts: plan.conflicts, base: plan.file };
            if plan.draft.outline.is_empty() && plan.draft.edits.is_empty() {
                return imported(None);
            }
            match self.sheet.draft(plan.draft, author, now) {
                Ok(update) => return imported(Some(self.commit(update))),
                Err(error) => refused = Some(error),
            }
        }
        let why = refused.expect("invariant: neither was accepted");
        let file = aligned.as_base(base);
        let conflict = FileConflict {
            part: FilePart::Whole,
            base: base.to_markdown(),
            ours: self.to_markdown(),
            theirs: Some(file.to_markdown()),
            why: ConflictReason::Refused(why),
        };
        Imported { seq: None, conflicts: vec![conflict], base: file }
    }

    /// What keeps the file's author from changing `section`.
    fn bar(
        &self,
        author: &Holder,
        section: SectionId,
        slot: &Slot,
        now: Duration,
    ) -> Option<ConflictReason> {
        match self.locks.lease(&section, now) {
            Some(lease) if lease.holder == *author => None,
            Some(lease) => {
                Some(ConflictReason::Locked { holder: lease.holder.clone(), until: lease.deadline })
            }
            None => (slot.mode == Mode::Locked).then_some(ConflictReason::NeedsLock),
        }
    }
}

impl Aligned<'_> {
    /// The base of the next import, if the document took nothing.
    fn as_base(&self, base: &BaseText) -> BaseText {
        let section = |piece: &Piece<'_>| BaseSection {
            section: piece.owner.and_then(|owner| base.sections[owner].section),
            text: Text::from(piece.text),
        };
        let sections = self.pieces.iter().map(section).collect();
        BaseText { front: self.front.into(), sections }
    }
}

/// What an import is going to change.
struct Plan<'a> {
    document: &'a Coordinator,
    author: &'a Holder,
    now: Duration,
    is_merging: bool,
    draft: Draft,
    conflicts: Vec<FileConflict>,
    file: BaseText,
    /// The sections that the file had.
    known: BTreeSet<SectionId>,
    /// The sections in order, as the draft leaves them.
    order: Vec<SectionId>,
    /// The number of the next new section.
    next: usize,
}

impl<'a> Plan<'a> {
    fn make(
        document: &'a Coordinator,
        author: &'a Holder,
        base: &BaseText,
        aligned: &Aligned<'_>,
        now: Duration,
        is_merging: bool,
    ) -> Planned {
        let mut plan = Self {
            document,
            author,
            now,
            is_merging,
            draft: Draft { cause: Cause::File, ..Draft::default() },
            conflicts: Vec::new(),
            file: aligned.as_base(base),
            known: base.sections.iter().filter_map(|section| section.section).collect(),
            order: document.sheet.order.clone(),
            next: document.sheet.slots.len(),
        };
        plan.front(&base.front, aligned.front);
        let kept: BTreeSet<usize> = aligned.pieces.iter().filter_map(|piece| piece.owner).collect();
        for (_, gone) in base.sections.iter().enumerate().filter(|(n, _)| !kept.contains(n)) {
            plan.gone(gone);
        }
        let mut before = None;
        for (n, piece) in aligned.pieces.iter().enumerate() {
            let was = piece.owner.map(|owner| &base.sections[owner]);
            let section = match was {
                Some(BaseSection { section: Some(section), text }) => {
                    plan.kept(*section, text, piece, before)
                }
                // The document did not want it, and has been told why.
                Some(BaseSection { section: None, text }) if *text == *piece.text => None,
                _ => Some(plan.new_section(piece.text, before)),
            };
            if let Some(section) = section {
                plan.file.sections[n].section = Some(section);
                before = Some(section);
            }
        }
        Planned { draft: plan.draft, conflicts: plan.conflicts, file: plan.file }
    }

    fn front(&mut self, base: &Arc<str>, theirs: &str) {
        let ours = &self.document.sheet.front;
        if theirs == &**base || theirs == &**ours {
            return;
        }
        if ours == base {
            let (before, after) = (Arc::clone(ours), theirs.into());
            self.draft.outline.push(OutlineChange::Front { before, after });
        } else {
            self.conflicts.push(FileConflict {
                part: FilePart::Front,
                base: base.to_string(),
                ours: ours.to_string(),
                theirs: Some(theirs.to_owned()),
                why: ConflictReason::Front,
            });
        }
    }

    /// A section that the file does not have any more.
    fn gone(&mut self, gone: &BaseSection) {
        let Some((section, slot)) =
            gone.section.and_then(|id| Some((id, self.document.sheet.slot(id)?)))
        else {
            return;
        };
        if slot.place.is_none() {
            return;
        }
        let changed = (slot.text != gone.text).then_some(ConflictReason::ChangedMeanwhile);
        let why = self.document.bar(self.author, section, slot, self.now).or(changed);
        match why {
            Some(why) => self.conflict(section, &gone.text, slot, None, why),
            None => {
                self.draft.outline.push(OutlineChange::Archived { section });
                self.order.retain(|id| *id != section);
            }
        }
    }

    /// A section that the file has, like before or changed, behind `before`. Answers it if the document has
    /// it, too.
    fn kept(
        &mut self,
        section: SectionId,
        base: &Text,
        piece: &Piece<'_>,
        before: Option<SectionId>,
    ) -> Option<SectionId> {
        let slot = self.document.sheet.slot(section)?;
        let is_changed = *base != *piece.text;
        if slot.place.is_none() {
            if is_changed {
                let why = ConflictReason::Archived;
                self.conflict(section, base, slot, Some(piece.text), why);
            }
            return None;
        }
        if piece.is_moved {
            self.put(section, before);
        }
        if is_changed && slot.text != *piece.text {
            match self.merged(section, base, slot, piece.text) {
                // The document may have all of it already.
                Ok(changes) if changes.is_empty() => {}
                Ok(changes) => self.draft.edits.push((section, changes)),
                Err(why) => self.conflict(section, base, slot, Some(piece.text), why),
            }
        }
        Some(section)
    }

    /// The changes that bring what the file changed into the document's text.
    fn merged(
        &self,
        section: SectionId,
        base: &Text,
        slot: &Slot,
        theirs: &str,
    ) -> Result<SmallVec<[Change; 1]>, ConflictReason> {
        if let Some(why) = self.document.bar(self.author, section, slot, self.now) {
            return Err(why);
        }
        let ours = slot.text.to_string();
        let changes = if slot.text == *base {
            diff(&ours, theirs, Granularity::Words)
        } else if self.is_merging {
            merge(&base.to_string(), &ours, theirs)?.changes_over_ours
        } else {
            return Err(ConflictReason::Refused(EditError::SwallowsNext));
        };
        Ok(Vec::from(changes).into())
    }

    /// A part that was not there before, behind `before`: an archived section that comes back, or a new one.
    fn new_section(&mut self, text: &str, before: Option<SectionId>) -> SectionId {
        // The document has got it meanwhile: from the same file, when nobody heard the answer, or from whoever
        // wrote the same.
        let there = self.order.get(self.place_behind(before)).copied();
        let is_it = |id: &SectionId| {
            !self.known.contains(id)
                && self.document.sheet.slot(*id).is_some_and(|slot| slot.text == *text)
        };
        if let Some(section) = there.filter(is_it) {
            return section;
        }
        let slots = (0..).zip(&self.document.sheet.slots);
        let is_free = |id: &SectionId| !self.order.contains(id);
        let archived = slots
            .filter(|(_, slot)| slot.place.is_none() && !text.is_empty() && slot.text == *text)
            .map(|(n, _)| SectionId::nth(n))
            .find(is_free);
        let section = archived.unwrap_or_else(|| {
            self.next += 1;
            SectionId::nth(self.next - 1)
        });
        let after = before;
        if archived.is_some() {
            self.draft.outline.push(OutlineChange::Restored { section, after });
        } else {
            self.draft.outline.push(OutlineChange::Added { section, after, from: None });
            let whole = Change { at: 0, del: 0, insert: text.to_owned() };
            let changes = if text.is_empty() { None } else { Some(whole) };
            self.draft.edits.push((section, changes.into_iter().collect()));
        }
        let place = self.place_behind(before);
        self.order.insert(place, section);
        section
    }

    /// Moves a section behind `before`, unless it is there.
    fn put(&mut self, section: SectionId, before: Option<SectionId>) {
        let Some(from) = self.order.iter().position(|id| *id == section) else { return };
        if from.checked_sub(1).map(|place| self.order[place]) == before {
            return;
        }
        self.order.remove(from);
        let place = self.place_behind(before);
        self.order.insert(place, section);
        self.draft.outline.push(OutlineChange::Moved { section, after: before });
    }

    fn place_behind(&self, before: Option<SectionId>) -> usize {
        let place = before.and_then(|before| self.order.iter().position(|id| *id == before));
        place.map_or(0, |place| place + 1)
    }

    fn conflict(
        &mut self,
        section: SectionId,
        base: &Text,
        slot: &Slot,
        theirs: Option<&str>,
        why: ConflictReason,
    ) {
        self.conflicts.push(FileConflict {
            part: FilePart::Section(section),
            base: base.to_string(),
            ours: slot.text.to_string(),
            theirs: theirs.map(str::to_owned),
            why,
        });
    }
}

/// A plan without what it was made of.
struct Planned {
    draft: Draft,
    conflicts: Vec<FileConflict>,
    file: BaseText,
}
