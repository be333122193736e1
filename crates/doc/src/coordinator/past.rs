//! What goes along with every update and is kept with the texts: who wrote what, and what is suggested.

use super::blame::Blame;
use super::suggest::Suggestions;
use crate::history::Update;
use crate::sheet::Sheet;

/// See the [module](self).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Past {
    pub(crate) blame: Blame,
    pub(crate) suggestions: Suggestions,
}

impl Past {
    /// That of a document that nobody has edited.
    pub(crate) fn new(sheet: &Sheet) -> Self {
        Self { blame: Blame::new(sheet), suggestions: Suggestions::default() }
    }

    /// Takes an update into account that the sheet has carried out.
    pub(crate) fn follow(&mut self, update: &Update) {
        let moves = if update.outline.is_empty() { Vec::new() } else { update.moves() };
        self.blame.follow(update, &moves);
        self.suggestions.follow(update, &moves);
    }
}
