//! Who wrote which bytes of each section. Holds D18.

use std::collections::{BTreeMap, BTreeSet};

use super::{Coordinator, Holder};
use crate::history::{Move, Update};
use crate::section::SectionId;
use crate::sheet::{OutlineChange, Sheet};
use crate::text::{Run, Runs};

/// From so many authors on, those who have no words left in the text are looked for and forgotten.
// 1,024 x about 100 B = 100 KB. Twice as many as were left the last time, so each search pays for itself.
const AUTHORS_MIN: usize = 1_024;

/// Neighbouring bytes of a section that one update of one author wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlameRun {
    /// How many bytes; at least one.
    pub len: usize,
    /// Who wrote them; `None` for what the document was loaded with.
    pub author: Option<Holder>,
    /// The number of the update; 0 for what the document was loaded with.
    pub seq: u64,
}

/// An author by number; 0 is nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AuthorKey(u32);

const NOBODY: AuthorKey = AuthorKey(0);

/// The authors of every section, the archived ones included.
#[derive(Debug, Clone)]
pub(crate) struct Blame {
    /// By number, from 1.
    authors: Vec<Holder>,
    keys: BTreeMap<Holder, AuthorKey>,
    /// Who wrote last: mostly who writes next.
    last: AuthorKey,
    sections: Vec<Runs<AuthorKey>>,
    /// So many authors make it worth looking for those who have no words left.
    sweep_at: usize,
}

impl Blame {
    /// That of texts that nobody has edited.
    pub(crate) fn new(sheet: &Sheet) -> Self {
        let runs = sheet.slots.iter().map(|slot| Runs::of(slot.text.len(), NOBODY, 0));
        Self::of(Vec::new(), runs.collect())
    }

    fn of(authors: Vec<Holder>, sections: Vec<Runs<AuthorKey>>) -> Self {
        let keys = (1..).zip(&authors).map(|(n, author)| (author.clone(), AuthorKey(n))).collect();
        let sweep_at = AUTHORS_MIN.max(authors.len() * 2);
        Self { authors, keys, last: NOBODY, sections, sweep_at }
    }

    /// That of kept runs: length, number of the update, number of the author. `None` if they cannot be those
    /// of `sheet`.
    pub(crate) fn restore(
        authors: Vec<Holder>,
        runs: Vec<Vec<(usize, u64, u32)>>,
        sheet: &Sheet,
    ) -> Option<Self> {
        if runs.len() != sheet.slots.len() {
            return None;
        }
        let is_known = |key: u32| usize::try_from(key).is_ok_and(|key| key <= authors.len());
        let mut sections = Vec::with_capacity(runs.len());
        for (list, slot) in runs.into_iter().zip(&sheet.slots) {
            let mut left = slot.text.len();
            for (len, seq, author) in &list {
                left = left.checked_sub(*len)?;
                if *len == 0 || *seq > sheet.seq || !is_known(*author) {
                    return None;
                }
            }
            if left > 0 {
                return None;
            }
            let run = |(len, seq, key)| Run { len, seq, author: AuthorKey(key) };
            sections.push(list.into_iter().map(run).collect());
        }
        let blame = Self::of(authors, sections);
        (blame.keys.len() == blame.authors.len()).then_some(blame)
    }

    /// Those who wrote, by number from 1.
    pub(crate) fn authors(&self) -> &[Holder] {
        &self.authors
    }

