//! A map for what is numbered in the order of its arrival: children, calls, reports.
//!
//! Keys only ever grow, so a sorted array does what a tree would do, in a fraction of its memory: a
//! look-up is a subtraction as long as few keys are missing, and a binary search of what is left
//! otherwise.

use std::fmt;

/// A map from keys that only ever grow to values, in order.
///
/// An entry costs its key and an `Option` of its value; what was removed is swept when it outweighs
/// what is there, so memory stays proportional to the entries (S7).
///
/// # Example
/// ```
/// use ggml_agent_core::sequence::Sequence;
/// let mut names = Sequence::new();
/// names.push(1, "ada");
/// names.push(2, "bob");
/// assert_eq!(names.remove(1), Some("ada"));
/// assert_eq!(names.first_from(0), Some((2, &"bob")));
/// ```
#[derive(Clone)]
pub struct Sequence<T> {
    /// Sorted by key; the last one, if any, is there.
    entries: Vec<Entry<T>>,
    n_gone: usize,
}

#[derive(Clone)]
struct Entry<T> {
    key: u64,
    /// `None`: removed, and not swept yet.
    value: Option<T>,
}

/// From this length on the array grows by an eighth, not to twice its length: what is reserved and
/// not used is memory too, and an array of that size is moved by its pages.
const LARGE: usize = 4_096;

impl<T> Sequence<T> {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new(), n_gone: 0 }
    }

    /// Adds a value at the end; amortised O(1).
    ///
    /// # Panics
    /// If `key` is not larger than every key that is there: the caller numbers what arrives.
    pub fn push(&mut self, key: u64, value: T) {
        assert!(self.entries.last().is_none_or(|last| last.key < key), "keys of a sequence grow");
        if self.entries.len() == self.entries.capacity() && self.entries.len() >= LARGE {
            self.entries.reserve_exact(self.entries.len() / 8);
        }
        self.entries.push(Entry { key, value: Some(value) });
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: u64) -> Option<&T> {
        self.entries[self.find(key)?].value.as_ref()
    }

    /// The value of `key`, to be changed.
    #[must_use]
    pub fn get_mut(&mut self, key: u64) -> Option<&mut T> {
        let at = self.find(key)?;
        self.entries[at].value.as_mut()
    }

    /// Takes the value of `key` out; amortised O(1) beside the look-up.
    pub fn remove(&mut self, key: u64) -> Option<T> {
        let at = self.find(key)?;
        let value = self.entries[at].value.take()?;
        self.n_gone += 1;
        while self.entries.pop_if(|last| last.value.is_none()).is_some() {
            self.n_gone -= 1;
        }
        if self.n_gone > self.entries.len() / 2 {
            self.entries.retain(|entry| entry.value.is_some());
            self.n_gone = 0;
        }
        if self.entries.len() < self.entries.capacity() / 4 {
            self.entries.shrink_to(self.entries.len() * 2);
        }
        Some(value)
    }

    /// The first entry whose key is `from` or larger.
    #[must_use]
    pub fn first_from(&self, from: u64) -> Option<(u64, &T)> {
        let rest = &self.entries[self.lower_bound(from)..];
        rest.iter().find_map(Entry::present)
    }

    /// The last entry whose key is smaller than `before`.
    #[must_use]
    pub fn last_before(&self, before: u64) -> Option<(u64, &T)> {
        let rest = &self.entries[..self.lower_bound(before)];
        rest.iter().rev().find_map(Entry::present)
    }

    /// The entry with the largest key.
    #[must_use]
    pub fn last(&self) -> Option<(u64, &T)> {
        self.entries.last().and_then(Entry::present)
    }

    /// All entries, in the order of their keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, &T)> {
        self.entries.iter().filter_map(Entry::present)
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len() - self.n_gone
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Removes all; any key may follow.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// Where the entry of `key` is.
    fn find(&self, key: u64) -> Option<usize> {
        let (low, high) = self.bounds(key)?;
        if low == high {
            return (self.entries[low].key == key).then_some(low);
        }
        let found = self.entries[low..=high].binary_search_by_key(&key, |entry| entry.key);
        found.ok().map(|at| low + at)
    }

    /// Where the first entry is whose key is `key` or larger.
    fn lower_bound(&self, key: u64) -> usize {
        let Some((low, high)) = self.bounds(key) else {
            let is_below = self.entries.first().is_some_and(|first| key < first.key);
            return if is_below { 0 } else { self.entries.len() };
        };
        low + self.entries[low..=high].partition_point(|entry| entry.key < key)
    }

    /// The first and last place where `key` can be. Keys are distinct, so two entries are at most as
    /// many places apart as their keys are: where no key is missing, this is one place.
    fn bounds(&self, key: u64) -> Option<(usize, usize)> {
        let (first, last) = (self.entries.first()?.key, self.entries.last()?.key);
        let end = self.entries.len() - 1;
        let from_first = usize::try_from(key.checked_sub(first)?).unwrap_or(usize::MAX);
        let from_last = usize::try_from(last.checked_sub(key)?).unwrap_or(usize::MAX);
        Some((end.saturating_sub(from_last), end.min(from_first)))
    }
}

impl<T> Entry<T> {
    fn present(&self) -> Option<(u64, &T)> {
        self.value.as_ref().map(|value| (self.key, value))
    }
}

impl<T> Default for Sequence<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for Sequence<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests;
