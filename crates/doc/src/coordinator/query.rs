//! Questions about the text: the outline, the text of sections, or what has changed in them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Coordinator, Holder};
use crate::history::History;
use crate::limits::{QUERY_BYTES_MAX, SECTIONS_MAX, TITLE_BYTES_MAX};
use crate::markdown::headings;
use crate::rope::Text;
use crate::section::SectionId;
use crate::sheet::{Mode, Sheet, Slot};
use crate::text::{Granularity, Shown, diff, floor, show};

/// A question; without sections it is for the outline.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// The sections whose text is wanted, also archived ones.
    pub sections: Vec<SectionId>,
    /// The number of the newest update that is known: of these sections only what has changed since is wanted.
    pub since: Option<u64>,
}

/// The answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The newest update that it contains.
    pub seq: u64,
    /// Every section, without texts, if none was named: first those of the document, in order, then the archived
    /// ones.
    pub outline: Vec<Outline>,
    /// The sections that were named, in the order of the question.
    pub sections: Vec<SectionText>,
}

/// What is known of a section without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// Which.
    pub id: SectionId,
    /// The title in its heading, at most [`TITLE_BYTES_MAX`] bytes; empty without a heading.
    pub title: String,
    /// The level of its heading, 1 to 6; 0 without a heading.
    pub level: u8,
    /// How many edits it has had.
    pub version: u64,
    /// How many bytes of Markdown it has.
    pub bytes: usize,
    /// How it may be written to.
    pub mode: Mode,
    /// It is kept, and is not part of the text.
    pub is_archived: bool,
    /// Who holds its lock.
    pub holder: Option<Holder>,
}

/// One section that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionText {
    /// What is known of it.
    pub outline: Outline,
    /// Its text, or what has changed in it.
    pub text: TextSince,
}

/// The text of a section for somebody who may know an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextSince {
    /// The whole text: no earlier one was named, or to say what has changed would be longer, or it is not known.
    Whole(Text),
    /// It is as it was.
    Unchanged,
    /// What has changed, all of it.
    Changed {
        /// From which version.
        from: u64,
        /// The changes, in words.
        changes: Shown,
    },
}

/// Why a question was not answered. The asker is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// There is no such section.
    #[error("the document has no section {section}; ask for the outline")]
    UnknownSection {
        /// Which.
        section: SectionId,
    },
    /// There was no such update yet.
    #[error(
        "the newest update is {seq}, what has changed since {since} was asked for; ask without it"
    )]
    NotYet {
        /// What was asked for.
        since: u64,
        /// The newest update.
        seq: u64,
    },
    /// More than [`SECTIONS_MAX`] sections are named.
    #[error("{n} sections were asked for, at most {SECTIONS_MAX} are allowed; name each once")]
    TooMany {
        /// How many.
        n: usize,
    },
    /// The texts are longer than [`QUERY_BYTES_MAX`].
    #[error(
        "these sections have {bytes} bytes, at most {QUERY_BYTES_MAX} are answered at once; \
         ask for fewer, the outline has their lengths"
    )]
    TooLarge {
        /// How long, in bytes.
        bytes: usize,
    },
}

/// Where answers come from.
pub(crate) struct Source<'a> {
    pub(crate) sheet: &'a Sheet,
    /// May know of later updates than the sheet.
    pub(crate) history: &'a History,
    pub(crate) holder: &'a dyn Fn(SectionId) -> Option<Holder>,
}

impl Coordinator {
    /// Answers a question. Holds D16.
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn query(&self, query: &Query, now: Duration) -> Result<View, QueryError> {
        let holder = |section| self.locks.lease(&section, now).map(|lease| lease.holder.clone());
        Source { sheet: &self.sheet, history: &self.history, holder: &holder }.answer(query)
    }
}

impl Source<'_> {
    pub(crate) fn answer(&self, query: &Query) -> Result<View, QueryError> {
        let Query { sections, since } = query;
        let seq = self.sheet.seq;
        if let Some(since) = since.filter(|since| *since > seq) {
            return Err(QueryError::NotYet { since, seq });
        }
        if sections.is_empty() {
            let archived = (0..self.sheet.slots.len()).map(SectionId::nth);
            let archived = archived.filter(|id| self.is_archived(*id));
            let all = self.sheet.order.iter().copied().chain(archived);
            let outline = all.map(|id| self.outline(id)).collect::<Result<_, _>>()?;
            return Ok(View { seq, outline, sections: Vec::new() });
        }
        if sections.len() > SECTIONS_MAX {
            return Err(QueryError::TooMany { n: sections.len() });
        }
        let known = since.and_then(|since| self.edits_since(since));
        let n_edits =
            |id: &SectionId| known.as_ref().map(|known| known.get(id).copied().unwrap_or(0));
        let mut bytes = 0;
        for id in sections.iter().filter(|id| n_edits(id) != Some(0)) {
            bytes += self.slot(*id)?.text.len();
        }
        if bytes > QUERY_BYTES_MAX {
            return Err(QueryError::TooLarge { bytes });
        }
        let text = |id: &SectionId| {
            let text = self.text_since(*id, self.slot(*id)?, n_edits(id));
            Ok(SectionText { outline: self.outline(*id)?, text })
        };
        let sections = sections.iter().map(text).collect::<Result<_, _>>()?;
        Ok(View { seq, outline: Vec::new(), sections })
    }

    fn slot(&self, section: SectionId) -> Result<&Slot, QueryError> {
        self.sheet.slot(section).ok_or(QueryError::UnknownSection { section })
    }

    fn is_archived(&self, section: SectionId) -> bool {
        self.sheet.slot(section).is_some_and(|slot| slot.place.is_none())
    }

    fn outline(&self, id: SectionId) -> Result<Outline, QueryError> {
        let slot = self.slot(id)?;
        let heading = slot.text.window(0..slot.shape.heading_len);
        let heading = headings(&heading).into_iter().next();
        let (mut title, level) = heading.map_or_else(Default::default, |h| (h.title, h.level));
        title.truncate(floor(&title, TITLE_BYTES_MAX));
        Ok(Outline {
            id,
            title,
            level,
            version: slot.version,
            bytes: slot.text.len(),
            mode: slot.mode,
            is_archived: slot.place.is_none(),
            holder: (self.holder)(id),
        })
    }

    /// How many edits each section has had since an update; `None` if that is not remembered.
    fn edits_since(&self, since: u64) -> Option<BTreeMap<SectionId, u64>> {
        let mut n_edits = BTreeMap::new();
        for seq in since + 1..=self.sheet.seq {
            for edit in &self.history.get(seq)?.edits {
                *n_edits.entry(edit.section).or_default() += 1;
            }
        }
        Some(n_edits)
    }

    fn text_since(&self, id: SectionId, slot: &Slot, n_edits: Option<u64>) -> TextSince {
        let whole = || TextSince::Whole(slot.text.clone());
        let Some(n_edits) = n_edits else { return whole() };
        if n_edits == 0 {
            return TextSince::Unchanged;
        }
        // Version 0 of a section that was not there before is the empty text.
        let Some(from) = slot.version.checked_sub(n_edits) else { return whole() };
        let Some(old) = self.history.text_at(id, from, (slot.version, &slot.text)) else {
            return whole();
        };
        let (old, new) = (old.to_string(), slot.text.to_string());
        let changes = show(&old, &diff(&old, &new, Granularity::Words), new.len());
        let is_shorter = changes.n_shown == changes.n && changes.text.len() < new.len();
        if is_shorter { TextSince::Changed { from, changes } } else { whole() }
    }
}

#[cfg(test)]
mod tests;
