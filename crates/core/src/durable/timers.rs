//! The timers of an incarnation, by when they are due.

use std::collections::{BTreeMap, BTreeSet};

use crate::store::Timer;

/// Timers that a store holds and that have not fired.
#[derive(Debug, Default)]
pub struct Timers {
    due: BTreeMap<String, u64>,
    by_due: BTreeSet<(u64, String)>,
}

impl Timers {
    pub(super) fn new(timers: &[Timer]) -> Self {
        let mut all = Self::default();
        for timer in timers {
            all.set(timer);
        }
        all
    }

    pub(super) fn set(&mut self, timer: &Timer) {
        self.cancel(&timer.key);
        self.due.insert(timer.key.clone(), timer.due_ms);
        self.by_due.insert((timer.due_ms, timer.key.clone()));
    }

    pub(super) fn cancel(&mut self, key: &str) {
        if let Some((key, due_ms)) = self.due.remove_entry(key) {
            self.by_due.remove(&(due_ms, key));
        }
    }

    /// When the next one is due, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn next_due(&self) -> Option<u64> {
        self.by_due.first().map(|(due_ms, _)| *due_ms)
    }

    /// Takes the keys of those that are due, eldest first.
    pub(super) fn take_due(&mut self, now_ms: u64) -> Vec<String> {
        let mut keys = Vec::new();
        while self.next_due().is_some_and(|due_ms| due_ms <= now_ms)
            && let Some((_, key)) = self.by_due.pop_first()
        {
            self.due.remove(&key);
            keys.push(key);
        }
        keys
    }
}
