//! Taking updates back that are not the newest, and reading what was. Holds D10 and D19.
//!
//! A revert makes the text that there would be without the chosen updates: it goes through the history once and
//! keeps, for each section, the changes that lead from what the text was to what it would have been
//! ([`fork`]). At the end these lead from the text as it is to the text without the updates.
//!
//! What others wrote stays, also inside of what goes. Where somebody has changed words that the chosen updates had
//! put in place of other words, neither text is right: that place is left alone, and listed.

mod choose;
mod fork;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ggml_agent_core::AgentId;
use ggml_agent_core::lease::Token;

use self::fork::Fork;
use super::stream::StreamId;
use super::suggest::DiffSpan;
use super::{Coordinator, EditError, Holder, Step};
use crate::history::{Cause, History, Update};
use crate::limits::CONFLICTS_MAX;
use crate::rope::Text;
use crate::section::SectionId;
use crate::sheet::{Draft, OutlineChange};
use crate::text::{Changes, Granularity, diff, spans};

/// Which updates are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selection {
    /// All that an agent wrote, in all its lives.
    Author(AgentId),
    /// All that one life of an agent wrote.
    Life(Holder),
    /// Those with numbers from the first to the second one.
    Seqs(u64, u64),
    /// Those with these numbers.
    Listed(BTreeSet<u64>),
}

/// A wish that updates be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revert {
    /// Which updates.
    pub by: Selection,
    /// The locks that the caller has; sections without one are written to as an edit without a lock would.
    pub tokens: BTreeMap<SectionId, Token>,
}

impl Revert {
    /// A wish of somebody who has no lock.
    #[must_use]
    pub fn of(by: Selection) -> Self {
        Self { by, tokens: BTreeMap::new() }
    }
}

/// What was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reverted {
    /// The number of the update that did it; `None` if no text had to change.
    pub seq: Option<u64>,
    /// How many updates were meant.
    pub n_updates: usize,
    /// The sections whose text changed.
    pub sections: Vec<SectionId>,
    /// What could not be taken back; at most [`CONFLICTS_MAX`].
    pub conflicts: Vec<Conflict>,
    /// How many there are, listed or not.
    pub n_conflicts: usize,
    /// Sections that the caller may not write to, or where the text may not be as it would be.
    pub refused: Vec<(SectionId, EditError)>,
    /// The oldest update that is remembered: what was written before it was not looked at.
    pub since: u64,
}

/// A part of an update that could not be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conflict {
    /// Somebody has changed what the update wrote.
    Overwritten {
        /// Where.
        section: SectionId,
        /// The update that did it.
        seq: u64,
        /// Whose it is.
        by: Holder,
        /// What would have come back; an excerpt.
        lost: String,
        /// What was written in its place; an excerpt.
        stands: String,
    },
    /// Sections came, went, moved or got another mode: to be undone by a command of its own.
    Outline {
        /// Which update.
        seq: u64,
        /// What it did.
        change: OutlineChange,
    },
}

/// Why nothing was taken back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RevertError {
    /// What also an edit is refused for.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// None of the remembered updates is meant, or all of them are taken back already.
    #[error("there is nothing to take back; updates are remembered from {since} on")]
    Nothing {
        /// The oldest update that is remembered.
        since: u64,
    },
    /// The range begins with updates that are not remembered.
    #[error("updates are remembered from {since} on; choose a range from there")]
    Forgotten {
        /// The oldest update that is remembered.
        since: u64,
    },
}

/// Why an old text cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PastError {
    /// The store of a durable document has not kept up; see [`EditError::Unsaved`].
    #[error("the document waits for its store to keep earlier changes; try again later")]
    Unsaved,
    /// There is no such section.
    #[error("the document has no section {section}; read the list of sections again")]
    UnknownSection {
        /// Which.
        section: SectionId,
    },
    /// The section has not had this version yet, or the updates since are forgotten.
    #[error(
        "version {version} of section {section} is not remembered; the current one is {current}"
    )]
    UnknownVersion {
        /// Which section.
        section: SectionId,
        /// Which version.
        version: u64,
        /// The one that it has.
        current: u64,
    },
}

impl Coordinator {
    /// Takes updates back, all at once, as one new update. Holds D10 and D19.
    ///
    /// # Errors
    /// In the answer: [`RevertError`]; nothing was changed.
    pub fn revert(
        &mut self,
        holder: &Holder,
        revert: Revert,
        now: Duration,
    ) -> Step<Result<Reverted, RevertError>> {
        let Revert { by, tokens } = revert;
        self.take_back(holder, &tokens, now, |document| {
            let since = document.since();
            if by.first().is_some_and(|first| first < since) {
                return Err(RevertError::Forgotten { since });
            }
            Ok(choose::chosen(&document.history, |update| by.means(update)))
        })
    }

    /// Takes back the caller's newest update that is not taken back yet, of any of its lives. Holds D10.
    ///
    /// # Errors
    /// In the answer: [`RevertError`]; nothing was changed.
    pub fn undo_own(
        &mut self,
        holder: &Holder,
        tokens: &BTreeMap<SectionId, Token>,
        now: Duration,
    ) -> Step<Result<Reverted, RevertError>> {
        self.take_back(holder, tokens, now, |document| {
            Ok(choose::last_own(&document.history, holder.agent()))
        })
    }

    /// The number of the oldest update that is remembered.
    pub(super) fn since(&self) -> u64 {
        self.history.iter().next().map_or(self.sheet.seq + 1, |update| update.seq)
    }

