//! What commands mean for the text as it is.

use std::time::Duration;

use smallvec::SmallVec;

use super::{Command, Done, OnStale, Op, OpError, Proposal};
use crate::coordinator::{Coordinator, EditError, Holder};
use crate::history::{History, SectionEdit};
use crate::limits::{CURRENT_BYTES_MAX, REBASED_MAX, SECTION_BYTES_MAX, SINCE_BYTES_MAX};
use crate::rope::Text;
use crate::section::SectionId;
use crate::sheet::{Mode, Shape, Slot};
use crate::text::anchor::EXCERPTS_MAX;
use crate::text::{
    Anchor, Change, Changes, Excerpt, Granularity, Shown, Side, diff, find, floor, merge, nearest,
    show,
};

type Edits = SmallVec<[(SectionId, SmallVec<[Change; 1]>); 1]>;

/// The sections as the commands so far leave them.
pub(super) struct Plan<'a> {
    document: &'a Coordinator,
    /// Whose rights count, and when; without it nobody's do.
    author: Option<(&'a Holder, Duration)>,
    works: Vec<Work<'a>>,
}

/// One section as the commands so far leave it.
struct Work<'a> {
    section: SectionId,
    slot: &'a Slot,
    text: Text,
    changes: Changes,
    base_moved: bool,
}

impl<'a> Plan<'a> {
    pub(super) fn new(document: &'a Coordinator, author: Option<(&'a Holder, Duration)>) -> Self {
        Self { document, author, works: Vec::new() }
    }

    /// Carries out one more command.
    pub(super) fn add(&mut self, command: &Command) -> Result<(), OpError> {
        let section = command.section;
        let slot = match self.author {
            Some((holder, now)) => {
                self.document.may_write(holder, section, command.token, None, now)?
            }
            None => {
                self.document.sheet.slot(section).ok_or(EditError::UnknownSection { section })?
            }
        };
        let place = self.works.iter().position(|work| work.section == section);
        let place = place.unwrap_or_else(|| {
            let (text, changes) = (slot.text.clone(), Changes::none());
            self.works.push(Work { section, slot, text, changes, base_moved: false });
            self.works.len() - 1
        });
        let work = &mut self.works[place];
        let changes = work.meaning(command, &self.document.history)?;
        work.base_moved |= command.base.is_some_and(|base| base != slot.version);
        work.make(&changes)
    }

    pub(super) fn base_moved(&self) -> bool {
        self.works.iter().any(|work| work.base_moved)
    }

    /// What is to be changed in all, without what is as it was.
    pub(super) fn edits(self) -> Edits {
        let real = self.works.into_iter().map(|work| (work.section, work.real_changes()));
        real.filter(|(_, changes)| !changes.is_empty()).collect()
    }

    /// The answer if that is nothing.
    pub(super) fn unchanged(&self, seq: u64) -> Done {
        Done {
            seq,
            sections: self.works.iter().map(|work| (work.section, work.slot.version)).collect(),
            applied: Vec::new(),
            n_applied: 0,
            base_moved: self.base_moved(),
            is_repeat: false,
        }
    }

    /// What is to be changed in one section.
    pub(super) fn proposal(self, section: SectionId) -> Proposal {
        let work = self.works.into_iter().find(|work| work.section == section);
        let (base, changes) =
            work.map(|work| (work.slot.version, work.changes)).unwrap_or_default();
        Proposal { section, base, changes }
    }
}

