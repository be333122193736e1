//! Two texts that were made from one, put together; or where that needs somebody to decide.
//!
//! The pieces are those of [`units`](super::units): two sentences of one paragraph merge, two changes of one
//! sentence are a conflict. What a merge accepts is in its result word for word.

use std::ops::Range;

use super::Changes;
use super::diff::{Hunk, is_spaceless, piece_hunks, push_words, ranges};
use super::units::{Kind, Unit, Units, units};

/// Most overlaps that a [`Conflict`] lists.
// 16 x 3 excerpts of 200 B = 10 KB: what somebody who decides reads at once.
pub const OVERLAPS_MAX: usize = 16;

/// Longest excerpt, in bytes.
pub const EXCERPT_BYTES_MAX: usize = 200;

/// What came of two texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The text with the changes of both.
    pub text: String,
    /// The changes that make it of our text, word by word.
    pub changes_over_ours: Changes,
}

/// Both sides changed the same sentences, rows or lines in different ways. Read the newest text, and make the
/// change anew there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.summary())]
pub struct Conflict {
    /// The first [`OVERLAPS_MAX`] of them, in order; at least one.
    pub overlaps: Vec<Overlap>,
    /// How many there are.
    pub n_overlaps: usize,
}

/// One place that both sides changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlap {
    /// The line of the base where it begins, from 1.
    pub line: usize,
    /// What stood there.
    pub base: Part,
    /// What we made of it.
    pub ours: Part,
    /// What they made of it.
    pub theirs: Part,
}

/// A part of one of the three texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Where, in bytes of that text.
    pub range: Range<usize>,
    /// The text, at most [`EXCERPT_BYTES_MAX`] bytes of it and `…`.
    pub excerpt: String,
}

impl Conflict {
    fn summary(&self) -> String {
        let s = if self.n_overlaps == 1 { "" } else { "s" };
        let first =
            self.overlaps.first().map(|first| format!(", the first in line {}", first.line));
        let first = first.unwrap_or_default();
        format!("both changed {} place{s} in different ways{first}", self.n_overlaps)
    }
}

/// Puts together `ours` and `theirs`, both made from `base`.
///
/// - Changes of different pieces go together; the same change on both sides is one.
/// - Of insertions at one place there is one at most, except at the end of the text, where ours comes first and
///   then theirs.
/// - In fenced code, changes with no line between them are a conflict.
///
/// # Errors
/// [`Conflict`] if both changed one piece. It does not depend on which side is ours.
///
/// # Example
/// ```
/// use ggml_agent_doc::text::merge;
/// let base = "The cat sat. The dog ran.";
/// let merged = merge(base, "A cat sat. The dog ran.", "The cat sat. The dog slept.")?;
/// assert_eq!(merged.text, "A cat sat. The dog slept.");
/// assert!(merge(base, "A cat sat. The dog ran.", "The cat lay. The dog ran.").is_err());
/// # Ok::<(), ggml_agent_doc::text::Conflict>(())
/// ```
pub fn merge(base: &str, ours: &str, theirs: &str) -> Result<Merged, Conflict> {
    if base == theirs || ours == theirs {
        return Ok(Merged { text: ours.to_owned(), changes_over_ours: Changes::none() });
    }
    Merge::new(base, ours, theirs).run()
}

/// A text of a side, and what it changed.
struct Version<'a> {
    text: &'a str,
    units: Vec<Unit>,
    is_open: bool,
    hunks: Vec<Hunk>,
}

impl<'a> Version<'a> {
    fn new(base: &str, base_ranges: &[Range<usize>], text: &'a str, cut: usize) -> Self {
        let units = units_cut(text, cut);
        let hunks = piece_hunks(base, base_ranges, text, &ranges(&units.list));
        Self { text, units: units.list, is_open: units.is_open, hunks }
    }

    fn new_text(&self, hunk: &Hunk) -> &'a str {
        &self.text[bytes(&self.units, self.text.len(), &hunk.new)]
    }

    /// The pieces of this text that stand for those pieces of the base, of which the hunks `of` are.
    fn image(&self, base: &Range<usize>, of: &Range<usize>) -> Range<usize> {
        // Between two hunks both texts go on alike, so an offset next to one is enough.
        let shift = |n: usize, hunk: Option<&Hunk>, is_before: bool| match hunk {
            Some(hunk) if is_before => hunk.new.end + n - hunk.old.end,
            Some(hunk) => hunk.new.start - (hunk.old.start - n),
            None => n,
        };
        let before = of.start.checked_sub(1).and_then(|n| self.hunks.get(n));
        let start = match self.hunks.get(of.start).filter(|_| !of.is_empty()) {
            Some(first) => shift(base.start, Some(first), false),
            None => shift(base.start, before, true),
        };
        let end = match of.end.checked_sub(1).and_then(|n| self.hunks.get(n)) {
            Some(last) => shift(base.end, Some(last), true),
            None => base.end,
        };
        start..end
    }
}

