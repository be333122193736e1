//! The text of a section, which is edited in place and copied for nothing.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use crop::Rope;

use crate::change::Splice;
use crate::text::Change;

/// A text as a rope of bytes: an edit costs some hundred nanoseconds however long the text is, and a clone
/// shares everything.
///
/// Positions are bytes of UTF-8, and always stand between two characters.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Text(Rope);

impl Text {
    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.byte_len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `at` is inside the text, or its end, and between two characters.
    #[must_use]
    pub fn is_char_boundary(&self, at: usize) -> bool {
        at <= self.len() && self.0.is_char_boundary(at)
    }

    /// Whether both ends of `range` are [boundaries](Self::is_char_boundary), in order.
    #[must_use]
    pub fn holds(&self, range: &Range<usize>) -> bool {
        range.start <= range.end
            && self.is_char_boundary(range.start)
            && (range.is_empty() || self.is_char_boundary(range.end))
    }

    /// The bytes in `range`; `None` if it is not [in the text](Self::holds).
    #[must_use]
    pub fn get(&self, range: Range<usize>) -> Option<String> {
        self.holds(&range).then(|| self.piece(range))
    }

    /// The text in pieces, in order.
    pub fn chunks(&self) -> impl Iterator<Item = &str> {
        self.0.chunks()
    }

    /// Whether it begins with this byte.
    #[must_use]
    pub fn starts_with(&self, byte: u8) -> bool {
        !self.is_empty() && self.0.byte(0) == byte
    }

    /// The byte that stands before `at`, which is in the text or its end; `None` at the start.
    pub(crate) fn byte_before(&self, at: usize) -> Option<u8> {
        Some(self.0.byte(at.checked_sub(1)?))
    }

    /// How many UTF-16 units stand before byte `at`, as editors in browsers count.
    ///
    /// # Panics
    /// If `at` is not a [boundary](Self::is_char_boundary).
    #[must_use]
    pub fn utf16_of(&self, at: usize) -> usize {
        self.0.utf16_code_unit_of_byte(at)
    }

    /// What `change` would do to it; `None` if the change does not fit.
    pub(crate) fn splice_of(&self, change: Change) -> Option<Splice> {
        let Change { at, del, insert } = change;
        let removed = self.get(at..at.checked_add(del)?)?;
        Some(Splice { at, removed, inserted: insert })
    }

    /// Carries out `splice`, which was [made of this text](Self::splice_of) as it is.
    pub(crate) fn make(&mut self, splice: &Splice) {
        let range = splice.at..splice.at + splice.removed.len();
        debug_assert_eq!(self.get(range.clone()).as_ref(), Some(&splice.removed), "of this text");
        self.0.replace(range, &splice.inserted);
    }

    /// Carries out `splice`, which was made of this text; false, and nothing done, if it was not.
    pub(crate) fn apply(&mut self, splice: &Splice) -> bool {
        let Some(end) = splice.at.checked_add(splice.removed.len()) else { return false };
        let range = splice.at..end;
        if !self.holds(&range) {
            return false;
        }
        if range.is_empty() {
            self.0.insert(splice.at, &splice.inserted);
            return true;
        }
        let is_there = self.0.byte_slice(range.clone()) == *splice.removed;
        if is_there {
            self.0.replace(range, &splice.inserted);
        }
        is_there
    }

    /// The bytes in `range`, which is in the text; shortened to the next boundaries inside.
    pub(crate) fn window(&self, range: Range<usize>) -> Cow<'_, str> {
        let (mut start, mut end) = (range.start, range.end.min(self.len()));
        while start < end && !self.0.is_char_boundary(start) {
            start += 1;
        }
        while end > start && !self.0.is_char_boundary(end) {
            end -= 1;
        }
        if start == end {
            return Cow::Borrowed("");
        }
        let window = self.0.byte_slice(start..end);
        match window.chunks().next() {
            // Mostly it lies in one piece, and nothing is copied.
            Some(chunk) if chunk.len() == end - start => Cow::Borrowed(chunk),
            _ => Cow::Owned(window.to_string()),
        }
    }

    fn piece(&self, range: Range<usize>) -> String {
        if range.is_empty() { String::new() } else { self.window(range).into_owned() }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.0 == *other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.0 == **other
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chunks().try_for_each(|chunk| f.write_str(chunk))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soup::{each, soup};

    #[test]
    fn a_rope_is_what_a_string_would_be() {
        each(500, "a_rope_is_what_a_string_would_be", |rng| {
            let mut model = soup(rng, 20);
            let mut text = Text::from(&*model);
            for _ in 0..40 {
                let (mut at, mut end) = (rng.below(model.len() + 1), rng.below(model.len() + 1));
                (at, end) = (at.min(end), at.max(end).min(at.min(end) + rng.below(40)));
                let insert = if rng.below(3) == 0 { String::new() } else { soup(rng, 2) };
                let fits = model.is_char_boundary(at) && model.is_char_boundary(end);
                let splice = text.splice_of(Change { at, del: end - at, insert: insert.clone() });
                assert_eq!(splice.is_some(), fits);
                let Some(splice) = splice else { continue };
                assert!(text.apply(&splice));
                model.replace_range(at..end, &insert);
                assert_eq!(text, *model);
                let shared = text.clone();
                assert!(text.apply(&splice.inverse()));
                text.make(&splice);
                assert_eq!((&shared, text.len()), (&text, model.len()));
                let utf16: usize = model[..at].chars().map(char::len_utf16).sum();
                assert_eq!(text.utf16_of(at), utf16);
            }
        });
    }

    #[test]
    fn a_splice_of_another_text_is_refused_and_changes_nothing() {
        let mut text = Text::from("aéz");
        for (at, removed) in
            [(0, "b"), (2, ""), (1, "\u{e8}"), (4, "zz"), (5, ""), (usize::MAX, "a")]
        {
            let splice = Splice { at, removed: removed.into(), inserted: "x".into() };
            assert!(!text.apply(&splice), "{splice:?}");
            assert_eq!(text, "aéz");
        }
        assert_eq!(text.splice_of(Change { at: 1, del: usize::MAX, insert: String::new() }), None);
    }
}
