//! The part of a text that changed.

use std::sync::Arc;

/// A text as its difference from another: what is kept at both ends, and what stands between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Splice {
    /// Bytes kept at the beginning.
    pub(super) front: usize,
    /// Bytes kept at the end.
    pub(super) back: usize,
    /// What stands between them.
    pub(super) insert: String,
}

impl Splice {
    /// The shortest one that makes `new` of `old`, as far as both ends go.
    pub(crate) fn between(old: &str, new: &str) -> Self {
        let (old_bytes, new_bytes) = (old.as_bytes(), new.as_bytes());
        let pairs = old_bytes.iter().zip(new_bytes);
        let mut front = pairs.take_while(|(a, b)| a == b).count();
        // What is alike in both has its boundaries between characters at the same places.
        while !new.is_char_boundary(front) {
            front -= 1;
        }
        let pairs = old_bytes[front..].iter().rev().zip(new_bytes[front..].iter().rev());
        let mut back = pairs.take_while(|(a, b)| a == b).count();
        while !new.is_char_boundary(new.len() - back) {
            back -= 1;
        }
        Self { front, back, insert: new[front..new.len() - back].to_owned() }
    }

    /// The new text; `None` if `old` is not what it was made from.
    pub(crate) fn apply(&self, old: &str) -> Option<Arc<str>> {
        let end = old.len().checked_sub(self.back).filter(|end| *end >= self.front)?;
        let (front, back) = (old.get(..self.front)?, old.get(end..)?);
        Some([front, &self.insert, back].concat().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soup::{each, soup};

    #[test]
    fn a_splice_holds_only_what_changed() {
        let cases = [
            ("", "", (0, 0, "")),
            ("abc", "abc", (3, 0, "")),
            ("abc", "abXc", (2, 1, "X")),
            ("aa", "aaa", (2, 0, "a")),
            ("aaa", "aa", (2, 0, "")),
            // Bytes that are alike inside of characters that are not.
            ("aé", "aè", (1, 0, "è")),
            ("éx", "\u{a9}x", (0, 1, "\u{a9}")),
        ];
        for (old, new, (front, back, insert)) in cases {
            let splice = Splice::between(old, new);
            assert_eq!(splice, Splice { front, back, insert: insert.into() }, "{old} {new}");
            assert_eq!(splice.apply(old).as_deref(), Some(new));
        }
    }

    #[test]
    fn any_text_is_made_of_any_other() {
        each(2_000, "any_text_is_made_of_any_other", |rng| {
            let (old, new) = (soup(rng, 6), soup(rng, 6));
            assert_eq!(Splice::between(&old, &new).apply(&old).as_deref(), Some(&*new));
        });
    }

    #[test]
    fn a_splice_of_another_text_is_refused() {
        let splice = Splice { front: 1, back: 1, insert: String::new() };
        assert_eq!(splice.apply("a"), None);
        assert_eq!(splice.apply("é"), None);
        assert_eq!(Splice { front: usize::MAX, back: 1, ..splice }.apply("abc"), None);
    }
}
