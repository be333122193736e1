//! Where a text occurs in another, exactly; and what is closest to it, as a hint and never more.

use std::collections::BTreeMap;
use std::ops::Range;

use memchr::memmem;

use super::{ceil, floor};

/// Longest excerpt, in bytes, without its `…`.
pub const EXCERPT_BYTES_MAX: usize = 240;

/// How much of an excerpt may stand on each side of what it is about, in bytes.
const AROUND: usize = 60;

/// Longest part of a text that [`nearest`] looks for, in bytes; what is longer is known by its beginning.
// Some 700 words: what is alike in its first 4 KiB is found there.
pub const NEAREST_NEEDLE_MAX: usize = 4 * 1024;

/// How alike a candidate must be, in percent; below, a hint misleads.
const SIMILARITY_MIN: u8 = 40;

/// Every place where `needle` occurs in `text`, also those that overlap, in order. None for an empty needle.
///
/// # Example
/// ```
/// use ggml_agent_doc::text::find;
/// assert_eq!(find("banana", "ana").collect::<Vec<_>>(), [1, 3]);
/// ```
pub fn find<'a>(text: &'a str, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
    let borders = borders(needle.as_bytes());
    // Only what begins as it ends can overlap itself; all else is found at the speed of memory.
    let (apart, overlapping) = match borders.last() {
        None => (None, None),
        Some(0) => (Some(memmem::find_iter(text.as_bytes(), needle.as_bytes())), None),
        Some(_) => (None, Some(overlapping(text.as_bytes(), needle.as_bytes(), borders))),
    };
    apart.into_iter().flatten().chain(overlapping.into_iter().flatten())
}

/// How long the longest beginning of each beginning of `needle` is with which it also ends, without itself: the
/// prefix function of Knuth, Morris and Pratt (1977).
fn borders(needle: &[u8]) -> Vec<usize> {
    let mut borders: Vec<usize> = Vec::with_capacity(needle.len());
    let mut len = 0;
    for (at, byte) in needle.iter().enumerate() {
        while at > 0 && len > 0 && needle[len] != *byte {
            len = borders[len - 1];
        }
        if at > 0 && needle[len] == *byte {
            len += 1;
        }
        borders.push(len);
    }
    borders
}

/// Every occurrence, in one pass over the text whatever repeats itself in it.
fn overlapping<'a>(
    text: &'a [u8],
    needle: &'a [u8],
    borders: Vec<usize>,
) -> impl Iterator<Item = usize> + 'a {
    let mut len = 0;
    text.iter().enumerate().filter_map(move |(at, byte)| {
        while len > 0 && needle[len] != *byte {
            len = borders[len - 1];
        }
        len += usize::from(needle[len] == *byte);
        if len < needle.len() {
            return None;
        }
        len = borders[len - 1];
        Some(at + 1 - needle.len())
    })
}

/// A place of a text, and some words around it: to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The line where it begins, from 1.
    pub line: usize,
    /// The place with what stands around it, at most [`EXCERPT_BYTES_MAX`] bytes; `…` stands for what is
    /// left out.
    pub text: String,
}

impl Excerpt {
    /// What stands in and around `range`, which is cut to what there is of `text`.
    #[must_use]
    pub fn around(text: &str, range: &Range<usize>) -> Self {
        let start = floor(text, range.start);
        let end = floor(text, range.end).max(start);
        let line = 1 + memchr::memchr_iter(b'\n', &text.as_bytes()[..start]).count();
        let from = word_start(text, start.saturating_sub(AROUND), start);
        let to = word_end(text, end, end.saturating_add(AROUND));
        let mut shown = String::new();
        if from > 0 {
            shown.push('…');
        }
        if to - from <= EXCERPT_BYTES_MAX {
            shown.push_str(&text[from..to]);
        } else {
            let half = EXCERPT_BYTES_MAX / 2;
            let head_end = floor(text, from + half);
            let tail_start = ceil(text, to - half);
            shown.push_str(&text[from..head_end]);
            shown.push('…');
            shown.push_str(&text[tail_start..to]);
        }
        if to < text.len() {
            shown.push('…');
        }
        Self { line, text: shown }
    }
}

/// Where a word begins, not before `from` and not behind `at`.
fn word_start(text: &str, from: usize, at: usize) -> usize {
    if from == 0 {
        return 0;
    }
    let from = floor(text, from);
    let space = text[from..at].find(char::is_whitespace);
    // What is one long word is cut anywhere.
    space.map_or(from, |space| {
        let rest = &text[from + space..at];
        at - rest.trim_start().len()
    })
}

/// Where a word ends, not before `at` and not behind `to`.
fn word_end(text: &str, at: usize, to: usize) -> usize {
    if to >= text.len() {
        return text.len();
    }
    let to = floor(text, to);
    match text[at..to].rfind(char::is_whitespace) {
        Some(space) => at + text[at..at + space].trim_end().len(),
        None => to,
    }
}

