//! A pinned value that one thread at a time may poll, stored in its cell: no second allocation.
#![expect(unsafe_code, reason = "pins a value inside the shared cell, behind a try-lock")]

use std::cell::UnsafeCell;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};

/// See the module.
pub(crate) struct PinnedSlot<F> {
    busy: AtomicBool,
    value: UnsafeCell<Option<F>>,
}

// SAFETY: the value is reached only through a guard, and there is at most one guard at a time.
unsafe impl<F: Send> Sync for PinnedSlot<F> {}

impl<F> PinnedSlot<F> {
    pub(crate) const fn empty() -> Self {
        Self { busy: AtomicBool::new(false), value: UnsafeCell::new(None) }
    }

    /// Exclusive access, unless somebody else has it.
    ///
    /// # Safety
    /// `self` must not move after the first call until it is dropped (it lives in an `Arc`).
    pub(crate) unsafe fn try_lock(&self) -> Option<SlotGuard<'_, F>> {
        (!self.busy.swap(true, Ordering::Acquire)).then_some(SlotGuard { slot: self })
    }
}

/// Exclusive access to the value of a [`PinnedSlot`].
pub(crate) struct SlotGuard<'a, F> {
    slot: &'a PinnedSlot<F>,
}

impl<F> SlotGuard<'_, F> {
    /// The value, pinned.
    pub(crate) fn as_pin_mut(&mut self) -> Pin<&mut Option<F>> {
        // SAFETY: the guard is the only access, and the slot does not move (contract of try_lock).
        unsafe { Pin::new_unchecked(&mut *self.slot.value.get()) }
    }
}

impl<F> Drop for SlotGuard<'_, F> {
    fn drop(&mut self) {
        self.slot.busy.store(false, Ordering::Release);
    }
}
