//! Where the answer of an ask comes to: one allocation that the asker, the reply in the message and
//! the queued mail share, without a lock and without a count of references.
//!
//! One word holds a bit for each of the three that may still look at it; whoever clears the last
//! one frees it. The value is written by the reply before [`VALUE`] and read by the asker after it;
//! the waker is the asker's while [`WAKER`] is clear, and the reply's once it found it set.
#![expect(unsafe_code, reason = "one allocation whose three owners hand its parts to each other")]

#[cfg(all(test, loom))]
mod loom_tests;

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::task::Waker;

use crate::sync::{AtomicU32, AtomicU64, Ordering, UnsafeCell};

/// The queued mail may look.
const MAIL: u32 = 1;
/// The right to answer exists, or its last act is not over.
const REPLY: u32 = 1 << 1;
/// Somebody waits for the answer.
const ASKER: u32 = 1 << 2;
const OWNERS: u32 = MAIL | REPLY | ASKER;
/// The value is there.
const VALUE: u32 = 1 << 3;
/// The reply was dropped: there will be no value.
const NONE: u32 = 1 << 4;
/// The asker's waker is there for the reply to take.
const WAKER: u32 = 1 << 5;

/// What does not depend on the answer's type; the first part of a [`Slot`].
#[repr(C)]
struct Head {
    state: AtomicU32,
    free: unsafe fn(NonNull<Self>),
    /// The incarnation and step that took the question; 0 for none.
    begun: [AtomicU64; 2],
}

#[repr(C)]
struct Slot<T> {
    head: Head,
    value: UnsafeCell<Option<T>>,
    waker: UnsafeCell<Option<Waker>>,
}

impl<T> Slot<T> {
    /// # Safety
    /// `head` is that of a `Slot<T>` made by [`pair`], and nobody looks at it any more.
    unsafe fn free(head: NonNull<Head>) {
        // SAFETY: the caller's promise; the pointer is that of the whole slot.
        drop(unsafe { Box::from_raw(head.cast::<Self>().as_ptr()) });
    }
}

/// Gives up one owner's bit, or more, and sets `set`; frees the slot after the last.
///
/// # Safety
/// The caller owns `bits` and does not use its pointer afterwards.
unsafe fn release(head: NonNull<Head>, bits: u32) {
    // SAFETY: we still own a bit, so the slot exists.
    let head_ref = unsafe { head.as_ref() };
    // AcqRel: what each owner did is over before the last one frees it.
    if head_ref.state.fetch_and(!bits, Ordering::AcqRel) & OWNERS == bits {
        // SAFETY: that was the last owner.
        unsafe { (head_ref.free)(head) };
    }
}

/// The three ends of a fresh slot.
pub(crate) fn triple<T: Send>() -> (ReplySide<T>, AskerSide<T>, MailSide) {
    let slot = Box::new(Slot::<T> {
        head: Head {
            state: AtomicU32::new(OWNERS),
            free: Slot::<T>::free,
            begun: [AtomicU64::new(0), AtomicU64::new(0)],
        },
        value: UnsafeCell::new(None),
        waker: UnsafeCell::new(None),
    });
    let slot = NonNull::from(Box::leak(slot));
    (ReplySide(slot), AskerSide(slot), MailSide(slot.cast(), PhantomData))
}

/// The right to answer.
pub(crate) struct ReplySide<T>(NonNull<Slot<T>>);

// SAFETY: the value moves from the reply's thread to the asker's; nothing else of T is shared.
unsafe impl<T: Send> Send for ReplySide<T> {}
// SAFETY: a shared reference only reads an atomic.
unsafe impl<T: Send> Sync for ReplySide<T> {}

impl<T> ReplySide<T> {
    fn slot(&self) -> &Slot<T> {
        // SAFETY: we own the REPLY bit.
        unsafe { self.0.as_ref() }
    }

    /// Hands `value` to the asker and wakes it.
    pub(crate) fn send(self, value: T) {
        self.slot().value.with_mut(|place| {
            // SAFETY: before VALUE the place is the reply's alone.
            unsafe { *place = Some(value) };
        });
        self.finish(VALUE);
    }

