//! Whether a cell waits for a turn, has one, or rests: one word, so that it is queued once however
//! many wake it, and run by one thread however often it was queued.

#[cfg(all(test, loom))]
mod loom_tests;

use crate::sync::{AtomicU32, Ordering};

/// Where the word keeps its state; the bits above [`ENTRY`] count the fences.
const STATE: u32 = 0b011;
const IDLE: u32 = 0;
const QUEUED: u32 = 1;
const RUNNING: u32 = 2;
/// Woken while it ran: it goes to the end of the queue after this turn.
const RUNNING_AGAIN: u32 = 3;
/// While it runs: it still has a place in a queue, since it was claimed from there.
const ENTRY: u32 = 0b100;
const EPOCH: u32 = 0b1000;
const EPOCHS: u32 = !(EPOCH - 1);

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
                IDLE => word | QUEUED,
                // With a place in a queue it will have another turn anyway.
                RUNNING if word & ENTRY == 0 => word | RUNNING_AGAIN,
                // Already noted. An exchange all the same: it orders what the caller wrote before
                // this call ahead of the turn that takes the note.
                _ => word,
            })
        });
        before.is_ok_and(|word| word & STATE == IDLE)
    }

    /// Takes the turn of a queued cell; the caller has taken it out of its queue.
    #[inline]
    pub(crate) fn begin(&self) -> Option<Turn> {
        let before = self.step(|word| match word & STATE {
            QUEUED => Some(word & EPOCHS | RUNNING),
            // Claimed from its queue: whoever runs it must queue it again.
            RUNNING if word & ENTRY != 0 => Some(word & EPOCHS | RUNNING_AGAIN),
            _ => None,
        });
        let word = before.ok()?;
        (word & STATE == QUEUED).then_some(Turn { epoch: word & EPOCHS })
    }

    /// Takes the turn of a cell that rests.
    pub(crate) fn claim_idle(&self) -> Option<Turn> {
        let before = self.step(|word| (word & STATE == IDLE).then_some(word | RUNNING));
        before.ok().map(|word| Turn { epoch: word & EPOCHS })
    }

    /// Takes the turn of a cell that rests, or waits in a queue and keeps its place there.
    #[inline]
    pub(crate) fn claim(&self) -> Option<Turn> {
        let before = self.step(|word| match word & STATE {
            IDLE => Some(word | RUNNING),
            QUEUED => Some(word & EPOCHS | RUNNING | ENTRY),
            _ => None,
        });
        before.ok().map(|word| Turn { epoch: word & EPOCHS })
    }

    /// Ends a turn; `Some(true)` when the caller must dispatch the cell again, `None` when the turn
    /// was fenced: the cell belongs to others.
    #[inline]
    pub(crate) fn end(&self, turn: Turn, again: bool) -> Option<bool> {
        let is_again = |word: u32| again || word & STATE == RUNNING_AGAIN;
        let before = self.step(|word| {
            let next = if is_again(word) || word & ENTRY != 0 { QUEUED } else { IDLE };
            (word & EPOCHS == turn.epoch).then_some(turn.epoch | next)
        });
        before.ok().map(|word| is_again(word) && word & ENTRY == 0)
    }

    /// The turn under way, if there is one: what [`Schedule::fence`] takes away.
    pub(crate) fn running(&self) -> Option<Turn> {
        let word = self.0.load(Ordering::Acquire);
        (word & STATE >= RUNNING).then_some(Turn { epoch: word & EPOCHS })
    }

    /// Takes the cell away from a turn that does not come back; the caller that did it holds the
    /// turn that is returned.
    pub(crate) fn fence(&self, turn: Turn) -> Option<Turn> {
        let epoch = turn.epoch.wrapping_add(EPOCH);
        let taken = self.step(|word| {
            let is_running = word & EPOCHS == turn.epoch && word & STATE >= RUNNING;
            is_running.then_some(epoch | word & (STATE | ENTRY))
        });
        taken.ok().map(|_| Turn { epoch })
    }
}
