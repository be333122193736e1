//! What lies between a supervisor and its children, and survives the supervisor's restarts: the
//! way of their reports, and the cells, so that addresses of children survive too (M12).

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use ggml_agent_core::ExitReason;
use ggml_agent_core::supervise::{ChildSpec, SupervisorSpec, Vital};

use super::driver::Msg;
use crate::address::request_kill;
use crate::cell;
use crate::cell::handle::{CellRef, TypedRef};
use crate::cell::header::{Owner, Start};
use crate::cell::mailbox::{Lane, Mail};
use crate::dead_letter::Reason;
use crate::spec::Child;

/// A child's place in the link, never used twice.
pub(super) type Slot = u64;

/// What all incarnations of one supervisor share.
pub(super) struct Shared {
    pub(super) spec: SupervisorSpec,
    pub(super) statics: Mutex<Vec<Static>>,
    pub(super) link: Arc<Link>,
}

/// A static child before and after its cell was made.
pub(super) enum Static {
    Spec(Option<Child>),
    Cell(ChildSpec, Slot, CellRef),
}

impl Shared {
    pub(super) fn new(spec: SupervisorSpec, children: Vec<Child>) -> Self {
        let statics = children.into_iter().map(|child| Static::Spec(Some(child))).collect();
        Self { spec, statics: Mutex::new(statics), link: Arc::default() }
    }

    pub(super) fn statics(&self) -> MutexGuard<'_, Vec<Static>> {
        self.statics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See the module.
#[derive(Default)]
pub(crate) struct Link {
    supervisor: Mutex<Option<TypedRef<Msg>>>,
    state: Mutex<State>,
    suspects: Mutex<Vec<Slot>>,
}

#[derive(Default)]
struct State {
    next_slot: Slot,
    cells: BTreeMap<Slot, CellRef>,
    /// Children whose incarnation was begun and whose end, with all that belongs to it, is not yet
    /// reported. A cell itself says earlier that it is not alive: while it still cleans up, it must
    /// be neither begun again nor retired.
    running: BTreeSet<Slot>,
    /// Waits until nothing runs.
    waker: Option<Waker>,
    /// No incarnation of the supervisor is there to hear reports: whoever ends is gone for good.
    headless: bool,
}

impl Link {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn supervisor(&self) -> MutexGuard<'_, Option<TypedRef<Msg>>> {
        self.supervisor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects the supervisor's present incarnation, once nothing of the last one's children runs
    /// any more (S25, S27). Its dynamic children are forgotten.
    pub(super) async fn attach(&self, supervisor: &TypedRef<Msg>) {
        poll_fn(|cx| {
            let mut state = self.state();
            if state.running.is_empty() {
                state.cells.clear();
                state.headless = false;
                return Poll::Ready(());
            }
            state.waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
        *self.supervisor() = Some(supervisor.clone());
    }

    /// Notes that an incarnation of a child is begun.
    pub(super) fn begins(&self, slot: Slot) {
        self.state().running.insert(slot);
    }

    /// Notes that nothing of a child's incarnation is left.
    pub(super) fn is_over(&self, slot: Slot) {
        let waker = {
            let mut state = self.state();
            state.running.remove(&slot);
            if state.running.is_empty() { state.waker.take() } else { None }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Ends everything below: the supervisor's incarnation is over, however it came to it (S25).
    pub(super) fn behead(&self) {
        let cells = {
            let mut state = self.state();
            state.headless = true;
            let State { cells, running, .. } = &*state;
            let children = cells.iter().map(|(slot, cell)| (running.contains(slot), cell.clone()));
            children.collect::<Vec<_>>()
        };
        // Nobody hears reports any more; and two that hold each other would never be freed.
        drop(self.supervisor().take());
        for (is_running, cell) in cells {
            if is_running {
                // Its end finds nobody to report to, and retires it.
                request_kill(&cell);
            } else {
                let system = cell.header().system.clone();
                system.retire(&cell, Reason::Ended);
            }
        }
    }

    /// A place for one more child.
    pub(super) fn next_slot(&self) -> Slot {
        let mut state = self.state();
        state.next_slot += 1;
        state.next_slot
    }

    pub(super) fn insert(&self, slot: Slot, cell: CellRef) {
        self.state().cells.insert(slot, cell);
    }

    pub(super) fn remove(&self, slot: Slot) -> Option<CellRef> {
        self.state().cells.remove(&slot)
    }

    /// The vital signs of those who are at work; the others are healthy and leave the list.
    pub(super) fn check_suspects(&self) -> Vec<(Slot, Vital)> {
        let suspects =
            std::mem::take(&mut *self.suspects.lock().unwrap_or_else(PoisonError::into_inner));
        let mut at_work = Vec::new();
        for slot in suspects {
            let Some(cell) = self.state().cells.get(&slot).cloned() else { continue };
            let header = cell.header();
            header.suspected.store(false, Ordering::Release);
            if !header.is_busy() {
                continue;
            }
            // Still at work: look again at the next check.
            if !header.suspected.swap(true, Ordering::AcqRel) {
                self.suspect(slot);
            }
            let vital = Vital { progress: header.progress(), protected: header.is_protected() };
            at_work.push((slot, vital));
        }
        at_work
    }

    /// Reports the end of a child's incarnation, or retires the child as an orphan.
    fn ended(&self, slot: Slot, message: Msg) {
        let orphan = {
            let mut state = self.state();
            // Under one lock, so that the supervisor's end sees either the report or the orphan, and
            // the next start, which follows the report, sees that this one is over.
            let was_running = state.running.remove(&slot);
            if !state.headless && self.report(message) {
                return;
            }
            if was_running {
                state.running.insert(slot);
            }
            state.cells.get(&slot).cloned()
        };
        if let Some(cell) = orphan {
            let system = cell.header().system.clone();
            system.retire(&cell, Reason::Ended);
        }
        // Only now: until here it must not be begun again.
        self.is_over(slot);
    }

    /// Reports to the supervisor; false when there is none to hear it.
    fn report(&self, message: Msg) -> bool {
        let Some(supervisor) = self.supervisor().clone() else { return false };
        cell::send(&supervisor, Lane::Priority, Mail { message, asker: None }).is_ok()
    }
}

impl Owner for Link {
    fn started(&self, slot: Slot, incarnation: u64, start: Start) {
        let message = Msg::Started { slot, incarnation, start };
        match start {
            Start::Running => {
                // Nobody to hear it: then it is being killed as an orphan.
                self.report(message);
            }
            Start::Ignored => self.ended(slot, message),
        }
    }

    fn exited(&self, slot: Slot, incarnation: u64, reason: ExitReason) {
        self.ended(slot, Msg::Exited { slot, incarnation, reason });
    }

    fn suspect(&self, slot: Slot) {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner).push(slot);
    }
}