/// The pieces of `text`, none of which goes over `cut`.
fn units_cut(text: &str, cut: usize) -> Units {
    let (mut head, tail) = (units(&text[..cut]), units(&text[cut..]));
    head.is_open |= tail.is_open;
    head.list.extend(
        tail.list.into_iter().map(|unit| Unit {
            range: unit.range.start + cut..unit.range.end + cut,
            kind: unit.kind,
        }),
    );
    head
}

/// Where these pieces stand.
fn bytes(units: &[Unit], len: usize, range: &Range<usize>) -> Range<usize> {
    let place = |n: usize| units.get(n).map_or(len, |unit| unit.range.start);
    place(range.start)..place(range.end)
}

struct Merge<'a> {
    base: &'a str,
    units: Vec<Unit>,
    is_open: bool,
    /// From which piece on there are only gaps.
    tail: usize,
    ours: Version<'a>,
    theirs: Version<'a>,
}

/// What both sides have in common: the numbers of the hunks that make one change.
#[derive(Default)]
struct Plan {
    /// Hunks of theirs that ours has as well.
    same: Vec<usize>,
    overlaps: Vec<(Range<usize>, Range<usize>)>,
}

impl<'a> Merge<'a> {
    fn new(base: &'a str, ours: &'a str, theirs: &'a str) -> Self {
        let content = base.trim_end();
        let appends = |text: &str| {
            let rest = text.strip_prefix(content);
            rest.is_some_and(|rest| rest.trim_start_matches([' ', '\t', '\r']).starts_with('\n'))
        };
        // Lines that both append are not part of a last sentence that has no full stop.
        let cut = if appends(ours) && appends(theirs) { content.len() } else { 0 };
        let base_units = units_cut(base, cut);
        let list = ranges(&base_units.list);
        let is_gap = |unit: &Unit| unit.kind == Kind::Gap;
        let tail = base_units.list.iter().rposition(|unit| !is_gap(unit)).map_or(0, |n| n + 1);
        Self {
            base,
            units: base_units.list,
            is_open: base_units.is_open,
            tail,
            ours: Version::new(base, &list, ours, cut),
            theirs: Version::new(base, &list, theirs, cut),
        }
    }

    fn run(&self) -> Result<Merged, Conflict> {
        let plan = self.plan();
        if plan.overlaps.is_empty() {
            self.assemble(&plan.same)
        } else {
            Err(self.conflict(&plan.overlaps))
        }
    }

    /// Walks both lists of hunks once.
    fn plan(&self) -> Plan {
        let (ours, theirs) = (&self.ours.hunks, &self.theirs.hunks);
        let mut plan = Plan::default();
        let (mut i, mut j) = (0, 0);
        while let (Some(a), Some(b)) = (ours.get(i), theirs.get(j)) {
            if self.is_same(a, b) {
                plan.same.push(j);
                (i, j) = (i + 1, j + 1);
            } else if self.clash(a, b) {
                let (i0, j0) = (i, j);
                (i, j) = (i + 1, j + 1);
                loop {
                    let last_a = &ours[i - 1];
                    let last_b = &theirs[j - 1];
                    if ours.get(i).is_some_and(|a| self.clash(a, last_b)) {
                        i += 1;
                    } else if theirs.get(j).is_some_and(|b| self.clash(last_a, b)) {
                        j += 1;
                    } else {
                        break;
                    }
                }
                plan.overlaps.push((i0..i, j0..j));
            } else if (a.old.end, a.old.start) <= (b.old.end, b.old.start) {
                i += 1;
            } else {
                j += 1;
            }
        }
        plan
    }

    fn is_same(&self, a: &Hunk, b: &Hunk) -> bool {
        a.old == b.old && self.ours.new_text(a) == self.theirs.new_text(b)
    }

    /// Whether a hunk of ours and one of theirs, which are not the same, cannot both be.
    fn clash(&self, a: &Hunk, b: &Hunk) -> bool {
        if a.old.start < b.old.end && b.old.start < a.old.end {
            return true;
        }
        let between = a.old.end.min(b.old.end)..a.old.start.max(b.old.start);
        let has_piece = self.units[between.start.min(between.end)..between.end]
            .iter()
            .any(|unit| unit.kind != Kind::Gap);
        if has_piece {
            return false;
        }
        if a.old.is_empty() && b.old.is_empty() {
            let is_append = a.old.start.min(b.old.start) >= self.tail;
            return !is_append || self.is_open || self.ours.is_open || self.theirs.is_open;
        }
        self.is_code(a) && self.is_code(b)
    }

