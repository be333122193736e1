//! A pinned value stored in its cell: no second allocation. Whoever has the cell's turn may poll it.
#![expect(unsafe_code, reason = "pins a value inside the shared cell, for the holder of the turn")]

#[cfg(all(test, loom))]
mod loom_tests;

use std::pin::Pin;

use crate::sync::{AtomicU32, Ordering, UnsafeCell};

/// Nobody but the holder of the turn is inside.
const CLEAR: u32 = 0;
/// A fenced turn is inside, or has not said yet that it left.
const LOST: u32 = 1;
/// A fenced turn has left before its fencer noted that it was lost.
const LEFT: u32 = 2;

/// See the module.
pub(crate) struct PinnedSlot<F> {
    state: AtomicU32,
    value: UnsafeCell<Option<F>>,
}

// SAFETY: the value is reached only under the contract of `pinned`: by one thread at a time.
unsafe impl<F: Send> Sync for PinnedSlot<F> {}

impl<F> PinnedSlot<F> {
    pub(crate) fn empty() -> Self {
        Self { state: AtomicU32::new(CLEAR), value: UnsafeCell::new(None) }
    }

    /// The value, pinned.
    ///
    /// # Safety
    /// - The slot does not move from the first call until it is dropped (it lives in a cell).
    /// - The caller has the cell's turn and [`PinnedSlot::is_lost`] is false; or its turn was fenced
    ///   while it was inside, and it has not called [`PinnedSlot::leave`] yet.
    #[expect(clippy::mut_from_ref, reason = "exclusive by the contract")]
    pub(crate) unsafe fn pinned(&self) -> Pin<&mut Option<F>> {
        // SAFETY: exclusive and pinned, by the contract.
        self.value.with_mut(|value| unsafe { Pin::new_unchecked(&mut *value) })
    }

    /// For whoever fenced a turn that was inside: nobody may enter until that turn has left.
    pub(crate) fn lose(&self) {
        self.meet(LOST, LEFT);
    }

    /// For a turn that was fenced while it was inside: it leaves, and leaves nothing behind.
    pub(crate) fn leave(&self) {
        self.meet(LEFT, LOST);
    }

    /// Each fence has one of either side; the second of the two clears the slot.
    fn meet(&self, mine: u32, theirs: u32) {
        // AcqRel: what was done inside is over before the next one enters.
        if self.state.swap(mine, Ordering::AcqRel) == theirs {
            self.state.store(CLEAR, Ordering::Release);
        }
    }

    /// Whether a fenced turn may still be inside.
    pub(crate) fn is_lost(&self) -> bool {
        self.state.load(Ordering::Acquire) != CLEAR
    }
}
