//! Handlers that hold their thread: found, reported, and fenced when they were to be killed (M10).

use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use super::{Core, SystemRef};
use crate::cell::handle::CellRef;
use crate::cell::header::control;
use crate::cell::schedule::Turn;
use crate::observe::EventKind;
use crate::pool::pace;
use crate::pool::seat::Seat;
use crate::time;

impl SystemRef {
    /// Fences `turn` of `cell` if it is still under way a while from now (M10).
    pub(crate) fn fence_later(&self, cell: &CellRef, turn: Turn) {
        let (system, cell) = (self.clone(), cell.clone());
        let after = self.core.fence_after;
        self.core.jobs.spawn(&self.core.runtime, async move {
            time::wait(after).await;
            system.fence(cell, turn);
        });
    }

    fn fence(&self, cell: CellRef, turn: Turn) {
        if cell.header().schedule.running() != Some(turn)
            || cell.header().control() & control::KILL == 0
        {
            return;
        }
        let address = cell.address();
        // First the thread, so that nothing is sent between the end and the fence.
        for seat in self.seats() {
            seat.fence(address);
        }
        if cell.fence(turn)
            && let Some(solo) = cell.header().solo()
        {
            solo.replace();
        }
    }

    fn seats(&self) -> Vec<Arc<Seat>> {
        let solos = self.core.solos.lock().unwrap_or_else(PoisonError::into_inner);
        let own = solos.iter().filter_map(Weak::upgrade).map(|solo| solo.seat());
        self.core.pool.seats().into_iter().chain(own).collect()
    }
}

/// Looks at the threads so often per interval after which a handler that holds one is reported.
const LOOKS: u32 = 5;

/// Lets others take over what waits behind a handler that holds its thread from one look to the
/// next, and reports it, and tells its supervisor to look (S33), when it does so for `interval`.
pub(super) async fn watch_threads(core: Weak<Core>, interval: Duration) {
    let mut turns: Vec<((usize, u64), u32)> = Vec::new();
    for look in 1_u32.. {
        time::wait(interval / LOOKS).await;
        let Some(core) = core.upgrade() else { return };
        let system = SystemRef { core };
        if look.is_multiple_of(LOOKS) {
            system.core.warm.cool();
        }
        let lasts = |turn| turns.iter().find(|seen| seen.0 == turn).map_or(0, |seen| seen.1 + 1);
        let now = system.seats().into_iter().filter_map(|seat| seat.current());
        turns = now.map(|turn| (turn, lasts(turn))).collect();
        let lasting = |looks| move |seen: &&((usize, u64), u32)| seen.1 >= looks;
        let held: Vec<_> = turns.iter().filter(lasting(1)).map(|seen| seen.0).collect();
        system.core.pool.relieve(&held);
        let stuck: Vec<_> = turns.iter().filter(lasting(LOOKS)).map(|seen| seen.0.0).collect();
        if !stuck.is_empty() {
            system.report_blocked(&stuck);
            // It is reported again after another interval.
            turns.iter_mut().filter(|seen| seen.1 >= LOOKS).for_each(|seen| seen.1 = 1);
        }
    }
}

impl SystemRef {
    fn report_blocked(&self, addresses: &[usize]) {
        for cell in self.core.names.select(|cell| addresses.contains(&cell.address())) {
            let header = cell.header();
            pace::note_blocked(header);
            // The handler cannot: senders may wait beside room that it has made.
            cell.admit_waiters();
            if !header.is_protected() {
                header.mark_suspected();
                self.emit(|| EventKind::AgentBlocks { agent: header.id.clone() });
            }
        }
    }
}
