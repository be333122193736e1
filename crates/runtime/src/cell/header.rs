//! The part of a cell that does not depend on its agent's type: who it is, whether it runs, and the
//! control word that carries what must not wait behind mail.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use ggml_agent_core::envelope::Envelope;
use ggml_agent_core::registry::Tag;
use ggml_agent_core::{AgentId, ExitReason};

use super::dispatch::Dispatch;
use crate::pool::solo::Solo;
use crate::system::SystemRef;

/// System messages and requests, one bit each: the system lane (M3).
pub(crate) mod control {
    /// A new incarnation is to be made.
    pub(crate) const START: u32 = 1;
    /// Drop the life at once.
    pub(crate) const KILL: u32 = 1 << 1;
    /// Finish the current message, then end.
    pub(crate) const SHUTDOWN: u32 = 1 << 2;
    /// Handle what is queued, then end.
    pub(crate) const STOP: u32 = 1 << 3;
    /// Envelopes of the system lane wait in the cold part.
    pub(crate) const MAIL: u32 = 1 << 4;
    /// Somebody wants to know when the current handler step is over.
    pub(crate) const WATCH: u32 = 1 << 5;
    /// What is still queued when the life ends becomes dead letters.
    pub(crate) const DISCARD: u32 = 1 << 6;
    /// The life asked to be polled again.
    pub(crate) const AGAIN: u32 = 1 << 7;
    /// The life is in the spare place: the cell's own is held by a fenced one.
    pub(crate) const SPARE: u32 = 1 << 8;
    /// The incarnation has come up: its `on_start` returned.
    pub(crate) const STARTED: u32 = 1 << 9;
}

const IN_SERVICE: u8 = 0;
const RETIRING: u8 = 1;
const RETIRED: u8 = 2;

/// Where the schedule word keeps its state; the bits above count the fences.
const STATE: u32 = 0b11;
const IDLE: u32 = 0;
const QUEUED: u32 = 1;
const RUNNING: u32 = 2;
/// Woken while it ran: it goes to the end of the queue after this turn.
const RUNNING_AGAIN: u32 = 3;
const EPOCH: u32 = 0b100;

/// Whom a cell tells about its incarnations: its supervisor, or the system.
pub(crate) trait Owner: Send + Sync {
    /// `on_start` returned.
    fn started(&self, key: u64, incarnation: u64, start: Start);
    /// The incarnation is over, and what it held has been released (M13).
    fn exited(&self, key: u64, incarnation: u64, reason: ExitReason);
    /// A handler suspended or blocks: look at this child at the next health check (S33).
    fn suspect(&self, key: u64);
}

/// How a start ended, unless it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Running,
    /// The agent does not want to run (S3).
    Ignored,
}

/// The last end of an incarnation.
#[derive(Debug, Clone)]
pub(crate) struct Exit {
    pub(crate) incarnation: u64,
    pub(crate) reason: ExitReason,
}

type ExitHook = Box<dyn FnOnce(&Exit) + Send>;

/// What few cells need, behind one pointer.
#[derive(Default)]
pub(crate) struct Cold {
    pub(crate) system_mail: VecDeque<Envelope>,
    step_watchers: Vec<Waker>,
    /// Told once, when the current incarnation ends.
    pub(crate) exit_hooks: Vec<ExitHook>,
    /// Woken when the agent is gone for good.
    end_watchers: Vec<Waker>,
    pub(crate) last_exit: Option<Exit>,
    /// The incarnation and handler step that failed last.
    pub(crate) failed_step: Option<(u64, u64)>,
}

/// See the module.
pub(crate) struct Header {
    pub(crate) id: AgentId,
    pub(crate) system: SystemRef,
    pub(crate) owner: Arc<dyn Owner>,
    pub(crate) key: u64,
    pub(crate) driver: Arc<dyn Dispatch>,
    /// After an abnormal exit the owner starts it again: a failed ask answers `Restarting`.
    pub(crate) restarts: bool,
    /// Joined by each incarnation before its start.
    pub(crate) tags: Vec<Tag>,
    /// Its own driver, unless it runs on the pool.
    pub(crate) solo: Option<Arc<Solo>>,
    schedule: AtomicU32,
    control: AtomicU32,
    /// The incarnation that may act, 0 for none; a fenced one finds another number here.
    live: AtomicU64,
    /// The number of the latest incarnation.
    incarnation: AtomicU64,
    /// Handler steps begun and ended: odd within a step. Written by the life alone.
    steps: AtomicU64,
    /// Progress that a handler declared within a step.
    beats: AtomicU32,
    protected: AtomicU32,
    /// Messages that the life may still take in this turn.
    budget: AtomicU32,
    /// The owner has this cell on its list of suspects.
    pub(crate) suspected: AtomicBool,
    /// Whether an incarnation may follow, or the owner gave it up.
    service: AtomicU8,
    /// Mail of this cell that became dead letters.
    pub(crate) dead: AtomicUsize,
    /// Messages that `DropNewest` turned away: accepted, never queued.
    pub(crate) turned_away: AtomicUsize,
    cold: Mutex<Option<Box<Cold>>>,
}

