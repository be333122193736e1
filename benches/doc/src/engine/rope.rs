//! A rope alone: what any text of this size costs, without locks, order or history.

use super::Engine;

pub(super) struct Rope(ropey::Rope);

impl Rope {
    pub(super) fn new() -> Self {
        Self(ropey::Rope::new())
    }
}

impl Engine for Rope {
    fn apply(&mut self, at: usize, del: usize, insert: &str) -> usize {
        if del > 0 {
            self.0.remove(at..at + del);
        }
        if !insert.is_empty() {
            self.0.insert(at, insert);
        }
        0
    }

    fn text(&mut self) -> String {
        self.0.to_string()
    }
}
