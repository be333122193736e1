//! Questions about Markdown at the border of two sections.

use std::borrow::Cow;

use crate::markdown::{Place, front_closers, headings, lines, split_front};

/// Whether `first`, which follows `front`, or a part of it, would be front matter.
pub(super) fn is_front_matter(front: &str, first: &str) -> bool {
    split_front(&format!("{front}{first}")).0 != front
}

/// Whether a line of `changed` would end the front matter that `first`, the first section, looks like
/// the beginning of: then all up to there would be front matter.
pub(super) fn ends_front_matter<'a>(
    front: &str,
    first: &str,
    changed: &mut impl Iterator<Item = Cow<'a, str>>,
) -> bool {
    let closers = front_closers(first);
    front.trim_start_matches('\u{feff}').is_empty()
        && !closers.is_empty()
        && changed.any(|text| lines(&text).any(|line| closers.contains(&line.trim_end())))
}

/// Whether `heading` is still a heading at the top level when it follows `before`.
///
/// A heading at the top level closes every block before it, so no more than the two have to be parsed.
pub(super) fn is_cut(before: &str, heading: &str) -> bool {
    let range = before.len()..before.len() + heading.len();
    headings(&format!("{before}{heading}"))
        .last()
        .is_some_and(|last| last.place == Place::Top && last.range == range)
}