/// The right to run a cell for one turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    epoch: u32,
}

impl Header {
    pub(crate) fn new(
        id: AgentId,
        system: SystemRef,
        driver: Arc<dyn Dispatch>,
        owner: Arc<dyn Owner>,
        key: u64,
        restarts: bool,
    ) -> Self {
        Self {
            id,
            system,
            owner,
            key,
            driver,
            restarts,
            tags: Vec::new(),
            solo: None,
            schedule: AtomicU32::new(IDLE),
            control: AtomicU32::new(0),
            live: AtomicU64::new(0),
            incarnation: AtomicU64::new(0),
            steps: AtomicU64::new(0),
            beats: AtomicU32::new(0),
            protected: AtomicU32::new(0),
            budget: AtomicU32::new(0),
            suspected: AtomicBool::new(false),
            service: AtomicU8::new(IN_SERVICE),
            dead: AtomicUsize::new(0),
            turned_away: AtomicUsize::new(0),
            cold: Mutex::new(None),
        }
    }

    pub(crate) fn with(self, tags: Vec<Tag>, solo: Option<Arc<Solo>>) -> Self {
        Self { tags, solo, ..self }
    }

    // Scheduling.

    /// Notes that the cell wants a turn; true when the caller must dispatch it.
    pub(crate) fn notify(&self) -> bool {
        let mut word = self.schedule.load(Ordering::Acquire);
        loop {
            let next = match word & STATE {
                IDLE => QUEUED,
                RUNNING => RUNNING_AGAIN,
                _ => {
                    // Already noted. An exchange all the same: it orders what the caller wrote
                    // before this call ahead of the turn that takes the note.
                    word & STATE
                }
            };
            match self.schedule.compare_exchange_weak(
                word,
                word & !STATE | next,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return word & STATE == IDLE,
                Err(found) => word = found,
            }
        }
    }

    /// Takes the turn of a queued cell.
    pub(crate) fn begin_turn(&self, budget: u32) -> Option<Turn> {
        let mut word = self.schedule.load(Ordering::Acquire);
        loop {
            if word & STATE != QUEUED {
                return None;
            }
            match self.schedule.compare_exchange_weak(
                word,
                word & !STATE | RUNNING,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => {
                    self.budget.store(budget, Ordering::Relaxed);
                    return Some(Turn { epoch: word & !STATE });
                }
                Err(found) => word = found,
            }
        }
    }

    /// Ends a turn; true when the caller must dispatch the cell again.
    pub(crate) fn end_turn(&self, turn: Turn, again: bool) -> bool {
        let mut word = self.schedule.load(Ordering::Acquire);
        loop {
            if word & !STATE != turn.epoch {
                return false; // fenced meanwhile: the cell belongs to others
            }
            let again = again || word & STATE == RUNNING_AGAIN;
            let next = if again { QUEUED } else { IDLE };
            match self.schedule.compare_exchange_weak(
                word,
                turn.epoch | next,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return again,
                Err(found) => word = found,
            }
        }
    }

    /// Whether `turn` still owns the cell.
    pub(crate) fn holds(&self, turn: Turn) -> bool {
        self.schedule.load(Ordering::Acquire) & !STATE == turn.epoch
    }

    /// The turn under way, if there is one: what [`Header::fence`] takes away.
    pub(crate) fn running_turn(&self) -> Option<Turn> {
        let word = self.schedule.load(Ordering::Acquire);
        (word & STATE >= RUNNING).then_some(Turn { epoch: word & !STATE })
    }

    /// Takes the cell away from a turn that does not come back; true when this call did it, and
    /// then the caller holds the turn that is returned.
    pub(crate) fn fence(&self, turn: Turn) -> Option<Turn> {
        let mut word = self.schedule.load(Ordering::Acquire);
        loop {
            if word & !STATE != turn.epoch || word & STATE < RUNNING {
                return None;
            }
            let fenced = turn.epoch.wrapping_add(EPOCH);
            match self.schedule.compare_exchange_weak(
                word,
                fenced | RUNNING,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return Some(Turn { epoch: fenced }),
                Err(found) => word = found,
            }
        }
    }

    // The control word.

    pub(crate) fn control(&self) -> u32 {
        self.control.load(Ordering::Acquire)
    }

    pub(crate) fn raise(&self, bits: u32) {
        self.control.fetch_or(bits, Ordering::AcqRel);
    }

    pub(crate) fn lower(&self, bits: u32) -> u32 {
        self.control.fetch_and(!bits, Ordering::AcqRel)
    }

    // The life.

    /// Prepares the next incarnation.
    ///
    /// A stop or shutdown that a user asked for while no incarnation was alive is for the one that
    /// comes, unless the agent was gone for good meanwhile. A supervisor's request (which discards
    /// nothing) was for the one before.
    pub(crate) fn begin_incarnation(&self, incarnation: u64) {
        use control::{DISCARD, KILL, SHUTDOWN, STARTED, STOP};
        let was_retired = self.service.swap(IN_SERVICE, Ordering::AcqRel) != IN_SERVICE;
        self.lower(KILL | STARTED);
        if was_retired || self.control() & DISCARD == 0 {
            self.lower(SHUTDOWN | STOP | DISCARD);
        }
        self.incarnation.store(incarnation, Ordering::Release);
        self.live.store(incarnation, Ordering::Release);
    }

