//! The smallest pieces of a Markdown text that one author changes at a time: sentences of prose, lines of code,
//! rows of tables and of front matter.
//!
//! A scan by lines, not a parser: it errs towards larger pieces, which costs a merge a conflict and never a
//! word. Indented code counts as prose.

use std::ops::Range;

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One sentence, or a heading, or the first one of a list item with its marker. A sentence goes on over the
    /// end of a line.
    Sentence,
    /// One row of a table, or one line of front matter.
    Row,
    /// One line of a fenced block, fences included.
    Code,
    /// White space between two others: spaces, or one end of line.
    Gap,
}

/// One piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Where, in bytes.
    pub range: Range<usize>,
    /// What.
    pub kind: Kind,
}

/// A text in pieces, without a byte left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Units {
    /// The pieces, in order.
    pub list: Vec<Unit>,
    /// Whether a fenced block is open at the end, so that whatever follows would be code.
    pub is_open: bool,
}

/// `text` in pieces. Linear in its length.
#[must_use]
pub fn units(text: &str) -> Units {
    let mut scan = Scan { text, list: Vec::new(), block: None, table: false };
    let mut fence: Option<Fence> = None;
    let mut lines = lines(text).peekable();
    let mut front = front_matter(text);
    while let Some(line) = lines.next() {
        let content = &text[line.content.clone()];
        let bare = content.trim();
        if line.content.start < front {
            scan.line(&line, Kind::Row);
            front = if line.end >= front { 0 } else { front };
        } else if let Some(open) = fence {
            scan.line(&line, Kind::Code);
            fence = if open.is_closed_by(content) { None } else { fence };
        } else if let Some(open) = Fence::opened_by(content) {
            scan.line(&line, Kind::Code);
            fence = Some(open);
        } else if bare.is_empty() {
            scan.table = false;
            scan.line(&line, Kind::Gap);
        } else {
            let next = lines.peek().map_or("", |next| &text[next.content.clone()]);
            let is_head = bare.contains('|') && is_delimiter(next);
            scan.table |= is_head;
            if scan.table || bare.starts_with('|') {
                scan.line(&line, Kind::Row);
            } else {
                scan.prose(&line, bare);
            }
        }
    }
    scan.flush();
    Units { list: scan.list, is_open: fence.is_some() }
}

struct Line {
    /// Without its end.
    content: Range<usize>,
    end: usize,
}

fn lines(text: &str) -> impl Iterator<Item = Line> {
    let mut start = 0;
    text.split_inclusive('\n').map(move |line| {
        let bare = line.strip_suffix('\n').map_or(line, |l| l.strip_suffix('\r').unwrap_or(l));
        let content = start..start + bare.len();
        start += line.len();
        Line { content, end: start }
    })
}

/// Where the front matter of `text` ends; 0 if it has none.
fn front_matter(text: &str) -> usize {
    let mut lines = lines(text);
    let first = lines.next().map_or("", |line| text[line.content].trim_end());
    let ends: &[&str] = match first {
        "---" => &["---", "..."],
        "+++" => &["+++"],
        _ => return 0,
    };
    lines
        .find(|line| ends.contains(&text[line.content.clone()].trim_end()))
        .map_or(0, |line| line.end)
}

/// The rule that begins a fenced block.
#[derive(Clone, Copy)]
struct Fence {
    mark: char,
    len: usize,
}

impl Fence {
    /// Also in a quotation or a list: those marks are skipped.
    fn opened_by(line: &str) -> Option<Self> {
        let bare = line.trim_start_matches(|c: char| c.is_whitespace() || ">-*+".contains(c));
        let mark = bare.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let info = bare.trim_start_matches(mark);
        let len = bare.len() - info.len();
        // CommonMark 4.5: an info string after backticks has none.
        (len >= 3 && (mark == '~' || !info.contains('`'))).then_some(Self { mark, len })
    }

    fn is_closed_by(self, line: &str) -> bool {
        let bare = line.trim_start_matches(|c: char| c.is_whitespace() || c == '>').trim_end();
        bare.len() >= self.len && bare.chars().all(|c| c == self.mark)
    }
}

/// `|---|:-:|`: the line below the head of a table.
fn is_delimiter(line: &str) -> bool {
    let bare = line.trim();
    bare.contains('|') && bare.contains('-') && bare.chars().all(|c| "|-: \t".contains(c))
}

struct Scan<'a> {
    text: &'a str,
    list: Vec<Unit>,
    /// Lines of prose that are not cut yet, and where the last one ends with its end of line.
    block: Option<(Range<usize>, usize)>,
    table: bool,
}

