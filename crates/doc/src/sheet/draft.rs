//! Whether a change of the sheet may be made: an edit of one section must leave the others alone.
//!
//! Sections begin at headings, so whether a text ends where the next section begins is a question about
//! Markdown. It is asked at each border that a change touches; for a plain text the answer is known without
//! parsing.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use super::boundary::{ends_front_matter, is_cut, is_front_matter};
use super::shape::{Shape, heading_len, is_atx};
use super::{OutlineChange, Sheet, Slot};
use crate::change::Splice;
use crate::coordinator::{EditError, Holder, OpId};
use crate::history::{Cause, OpMark, SectionEdit, Update};
use crate::limits::{DOCUMENT_BYTES_MAX, SECTION_BYTES_MAX, SECTIONS_MAX};
use crate::rope::Text;
use crate::section::SectionId;
use crate::text::Change;

/// What is to be changed at once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draft {
    pub(crate) cause: Cause,
    pub(crate) op: Option<OpId>,
    pub(crate) mark: Option<OpMark>,
    /// Sections keep their borders whatever a parser would say.
    pub(crate) is_typed: bool,
    pub(crate) outline: Vec<OutlineChange>,
    /// Each section at most once; its changes in order, none touching another, in bytes of the text before.
    pub(crate) edits: SmallVec<[(SectionId, SmallVec<[Change; 1]>); 1]>,
}

impl Draft {
    /// One change of one section.
    pub(crate) fn edit(section: SectionId, changes: impl IntoIterator<Item = Change>) -> Self {
        Self::splices(section, changes.into_iter().collect())
    }

    /// The same, of a list that is there.
    pub(crate) fn splices(section: SectionId, changes: SmallVec<[Change; 1]>) -> Self {
        Self { edits: SmallVec::from_buf([(section, changes)]), ..Self::default() }
    }
}

/// An update that may be made of the sheet that it was drafted for.
#[derive(Debug)]
pub(crate) struct Drafted {
    pub(super) update: Arc<Update>,
    /// Of the texts that its edits make, in their order, as far as anybody has looked.
    pub(super) shapes: SmallVec<[Option<Shape>; 1]>,
}

impl Deref for Drafted {
    type Target = Update;

    fn deref(&self) -> &Update {
        &self.update
    }
}

impl Sheet {
    /// The update that `draft` is, if it may be made.
    ///
    /// # Errors
    /// [`EditError`] says what would go wrong.
    pub(crate) fn draft(
        &self,
        draft: Draft,
        author: &Holder,
        at: Duration,
    ) -> Result<Drafted, EditError> {
        let Draft { cause, op, mark, is_typed, outline, edits: mut changed } = draft;
        let mut len = self.bytes;
        for change in &outline {
            if let OutlineChange::Front { before, after } = change {
                if self.front != *before {
                    return Err(EditError::FrontChanged);
                }
                len = len + after.len() - before.len();
            }
        }
        let mut edits = SmallVec::new();
        for (section, changes) in &mut changed {
            let slot = self.slot(*section);
            let edit = section_edit(*section, slot, changes)?;
            let (added, removed) = edit.n_bytes();
            let section_len = slot.map_or(0, |slot| slot.text.len()) + added - removed;
            if section_len > SECTION_BYTES_MAX {
                return Err(EditError::SectionTooLarge { len: section_len });
            }
            len = len + added - removed;
            edits.push(edit);
        }
        if len > DOCUMENT_BYTES_MAX {
            return Err(EditError::DocumentTooLarge { len });
        }
        let (seq, author) = (self.seq + 1, author.clone());
        // Where it stays: it is larger than what most updates say.
        let update = Arc::new(Update { seq, author, at, cause, op, mark, outline, edits });
        let mut shapes = SmallVec::new();
        let is_harmless = is_typed
            || update.outline.is_empty()
                && update.edits.iter().all(|edit| {
                    let shape = self.shape_after(edit);
                    shapes.push(shape);
                    shape.is_some_and(|shape| self.is_harmless(edit.section, &shape))
                });
        if !is_harmless {
            self.check(&update)?;
        }
        Ok(Drafted { update, shapes })
    }

