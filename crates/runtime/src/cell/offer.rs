//! A message handed to an agent at rest without its queue: the sender's thread has the turn, and the
//! message lies on its stack until the life takes it.
//!
//! For that thread alone: a life that runs on another one does not see it, and what the life does not
//! take is the sender's again.

#![expect(unsafe_code, reason = "a message lies on the sender's stack; see each SAFETY")]

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr;

use super::handle::TypedRef;
use super::mailbox::Mail;

/// Where the message lies, and for which cell it is (0 for none).
#[derive(Clone, Copy)]
struct Place {
    cell: usize,
    mail: *mut (),
}

thread_local! {
    // The innermost offer of this thread.
    static OFFERED: Cell<Place> = const { Cell::new(Place { cell: 0, mail: ptr::null_mut() }) };
}

/// Offers the message to the cell for the time of `run`, which runs it on this thread.
pub(crate) fn with<M, R>(
    cell: &TypedRef<M>,
    mail: &mut Option<Mail<M>>,
    run: impl FnOnce() -> R,
) -> R {
    struct Restore(Place);
    impl Drop for Restore {
        fn drop(&mut self) {
            OFFERED.set(self.0);
        }
    }
    let place = Place { cell: cell.untyped().address(), mail: ptr::from_mut(mail).cast() };
    let _restore = Restore(OFFERED.replace(place));
    run()
}

/// An offer that was found, and is not taken yet.
pub(crate) struct Offer<M> {
    mail: *mut Option<Mail<M>>,
    // Of this thread, and to be taken at once.
    message: PhantomData<*mut M>,
}

impl<M> Offer<M> {
    /// The offer to this cell, if this thread makes one.
    #[inline(always)]
    pub(crate) fn find(cell: &TypedRef<M>) -> Option<Self> {
        let place = OFFERED.get();
        if place.cell != cell.untyped().address() {
            return None;
        }
        let mail: *mut Option<Mail<M>> = place.mail.cast();
        // SAFETY: `with` waits on this thread's stack for us, and lends the place to nobody else. Both
        // it and we hold a count of the cell with this address, so it is the same one, and so is the
        // type of its messages.
        unsafe { (*mail).is_some() }.then_some(Self { mail, message: PhantomData })
    }

    /// Takes it.
    #[inline(always)]
    pub(crate) fn take(self) -> Mail<M> {
        // SAFETY: as in `find`; between the two, nothing ran that could end `with`.
        unsafe { (*self.mail).take() }.expect("invariant: found just now, on this thread")
    }
}
