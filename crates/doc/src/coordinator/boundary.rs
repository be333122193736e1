//! An edit of one section must not change where the others begin.

use super::command::EditError;
use crate::markdown::{Place, front_closers, headings, lines, split_front};

/// What an edited section stands between.
pub(super) struct Neighbours<'a> {
    /// What stands before the first section; only for the first.
    pub(super) front: Option<&'a str>,
    /// The text of the section before.
    pub(super) previous: Option<&'a str>,
    /// The source of the heading after.
    pub(super) next_heading: Option<&'a str>,
}

impl Neighbours<'_> {
    /// Whether `text` may stand here; answers the length of its heading's source, 0 for none.
    ///
    /// A heading at the top level closes every block before it, so it is enough to parse the section
    /// together with the heading after it, and, rarely, the section before with the new heading.
    pub(super) fn check(&self, is_headed: bool, text: &str) -> Result<usize, EditError> {
        let heading_len = if is_headed {
            let first = headings(text).into_iter().next();
            first
                .filter(|heading| heading.place == Place::Top && heading.range.start == 0)
                .map(|heading| heading.range.end)
                .ok_or(EditError::HeadingMissing)?
        } else {
            0
        };
        if self.front.is_some_and(|front| split_front(&format!("{front}{text}")).0 != front) {
            return Err(EditError::BecomesFrontMatter);
        }
        if let Some(next) = self.next_heading
            && !is_cut(text, next)
        {
            return Err(EditError::SwallowsNext);
        }
        // A heading that begins with `#` in the first column ends every block that the old heading
        // ended; any other may continue a list item or a paragraph of the section before.
        if let Some(previous) = self.previous
            && !text.starts_with('#')
            && !is_cut(previous, &text[..heading_len])
        {
            return Err(EditError::JoinsPrevious);
        }
        Ok(heading_len)
    }
}

/// Whether a line of `changed` would end the front matter that `first`, the first section, looks like
/// the beginning of: then all up to there would be front matter.
pub(super) fn ends_front_matter<'a>(
    front: &str,
    first: &str,
    mut changed: impl Iterator<Item = &'a str>,
) -> bool {
    let closers = front_closers(first);
    front.trim_start_matches('\u{feff}').is_empty()
        && !closers.is_empty()
        && changed.any(|text| lines(text).any(|line| closers.contains(&line.trim_end())))
}

/// Whether `heading` is still a heading at the top level when it follows `before`.
fn is_cut(before: &str, heading: &str) -> bool {
    let range = before.len()..before.len() + heading.len();
    headings(&format!("{before}{heading}"))
        .last()
        .is_some_and(|last| last.place == Place::Top && last.range == range)
}
