//! Who wrote which bytes of a text: runs of one author and one edit, kept up to date by the changes.

use std::ops::Range;

use super::{Changes, Misfit};

/// Most runs of a text.
// 8,192 x 24 B (an author key of 4 B) = 192 KiB, about the largest section itself; beyond, see `Runs`.
pub const RUNS_MAX: usize = 8_192;

/// Neighbouring bytes that one edit of one author wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Run<T> {
    /// How many bytes; at least one.
    pub len: usize,
    /// The number of the edit.
    pub seq: u64,
    /// Who wrote it.
    pub author: T,
}

impl<T: Clone + PartialEq> FromIterator<Run<T>> for Runs<T> {
    /// Those of the texts one behind the other.
    fn from_iter<I: IntoIterator<Item = Run<T>>>(list: I) -> Self {
        let mut runs = Self::new();
        for run in list {
            runs.put(run);
            if runs.len() > RUNS_MAX {
                runs.coarsen();
            }
        }
        runs
    }
}

impl<T: PartialEq> Run<T> {
    fn is_of(&self, other: &Self) -> bool {
        self.seq == other.seq && self.author == other.author
    }
}

/// The authors of a text, run by run.
///
/// Two halves with a gap where the last change was: a change near it costs some nanoseconds whatever the
/// length of the text, one elsewhere moves the runs between there and here.
///
/// At most [`RUNS_MAX`] runs. One more, and the oldest distinctions go: first neighbours of one author become
/// one run with the later number; if more than half is left, each two neighbours become one run that is said
/// to be of the longer of both (of the later one if they are as long). So no author is named where he has
/// written nothing nearby, and what was written last stays exact.
#[derive(Debug, Clone)]
pub struct Runs<T> {
    /// The runs before the gap, in order.
    before: Vec<Run<T>>,
    /// Their bytes.
    before_bytes: usize,
    /// The runs after the gap, the nearest last.
    after: Vec<Run<T>>,
    after_bytes: usize,
}

impl<T> Default for Runs<T> {
    fn default() -> Self {
        Self { before: Vec::new(), before_bytes: 0, after: Vec::new(), after_bytes: 0 }
    }
}

impl<T: Clone + PartialEq> Runs<T> {
    /// Those of an empty text.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Those of a text of `len` bytes that one edit wrote.
    #[must_use]
    pub fn of(len: usize, author: T, seq: u64) -> Self {
        let mut runs = Self::new();
        runs.put(Run { len, seq, author });
        runs
    }