    /// What is known without parsing of the text that `edit` makes.
    pub(super) fn shape_after(&self, edit: &SectionEdit) -> Option<Shape> {
        let slot = self.slot(edit.section)?;
        slot.shape.after(&slot.text, edit)
    }

    /// Whether it is clear without parsing that an edit which leaves `section` in this shape leaves all other
    /// sections where they are.
    pub(super) fn is_harmless(&self, section: SectionId, shape: &Shape) -> bool {
        let Some(place) = self.slot(section).and_then(|slot| slot.place) else { return false };
        if self.at(0).is_none_or(|(_, first)| first.shape.opens_front) {
            return false;
        }
        match self.at(place + 1) {
            None => true,
            Some((_, next)) => shape.is_plain && shape.ends_line && next.shape.is_atx,
        }
    }

    /// Looks at every border that `update` touches.
    pub(super) fn check(&self, update: &Update) -> Result<(), EditError> {
        let after = self.outline_after(&update.outline)?;
        let mut changed: BTreeMap<SectionId, String> = BTreeMap::new();
        for edit in &update.edits {
            let mut text =
                self.slot(edit.section).map(|slot| slot.text.clone()).unwrap_or_default();
            if !edit.apply(&mut text) {
                return Err(EditError::NoSuchPlace { section: edit.section, at: 0 });
            }
            let text = text.to_string();
            // What a file begins with needs no heading.
            let is_first = after.first() == Some(&edit.section);
            let slot = self.slot(edit.section);
            let is_free = is_first && update.cause == Cause::File;
            let is_headed = !is_free && slot.is_none_or(|slot| slot.shape.is_headed());
            // A section that is merged into another leaves no text behind.
            let is_left = after.contains(&edit.section) || !text.is_empty();
            if is_headed && is_left && heading_len(&text).is_none() {
                return Err(EditError::HeadingMissing);
            }
            changed.insert(edit.section, text);
        }
        let view = View { sheet: self, changed: &changed };
        let front = update.outline.iter().rev().find_map(|change| match change {
            OutlineChange::Front { after, .. } => Some(&**after),
            _ => None,
        });
        self.check_front(front, &view, &after)?;
        for pair in after.windows(2) {
            let [section, next] = [pair[0], pair[1]];
            let stood_before = self.slot(section).and_then(|slot| slot.place);
            let stood_next = self.slot(next).and_then(|slot| slot.place);
            let were_neighbours = stood_before.map(|place| place + 1) == stood_next;
            let is_touched = changed.contains_key(&section);
            if were_neighbours && stood_before.is_some() && !is_touched {
                let Some(text) = changed.get(&next) else { continue };
                // Such a heading ends every block that the old one ended; any other may continue a list
                // item or a paragraph of the section before.
                if is_atx(text) {
                    continue;
                }
            }
            if were_neighbours && stood_before.is_some() && view.has_lost_its_heading(next) {
                continue;
            }
            if !view.is_border(section, next) {
                let error = if is_touched || !changed.contains_key(&next) {
                    EditError::SwallowsNext
                } else {
                    EditError::JoinsPrevious
                };
                return Err(error);
            }
        }
        Ok(())
    }

    /// Whether the document still begins with its front, or with `front`, which takes its place.
    fn check_front(
        &self,
        front: Option<&str>,
        view: &View<'_>,
        after: &[SectionId],
    ) -> Result<(), EditError> {
        let Some(first) = after.first() else { return Err(EditError::LastSection) };
        let text = view.text(*first);
        let is_new_first = front.is_some()
            || self.order.first() != Some(first)
            || view.changed.contains_key(first);
        let front = front.unwrap_or(&self.front);
        if is_new_first && is_front_matter(front, &text) {
            return Err(EditError::BecomesFrontMatter);
        }
        let others = after.iter().skip(1);
        let mut read = others
            .filter(|id| is_new_first || view.changed.contains_key(id))
            .map(|id| view.text(*id));
        if ends_front_matter(front, &text, &mut read) {
            return Err(EditError::BecomesFrontMatter);
        }
        Ok(())
    }

