//! A list of changes to one text: applied, undone, put in a row, and moved over what others did meanwhile.

use std::fmt;

mod stream;

use stream::{Part, Stream};

/// One place of a text that becomes something else.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Change {
    /// Where, as a byte offset in the text before any change of its list.
    pub at: usize,
    /// How many bytes go from there on.
    pub del: usize,
    /// What comes in their place.
    pub insert: String,
}

impl Change {
    /// Where what goes ends, in the text before.
    #[must_use]
    pub fn end(&self) -> usize {
        self.at.saturating_add(self.del)
    }
}

/// Changes of one text, in order, each with at least one byte between it and the next.
///
/// So each effect has one list: two lists that differ do different things, or write again what they delete.
///
/// # Example
/// ```
/// use ggml_agent_doc::text::{Changes, Side};
/// let mine = Changes::one(0, 3, "Now");
/// let theirs = Changes::one(8, 0, "!");
/// let mine_later = mine.rebase(&theirs, Side::Before);
/// assert_eq!(mine_later.apply(&theirs.apply("Old text")?)?, "Now text!");
/// # Ok::<(), ggml_agent_doc::text::Misfit>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Changes(Vec<Change>);

/// Which of two inserted texts comes first if both stand at the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// This one.
    Before,
    /// The other one.
    After,
}

/// A change does not fit the text or the changes it is used with: made for another version of it. Read the
/// text again and make the change anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misfit {
    /// It reaches behind the end.
    #[error("bytes {at} to {end} were to change in a text of {len} bytes")]
    Beyond {
        /// Where the change begins.
        at: usize,
        /// Where it ends.
        end: usize,
        /// How long the text is.
        len: usize,
    },
    /// It begins or ends inside a character.
    #[error("byte {at} is inside a character")]
    InsideCharacter {
        /// The offset, in the text that the change was for, or in a text that was inserted before.
        at: usize,
    },
    /// Changes of a list overlap or are not in order.
    #[error("a change at byte {at} stands after one that ends at byte {end}")]
    Disorder {
        /// Where the later change begins.
        at: usize,
        /// Where the one before it ends.
        end: usize,
    },
}

impl Changes {
    /// No change.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// `del` bytes at `at` become `insert`.
    #[must_use]
    pub fn one(at: usize, del: usize, insert: impl Into<String>) -> Self {
        let mut changes = Self::none();
        changes.push_parts(at, del, &insert.into());
        changes
    }

    /// Adds a change behind those that are in the list; one that touches the last becomes part of it.
    ///
    /// # Errors
    /// [`Misfit::Disorder`] if it begins before the end of the last. The list stays as it was.
    pub fn push(&mut self, change: Change) -> Result<(), Misfit> {
        if let Some(last) = self.0.last()
            && change.at < last.end()
        {
            return Err(Misfit::Disorder { at: change.at, end: last.end() });
        }
        match self.0.last_mut() {
            Some(last) if last.end() == change.at => {
                last.del = last.del.saturating_add(change.del);
                last.insert.push_str(&change.insert);
            }
            _ if change.del == 0 && change.insert.is_empty() => {}
            _ => self.0.push(change),
        }
        Ok(())
    }

    /// [`push`](Self::push) for callers that go forward anyway.
    pub(crate) fn push_parts(&mut self, at: usize, del: usize, insert: &str) {
        debug_assert!(self.0.last().is_none_or(|last| last.end() <= at), "callers go forward");
        match self.0.last_mut() {
            Some(last) if last.end() == at => {
                last.del += del;
                last.insert.push_str(insert);
            }
            _ if del == 0 && insert.is_empty() => {}
            _ => self.0.push(Change { at, del, insert: insert.to_owned() }),
        }
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The changes, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Change] {
        &self.0
    }

    /// How many bytes go and how many come.
    #[must_use]
    pub fn bytes(&self) -> (usize, usize) {
        self.0
            .iter()
            .fold((0, 0), |(del, ins), change| (del + change.del, ins + change.insert.len()))
    }

    /// Whether the list is for a text like `text`.
    ///
    /// # Errors
    /// [`Misfit::Beyond`] and [`Misfit::InsideCharacter`].
    pub fn check(&self, text: &str) -> Result<(), Misfit> {
        for change in &self.0 {
            if change.end() > text.len() {
                return Err(Misfit::Beyond { at: change.at, end: change.end(), len: text.len() });
            }
            for at in [change.at, change.end()] {
                if !text.is_char_boundary(at) {
                    return Err(Misfit::InsideCharacter { at });
                }
            }
        }
        Ok(())
    }

    /// `text` with the changes made.
    ///
    /// # Errors
    /// [`Misfit`] if they are for another text.
    pub fn apply(&self, text: &str) -> Result<String, Misfit> {
        self.check(text)?;
        let (del, ins) = self.bytes();
        let mut new = String::with_capacity(text.len() - del + ins);
        let mut done = 0;
        for change in &self.0 {
            new.push_str(&text[done..change.at]);
            new.push_str(&change.insert);
            done = change.end();
        }
        new.push_str(&text[done..]);
        Ok(new)
    }

