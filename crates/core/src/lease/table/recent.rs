//! A set that forgets its oldest member when it is full.

use std::collections::{BTreeSet, VecDeque};

/// At most `len_max` members; each is added once.
#[derive(Debug, Clone)]
pub(super) struct Recent<T> {
    len_max: usize,
    order: VecDeque<T>,
    members: BTreeSet<T>,
}

impl<T: Ord + Clone> Recent<T> {
    pub(super) fn new(len_max: usize) -> Self {
        Self { len_max, order: VecDeque::new(), members: BTreeSet::new() }
    }

    pub(super) fn contains(&self, member: &T) -> bool {
        self.members.contains(member)
    }

    pub(super) fn insert(&mut self, member: T) {
        if !self.members.insert(member.clone()) {
            return;
        }
        self.order.push_back(member);
        if self.order.len() > self.len_max
            && let Some(oldest) = self.order.pop_front()
        {
            self.members.remove(&oldest);
        }
    }
}
