//! Sections come, go, are cut and put together. Holds D22.
//!
//! A command says either which locks its caller has, or which outline it has seen. What it touches is checked as
//! an edit is; a section that somebody else holds is never touched.

mod error;
mod heading;

use std::collections::BTreeMap;
use std::time::Duration;

use ggml_agent_core::lease::Token;

pub use self::error::OutlineError;
use super::{Coordinator, EditError, Holder, Kind, Step};
use crate::markdown::{Place, headings};
use crate::section::SectionId;
use crate::sheet::{Draft, Mode, OutlineChange, Slot, heading_len};
use crate::text::Change;

/// What is to become of the sections.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Structure {
    /// A new section.
    Insert {
        /// Behind which; `None` for the first place.
        after: Option<SectionId>,
        /// Its text, which begins with a heading.
        text: String,
    },
    /// A section becomes two; the second one is new.
    Split {
        /// Which.
        section: SectionId,
        /// Where.
        at: Cut,
        /// The title of the new section, if no heading begins there.
        title: Option<String>,
    },
    /// A section and the one behind it become one; that one is archived and empty.
    Merge {
        /// The first of the two.
        section: SectionId,
    },
    /// A section stands elsewhere.
    Move {
        /// Which.
        section: SectionId,
        /// Behind which; `None` for the first place.
        after: Option<SectionId>,
    },
    /// A section has another title; its heading keeps its level and kind.
    Rename {
        /// Which.
        section: SectionId,
        /// The new title, on one line.
        title: String,
    },
    /// A section is not part of the document any more, and can be put back.
    Archive {
        /// Which.
        section: SectionId,
    },
    /// An archived section is part of the document again.
    Restore {
        /// Which.
        section: SectionId,
        /// Behind which; `None` for the first place.
        after: Option<SectionId>,
    },
    /// A section is written to in another way.
    SetMode {
        /// Which.
        section: SectionId,
        /// How.
        mode: Mode,
    },
}

/// Where a section is cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cut {
    /// At a byte of a version of its text.
    Byte {
        /// Which byte.
        at: usize,
        /// The version, which must be the current one.
        base: u64,
    },
    /// At the heading with this anchor, among the headings of the section.
    Heading(String),
}

/// A wish to change the sections, and by which right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restructure {
    /// What is to be done.
    pub structure: Structure,
    /// The outline that the caller has seen, which must be the current one. Without it the caller needs the
    /// locks of all sections that change; for a new one, that of the section before it.
    pub outline_version: Option<u64>,
    /// The locks that the caller has.
    pub tokens: BTreeMap<SectionId, Token>,
}

impl Restructure {
    /// A wish of somebody who has seen an outline and has no lock.
    #[must_use]
    pub fn seen(outline_version: u64, structure: Structure) -> Self {
        Self { structure, outline_version: Some(outline_version), tokens: BTreeMap::new() }
    }

    /// A wish of somebody who has locks.
    #[must_use]
    pub fn locked(
        tokens: impl IntoIterator<Item = (SectionId, Token)>,
        structure: Structure,
    ) -> Self {
        Self { structure, outline_version: None, tokens: tokens.into_iter().collect() }
    }
}

/// The sections are other ones now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restructured {
    /// The number of the update.
    pub seq: u64,
    /// The section that it was about: a new one, or the one that was named.
    pub section: SectionId,
    /// The outline that there is now.
    pub outline_version: u64,
}

/// The sections of a document, without their texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutlineView {
    /// How many updates changed it.
    pub outline_version: u64,
    /// The newest update.
    pub seq: u64,
    /// Those that are part of the document in order, then the archived ones.
    pub sections: Vec<OutlineItem>,
}

/// One section in an outline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutlineItem {
    /// Which.
    pub section: SectionId,
    /// The level of its heading, 1 to 6; `None` without one.
    pub level: Option<u8>,
    /// The text of its heading, without markup; empty without one.
    pub title: String,
    /// How many edits it has had.
    pub version: u64,
    /// Bytes of its text.
    pub len: usize,
    /// How it may be written to.
    pub mode: Mode,
    /// It is not part of the document.
    pub is_archived: bool,
}

