//! The scripted model: deterministic text functions in place of a language model, which take a while.

use std::sync::Arc;
use std::time::Duration;

use ggml_agent_doc::abstracts::{self, Marks};
use ggml_agent_doc::{Document, SectionId};

use crate::cmd::demo::pause;
use crate::seeded::Rng;

/// What the team knows of its task; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    original: Arc<Document>,
    marks: Marks,
    seed: u64,
    think_max: Duration,
}

impl Model {
    /// A model for one document whose longest thought takes `think_max`.
    pub(crate) fn new(document: &Document, seed: u64, think_max: Duration) -> Self {
        let marks = Marks::new(document);
        Self { original: Arc::new(document.clone()), marks, seed, think_max }
    }

    /// The sections that get an abstract: those with a heading.
    pub(crate) fn sections(&self) -> Vec<SectionId> {
        let headed = self.original.sections().iter().filter(|section| section.heading().is_some());
        headed.map(ggml_agent_doc::Section::id).collect()
    }

    /// The text of a section with its abstract under the heading.
    pub(crate) fn with_abstract(&self, id: SectionId, text: &str) -> String {
        let section = self.original.section(id).expect("invariant: ids come from this document");
        self.marks.with_abstract(text, &abstracts::abstract_of(section))
    }

    /// Which section gets the table of contents, and its text then. None where there is nothing to
    /// list and nothing that a reader of our marks could mistake for ours.
    pub(crate) fn contents_in(&self) -> Option<SectionId> {
        let sections = self.original.sections();
        let headed = sections.iter().find(|section| section.heading().is_some());
        let only = || sections.first().filter(|_| self.annotated() != self.original.to_markdown());
        headed.or_else(only).map(ggml_agent_doc::Section::id)
    }

    /// The text of the section [`Self::contents_in`] with the table of contents.
    pub(crate) fn with_contents(&self, text: &str) -> String {
        if self.sections().is_empty() {
            // No heading, one section: the whole text, as the rule for such documents makes it.
            return self.annotated()[self.original.front().len()..].to_owned();
        }
        self.marks.with_toc(text, &abstracts::toc(&self.original))
    }

    /// The text of a section when everything is in it.
    fn complete_section(&self, section: &ggml_agent_doc::Section) -> String {
        let mut text = section.text().to_owned();
        if section.heading().is_some() {
            text = self.with_abstract(section.id(), &text);
        }
        if self.contents_in() == Some(section.id()) {
            text = self.with_contents(&text);
        }
        text
    }

    /// The text of the document when everything is in it.
    pub(crate) fn complete(&self) -> String {
        let sections = self.original.sections().iter();
        let texts = sections.map(|section| self.complete_section(section));
        std::iter::once(self.original.front().to_owned()).chain(texts).collect()
    }

    /// Whether a section has everything that it gets, be it from a process before this one.
    pub(crate) fn is_complete(&self, id: SectionId, text: &str) -> bool {
        self.original.section(id).is_some_and(|section| self.complete_section(section) == text)
    }

    fn annotated(&self) -> String {
        abstracts::annotate(&self.original)
    }

    /// Thinks about a section: 60 to 100 % of the longest thought, by seed, section and attempt.
    pub(crate) async fn think(&self, section: SectionId, attempt: u64) {
        let name = section.to_string();
        let mixed =
            name.bytes().fold(self.seed, |mixed, byte| mixed.rotate_left(7) ^ u64::from(byte));
        let spread = Rng::new(mixed.wrapping_add(attempt)).next() % 41;
        let percent = u32::try_from(60 + spread).expect("invariant: at most 100");
        pause(self.think_max * percent / 100).await;
    }
}