    /// How many bytes the text has.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.before_bytes + self.after_bytes
    }

    /// How many runs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.before.len() + self.after.len()
    }

    /// Whether the text is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Follows `changes`, which `author` made as edit `seq`.
    ///
    /// # Errors
    /// [`Misfit::Beyond`] if they are for a longer text; nothing has changed then.
    pub fn apply(&mut self, changes: &Changes, author: &T, seq: u64) -> Result<(), Misfit> {
        if let Some(last) = changes.as_slice().last() {
            self.check(last.at, last.del)?;
        }
        // From the end, so that no offset has to be corrected.
        for change in changes.as_slice().iter().rev() {
            self.replace(change.at, change.del, change.insert.len(), author, seq);
        }
        Ok(())
    }

    /// Follows one change: `del` bytes at `at` went and `ins` of `author` came.
    ///
    /// # Errors
    /// [`Misfit::Beyond`] if the text is not that long; nothing has changed then.
    pub fn splice(
        &mut self,
        at: usize,
        del: usize,
        ins: usize,
        author: &T,
        seq: u64,
    ) -> Result<(), Misfit> {
        self.check(at, del)?;
        self.replace(at, del, ins, author, seq);
        Ok(())
    }

    /// All runs, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Run<T>> {
        self.before.iter().chain(self.after.iter().rev())
    }

    /// The runs of these bytes, cut to them; what is beyond the text has none.
    pub fn slice(&self, range: Range<usize>) -> impl Iterator<Item = Run<T>> {
        let (start, end) = (range.start, range.end);
        let mut at = 0;
        let placed = self.iter().map(move |run| {
            let from = at;
            at += run.len;
            (from, at, run)
        });
        let inside = placed.skip_while(move |(_, to, _)| *to <= start);
        inside.take_while(move |(from, _, _)| *from < end).map(move |(from, to, run)| {
            let len = to.min(end) - from.max(start);
            Run { len, ..run.clone() }
        })
    }

    fn check(&self, at: usize, del: usize) -> Result<(), Misfit> {
        let (end, len) = (at.saturating_add(del), self.bytes());
        if end > len { Err(Misfit::Beyond { at, end, len }) } else { Ok(()) }
    }

    fn replace(&mut self, at: usize, del: usize, ins: usize, author: &T, seq: u64) {
        self.go(at);
        self.drop_after(del);
        if ins > 0 {
            self.put(Run { len: ins, seq, author: author.clone() });
        }
        self.close();
        if self.len() > RUNS_MAX {
            self.coarsen();
        }
    }

    /// Moves the gap to `at`, which is in the text.
    fn go(&mut self, at: usize) {
        while self.before_bytes > at {
            let Some(mut run) = self.before.pop() else { return };
            self.before_bytes -= run.len;
            if self.before_bytes < at {
                let stays = at - self.before_bytes;
                self.before.push(Run { len: stays, ..run.clone() });
                self.before_bytes = at;
                run.len -= stays;
            }
            self.after_bytes += run.len;
            self.after.push(run);
        }
        while self.before_bytes < at {
            let Some(mut run) = self.after.pop() else { return };
            self.after_bytes -= run.len;
            let more = at - self.before_bytes;
            if run.len > more {
                self.after.push(Run { len: run.len - more, ..run.clone() });
                self.after_bytes += run.len - more;
                run.len = more;
            }
            // Not `put`: what was put together there has been cut just now.
            self.before_bytes += run.len;
            self.before.push(run);
        }
    }

    fn drop_after(&mut self, mut del: usize) {
        while del > 0 {
            let Some(run) = self.after.last_mut() else { return };
            let gone = run.len.min(del);
            run.len -= gone;
            if run.len == 0 {
                self.after.pop();
            }
            self.after_bytes -= gone;
            del -= gone;
        }
    }

    /// Adds a run before the gap.
    fn put(&mut self, run: Run<T>) {
        self.before_bytes += run.len;
        match self.before.last_mut() {
            Some(last) if last.is_of(&run) => last.len += run.len,
            _ if run.len == 0 => {}
            _ => self.before.push(run),
        }
    }

    /// Makes one run of the two at the gap if they are of one edit.
    fn close(&mut self) {
        if let (Some(last), Some(next)) = (self.before.last(), self.after.last())
            && last.is_of(next)
            && let Some(next) = self.after.pop()
        {
            self.after_bytes -= next.len;
            self.put(next);
        }
    }

    #[cold]
    fn coarsen(&mut self) {
        self.go(self.bytes());
        let by_author = join(std::mem::take(&mut self.before), |a, b| a.author == b.author);
        self.before = if by_author.len() > RUNS_MAX / 2 {
            let mut two = false;
            join(by_author, |_, _| {
                two = !two;
                two
            })
        } else {
            by_author
        };
    }
}

/// Runs with each that `is_joined` to what stands before it made part of that.
fn join<T: Clone + PartialEq>(
    runs: Vec<Run<T>>,
    mut is_joined: impl FnMut(&Run<T>, &Run<T>) -> bool,
) -> Vec<Run<T>> {
    let mut out: Vec<Run<T>> = Vec::with_capacity(RUNS_MAX);
    for run in runs {
        match out.last_mut() {
            Some(last) if last.is_of(&run) => last.len += run.len,
            Some(last) if is_joined(last, &run) => {
                let len = last.len + run.len;
                let seq = last.seq.max(run.seq);
                let is_same = last.author == run.author;
                if (run.len, run.seq) > (last.len, last.seq) {
                    *last = run;
                }
                last.len = len;
                if is_same {
                    last.seq = seq;
                }
            }
            _ => out.push(run),
        }
    }
    out
}

#[cfg(test)]
mod tests;
