//! The children of one machine: by order, by id, and counted by state at every step.

use super::child::{Child, Counts, State};
use super::event::ChildKey;
use super::index::{IdHash, Index, KeyBits, low};
use super::rules::{RecentRules, Rules};
use super::spec::{CHILDREN_MAX, ChildSpec, SpecError};
use crate::sequence::Sequence;

/// All children; look-up by key and by id, insertion and removal in amortised O(1), or O(log n) by
/// key where many have gone.
#[derive(Debug)]
pub(super) struct Table {
    by_key: Sequence<Child>,
    by_id: Index,
    /// The key of the next child.
    next: ChildKey,
    rules: RecentRules,
    counts: Counts,
    /// Significant children that are not stopped.
    significant: usize,
}

impl Table {
    /// An empty one; `seed` is for the index.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            by_key: Sequence::new(),
            by_id: Index::new(seed),
            next: ChildKey::FIRST,
            rules: RecentRules::default(),
            counts: Counts::default(),
            significant: 0,
        }
    }

    /// Adds a stopped child at the end.
    pub(super) fn insert(&mut self, spec: ChildSpec) -> Result<ChildKey, SpecError> {
        let hash = self.by_id.hash(spec.id.as_str());
        if self.with_hash(hash, spec.id.as_str()).is_some() {
            return Err(SpecError::DuplicateId { id: spec.id });
        }
        if self.by_key.len() >= CHILDREN_MAX {
            return Err(SpecError::TooManyChildren);
        }
        let key = self.next;
        self.next = key.next();
        self.counts.specs += 1;
        self.counts.stopped += 1;
        *self.counts.of_kind(spec.kind) += 1;
        self.by_id.insert(hash, low(key.get()));
        let (id, rules) = Rules::split(spec);
        self.by_key.push(key.get(), Child::new(id, self.rules.share(rules)));
        Ok(key)
    }

    /// Removes a child that is not live.
    pub(super) fn remove(&mut self, key: ChildKey) -> Option<Child> {
        self.set(key, State::Stopped);
        let child = self.by_key.remove(key.get())?;
        self.by_id.remove(self.by_id.hash(child.id.as_str()), low(key.get()));
        self.counts.specs -= 1;
        self.counts.stopped -= 1;
        *self.counts.of_kind(child.rules.kind) -= 1;
        Some(child)
    }

    /// The only way to change a state, so that counts are right at every step.
    pub(super) fn set(&mut self, key: ChildKey, state: State) {
        let Some(child) = self.by_key.get_mut(key.get()) else { return };
        *self.counts.of(child.seen()) -= 1;
        *self.counts.of(state.seen()) += 1;
        if child.rules.significant {
            self.significant -= usize::from(child.state() != State::Stopped);
            self.significant += usize::from(state != State::Stopped);
        }
        child.set_state(state);
    }

    pub(super) fn get(&self, key: ChildKey) -> Option<&Child> {
        self.by_key.get(key.get())
    }

    pub(super) fn get_mut(&mut self, key: ChildKey) -> Option<&mut Child> {
        self.by_key.get_mut(key.get())
    }

    pub(super) fn key_of(&self, id: &str) -> Option<ChildKey> {
        self.with_hash(self.by_id.hash(id), id)
    }

    fn with_hash(&self, hash: IdHash, id: &str) -> Option<ChildKey> {
        self.by_id.find(hash, |bits| {
            self.keys_with(bits).find(|key| self.get(*key).is_some_and(|c| c.id.as_str() == id))
        })
    }

    /// The keys with these low bits that may be a child's, the newest first: nearly always one.
    fn keys_with(&self, bits: KeyBits) -> impl Iterator<Item = ChildKey> + use<> {
        const PERIOD: u64 = 1 << KeyBits::BITS;
        let oldest = self.by_key.first_from(0).map_or(u64::MAX, |(key, _)| key);
        let newest = self.next.get() / PERIOD * PERIOD + u64::from(bits);
        std::iter::successors(Some(newest), |key| key.checked_sub(PERIOD))
            .take_while(move |key| *key >= oldest)
            .map(ChildKey::new)
    }

    /// The first child at or after `from` in start order.
    pub(super) fn at_or_after(&self, from: ChildKey) -> Option<ChildKey> {
        self.by_key.first_from(from.get()).map(|(key, _)| ChildKey::new(key))
    }

    /// The last child before `before` (of all, if `None`) that is at or after `from`.
    pub(super) fn last_before(&self, before: Option<ChildKey>, from: ChildKey) -> Option<ChildKey> {
        let last = match before {
            Some(before) => self.by_key.last_before(before.get()),
            None => self.by_key.last(),
        };
        last.map(|(key, _)| ChildKey::new(key)).filter(|key| *key >= from)
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (ChildKey, &Child)> {
        self.by_key.iter().map(|(key, child)| (ChildKey::new(key), child))
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Significant children that are not stopped.
    pub(super) fn significant(&self) -> usize {
        self.significant
    }
}

#[cfg(test)]
mod tests;
