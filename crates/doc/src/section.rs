//! A document as ordered sections, each with the exact bytes of its source.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;
use std::sync::Arc;

use crate::limits::{DOCUMENT_BYTES_MAX, SECTION_BYTES_MAX, SECTIONS_MAX};
use crate::markdown::{self, Heading, Place};

/// The name of a section: `s1`, `s2`, ... in the order of the document when it was loaded. It does not
/// depend on the title and is never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SectionId(u32);

impl SectionId {
    pub(crate) fn nth(index: usize) -> Self {
        Self(u32::try_from(index + 1).expect("invariant: at most SECTIONS_MAX sections"))
    }

    /// The section that a record calls by this number, which counts from 1.
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        (number > 0).then_some(Self(number))
    }

    pub(crate) fn number(self) -> u32 {
        self.0
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize - 1
    }
}

impl fmt::Display for SectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

impl fmt::Debug for SectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for SectionId {
    type Err = ParseSectionIdError;

    fn from_str(id: &str) -> Result<Self, Self::Err> {
        let digits = id.strip_prefix('s').ok_or(ParseSectionIdError::NoPrefix)?;
        // One name per section: "s01" and "s+1" are not "s1".
        if !digits.starts_with(|c: char| matches!(c, '1'..='9')) {
            return Err(ParseSectionIdError::NotCanonical);
        }
        Ok(Self(digits.parse().map_err(ParseSectionIdError::NotANumber)?))
    }
}

/// Why a text is not a section id. The caller is at fault: ids look like `s1`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseSectionIdError {
    /// It does not begin with `s`.
    #[error("section id does not begin with \"s\"; ids look like \"s1\"")]
    NoPrefix,
    /// What follows the `s` does not begin with a digit from 1 to 9.
    #[error("section id has no number from 1 after its \"s\"; ids look like \"s1\"")]
    NotCanonical,
    /// What follows the `s` is no number.
    #[error("section id is not \"s\" and a number")]
    NotANumber(#[source] ParseIntError),
}

/// One section: a heading at the top level of the document and everything up to the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    id: SectionId,
    heading: Option<Heading>,
    text: Arc<str>,
}

impl Section {
    /// Its name.
    #[must_use]
    pub fn id(&self) -> SectionId {
        self.id
    }

    /// Its heading, with a range inside [`Self::text`]; none for what stands before the first heading.
    #[must_use]
    pub fn heading(&self) -> Option<&Heading> {
        self.heading.as_ref()
    }

    /// Its exact source: heading and body.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its exact source, shared.
    #[must_use]
    pub fn shared_text(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    /// The source of its heading, with line endings; empty without a heading.
    #[must_use]
    pub fn heading_source(&self) -> &str {
        self.heading.as_ref().map_or("", |heading| &self.text[heading.range.clone()])
    }

    /// The source after its heading.
    #[must_use]
    pub fn body(&self) -> &str {
        self.heading.as_ref().map_or(&self.text, |heading| &self.text[heading.range.end..])
    }
}

/// A Markdown document: front, then sections. Joined, they are the source, byte for byte.
///
/// # Example
/// ```
/// use ggml_agent_doc::Document;
/// let source = "Before.\n\n# One\n\n```sh\n# not a heading\n```\n\nTwo\n===\n";
/// let document = Document::parse(source)?;
/// let headings: Vec<&str> = document.sections().iter().map(|s| s.heading_source()).collect();
/// assert_eq!(headings, ["", "# One\n", "Two\n===\n"]);
/// assert_eq!(document.to_markdown(), source);
/// # Ok::<(), ggml_agent_doc::LoadError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    front: Arc<str>,
    sections: Vec<Section>,
}

