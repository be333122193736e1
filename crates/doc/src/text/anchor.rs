//! A place of a text, said in words instead of numbers: it means the same after others have written elsewhere.

use std::ops::Range;

use super::change::Side;
use super::find::{Candidate, Excerpt, find, nearest};

/// Most excerpts of an error.
// 4 x 240 B: what an agent reads to tell them apart.
pub const EXCERPTS_MAX: usize = 4;

/// Where in a section.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Anchor {
    /// The first byte.
    Start,
    /// The last byte.
    End,
    /// The heading, with the end of its line.
    Heading,
    /// A part of the text, word for word.
    Quote {
        /// The part.
        text: String,
        /// Which of its occurrences, from 1, those counted that overlap; without it there must be one only.
        nth: Option<usize>,
    },
}

/// Why a place was not found: whoever asks was told something else, or the text has changed. Quote what is
/// there now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnchorError {
    /// The section has no heading.
    #[error("the section has no heading; use its start, or quote a part of its text")]
    NoHeading,
    /// The quoted text is empty.
    #[error("the quoted text is empty; quote a part of the section, word for word")]
    EmptyQuote,
    /// The quoted text is not there.
    #[error("the quoted text is not in the section; quote it word for word{}", hint(.nearest.as_ref()))]
    NoQuote {
        /// What is closest to it.
        nearest: Option<Candidate>,
    },
    /// The quoted text is there more than once.
    #[error("the quoted text occurs {n} times; quote more of it, or say which one")]
    Ambiguous {
        /// How often.
        n: usize,
        /// The first [`EXCERPTS_MAX`] of them.
        excerpts: Vec<Excerpt>,
    },
    /// The quoted text is not there that often.
    #[error("the quoted text occurs {n} times, and its occurrence number {nth} was asked for")]
    NoNth {
        /// How often.
        n: usize,
        /// Which was asked for.
        nth: usize,
        /// The first [`EXCERPTS_MAX`] of them.
        excerpts: Vec<Excerpt>,
    },
}

impl Anchor {
    /// The byte of `text` before or after this place; its first `heading_len` bytes are the heading.
    ///
    /// # Errors
    /// [`AnchorError`], with what there is instead.
    ///
    /// # Example
    /// ```
    /// use ggml_agent_doc::text::{Anchor, Side};
    /// let quote = Anchor::Quote { text: "two".into(), nth: None };
    /// assert_eq!(quote.find("one two three", 0, Side::After)?, 7);
    /// # Ok::<(), ggml_agent_doc::text::AnchorError>(())
    /// ```
    pub fn find(&self, text: &str, heading_len: usize, side: Side) -> Result<usize, AnchorError> {
        let range = match self {
            Self::Start => 0..0,
            Self::End => text.len()..text.len(),
            Self::Heading if heading_len == 0 => return Err(AnchorError::NoHeading),
            Self::Heading => 0..heading_len,
            Self::Quote { text: quote, nth } => quoted(text, quote, *nth)?,
        };
        Ok(if side == Side::Before { range.start } else { range.end })
    }
}

fn quoted(text: &str, quote: &str, nth: Option<usize>) -> Result<Range<usize>, AnchorError> {
    if quote.is_empty() {
        return Err(AnchorError::EmptyQuote);
    }
    let n = find(text, quote).count();
    let range = |at: usize| at..at + quote.len();
    let excerpts =
        || find(text, quote).take(EXCERPTS_MAX).map(|at| Excerpt::around(text, &range(at)));
    let at = match nth {
        _ if n == 0 => return Err(AnchorError::NoQuote { nearest: nearest(text, quote) }),
        None if n == 1 => find(text, quote).next(),
        None => return Err(AnchorError::Ambiguous { n, excerpts: excerpts().collect() }),
        Some(nth) => nth.checked_sub(1).and_then(|skipped| find(text, quote).nth(skipped)),
    };
    at.map(range).ok_or_else(|| AnchorError::NoNth {
        n,
        nth: nth.unwrap_or(1),
        excerpts: excerpts().collect(),
    })
}

/// The end of a message about something that was not found.
pub(crate) fn hint(nearest: Option<&Candidate>) -> String {
    nearest.map_or_else(String::new, |Candidate { similarity, excerpt, .. }| {
        format!("; closest, {similarity} % alike, is line {}: {:?}", excerpt.line, excerpt.text)
    })
}

#[cfg(test)]
mod tests;
