//! The answer to an ask: a field of the message, and the asker's end of it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::cell::answer::{AskerSide, Found, MailSide, ReplySide, triple};

/// The right to answer one ask; put it into a field of the message.
///
/// Dropping it without an answer tells the asker so at once (M6). It may be kept, and it may be sent
/// to another agent that answers in one's place.
pub struct Reply<T> {
    side: ReplySide<T>,
}

impl<T: Send> Reply<T> {
    /// A reply, the future of its answer, and what the queued message knows of the asker.
    pub(crate) fn open() -> (Self, Answer<T>, MailSide) {
        let (side, asker, mail) = triple();
        (Self { side }, Answer { asker }, mail)
    }

    /// Answers. An asker that has left (deadline, cancellation) gets nothing: the value is dropped.
    pub fn send(self, value: T) {
        self.side.send(value);
    }

    /// Whether nobody waits any more: long work for the answer can be spared.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.side.is_abandoned()
    }
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply")
    }
}

/// The asker's end. Dropping it withdraws the question if it is still queued.
pub(crate) struct Answer<T> {
    asker: AskerSide<T>,
}

impl<T> Answer<T> {
    /// Waits for the answer as long as a sleep and a wake would take, some microseconds.
    #[cold]
    pub(crate) fn linger(&self) {
        for _ in 0..LINGER {
            if self.asker.is_over() {
                return;
            }
            std::hint::spin_loop();
        }
    }
}

/// Pauses of 20 to 50 ns.
const LINGER: u32 = 40;

/// The reply was dropped without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unanswered {
    /// The incarnation and step that took the question, if one did.
    pub(crate) begun: Option<(u64, u64)>,
}

impl<T> Future for Answer<T> {
    type Output = Result<T, Unanswered>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.asker.poll(cx.waker()) {
            Found::Value(value) => Poll::Ready(Ok(value)),
            Found::Nothing(begun) => Poll::Ready(Err(Unanswered { begun })),
            Found::Pending => Poll::Pending,
        }
    }
}
