//! Where a thread sits while it runs cells: which cell it has, and whether it was fenced.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::Runner;

/// What others may know of a thread that runs cells.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    /// Address of the cell that runs, 0 for none.
    cell: AtomicUsize,
    /// Turns given so far: the same number at two looks means that one turn lasts.
    turns: AtomicU64,
    /// The number of the turn that was fenced last, 0 for none: what its handler sends is refused
    /// (M10). A number, so that a fence which comes too late hits no other turn.
    fenced: AtomicU64,
}

impl Seat {
    /// Notes that a turn of the cell at `address` begins; the returned guard ends it.
    pub(crate) fn begin(&self, address: usize) -> SeatTurn<'_> {
        self.turns.store(self.turns.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.cell.store(address, Ordering::Release);
        SeatTurn(self)
    }

    /// The cell that runs and the number of its turn.
    pub(crate) fn current(&self) -> Option<(usize, u64)> {
        let cell = self.cell.load(Ordering::Acquire);
        (cell != 0).then(|| (cell, self.turns.load(Ordering::Relaxed)))
    }

    /// Refuses what the turn of the cell at `address` sends from now on.
    pub(crate) fn fence(&self, address: usize) {
        // The number first: if the turn ends meanwhile, it is the number of one that is over.
        let turn = self.turns.load(Ordering::Acquire);
        if self.cell.load(Ordering::Acquire) == address {
            self.fenced.store(turn, Ordering::Release);
        }
    }

    /// Whether the turn under way was fenced; for the thread that gives it.
    fn is_fenced(&self) -> bool {
        let fenced = self.fenced.load(Ordering::Relaxed);
        fenced != 0 && fenced == self.turns.load(Ordering::Relaxed)
    }
}

/// A turn under way.
pub(crate) struct SeatTurn<'a>(&'a Seat);

impl Drop for SeatTurn<'_> {
    fn drop(&mut self) {
        self.0.cell.store(0, Ordering::Release);
    }
}

/// The seat of the current thread, and its runner if it is one of a pool.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) seat: Arc<Seat>,
    pub(crate) runner: Option<Arc<Runner>>,
}

thread_local! {
    // Where this thread sits, set only while it runs cells: nothing of a system outlives a turn
    // here, and two systems on one thread see only their own.
    static PLACE: RefCell<Option<Place>> = const { RefCell::new(None) };
}

/// Sits down for the time of `f`.
pub(crate) fn sit<R>(place: &Place, f: impl FnOnce() -> R) -> R {
    struct Restore(Option<Place>);
    impl Drop for Restore {
        fn drop(&mut self) {
            PLACE.with(|current| *current.borrow_mut() = self.0.take());
        }
    }
    let before = PLACE.with(|current| current.borrow_mut().replace(place.clone()));
    let _restore = Restore(before);
    f()
}

/// Whether the handler that calls was fenced.
#[inline]
pub(crate) fn is_fenced() -> bool {
    PLACE.with(|place| place.borrow().as_ref().is_some_and(|place| place.seat.is_fenced()))
}

/// Works with the runner of this thread, if it is one.
pub(crate) fn with_runner<R>(f: impl FnOnce(&Arc<Runner>) -> R) -> Option<R> {
    PLACE.with(|place| place.borrow().as_ref().and_then(|place| place.runner.as_ref()).map(f))
}
