//! What differs between two texts: by sentences and then words, or by lines.

use std::ops::Range;

use imara_diff::{Algorithm, Diff, InternedInput};

use super::units::{Unit, units};
use super::{Change, Changes};

/// Most bytes of both texts, without what they have in common at both ends, that are compared; what is longer
/// is one change.
// Eight of the largest sections: some 100 ms.
pub const COMPARED_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Most pairs of equal pieces that two texts may have; what repeats itself more is one change.
// 256 KiB of prose has some 90,000 words of which 3,000 differ: 2.7 million.
const EQUAL_PAIRS_MAX: usize = 1 << 22;

/// The pieces that are kept or replaced as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granularity {
    /// Words, within sentences that differ: for prose.
    Words,
    /// Lines with their ends: for code.
    Lines,
}

/// The changes that make `new` of `old`: few and short, not provably the fewest. The same texts give the same
/// changes. Time is bounded by the lengths of the texts, whatever they hold.
///
/// # Example
/// ```
/// use ggml_agent_doc::text::{Changes, Granularity, diff};
/// let changes = diff("The cat sat. It purred.", "The dog sat. It purred.", Granularity::Words);
/// assert_eq!(changes, Changes::one(4, 3, "dog"));
/// ```
#[must_use]
pub fn diff(old: &str, new: &str, granularity: Granularity) -> Changes {
    let (start, tail) = common(old, new, granularity);
    let (old_end, new_end) = (old.len() - tail, new.len() - tail);
    let (old_part, new_part) = (&old[start..old_end], &new[start..new_end]);
    let mut changes = Changes::none();
    let is_long = old_part.len() + new_part.len() > COMPARED_BYTES_MAX;
    if is_long || old_part.is_empty() || new_part.is_empty() {
        changes.push_parts(start, old_part.len(), new_part);
    } else {
        match granularity {
            Granularity::Lines => {
                let (a, b) = (lines(old_part), lines(new_part));
                for hunk in hunks(old_part, &a, new_part, &b) {
                    changes.push_parts(start + hunk.old.start, hunk.old.len(), &new_part[hunk.new]);
                }
            }
            Granularity::Words => {
                let (a, b) = (ranges(&units(old_part).list), ranges(&units(new_part).list));
                for hunk in hunks(old_part, &a, new_part, &b) {
                    let at = start + hunk.old.start;
                    push_words(&mut changes, at, &old_part[hunk.old], &new_part[hunk.new]);
                }
            }
        }
    }
    changes
}

