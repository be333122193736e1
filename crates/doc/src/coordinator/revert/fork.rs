//! The text as it would be without some of its updates, and how it is reached from the text that there is.

use std::collections::BTreeMap;

use super::Conflict;
use crate::change::Splice;
use crate::history::{Move, SectionEdit, Update};
use crate::limits::EXCERPT_BYTES_MAX;
use crate::section::SectionId;
use crate::sheet::OutlineChange;
use crate::text::{Change, Changes, Granularity, Side, diff};

/// Most bytes of two texts that are compared word by word.
// 64 KiB take about a millisecond; beyond, a change is taken back as a whole or not at all.
const FINE_BYTES_MAX: usize = 64 * 1024;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Fork {
    /// For each section the changes that lead from its text to the text without the updates.
    pub(super) sections: BTreeMap<SectionId, Changes>,
    /// Sections that the updates added and nobody else has written in.
    pub(super) added: BTreeMap<SectionId, (u64, OutlineChange)>,
    pub(super) conflicts: Vec<Conflict>,
    pub(super) n_conflicts: usize,
    conflicts_max: usize,
}

impl Fork {
    /// No update is left out yet, and at most so many conflicts are listed.
    pub(super) fn new(conflicts_max: usize) -> Self {
        Self {
            sections: BTreeMap::new(),
            added: BTreeMap::new(),
            conflicts: Vec::new(),
            n_conflicts: 0,
            conflicts_max,
        }
    }

    /// Takes the next update into account, which is left out or is not.
    pub(super) fn follow(&mut self, update: &Update, is_left_out: bool) {
        let moves = if update.outline.is_empty() { Vec::new() } else { update.moves() };
        self.follow_outline(update, is_left_out);
        if !moves.is_empty() {
            // The edits of such an update are the move.
            let cut: Vec<Changes> = moves.iter().map(|step| self.cut(step)).collect();
            for (step, changes) in moves.iter().zip(cut) {
                self.paste(step, &changes);
            }
            return;
        }
        for edit in &update.edits {
            let section = edit.section;
            let came_now = |change: &OutlineChange| matches!(change, OutlineChange::Added { section, .. } if *section == edit.section);
            if update.outline.iter().any(came_now) {
                // It goes as a whole, or stays as it came.
                continue;
            }
            if !is_left_out {
                self.keep_added(section);
            }
            let fork = self.sections.remove(&section).unwrap_or_default();
            let fork = if is_left_out {
                // Back to the text before, and on as far as that was away. Both are of whole characters.
                fine_inverse(edit).compose(&fork).unwrap_or(fork)
            } else if fork.is_empty() {
                fork
            } else {
                let over = edit.changes();
                self.without_conflicts(fork, &over, update, section).rebase(&over, Side::Before)
            };
            if !fork.is_empty() {
                self.sections.insert(section, fork);
            }
        }
    }

    /// `fork` without the places where `over` changes words that stand in place of others.
    fn without_conflicts(
        &mut self,
        fork: Changes,
        over: &Changes,
        update: &Update,
        section: SectionId,
    ) -> Changes {
        let is_changed =
            |mine: &Change, other: &Change| mine.at.max(other.at) < mine.end().min(other.end());
        let mut kept = Changes::none();
        for mine in &fork {
            let is_replacement = mine.del > 0 && !mine.insert.is_empty();
            let other = over.into_iter().find(|other| is_replacement && is_changed(mine, other));
            match other {
                None => kept.push_parts(mine.at, mine.del, &mine.insert),
                Some(other) => self.note(Conflict::Overwritten {
                    section,
                    seq: update.seq,
                    by: update.writer().clone(),
                    lost: excerpt(&mine.insert),
                    stands: excerpt(&other.insert),
                }),
            }
        }
        kept
    }

    fn note(&mut self, conflict: Conflict) {
        self.n_conflicts += 1;
        if self.conflicts.len() < self.conflicts_max {
            self.conflicts.push(conflict);
        }
    }

    /// Sections come and go as they did; only one that was added with a text of its own goes again.
    fn follow_outline(&mut self, update: &Update, is_left_out: bool) {
        for change in &update.outline {
            let Some(section) = change.section() else {
                // What stands before all sections is taken back by whoever imports it.
                if is_left_out {
                    self.note(Conflict::Outline { seq: update.seq, change: change.clone() });
                }
                continue;
            };
            let is_elsewhere =
                matches!(change, OutlineChange::Mode { .. } | OutlineChange::Moved { .. });
            match change {
                OutlineChange::Added { from: None, .. } if is_left_out => {
                    self.added.insert(section, (update.seq, change.clone()));
                }
                // Who adds a section and archives it has nothing left to take back.
                OutlineChange::Archived { .. } if self.added.contains_key(&section) => {
                    self.added.remove(&section);
                    self.sections.remove(&section);
                }
                _ if is_left_out => {
                    self.note(Conflict::Outline { seq: update.seq, change: change.clone() });
                }
                _ if !is_elsewhere => self.keep_added(section),
                _ => {}
            }
        }
    }

    /// Somebody else has written in a section that would have gone: it stays.
    fn keep_added(&mut self, section: SectionId) {
        if let Some((seq, change)) = self.added.remove(&section) {
            self.note(Conflict::Outline { seq, change });
        }
    }

    /// Takes what is to change in a text that moves to where it goes.
    fn paste(&mut self, step: &Move, changes: &Changes) {
        self.keep_added(step.to);
        let there = self.sections.entry(step.to).or_default();
        for Change { at, del, insert } in changes {
            there.push_parts(at + step.at, *del, insert);
        }
    }

    /// Takes what is to change in a text that moves out of the changes of the section where it was: positions
    /// from the beginning of the text.
    fn cut(&mut self, step: &Move) -> Changes {
        let (mut stays, mut goes) = (Changes::none(), Changes::none());
        for Change { at, del, insert } in &self.sections.remove(&step.from).unwrap_or_default() {
            let start = step.range.start;
            if start == 0 || *at > start {
                goes.push_parts(at - start, *del, insert);
            } else {
                // What is inserted just at the cut stays with what is before.
                let here = (*del).min(start - at);
                stays.push_parts(*at, here, insert);
                goes.push_parts(0, del - here, "");
            }
        }
        self.sections.insert(step.from, stays);
        goes
    }
}

/// What takes `edit` back, word by word: where somebody has changed a word of it since, the others can still be
/// taken back.
fn fine_inverse(edit: &SectionEdit) -> Changes {
    let mut fine = Changes::none();
    let (mut gone, mut come) = (0, 0);
    for Splice { at, removed, inserted } in &edit.splices {
        let at = at - gone + come;
        gone += removed.len();
        come += inserted.len();
        let is_replacement = !removed.is_empty() && !inserted.is_empty();
        if is_replacement && removed.len() + inserted.len() <= FINE_BYTES_MAX {
            for change in &diff(inserted, removed, Granularity::Words) {
                fine.push_parts(at + change.at, change.del, &change.insert);
            }
        } else {
            fine.push_parts(at, inserted.len(), removed);
        }
    }
    fine
}

fn excerpt(text: &str) -> String {
    let mut end = text.len().min(EXCERPT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
