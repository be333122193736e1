//! Abstracts and a table of contents that can be taken out again, byte for byte.
//!
//! What is added stands between two comments, on lines of its own, right under a heading:
//! ```text
//! # Title
//! <!-- ggml-agent:abstract -->
//!
//! One sentence.
//!
//! <!-- /ggml-agent:abstract -->
//! ```
//! Under a heading every block is closed, and such a comment closes itself in its line, so what follows
//! reads as it did before. A text that has such marks already keeps them: new marks get one `+` more
//! than the longest that occurs anywhere in it (`ggml-agent:abstract+`), nothing that is added contains
//! a mark itself, and [`strip`] takes out only what stands between the longest ones.

use crate::markdown::{self, Place, eol_before};
use crate::section::Document;

pub use crate::sentence::abstract_of;

const STEM: &str = "ggml-agent:";

/// What a pair of marks encloses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Toc,
    Abstract,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Toc, Self::Abstract];

    fn name(self) -> &'static str {
        match self {
            Self::Toc => "toc",
            Self::Abstract => "abstract",
        }
    }
}

/// The marks that are new to one document; make them from the document before anything is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// How many `+` they have.
    level: usize,
    /// The document's first line ending, for headings that have none.
    eol: &'static str,
}

impl Marks {
    /// Marks that do not occur in `document`.
    #[must_use]
    pub fn new(document: &Document) -> Self {
        let parts =
            || [document.front()].into_iter().chain(document.sections().iter().map(|s| s.text()));
        let eol = |part: &str| {
            let first = markdown::lines(part).next()?;
            Some(eol_before(first, first.len())).filter(|eol| !eol.is_empty())
        };
        Self {
            level: parts().filter_map(longest).max().map_or(0, |level| level + 1),
            eol: parts().find_map(eol).unwrap_or("\n"),
        }
    }

    /// The text of a section with `sentence` under its heading; unchanged if it has no heading.
    #[must_use]
    pub fn with_abstract(&self, section: &str, sentence: &str) -> String {
        match heading_end(section) {
            0 => section.to_owned(),
            at => self.insert(section, at, Kind::Abstract, sentence),
        }
    }

    /// The text of a section with the table of contents under its heading and, if there is one, its
    /// abstract; at the top, if it has no heading.
    #[must_use]
    pub fn with_toc(&self, section: &str, toc: &str) -> String {
        let at = heading_end(section);
        let rest = &section[at..];
        let eol = rest.len() - rest.trim_start_matches(['\r', '\n']).len();
        // A heading at the very end of the text has its line ending inserted with the abstract.
        let lead = if eol_before(section, at).is_empty() { eol } else { 0 };
        let end = rest[lead..].starts_with(&self.open(Kind::Abstract)).then(|| {
            let close = self.close(Kind::Abstract);
            let end = at + rest.find(&close)? + close.len();
            Some(end + markdown::eol_at(section, end).len())
        });
        self.insert(section, end.flatten().unwrap_or(at), Kind::Toc, toc)
    }

    fn open(&self, kind: Kind) -> String {
        format!("<!-- {STEM}{}{} -->", kind.name(), "+".repeat(self.level))
    }

    fn close(&self, kind: Kind) -> String {
        format!("<!-- /{STEM}{}{} -->", kind.name(), "+".repeat(self.level))
    }

    /// Inserts at the start of a line, or at the end of a text whose last line is not ended.
    fn insert(&self, text: &str, at: usize, kind: Kind, payload: &str) -> String {
        let (before, after) = text.split_at(at);
        let ended = eol_before(text, at);
        let eol = if ended.is_empty() { self.eol } else { ended };
        let payload = payload.replace('\n', eol);
        let block = [&self.open(kind), "", &payload, "", &self.close(kind)].join(eol);
        if ended.is_empty() && at > 0 {
            format!("{before}{eol}{block}{after}")
        } else {
            format!("{before}{block}{eol}{after}")
        }
    }
}

