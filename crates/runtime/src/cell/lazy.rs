//! A value that most cells never need, behind one word (std's `OnceLock` of a box has two).
#![expect(unsafe_code, reason = "a box in an atomic pointer, put there once and freed with it")]

#[cfg(all(test, loom))]
mod loom_tests;

use std::ptr;

use crate::sync::{AtomicPtr, Ordering};

/// See the module.
pub(crate) struct Lazy<T>(AtomicPtr<T>);

// SAFETY: it owns a T and shares references to it.
unsafe impl<T: Send + Sync> Send for Lazy<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Lazy<T> {}

impl<T> Lazy<T> {
    pub(crate) fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    #[inline(always)]
    pub(crate) fn get(&self) -> Option<&T> {
        // Acquire: whoever sees the pointer sees the value.
        let value = self.0.load(Ordering::Acquire);
        // SAFETY: from a box, and there until this is dropped.
        unsafe { value.as_ref() }
    }

    /// The value; `make` may be called in vain when another thread is quicker.
    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        let mine = Box::into_raw(Box::new(make()));
        match self.0.compare_exchange(ptr::null_mut(), mine, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: as in `get`.
            Ok(_) => unsafe { &*mine },
            Err(theirs) => {
                // SAFETY: nobody has seen ours; theirs is as in `get`.
                unsafe {
                    drop(Box::from_raw(mine));
                    &*theirs
                }
            }
        }
    }
}

impl<T> Drop for Lazy<T> {
    fn drop(&mut self) {
        let value = self.0.load(Ordering::Acquire);
        if !value.is_null() {
            // SAFETY: from a box, and nobody has a reference any more.
            drop(unsafe { Box::from_raw(value) });
        }
    }
}
