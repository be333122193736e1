//! The answer to an ask: a field of the message, and the asker's end of it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::cell::mailbox::Asker;

/// The right to answer one ask; put it into a field of the message.
///
/// Dropping it without an answer tells the asker so at once (M6). It may be kept, and it may be sent
/// to another agent that answers in one's place.
pub struct Reply<T> {
    slot: Arc<Slot<T>>,
}

impl<T: Send> Reply<T> {
    /// A reply and the future of its answer.
    pub(crate) fn pair() -> (Self, Answer<T>) {
        let slot = Arc::new(Slot { left: AtomicBool::new(false), state: Mutex::new(State::new()) });
        (Self { slot: slot.clone() }, Answer { slot })
    }

    /// Answers. An asker that has left (deadline, cancellation) gets nothing: the value is dropped.
    pub fn send(self, value: T) {
        let waker = {
            let mut state = self.slot.lock();
            if !self.slot.has_left() {
                state.value = Some(value);
            }
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether nobody waits any more: long work for the answer can be spared.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.slot.has_left()
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        let waker = {
            let mut state = self.slot.lock();
            state.replied = true;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply")
    }
}

/// What asker and reply share.
struct Slot<T> {
    left: AtomicBool,
    state: Mutex<State<T>>,
}

struct State<T> {
    value: Option<T>,
    /// The reply is gone: if there is no value, there will be none.
    replied: bool,
    waker: Option<Waker>,
    /// The incarnation and step that took the question.
    begun: Option<(u64, u64)>,
}

impl<T> State<T> {
    fn new() -> Self {
        Self { value: None, replied: false, waker: None, begun: None }
    }
}

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_left(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }
}

impl<T: Send> Asker for Slot<T> {
    fn has_left(&self) -> bool {
        Self::has_left(self)
    }

    fn begin(&self, incarnation: u64, step: u64) {
        self.lock().begun = Some((incarnation, step));
    }
}

/// The asker's end. Dropping it withdraws the question if it is still queued.
pub(crate) struct Answer<T> {
    slot: Arc<Slot<T>>,
}

/// The reply was dropped without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unanswered {
    /// The incarnation and step that took the question, if one did.
    pub(crate) begun: Option<(u64, u64)>,
}

impl<T: Send + 'static> Answer<T> {
    /// What the queued message knows of its asker.
    pub(crate) fn asker(&self) -> Arc<dyn Asker> {
        self.slot.clone()
    }
}

impl<T> Future for Answer<T> {
    type Output = Result<T, Unanswered>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.slot.lock();
        if let Some(value) = state.value.take() {
            return Poll::Ready(Ok(value));
        }
        if state.replied {
            return Poll::Ready(Err(Unanswered { begun: state.begun }));
        }
        match &mut state.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            empty => *empty = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        self.slot.left.store(true, Ordering::Release);
    }
}