impl Work<'_> {
    /// The changes of the text so far that a command is.
    fn meaning(&self, command: &Command, history: &History) -> Result<Changes, OpError> {
        let (section, current) = (self.section, self.slot.version);
        if let Some(base) = command.base.filter(|base| *base > current) {
            return Err(OpError::BaseUnknown { section, base, current });
        }
        let needs_proof = matches!(command.op, Op::Replace { .. } | Op::Splice { .. });
        if needs_proof && command.token.is_none() && command.base.is_none() {
            return Err(EditError::NoTokenAndNoBase.into());
        }
        let base = command.base.unwrap_or(current);
        match &command.op {
            Op::StrReplace { old, new, expect } => self.str_replace(old, new, *expect),
            Op::Append { text } => Ok(Changes::one(self.text.len(), 0, text.as_str())),
            Op::Insert { anchor, side, text } => {
                let at = self.place(anchor, *side)?;
                Ok(Changes::one(at, 0, text.as_str()))
            }
            Op::Replace { text, .. } if text.len() > SECTION_BYTES_MAX => {
                Err(EditError::SectionTooLarge { len: text.len() }.into())
            }
            // With the lock alone the text that is there does not matter.
            Op::Replace { text, .. } if command.base.is_none() || !self.is_stale(base) => {
                Ok(diff(&self.text.to_string(), text, Granularity::Words))
            }
            Op::Replace { text, on_stale } => self.replace(text, *on_stale, base, history),
            Op::Splice { changes, .. } if !self.is_stale(base) => {
                self.check(changes, current, &self.slot.text)?;
                Ok(changes.clone())
            }
            Op::Splice { changes, rebase } => {
                let old = self.text_at(base, history)?;
                self.check(changes, base, &old)?;
                if !rebase && self.slot.mode != Mode::Open {
                    return Err(self.outdated(base, &old.to_string()));
                }
                let over = self.since(base, history)?;
                Ok(changes.rebase(&over, Side::After))
            }
        }
    }

    /// Whether the text is not the one of version `base`: then somebody has changed it, or a command before.
    fn is_stale(&self, base: u64) -> bool {
        base != self.slot.version || !self.changes.is_empty()
    }

    fn str_replace(&self, old: &str, new: &str, expect: usize) -> Result<Changes, OpError> {
        let (section, version) = (self.section, self.slot.version);
        if old.is_empty() {
            return Err(OpError::EmptyOld);
        }
        let text = &self.text.to_string();
        let found = find(text, old).count();
        let excerpts = || {
            let first = find(text, old).take(EXCERPTS_MAX);
            first.map(|at| Excerpt::around(text, &(at..at + old.len()))).collect()
        };
        if found == 0 {
            let (nearest, current) = (nearest(text, old), excerpt_of(text));
            return Err(OpError::NoMatch { section, version, nearest, current });
        }
        if found != expect {
            let (expected, excerpts) = (expect, excerpts());
            return Err(OpError::Count { section, version, expected, found, excerpts });
        }
        let len = (text.len() + found * new.len()).saturating_sub(found * old.len());
        if len > SECTION_BYTES_MAX {
            return Err(EditError::SectionTooLarge { len }.into());
        }
        // Of what is replaced by itself nobody becomes the author.
        let piece = diff(old, new, Granularity::Words);
        let mut changes = Changes::none();
        let mut free_from = 0;
        for at in find(text, old) {
            if at < free_from {
                let excerpts = excerpts();
                return Err(OpError::Overlapping { section, version, found, excerpts });
            }
            free_from = at + old.len();
            for change in &piece {
                changes.push_parts(at + change.at, change.del, &change.insert);
            }
        }
        Ok(changes)
    }

    fn place(&self, anchor: &Anchor, side: Side) -> Result<usize, OpError> {
        let found = match anchor {
            Anchor::Start => return Ok(0),
            Anchor::End => return Ok(self.text.len()),
            Anchor::Heading if !self.slot.shape.is_headed() => anchor.find("", 0, side),
            Anchor::Heading if self.changes.is_empty() => {
                anchor.find("", self.slot.shape.heading_len, side)
            }
            Anchor::Heading => {
                let shape = Shape::again(&self.text.to_string());
                anchor.find("", shape.heading_len, side)
            }
            Anchor::Quote { .. } => anchor.find(&self.text.to_string(), 0, side),
        };
        found.map_err(|error| OpError::NoPlace {
            section: self.section,
            version: self.slot.version,
            error,
            current: excerpt_of(&self.text.to_string()),
        })
    }

    fn replace(
        &self,
        new: &str,
        on_stale: OnStale,
        base: u64,
        history: &History,
    ) -> Result<Changes, OpError> {
        let (section, current) = (self.section, self.slot.version);
        let old = self.text_at(base, history)?.to_string();
        match on_stale {
            OnStale::Refuse => Err(self.outdated(base, &old)),
            OnStale::Suggest => {
                let changes = diff(&old, new, Granularity::Words);
                Err(OpError::AsSuggestion(Proposal { section, base, changes }))
            }
            OnStale::Merge => {
                let merged = merge(&old, &self.text.to_string(), new).map_err(|conflict| {
                    let since = self.shown_since(&old);
                    let conflict = Box::new(conflict);
                    OpError::Conflict { section, base, current, conflict, since }
                })?;
                Ok(merged.changes_over_ours)
            }
        }
    }

    fn outdated(&self, base: u64, old: &str) -> OpError {
        let (section, current, since) = (self.section, self.slot.version, self.shown_since(old));
        OpError::Outdated { section, base, current, since }
    }

    fn shown_since(&self, old: &str) -> Shown {
        let changes = diff(old, &self.text.to_string(), Granularity::Words);
        show(old, &changes, SINCE_BYTES_MAX)
    }

    fn check(&self, changes: &Changes, base: u64, text: &Text) -> Result<(), OpError> {
        let misfit = |misfit| OpError::Misfit { section: self.section, base, misfit };
        changes.check(&text.to_string()).map_err(misfit)
    }

    fn unknown(&self, base: u64) -> OpError {
        OpError::BaseUnknown { section: self.section, base, current: self.slot.version }
    }

    /// The text at a version from before the commands.
    fn text_at(&self, base: u64, history: &History) -> Result<Text, OpError> {
        let now = (self.slot.version, &self.slot.text);
        history.text_at(self.section, base, now).ok_or_else(|| self.unknown(base))
    }

    /// What others, and the commands before, have done since a version.
    fn since(&self, base: u64, history: &History) -> Result<Changes, OpError> {
        let unknown = || self.unknown(base);
        if self.slot.version - base > REBASED_MAX {
            return Err(unknown());
        }
        let edits = history.iter().rev().filter_map(|update| update.edit(self.section));
        let edits: Vec<&SectionEdit> = edits.take_while(|edit| edit.version > base).collect();
        let steps = edits.into_iter().rev().map(changes_of);
        let all = steps.chain([Some(self.changes.clone())]);
        all.into_iter().try_fold(Changes::none(), |done, step| {
            done.compose(&step.ok_or_else(unknown)?).map_err(|_| unknown())
        })
    }

    fn make(&mut self, changes: &Changes) -> Result<(), OpError> {
        let section = self.section;
        // From the back, so that what is in front keeps its place.
        for change in changes.as_slice().iter().rev() {
            let made = self.text.splice_of(change.clone());
            if !made.is_some_and(|splice| self.text.apply(&splice)) {
                return Err(EditError::NoSuchPlace { section, at: change.at }.into());
            }
        }
        if self.text.len() > SECTION_BYTES_MAX {
            return Err(EditError::SectionTooLarge { len: self.text.len() }.into());
        }
        let composed = self.changes.compose(changes);
        let misfit = |misfit| OpError::Misfit { section, base: self.slot.version, misfit };
        self.changes = composed.map_err(misfit)?;
        Ok(())
    }

    /// The changes that are any.
    fn real_changes(self) -> SmallVec<[Change; 1]> {
        let (del, ins) = self.changes.bytes();
        if del == ins && self.text == self.slot.text {
            return SmallVec::new();
        }
        let before = &self.slot.text;
        let is_real = |change: &Change| {
            change.del != change.insert.len()
                || before.get(change.at..change.end()).as_ref() != Some(&change.insert)
        };
        Vec::from(self.changes).into_iter().filter(is_real).collect()
    }
}

/// The changes of an edit that was made.
fn changes_of(edit: &SectionEdit) -> Option<Changes> {
    let change = |splice: &crate::Splice| Change {
        at: splice.at,
        del: splice.removed.len(),
        insert: splice.inserted.clone(),
    };
    Changes::try_from(edit.splices.iter().map(change).collect::<Vec<_>>()).ok()
}

/// The text, or its beginning.
fn excerpt_of(text: &str) -> String {
    text[..floor(text, CURRENT_BYTES_MAX)].to_owned()
}
