//! Whether a cell waits for a turn, has one, or rests: one word, so that it is queued once however
//! many wake it, and run by one thread however often it was queued.

#[cfg(all(test, loom))]
mod loom_tests;

use crate::sync::{AtomicU32, Ordering};

/// Where the word keeps its state; the bits above count the fences.
const STATE: u32 = 0b11;
const IDLE: u32 = 0;
const QUEUED: u32 = 1;
const RUNNING: u32 = 2;
/// Woken while it ran: it goes to the end of the queue after this turn.
const RUNNING_AGAIN: u32 = 3;
const EPOCH: u32 = 0b100;

/// See the module.
#[derive(Debug)]
pub(crate) struct Schedule(AtomicU32);

/// The right to run a cell for one turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    epoch: u32,
}

impl Schedule {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(IDLE))
    }

    /// Moves the word as `next` says, unless it says `None`; the word before.
    #[inline]
    fn step(&self, next: impl Fn(u32) -> Option<u32>) -> Result<u32, u32> {
        let mut word = self.0.load(Ordering::Acquire);
        loop {
            let Some(to) = next(word) else { return Err(word) };
            // AcqRel: what was done before a note or the end of a turn is seen by the next turn.
            match self.0.compare_exchange_weak(word, to, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(word),
                Err(found) => word = found,
            }
        }
    }

    /// Notes that the cell wants a turn; true when the caller must dispatch it.
    #[inline]
    pub(crate) fn notify(&self) -> bool {
        let before = self.step(|word| {
            Some(match word & STATE {
                IDLE => word & !STATE | QUEUED,
                RUNNING => word & !STATE | RUNNING_AGAIN,
                // Already noted. An exchange all the same: it orders what the caller wrote before
                // this call ahead of the turn that takes the note.
                _ => word,
            })
        });
        before.is_ok_and(|word| word & STATE == IDLE)
    }

    /// Takes the turn of a queued cell.
    #[inline]
    pub(crate) fn begin(&self) -> Option<Turn> {
        self.take(QUEUED)
    }

    /// Takes the turn of a cell that rests, without the way over a queue.
    #[inline]
    pub(crate) fn claim(&self) -> Option<Turn> {
        self.take(IDLE)
    }

    fn take(&self, from: u32) -> Option<Turn> {
        let before =
            self.step(|word| (word & STATE == from).then_some(word & !STATE | RUNNING)).ok()?;
        Some(Turn { epoch: before & !STATE })
    }

    /// Ends a turn; `Some(true)` when the caller must dispatch the cell again, `None` when the turn
    /// was fenced: the cell belongs to others.
    #[inline]
    pub(crate) fn end(&self, turn: Turn, again: bool) -> Option<bool> {
        let is_queued = |word: u32| again || word & STATE == RUNNING_AGAIN;
        let before = self.step(|word| {
            let next = if is_queued(word) { QUEUED } else { IDLE };
            (word & !STATE == turn.epoch).then_some(turn.epoch | next)
        });
        before.ok().map(is_queued)
    }

    /// Whether the cell rests.
    pub(crate) fn is_idle(&self) -> bool {
        self.0.load(Ordering::Acquire) & STATE == IDLE
    }

    /// The turn under way, if there is one: what [`Schedule::fence`] takes away.
    pub(crate) fn running(&self) -> Option<Turn> {
        let word = self.0.load(Ordering::Acquire);
        (word & STATE >= RUNNING).then_some(Turn { epoch: word & !STATE })
    }

    /// Takes the cell away from a turn that does not come back; the caller that did it holds the
    /// turn that is returned.
    pub(crate) fn fence(&self, turn: Turn) -> Option<Turn> {
        let epoch = turn.epoch.wrapping_add(EPOCH);
        let taken = self.step(|word| {
            (word & !STATE == turn.epoch && word & STATE >= RUNNING).then_some(epoch | RUNNING)
        });
        taken.ok().map(|_| Turn { epoch })
    }
}
