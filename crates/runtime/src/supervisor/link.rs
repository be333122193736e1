//! What lies between a supervisor and its children, and survives the supervisor's restarts: the
//! way of their reports, and the cells, so that addresses of children survive too (M12).

use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use ggml_agent_core::ExitReason;
use ggml_agent_core::sequence::Sequence;
use ggml_agent_core::supervise::{ChildSpec, SupervisorSpec, Vital};

use super::driver::Msg;
use super::place::{Place, Slot};
use crate::address::request_kill;
use crate::cell;
use crate::cell::handle::{CellRef, TypedRef};
use crate::cell::header::Start;
use crate::cell::mailbox::{Lane, Mail};
use crate::dead_letter::Reason;
use crate::spec::Child;

/// What all incarnations of one supervisor share.
pub(super) struct Shared {
    pub(super) spec: SupervisorSpec,
    pub(super) statics: Mutex<Vec<Static>>,
    pub(super) link: Arc<Link>,
}

/// A static child before and after its cell was made.
pub(super) enum Static {
    Spec(Option<Child>),
    Cell(ChildSpec, CellRef),
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
    places: Sequence<Place>,
    /// The largest slot that a child of any life of the supervisor had.
    last_slot: Slot,
    /// How many of the places are running.
    n_running: usize,
    /// Waits until nothing runs.
    waker: Option<Waker>,
    /// No incarnation of the supervisor is there to hear reports: whoever ends is gone for good.
    headless: bool,
}

impl State {
    /// Notes whether something of a child's incarnation is left; false for one that is not here.
    fn set_running(&mut self, slot: Slot, running: bool) -> bool {
        let Some(place) = self.places.get_mut(slot) else { return false };
        let was_running = place.set_running(running);
        self.n_running -= usize::from(was_running);
        self.n_running += usize::from(running);
        was_running
    }
}

/// Places that [`Link::behead`] looks at under one lock.
const BEHEADED_AT_ONCE: usize = 256;

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
            if state.n_running == 0 {
                state.places.clear();
                state.headless = false;
                return Poll::Ready(());
            }
            state.waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
        *self.supervisor() = Some(supervisor.clone());
    }

    /// Notes that an incarnation of a child is begun, and gives its cell.
    pub(super) fn begins(&self, slot: Slot) -> Option<CellRef> {
        let mut state = self.state();
        state.set_running(slot, true);
        Some(state.places.get_mut(slot)?.begin())
    }

    /// Notes that nothing of a child's incarnation is left.
    pub(super) fn is_over(&self, slot: Slot) {
        let waker = {
            let mut state = self.state();
            state.set_running(slot, false);
            if state.n_running == 0 { state.waker.take() } else { None }
        };
        self.let_go();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Forgets the children once none runs and nobody supervises them: they hold the link, and would
    /// never be freed.
    fn let_go(&self) {
        let places = {
            let mut state = self.state();
            let is_over = state.headless && state.n_running == 0;
            if is_over { std::mem::take(&mut state.places) } else { Sequence::default() }
        };
        drop(places);
    }

    /// Ends everything below: the supervisor's incarnation is over, however it came to it (S25).
    pub(super) fn behead(&self) {
        self.state().headless = true;
        // Nobody hears reports any more; and two that hold each other would never be freed.
        drop(self.supervisor().take());
        let mut from = 0;
        loop {
            // Nobody adds a place meanwhile: the one who does is gone.
            let some: Vec<_> = {
                let state = self.state();
                let next = |from: &mut Slot| {
                    let (slot, place) = state.places.first_from(*from)?;
                    *from = slot + 1;
                    Some((place.is_running(), place.cell().clone()))
                };
                std::iter::from_fn(|| next(&mut from)).take(BEHEADED_AT_ONCE).collect()
            };
            if some.is_empty() {
                return self.let_go();
            }
            for (is_running, cell) in some {
                if is_running {
                    // Its end finds nobody to report to, and retires it.
                    request_kill(&cell);
                } else {
                    let system = cell.header().system.clone();
                    system.retire(&cell, Reason::Ended);
                }
            }
        }
    }

    /// The largest slot that was ever used.
    pub(super) fn last_slot(&self) -> Slot {
        self.state().last_slot
    }

    /// Takes a child in; slots grow within a life of the supervisor.
    pub(super) fn insert(&self, slot: Slot, cell: CellRef) {
        let mut state = self.state();
        state.last_slot = state.last_slot.max(slot);
        state.places.push(slot, Place::new(cell));
    }

    pub(super) fn remove(&self, slot: Slot) -> Option<CellRef> {
        self.state().places.remove(slot).map(Place::into_cell)
    }

    pub(super) fn cell(&self, slot: Slot) -> Option<CellRef> {
        self.state().places.get(slot).map(|place| place.cell().clone())
    }

    /// Notes that an incarnation has come up; false when it is not the one that was begun last in
    /// this life of the supervisor.
    pub(super) fn comes_up(&self, slot: Slot, incarnation: u64) -> bool {
        let mut state = self.state();
        state.places.get_mut(slot).is_some_and(|place| place.come_up(incarnation))
    }

    /// Whether an incarnation had come up; `None` as for [`Link::comes_up`].
    pub(super) fn had_come_up(&self, slot: Slot, incarnation: u64) -> Option<bool> {
        self.state().places.get(slot)?.had_come_up(incarnation)
    }

    /// The vital signs of those who are at work; the others are healthy and leave the list.
    pub(super) fn check_suspects(&self) -> Vec<(Slot, Vital)> {
        let suspects =
            std::mem::take(&mut *self.suspects.lock().unwrap_or_else(PoisonError::into_inner));
        let mut at_work = Vec::new();
        for slot in suspects {
            let Some(cell) = self.cell(slot) else { continue };
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
            let was_running = state.set_running(slot, false);
            if !state.headless && self.report(message) {
                return;
            }
            if was_running {
                state.set_running(slot, true);
            }
            state.places.get(slot).map(|place| place.cell().clone())
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

    /// The `on_start` of a child returned.
    pub(crate) fn started(&self, slot: Slot, incarnation: u64, start: Start) {
        let message = Msg::Started { slot, incarnation, start };
        match start {
            Start::Running => {
                // Nobody to hear it: then it is being killed as an orphan.
                self.report(message);
            }
            Start::Ignored => self.ended(slot, message),
        }
    }

    /// A child's incarnation is over, and what it held has been released (M13).
    pub(crate) fn exited(&self, slot: Slot, incarnation: u64, reason: ExitReason) {
        self.ended(slot, Msg::Exited { slot, incarnation, reason });
    }

    /// A handler suspended or blocks: look at this child at the next health check (S33).
    pub(crate) fn suspect(&self, slot: Slot) {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner).push(slot);
    }
}
