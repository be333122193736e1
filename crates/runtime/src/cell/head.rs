//! The consumer's end of a queue: a position behind a lock that is biased to the holder of the
//! cell's turn.
//!
//! While only the turn's holder pops, a pop costs no atomic read-modify-write. Somebody else comes
//! rarely (a sender that evicts the oldest message, the successor of a fenced incarnation), takes
//! the bias away for good, and from then on all take an ordinary lock bit. In between a barrier of
//! the whole process makes sure that the holder has either been seen inside or sees that the bias
//! is gone.

#[cfg(all(test, loom))]
mod loom_tests;

use super::barrier;
use crate::sync::{AtomicBool, AtomicU32, AtomicUsize, Ordering, pause};

/// Somebody pops, and the bias is gone.
const LOCKED: usize = 1;
/// One position.
const STEP: usize = 2;

/// The holder of the turn needs no lock.
const BIASED: u32 = 0;
/// Somebody is taking the bias away.
const REVOKING: u32 = 1;
/// Everybody takes the lock bit.
const SHARED: u32 = 2;

/// See the module.
pub(crate) struct Head {
    /// Position of the next message times [`STEP`], and [`LOCKED`].
    word: AtomicUsize,
    /// The holder of the turn is inside, by its bias.
    inside: AtomicBool,
    bias: AtomicU32,
}

/// The right to move the head, from [`Head::own`] or [`Head::share`] to [`Head::leave`].
pub(crate) struct Access {
    pub(crate) position: usize,
    biased: bool,
}

impl Head {
    /// At the first position. `biased` only if the process has the [`barrier`].
    pub(crate) fn new(biased: bool) -> Self {
        Self {
            word: AtomicUsize::new(0),
            inside: AtomicBool::new(false),
            bias: AtomicU32::new(if biased { BIASED } else { SHARED }),
        }
    }

    /// Where it stands; what was vacated before is seen to be so.
    #[inline(always)]
    pub(crate) fn position(&self) -> usize {
        self.word.load(Ordering::Acquire) / STEP
    }

    /// For the holder of the cell's turn; also for one that was fenced and does not know it.
    #[inline(always)]
    pub(crate) fn own(&self) -> Access {
        if self.bias.load(Ordering::Acquire) == BIASED {
            self.inside.store(true, Ordering::Relaxed);
            // The pair of `revoke`: it sees us inside, or we see that the bias is gone.
            barrier::light();
            if self.bias.load(Ordering::Acquire) == BIASED {
                let position = self.word.load(Ordering::Relaxed) / STEP;
                return Access { position, biased: true };
            }
            self.inside.store(false, Ordering::Release);
        }
        self.lock()
    }

    /// For everybody else.
    pub(crate) fn share(&self) -> Access {
        self.revoke();
        self.lock()
    }

    /// Gives the access back. Release: publishes what was popped as well.
    #[inline(always)]
    pub(crate) fn leave(&self, access: &Access, position: usize) {
        self.word.store(position * STEP, Ordering::Release);
        if access.biased {
            self.inside.store(false, Ordering::Release);
        }
    }

    /// Takes the bias away, for good.
    #[cold]
    pub(crate) fn revoke(&self) {
        let took =
            self.bias.compare_exchange(BIASED, REVOKING, Ordering::AcqRel, Ordering::Acquire);
        if took.is_ok() {
            barrier::heavy();
            // Acquire: what the holder did inside is over.
            wait_until(|| !self.inside.load(Ordering::Acquire));
            self.bias.store(SHARED, Ordering::Release);
        }
    }

    #[cold]
    fn lock(&self) -> Access {
        wait_until(|| self.bias.load(Ordering::Acquire) == SHARED);
        wait_until(|| {
            // Not `fetch_or`: a failed try must not write, or the model checker loses the unlock.
            let word = self.word.load(Ordering::Relaxed);
            let (from, to) = (word & !LOCKED, word | LOCKED);
            self.word.compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed).is_ok()
        });
        // Ours alone now: nobody else stores a position.
        Access { position: self.word.load(Ordering::Relaxed) / STEP, biased: false }
    }
}

/// Waits for somebody who is inside for a few instructions, unless it lost its core.
fn wait_until(is_so: impl Fn() -> bool) {
    let mut tries = 0_u32;
    while !is_so() {
        pause();
        tries += 1;
        #[cfg(not(loom))]
        if tries.is_multiple_of(128) {
            std::thread::yield_now();
        }
    }
}
