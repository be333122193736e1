//! Headings that are written or changed.

use super::OutlineError;
use super::error::TITLE_BYTES_MAX;
use crate::change::between;
use crate::markdown::{Place, headings, lines};
use crate::section::SectionId;
use crate::sheet::{Slot, heading_len};
use crate::text::Change;

/// The source of a heading for a new section behind `slot`, with a blank line.
pub(super) fn new(section: SectionId, slot: &Slot, title: &str) -> Result<String, OutlineError> {
    let head = slot.text.window(0..slot.shape.heading_len.min(slot.text.len()));
    let level = level(&head).unwrap_or(1);
    let eol = if head.ends_with("\r\n") { "\r\n" } else { "\n" };
    let source = format!("{} {title}{eol}", "#".repeat(level.into()));
    check(section, title, &source, level)?;
    Ok(source + eol)
}

/// What gives a section another title.
pub(super) fn renamed(
    section: SectionId,
    slot: &Slot,
    title: &str,
) -> Result<Option<Change>, OutlineError> {
    let head = slot.text.window(0..slot.shape.heading_len.min(slot.text.len()));
    let no_heading = OutlineError::NoHeading { section, at: 0 };
    let level = level(&head).ok_or(no_heading)?;
    let list: Vec<&str> = lines(&head).collect();
    let new = if let [only] = list[..] {
        let line = only.trim_end_matches(['\r', '\n']);
        let eol = &only[line.len()..];
        let indent = &line[..line.len() - line.trim_start().len()];
        let closing = closing(line);
        format!("{indent}{} {title}{closing}{eol}", "#".repeat(level.into()))
    } else {
        let (under, above) = list.split_last().unwrap_or((&"", &[]));
        let first = above.first().copied().unwrap_or_default();
        // A definition before it is part of the source, and is not to be lost.
        if first.trim_start().starts_with('[') && first.contains("]:") {
            return Err(OutlineError::BadTitle { section });
        }
        let eol = &first[first.trim_end_matches(['\r', '\n']).len()..];
        format!("{title}{eol}{under}")
    };
    check(section, title, &new, level)?;
    Ok(between(&head, &new))
}

fn level(head: &str) -> Option<u8> {
    let heading = headings(head).into_iter().find(|heading| heading.place == Place::Top)?;
    Some(heading.level)
}

/// The marks that end a heading, with the blanks before them.
fn closing(line: &str) -> &str {
    let line = line.trim_end();
    let body = line.trim_end_matches('#');
    let is_closed =
        body.len() < line.len() && body.ends_with([' ', '\t']) && !body.trim_start().is_empty();
    let title = body.trim_end();
    // A heading without a title is its marks.
    if is_closed && !title.trim_start_matches([' ', '#']).is_empty() {
        &line[title.len()..]
    } else {
        ""
    }
}

/// Whether `source` is a heading of this level, all of it, with a title on one line.
fn check(section: SectionId, title: &str, source: &str, level: u8) -> Result<(), OutlineError> {
    let is_title = !title.trim().is_empty()
        && title.len() <= TITLE_BYTES_MAX
        && !title.contains(char::is_control);
    if is_title && heading_len(source) == Some(source.len()) && self::level(source) == Some(level) {
        Ok(())
    } else {
        Err(OutlineError::BadTitle { section })
    }
}
