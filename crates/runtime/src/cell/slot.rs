//! The place of a life in its cell, pinned, and what makes lives: no second allocation. Whoever has
//! the cell's turn may poll the life.
#![expect(unsafe_code, reason = "pins a value inside the shared cell, for the holder of the turn")]

#[cfg(all(test, loom))]
mod loom_tests;

use std::mem::MaybeUninit;
use std::pin::Pin;

use crate::sync::{AtomicBool, AtomicU32, Ordering, UnsafeCell};

/// Nobody but the holder of the turn is inside.
const CLEAR: u32 = 0;
/// A fenced turn is inside, or has not said yet that it left.
const LOST: u32 = 1;
/// A fenced turn has left before its fencer noted that it was lost.
const LEFT: u32 = 2;

/// See the module. `Make` makes lives of type `F`.
pub(crate) struct Slot<Make, F> {
    state: AtomicU32,
    /// There is a life. The holder's alone, as the life is.
    occupied: UnsafeCell<bool>,
    making: AtomicBool,
    make: UnsafeCell<Make>,
    life: UnsafeCell<MaybeUninit<F>>,
}

// SAFETY: the life is reached only under the contract of `life` and its like, `make` only by whoever
// took `making`: by one thread at a time each.
unsafe impl<Make: Send, F: Send> Sync for Slot<Make, F> {}

impl<Make, F> Slot<Make, F> {
    pub(crate) fn new(make: Make) -> Self {
        Self {
            state: AtomicU32::new(CLEAR),
            occupied: UnsafeCell::new(false),
            making: AtomicBool::new(false),
            make: UnsafeCell::new(make),
            life: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// The life, pinned, if there is one.
    ///
    /// # Safety
    /// - The slot does not move from the first call until it is dropped (it lives in a cell).
    /// - The caller has the cell's turn and [`Slot::is_lost`] is false; or its turn was fenced while
    ///   it was inside, and it has not called [`Slot::leave`] yet.
    #[expect(clippy::mut_from_ref, reason = "exclusive by the contract")]
    pub(crate) unsafe fn life(&self) -> Option<Pin<&mut F>> {
        // SAFETY: ours alone, by the contract.
        if !self.occupied.with_mut(|occupied| unsafe { *occupied }) {
            return None;
        }
        // SAFETY: exclusive and pinned, by the contract; occupied, so it was written.
        Some(self.life.with_mut(|life| unsafe { Pin::new_unchecked((*life).assume_init_mut()) }))
    }

    /// Puts a life into the empty slot.
    ///
    /// # Safety
    /// As for [`Slot::life`].
    pub(crate) unsafe fn put(&self, life: F) {
        // SAFETY: ours alone, by the contract.
        unsafe {
            self.clear();
            self.life.with_mut(|place| (*place).write(life));
            self.occupied.with_mut(|occupied| *occupied = true);
        }
    }

    /// Drops the life, if there is one. Its destructor may panic; it is gone all the same.
    ///
    /// # Safety
    /// As for [`Slot::life`].
    pub(crate) unsafe fn clear(&self) {
        // SAFETY: ours alone, by the contract; occupied, so it was written, and dropped once since
        // the mark is taken away first.
        unsafe {
            if self.occupied.with_mut(|occupied| std::mem::replace(&mut *occupied, false)) {
                self.life.with_mut(|life| (*life).assume_init_drop());
            }
        }
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

    /// Runs `f` with what makes lives; `None` while a fenced turn is within it.
    pub(crate) fn with_make<R>(&self, f: impl FnOnce(&mut Make) -> R) -> Option<R> {
        struct Done<'a>(&'a AtomicBool);
        impl Drop for Done<'_> {
            fn drop(&mut self) {
                self.0.store(false, Ordering::Release);
            }
        }
        // Not `swap`: a failed try must not write, or the model checker loses the end of the other.
        let taken = self.making.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
        taken.ok()?;
        let _done = Done(&self.making);
        // SAFETY: `making` was clear and is ours until `_done` is dropped.
        Some(self.make.with_mut(|make| f(unsafe { &mut *make })))
    }
}

impl<Make, F> Drop for Slot<Make, F> {
    fn drop(&mut self) {
        // SAFETY: exclusive access, and not moved since it was pinned.
        unsafe { self.clear() };
    }
}
