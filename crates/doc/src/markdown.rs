//! Where the headings of a Markdown text are, byte for byte.
//!
//! A CommonMark parser decides, so that `#` in a fenced block, in HTML or in a quotation is not taken
//! for a cut. The flavour is GitHub's: tables and footnotes are on, because they change what a heading
//! is (`===` below a table is a row of it, not an underline).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// One heading of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    /// 1 to 6.
    pub level: u8,
    /// Its text without markup, on one line.
    pub title: String,
    /// The anchor that GitHub gives it: unique in the document, without `#`.
    pub anchor: String,
    /// Its lines, from the start of the first to the end of the last with its line ending.
    pub range: Range<usize>,
    /// Where it stands.
    pub place: Place,
}

/// Where a heading stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the document itself: a section begins here.
    Top,
    /// Inside a quotation, a list or a footnote: part of the section around it.
    Nested,
}

/// Every heading of `text`, in order. `text` has no front matter and no byte order mark; see
/// [`split_front`].
#[must_use]
pub fn headings(text: &str) -> Vec<Heading> {
    let text = &*without_lone_cr(text);
    let mut headings = scan(text);
    for heading in &mut headings {
        if heading.place == Place::Top {
            heading.range.start = stand_alone(text, &heading.range);
        }
    }
    headings
}

/// The same text, byte for byte as long, in which no line ends with `\r` alone: pulldown-cmark 0.13.6
/// looks for backticks in the info string of a fence beyond such an end.
pub(crate) fn without_lone_cr(text: &str) -> Cow<'_, str> {
    let is_lone = |at: usize| !text[at + 1..].starts_with('\n');
    if !text.match_indices('\r').any(|(at, _)| is_lone(at)) {
        return Cow::Borrowed(text);
    }
    let one = |(at, c): (usize, char)| if c == '\r' && is_lone(at) { '\n' } else { c };
    Cow::Owned(text.char_indices().map(one).collect())
}

/// Where to cut so that the heading at `range` is one without what stands before it, too.
///
/// Mostly where it begins. But an underlined heading may follow a link definition in one paragraph,
/// and then its first line may be one that only inside a paragraph is text (`[a]: /b`, `2. x`, `===`):
/// such a heading takes the definition along.
fn stand_alone(text: &str, range: &Range<usize>) -> usize {
    let mut start = range.start;
    // A definition has a few lines; who writes longer ones gets a cut that still keeps every byte.
    for _ in 0..STAND_ALONE_LINES_MAX {
        if let [only] = &scan(&text[start..range.end])[..]
            && only.place == Place::Top
            && (only.range.start + start, only.range.end + start) == (range.start, range.end)
        {
            return start;
        }
        if start == 0 {
            break;
        }
        start = line_start(text, start - eol_before(text, start).len());
    }
    range.start
}

const STAND_ALONE_LINES_MAX: usize = 32;

fn scan(text: &str) -> Vec<Heading> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES;
    let mut headings = Vec::new();
    let mut anchors = Anchors::default();
    let mut depth = 0_usize;
    let mut open: Option<Open> = None;
    for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                let place = if depth == 0 { Place::Top } else { Place::Nested };
                open = Some(Open {
                    level,
                    range,
                    place,
                    title: String::new(),
                    slug: String::new(),
                    images: 0,
                });
            }
            Event::End(TagEnd::Heading(_)) => {
                if let Some(open) = open.take() {
                    headings.push(open.close(text, &mut anchors));
                }
            }
            Event::Start(tag) => match &mut open {
                Some(open) => open.images += usize::from(matches!(tag, Tag::Image { .. })),
                None => depth += 1,
            },
            Event::End(tag) => match &mut open {
                Some(open) => open.images -= usize::from(matches!(tag, TagEnd::Image)),
                None => depth -= 1,
            },
            Event::Text(part) | Event::Code(part) => {
                if let Some(open) = &mut open {
                    open.push(&part);
                }
            }
            Event::SoftBreak | Event::HardBreak => {
                if let Some(open) = &mut open {
                    open.push("\n");
                }
            }
            _ => {}
        }
    }
    headings
}

/// A heading whose end has not been seen yet.
struct Open {
    level: HeadingLevel,
    range: Range<usize>,
    place: Place,
    title: String,
    slug: String,
    images: usize,
}

impl Open {
    fn push(&mut self, part: &str) {
        self.title.push_str(part);
        // The anchor is made of what the page shows as text; the text of an image is not.
        if self.images == 0 {
            self.slug.push_str(part);
        }
    }

    fn close(self, text: &str, anchors: &mut Anchors) -> Heading {
        let words: Vec<&str> = self
            .title
            .split(|c: char| c.is_whitespace() || c.is_control())
            .filter(|w| !w.is_empty())
            .collect();
        Heading {
            level: self.level as u8,
            title: words.join(" "),
            anchor: anchors.next(&slug(&self.slug)),
            range: line_start(text, self.range.start)..line_end(text, self.range.end),
            place: self.place,
        }
    }
}