    /// The order after `changes`.
    fn outline_after(&self, changes: &[OutlineChange]) -> Result<Cow<'_, [SectionId]>, EditError> {
        let mut order = Cow::Borrowed(&*self.order);
        let mut n_slots = self.slots.len();
        for change in changes {
            let (section, after) = match change {
                OutlineChange::Mode { .. } | OutlineChange::Front { .. } => continue,
                OutlineChange::Archived { section } | OutlineChange::Merged { section, .. } => {
                    let place = place_of(&order, *section)?;
                    order.to_mut().remove(place);
                    continue;
                }
                OutlineChange::Moved { section, after } => {
                    let place = place_of(&order, *section)?;
                    order.to_mut().remove(place);
                    (*section, *after)
                }
                OutlineChange::Restored { section, after } => {
                    if order.contains(section) || self.slot(*section).is_none() {
                        return Err(EditError::NotArchived { section: *section });
                    }
                    (*section, *after)
                }
                OutlineChange::Added { section, after, .. } => {
                    n_slots += 1;
                    if n_slots > SECTIONS_MAX {
                        return Err(EditError::TooManySections { n: n_slots });
                    }
                    (*section, *after)
                }
            };
            let place = match after {
                None => 0,
                Some(after) => place_of(&order, after)? + 1,
            };
            order.to_mut().insert(place, section);
        }
        Ok(order)
    }
}

/// What `changes`, whose texts are taken, make of the text of a section; one that comes with this update has
/// none yet.
fn section_edit(
    section: SectionId,
    slot: Option<&Slot>,
    changes: &mut [Change],
) -> Result<SectionEdit, EditError> {
    let mut splices: SmallVec<[Splice; 1]> = SmallVec::with_capacity(changes.len());
    let mut free_from = 0;
    for change in changes {
        let Change { at, del, ref mut insert } = *change;
        if at < free_from {
            return Err(EditError::NoSuchPlace { section, at });
        }
        let change = Change { at, del, insert: std::mem::take(insert) };
        let splice = match slot {
            Some(slot) => slot.text.splice_of(change),
            None => Text::default().splice_of(change),
        };
        let mut splice = splice.ok_or(EditError::NoSuchPlace { section, at })?;
        // The history keeps it as long as it can.
        splice.inserted.shrink_to_fit();
        // Two that touch could be made in either order.
        free_from = at + splice.removed.len() + 1;
        splices.push(splice);
    }
    Ok(SectionEdit { section, version: slot.map_or(0, |slot| slot.version) + 1, splices })
}

fn place_of(order: &[SectionId], section: SectionId) -> Result<usize, EditError> {
    order.iter().position(|id| *id == section).ok_or(EditError::UnknownSection { section })
}

/// The sheet as it would be.
struct View<'a> {
    sheet: &'a Sheet,
    changed: &'a BTreeMap<SectionId, String>,
}

impl View<'_> {
    fn text(&self, section: SectionId) -> Cow<'_, str> {
        match self.changed.get(&section) {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(
                self.sheet.slot(section).map(|slot| slot.text.to_string()).unwrap_or_default(),
            ),
        }
    }

    /// Whether somebody who types has left `section` without a heading: then it has no border to keep.
    fn has_lost_its_heading(&self, section: SectionId) -> bool {
        let slot = self.sheet.slot(section);
        !self.changed.contains_key(&section) && slot.is_some_and(|slot| !slot.shape.is_headed())
    }

    /// Whether `next` begins a section when it follows `section`.
    fn is_border(&self, section: SectionId, next: SectionId) -> bool {
        let is_plain = |slot: &Slot| slot.shape.is_plain && slot.shape.ends_line;
        let next_text = self.text(next);
        let is_known = !self.changed.contains_key(&section)
            && self.sheet.slot(section).is_some_and(is_plain)
            && is_atx(&next_text);
        let Some(heading) = heading_len(&next_text) else { return false };
        is_known || is_cut(&self.text(section), &next_text[..heading])
    }
}
