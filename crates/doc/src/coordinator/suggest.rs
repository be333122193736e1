//! Changes that somebody proposes and somebody else accepts or rejects. Holds D20.
//!
//! A suggestion stands beside its section and moves with it: whatever is written meanwhile, it is for the text as
//! it is now. Where somebody changes the very words that it is about, it becomes *stale*: it is still there to be
//! read, and can be withdrawn or rejected.

mod error;
mod shelf;

use std::fmt;
use std::time::Duration;

use ggml_agent_core::lease::Token;

pub use self::error::SuggestError;
pub(crate) use self::shelf::{Made, Suggestions};
use super::{Accepted, Coordinator, EditError, Holder, Kind, OpId, Step};
use crate::history::{Cause, Move, Update};
use crate::limits::{
    NOTE_BYTES_MAX, SUGGESTION_CHANGES_MAX, SUGGESTIONS_BYTES_MAX, SUGGESTIONS_MAX,
    SUGGESTIONS_PER_SECTION_MAX,
};
use crate::record::Entry;
use crate::section::SectionId;
use crate::sheet::{Draft, Mode, OutlineChange};
use crate::text::{Change, Changes, Side, Span, spans};

/// The number of a suggestion in its document: 1, 2, 3, ...
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SuggestionId(pub(crate) u64);

impl SuggestionId {
    /// The suggestion with this number.
    #[must_use]
    pub fn from_u64(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for SuggestionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "suggestion {}", self.0)
    }
}

/// A proposal to change a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggest {
    /// Which section.
    pub section: SectionId,
    /// The version that the changes were made for.
    pub base: u64,
    /// What to change, in bytes of that version.
    pub changes: Changes,
    /// Why, in words; may be empty.
    pub note: String,
    /// The name of the command: the same name of the same author is one suggestion.
    pub op: Option<OpId>,
}

/// A proposal that waits for its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// Its number.
    pub id: SuggestionId,
    /// Whose it is.
    pub author: Holder,
    /// When it was made, on the clock of the coordinator of then.
    pub at: Duration,
    /// Which section it is for.
    pub section: SectionId,
    /// What it changes, in bytes of the section as it is now, or was when it became stale.
    pub changes: Changes,
    /// Why, in words.
    pub note: String,
    /// The name that its author gave the command.
    pub op: Option<OpId>,
    /// Why it cannot be accepted any more, if so.
    pub stale: Option<StaleReason>,
}

/// Why a suggestion cannot be accepted any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaleReason {
    /// The words that it is about are other ones.
    Changed {
        /// Since this update.
        seq: u64,
    },
    /// Its section is not part of the document.
    Archived {
        /// Since this update.
        seq: u64,
    },
}

/// How a suggestion ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is in the text.
    Accepted,
    /// Somebody did not want it.
    Rejected,
    /// Its author did not want it any more.
    Withdrawn,
}

/// A piece of a diff, with its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiffSpan {
    /// In both texts.
    Keep(String),
    /// In the old text only.
    Delete(String),
    /// In the new text only. Follows the deletion that it replaces.
    Insert(String),
}

impl From<Span<'_>> for DiffSpan {
    fn from(span: Span<'_>) -> Self {
        match span {
            Span::Keep(text) => Self::Keep(text.to_owned()),
            Span::Delete(text) => Self::Delete(text.to_owned()),
            Span::Insert(text) => Self::Insert(text.to_owned()),
        }
    }
}

impl Suggestion {
    fn bytes(&self) -> usize {
        self.changes.bytes().1 + self.note.len()
    }
}

impl Coordinator {
    /// Proposes a change. It needs no lock, in no mode.
    ///
    /// Made for an older version, it is moved over what was written since, as if it had stood there.
    ///
    /// # Errors
    /// In the answer: [`SuggestError`]; nothing was changed.
    pub fn suggest(
        &mut self,
        author: &Holder,
        suggest: Suggest,
        now: Duration,
    ) -> Step<Result<SuggestionId, SuggestError>> {
        let mut outs = Vec::new();
        let answer = self.enter(author, now, &mut outs).map_err(EditError::from);
        let answer = answer.map_err(SuggestError::from).and_then(|()| {
            let made = suggest.op.as_ref().and_then(|op| self.past.suggestions.made(author, op));
            if let Some(id) = made {
                return Ok(id);
            }
            let suggestion = self.proposed(author, suggest, now)?;
            let id = suggestion.id;
            self.note_entry(Entry::Suggested(suggestion.clone()));
            self.past.suggestions.add(suggestion);
            Ok(id)
        });
        Step { answer, outs }
    }