/// Splits off what stands before the Markdown: a byte order mark and front matter (`---` for YAML,
/// `+++` for TOML, at the very start, closed, and not followed by a blank line, which is how a rule
/// across the page looks). Both parts together are `text`.
#[must_use]
pub fn split_front(text: &str) -> (&str, &str) {
    let bom = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let closers = front_closers(&text[bom..]);
    if closers.is_empty() {
        return text.split_at(bom);
    }
    let mut end = bom;
    for (at, line) in lines(&text[bom..]).enumerate() {
        end += line.len();
        if at > 0 && closers.contains(&line.trim_end()) {
            return text.split_at(end);
        }
    }
    text.split_at(bom)
}

/// The lines of which one would end the front matter that `text` begins with; none if it does not
/// look like front matter.
pub(crate) fn front_closers(text: &str) -> &'static [&'static str] {
    let mut lines = lines(text).map(str::trim_end);
    match (lines.next(), lines.next()) {
        (Some("---" | "+++"), Some("")) => &[],
        (Some("---"), _) => &["---", "..."],
        (Some("+++"), _) => &["+++"],
        _ => &[],
    }
}

/// The lines of `text` with their endings (`\n`, `\r\n` or `\r`, as CommonMark has it).
pub(crate) fn lines(text: &str) -> Lines<'_> {
    Lines { text, at: 0 }
}

/// See [`lines`].
#[derive(Debug, Clone)]
pub(crate) struct Lines<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = &self.text[self.at..];
        if rest.is_empty() {
            return None;
        }
        let eol = memchr::memchr2(b'\n', b'\r', rest.as_bytes());
        let end = eol.map_or(rest.len(), |at| at + eol_at(rest, at).len());
        self.at += end;
        Some(&rest[..end])
    }
}

/// The line ending that begins at `at`; empty if none does.
pub(crate) fn eol_at(text: &str, at: usize) -> &'static str {
    let rest = &text[at..];
    ["\r\n", "\n", "\r"].into_iter().find(|eol| rest.starts_with(eol)).unwrap_or("")
}

/// The line ending that ends exactly at `at`; empty if none does.
pub(crate) fn eol_before(text: &str, at: usize) -> &'static str {
    let before = &text[..at];
    ["\r\n", "\n", "\r"].into_iter().find(|eol| before.ends_with(eol)).unwrap_or("")
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind(['\n', '\r']).map_or(0, |eol| eol + 1)
}

/// The end of the line that `at` is in or, when a line ends at `at` already, `at` itself.
fn line_end(text: &str, at: usize) -> usize {
    if at > 0
        && !eol_before(text, at).is_empty()
        && !(text[..at].ends_with('\r') && text[at..].starts_with('\n'))
    {
        return at;
    }
    // A parser may end the heading between `\r` and `\n`, or before trailing blanks.
    text[at..].find(['\n', '\r']).map_or(text.len(), |eol| at + eol + eol_at(text, at + eol).len())
}

/// The anchor text of a title, as GitHub makes it: lower case, word characters, `-` and blanks only,
/// blanks as `-`.
fn slug(title: &str) -> String {
    let kept = title
        .trim()
        .chars()
        .flat_map(char::to_lowercase)
        .filter(|c| is_word(*c) || matches!(c, ' ' | '-'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Letters, marks, numbers and connectors. The standard library knows no marks: those that are not
/// alphabetic and stand in titles are the combining accents, the viramas and the emoji selector.
fn is_word(c: char) -> bool {
    c.is_alphanumeric()
        || matches!(c, '_' | '\u{203f}' | '\u{2040}' | '\u{2054}' | '\u{fe0f}')
        || matches!(c, '\u{0300}'..='\u{036f}' | '\u{0591}'..='\u{05bd}' | '\u{064b}'..='\u{065f}')
        || matches!(
            u32::from(c),
            0x093c | 0x094d | 0x09bc | 0x09cd | 0x0a4d | 0x0acd | 0x0b4d | 0x0bcd
        )
        || matches!(u32::from(c), 0x0c4d | 0x0ccd | 0x0d4d | 0x0e48..=0x0e4e | 0x3099 | 0x309a)
}

/// Makes anchors unique: the second `intro` is `intro-1`.
#[derive(Debug, Default)]
struct Anchors(BTreeMap<String, usize>);

impl Anchors {
    // The algorithm of github-slugger: a made-up anchor counts as taken, too.
    fn next(&mut self, slug: &str) -> String {
        let mut anchor = slug.to_owned();
        let mut n = self.0.get(slug).copied().unwrap_or(0);
        while self.0.contains_key(&anchor) {
            n += 1;
            anchor = format!("{slug}-{n}");
        }
        self.0.insert(slug.to_owned(), n);
        self.0.entry(anchor.clone()).or_insert(0);
        anchor
    }
}

#[cfg(test)]
mod tests;
