//! Which part of a file is which section of the text that the file was made of.
//!
//! Whole sections at both ends that are the same are found first, so that a small change of a large file is
//! small. Between them both texts are cut at their headings, since one section of a document may hold several,
//! and the parts are paired: first where they stand, in order, by their text, heading and body; then those
//! that are left, wherever they have moved to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

use imara_diff::{Algorithm, Diff, InternedInput};

use super::BaseText;
use crate::markdown::{Place, headings};
use crate::section::Document;

/// Most pairs of parts whose words are compared, between two that are known.
// 64 x 64 parts of some 100 words each: a few milliseconds.
const PAIRS_MAX: usize = 4_096;

/// Most pairs of equal keys that a comparison goes through; what repeats itself more is paired in the order
/// that it stands in.
// As for texts: some ten milliseconds.
const EQUAL_PAIRS_MAX: usize = 1 << 22;

/// A file, by sections.
#[derive(Debug)]
pub(super) struct Aligned<'f> {
    /// Byte order mark and front matter.
    pub(super) front: &'f str,
    /// What follows, in order: joined, it is the file.
    pub(super) pieces: Vec<Piece<'f>>,
}

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece<'f> {
    /// Its place in the base, if it was there. Each is the owner of one piece at most.
    pub(super) owner: Option<usize>,
    pub(super) text: &'f str,
    /// It stands elsewhere among those that stayed.
    pub(super) is_moved: bool,
}

/// `document` is `file`, parsed.
pub(super) fn align<'f>(base: &BaseText, file: &'f str, document: &Document) -> Aligned<'f> {
    let (front, body) = file.split_at(document.front().len());
    let mut at = 0;
    let part = |section: &crate::section::Section| {
        let from = at;
        at += section.text().len();
        Atom { owner: 0, text: &body[from..at], heading_len: section.heading_source().len() }
    };
    let parts: Vec<Atom<'f>> = document.sections().iter().map(part).collect();
    let was: Vec<String> = base.sections.iter().map(|section| section.text.to_string()).collect();
    let ends = Ends::of(&was, body, &parts);
    let mut pieces: Vec<Piece<'f>> = Vec::with_capacity(parts.len());
    let push_all = |pieces: &mut Vec<Piece<'f>>, owners: Range<usize>, mut at: usize| {
        for owner in owners {
            let text = &body[at..at + was[owner].len()];
            pieces.push(Piece { owner: Some(owner), text, is_moved: false });
            at += text.len();
        }
    };
    push_all(&mut pieces, 0..ends.changed.start, 0);
    let atoms = Middle::new(&was, &ends, &parts);
    pieces.extend(atoms.pieces(&body[ends.bytes.clone()]));
    push_all(&mut pieces, ends.changed.end..was.len(), ends.bytes.end);
    mark_moved(&mut pieces);
    Aligned { front, pieces }
}

/// What is between the sections that are the same at both ends.
struct Ends {
    /// Sections of the base.
    changed: Range<usize>,
    /// Parts of the file, and its bytes.
    parts: Range<usize>,
    bytes: Range<usize>,
}

impl Ends {
    /// A section is the same only if the file has a border, too, where it ends: text that was written behind
    /// it belongs to it.
    fn of(was: &[String], body: &str, parts: &[Atom<'_>]) -> Self {
        let mut starts = Vec::with_capacity(parts.len() + 1);
        let mut at = 0;
        for part in parts {
            starts.push(at);
            at += part.text.len();
        }
        starts.push(body.len());
        let border = |at: usize| starts.binary_search(&at).ok();
        let (mut head, mut at) = ((0, 0), 0);
        for (n, text) in was.iter().enumerate() {
            // No text before the first heading is still none, unless there is some now.
            let is_filled = text.is_empty() && parts.first().is_some_and(|part| !part.is_headed());
            if (is_filled && !body.is_empty()) || !body[at..].starts_with(&**text) {
                break;
            }
            at += text.len();
            if border(at).is_some() {
                head = (n + 1, at);
            }
        }
        let (mut tail, mut end) = ((was.len(), body.len()), body.len());
        for (n, text) in was.iter().enumerate().skip(head.0).rev() {
            if text.is_empty() || !body[head.1..end].ends_with(&**text) {
                break;
            }
            end -= text.len();
            if border(end).is_some() {
                tail = (n, end);
            }
        }
        let part_at = |at: usize| border(at).unwrap_or(parts.len());
        Self {
            changed: head.0..tail.0,
            // No text at all is a part as well, and somebody's or a new one.
            parts: match (head.1 < tail.1, body.is_empty() && head.0 == 0) {
                (true, _) => part_at(head.1)..part_at(tail.1),
                (false, true) => 0..parts.len(),
                (false, false) => 0..0,
            },
            bytes: head.1..tail.1,
        }
    }
}

/// A text from one heading to the next.
#[derive(Debug, Clone, Copy)]
struct Atom<'a> {
    /// The section of the base that it is a part of.
    owner: usize,
    text: &'a str,
    heading_len: usize,
}

