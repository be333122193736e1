//! Where a thread sits while it runs cells: which cells it has, and whether their turns were fenced.
//!
//! A thread runs one cell, and within its turn the cells that its handler asks, which run on the
//! asker's stack. Each of these turns has a frame.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::local::Local;

/// Turns on one stack: an ask within as many others goes the way over the queue.
// A frame of a handler has some hundred bytes to a few KiB; 8 of them leave most of a 2 MiB stack.
const DEPTH_MAX: usize = 8;

/// What others may know of a thread that runs cells.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    depth: AtomicUsize,
    /// Turns given so far.
    turns: AtomicU64,
    frames: [Frame; DEPTH_MAX],
}

#[derive(Debug, Default)]
struct Frame {
    /// Address of the cell that runs, 0 for none.
    cell: AtomicUsize,
    /// The number of its turn: the same number at two looks means that one turn lasts.
    turn: AtomicU64,
    /// The number of the turn that was fenced last, 0 for none: what its handler sends is refused
    /// (M10). A number, so that a fence which comes too late hits no other turn.
    fenced: AtomicU64,
}

impl Seat {
    /// Notes that a turn of the cell at `address` begins; the returned guard ends it. `None` when
    /// too many are under way.
    #[inline]
    pub(crate) fn begin(&self, address: usize) -> Option<SeatTurn<'_>> {
        let depth = self.enter(address)?;
        Some(SeatTurn { seat: self, depth })
    }

    #[inline]
    fn enter(&self, address: usize) -> Option<usize> {
        let depth = self.depth.load(Ordering::Relaxed);
        let frame = self.frames.get(depth)?;
        let turn = self.turns.load(Ordering::Relaxed) + 1;
        self.turns.store(turn, Ordering::Relaxed);
        frame.turn.store(turn, Ordering::Relaxed);
        frame.cell.store(address, Ordering::Release);
        self.depth.store(depth + 1, Ordering::Release);
        Some(depth)
    }

    #[inline]
    fn exit(&self, depth: usize) {
        self.frames[depth].cell.store(0, Ordering::Release);
        self.depth.store(depth, Ordering::Release);
    }

    /// The innermost cell that runs and the number of its turn.
    pub(crate) fn current(&self) -> Option<(usize, u64)> {
        let frame = self.frames.get(self.depth.load(Ordering::Acquire).checked_sub(1)?)?;
        let cell = frame.cell.load(Ordering::Acquire);
        (cell != 0).then(|| (cell, frame.turn.load(Ordering::Relaxed)))
    }

    /// Whether these turns are under way, one within the other or side by side.
    pub(crate) fn has_any(&self, turns: &[(usize, u64)]) -> bool {
        self.frames.iter().any(|frame| {
            let cell = frame.cell.load(Ordering::Acquire);
            cell != 0 && turns.contains(&(cell, frame.turn.load(Ordering::Relaxed)))
        })
    }

    /// Refuses what the turn of the cell at `address` sends from now on.
    pub(crate) fn fence(&self, address: usize) {
        for frame in &self.frames {
            // The number first: if the turn ends meanwhile, it is the number of one that is over.
            let turn = frame.turn.load(Ordering::Acquire);
            if frame.cell.load(Ordering::Acquire) == address {
                frame.fenced.store(turn, Ordering::Release);
            }
        }
    }

    /// Whether the turn under way was fenced; for the thread that gives it.
    #[inline]
    fn is_fenced(&self) -> bool {
        let Some(innermost) = self.depth.load(Ordering::Relaxed).checked_sub(1) else {
            return false;
        };
        let frame = &self.frames[innermost];
        let fenced = frame.fenced.load(Ordering::Relaxed);
        fenced != 0 && fenced == frame.turn.load(Ordering::Relaxed)
    }
}

/// A turn under way.
pub(crate) struct SeatTurn<'a> {
    seat: &'a Seat,
    depth: usize,
}

impl Drop for SeatTurn<'_> {
    fn drop(&mut self) {
        self.seat.exit(self.depth);
    }
}

/// A turn within the place of this thread.
pub(crate) struct InnerTurn {
    depth: usize,
}

impl InnerTurn {
    /// Begins a turn of the cell at `address` if this thread works for the pool at `pool`: within
    /// another turn, or between two. An error when it works for nobody.
    pub(crate) fn begin(pool: usize, address: usize) -> Result<Option<Self>, Unseated> {
        let begun = with_place(|place| {
            let depth = if place.pool == pool { place.seat.enter(address) } else { None };
            depth.map(|depth| Self { depth })
        });
        begun.ok_or(Unseated)
    }
}

impl Drop for InnerTurn {
    fn drop(&mut self) {
        // Whoever sat down within the turn has got up again: the place is the one of `begin`.
        with_place(|place| place.seat.exit(self.depth));
    }
}

/// The thread has no place.
pub(crate) struct Unseated;

/// The seat of the current thread, and what it runs cells for. Boxed: it changes hands at every turn.
pub(crate) struct Place {
    pub(crate) seat: Arc<Seat>,
    /// The address of the pool, 0 for a driver with one cell.
    pub(crate) pool: usize,
    /// The queue of the runner that this thread is; none for a guest.
    pub(crate) local: Option<Local>,
}

thread_local! {
    // Where this thread sits, set only while it runs cells: nothing of a system outlives a turn
    // here, and two systems on one thread see only their own.
    static PLACE: RefCell<Option<Box<Place>>> = const { RefCell::new(None) };
}

/// Sits down for the time of `f`; `place` is empty meanwhile.
pub(crate) fn sit<R>(place: &mut Option<Box<Place>>, f: impl FnOnce() -> R) -> R {
    struct Restore<'a> {
        before: Option<Box<Place>>,
        place: &'a mut Option<Box<Place>>,
    }
    impl Drop for Restore<'_> {
        fn drop(&mut self) {
            *self.place = PLACE.with(|current| current.replace(self.before.take()));
        }
    }
    let before = PLACE.with(|current| current.replace(place.take()));
    let _restore = Restore { before, place };
    f()
}

/// Whether the handler that calls was fenced.
#[inline]
pub(crate) fn is_fenced() -> bool {
    PLACE.with(|place| place.borrow().as_ref().is_some_and(|place| place.seat.is_fenced()))
}

/// Works with the place of this thread, if it has one.
#[inline]
pub(crate) fn with_place<R>(f: impl FnOnce(&Place) -> R) -> Option<R> {
    PLACE.with(|place| place.borrow().as_deref().map(f))
}
