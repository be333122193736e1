//! What editors were told of the sections and their order.

use std::collections::BTreeMap;

use ggml_agent_doc::{About, Coordinator, SectionId};

use crate::mirror::Entry;

/// The outline as it was told last.
#[derive(Debug, Default)]
pub(super) struct Outline(BTreeMap<SectionId, Entry>);

impl Outline {
    pub(super) fn of(document: &Coordinator) -> Self {
        Self(document.about().map(|about| (about.id, entry(&about))).collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SectionId, Entry)> + '_ {
        self.0.iter().map(|(section, entry)| (*section, entry.clone()))
    }

    /// Sections that nobody was told of; they count as told.
    pub(super) fn added(&mut self, document: &Coordinator) -> Vec<(SectionId, Entry)> {
        if document.n_sections() == self.0.len() {
            return Vec::new();
        }
        let new: Vec<(SectionId, Entry)> =
            document.about().skip(self.0.len()).map(|about| (about.id, entry(&about))).collect();
        self.0.extend(new.iter().cloned());
        new
    }

    /// Those of `sections` whose entry is another now; they count as told.
    pub(super) fn changed(
        &mut self,
        sections: &[SectionId],
        document: &Coordinator,
    ) -> Vec<(SectionId, Entry)> {
        let mut changed = Vec::new();
        for section in sections {
            let Some(entry) = document.about_section(*section).map(|about| entry(&about)) else {
                continue;
            };
            if self.0.get(section) != Some(&entry) {
                self.0.insert(*section, entry.clone());
                changed.push((*section, entry));
            }
        }
        changed
    }
}

fn entry(about: &About) -> Entry {
    Entry {
        title: about.title.clone(),
        order: order(about),
        archived: about.place.is_none(),
        level: about.level,
    }
}

/// Where a section stands. Compared as text: all have the same length.
pub(crate) fn order(about: &About) -> String {
    format!("{:06}", about.place.unwrap_or(usize::MAX).min(999_999))
}
