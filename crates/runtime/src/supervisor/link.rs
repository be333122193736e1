//! What lies between a supervisor and its children, and survives the supervisor's restarts: the
//! way of their reports, and the cells, so that addresses of children survive too (M12).

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use ggml_agent_core::ExitReason;
use ggml_agent_core::supervise::{ChildSpec, SupervisorSpec, Vital};

use super::driver::Msg;
use crate::address::request_kill;
use crate::cell::header::{Owner, Start};
use crate::cell::mailbox::{Lane, Mail};
use crate::cell::{self, AnyCell, MsgCell};
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
    Cell(ChildSpec, Slot, Arc<dyn AnyCell>),
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
pub(super) struct Link {
    supervisor: OnceLock<Weak<dyn MsgCell<Msg>>>,
    state: Mutex<State>,
    suspects: Mutex<Vec<Slot>>,
}

#[derive(Default)]
struct State {
    next_slot: Slot,
    cells: BTreeMap<Slot, Arc<dyn AnyCell>>,
    /// No incarnation of the supervisor is there to hear reports: whoever ends is gone for good.
    headless: bool,
}

impl Link {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects the supervisor's present incarnation.
    pub(super) fn attach(&self, supervisor: &Arc<dyn MsgCell<Msg>>) {
        self.supervisor.get_or_init(|| Arc::downgrade(supervisor));
        self.state().headless = false;
    }

    /// Ends everything below: the supervisor's incarnation is over, however it came to it (S25).
    pub(super) fn behead(&self) {
        let cells = {
            let mut state = self.state();
            state.headless = true;
            state.cells.values().cloned().collect::<Vec<_>>()
        };
        for cell in cells {
            if cell.header().is_alive() {
                request_kill(cell);
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

    pub(super) fn insert(&self, slot: Slot, cell: Arc<dyn AnyCell>) {
        self.state().cells.insert(slot, cell);
    }

    pub(super) fn remove(&self, slot: Slot) -> Option<Arc<dyn AnyCell>> {
        self.state().cells.remove(&slot)
    }

    /// The cells with a living incarnation.
    pub(super) fn alive(&self) -> Vec<Arc<dyn AnyCell>> {
        let state = self.state();
        state.cells.values().filter(|cell| cell.header().is_alive()).cloned().collect()
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

    /// Reports to the supervisor; false when there is none to hear it.
    fn report(&self, message: Msg) -> bool {
        let Some(supervisor) = self.supervisor.get().and_then(Weak::upgrade) else { return false };
        cell::send(&supervisor, Lane::Priority, Mail { message, asker: None }).is_ok()
    }
}

impl Owner for Link {
    fn started(&self, slot: Slot, incarnation: u64, start: Start) {
        self.report(Msg::Started { slot, incarnation, start });
    }

    fn exited(&self, slot: Slot, incarnation: u64, reason: ExitReason) {
        let orphan = {
            let state = self.state();
            // Under the lock, so that the supervisor's end sees either the report or the orphan.
            if !state.headless && self.report(Msg::Exited { slot, incarnation, reason }) {
                None
            } else {
                state.cells.get(&slot).cloned()
            }
        };
        if let Some(cell) = orphan {
            let system = cell.header().system.clone();
            system.retire(&cell, Reason::Ended);
        }
    }

    fn suspect(&self, slot: Slot) {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner).push(slot);
    }
}
