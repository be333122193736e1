//! The text of a document now: its sections in order, each with a version.
//!
//! A sheet changes by [`Update`]s and by nothing else, in the process that decided them and in the one that
//! reads them again. What an update may do is decided in `draft`.

mod boundary;
mod draft;
mod shape;

use std::sync::Arc;

pub(crate) use self::draft::{Draft, Drafted};
pub(crate) use self::shape::{Shape, heading_len};
use crate::coordinator::{SectionView, Snapshot};
use crate::history::Update;
use crate::limits::SECTIONS_MAX;
use crate::markdown::headings;
use crate::rope::Text;
use crate::section::{Document, SectionId};

/// How a section may be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Only with its lock.
    Locked,
    /// With its lock or, while nobody holds it, with what the writer has seen of it.
    #[default]
    Optimistic,
    /// Everybody at once: what meets is merged by character.
    Open,
    /// People write, agents suggest.
    SuggestOnly,
}

/// A change of the sections and their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutlineChange {
    /// A section that was not there before; its text comes by an edit of the same update.
    Added {
        /// The new one.
        section: SectionId,
        /// Behind which; `None` for the first place.
        after: Option<SectionId>,
        /// The section, and the byte in its text, from where its text was cut off.
        from: Option<(SectionId, usize)>,
    },
    /// A section stands elsewhere.
    Moved {
        /// Which.
        section: SectionId,
        /// Behind which; `None` for the first place.
        after: Option<SectionId>,
    },
    /// A section is not part of the text any more. It is kept, and may be put back.
    Archived {
        /// Which.
        section: SectionId,
    },
    /// A section is part of the one before it from now on: its text stands at the end of that one by an edit
    /// of the same update, and what is left of it is archived and empty.
    Merged {
        /// Which.
        section: SectionId,
        /// The one before it.
        into: SectionId,
        /// The byte in the text of `into` before, from where the text stands there.
        at: usize,
    },
    /// An archived section is part of the text again.
    Restored {
        /// Which.
        section: SectionId,
        /// Behind which; `None` for the first place.
        after: Option<SectionId>,
    },
    /// A section is written to in another way.
    Mode {
        /// Which.
        section: SectionId,
        /// How.
        mode: Mode,
    },
    /// Byte order mark and front matter became others.
    Front {
        /// What they were, so that it can be taken back.
        before: Arc<str>,
        /// What they are.
        after: Arc<str>,
    },
}

impl OutlineChange {
    /// The bytes that it takes in memory, beside itself.
    pub(crate) fn heap(&self) -> usize {
        match self {
            Self::Front { before, after } => before.len() + after.len(),
            _ => 0,
        }
    }
}

/// What there is to know about a section beside its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Which.
    pub id: SectionId,
    /// The words of its heading; empty without one.
    pub title: String,
    /// The level of its heading, 1 to 6; 0 without one.
    pub level: u8,
    /// How many edits it has had.
    pub version: u64,
    /// How it may be written to.
    pub mode: Mode,
    /// Where it stands, counted from 0; `None` if it is archived.
    pub place: Option<usize>,
    /// Bytes of its text.
    pub len: usize,
}

impl OutlineChange {
    /// Which section it is about; `None` for what stands before all of them.
    #[must_use]
    pub fn section(&self) -> Option<SectionId> {
        match self {
            Self::Added { section, .. }
            | Self::Moved { section, .. }
            | Self::Archived { section }
            | Self::Merged { section, .. }
            | Self::Restored { section, .. }
            | Self::Mode { section, .. } => Some(*section),
            Self::Front { .. } => None,
        }
    }
}

/// One section as it is now.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    pub(crate) version: u64,
    pub(crate) text: Text,
    pub(crate) mode: Mode,
    /// Where it stands among the sections; `None` if it is archived.
    pub(crate) place: Option<usize>,
    /// What is known about the text.
    pub(crate) shape: Shape,
}