    pub(crate) fn incarnation(&self) -> u64 {
        self.incarnation.load(Ordering::Acquire)
    }

    pub(crate) fn is_live(&self, incarnation: u64) -> bool {
        self.live.load(Ordering::Acquire) == incarnation
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.live.load(Ordering::Acquire) != 0
    }

    pub(crate) fn end_incarnation(&self) {
        self.live.store(0, Ordering::Release);
    }

    /// Begins the retirement; true for the one caller that is to carry it out.
    pub(crate) fn retire(&self) -> bool {
        self.service
            .compare_exchange(IN_SERVICE, RETIRING, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// The retirement is complete: the id is free, nothing is queued.
    pub(crate) fn retired(&self) {
        self.service.store(RETIRED, Ordering::Release);
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.service.load(Ordering::Acquire) == RETIRED
    }

    /// Spends one message of the turn's budget; false when there is none left.
    pub(crate) fn spend(&self) -> bool {
        let left = self.budget.load(Ordering::Relaxed);
        self.budget.store(left.saturating_sub(1), Ordering::Relaxed);
        left != 0
    }

    /// Puts it on its owner's list of suspects, unless it is there.
    pub(crate) fn mark_suspected(&self) {
        if !self.suspected.swap(true, Ordering::AcqRel) {
            self.owner.suspect(self.key);
        }
    }

    pub(crate) fn step_begins(&self) -> u64 {
        let step = self.steps.load(Ordering::Relaxed) | 1;
        self.steps.store(step, Ordering::Release);
        step
    }

    pub(crate) fn step_ends(&self) {
        let step = self.steps.load(Ordering::Relaxed);
        if step & 1 == 1 {
            self.steps.store(step + 1, Ordering::Release);
        }
    }

    pub(crate) fn steps(&self) -> u64 {
        self.steps.load(Ordering::Acquire)
    }

    pub(crate) fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn protect(&self, on: bool) {
        if on {
            self.protected.fetch_add(1, Ordering::AcqRel);
        } else {
            self.protected.fetch_sub(1, Ordering::AcqRel);
        }
    }

    pub(crate) fn unprotect_all(&self) {
        self.protected.store(0, Ordering::Release);
    }

    pub(crate) fn is_protected(&self) -> bool {
        self.protected.load(Ordering::Acquire) != 0
    }

    /// Any change of it is progress.
    pub(crate) fn progress(&self) -> u64 {
        self.steps().wrapping_add(u64::from(self.beats.load(Ordering::Relaxed)) << 32)
    }

    /// Whether a handler is at work: within a step, or holding its thread.
    pub(crate) fn is_busy(&self) -> bool {
        self.steps() & 1 == 1 || self.running_turn().is_some()
    }

    // The cold part.

    fn cold_guard(&self) -> MutexGuard<'_, Option<Box<Cold>>> {
        self.cold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on the cold part, which is made if need be.
    pub(crate) fn with_cold<R>(&self, f: impl FnOnce(&mut Cold) -> R) -> R {
        f(self.cold_guard().get_or_insert_with(Box::default))
    }

    /// Works on the cold part if there is one.
    pub(crate) fn if_cold<R>(&self, f: impl FnOnce(&mut Cold) -> R) -> Option<R> {
        self.cold_guard().as_deref_mut().map(f)
    }

    /// Wakes those who wait for the end of a step.
    pub(crate) fn wake_step_watchers(&self) {
        self.lower(control::WATCH);
        for waker in
            self.if_cold(|cold| std::mem::take(&mut cold.step_watchers)).unwrap_or_default()
        {
            waker.wake();
        }
    }

    pub(crate) fn watch_step(&self, waker: &Waker) {
        self.with_cold(|cold| cold.step_watchers.push(waker.clone()));
        self.raise(control::WATCH);
    }

    pub(crate) fn watch_end(&self, waker: &Waker) {
        self.with_cold(|cold| cold.end_watchers.push(waker.clone()));
    }

    pub(crate) fn wake_end_watchers(&self) {
        for waker in self.if_cold(|cold| std::mem::take(&mut cold.end_watchers)).unwrap_or_default()
        {
            waker.wake();
        }
    }

    pub(crate) fn failed_step(&self) -> Option<(u64, u64)> {
        self.if_cold(|cold| cold.failed_step).flatten()
    }

    pub(crate) fn last_exit(&self) -> Option<Exit> {
        self.if_cold(|cold| cold.last_exit.clone()).flatten()
    }
}

impl std::fmt::Debug for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Header")
            .field("id", &self.id)
            .field("incarnation", &self.incarnation())
            .field("alive", &self.is_alive())
            .field("steps", &self.steps())
            .finish_non_exhaustive()
    }
}