impl Coordinator {
    /// Changes the sections, all at once or not at all. Holds D22.
    ///
    /// # Errors
    /// In the answer: [`OutlineError`]; nothing was changed.
    pub fn restructure(
        &mut self,
        holder: &Holder,
        wish: Restructure,
        now: Duration,
    ) -> Step<Result<Restructured, OutlineError>> {
        let mut outs = Vec::new();
        let answer = self.enter(holder, now, &mut outs).map_err(EditError::from);
        let answer = answer.map_err(OutlineError::from).and_then(|()| {
            super::tell(self.locks.expire(now), &mut outs);
            let (section, draft) = self.plan(holder, &wish, now)?;
            let update = self.sheet.draft(draft, holder, now)?;
            let seq = self.commit(update);
            let outline_version = self.sheet.outline_version;
            Ok(Restructured { seq, section, outline_version })
        });
        if answer.is_ok() {
            self.subscribers.pump(&self.history, self.sheet.seq, &mut outs);
        }
        Step { answer, outs }
    }

    /// How many updates changed the outline; what [`Restructure::outline_version`] is compared with.
    #[must_use]
    pub fn outline_version(&self) -> u64 {
        self.sheet.outline_version
    }

    /// The sections without their texts.
    #[must_use]
    pub fn outline(&self) -> OutlineView {
        let ids = (0..self.sheet.slots.len()).map(SectionId::nth);
        let archived = ids.filter(|id| self.sheet.slot(*id).is_some_and(|s| s.place.is_none()));
        let all = self.sheet.order.iter().copied().chain(archived);
        let item = |section| Some(outline_item(section, self.sheet.slot(section)?));
        OutlineView {
            outline_version: self.sheet.outline_version,
            seq: self.sheet.seq,
            sections: all.filter_map(item).collect(),
        }
    }

    /// What `wish` comes to, if the caller may.
    fn plan(
        &self,
        holder: &Holder,
        wish: &Restructure,
        now: Duration,
    ) -> Result<(SectionId, Draft), OutlineError> {
        let Restructure { structure, outline_version, .. } = wish;
        let current = self.sheet.outline_version;
        if let Some(base) = outline_version.filter(|base| *base != current) {
            return Err(OutlineError::Outdated { base, current });
        }
        let may = |section| self.may_touch(holder, wish, section, now);
        let only = |section, change| (section, Draft { outline: vec![change], ..Draft::default() });
        Ok(match structure {
            Structure::Insert { after, text } => {
                self.may_add(holder, wish, *after, now)?;
                self.insertion(*after, text)
            }
            Structure::Split { section, at, title } => {
                self.splitting(may(*section)?, *section, at, title.as_deref())?
            }
            Structure::Merge { section } => {
                let slot = may(*section)?;
                let next = slot.place.and_then(|place| self.sheet.order.get(place + 1));
                let next = *next.ok_or(OutlineError::NoNext { section: *section })?;
                merging(*section, slot, next, may(next)?)
            }
            Structure::Move { section, after } => {
                may(*section)?;
                if *after == Some(*section) {
                    return Err(OutlineError::BehindItself { section: *section });
                }
                only(*section, OutlineChange::Moved { section: *section, after: *after })
            }
            Structure::Rename { section, title } => {
                let change = heading::renamed(*section, may(*section)?, title)?;
                (*section, Draft::edit(*section, change))
            }
            Structure::Archive { section } => {
                may(*section)?;
                only(*section, OutlineChange::Archived { section: *section })
            }
            Structure::Restore { section, after } => {
                self.may_restore(holder, wish, *section, now)?;
                only(*section, OutlineChange::Restored { section: *section, after: *after })
            }
            Structure::SetMode { section, mode } => {
                may(*section)?;
                only(*section, OutlineChange::Mode { section: *section, mode: *mode })
            }
        })
    }

    /// Whether the caller may change `section`, and what stands there.
    fn may_touch(
        &self,
        holder: &Holder,
        wish: &Restructure,
        section: SectionId,
        now: Duration,
    ) -> Result<&Slot, OutlineError> {
        let token = wish.tokens.get(&section).copied();
        let slot = self.may_write(holder, section, token, None, now)?;
        if token.is_none() && wish.outline_version.is_none() {
            return Err(OutlineError::NoTokenAndNoOutline { section: Some(section) });
        }
        Ok(slot)
    }

    fn may_add(
        &self,
        holder: &Holder,
        wish: &Restructure,
        after: Option<SectionId>,
        now: Duration,
    ) -> Result<(), OutlineError> {
        // Nothing of the section before it changes; its lock only says where the caller works.
        let token = after.and_then(|after| Some((after, *wish.tokens.get(&after)?)));
        match token {
            Some((after, token)) => {
                Ok(self.locks.check_holder(&after, holder, token, now).map_err(EditError::from)?)
            }
            None if wish.outline_version.is_some() => Ok(()),
            None => Err(OutlineError::NoTokenAndNoOutline { section: after }),
        }
    }