/// What a part is recognised by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Text,
    /// The heading and the first line behind it.
    Beginning,
    Heading,
    Body,
}

/// Whether it has a heading, since one with never becomes one without; and what it is recognised by.
type Key<'a> = (bool, &'a str, &'a str);

impl<'a> Atom<'a> {
    fn is_headed(&self) -> bool {
        self.heading_len > 0
    }

    /// `None` if this says nothing about it.
    fn key(&self, by: By) -> Option<Key<'a>> {
        let (heading, body) = self.text.split_at(self.heading_len);
        let (heading, body) = (heading.trim(), body.trim());
        match by {
            By::Text => Some((self.is_headed(), self.text, "")),
            By::Beginning => {
                Some((self.is_headed(), heading, body.lines().next().unwrap_or_default()))
            }
            By::Heading => Some((self.is_headed(), heading, "")),
            By::Body => (!body.is_empty()).then_some((self.is_headed(), body, "")),
        }
    }

    fn words(&self) -> BTreeSet<&'a str> {
        self.text.split_whitespace().collect()
    }
}

/// The parts of both texts that have to be looked at.
struct Middle<'a, 'f> {
    was: Vec<Atom<'a>>,
    is: Vec<Atom<'f>>,
    /// For each part of the file, the part of the base that it was.
    pair: Vec<Option<usize>>,
    is_paired: Vec<bool>,
}

impl<'a, 'f> Middle<'a, 'f> {
    fn new(was: &'a [String], ends: &Ends, parts: &[Atom<'f>]) -> Self {
        let was: Vec<Atom<'a>> =
            ends.changed.clone().flat_map(|owner| atoms_of(owner, &was[owner])).collect();
        let is = parts[ends.parts.clone()].to_vec();
        let (pair, is_paired) = (vec![None; is.len()], vec![false; was.len()]);
        let mut middle = Self { was, is, pair, is_paired };
        middle.pair_in_order(By::Text);
        middle.pair_in_order(By::Beginning);
        // Of several with one heading, the one that it is like.
        middle.pair_similar(true);
        middle.pair_in_order(By::Heading);
        middle.pair_in_order(By::Body);
        middle.pair_similar(false);
        for by in [By::Text, By::Beginning, By::Heading, By::Body] {
            middle.pair_moved(by);
        }
        middle
    }

    fn set(&mut self, is: usize, was: usize) {
        self.pair[is] = Some(was);
        self.is_paired[was] = true;
    }

    /// Where neither text has a part with a pair: ranges of the file and of the base.
    fn gaps(&self) -> Vec<(Range<usize>, Range<usize>)> {
        let mut gaps = Vec::new();
        let (mut i, mut j) = (0, 0);
        let known = self.pair.iter().enumerate().filter_map(|(n, pair)| Some((n, (*pair)?)));
        for (n, was) in known.chain([(self.is.len(), self.was.len())]) {
            if i < n && j < was {
                gaps.push((i..n, j..was));
            }
            (i, j) = (n + 1, was + 1);
        }
        gaps
    }

    /// Pairs what is alike and stands in the same order, between what is paired already.
    fn pair_in_order(&mut self, by: By) {
        for (is, was) in self.gaps() {
            let now: Vec<_> = self.is[is.clone()].iter().map(|atom| atom.key(by)).collect();
            let before: Vec<_> = self.was[was.clone()].iter().map(|atom| atom.key(by)).collect();
            for (i, j) in common(&now, &before) {
                self.set(is.start + i, was.start + j);
            }
        }
    }

    /// Pairs what has most of its words in common, the first that has.
    fn pair_similar(&mut self, has_same_heading: bool) {
        for (is, was) in self.gaps() {
            if is.len() * was.len() > PAIRS_MAX {
                continue;
            }
            let before: Vec<_> = self.was[was.clone()].iter().map(Atom::words).collect();
            let mut from = 0;
            for i in is {
                let now = self.is[i].words();
                let is_alike = |j: &usize| {
                    let common = now.intersection(&before[*j]).count();
                    let all = now.len() + before[*j].len() - common;
                    let (a, b) = (&self.is[i], &self.was[was.start + j]);
                    let may_be = if has_same_heading {
                        a.key(By::Heading) == b.key(By::Heading)
                    } else {
                        a.is_headed() == b.is_headed()
                    };
                    may_be && common > 0 && common * 2 >= all
                };
                if let Some(j) = (from..before.len()).find(is_alike) {
                    self.set(i, was.start + j);
                    from = j + 1;
                }
            }
        }
    }

    /// Pairs what is alike, wherever it stands.
    fn pair_moved(&mut self, by: By) {
        let mut free: BTreeMap<Key<'_>, VecDeque<usize>> = BTreeMap::new();
        for (j, atom) in self.was.iter().enumerate().filter(|(j, _)| !self.is_paired[*j]) {
            if let Some(key) = atom.key(by) {
                free.entry(key).or_default().push_back(j);
            }
        }
        let mut found = Vec::new();
        for (i, atom) in self.is.iter().enumerate().filter(|(i, _)| self.pair[*i].is_none()) {
            let list = atom.key(by).and_then(|key| free.get_mut(&key));
            if let Some(j) = list.and_then(VecDeque::pop_front) {
                found.push((i, j));
            }
        }
        for (i, j) in found {
            self.set(i, j);
        }
    }

    /// The parts of the file, put together where they are one section. `text` is all of them.
    fn pieces(&self, text: &'f str) -> Vec<Piece<'f>> {
        let owner_of = |i: usize| self.pair[i].map(|j| self.was[j].owner);
        // What is new between two parts of one section belongs to it.
        let mut next = vec![None; self.is.len()];
        let mut owner_behind = None;
        for i in (0..self.is.len()).rev() {
            owner_behind = owner_of(i).or(owner_behind);
            next[i] = owner_behind;
        }
        let mut cuts: Vec<(Option<usize>, Range<usize>)> = Vec::new();
        let mut at = 0;
        for (i, atom) in self.is.iter().enumerate() {
            let end = at + atom.text.len();
            match cuts.last_mut() {
                Some((owner, range)) if owner.is_some() && *owner == next[i] => range.end = end,
                _ => cuts.push((owner_of(i), at..end)),
            }
            at = end;
        }
        // A section that was torn apart lives on in its largest part.
        let mut largest: BTreeMap<usize, usize> = BTreeMap::new();
        for (n, (owner, range)) in cuts.iter().enumerate() {
            let Some(owner) = *owner else { continue };
            let best = largest.entry(owner).or_insert(n);
            if range.len() > cuts[*best].1.len() {
                *best = n;
            }
        }
        let piece = |(n, (owner, range)): (usize, (Option<usize>, Range<usize>))| Piece {
            owner: owner.filter(|owner| largest.get(owner) == Some(&n)),
            text: &text[range],
            is_moved: false,
        };
        cuts.into_iter().enumerate().map(piece).collect()
    }
}

