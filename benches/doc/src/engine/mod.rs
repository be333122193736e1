//! What a trace is replayed in. Each edit is on its own, as in live editing: it is applied, and the bytes that tell
//! others of it, or that a log keeps, are made where there are any.

mod automerge;
mod diamond;
mod loro;
mod rope;
mod strong;
mod yrs;

use clap::ValueEnum;

/// An empty text that edits are applied to.
pub(crate) trait Engine {
    /// Applies an edit; answers how many bytes say so to others, 0 where there is no such form.
    fn apply(&mut self, at: usize, del: usize, insert: &str) -> usize;

    /// The text as it is now.
    fn text(&mut self) -> String;
}

/// The engines, in the order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Kind {
    /// ropey: a text without anything, the floor.
    Rope,
    /// Ours in memory: lock, fence, version, Markdown rules, history.
    Strong,
    /// Ours with the entry that a durable document keeps.
    #[value(name = "strong+entry")]
    StrongEntry,
    /// diamond-types.
    Diamond,
    /// loro.
    Loro,
    /// yrs.
    Yrs,
    /// automerge.
    Automerge,
}

impl Kind {
    pub(crate) fn engine(self) -> Box<dyn Engine> {
        match self {
            Self::Rope => Box::new(rope::Rope::new()),
            Self::Strong => Box::new(strong::Strong::new()),
            Self::StrongEntry => Box::new(strong::Strong::durable()),
            Self::Diamond => Box::new(diamond::Diamond::new()),
            Self::Loro => Box::new(loro::Loro::new()),
            Self::Yrs => Box::new(yrs::Yrs::new()),
            Self::Automerge => Box::new(automerge::Automerge::new()),
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Rope => "rope alone (ropey 1.6)",
            Self::Strong => "strong (ours)",
            Self::StrongEntry => "strong+entry (ours)",
            Self::Diamond => "diamond-types 1.0",
            Self::Loro => "loro 1.17",
            Self::Yrs => "yrs 0.28",
            Self::Automerge => "automerge 0.12",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Shape, Trace};

    #[test]
    fn every_engine_has_the_same_text_after_the_same_edits() {
        for shape in Shape::value_variants() {
            let trace = Trace::make(*shape, 7);
            for kind in Kind::value_variants() {
                let mut engine = kind.engine();
                let mut n_bytes = 0;
                for edit in trace.edits.iter().take(2_000) {
                    n_bytes += engine.apply(edit.at, edit.del, &edit.insert);
                }
                assert_eq!(engine.text(), trace.text_after(2_000), "{kind} {shape:?}");
                let is_silent = matches!(kind, Kind::Rope | Kind::Strong);
                assert_eq!(n_bytes == 0, is_silent, "{kind} tells others nothing");
            }
        }
    }
}
