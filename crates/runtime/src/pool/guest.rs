//! Threads that run cells without being runners: an ask of an idle agent runs its handler on the
//! asker's stack, which saves a wake and two queues.

use std::cell::RefCell;
use std::sync::{Arc, PoisonError, Weak};

use tokio::runtime::Handle;

use super::Pool;
use super::seat::{self, DEPTH_MAX, Place};
use crate::cell::handle::CellRef;
use crate::pool::{pace, runner};

/// Messages that such a turn may handle: the question, and what came in meanwhile.
const BUDGET: u32 = 16;

thread_local! {
    // The seat of this thread as a guest of the pool it helped last; the watch over blocking
    // handlers looks at it. It keeps no pool alive.
    static GUEST: RefCell<Option<(Weak<Pool>, Option<Place>)>> = const { RefCell::new(None) };
}

impl Pool {
    /// Runs a cell that has just got mail on this stack, if it rests and that is safe and worth it;
    /// else asks for a turn. Nothing changes for the cell: it has its turn, once, and what it does
    /// not finish goes to the runners.
    pub(crate) fn run_here(self: &Arc<Self>, cell: &CellRef) {
        let header = cell.header();
        if !pace::is_quick(header) {
            return cell.wake();
        }
        let look = header.steps() / 2 % pace::ASKS_PER_LOOK == 0;
        let before = look.then(runner::now);
        if !self.run_seated(cell) {
            return cell.wake();
        }
        if let Some(before) = before {
            pace::note(header, runner::now() - before, BUDGET.saturating_sub(header.budget()));
        }
    }

    /// False when this thread may not run it, or another one does.
    fn run_seated(self: &Arc<Self>, cell: &CellRef) -> bool {
        match seat::with_place(|place| (place.pool == self.address()).then(|| place.seat.clone())) {
            // Within a turn, or a runner between turns: the seat keeps the order of the frames.
            Some(Some(seat)) => run_on(&seat, cell),
            // Some other driver's thread.
            Some(None) => false,
            // Elsewhere timers and jobs of the handler would go to another runtime, or to none.
            None => {
                Handle::try_current().is_ok_and(|handle| handle.id() == self.runtime)
                    && self.run_as_guest(cell)
            }
        }
    }

    fn run_as_guest(self: &Arc<Self>, cell: &CellRef) -> bool {
        let mut place = GUEST.take().and_then(|(pool, place)| {
            std::ptr::eq(pool.as_ptr(), Arc::as_ptr(self)).then_some(place).flatten()
        });
        if place.is_none() {
            let seat = Arc::default();
            let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
            guests.retain(|seat| seat.strong_count() != 0);
            guests.push(Arc::downgrade(&seat));
            place = Some(Place { seat, pool: self.address(), local: None });
        }
        let seat = place.as_ref().map(|place| place.seat.clone());
        let ran = seat.is_some_and(|seat| seat::sit(&mut place, || run_on(&seat, cell)));
        GUEST.set(Some((Arc::downgrade(self), place)));
        ran
    }
}

fn run_on(seat: &seat::Seat, cell: &CellRef) -> bool {
    let Some(_turn) = seat.begin(cell.address()) else { return false };
    cell.run_here(BUDGET)
}

const _: () = assert!(DEPTH_MAX > 1, "a guest needs a frame for itself and one for an ask within");