    fn may_restore(
        &self,
        holder: &Holder,
        wish: &Restructure,
        section: SectionId,
        now: Duration,
    ) -> Result<(), OutlineError> {
        let slot = self.sheet.slot(section).ok_or(EditError::UnknownSection { section })?;
        if slot.place.is_some() {
            return Err(EditError::NotArchived { section }.into());
        }
        if slot.mode == Mode::SuggestOnly && holder.kind() == Kind::Agent {
            return Err(EditError::SuggestOnly { section }.into());
        }
        match (wish.tokens.get(&section), self.locks.lease(&section, now)) {
            (Some(token), _) => {
                let held = self.locks.check_holder(&section, holder, *token, now);
                Ok(held.map_err(EditError::from)?)
            }
            (None, Some(lease)) => {
                let (holder, until) = (lease.holder.clone(), lease.deadline);
                Err(EditError::Locked { section, holder, until }.into())
            }
            (None, None) if wish.outline_version.is_some() => Ok(()),
            (None, None) => Err(OutlineError::NoTokenAndNoOutline { section: Some(section) }),
        }
    }

    fn insertion(&self, after: Option<SectionId>, text: &str) -> (SectionId, Draft) {
        let section = SectionId::nth(self.sheet.slots.len());
        let draft = Draft::edit(section, [Change { at: 0, del: 0, insert: text.to_owned() }]);
        let outline = vec![OutlineChange::Added { section, after, from: None }];
        (section, Draft { outline, ..draft })
    }

    fn splitting(
        &self,
        slot: &Slot,
        section: SectionId,
        cut: &Cut,
        title: Option<&str>,
    ) -> Result<(SectionId, Draft), OutlineError> {
        let text = slot.text.to_string();
        let at = match cut {
            Cut::Byte { at, base } if *base == slot.version => *at,
            Cut::Byte { base, .. } => {
                let (base, current) = (*base, slot.version);
                return Err(EditError::Outdated { section, base, current }.into());
            }
            Cut::Heading(anchor) => {
                let found = headings(&text)
                    .into_iter()
                    .skip(1)
                    .find(|heading| heading.place == Place::Top && heading.anchor == *anchor);
                let unknown = || OutlineError::UnknownAnchor { section, anchor: anchor.clone() };
                found.ok_or_else(unknown)?.range.start
            }
        };
        let head = slot.shape.heading_len.min(text.len());
        let Some(moved) = text.get(at..).filter(|_| at >= head && at > 0) else {
            return Err(EditError::NoSuchPlace { section, at }.into());
        };
        let insert = match title {
            Some(title) => format!("{}{moved}", heading::new(section, slot, title)?),
            None if heading_len(moved).is_some() => moved.to_owned(),
            None => return Err(OutlineError::NoHeading { section, at }),
        };
        let new = SectionId::nth(self.sheet.slots.len());
        let mut draft =
            Draft::edit(section, [Change { at, del: moved.len(), insert: String::new() }]);
        draft.edits.push((new, [Change { at: 0, del: 0, insert }].into_iter().collect()));
        let from = Some((section, at));
        draft.outline.push(OutlineChange::Added { section: new, after: Some(section), from });
        Ok((new, draft))
    }
}

fn merging(section: SectionId, slot: &Slot, next: SectionId, gone: &Slot) -> (SectionId, Draft) {
    let (at, text) = (slot.text.len(), gone.text.to_string());
    let change = Change { at: 0, del: text.len(), insert: String::new() };
    let mut draft = Draft::edit(section, [Change { at, del: 0, insert: text }]);
    draft.edits.push((next, [change].into_iter().collect()));
    draft.outline.push(OutlineChange::Merged { section: next, into: section, at });
    (section, draft)
}

fn outline_item(section: SectionId, slot: &Slot) -> OutlineItem {
    let head = slot.text.window(0..slot.shape.heading_len.min(slot.text.len()));
    let heading = headings(&head).into_iter().find(|heading| heading.place == Place::Top);
    OutlineItem {
        section,
        level: heading.as_ref().map(|heading| heading.level),
        title: heading.map(|heading| heading.title).unwrap_or_default(),
        version: slot.version,
        len: slot.text.len(),
        mode: slot.mode,
        is_archived: slot.place.is_none(),
    }
}

#[cfg(test)]
mod tests;
