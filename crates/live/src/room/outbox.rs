//! Frames waiting for one socket: bounded, and made up for when they were too many.

use crate::limits;
use bytes::Bytes;
use std::collections::VecDeque;

/// A queue that never holds more than [`OUTBOX_FRAMES_MAX`](limits::OUTBOX_FRAMES_MAX) frames or, of more than one
/// frame, [`OUTBOX_LEN_MAX`](limits::OUTBOX_LEN_MAX) bytes.
///
/// Updates may be given twice but never left out. So when the queue runs over, all of it goes, and the next frame
/// is made when the socket is ready for it: one update from what the reader is known to have.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: VecDeque<Waiting>,
    len: usize,
    /// What the reader has for sure: its own word, then that of the last update its socket took.
    delivered: Option<Bytes>,
    behind: bool,
    lost: bool,
}

#[derive(Debug)]
struct Waiting {
    frame: Bytes,
    /// What a reader has who took all up to this frame.
    reached: Option<Bytes>,
}

impl Outbox {
    /// A frame that is no update.
    pub(super) fn push(&mut self, frame: Bytes) {
        self.enqueue(Waiting { frame, reached: None });
    }

    /// An update, after which the reader has `reached`, if that can be said.
    ///
    /// One who is behind is not given it: what it will be given holds it.
    pub(super) fn push_update(&mut self, frame: Bytes, reached: Option<Bytes>) {
        if !self.behind {
            // One who has not said yet what it has may lack anything.
            let reached = reached.filter(|_| self.delivered.is_some());
            self.enqueue(Waiting { frame, reached });
        }
    }

    /// The reader says what it has, and waits for the rest.
    pub(super) fn begin(&mut self, state_vector: Bytes) {
        (self.delivered, self.behind) = (Some(state_vector), true);
    }

    /// What the reader has, if the rest is to be made for it now: nothing else waits.
    pub(super) fn owed(&self) -> Option<Option<&Bytes>> {
        (self.behind && self.queue.is_empty()).then_some(self.delivered.as_ref())
    }

    /// The one frame that makes up for all before it. It may be as long as it must.
    pub(super) fn catch_up(&mut self, frame: Bytes, reached: Bytes) {
        self.behind = false;
        let reached = Some(reached).filter(|_| self.delivered.is_some());
        self.enqueue(Waiting { frame, reached });
    }

    pub(super) fn take(&mut self) -> Option<Bytes> {
        let Waiting { frame, reached } = self.queue.pop_front()?;
        self.len -= frame.len();
        if reached.is_some() {
            self.delivered = reached;
        }
        Some(frame)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.len
    }

    pub(super) fn is_behind(&self) -> bool {
        self.behind
    }

    /// Whether frames were dropped since the last question: updates are made up for here, all else is not.
    pub(super) fn lost(&mut self) -> bool {
        std::mem::take(&mut self.lost)
    }

    fn enqueue(&mut self, waiting: Waiting) {
        let len = self.len + waiting.frame.len();
        let full = self.queue.len() >= limits::OUTBOX_FRAMES_MAX;
        // A first frame may be as long as it must: dropping it would not make what follows shorter.
        if full || len > limits::OUTBOX_LEN_MAX && !self.queue.is_empty() {
            self.queue.clear();
            (self.len, self.behind, self.lost) = (0, true, true);
            return;
        }
        self.len = len;
        self.queue.push_back(waiting);
    }
}
