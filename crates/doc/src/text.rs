//! What differs between two texts, how two changes of one text go together, and where something stands.
//!
//! Pure functions over `&str`. Every position is a byte offset at a boundary between characters. Nothing here
//! knows of sections, locks or time.
//!
//! Reading order: [`change`], [`mod@diff`], [`units`], [`mod@merge`], [`runs`].

pub mod change;
pub mod diff;
pub mod merge;
pub mod runs;
pub mod units;

pub use change::{Change, Changes, Misfit, Side};
pub use diff::{Granularity, Span, diff, spans};
pub use merge::{Conflict, Merged, Overlap, Part, merge};
pub use runs::{Run, Runs};
