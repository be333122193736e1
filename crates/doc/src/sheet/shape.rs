//! What is known about the text of a section, so that most edits need not parse it.
//!
//! Only two blocks of Markdown swallow a heading that begins in the first column: a fence that is open, and
//! HTML. Both begin a line. A text without such a line is *plain*, and an edit that makes no such line
//! leaves it plain: to see that, the lines that it touches are enough.

use crate::change::Splice;
use crate::history::SectionEdit;
use crate::markdown::{Place, front_closers, headings, lines};
use crate::rope::Text;

/// How far around an edit is looked.
const WINDOW: usize = 64;

/// How a line ends, if only in part.
const IS_EOL: [char; 2] = ['\n', '\r'];

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
    /// From the first of these bytes to the second no line ends, and what stands before decides how it begins
    /// (see [`is_decided`]): who types here does so without another look.
    pub(super) decided: (usize, usize),
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
            ends_line: text.ends_with(IS_EOL),
            decided: NOWHERE,
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
        // Places of several are all in the text before.
        let is_alone = edit.splices.len() == 1;
        for splice in &edit.splices {
            let end = splice.at + splice.removed.len();
            if splice.at < self.head_end
                || (!self.is_plain && splice.removed.contains(['`', '~', '<']))
            {
                return None;
            }
            if end == text.len() {
                // Where nothing comes, what stands before is the end now.
                shape.ends_line = match splice.inserted.as_bytes().last() {
                    Some(last) => is_eol(*last),
                    None => text.byte_before(splice.at).is_some_and(is_eol),
                };
            }
            if shape.is_plain && !(is_alone && shape.types_on(splice)) {
                let (is_plain, from) = stays_plain(text, splice.at, end, &splice.inserted)?;
                shape.is_plain = is_plain;
                shape.decided = match from {
                    Some(from) if is_alone => (from, splice.at + splice.inserted.len()),
                    _ => NOWHERE,
                };
            }
        }
        Some(shape)
    }
}

impl Shape {
    /// Whether `splice` changes a line behind where it is decided, and only that line; then it still is.
    fn types_on(&mut self, splice: &Splice) -> bool {
        let (from, to) = self.decided;
        let is_inside = (from..=to).contains(&splice.at) && !splice.inserted.contains(IS_EOL);
        if is_inside {
            self.decided = (from, splice.at + splice.inserted.len());
        }
        is_inside
    }
}

#[cfg(test)]
impl Shape {
    /// Whether there are places in `text`, its text, where a line is decided; `None` if one of them is not.
    pub(super) fn is_decided_in(&self, text: &str) -> Option<bool> {
        let (from, to) = self.decided;
        if self.decided == NOWHERE || !self.is_plain {
            return Some(false);
        }
        let mut places = (from..=to).filter(|at| text.is_char_boundary(*at));
        let is_right = places.all(|at| is_decided(last_line(&text[..at])));
        (is_right && to <= text.len() && !text.as_bytes()[from..to].contains(&b'\n'))
            .then_some(true)
    }
}

/// No place is decided.
const NOWHERE: (usize, usize) = (usize::MAX, 0);

/// The length of the heading that `text` begins with, if it does.
pub(crate) fn heading_len(text: &str) -> Option<usize> {
    let is_first = |text: &str| {
        let first = headings(text).into_iter().next();
        first
            .filter(|heading| heading.place == Place::Top && heading.range.start == 0)
            .map(|heading| heading.range.end)
    };
    // One with `#` is its line; one that is underlined is a paragraph, which ends before a blank line.
    let line = lines(text).next().filter(|line| is_atx(line));
    line.and_then(is_first).or_else(|| is_first(first_paragraph(text)))
}

/// `text` up to its first blank line. A form feed is no blank.
fn first_paragraph(text: &str) -> &str {
    let is_text = |line: &&str| !line.trim_matches([' ', '\t', '\n', '\r']).is_empty();
    &text[..lines(text).take_while(is_text).map(str::len).sum()]
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

fn is_eol(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// Whether a line begins a fence or HTML, or might.
fn opens(line: &str) -> bool {
    let line = line.trim_start_matches(MARKS);
    OPENERS.iter().any(|opener| line.starts_with(opener))
}

/// Whether a plain `text` still is when `insert` stands in place of `at..end`, and from where on the line of
/// `at` is [decided](Shape::decided), if it is; `None` if that takes a longer look.
fn stays_plain(text: &Text, at: usize, end: usize, insert: &str) -> Option<(bool, Option<usize>)> {
    let from = at.saturating_sub(WINDOW);
    let before = text.window(from..at);
    let line = last_line(&before);
    let is_decided = is_decided(line);
    if is_decided && !insert.contains(IS_EOL) {
        let rest = line.trim_start_matches(MARKS);
        // Behind the third byte of them, whatever character that is in.
        return Some((true, Some(at - rest.len() + 3)));
    }
    let begins_line = from == 0 || line.len() < before.len();
    if !begins_line && !is_decided {
        return None;
    }
    let after = text.window(end..end.saturating_add(WINDOW));
    let changed = [if is_decided { "x" } else { line }, insert, &*after].concat();
    if lines(&changed).any(opens) {
        return Some((false, None));
    }
    // What the window cuts off may make an opener of its last line.
    let is_cut = end + after.len() < text.len();
    let is_clear = !is_cut || self::is_decided(last_line(&changed));
    is_clear.then_some((true, None))
}

/// What stands behind the last line ending.
fn last_line(text: &str) -> &str {
    text.rfind(IS_EOL).map_or(text, |eol| &text[eol + 1..])
}

/// Whether nothing that may follow makes an opener of a line that begins with `line`, or makes it none.
fn is_decided(line: &str) -> bool {
    line.trim_start_matches(MARKS).len() >= 3
}
