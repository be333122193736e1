//! Editing traces: who typed what where, edit by edit.

mod file;
mod make;

pub(crate) use self::make::Shape;

/// One edit: removes `del` characters at `at`, then inserts there. All characters are ASCII, so that bytes,
/// characters and UTF-16 units are the same and every engine counts what it likes best.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) at: usize,
    pub(crate) del: usize,
    pub(crate) insert: String,
}

/// The edits that wrote one text, from nothing.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    pub(crate) name: String,
    /// Whether somebody typed it, or our generator made it.
    pub(crate) is_made: bool,
    pub(crate) edits: Vec<Edit>,
}

/// What of a trace is published of others, and thus can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shaped {
    pub(crate) n_edits: usize,
    /// Characters that were inserted, and removed.
    pub(crate) inserted: usize,
    pub(crate) removed: usize,
    /// Edits that neither begin where the last one ended nor end there.
    pub(crate) jumps: usize,
    pub(crate) longest_insert: usize,
}

impl Trace {
    /// Leaves only the first `n` edits.
    pub(crate) fn cut(&mut self, n: usize) {
        self.edits.truncate(n);
    }

    /// What it is like.
    pub(crate) fn shaped(&self) -> Shaped {
        let mut shaped = Shaped {
            n_edits: self.edits.len(),
            inserted: 0,
            removed: 0,
            jumps: 0,
            longest_insert: 0,
        };
        let mut cursor = 0;
        for edit in &self.edits {
            shaped.inserted += edit.insert.len();
            shaped.removed += edit.del;
            shaped.longest_insert = shaped.longest_insert.max(edit.insert.len());
            shaped.jumps += usize::from(cursor != edit.at && cursor != edit.at + edit.del);
            cursor = edit.at + edit.insert.len();
        }
        shaped
    }

    /// The text after the first `n` edits, by the simplest means: what every engine must have, too.
    pub(crate) fn text_after(&self, n: usize) -> String {
        let mut text = ropey::Rope::new();
        for edit in self.edits.iter().take(n) {
            text.remove(edit.at..edit.at + edit.del);
            text.insert(edit.at, &edit.insert);
        }
        text.to_string()
    }
}

#[cfg(test)]
mod tests;