/// What in a text is closest to another one. A hint for whoever wrote the other one: nothing is changed there
/// unless it is asked for by its exact text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Where, in bytes.
    pub range: Range<usize>,
    /// How alike they are, in percent; 100: they differ in white space and in capitals only.
    pub similarity: u8,
    /// What stands there.
    pub excerpt: Excerpt,
}

/// The part of `text` that is closest to `needle`; `None` if nothing is close. White space and capitals do not
/// count; otherwise the more words, and pairs of neighbours, are common to both, the closer. Of a long needle
/// the first [`NEAREST_NEEDLE_MAX`] bytes are looked for. Time is linear in both lengths.
#[must_use]
pub fn nearest(text: &str, needle: &str) -> Option<Candidate> {
    let needle = &needle[..floor(needle, NEAREST_NEEDLE_MAX)];
    let mut names = Names::default();
    let wanted: Vec<u32> = tokens(needle).map(|range| names.of(&needle[range])).collect();
    let ranges: Vec<Range<usize>> = tokens(text).collect();
    let ids: Vec<u32> = ranges.iter().map(|range| names.known(&text[range.clone()])).collect();
    let (window, similarity) = best_window(&ids, &wanted)?;
    if similarity < SIMILARITY_MIN {
        return None;
    }
    let range = ranges[window.start].start..ranges[window.end - 1].end;
    let excerpt = Excerpt::around(text, &range);
    Some(Candidate { range, similarity, excerpt })
}

/// Words, and each other character that is no white space.
fn tokens(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        at = text.len() - text[at..].trim_start().len();
        let first = text[at..].chars().next()?;
        let word = text[at..].find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len() - at);
        let start = at;
        at += word.max(first.len_utf8());
        Some(start..at)
    })
}

/// A number for each word that is looked for, whatever its capitals; 0 for every other.
#[derive(Default)]
struct Names(BTreeMap<String, u32>);

impl Names {
    fn of(&mut self, word: &str) -> u32 {
        let next = u32::try_from(self.0.len() + 1).unwrap_or(u32::MAX);
        *self.0.entry(word.to_lowercase()).or_insert(next)
    }

    fn known(&self, word: &str) -> u32 {
        self.0.get(&word.to_lowercase()).copied().unwrap_or(0)
    }
}

/// The first of the windows as long as `wanted` that have most words, and pairs of neighbours, in common with
/// it, without what at its ends is not wanted; and how much is common, in percent.
fn best_window(ids: &[u32], wanted: &[u32]) -> Option<(Range<usize>, u8)> {
    let len = wanted.len().min(ids.len());
    if len == 0 {
        return None;
    }
    let mut common = Common::new(wanted);
    let mut best = (0, 0);
    for (at, id) in ids.iter().enumerate() {
        common.enter(*id);
        if at > 0 {
            common.enter_pair(ids[at - 1], *id);
        }
        if let Some(gone) = at.checked_sub(len) {
            common.leave(ids[gone]);
            common.leave_pair(ids[gone], ids[gone + 1]);
        }
        let start = (at + 1).saturating_sub(len);
        if at + 1 >= len && common.n > best.0 {
            best = (common.n, start);
        }
    }
    let (n, start) = best;
    let mut window = start..start + len;
    while window.len() > 1 && ids[window.start] == 0 {
        window.start += 1;
    }
    while window.len() > 1 && ids[window.end - 1] == 0 {
        window.end -= 1;
    }
    let all = 2 * wanted.len() - 1;
    let similarity = u8::try_from(n * 100 / all).unwrap_or(100);
    (n > 0).then_some((window, similarity))
}

/// How many words and pairs a window has in common with what is wanted; each counts as often as it is wanted.
struct Common {
    /// How often each word is wanted and not in the window, by its number; below 0: it is there too often.
    words: Vec<i64>,
    /// The same of pairs.
    pairs: BTreeMap<(u32, u32), i64>,
    n: usize,
}

impl Common {
    fn new(wanted: &[u32]) -> Self {
        let n_words = wanted.iter().max().map_or(0, |last| *last as usize + 1);
        let mut common = Self { words: vec![0; n_words], pairs: BTreeMap::new(), n: 0 };
        for id in wanted {
            common.words[*id as usize] += 1;
        }
        for pair in wanted.windows(2) {
            *common.pairs.entry((pair[0], pair[1])).or_default() += 1;
        }
        common
    }

    fn enter(&mut self, id: u32) {
        let missing = &mut self.words[id as usize];
        self.n += usize::from(*missing > 0);
        *missing -= 1;
    }

    fn leave(&mut self, id: u32) {
        let missing = &mut self.words[id as usize];
        *missing += 1;
        self.n -= usize::from(*missing > 0);
    }

    fn enter_pair(&mut self, a: u32, b: u32) {
        if let Some(missing) = self.pairs.get_mut(&(a, b)) {
            self.n += usize::from(*missing > 0);
            *missing -= 1;
        }
    }

    fn leave_pair(&mut self, a: u32, b: u32) {
        if let Some(missing) = self.pairs.get_mut(&(a, b)) {
            *missing += 1;
            self.n -= usize::from(*missing > 0);
        }
    }
}

#[cfg(test)]
mod tests;