    /// The changes that lead back from the changed text to `old`.
    ///
    /// # Errors
    /// [`Misfit`] if they are not for `old`.
    pub fn invert(&self, old: &str) -> Result<Self, Misfit> {
        self.check(old)?;
        let (mut del, mut ins) = (0, 0);
        let back = self.0.iter().map(|change| {
            let at = change.at - del + ins;
            del += change.del;
            ins += change.insert.len();
            let insert = old[change.at..change.end()].to_owned();
            Change { at, del: change.insert.len(), insert }
        });
        Ok(Self(back.collect()))
    }

    /// One list that does what these changes do, and `then`, which is for the text that they make.
    ///
    /// # Errors
    /// [`Misfit::InsideCharacter`] if `then` cuts a character that these changes insert.
    pub fn compose(&self, then: &Self) -> Result<Self, Misfit> {
        let (mut first, mut second) = (Stream::new(&self.0), Stream::new(&then.0));
        let mut out = Self::none();
        let mut at = 0;
        loop {
            match (first.head(), second.head()) {
                (Part::End, Part::End) => return Ok(out),
                (Part::Delete(n), _) => {
                    out.push_parts(at, n, "");
                    at += n;
                    first.skip(n);
                }
                (_, Part::Insert(text)) => {
                    out.push_parts(at, 0, text);
                    second.skip(text.len());
                }
                (Part::Insert(text), there) => {
                    let n = text.len().min(there.len());
                    if !text.is_char_boundary(n) {
                        return Err(Misfit::InsideCharacter { at: n });
                    }
                    first.skip(n);
                    if !matches!(there, Part::Delete(_)) {
                        out.push_parts(at, 0, &text[..n]);
                    }
                    second.skip(n);
                }
                (here, there) => {
                    let n = here.len().min(there.len());
                    if matches!(there, Part::Delete(_)) {
                        out.push_parts(at, n, "");
                    }
                    at += n;
                    first.skip(n);
                    second.skip(n);
                }
            }
        }
    }

    /// These changes, for the text that `over` made of the text that both are for. Where both insert, `side`
    /// says where these stand; what both delete is deleted once; what one inserts inside of what the other
    /// deletes stays.
    ///
    /// With opposite sides both orders make the same text (the law that operational transformation calls TP1).
    #[must_use]
    pub fn rebase(&self, over: &Self, side: Side) -> Self {
        let (mut mine, mut theirs) = (Stream::new(&self.0), Stream::new(&over.0));
        let mut out = Self::none();
        let mut at = 0;
        loop {
            match (mine.head(), theirs.head()) {
                (Part::End, _) => return out,
                (Part::Insert(text), there)
                    if side == Side::Before || !matches!(there, Part::Insert(_)) =>
                {
                    out.push_parts(at, 0, text);
                    mine.skip(text.len());
                }
                (_, Part::Insert(text)) => {
                    at += text.len();
                    theirs.skip(text.len());
                }
                (here, there) => {
                    let n = here.len().min(there.len());
                    if !matches!(there, Part::Delete(_)) {
                        let del = if matches!(here, Part::Delete(_)) { n } else { 0 };
                        out.push_parts(at, del, "");
                        at += n;
                    }
                    mine.skip(n);
                    theirs.skip(n);
                }
            }
        }
    }

    /// Where the place `at` of the text before is in the text after. A place inside of what goes is where it
    /// was; if a text is inserted just there, `side` says whether the place is before or after it.
    #[must_use]
    pub fn map(&self, at: usize, side: Side) -> usize {
        let (mut del, mut ins) = (0, 0);
        for change in &self.0 {
            if change.at > at || (change.at == at && side == Side::Before) {
                break;
            }
            if at < change.end() {
                let behind = if side == Side::After { change.insert.len() } else { 0 };
                return change.at - del + ins + behind;
            }
            del += change.del;
            ins += change.insert.len();
        }
        at - del + ins
    }
}

impl TryFrom<Vec<Change>> for Changes {
    type Error = Misfit;

    /// # Errors
    /// [`Misfit::Disorder`] if they are not in order or overlap. Those that touch become one.
    fn try_from(list: Vec<Change>) -> Result<Self, Misfit> {
        let mut changes = Self(Vec::with_capacity(list.len()));
        list.into_iter().try_for_each(|change| changes.push(change))?;
        Ok(changes)
    }
}

impl From<Changes> for Vec<Change> {
    fn from(changes: Changes) -> Self {
        changes.0
    }
}

impl<'a> IntoIterator for &'a Changes {
    type Item = &'a Change;
    type IntoIter = std::slice::Iter<'a, Change>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl fmt::Display for Changes {
    /// How much: `2 changes, -10 +14 bytes`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (del, ins) = self.bytes();
        let s = if self.0.len() == 1 { "" } else { "s" };
        write!(f, "{} change{s}, -{del} +{ins} bytes", self.0.len())
    }
}

#[cfg(test)]
pub(crate) mod tests;
