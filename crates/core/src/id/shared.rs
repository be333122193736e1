//! Message ids for many threads at once, without a lock.

use super::message::{MessageId, scrambled};
use crate::sync::{AtomicU64, Ordering};

/// Bits below the time in the word that counts.
const COUNT_BITS: u32 = 16;

/// Bits of an id below that word.
const ENTROPY_BITS: u32 = 64;

/// The latest time that is told apart, in milliseconds since the Unix epoch: 50 days before the end of
/// the year 10889, so that a clock that stands there for ever still leaves 2^48 ids.
const TIME_MS_MAX: u64 = (1 << 48) - (1 << 32);

/// Makes message ids for all threads of a system, each larger than all that were made before it.
///
/// As [`MessageIds`](super::MessageIds), but it is shared: one word holds the time and a count, and
/// an id costs one addition to it. Below that word an id has 64 bits of its generator's seed, scrambled
/// one to one: generators with different seeds never meet. More than 65,536 ids in one millisecond
/// go on in the next one, ahead of the clock.
///
/// # Example
/// ```
/// use ggml_agent_core::id::SharedMessageIds;
/// let ids = SharedMessageIds::new(7);
/// let first = ids.next(1_700_000_000_000);
/// let second = ids.next(1_600_000_000_000); // the wall clock was stepped back
/// assert!(first < second);
/// assert_eq!(first.time_ms(), 1_700_000_000_000);
/// ```
#[derive(Debug)]
pub struct SharedMessageIds {
    /// Upper half of the last id: 48 bits of milliseconds, then the count.
    last: AtomicU64,
    /// Lower half of every id.
    entropy: u64,
}

impl SharedMessageIds {
    /// A generator whose ids differ from those of every other seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { last: AtomicU64::new(0), entropy: scrambled(seed) }
    }

    /// The next id, strictly larger than every id whose making was over before this call began.
    ///
    /// `now_ms` is the wall clock in milliseconds since the Unix epoch; it may stand still or go back.
    ///
    /// # Panics
    /// After 2^48 ids in the last days of the year 10889.
    pub fn next(&self, now_ms: u64) -> MessageId {
        let first_of_now = now_ms.min(TIME_MS_MAX) << COUNT_BITS;
        // Relaxed throughout: all threads see one order of the values of one word, and nothing else is
        // read by them.
        let mut last = self.last.load(Ordering::Relaxed);
        while last < first_of_now {
            let begun = self.last.compare_exchange_weak(
                last,
                first_of_now,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match begun {
                Ok(_) => return self.id(first_of_now),
                Err(newer) => last = newer,
            }
        }
        // The word only grows: what is added to is at least what was read.
        let before = self.last.fetch_add(1, Ordering::Relaxed);
        self.id(before.checked_add(1).expect("invariant: fewer than 2^48 ids"))
    }

    fn id(&self, upper: u64) -> MessageId {
        MessageId::from_u128(u128::from(upper) << ENTROPY_BITS | u128::from(self.entropy))
    }
}

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
