//! One ordered stream with many watchers: events of a system, changes of its registry.
//!
//! Who publishes pays the same for one watcher and for a thousand, and nothing but a count when
//! there is none. Items stand in blocks that all watchers share and read without a lock; a lock is
//! taken by who publishes, and by a watcher once per block. Sleeping watchers are woken by a job of
//! their own, the *relay*; up to [`DIRECT_MAX`] watchers need none.
//!
//! Order of the locks: `ring` and `sleepers` are never held together, and under neither is code of
//! others run: items, wakers and blocks are dropped, and wakers called, after the lock.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use ggml_agent_core::limits::EVENT_RING_LEN;
use tokio::sync::Notify;

use crate::observe::WatchError;

/// Items of a block. 64 x some 120 B = 8 KiB: a lock once per 64 items costs a reader next to nothing.
const BLOCK_LEN: usize = 64;
/// Full blocks that are kept, beside the one that is being filled.
const BLOCKS_MAX: usize = EVENT_RING_LEN / BLOCK_LEN;
/// So many watchers are woken by who publishes: the way over the relay costs a turn of a job.
const DIRECT_MAX: usize = 4;

/// The end of a stream where items go in. The stream ends with it.
pub(crate) struct Source<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    /// Twice the number of items so far, and the bit [`WATCHED`].
    ///
    /// Without the bit, whoever publishes adds 2 by an exchange that fails when the bit appears. With
    /// it, only the holder of `ring` adds; the bit itself changes under `ring`, too. So numbers are
    /// unique and without gaps, and a watcher that begins at a number gets each one from there on.
    /// All accesses are relaxed: the word guards no other memory.
    word: AtomicU64,
    ring: Mutex<Ring<T>>,
    /// Watchers that wait for an item, by their keys.
    sleepers: Mutex<BTreeMap<u64, Waker>>,
    /// Somebody went to sleep since sleepers were woken last.
    is_slept: AtomicBool,
    /// Somebody else wakes the sleepers.
    is_relayed: AtomicBool,
    relay: Notify,
    is_closed: AtomicBool,
}

const WATCHED: u64 = 1;
const ONE: u64 = 2;

struct Ring<T> {
    /// Oldest first, without gaps between; empty unless somebody watches.
    blocks: VecDeque<Arc<Block<T>>>,
    n_watchers: usize,
    n_keys: u64,
}

struct Block<T> {
    /// The number of its first item.
    first: u64,
    items: [OnceLock<T>; BLOCK_LEN],
}

impl<T: Clone + Send + Sync + 'static> Source<T> {
    pub(crate) fn new() -> Self {
        let ring = Ring { blocks: VecDeque::new(), n_watchers: 0, n_keys: 0 };
        Self {
            shared: Arc::new(Shared {
                word: AtomicU64::new(0),
                ring: Mutex::new(ring),
                sleepers: Mutex::new(BTreeMap::new()),
                is_slept: AtomicBool::new(false),
                is_relayed: AtomicBool::new(false),
                relay: Notify::new(),
                is_closed: AtomicBool::new(false),
            }),
        }
    }

    /// Whether somebody watches.
    ///
    /// Who reads it under a lock, changes what the lock guards, and publishes the change before
    /// unlocking, leaves no watcher out: who watches first and then reads under the lock either sees
    /// the change, or has locked before it, and then the bit is seen here.
    pub(crate) fn is_watched(&self) -> bool {
        self.shared.word.load(Ordering::Relaxed) & WATCHED != 0
    }

    /// Numbers an item that nobody needs; false when somebody watches, and then it must be pushed.
    pub(crate) fn pass(&self) -> bool {
        let unwatched = |word| (word & WATCHED == 0).then_some(word + ONE);
        self.shared.word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, unwatched).is_ok()
    }

    /// Numbers an item and keeps it for the watchers. They sleep on until [`Source::wake`].
    pub(crate) fn push(&self, make: impl FnOnce(u64) -> T) {
        let mut ring = self.shared.ring();
        let number = self.shared.word.fetch_add(ONE, Ordering::Relaxed) / ONE + 1;
        // Blocks are dropped, and the items in them, which may be of others, when it is unlocked.
        let mut evicted = None;
        if ring.n_watchers != 0 {
            let is_full = |block: &Arc<Block<T>>| number - block.first >= BLOCK_LEN as u64;
            if ring.blocks.back().is_none_or(is_full) {
                if ring.blocks.len() > BLOCKS_MAX {
                    evicted = ring.blocks.pop_front();
                }
                let items = std::array::from_fn(|_| OnceLock::new());
                ring.blocks.push_back(Arc::new(Block { first: number, items }));
            }
            let block = ring.blocks.back().expect("invariant: pushed if there was none");
            let is_first = block.item(number).is_some_and(|item| item.set(make(number)).is_ok());
            debug_assert!(is_first, "a number is given once");
        }
        drop(ring);
        drop(evicted);
    }

    /// Wakes watchers that sleep: nobody twice before it has looked.
    pub(crate) fn wake(&self) {
        // Pairs with the fence of a watcher that goes to sleep: either it sees the item, or its note
        // is seen here.
        fence(Ordering::SeqCst);
        let shared = &self.shared;
        if !shared.is_slept.load(Ordering::Relaxed)
            || !shared.is_slept.swap(false, Ordering::AcqRel)
        {
            return;
        }
        if shared.is_relayed.load(Ordering::Acquire) {
            shared.relay.notify_one();
        } else {
            shared.wake_all();
        }
    }

    /// Watches from the next item on. The first call for more than a few watchers also returns the
    /// relay, which must run from then on, until it ends.
    pub(crate) fn watch(&self) -> (Watcher<T>, Option<impl Future<Output = ()> + Send + use<T>>) {
        let mut ring = self.shared.ring();
        ring.n_watchers += 1;
        ring.n_keys += 1;
        let (n_watchers, key) = (ring.n_watchers, ring.n_keys);
        let next = self.shared.word.fetch_or(WATCHED, Ordering::Relaxed) / ONE + 1;
        drop(ring);
        // Before this watcher can sleep: who publishes never finds many that it must wake itself.
        let is_new =
            n_watchers > DIRECT_MAX && !self.shared.is_relayed.swap(true, Ordering::AcqRel);
        let relay = is_new.then(|| relay(self.shared.clone()));
        (Watcher { shared: self.shared.clone(), key, next, block: None }, relay)
    }
}