/// The parts of a section.
fn atoms_of(owner: usize, text: &str) -> Vec<Atom<'_>> {
    let mut atoms = Vec::new();
    let mut open = Atom { owner, text: "", heading_len: 0 };
    let mut from = 0;
    for heading in headings(text).into_iter().filter(|heading| heading.place == Place::Top) {
        if heading.range.start > 0 {
            atoms.push(Atom { text: &text[from..heading.range.start], ..open });
        }
        from = heading.range.start;
        open.heading_len = heading.range.len();
    }
    atoms.push(Atom { text: &text[from..], ..open });
    atoms
}

/// What both lists have in common, in order.
fn common(a: &[Option<Key<'_>>], b: &[Option<Key<'_>>]) -> Vec<(usize, usize)> {
    // What says nothing is like nothing else.
    let token = |side: bool| {
        move |(n, key): (usize, &Option<Key<'_>>)| match key {
            Some(key) => (None, key.0, key.1.to_owned(), key.2.to_owned()),
            None => (Some(n), side, String::new(), String::new()),
        }
    };
    let mut input = InternedInput::default();
    input.update_before(a.iter().enumerate().map(token(false)));
    input.update_after(b.iter().enumerate().map(token(true)));
    let n_tokens = (input.interner.num_tokens() as usize).max(1);
    if a.len().saturating_mul(b.len()) / n_tokens > EQUAL_PAIRS_MAX {
        return Vec::new();
    }
    let diff = Diff::compute(Algorithm::Histogram, &input);
    let mut pairs = Vec::new();
    let (mut i, mut j) = (0, 0);
    let end = u32::try_from(a.len()).unwrap_or(u32::MAX);
    let last = imara_diff::Hunk { before: end..end, after: 0..0 };
    for hunk in diff.hunks().chain([last]) {
        while i < hunk.before.start as usize {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        }
        (i, j) = (hunk.before.end as usize, hunk.after.end as usize);
    }
    pairs
}

/// Marks as few as possible of those that do not stand in the order of the base.
fn mark_moved(pieces: &mut [Piece<'_>]) {
    // The longest increasing row (patience sorting): the last of the best row of each length, and before each
    // the one that it follows.
    let mut best: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = vec![None; pieces.len()];
    for (n, piece) in pieces.iter().enumerate() {
        let Some(owner) = piece.owner else { continue };
        let place = best.partition_point(|last| pieces[*last].owner < Some(owner));
        before[n] = place.checked_sub(1).map(|place| best[place]);
        if place == best.len() {
            best.push(n);
        } else {
            best[place] = n;
        }
    }
    let mut stays = BTreeSet::new();
    let mut next = best.last().copied();
    while let Some(n) = next {
        stays.insert(n);
        next = before[n];
    }
    for (n, piece) in pieces.iter_mut().enumerate() {
        piece.is_moved = piece.owner.is_some() && !stays.contains(&n);
    }
}