/// The linked table of contents: one line per heading at the top level, nested by level, without
/// marks; lines are joined by `\n`.
///
/// # Example
/// ```
/// use ggml_agent_doc::{Document, abstracts};
/// let document = Document::parse("# Plan\n## First, this\n## Then *that*\n")?;
/// let toc = abstracts::toc(&document);
/// assert_eq!(toc, "- [Plan](#plan)\n  - [First, this](#first-this)\n  - [Then that](#then-that)");
/// # Ok::<(), ggml_agent_doc::LoadError>(())
/// ```
#[must_use]
pub fn toc(document: &Document) -> String {
    let mut open: Vec<u8> = Vec::new();
    let mut lines = Vec::new();
    for heading in document.sections().iter().filter_map(|section| section.heading()) {
        while open.last().is_some_and(|level| *level >= heading.level) {
            open.pop();
        }
        // Nested by what encloses it, not by its number: from level 1 to 4 is one step, not three,
        // which would be read as code.
        let indent = "  ".repeat(open.len());
        let title = if heading.title.is_empty() { "(untitled)" } else { &heading.title };
        lines.push(format!("{indent}- [{}](#{})", escape(title), heading.anchor));
        open.push(heading.level);
    }
    lines.join("\n")
}

/// The document with an abstract under every heading at the top level and a table of contents under
/// the first. Without headings nothing is added, except an empty table where [`strip`] would otherwise
/// mistake marks of the text for ours.
///
/// `strip(&annotate(&document))` is the document's source.
#[must_use]
pub fn annotate(document: &Document) -> String {
    let marks = Marks::new(document);
    let sections = document.sections();
    let first = sections.iter().position(|section| section.heading().is_some());
    let with_toc = first.or((marks.level > 0).then_some(0));
    let mut text = document.front().to_owned();
    for (index, section) in sections.iter().enumerate() {
        let mut new = match section.heading() {
            Some(_) => marks.with_abstract(section.text(), &abstract_of(section)),
            None => section.text().to_owned(),
        };
        if with_toc == Some(index) {
            new = marks.with_toc(&new, &toc(document));
            if is_unended(document.front()) {
                // Front matter that ends the file without a line ending: as under such a heading.
                text.push_str(marks.eol);
                new.truncate(new.len() - marks.eol.len());
            }
        }
        text.push_str(&new);
    }
    text
}

/// Takes out exactly what [`annotate`], or [`Marks`], added.
#[must_use]
pub fn strip(text: &str) -> String {
    let Some(level) = longest(text) else { return text.to_owned() };
    let marks = Marks { level, eol: "\n" };
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    let lead = format!("<!-- {STEM}");
    while let Some(at) = rest.find(&lead) {
        let found = &rest[at..];
        let block = Kind::ALL.into_iter().find_map(|kind| {
            let open = marks.open(kind);
            let inner = found.strip_prefix(open.as_str())?;
            let close = marks.close(kind);
            Some((markdown::eol_at(inner, 0), open.len() + inner.find(&close)? + close.len()))
        });
        let Some((eol, len)) = block else {
            let (other, after) = rest.split_at(at + lead.len());
            kept.push_str(other);
            rest = after;
            continue;
        };
        kept.push_str(&rest[..at]);
        rest = &found[len..];
        if let Some(after) = rest.strip_prefix(eol) {
            rest = after;
        } else if kept.ends_with(eol) {
            // The heading had no line ending: the one before the block was added with it.
            kept.truncate(kept.len() - eol.len());
        }
    }
    kept.push_str(rest);
    kept
}

/// Whether `front` is front matter whose last line has no ending, so that nothing follows it.
fn is_unended(front: &str) -> bool {
    !front.trim_start_matches('\u{feff}').is_empty() && eol_before(front, front.len()).is_empty()
}

/// The most `+` of a mark that occurs in `text`, wherever; none if there is no mark.
fn longest(text: &str) -> Option<usize> {
    let levels = text.match_indices(STEM).filter_map(|(at, _)| {
        let rest = &text[at + STEM.len()..];
        let after = Kind::ALL.into_iter().find_map(|kind| rest.strip_prefix(kind.name()))?;
        Some(after.len() - after.trim_start_matches('+').len())
    });
    levels.max()
}

/// Where the heading that `section` begins with ends; 0 if it begins with none.
fn heading_end(section: &str) -> usize {
    let first = markdown::headings(section).into_iter().next();
    first
        .filter(|heading| heading.place == Place::Top && heading.range.start == 0)
        .map_or(0, |heading| heading.range.end)
}

/// `text` as Markdown that shows it as it is, on one line, and holds no mark.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '&' | '~' | '|' | '$') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped.replace(STEM, "ggml-agent\\:")
}

#[cfg(test)]
mod tests;