impl PartialEq for Slot {
    // What is known about the text follows from it, and how much is known from how it came about.
    fn eq(&self, other: &Self) -> bool {
        (self.version, self.mode, self.place) == (other.version, other.mode, other.place)
            && self.text == other.text
    }
}

impl Eq for Slot {}

/// The sections of a document: see the [module](self).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sheet {
    pub(crate) front: Arc<str>,
    /// Every section that ever was, by its number.
    pub(crate) slots: Vec<Slot>,
    /// Those that are part of the text, in order.
    pub(crate) order: Vec<SectionId>,
    /// The number of the newest update.
    pub(crate) seq: u64,
    /// How many updates changed the outline.
    pub(crate) outline_version: u64,
    /// Bytes of Markdown, the archived sections included.
    pub(crate) bytes: usize,
}

impl Sheet {
    pub(crate) fn new(document: &Document) -> Self {
        let slots: Vec<Slot> = (0..)
            .zip(document.sections())
            .map(|(place, section)| {
                let text = Text::from(section.text());
                Slot {
                    version: 0,
                    shape: Shape::of(section.text(), section.heading_source().len()),
                    text,
                    mode: Mode::default(),
                    place: Some(place),
                }
            })
            .collect();
        Self {
            front: document.front().into(),
            bytes: document.front().len() + slots.iter().map(|slot| slot.text.len()).sum::<usize>(),
            order: (0..slots.len()).map(SectionId::nth).collect(),
            slots,
            seq: 0,
            outline_version: 0,
        }
    }

    /// The sheet that has these sections; all of them in their order, if `order` is not given. `None` if
    /// `order` names one that there is not, or one twice.
    pub(crate) fn restore(
        front: Arc<str>,
        slots: Vec<Slot>,
        order: Option<Vec<SectionId>>,
        seq: u64,
        outline_version: u64,
    ) -> Option<Self> {
        let order = order.unwrap_or_else(|| (0..slots.len()).map(SectionId::nth).collect());
        let bytes = front.len() + slots.iter().map(|slot| slot.text.len()).sum::<usize>();
        let mut sheet = Self { front, slots, order, seq, outline_version, bytes };
        sheet.slots.iter_mut().for_each(|slot| slot.place = None);
        for (place, id) in sheet.order.iter().enumerate() {
            let slot = sheet.slots.get_mut(id.index())?;
            if slot.place.replace(place).is_some() {
                return None;
            }
        }
        Some(sheet)
    }

    pub(crate) fn slot(&self, section: SectionId) -> Option<&Slot> {
        self.slots.get(section.index())
    }

    /// One section as it is now, also one that is archived.
    pub(crate) fn read(&self, section: SectionId) -> Option<SectionView> {
        let Slot { version, text, mode, .. } = self.slot(section)?;
        Some(SectionView { id: section, version: *version, mode: *mode, text: text.clone() })
    }

    /// What there is to know about a section beside its text, also of one that is archived.
    pub(crate) fn about(&self, section: SectionId) -> Option<About> {
        let slot = self.slot(section)?;
        let heading = slot.text.window(0..slot.shape.heading_len);
        let heading = headings(&heading).into_iter().next();
        Some(About {
            id: section,
            title: heading.as_ref().map(|heading| heading.title.clone()).unwrap_or_default(),
            level: heading.map_or(0, |heading| heading.level),
            version: slot.version,
            mode: slot.mode,
            place: slot.place,
            len: slot.text.len(),
        })
    }