/// Wakes sleepers in place of those who publish.
async fn relay<T>(shared: Arc<Shared<T>>) {
    while !shared.is_closed.load(Ordering::Acquire) {
        shared.relay.notified().await;
        shared.wake_all();
    }
}

impl<T> Drop for Source<T> {
    fn drop(&mut self) {
        // A watcher that goes to sleep looks at this after it has left its waker under the lock.
        self.shared.is_closed.store(true, Ordering::Release);
        self.shared.wake_all();
        self.shared.relay.notify_one();
    }
}

impl<T> Shared<T> {
    fn ring(&self) -> MutexGuard<'_, Ring<T>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sleepers(&self) -> MutexGuard<'_, BTreeMap<u64, Waker>> {
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_all(&self) {
        let asleep = std::mem::take(&mut *self.sleepers());
        asleep.into_values().for_each(Waker::wake);
    }

    /// The block with the item of this number, if there is one already.
    fn block_of(&self, number: u64) -> Result<Option<Arc<Block<T>>>, TooOld> {
        let ring = self.ring();
        let Some(oldest) = ring.blocks.front() else { return Ok(None) };
        let behind = number.checked_sub(oldest.first).ok_or(TooOld { oldest: oldest.first })?;
        let at = usize::try_from(behind).unwrap_or(usize::MAX) / BLOCK_LEN;
        Ok(ring.blocks.get(at).cloned())
    }
}

/// The item is not kept any more.
struct TooOld {
    oldest: u64,
}

impl<T> Block<T> {
    /// The place of an item, if it belongs here.
    fn item(&self, number: u64) -> Option<&OnceLock<T>> {
        self.items.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }
}

/// An end of a stream where items come out, each of them once, from the time it was made.
pub(crate) struct Watcher<T> {
    shared: Arc<Shared<T>>,
    key: u64,
    /// The number of the next item.
    next: u64,
    /// Where it is, if it has been looked for and the block was there.
    block: Option<Arc<Block<T>>>,
}

impl<T: Clone> Watcher<T> {
    /// The next item. None is lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> Result<T, WatchError> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    pub(crate) fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Result<T, WatchError>> {
        if let Some(result) = self.try_next().transpose() {
            return Poll::Ready(result);
        }
        let earlier = self.shared.sleepers().insert(self.key, cx.waker().clone());
        drop(earlier);
        self.shared.is_slept.store(true, Ordering::Release);
        // Pairs with the one of `Source::wake`.
        fence(Ordering::SeqCst);
        self.try_next().transpose().map_or(Poll::Pending, Poll::Ready)
    }

    /// The next item if it is there already.
    pub(crate) fn try_next(&mut self) -> Result<Option<T>, WatchError> {
        // Read before the item: nothing comes after the end.
        let is_closed = self.shared.is_closed.load(Ordering::Acquire);
        if self.block.is_none() {
            self.block = self.shared.block_of(self.next).map_err(|TooOld { oldest }| {
                WatchError::Missed(oldest - std::mem::replace(&mut self.next, oldest))
            })?;
        }
        let block = self.block.as_ref();
        let item = block.and_then(|block| block.item(self.next)?.get().cloned());
        if item.is_some() {
            self.next += 1;
            // A block that has been read is not held.
            self.block.take_if(|block| block.item(self.next).is_none());
        } else if is_closed {
            return Err(WatchError::Ended);
        }
        Ok(item)
    }
}

impl<T> Drop for Watcher<T> {
    fn drop(&mut self) {
        let waker = self.shared.sleepers().remove(&self.key);
        drop(waker);
        let mut ring = self.shared.ring();
        ring.n_watchers -= 1;
        let mut unread = VecDeque::new();
        if ring.n_watchers == 0 {
            self.shared.word.fetch_and(!WATCHED, Ordering::Relaxed);
            std::mem::swap(&mut unread, &mut ring.blocks);
        }
        drop(ring);
        drop(unread);
    }
}

impl<T> fmt::Debug for Source<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_items = self.shared.word.load(Ordering::Relaxed) / ONE;
        f.debug_struct("Source").field("n_items", &n_items).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Watcher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("next", &self.next).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