    /// Whether nobody waits any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.slot().head.state.load(Ordering::Acquire) & ASKER == 0
    }

    /// The last act: says how it ended, wakes the asker, lets go.
    fn finish(self, outcome: u32) {
        let slot = ManuallyDrop::new(self).0;
        let head = slot.cast::<Head>();
        // SAFETY: we own the REPLY bit until it is released below.
        let state = unsafe { &head.as_ref().state };
        let found = state.load(Ordering::Relaxed);
        // Nobody sleeps, as after an inline ask: outcome and release are one step.
        if found & WAKER == 0
            && found & (OWNERS & !REPLY) != 0
            && state
                .compare_exchange(
                    found,
                    found & !REPLY | outcome,
                    Ordering::AcqRel,
                    Ordering::Relaxed,
                )
                .is_ok()
        {
            return;
        }
        if state.fetch_or(outcome, Ordering::AcqRel) & WAKER != 0 {
            // SAFETY: we own REPLY; WAKER was set when the outcome was, so the waker is ours: the
            // asker takes it back only before it sees an outcome.
            let waker = unsafe { slot.as_ref() }.waker.with_mut(|waker| unsafe { (*waker).take() });
            if let Some(waker) = waker {
                waker.wake();
            }
        }
        // SAFETY: ours, and not used again.
        unsafe { release(head, REPLY) };
    }
}

impl<T> Drop for ReplySide<T> {
    fn drop(&mut self) {
        Self(self.0).finish(NONE);
    }
}

/// What an asker finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<T> {
    Value(T),
    /// There will be no value; the incarnation and step that took the question, if one did.
    Nothing(Option<(u64, u64)>),
    /// Not yet: the waker is kept.
    Pending,
}

/// The end that waits.
pub(crate) struct AskerSide<T>(NonNull<Slot<T>>);

// SAFETY: as for the reply's side.
unsafe impl<T: Send> Send for AskerSide<T> {}
// SAFETY: as for the reply's side.
unsafe impl<T: Send> Sync for AskerSide<T> {}

impl<T> AskerSide<T> {
    /// Looks for the answer, and leaves `waker` if there is none yet. At most one `Value`.
    pub(crate) fn poll(&mut self, waker: &Waker) -> Found<T> {
        // SAFETY: we own the ASKER bit.
        let slot = unsafe { self.0.as_ref() };
        let state = &slot.head.state;
        let mut found = state.load(Ordering::Acquire);
        if found & (VALUE | NONE) == 0 && found & WAKER != 0 {
            // Take the old waker back, to replace it.
            found = state.fetch_and(!WAKER, Ordering::AcqRel);
        }
        if found & (VALUE | NONE) == 0 {
            slot.waker.with_mut(|place| {
                // SAFETY: WAKER is clear and there was no outcome when it became so: ours.
                let place = unsafe { &mut *place };
                match place {
                    Some(old) => old.clone_from(waker),
                    None => *place = Some(waker.clone()),
                }
            });
            found = state.fetch_or(WAKER, Ordering::AcqRel);
        }
        self.outcome(found)
    }

    /// Whether there is an answer, or will be none.
    pub(crate) fn is_over(&self) -> bool {
        // SAFETY: we own the ASKER bit.
        let slot = unsafe { self.0.as_ref() };
        slot.head.state.load(Ordering::Acquire) & (VALUE | NONE) != 0
    }

    fn outcome(&self, state: u32) -> Found<T> {
        // SAFETY: we own the ASKER bit.
        let slot = unsafe { self.0.as_ref() };
        if state & VALUE != 0 {
            // SAFETY: after VALUE the place is the asker's alone.
            let value = slot.value.with_mut(|place| unsafe { (*place).take() });
            return value.map_or(Found::Nothing(None), Found::Value);
        }
        if state & NONE == 0 {
            return Found::Pending;
        }
        let [incarnation, step] = &slot.head.begun;
        let begun = (incarnation.load(Ordering::Relaxed), step.load(Ordering::Relaxed));
        Found::Nothing((begun.0 != 0).then_some(begun))
    }
}

impl<T> Drop for AskerSide<T> {
    fn drop(&mut self) {
        // SAFETY: ours, and not used again.
        unsafe { release(self.0.cast(), ASKER) };
    }
}

/// The end that the queued mail holds.
pub(crate) struct MailSide(NonNull<Head>, PhantomData<*const ()>);

// SAFETY: only atomics are reached through it; whoever frees the slot drops a `T: Send`.
unsafe impl Send for MailSide {}
// SAFETY: as above.
unsafe impl Sync for MailSide {}

impl MailSide {
    /// Nobody waits for the answer any more.
    pub(crate) fn has_left(&self) -> bool {
        // SAFETY: we own the MAIL bit.
        unsafe { self.0.as_ref() }.state.load(Ordering::Acquire) & ASKER == 0
    }

    /// The message is handed to a handler, in this step of this incarnation.
    pub(crate) fn begin(&self, incarnation: u64, step: u64) {
        // SAFETY: we own the MAIL bit.
        let begun = unsafe { &self.0.as_ref().begun };
        // Before the handler gets the reply, whose outcome releases it to the asker.
        begun[1].store(step, Ordering::Relaxed);
        begun[0].store(incarnation, Ordering::Relaxed);
    }
}

impl Drop for MailSide {
    fn drop(&mut self) {
        // SAFETY: ours, and not used again.
        unsafe { release(self.0, MAIL) };
    }
}
