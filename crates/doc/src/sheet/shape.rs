//! What is known about the text of a section, so that most edits need not parse it.
//!
//! Only two blocks of Markdown swallow a heading that begins in the first column: a fence that is open, and
//! HTML. Both begin a line. A text without such a line is *plain*, and an edit that makes no such line
//! leaves it plain: to see that, the lines that it touches are enough.

use crate::history::SectionEdit;
use crate::markdown::{Place, front_closers, headings, lines};
use crate::rope::Text;

/// How far around an edit is looked.
const WINDOW: usize = 64;

/// What may stand in front of a block on its line: blanks, and the marks of quotations and lists.
const MARKS: &[char] =
    &[' ', '\t', '>', '-', '*', '+', '.', ')', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'];

/// How a block begins that may swallow the heading after it.
const OPENERS: [&str; 3] = ["```", "~~~", "<"];

/// See the [module](self).
#[expect(
    clippy::struct_excessive_bools,
    reason = "four answers that have nothing to do with each other"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Length of the heading's source at the start; 0 without a heading, and as long as nobody has looked.
    pub(crate) heading_len: usize,
    /// Edits behind this byte touch neither the heading nor what looks like front matter.
    pub(super) head_end: usize,
    /// No line begins a fence or HTML. False may be true.
    pub(crate) is_plain: bool,
    /// It begins with a heading of the form `# Title`, in the first column.
    pub(crate) is_atx: bool,
    /// It begins as front matter does.
    pub(crate) opens_front: bool,
    /// Its last line has an end.
    pub(crate) ends_line: bool,
}

impl Shape {
    /// That of a text whose heading is known.
    pub(crate) fn of(text: &str, heading_len: usize) -> Self {
        let head: Vec<&str> = lines(text).take(2).collect();
        let two_lines: usize = head.iter().map(|line| line.len()).sum();
        let head_end = two_lines.max(heading_len);
        // A lone `\r` could become the half of a line ending.
        let is_closed = head.len() == 2 && text[..head_end].ends_with('\n');
        Self {
            heading_len,
            head_end: if is_closed { head_end } else { usize::MAX },
            is_plain: is_plain(text),
            is_atx: is_atx(text),
            opens_front: !front_closers(text).is_empty(),
            ends_line: text.ends_with(['\n', '\r']),
        }
    }

    /// That of a section with a heading whose text is not there yet.
    pub(crate) fn headed() -> Self {
        Self { heading_len: usize::MAX, ..Self::of("", 0) }
    }

    pub(crate) fn is_headed(&self) -> bool {
        self.heading_len > 0
    }

    /// That of another text of the same section.
    pub(crate) fn again(text: &str) -> Self {
        Self::of(text, heading_len(text).unwrap_or(0))
    }

    /// That of `text`, which has this one, after `edit`; `None` if only a look at all of it tells.
    pub(crate) fn after(&self, text: &Text, edit: &SectionEdit) -> Option<Self> {
        let mut shape = *self;
        for splice in &edit.splices {
            let end = splice.at + splice.removed.len();
            if splice.at < self.head_end
                || (!self.is_plain && splice.removed.contains(['`', '~', '<']))
            {
                return None;
            }
            if end == text.len() {
                if splice.inserted.is_empty() {
                    return None;
                }
                shape.ends_line = splice.inserted.ends_with(['\n', '\r']);
            }
            shape.is_plain = shape.is_plain && stays_plain(text, splice.at, end, &splice.inserted)?;
        }
        Some(shape)
    }
}

/// The length of the heading that `text` begins with, if it does.
pub(crate) fn heading_len(text: &str) -> Option<usize> {
    let is_first = |text: &str| {
        let first = headings(text).into_iter().next();
        first
            .filter(|heading| heading.place == Place::Top && heading.range.start == 0)
            .map(|heading| heading.range.end)
    };
    // One with `#` is its line; what is underlined has to be looked for.
    let line = lines(text).next().filter(|line| is_atx(line));
    line.and_then(is_first).or_else(|| is_first(text))
}

/// Whether `text` begins with a heading that ends every block before it: `# Title` in the first column.
/// (`#Title` is none, and with `===` below it is one of another kind.)
pub(super) fn is_atx(text: &str) -> bool {
    let title = text.trim_start_matches('#');
    let level = text.len() - title.len();
    (1..=6).contains(&level) && (title.is_empty() || title.starts_with([' ', '\t', '\n', '\r']))
}

fn is_plain(text: &str) -> bool {
    !lines(text).any(opens)
}

/// Whether a line begins a fence or HTML, or might.
fn opens(line: &str) -> bool {
    let line = line.trim_start_matches(MARKS);
    OPENERS.iter().any(|opener| line.starts_with(opener))
}

/// Whether a plain `text` still is when `insert` stands in place of `at..end`; `None` if that takes a longer
/// look.
fn stays_plain(text: &Text, at: usize, end: usize, insert: &str) -> Option<bool> {
    let from = at.saturating_sub(WINDOW);
    let before = text.window(from..at);
    let line = before.rfind(['\n', '\r']).map_or(&*before, |eol| &before[eol + 1..]);
    let is_line_break = |c| matches!(c, '\n' | '\r');
    // How its line begins is decided before the edit, and there are no new lines.
    let is_decided = line.trim_start_matches(MARKS).len() >= 3;
    if is_decided && !insert.contains(is_line_break) {
        return Some(true);
    }
    let begins_line = from == 0 || line.len() < before.len();
    if !begins_line && !is_decided {
        return None;
    }
    let after = text.window(end..end.saturating_add(WINDOW));
    let changed = [if is_decided { "x" } else { line }, insert, &*after].concat();
    if lines(&changed).any(opens) {
        return Some(false);
    }
    // What the window cuts off may make an opener of its last line.
    let is_cut = end + after.len() < text.len();
    let last = changed.rfind(is_line_break).map_or(&*changed, |eol| &changed[eol + 1..]);
    if is_cut && last.trim_start_matches(MARKS).len() < 3 { None } else { Some(true) }
}
