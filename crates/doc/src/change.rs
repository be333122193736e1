//! A change that was made.

use crate::text::Change;

/// A change that was made, with what it removed: so it can be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Splice {
    /// Where, in bytes.
    pub at: usize,
    /// What was there before.
    pub removed: String,
    /// What is there since.
    pub inserted: String,
}

impl Splice {
    /// What takes it back.
    #[must_use]
    pub fn inverse(&self) -> Self {
        Self { at: self.at, removed: self.inserted.clone(), inserted: self.removed.clone() }
    }

    /// The bytes that it takes in memory, beside itself.
    pub(crate) fn heap(&self) -> usize {
        self.removed.len() + self.inserted.len()
    }
}

/// The smallest change at one place that makes `new` of `old`; `None` if they are equal.
#[must_use]
pub fn between(old: &str, new: &str) -> Option<Change> {
    if old == new {
        return None;
    }
    let (old_bytes, new_bytes) = (old.as_bytes(), new.as_bytes());
    let pairs = old_bytes.iter().zip(new_bytes);
    let mut at = pairs.take_while(|(a, b)| a == b).count();
    // What is alike in both has its boundaries between characters at the same places.
    while !(old.is_char_boundary(at) && new.is_char_boundary(at)) {
        at -= 1;
    }
    let pairs = old_bytes[at..].iter().rev().zip(new_bytes[at..].iter().rev());
    let mut back = pairs.take_while(|(a, b)| a == b).count();
    while !(new.is_char_boundary(new.len() - back) && old.is_char_boundary(old.len() - back)) {
        back -= 1;
    }
    let insert = new[at..new.len() - back].to_owned();
    Some(Change { at, del: old.len() - back - at, insert })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rope::Text;
    use crate::soup::{each, soup};

    #[test]
    fn a_change_holds_only_what_changed() {
        let cases = [
            ("abc", "abXc", (2, 0, "X")),
            ("aa", "aaa", (2, 0, "a")),
            ("aaa", "aa", (2, 1, "")),
            // Bytes that are alike inside of characters that are not.
            ("aé", "aè", (1, 2, "è")),
            ("éx", "\u{a9}x", (0, 2, "\u{a9}")),
        ];
        for (old, new, (at, del, insert)) in cases {
            let change = between(old, new);
            assert_eq!(change, Some(Change { at, del, insert: insert.into() }), "{old} {new}");
        }
        assert_eq!(between("same", "same"), None);
    }

    #[test]
    fn any_text_is_made_of_any_other() {
        each(2_000, "any_text_is_made_of_any_other", |rng| {
            let (old, new) = (soup(rng, 6), soup(rng, 6));
            let mut text = Text::from(&*old);
            if let Some(change) = between(&old, &new) {
                let splice = text.splice_of(change).unwrap();
                assert!(text.apply(&splice));
            }
            assert_eq!(text, *new);
        });
    }
}