    fn proposed(
        &self,
        author: &Holder,
        suggest: Suggest,
        at: Duration,
    ) -> Result<Suggestion, SuggestError> {
        let Suggest { section, base, changes, note, op } = suggest;
        let slot = self.sheet.slot(section).ok_or(EditError::UnknownSection { section })?;
        if slot.place.is_none() {
            return Err(EditError::Archived { section }.into());
        }
        if changes.is_empty() {
            return Err(SuggestError::Empty);
        }
        let outdated = EditError::Outdated { section, base, current: slot.version };
        let text = self.history.text_at(section, base, (slot.version, &slot.text));
        let text = text.ok_or(outdated)?;
        for change in &changes {
            if !text.holds(&(change.at..change.end())) {
                return Err(EditError::NoSuchPlace { section, at: change.at }.into());
            }
        }
        let id = self.past.suggestions.next_id();
        let mut suggestion =
            Suggestion { id, author: author.clone(), at, section, changes, note, op, stale: None };
        let later = self
            .history
            .iter()
            .filter(|update| update.edit(section).is_some_and(|edit| edit.version > base));
        for update in later {
            carry(&mut suggestion, update, &update.moves());
            match suggestion.stale {
                Some(StaleReason::Changed { seq } | StaleReason::Archived { seq }) => {
                    return Err(SuggestError::Overtaken { section, seq });
                }
                None => {}
            }
        }
        self.has_room(&suggestion)?;
        Ok(suggestion)
    }

    fn has_room(&self, suggestion: &Suggestion) -> Result<(), SuggestError> {
        let all = &self.past.suggestions;
        let Suggestion { section, note, changes, .. } = suggestion;
        let n_changes = changes.as_slice().len();
        if note.len() > NOTE_BYTES_MAX || n_changes > SUGGESTION_CHANGES_MAX {
            return Err(SuggestError::TooLarge { note_len: note.len(), n_changes });
        }
        if all.len() >= SUGGESTIONS_MAX
            || all.of(*section).count() >= SUGGESTIONS_PER_SECTION_MAX
            || all.bytes() + suggestion.bytes() > SUGGESTIONS_BYTES_MAX
        {
            return Err(SuggestError::TooMany { section: *section });
        }
        Ok(())
    }

    /// Makes a suggestion part of the text: with the right that an edit of the section by `holder` needs, and
    /// looked at as such.
    ///
    /// # Errors
    /// In the answer: [`SuggestError`]; nothing was changed, and the suggestion is still there.
    pub fn accept(
        &mut self,
        holder: &Holder,
        id: SuggestionId,
        token: Option<Token>,
        now: Duration,
    ) -> Step<Result<Accepted, SuggestError>> {
        let Some(suggestion) = self.past.suggestions.get(id).cloned() else {
            return Step { answer: Err(SuggestError::Unknown { id }), outs: Vec::new() };
        };
        if let Some(stale) = suggestion.stale {
            return Step { answer: Err(SuggestError::Stale { id, stale }), outs: Vec::new() };
        }
        let Suggestion { section, author, changes, .. } = suggestion;
        let step = self.write(holder, now, |document| {
            document.may_write(holder, section, token, None, now)?;
            let cause = Cause::Suggestion { by: author };
            let changes = Vec::from(changes);
            Ok((section, Draft { cause, ..Draft::edit(section, changes) }))
        });
        if step.answer.is_ok() {
            self.answer_suggestion(id, Answer::Accepted);
        }
        Step { answer: step.answer.map_err(SuggestError::from), outs: step.outs }
    }

    /// Says no to a suggestion. Agents may where they may write.
    ///
    /// # Errors
    /// In the answer: [`SuggestError`]; the suggestion is still there.
    pub fn reject(
        &mut self,
        holder: &Holder,
        id: SuggestionId,
        now: Duration,
    ) -> Step<Result<(), SuggestError>> {
        self.end_suggestion(holder, id, Answer::Rejected, now)
    }

    /// Takes a suggestion of one's own back, also in a later life.
    ///
    /// # Errors
    /// In the answer: [`SuggestError`]; the suggestion is still there.
    pub fn withdraw(
        &mut self,
        holder: &Holder,
        id: SuggestionId,
        now: Duration,
    ) -> Step<Result<(), SuggestError>> {
        self.end_suggestion(holder, id, Answer::Withdrawn, now)
    }