impl Document {
    /// Reads a document from the bytes of a file.
    ///
    /// # Errors
    /// [`LoadError`] says what is wrong and where; the file is at fault.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LoadError> {
        // Before UTF-8 is checked: a file of 10 GB deserves a quick answer.
        too_large(bytes.len())?;
        let text = std::str::from_utf8(bytes).map_err(|error| LoadError::NotUtf8 {
            at: error.valid_up_to(),
            line: 1 + bytes[..error.valid_up_to()].iter().filter(|b| **b == b'\n').count(),
        })?;
        Self::parse(text)
    }

    /// Cuts `text` at its top-level headings. What stands before the first heading is a section of its
    /// own (unless there is nothing but front matter before it); a text without a heading, even an
    /// empty one, is one section.
    ///
    /// # Errors
    /// [`LoadError`] when a limit is exceeded.
    pub fn parse(text: &str) -> Result<Self, LoadError> {
        too_large(text.len())?;
        let (front, body) = markdown::split_front(text);
        let mut headings = markdown::headings(body);
        headings.retain(|heading| heading.place == Place::Top);
        let first = headings.first().map_or(body.len(), |heading| heading.range.start);
        let mut sections = Vec::with_capacity(headings.len() + 1);
        if first > 0 || headings.is_empty() {
            sections.push(Section {
                id: SectionId::nth(0),
                heading: None,
                text: body[..first].into(),
            });
        }
        if headings.len() + sections.len() > SECTIONS_MAX {
            return Err(LoadError::TooManySections { n: headings.len() + sections.len() });
        }
        let ends: Vec<usize> = headings
            .iter()
            .skip(1)
            .map(|heading| heading.range.start)
            .chain([body.len()])
            .collect();
        for (mut heading, end) in headings.into_iter().zip(ends) {
            let start = heading.range.start;
            heading.range = 0..heading.range.end - start;
            let id = SectionId::nth(sections.len());
            sections.push(Section { id, heading: Some(heading), text: body[start..end].into() });
        }
        for section in &sections {
            let len = section.text.len();
            if len > SECTION_BYTES_MAX {
                return Err(LoadError::SectionTooLarge { section: section.id, len });
            }
        }
        Ok(Self { front: front.into(), sections })
    }

    /// Byte order mark and front matter with its fences, exactly; mostly empty.
    #[must_use]
    pub fn front(&self) -> &str {
        &self.front
    }

    /// The sections in order; at least one.
    #[must_use]
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The section with this id.
    #[must_use]
    pub fn section(&self, id: SectionId) -> Option<&Section> {
        self.sections.get(id.index())
    }

    /// The source, byte for byte.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut text = String::from(&*self.front);
        for section in &self.sections {
            text.push_str(&section.text);
        }
        text
    }
}

fn too_large(len: usize) -> Result<(), LoadError> {
    if len > DOCUMENT_BYTES_MAX { Err(LoadError::TooLarge { len }) } else { Ok(()) }
}

/// Why a file is not a document that can be worked on. The file is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// It is not UTF-8.
    #[error("invalid UTF-8 at byte {at} (line {line}); convert the file to UTF-8 first")]
    NotUtf8 {
        /// Offset of the first bad byte.
        at: usize,
        /// Its line, from 1.
        line: usize,
    },
    /// It is larger than [`DOCUMENT_BYTES_MAX`].
    #[error(
        "document has {len} bytes, at most {DOCUMENT_BYTES_MAX} are allowed; split it into several files"
    )]
    TooLarge {
        /// Its length in bytes.
        len: usize,
    },
    /// It has more than [`SECTIONS_MAX`] sections.
    #[error(
        "document has {n} sections, at most {SECTIONS_MAX} are allowed; split it into several files"
    )]
    TooManySections {
        /// How many.
        n: usize,
    },
    /// A section is larger than [`SECTION_BYTES_MAX`].
    #[error(
        "section {section} has {len} bytes, at most {SECTION_BYTES_MAX} are allowed; divide it with headings"
    )]
    SectionTooLarge {
        /// Which.
        section: SectionId,
        /// Its length in bytes.
        len: usize,
    },
}

#[cfg(test)]
mod tests;