/// A piece of a diff, to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span<'a> {
    /// In both texts.
    Keep(&'a str),
    /// In the old text only.
    Delete(&'a str),
    /// In the new text only. Follows the deletion that it replaces.
    Insert(&'a str),
}

/// `old` and `changes` as one row of kept, deleted and inserted texts. Changes that do not fit `old` are left out.
pub fn spans<'a>(old: &'a str, changes: &'a Changes) -> impl Iterator<Item = Span<'a>> {
    let mut done = 0;
    let end = Change { at: old.len(), del: 0, insert: String::new() };
    let tail = std::iter::once((end.at, end.del, ""));
    let list = changes.into_iter().map(|change| (change.at, change.del, change.insert.as_str()));
    list.chain(tail)
        .filter_map(move |(at, del, insert)| {
            let parts = (old.get(done..at)?, old.get(at..at.checked_add(del)?)?, insert);
            done = at + del;
            Some([Span::Keep(parts.0), Span::Delete(parts.1), Span::Insert(parts.2)])
        })
        .flatten()
        .filter(|span| {
            let (Span::Keep(text) | Span::Delete(text) | Span::Insert(text)) = span;
            !text.is_empty()
        })
}

/// How many bytes both texts have in common at the beginning and at the end, whole pieces only: up to white
/// space, or whole lines.
fn common(old: &str, new: &str, granularity: Granularity) -> (usize, usize) {
    let is_edge = |byte: &u8| match granularity {
        Granularity::Words => byte.is_ascii_whitespace(),
        Granularity::Lines => *byte == b'\n',
    };
    let (a, b) = (old.as_bytes(), new.as_bytes());
    let same = same_bytes(a, b);
    if same == a.len() && same == b.len() {
        return (same, 0);
    }
    // An edge is a byte of ASCII, so the place behind it is a boundary.
    let head = a[..same].iter().rposition(is_edge).map_or(0, |at| at + 1);
    let (a, b) = (&a[head..], &b[head..]);
    let same = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    let is_whole = |side: &[u8]| side.len() == same || is_edge(&side[side.len() - same - 1]);
    if is_whole(a) && is_whole(b) && old.is_char_boundary(old.len() - same) {
        return (head, same);
    }
    let tail = &a[a.len() - same..];
    // White space before a word goes with the word; an end of line ends its line.
    let from = tail.iter().position(is_edge).map_or(same, |at| match granularity {
        Granularity::Words => at,
        Granularity::Lines => at + 1,
    });
    (head, same - from)
}

fn same_bytes(a: &[u8], b: &[u8]) -> usize {
    const STEP: usize = 64;
    let whole = a.chunks_exact(STEP).zip(b.chunks_exact(STEP)).take_while(|(a, b)| a == b).count();
    let from = whole * STEP;
    from + a[from..].iter().zip(&b[from..]).take_while(|(a, b)| a == b).count()
}

/// Bytes of the old text that became bytes of the new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hunk {
    pub(super) old: Range<usize>,
    pub(super) new: Range<usize>,
}

/// What differs, piece by piece. The pieces cover their texts.
fn hunks(old: &str, a: &[Range<usize>], new: &str, b: &[Range<usize>]) -> Vec<Hunk> {
    let place = |list: &[Range<usize>], len: usize, n: usize| list.get(n).map_or(len, |r| r.start);
    let bytes = |hunk: Hunk| Hunk {
        old: place(a, old.len(), hunk.old.start)..place(a, old.len(), hunk.old.end),
        new: place(b, new.len(), hunk.new.start)..place(b, new.len(), hunk.new.end),
    };
    piece_hunks(old, a, new, b).into_iter().map(bytes).collect()
}

/// The same, in numbers of pieces.
pub(super) fn piece_hunks(
    old: &str,
    a: &[Range<usize>],
    new: &str,
    b: &[Range<usize>],
) -> Vec<Hunk> {
    let mut input = InternedInput::default();
    input.reserve(u32::try_from(a.len()).unwrap_or(0), u32::try_from(b.len()).unwrap_or(0));
    input.update_before(a.iter().map(|range| &old[range.clone()]));
    input.update_after(b.iter().map(|range| &new[range.clone()]));
    let same = input.before.iter().zip(&input.after).take_while(|(a, b)| a == b).count();
    let (rest_a, rest_b) = (&input.before[same..], &input.after[same..]);
    let tail = rest_a.iter().rev().zip(rest_b.iter().rev()).take_while(|(a, b)| a == b).count();
    let (n, m) = (rest_a.len() - tail, rest_b.len() - tail);
    // About how many pairs of equal pieces there are, which is what a comparison goes through.
    if n.saturating_mul(m) / (input.interner.num_tokens() as usize).max(1) > EQUAL_PAIRS_MAX {
        return vec![Hunk { old: same..same + n, new: same..same + m }];
    }
    let mut diff = Diff::compute(Algorithm::Histogram, &input);
    // Moves what can stand at several places down, so that two texts that insert at one place agree on it.
    diff.postprocess_no_heuristic(&input);
    let wide = |range: &Range<u32>| range.start as usize..range.end as usize;
    diff.hunks().map(|hunk| Hunk { old: wide(&hunk.before), new: wide(&hunk.after) }).collect()
}

pub(super) fn ranges(units: &[Unit]) -> Vec<Range<usize>> {
    units.iter().map(|unit| unit.range.clone()).collect()
}

fn lines(text: &str) -> Vec<Range<usize>> {
    let mut start = 0;
    let line = |line: &str| {
        start += line.len();
        start - line.len()..start
    };
    text.split_inclusive('\n').map(line).collect()
}

/// Adds the changes, word by word, that make `new` of `old`, which stands at `at`.
pub(super) fn push_words(changes: &mut Changes, at: usize, old: &str, new: &str) {
    if old.is_empty() || new.is_empty() {
        changes.push_parts(at, old.len(), new);
        return;
    }
    let hunks = hunks(old, &words(old), new, &words(new));
    let mut hunks = hunks.into_iter().peekable();
    while let Some(mut hunk) = hunks.next() {
        // Two words in a row that are replaced are one change, not two with a space between.
        while let Some(next) = hunks.next_if(|next| is_one_phrase(old, &hunk, next)) {
            hunk.old.end = next.old.end;
            hunk.new.end = next.new.end;
        }
        changes.push_parts(at + hunk.old.start, hunk.old.len(), &new[hunk.new]);
    }
}

fn is_one_phrase(old: &str, hunk: &Hunk, next: &Hunk) -> bool {
    let kept = &old[hunk.old.end..next.old.start];
    let is_replaced = |hunk: &Hunk| !hunk.old.is_empty() && !hunk.new.is_empty();
    kept.bytes().all(|b| b == b' ') && is_replaced(hunk) && is_replaced(next)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Word,
    Space,
    /// A piece by itself: punctuation, an end of line, a character of a script without spaces.
    Single,
}

fn class(c: char) -> Class {
    match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => Class::Word,
        ' ' | '\t' => Class::Space,
        '\0'..='\x7f' => Class::Single,
        // What combines with the character before; joiners and variation selectors.
        '\u{300}'..='\u{36f}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' => Class::Word,
        _ if is_spaceless(c) => Class::Single,
        _ if c.is_alphanumeric() => Class::Word,
        _ if c.is_whitespace() => Class::Space,
        _ => Class::Single,
    }
}

/// Whether `c` is of a script that does not part words by spaces: Chinese, Japanese, Thai and their neighbours.
pub(super) fn is_spaceless(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{2e80}'..='\u{a4cf}' | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}'
        | '\u{20000}'..='\u{3ffff}')
}

/// Words, spaces between them, and everything else by the character.
fn words(text: &str) -> Vec<Range<usize>> {
    let mut list: Vec<Range<usize>> = Vec::with_capacity(text.len() / 3);
    let mut last = Class::Single;
    for (at, c) in text.char_indices() {
        let end = at + c.len_utf8();
        let class = class(c);
        match list.last_mut() {
            Some(word) if class == last && class != Class::Single => word.end = end,
            _ => list.push(at..end),
        }
        last = class;
    }
    list
}

#[cfg(test)]
mod tests;
