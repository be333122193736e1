//! A list of changes as what it does to a text from its beginning: keep, insert, delete, keep, ...

use super::Change;

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part<'a> {
    Keep(usize),
    Insert(&'a str),
    Delete(usize),
    /// Keeps all that is left, however much.
    End,
}

impl Part<'_> {
    pub(super) fn len(self) -> usize {
        match self {
            Self::Keep(n) | Self::Delete(n) => n,
            Self::Insert(text) => text.len(),
            Self::End => usize::MAX,
        }
    }
}

/// The parts of a list, of which any number of bytes can be taken at once. An insertion comes before the
/// deletion of its change.
pub(super) struct Stream<'a> {
    head: Part<'a>,
    at: usize,
    list: &'a [Change],
    inside: Option<&'a Change>,
}

impl<'a> Stream<'a> {
    pub(super) fn new(list: &'a [Change]) -> Self {
        let mut stream = Self { head: Part::End, at: 0, list, inside: None };
        stream.advance();
        stream
    }

    pub(super) fn head(&self) -> Part<'a> {
        self.head
    }

    /// Takes `n` bytes of the head, at most all of it, and of an insertion whole characters.
    pub(super) fn skip(&mut self, n: usize) {
        match &mut self.head {
            Part::End => {}
            Part::Keep(left) | Part::Delete(left) => {
                *left -= n;
                self.at += n;
            }
            Part::Insert(text) => *text = &text[n..],
        }
        if self.head != Part::End && self.head.len() == 0 {
            self.advance();
        }
    }

    fn advance(&mut self) {
        loop {
            self.head = match self.inside.take() {
                Some(change) => Part::Delete(change.del),
                None => match self.list.first() {
                    None => Part::End,
                    Some(change) if change.at > self.at => Part::Keep(change.at - self.at),
                    Some(change) => {
                        self.list = &self.list[1..];
                        self.inside = Some(change);
                        Part::Insert(&change.insert)
                    }
                },
            };
            if self.head.len() > 0 {
                return;
            }
        }
    }
}
