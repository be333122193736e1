//! An answer that somebody else gives later.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

enum Slot<T> {
    Empty,
    Asked(Waker),
    Given(T),
}

/// The giver's end. Dropped without a word, the answer never comes.
pub(super) struct Promise<T>(Arc<Mutex<Slot<T>>>);

/// The receiver's end.
pub(super) struct Promised<T>(Arc<Mutex<Slot<T>>>);

/// Both ends of one answer.
pub(super) fn promise<T>() -> (Promise<T>, Promised<T>) {
    let slot = Arc::new(Mutex::new(Slot::Empty));
    (Promise(slot.clone()), Promised(slot))
}

fn lock<T>(slot: &Mutex<Slot<T>>) -> MutexGuard<'_, Slot<T>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Promise<T> {
    pub(super) fn keep(self, value: T) {
        let before = std::mem::replace(&mut *lock(&self.0), Slot::Given(value));
        if let Slot::Asked(waker) = before {
            waker.wake();
        }
    }
}

impl<T> Future for Promised<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let mut slot = lock(&self.0);
        match std::mem::replace(&mut *slot, Slot::Empty) {
            Slot::Given(value) => Poll::Ready(value),
            Slot::Empty | Slot::Asked(_) => {
                *slot = Slot::Asked(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}