    /// The runs of each section: length, number of the update, number of the author.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = Vec<(usize, u64, u32)>> {
        let numbered = |run: &Run<AuthorKey>| (run.len, run.seq, run.author.0);
        self.sections.iter().map(move |runs| runs.iter().map(numbered).collect())
    }

    pub(crate) fn section(&self, section: SectionId) -> Option<Vec<BlameRun>> {
        let runs = self.sections.get(section.index())?;
        Some(runs.iter().map(|run| self.named(run)).collect())
    }

    fn named(&self, run: &Run<AuthorKey>) -> BlameRun {
        BlameRun { len: run.len, author: self.author(run.author).cloned(), seq: run.seq }
    }

    fn author(&self, key: AuthorKey) -> Option<&Holder> {
        self.authors.get((key.0 as usize).checked_sub(1)?)
    }

    /// Takes an update into account that the sheet has carried out.
    pub(crate) fn follow(&mut self, update: &Update, moves: &[Move]) {
        let moved: Vec<Vec<Run<AuthorKey>>> = moves
            .iter()
            .map(|step| self.sections[step.from.index()].slice(step.range.clone()).collect())
            .collect();
        let n_added =
            update.outline.iter().filter(|change| matches!(change, OutlineChange::Added { .. }));
        let n_sections = self.sections.len() + n_added.count();
        self.sections.resize_with(n_sections, Runs::new);
        let key = self.key(update.writer());
        for edit in &update.edits {
            let runs = &mut self.sections[edit.section.index()];
            for splice in edit.splices.iter().rev() {
                put(runs, splice.at, splice.removed.len(), splice.inserted.len(), key, update.seq);
            }
        }
        for (step, list) in moves.iter().zip(moved) {
            let runs = &mut self.sections[step.to.index()];
            let mut at = step.at;
            for Run { len, seq, author } in list {
                put(runs, at, len, len, author, seq);
                at += len;
            }
        }
    }

    fn key(&mut self, author: &Holder) -> AuthorKey {
        if self.author(self.last) == Some(author) {
            return self.last;
        }
        self.last = match self.keys.get(author) {
            Some(key) => *key,
            None => self.enter(author),
        };
        self.last
    }

    fn enter(&mut self, author: &Holder) -> AuthorKey {
        if self.authors.len() >= self.sweep_at {
            self.sweep();
        }
        self.authors.push(author.clone());
        let n = u32::try_from(self.authors.len()).expect("invariant: no more than there are runs");
        self.keys.insert(author.clone(), AuthorKey(n));
        AuthorKey(n)
    }

    /// Forgets authors who have no words left.
    #[cold]
    fn sweep(&mut self) {
        let used: BTreeSet<AuthorKey> =
            self.sections.iter().flat_map(Runs::iter).map(|run| run.author).collect();
        let left: Vec<AuthorKey> = used.into_iter().filter(|key| *key != NOBODY).collect();
        let new: BTreeMap<AuthorKey, AuthorKey> =
            left.iter().copied().zip((1..).map(AuthorKey)).collect();
        let renumbered = |runs: &Runs<AuthorKey>| {
            let author = |key| new.get(&key).copied().unwrap_or(NOBODY);
            runs.iter().map(|run| Run { author: author(run.author), ..*run }).collect()
        };
        let sections = self.sections.iter().map(renumbered).collect();
        let authors = left.iter().filter_map(|key| self.author(*key).cloned()).collect();
        *self = Self::of(authors, sections);
    }
}

fn put(runs: &mut Runs<AuthorKey>, at: usize, del: usize, ins: usize, key: AuthorKey, seq: u64) {
    let done = runs.splice(at, del, ins, &key, seq);
    debug_assert_eq!(done, Ok(()), "runs are as long as their text");
}

impl PartialEq for Blame {
    // Numbers of authors are a matter of the order in which they came.
    fn eq(&self, other: &Self) -> bool {
        let names = |blame: &Self| -> Vec<Vec<BlameRun>> {
            let named = |runs: &Runs<AuthorKey>| runs.iter().map(|run| blame.named(run)).collect();
            blame.sections.iter().map(named).collect()
        };
        names(self) == names(other)
    }
}

impl Eq for Blame {}

impl Coordinator {
    /// Who wrote the text of a section, from its first byte to its last; also of one that is archived. Holds
    /// D18.
    ///
    /// The words of a suggestion are of who suggested them. What a revert brings back is of who reverted.
    #[must_use]
    pub fn blame(&self, section: SectionId) -> Option<Vec<BlameRun>> {
        self.past.blame.section(section)
    }
}

#[cfg(test)]
mod tests;