impl Scan<'_> {
    fn push(&mut self, range: Range<usize>, kind: Kind) {
        if !range.is_empty() {
            self.list.push(Unit { range, kind });
        }
    }

    /// White space, each end of line apart.
    fn gap(&mut self, range: Range<usize>) {
        let mut start = range.start;
        for piece in self.text[range].split_inclusive('\n') {
            let spaces =
                piece.strip_suffix('\n').map_or(piece, |p| p.strip_suffix('\r').unwrap_or(p));
            self.push(start..start + spaces.len(), Kind::Gap);
            self.push(start + spaces.len()..start + piece.len(), Kind::Gap);
            start += piece.len();
        }
    }

    /// A line that is a piece of its own.
    fn line(&mut self, line: &Line, kind: Kind) {
        self.flush();
        self.push(line.content.clone(), kind);
        self.gap(line.content.end..line.end);
    }

    fn prose(&mut self, line: &Line, bare: &str) {
        if begins_block(bare) {
            self.flush();
        }
        let start = self.block.take().map_or(line.content.start, |(block, _)| block.start);
        self.block = Some((start..line.content.end, line.end));
        if bare.starts_with('#') || is_rule(bare) {
            self.flush();
        }
    }

    /// Cuts the block into sentences.
    fn flush(&mut self) {
        let Some((block, end)) = self.block.take() else { return };
        let text = &self.text[block.clone()];
        let mut start = 0;
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            let mut stop = at;
            if c.is_whitespace() {
                if at <= start {
                    continue;
                }
            } else if matches!(c, '。' | '！' | '？') {
                stop = at + c.len_utf8();
            } else {
                continue;
            }
            let rest = &text[stop..];
            let next = rest.trim_start();
            if c.is_whitespace() && !ends_sentence(&text[start..stop], next, start == 0) {
                continue;
            }
            let gap = stop + rest.len() - next.len();
            self.push(block.start + start..block.start + stop, Kind::Sentence);
            self.gap(block.start + stop..block.start + gap);
            start = gap;
            while chars.next_if(|(at, _)| *at < gap).is_some() {}
        }
        let stop = start + text[start..].trim_end().len();
        self.push(block.start + start..block.start + stop, Kind::Sentence);
        self.gap(block.start + stop..end);
    }
}

/// Whether a line does not go on with the sentence of the line before.
fn begins_block(bare: &str) -> bool {
    let after_number = bare.trim_start_matches(|c: char| c.is_ascii_digit());
    let is_numbered = after_number.len() < bare.len() && after_number.starts_with(['.', ')']);
    let is_item = ["- ", "* ", "+ "].iter().any(|mark| bare.starts_with(mark));
    let is_reference = bare.starts_with('[') && bare.contains("]:");
    is_numbered
        || is_item
        || is_reference
        || is_rule(bare)
        || bare.starts_with(['#', '>', '<', ':'])
}

/// `---`, `***`, `===`: a rule, or the line below a heading.
fn is_rule(bare: &str) -> bool {
    "-*_=".chars().any(|mark| bare.chars().all(|c| c == mark || c == ' '))
}

/// Words that end with a full stop inside a sentence, before a word that may begin with a capital.
const ABBREVIATIONS: &[&str] = &[
    "e.g.", "i.e.", "etc.", "vs.", "cf.", "mr.", "mrs.", "ms.", "dr.", "prof.", "st.", "no.",
    "fig.", "sec.", "approx.", "z.b.",
];

/// Whether a sentence ends with `text`, if `next` follows after white space.
fn ends_sentence(text: &str, next: &str, is_first: bool) -> bool {
    const CLOSERS: &[char] = &['"', '\'', ')', ']', '*', '_', '`', '”', '’', '»'];
    let closed = text.trim_end_matches(CLOSERS);
    if closed.ends_with(['!', '?', '…']) {
        return true;
    }
    if !closed.ends_with('.') || next.starts_with(char::is_lowercase) {
        return false;
    }
    let word = closed.rsplit(char::is_whitespace).next().unwrap_or("");
    let word = word.trim_start_matches(|c: char| !c.is_alphanumeric());
    let is_initial = word.chars().count() == 2 && word.starts_with(char::is_alphabetic);
    // `1. one` is an item of a list.
    let is_number = word.trim_end_matches('.').bytes().all(|b| b.is_ascii_digit());
    let is_marker = is_first && is_number && text.trim_start().len() == word.len();
    !is_initial && !is_marker && !ABBREVIATIONS.iter().any(|abbr| word.eq_ignore_ascii_case(abbr))
}

#[cfg(test)]
mod tests;