    /// Takes the updates back whose numbers `choose` answers, in order.
    pub(super) fn take_back(
        &mut self,
        holder: &Holder,
        tokens: &BTreeMap<SectionId, Token>,
        now: Duration,
        choose: impl FnOnce(&Self) -> Result<Vec<u64>, RevertError>,
    ) -> Step<Result<Reverted, RevertError>> {
        let mut outs = Vec::new();
        let answer = self.enter(holder, now, &mut outs).map_err(EditError::from);
        let answer = answer.map_err(RevertError::from).and_then(|()| {
            super::tell(self.locks.expire(now), &mut outs);
            let chosen = choose(self)?;
            self.take_back_chosen(holder, tokens, now, &chosen, Scope::EachSection)
        });
        if answer.is_ok() {
            self.subscribers.pump(&self.history, self.sheet.seq, &mut outs);
        }
        Step { answer, outs }
    }

    /// As [`Self::take_back`], for a holder whose life may be over.
    pub(super) fn take_back_chosen(
        &mut self,
        holder: &Holder,
        tokens: &BTreeMap<SectionId, Token>,
        now: Duration,
        chosen: &[u64],
        scope: Scope,
    ) -> Result<Reverted, RevertError> {
        let since = self.since();
        let Some(first) = chosen.first() else { return Err(RevertError::Nothing { since }) };
        let left_out = choose::left_out(&self.history, chosen);
        let mut fork = Fork::new(CONFLICTS_MAX);
        for update in self.history.iter().filter(|update| update.seq >= *first) {
            fork.follow(update, left_out.contains(&update.seq));
        }
        let Fork { sections, added, conflicts, n_conflicts, .. } = fork;
        let texts: Vec<(SectionId, Changes)> =
            sections.into_iter().filter(|(section, _)| !added.contains_key(section)).collect();
        let mut reverted = Reverted {
            n_updates: chosen.len(),
            conflicts,
            n_conflicts,
            since,
            ..Default::default()
        };
        let mut draft =
            Draft { cause: Cause::Revert { of: choose::ranges(chosen) }, ..Draft::default() };
        let gone = added.into_keys().map(|section| (section, None));
        let texts = texts.into_iter().filter(|(_, changes)| !changes.is_empty());
        let texts = texts.map(|(section, changes)| (section, Some(changes)));
        for (section, changes) in texts.chain(gone) {
            let token = tokens.get(&section).copied();
            let part = part(section, changes);
            // Alone first, so that one section that cannot follow does not keep the others from it.
            let may = self.may_write(holder, section, token, None, now).map(drop);
            match may.and_then(|()| self.sheet.draft(part.clone(), holder, now).map(drop)) {
                Ok(()) => {
                    reverted.sections.push(section);
                    draft.outline.extend(part.outline);
                    draft.edits.extend(part.edits);
                }
                Err(error) if scope == Scope::Whole => return Err(error.into()),
                Err(error) => reverted.refused.push((section, error)),
            }
        }
        if !reverted.sections.is_empty() {
            let update = self.sheet.draft(draft, holder, now)?;
            reverted.seq = Some(self.commit(update));
        }
        Ok(reverted)
    }

    /// The text of a section at one of its versions, also of one that is archived. Holds D10.
    ///
    /// # Errors
    /// [`PastError`].
    pub fn text_at(&self, section: SectionId, version: u64) -> Result<Text, PastError> {
        let slot = self.sheet.slot(section).ok_or(PastError::UnknownSection { section })?;
        let current = slot.version;
        let text = self.history.text_at(section, version, (current, &slot.text));
        text.ok_or(PastError::UnknownVersion { section, version, current })
    }

    /// What differs between two versions of a section, word by word, as the first and what became of it. Holds
    /// D10.
    ///
    /// # Errors
    /// [`PastError`].
    pub fn diff(&self, section: SectionId, from: u64, to: u64) -> Result<Vec<DiffSpan>, PastError> {
        let old = self.text_at(section, from)?.to_string();
        let new = self.text_at(section, to)?.to_string();
        let changes = diff(&old, &new, Granularity::Words);
        Ok(spans(&old, &changes).map(DiffSpan::from).collect())
    }
}

/// Whether sections that may not be written to are left out, or keep the others from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    EachSection,
    Whole,
}

/// The numbers of the updates of a stream that are not taken back, in order.
pub(super) fn of_stream(history: &History, stream: StreamId) -> Vec<u64> {
    choose::chosen(history, |update| update.cause == Cause::Stream { stream })
}

/// What becomes of one section: its text changes, or it goes.
fn part(section: SectionId, changes: Option<Changes>) -> Draft {
    match changes {
        Some(changes) => Draft::edit(section, Vec::from(changes)),
        None => Draft { outline: vec![OutlineChange::Archived { section }], ..Draft::default() },
    }
}

impl Selection {
    fn means(&self, update: &Update) -> bool {
        match self {
            Self::Author(agent) => update.writer().agent() == agent,
            Self::Life(holder) => update.writer() == holder,
            Self::Seqs(from, to) => (*from..=*to).contains(&update.seq),
            Self::Listed(seqs) => seqs.contains(&update.seq),
        }
    }

    /// The first number that it names.
    fn first(&self) -> Option<u64> {
        match self {
            Self::Author(_) | Self::Life(_) => None,
            Self::Seqs(from, _) => Some(*from),
            Self::Listed(seqs) => seqs.first().copied(),
        }
    }
}

#[cfg(test)]
mod tests;
