//! Cells at rest that still own memory for mail. A few thousand keep it, since they are likely to
//! need it again; the others, and those that have rested for a while, give it back.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use std::sync::atomic::Ordering;

use crate::cell::handle::CellRef;

#[cfg(test)]
mod tests;

/// Cells that may keep memory while they rest.
// 4,096 x 0.6 KiB (a block of small messages) = 2.5 MiB.
const CELLS_MAX: usize = 4_096;

/// See the module.
#[derive(Default)]
pub(crate) struct Warm {
    /// With the steps that each had made when it was last looked at.
    cells: Mutex<VecDeque<(CellRef, u64)>>,
}

impl Warm {
    fn lock(&self) -> MutexGuard<'_, VecDeque<(CellRef, u64)>> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a cell that comes to rest with memory, once; for the holder of its turn.
    #[inline]
    pub(crate) fn note(&self, cell: &CellRef) {
        if !cell.header().warm.load(Ordering::Relaxed) {
            self.add(cell);
        }
    }

    #[cold]
    fn add(&self, cell: &CellRef) {
        let header = cell.header();
        header.warm.store(true, Ordering::Relaxed);
        let oldest = {
            let mut cells = self.lock();
            cells.push_back((cell.clone(), header.steps()));
            if cells.len() > CELLS_MAX { cells.pop_front() } else { None }
        };
        if let Some((oldest, _)) = oldest
            && !oldest.cool()
        {
            // At work: it comes back when it rests.
            oldest.header().warm.store(false, Ordering::Relaxed);
        }
    }

    /// Lets go of all: they hold the system, and this is a part of it.
    pub(crate) fn forget(&self) {
        let cells = std::mem::take(&mut *self.lock());
        drop(cells);
    }

    /// Takes the memory of those that have done nothing since the last call.
    pub(crate) fn cool(&self) {
        let n_cells = self.lock().len();
        for _ in 0..n_cells {
            let Some((cell, steps)) = self.lock().pop_front() else { return };
            let now = cell.header().steps();
            if now != steps || !cell.cool() {
                self.lock().push_back((cell, now));
            }
        }
    }
}