    fn end_suggestion(
        &mut self,
        holder: &Holder,
        id: SuggestionId,
        how: Answer,
        now: Duration,
    ) -> Step<Result<(), SuggestError>> {
        let mut outs = Vec::new();
        let answer = self.enter(holder, now, &mut outs).map_err(EditError::from);
        let answer = answer.map_err(SuggestError::from).and_then(|()| {
            let suggestion = self.past.suggestions.get(id).ok_or(SuggestError::Unknown { id })?;
            let section = suggestion.section;
            let is_own = suggestion.author.agent() == holder.agent();
            let mode = self.sheet.slot(section).map(|slot| slot.mode);
            match how {
                Answer::Withdrawn if !is_own => {
                    return Err(SuggestError::NotYours { id, author: suggestion.author.clone() });
                }
                Answer::Rejected
                    if mode == Some(Mode::SuggestOnly) && holder.kind() == Kind::Agent =>
                {
                    return Err(EditError::SuggestOnly { section }.into());
                }
                _ => {}
            }
            self.answer_suggestion(id, how);
            Ok(())
        });
        Step { answer, outs }
    }

    fn answer_suggestion(&mut self, id: SuggestionId, how: Answer) {
        self.note_entry(Entry::Answered { suggestion: id, how });
        self.past.suggestions.remove(id);
    }

    /// The suggestions for a section, in the order in which they were made.
    pub fn suggestions(&self, section: SectionId) -> impl Iterator<Item = &Suggestion> {
        self.past.suggestions.of(section)
    }

    /// All suggestions that wait for their answer, in the order in which they were made.
    pub fn open_suggestions(&self) -> impl Iterator<Item = &Suggestion> {
        self.past.suggestions.iter()
    }

    /// How many suggestions wait for their answer.
    #[must_use]
    pub fn n_suggestions(&self) -> usize {
        self.past.suggestions.len()
    }

    /// A suggestion that waits for its answer.
    #[must_use]
    pub fn suggestion(&self, id: SuggestionId) -> Option<&Suggestion> {
        self.past.suggestions.get(id)
    }

    /// The text of its section with what a suggestion would change, piece by piece; `None` if there is no such
    /// suggestion, or it is stale.
    #[must_use]
    pub fn preview(&self, id: SuggestionId) -> Option<Vec<DiffSpan>> {
        let suggestion = self.suggestion(id).filter(|suggestion| suggestion.stale.is_none())?;
        let text = self.sheet.slot(suggestion.section)?.text.to_string();
        Some(spans(&text, &suggestion.changes).map(DiffSpan::from).collect())
    }
}

/// Moves a suggestion over `update`.
fn carry(suggestion: &mut Suggestion, update: &Update, moves: &[Move]) {
    let (section, seq) = (suggestion.section, update.seq);
    if suggestion.stale.is_some() {
        return;
    }
    let step = moves.iter().find(|step| step.from == section);
    let takes_out = |change: &OutlineChange| {
        matches!(change, OutlineChange::Archived { .. } | OutlineChange::Merged { .. })
            && change.section() == Some(section)
    };
    if step.is_none() && update.outline.iter().any(takes_out) {
        suggestion.stale = Some(StaleReason::Archived { seq });
        return;
    }
    let goes = |change: &Change, step: &Move| {
        // What is inserted just where a section is cut stays with what is before.
        change.at > step.range.start || (change.at == step.range.start && change.del > 0)
    };
    let list = suggestion.changes.as_slice();
    match step {
        Some(step) if step.range.start == 0 || list.iter().all(|change| goes(change, step)) => {
            let shift = |change: &Change| {
                let at = change.at - step.range.start + step.at;
                Change { at, ..change.clone() }
            };
            let mut changes = Changes::none();
            for change in list.iter().map(shift) {
                changes.push_parts(change.at, change.del, &change.insert);
            }
            (suggestion.section, suggestion.changes) = (step.to, changes);
        }
        Some(step) if list.iter().any(|change| change.end() > step.range.start) => {
            suggestion.stale = Some(StaleReason::Changed { seq });
        }
        _ => {
            let Some(edit) = update.edit(section) else { return };
            let over = edit.changes();
            if list.iter().any(|mine| over.into_iter().any(|other| is_lost(mine, other))) {
                suggestion.stale = Some(StaleReason::Changed { seq });
            } else {
                // What stands at the end of a section does not go behind what is merged into it.
                let grows = moves.iter().any(|step| step.to == section);
                let side = if grows { Side::Before } else { Side::After };
                suggestion.changes = suggestion.changes.rebase(&over, side);
            }
        }
    }
}

/// Whether the words that `mine` is about are other ones after `other`.
fn is_lost(mine: &Change, other: &Change) -> bool {
    let (from, to) = (mine.at.max(other.at), mine.end().min(other.end()));
    if mine.del > 0 && other.del > 0 {
        return from < to;
    }
    // An insertion inside of what goes, on either side.
    if mine.del == 0 {
        other.at < mine.at && mine.at < other.end()
    } else {
        mine.at < other.at && other.at < mine.end()
    }
}

#[cfg(test)]
mod tests;
