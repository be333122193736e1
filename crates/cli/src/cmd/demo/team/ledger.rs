//! The account of a run: counted from the event stream, checked against the file.

use std::collections::BTreeMap;
use std::sync::Arc;

use ggml_agent::EventKind;
use ggml_agent::core::supervise::Decision;
use ggml_agent_doc::history::Update;
use ggml_agent_doc::{DocEventKind, Document, SectionId, Text};

use super::editor::Told;
use super::event::TeamEvent;
use crate::cmd::demo::narrate::{doc_event, team_event};

/// What the events add up to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    pub(crate) n_sections: usize,
    pub(crate) n_done: usize,
    pub(crate) n_kills: usize,
    pub(crate) n_crashes: usize,
    pub(crate) n_restarts: usize,
    pub(crate) n_replays: usize,
    pub(crate) n_replays_accepted: usize,
    pub(crate) n_refused_by_fence: usize,
    /// Accepted edits: their number in the document and their section.
    pub(crate) accepted: Vec<(u64, SectionId)>,
}

impl Ledger {
    pub(crate) fn new(n_sections: usize) -> Self {
        Self { n_sections, ..Self::default() }
    }

    /// Takes an event into account.
    pub(crate) fn note(&mut self, kind: &EventKind) {
        match kind {
            EventKind::AgentExited { reason, started: true, .. } if reason.is_abnormal() => {
                self.n_crashes += 1;
            }
            EventKind::Supervision { decision: Decision::Restarting { .. }, .. } => {
                self.n_restarts += 1;
            }
            _ => {}
        }
        if let Some(event) = doc_event(kind) {
            match &event.kind {
                DocEventKind::EditAccepted { section, seq, .. } => {
                    self.accepted.push((*seq, *section));
                }
                refused if refused.is_fenced() => self.n_refused_by_fence += 1,
                _ => {}
            }
        }
        match team_event(kind) {
            Some(TeamEvent::SectionDone { .. }) => self.n_done += 1,
            Some(TeamEvent::Kill { .. }) => self.n_kills += 1,
            Some(TeamEvent::Replay { .. }) => self.n_replays += 1,
            Some(TeamEvent::ReplayAccepted { .. }) => self.n_replays_accepted += 1,
            _ => {}
        }
    }

    /// How many accepted edits are not in the file: every line that an edit added must stand in its
    /// section at least as often as it did after the edit, and the text of a section is that of its
    /// last edit.
    pub(crate) fn n_lost(&self, told: &Told, file: &Document) -> usize {
        let Told { begun, updates } = told;
        let mut texts: BTreeMap<SectionId, Text> =
            begun.iter().map(|view| (view.id, view.text.clone())).collect();
        let edits = || updates.iter().flat_map(|update| update.edits.iter());
        let last: BTreeMap<SectionId, u64> =
            edits().map(|edit| (edit.section, edit.version)).collect();
        let told: BTreeMap<u64, &Arc<Update>> =
            updates.iter().map(|update| (update.seq, update)).collect();
        let mut n_lost = 0;
        for (seq, section) in &self.accepted {
            let edit = told.get(seq).and_then(|update| update.edit(*section));
            let found = file.section(*section).map(ggml_agent_doc::Section::text);
            let (Some(edit), Some(found), Some(text)) = (edit, found, texts.get_mut(section))
            else {
                n_lost += 1; // Accepted, and nobody was told, or the section is gone.
                continue;
            };
            let before = text.to_string();
            let is_kept = edit.apply(text)
                && if last.get(section) == Some(&edit.version) {
                    *text == *found
                } else {
                    holds(found, &before, &text.to_string())
                };
            n_lost += usize::from(!is_kept);
        }
        n_lost
    }
}

/// Whether `found` has every line that `after` has and `before` has not, as often as `after`.
fn holds(found: &str, before: &str, after: &str) -> bool {
    let (found, before, after) = (lines(found), lines(before), lines(after));
    let n = |lines: &BTreeMap<&str, usize>, line: &str| lines.get(line).copied().unwrap_or(0);
    after.iter().all(|(line, count)| *count <= n(&before, line) || n(&found, line) >= *count)
}

/// Each line and how often it stands there.
fn lines(text: &str) -> BTreeMap<&str, usize> {
    let mut lines = BTreeMap::new();
    for line in text.lines() {
        *lines.entry(line).or_default() += 1;
    }
    lines
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
