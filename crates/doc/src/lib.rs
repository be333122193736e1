//! One Markdown document that many agents edit at once, without losing an edit.
//!
//! Everything here is pure: text, commands and a time go in, answers and notes to others come out. Not
//! here: files, clocks, mailboxes.
//!
//! Reading order: [`markdown`], [`section`].

pub mod limits;
pub mod markdown;
pub mod section;

pub use section::{Document, LoadError, Section, SectionId};

#[cfg(test)]
mod soup;
