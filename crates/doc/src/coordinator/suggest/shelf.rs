//! The suggestions of a document that wait for an answer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ggml_agent_core::AgentId;

use super::{Suggestion, SuggestionId, carry};
use crate::coordinator::{Holder, OpId};
use crate::history::{Move, Update};
use crate::limits::SUGGESTIONS_ANSWERED_MAX;
use crate::section::SectionId;
use crate::sheet::OutlineChange;

/// See the [module](self).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Suggestions {
    by_section: BTreeMap<SectionId, BTreeMap<SuggestionId, Suggestion>>,
    sections: BTreeMap<SuggestionId, SectionId>,
    bytes: usize,
    /// The number of the newest.
    last: u64,
    /// Those with the name of a command that are answered, the oldest first.
    answered: VecDeque<Made>,
}

/// A suggestion that a command has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) author: AgentId,
    pub(crate) op: OpId,
    pub(crate) id: SuggestionId,
}

impl Suggestions {
    pub(crate) fn len(&self) -> usize {
        self.sections.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    pub(crate) fn next_id(&self) -> SuggestionId {
        SuggestionId(self.last.saturating_add(1))
    }

    pub(crate) fn of(&self, section: SectionId) -> impl Iterator<Item = &Suggestion> {
        self.by_section.get(&section).into_iter().flat_map(BTreeMap::values)
    }

    pub(crate) fn get(&self, id: SuggestionId) -> Option<&Suggestion> {
        self.by_section.get(self.sections.get(&id)?)?.get(&id)
    }

    /// All of them, by number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Suggestion> {
        self.sections.keys().filter_map(|id| self.get(*id))
    }

    pub(crate) fn answered(&self) -> impl Iterator<Item = &Made> {
        self.answered.iter()
    }

    /// What this command of this author, in any of its lives, has made.
    pub(crate) fn made(&self, author: &Holder, op: &OpId) -> Option<SuggestionId> {
        let is_it = |suggestion: &&Suggestion| {
            suggestion.op.as_ref() == Some(op) && suggestion.author.agent() == author.agent()
        };
        let answered = |made: &&Made| made.op == *op && made.author == *author.agent();
        let open = self.iter().find(is_it).map(|suggestion| suggestion.id);
        open.or_else(|| self.answered.iter().find(answered).map(|made| made.id))
    }

    /// Adds one; false if its number was given before.
    pub(crate) fn add(&mut self, suggestion: Suggestion) -> bool {
        if suggestion.id.0 <= self.last {
            return false;
        }
        self.last = suggestion.id.0;
        self.put(suggestion);
        true
    }

    fn put(&mut self, suggestion: Suggestion) {
        self.bytes += suggestion.bytes();
        self.sections.insert(suggestion.id, suggestion.section);
        let section = self.by_section.entry(suggestion.section).or_default();
        section.insert(suggestion.id, suggestion);
    }

    fn take(&mut self, id: SuggestionId) -> Option<Suggestion> {
        let section = self.sections.remove(&id)?;
        let list = self.by_section.get_mut(&section)?;
        let suggestion = list.remove(&id)?;
        if list.is_empty() {
            self.by_section.remove(&section);
        }
        self.bytes -= suggestion.bytes();
        Some(suggestion)
    }

    /// Takes one away that is answered; false if there is none.
    pub(crate) fn remove(&mut self, id: SuggestionId) -> bool {
        let Some(Suggestion { author, op, .. }) = self.take(id) else { return false };
        if let Some(op) = op {
            self.remember(Made { author: author.agent().clone(), op, id });
        }
        true
    }

    pub(crate) fn remember(&mut self, made: Made) {
        self.answered.push_back(made);
        if self.answered.len() > SUGGESTIONS_ANSWERED_MAX {
            self.answered.pop_front();
        }
    }

    /// The newest number that was given, which may be of one that is answered.
    pub(crate) fn set_last(&mut self, last: u64) {
        self.last = last;
    }

    /// Takes an update into account.
    pub(crate) fn follow(&mut self, update: &Update, moves: &[Move]) {
        if self.sections.is_empty() {
            return;
        }
        let edited = update.edits.iter().map(|edit| edit.section);
        let changed = update.outline.iter().filter_map(OutlineChange::section);
        let touched: BTreeSet<SectionId> = edited.chain(changed).collect();
        let mut gone = Vec::new();
        for section in touched {
            let Some(list) = self.by_section.get_mut(&section) else { continue };
            for suggestion in list.values_mut() {
                carry(suggestion, update, moves);
                gone.extend((suggestion.section != section).then_some(suggestion.id));
            }
        }
        for id in gone {
            if let Some(suggestion) = self.take(id) {
                self.put(suggestion);
            }
        }
    }
}
