//! Splices of a text, by bytes of UTF-8.

use thiserror::Error;

/// At byte `at`, remove `del` bytes and put `insert` there.
///
/// In a list, each splice refers to the text that the ones before it left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Splice {
    /// Offset in bytes.
    pub at: usize,
    /// Bytes removed.
    pub del: usize,
    /// Text put in their place.
    pub insert: String,
}

/// A splice that does not fit its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SpliceError {
    /// It reaches past the end.
    #[error("bytes {at} to {at} + {del} are not within a text of {len}")]
    OutOfRange {
        /// Where it begins.
        at: usize,
        /// How much it removes.
        del: usize,
        /// Length of the text.
        len: usize,
    },
    /// It begins or ends within a character.
    #[error("byte {at} is in the middle of a character")]
    NotAtCharacter {
        /// The offset.
        at: usize,
    },
}

impl Splice {
    /// Puts `text` at `at`.
    #[must_use]
    pub fn insert(at: usize, text: impl Into<String>) -> Self {
        Self { at, del: 0, insert: text.into() }
    }

    /// Removes `del` bytes at `at`.
    #[must_use]
    pub fn delete(at: usize, del: usize) -> Self {
        Self { at, del, insert: String::new() }
    }

    /// Changes `text`.
    ///
    /// # Errors
    /// [`SpliceError`] if it does not fit; `text` is as before then.
    pub fn apply(&self, text: &mut String) -> Result<(), SpliceError> {
        self.fits(text)?;
        text.replace_range(self.at..self.at + self.del, &self.insert);
        Ok(())
    }

    /// The smallest single splice that makes `after` of `before`; `None` if they are equal.
    ///
    /// A caret in the common beginning or end stays where it is, which replacing the whole would not do.
    #[must_use]
    pub fn between(before: &str, after: &str) -> Option<Self> {
        let change = ggml_agent_doc::change::between(before, after)?;
        Some(Self { at: change.at, del: change.del, insert: change.insert })
    }

    fn fits(&self, text: &str) -> Result<(), SpliceError> {
        let Self { at, del, .. } = *self;
        let end = at.checked_add(del).filter(|end| *end <= text.len());
        let end = end.ok_or(SpliceError::OutOfRange { at, del, len: text.len() })?;
        match [at, end].into_iter().find(|offset| !text.is_char_boundary(*offset)) {
            Some(at) => Err(SpliceError::NotAtCharacter { at }),
            None => Ok(()),
        }
    }
}

/// `text` after all `splices`.
pub(super) fn applied(text: &str, splices: &[Splice]) -> Result<String, SpliceError> {
    let mut text = text.to_owned();
    for splice in splices {
        splice.apply(&mut text)?;
    }
    Ok(text)
}

/// The splices that lead back to `before` from where `splices` led.
pub(super) fn inverse(before: &str, splices: &[Splice]) -> Result<Vec<Splice>, SpliceError> {
    let mut text = before.to_owned();
    let mut back = Vec::with_capacity(splices.len());
    for splice in splices {
        splice.fits(&text)?;
        let removed = text[splice.at..splice.at + splice.del].to_owned();
        back.push(Splice { at: splice.at, del: splice.insert.len(), insert: removed });
        splice.apply(&mut text)?;
    }
    back.reverse();
    Ok(back)
}
