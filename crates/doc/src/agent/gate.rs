//! What was decided and may not be seen before it is kept.

use std::collections::VecDeque;

/// Effects, in order, each held back until everything that was decided before it is kept. Holds D11.
///
/// Where nothing is kept, nothing is held back.
#[derive(Debug)]
pub(super) struct Gate<E> {
    /// Entries that were decided, and how many of them are kept.
    decided: u64,
    kept: u64,
    held: VecDeque<(u64, E)>,
}

impl<E> Gate<E> {
    pub(super) fn new() -> Self {
        Self { decided: 0, kept: 0, held: VecDeque::new() }
    }

    /// `n` more entries were decided.
    pub(super) fn decided(&mut self, n: usize) {
        self.decided += n as u64;
    }

    /// `n` more entries are kept.
    pub(super) fn kept(&mut self, n: usize) {
        self.kept += n as u64;
    }

    /// Takes an effect of what was decided so far.
    pub(super) fn hold(&mut self, effect: E) {
        self.held.push_back((self.decided, effect));
    }

    /// The next effect that may be seen.
    pub(super) fn next(&mut self) -> Option<E> {
        let (needs, _) = self.held.front()?;
        if *needs > self.kept {
            return None;
        }
        self.held.pop_front().map(|(_, effect)| effect)
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d11_an_effect_comes_after_all_that_was_decided_before_it_and_in_order() {
        let mut gate = Gate::new();
        gate.hold("a");
        assert_eq!(gate.next(), Some("a"), "nothing is kept");
        gate.decided(2);
        gate.hold("b");
        gate.decided(1);
        gate.hold("c");
        gate.hold("d");
        gate.kept(1);
        assert_eq!(gate.next(), None, "one of two");
        gate.kept(1);
        assert_eq!((gate.next(), gate.next(), gate.len()), (Some("b"), None, 2));
        gate.kept(1);
        assert_eq!((gate.next(), gate.next(), gate.next()), (Some("c"), Some("d"), None));
    }
}
