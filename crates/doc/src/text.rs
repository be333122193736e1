//! What differs between two texts, how two changes of one text go together, and where something stands.
//!
//! Pure functions over `&str`. Every position is a byte offset at a boundary between characters. Nothing here
//! knows of sections, locks or time.
//!
//! Reading order: [`change`], [`mod@diff`], [`units`], [`mod@merge`], [`runs`], [`mod@find`], [`anchor`], [`mod@show`].

pub mod anchor;
pub mod change;
pub mod diff;
pub mod find;
pub mod merge;
pub mod runs;
pub mod show;
pub mod units;

pub use anchor::{Anchor, AnchorError};
pub use change::{Change, Changes, Misfit, Side};
pub use diff::{Granularity, Span, diff, spans};
pub use find::{Candidate, Excerpt, find, nearest};
pub use merge::{Conflict, Merged, Overlap, Part, merge};
pub use runs::{Run, Runs};
pub use show::{Shown, show};

/// The last boundary between characters that is not behind `at`.
pub(crate) fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The first boundary between characters that is not before `at`.
pub(crate) fn ceil(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}
