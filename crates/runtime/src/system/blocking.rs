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

/// Reports handlers that hold their thread from one look to the next, lets others take over what
/// waits behind them, and tells their supervisors to look (S33).
pub(super) async fn watch_threads(core: Weak<Core>, interval: Duration) {
    let mut before: Vec<(usize, u64)> = Vec::new();
    loop {
        time::wait(interval).await;
        let Some(core) = core.upgrade() else { return };
        let system = SystemRef { core };
        system.core.warm.cool();
        let now: Vec<_> = system.seats().iter().filter_map(|seat| seat.current()).collect();
        let stuck: Vec<_> = now.iter().copied().filter(|turn| before.contains(turn)).collect();
        if !stuck.is_empty() {
            let is_stuck = |cell: &CellRef| stuck.iter().any(|turn| turn.0 == cell.address());
            for cell in system.core.names.select(is_stuck) {
                let header = cell.header();
                pace::note_blocked(header);
                // The handler cannot: senders may wait beside room that it has made.
                cell.admit_waiters();
                if !header.is_protected() {
                    header.mark_suspected();
                    system.emit(|| EventKind::AgentBlocks { agent: header.id.clone() });
                }
            }
            system.core.pool.relieve(&stuck);
        }
        before = now;
    }
}