    /// The whole document as it is now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let sections = self.order.iter().filter_map(|id| self.read(*id)).collect();
        Snapshot { seq: self.seq, front: Arc::clone(&self.front), sections }
    }

    /// The section at this place, counted from 0.
    fn at(&self, place: usize) -> Option<(SectionId, &Slot)> {
        let id = *self.order.get(place)?;
        Some((id, self.slot(id)?))
    }

    /// Carries out an update that was made for this sheet.
    ///
    /// # Errors
    /// Why it does not follow what was before; the sheet is worth nothing then.
    pub(crate) fn apply(&mut self, update: &Update) -> Result<(), String> {
        let newest = self.seq;
        self.follow(update, None)
            .ok_or_else(|| format!("update {} does not follow update {newest}", update.seq))
    }

    /// Carries out an update that was drafted for this sheet, and answers it.
    pub(crate) fn carry_out(&mut self, drafted: Drafted) -> Arc<Update> {
        let Drafted { update, shapes } = drafted;
        let done = self.follow(&update, Some(&shapes));
        debug_assert_eq!(done, Some(()), "it was drafted for this sheet");
        update
    }

    /// Carries out `update`. If it was drafted for this sheet, its edits fit, and of the first of them is known
    /// what shapes they make.
    fn follow(&mut self, update: &Update, drafted: Option<&[Option<Shape>]>) -> Option<()> {
        if update.seq.checked_sub(1)? != self.seq {
            return None;
        }
        for change in &update.outline {
            self.change_outline(change)?;
        }
        let has_text = |change: &OutlineChange| match change {
            OutlineChange::Added { section, .. } => update.edit(*section).is_some(),
            _ => true,
        };
        if !update.outline.iter().all(has_text) {
            return None;
        }
        for (nth, edit) in update.edits.iter().enumerate() {
            let slot = self.slots.get_mut(edit.section.index())?;
            let known = drafted.and_then(|shapes| shapes.get(nth).copied());
            let shape = known.unwrap_or_else(|| slot.shape.after(&slot.text, edit));
            if edit.version.checked_sub(1)? != slot.version {
                return None;
            }
            if drafted.is_some() {
                edit.make(&mut slot.text);
            } else if !edit.apply(&mut slot.text) {
                return None;
            }
            slot.shape = shape.unwrap_or_else(|| Shape::again(&slot.text.to_string()));
            slot.version = edit.version;
            let (added, removed) = edit.n_bytes();
            self.bytes = self.bytes + added - removed;
        }
        self.outline_version += u64::from(!update.outline.is_empty());
        self.seq = update.seq;
        Some(())
    }

    fn change_outline(&mut self, change: &OutlineChange) -> Option<()> {
        match change {
            OutlineChange::Added { section, after, .. } => {
                if section.index() != self.slots.len() || self.slots.len() >= SECTIONS_MAX {
                    return None;
                }
                self.slots.push(Slot {
                    version: 0,
                    text: Text::default(),
                    mode: Mode::default(),
                    place: None,
                    shape: Shape::headed(),
                });
                self.put(*section, *after)?;
            }
            OutlineChange::Moved { section, after } => {
                self.take_out(*section)?;
                self.put(*section, *after)?;
            }
            OutlineChange::Archived { section } | OutlineChange::Merged { section, .. } => {
                self.take_out(*section)?;
            }
            OutlineChange::Restored { section, after } => {
                if self.slot(*section)?.place.is_some() {
                    return None;
                }
                self.put(*section, *after)?;
            }
            OutlineChange::Mode { section, mode } => {
                self.slots.get_mut(section.index())?.mode = *mode;
            }
            OutlineChange::Front { before, after } => {
                if self.front != *before {
                    return None;
                }
                self.bytes = self.bytes + after.len() - before.len();
                self.front = Arc::clone(after);
            }
        }
        Some(())
    }

    fn take_out(&mut self, section: SectionId) -> Option<()> {
        let place = self.slots.get_mut(section.index())?.place.take()?;
        self.order.remove(place);
        self.number_from(place);
        Some(())
    }

    fn put(&mut self, section: SectionId, after: Option<SectionId>) -> Option<()> {
        let place = match after {
            None => 0,
            Some(after) => self.slot(after)?.place? + 1,
        };
        self.slot(section)?;
        self.order.insert(place, section);
        self.number_from(place);
        Some(())
    }

    fn number_from(&mut self, place: usize) {
        for (place, id) in (place..).zip(&self.order[place..]) {
            self.slots[id.index()].place = Some(place);
        }
    }
}

#[cfg(test)]
mod tests;