    /// Whether a hunk changes code, or inserts between lines of it.
    fn is_code(&self, hunk: &Hunk) -> bool {
        let start = hunk.old.start.saturating_sub(1);
        let end = self.units.len().min(hunk.old.end + 1);
        self.units[start..end].iter().any(|unit| unit.kind == Kind::Code)
    }

    /// Our text with their hunks, but for those that it has already.
    fn assemble(&self, same: &[usize]) -> Result<Merged, Conflict> {
        let mut text = String::with_capacity(self.ours.text.len() + self.theirs.text.len() / 8);
        let mut changes = Changes::none();
        let mut same = same.iter().copied().peekable();
        let (mut done, mut i) = (0, 0);
        for (j, hunk) in self.theirs.hunks.iter().enumerate() {
            if same.next_if_eq(&j).is_some() {
                continue;
            }
            while self.ours.hunks.get(i).is_some_and(|ours| ours.old.end <= hunk.old.start) {
                i += 1;
            }
            let place =
                bytes(&self.ours.units, self.ours.text.len(), &self.ours.image(&hunk.old, &(i..i)));
            text.push_str(&self.ours.text[done..place.start]);
            let new = self.theirs.new_text(hunk);
            let rest = &self.ours.text[place.end..];
            let behind = i.checked_sub(1).filter(|n| self.ours.hunks[*n].old.end == hunk.old.start);
            let mut glue = "";
            if let Some(n) = behind
                && self.is_joined(n, hunk, &text, if new.is_empty() { rest } else { new })
            {
                if !(hunk.old.is_empty() && self.ours.hunks[n].old.is_empty()) {
                    return Err(self.conflict(&[(n..n + 1, j..j + 1)]));
                }
                // Both append, and neither has put an end of line there.
                glue = "\n";
            }
            let is_ahead = self.ours.hunks.get(i).is_some_and(|h| h.old.start == hunk.old.end);
            if is_ahead && self.is_joined(i, hunk, if new.is_empty() { &text } else { new }, rest) {
                return Err(self.conflict(&[(i..i + 1, j..j + 1)]));
            }
            changes.push_parts(place.start, 0, glue);
            push_words(&mut changes, place.start, &self.ours.text[place.clone()], new);
            text.push_str(glue);
            text.push_str(new);
            done = place.end;
        }
        text.push_str(&self.ours.text[done..]);
        Ok(Merged { text, changes_over_ours: changes })
    }

    /// Whether a hunk of ours and the one of theirs next to it, put together, would make one word of two; or,
    /// if one of them inserts, one line of two.
    fn is_joined(&self, ours: usize, theirs: &Hunk, left: &str, right: &str) -> bool {
        let (Some(a), Some(b)) = (left.chars().next_back(), right.chars().next()) else {
            return false;
        };
        if is_spaceless(a) || is_spaceless(b) {
            return false;
        }
        if theirs.old.is_empty() || self.ours.hunks[ours].old.is_empty() {
            return !a.is_whitespace() && !b.is_whitespace();
        }
        a.is_alphanumeric() && b.is_alphanumeric()
    }

    #[cold]
    fn conflict(&self, overlaps: &[(Range<usize>, Range<usize>)]) -> Conflict {
        let list = overlaps.iter().take(OVERLAPS_MAX).map(|(i, j)| {
            let olds = self.ours.hunks[i.clone()].iter().chain(&self.theirs.hunks[j.clone()]);
            let olds = olds.map(|hunk| hunk.old.clone());
            let base = olds.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end)).unwrap_or(0..0);
            let side = |version: &Version<'_>, of: &Range<usize>| {
                let range = version.image(&base, of);
                Part::of(version.text, bytes(&version.units, version.text.len(), &range))
            };
            let at = bytes(&self.units, self.base.len(), &base);
            Overlap {
                line: memchr::memchr_iter(b'\n', &self.base.as_bytes()[..at.start]).count() + 1,
                ours: side(&self.ours, i),
                theirs: side(&self.theirs, j),
                base: Part::of(self.base, at),
            }
        });
        Conflict { overlaps: list.collect(), n_overlaps: overlaps.len() }
    }
}

impl Part {
    fn of(text: &str, range: Range<usize>) -> Self {
        let whole = &text[range.clone()];
        if whole.len() <= EXCERPT_BYTES_MAX {
            return Self { range, excerpt: whole.to_owned() };
        }
        // Its beginning and its end: the middle of a long sentence says least.
        let is_boundary = |at: &usize| whole.is_char_boundary(*at);
        let half = EXCERPT_BYTES_MAX / 2;
        let head = (0..=half).rev().find(is_boundary).unwrap_or(0);
        let tail = (whole.len() - half..).find(is_boundary).unwrap_or(whole.len());
        Self { range, excerpt: format!("{}…{}", &whole[..head], &whole[tail..]) }
    }
}

#[cfg(test)]
mod tests;
