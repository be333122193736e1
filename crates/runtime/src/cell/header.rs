//! The part of a cell that does not depend on its agent's type: who it is, whether it runs, and the
//! control word that carries what must not wait behind mail.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use ggml_agent_core::envelope::Envelope;
use ggml_agent_core::registry::Tag;
use ggml_agent_core::{AgentId, ExitReason};

use super::dispatch::Dispatch;
use super::ending::Ending;
use super::handle::Anchor;
use super::life::Ended;
use super::schedule::Schedule;
use crate::pool::lease::Lease;
use crate::pool::solo::Solo;
use crate::supervisor::link::Link;
use crate::sync::AtomicPtr;
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
    /// Somebody waits for the start of an agent without a supervisor.
    pub(crate) const AWAITED: u32 = 1 << 10;
    /// The incarnation is over, and its mail is being buried.
    pub(crate) const ENDING: u32 = 1 << 11;
    /// What a life has to heed before its next message.
    pub(crate) const REQUESTS: u32 = SHUTDOWN | MAIL | WATCH;
}

const IN_SERVICE: u8 = 0;
const RETIRING: u8 = 1;
const RETIRED: u8 = 2;

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

/// A life whose place is not known to the cell's type.
pub(crate) type SpareLife = Pin<Box<dyn Future<Output = Ended> + Send>>;

/// What few cells need, or only now and then, behind one pointer.
#[derive(Default)]
pub(crate) struct Cold {
    pub(crate) system_mail: VecDeque<Envelope>,
    step_watchers: Vec<Waker>,
    /// Told once, when the current incarnation ends.
    pub(crate) exit_hooks: Vec<ExitHook>,
    /// Woken when the agent is gone for good.
    end_watchers: Vec<Waker>,
    /// Of whoever waits for the start of an agent without a supervisor.
    pub(crate) start_watcher: Option<Waker>,
    pub(crate) last_exit: Option<Exit>,
    /// The incarnation and handler step that failed last.
    pub(crate) failed_step: Option<(u64, u64)>,
    /// Where a life is when a fenced one still holds the cell's own place.
    pub(crate) spare: Option<SpareLife>,
    /// An end that takes several turns.
    pub(super) ending: Option<Box<Ending>>,
    /// Messages that `DropNewest` turned away: accepted, never queued.
    pub(crate) turned_away: u64,
    /// Mail of this cell that became dead letters.
    pub(crate) dead: u64,
    /// The upper half of [`Header::offers`].
    offers_upper: u32,
}

type CellLink = AtomicPtr<Header>;

/// What a spec asked for beyond the defaults.
pub(crate) struct Extras {
    /// Joined by each incarnation before its start.
    pub(crate) tags: Vec<Tag>,
    /// Its own driver, unless it runs on the pool.
    pub(crate) solo: Option<Arc<Solo>>,
}

impl Extras {
    /// None if there is nothing beyond the defaults.
    pub(crate) fn new(tags: Vec<Tag>, solo: Option<Arc<Solo>>) -> Option<Box<Self>> {
        (!tags.is_empty() || solo.is_some()).then(|| Box::new(Self { tags, solo }))
    }
}

/// See the module.
// What senders read comes first, then what the turn writes.
#[repr(C)]
pub(crate) struct Header {
    pub(crate) anchor: Anchor,
    /// The next cell in the list of those that were woken from outside.
    pub(super) link: CellLink,
    pub(crate) system: SystemRef,
    pub(crate) lease: Lease,
    /// Running average of what a message costs, in nanoseconds; 0 before it was measured.
    pub(crate) cost_ns: AtomicU32,
    extras: Option<Box<Extras>>,
    pub(crate) id: AgentId,
    /// Its supervisor's side; none when the system itself owns it.
    pub(crate) owner: Option<Arc<Link>>,
    pub(crate) key: u64,
    cold: Mutex<Option<Box<Cold>>>,
    pub(crate) schedule: Schedule,
    control: AtomicU32,
    /// The number of the latest incarnation times two, plus one while it may act: a fenced one finds
    /// another word here.
    lives: AtomicU64,
    /// Handler steps begun and ended: odd within a step. Written by the life alone.
    steps: AtomicU64,
    /// Progress that a handler declared within a step.
    beats: AtomicU16,
    protected: AtomicU16,
    /// Messages that the life may still take in this turn. Written by the turn alone.
    budget: AtomicU32,
    /// After an abnormal exit the owner starts it again: a failed ask answers `Restarting`.
    pub(crate) restarts: bool,
    /// The owner has this cell on its list of suspects.
    pub(crate) suspected: AtomicBool,
    /// Whether an incarnation may follow, or the owner gave it up.
    service: AtomicU8,
    /// It is among the cells of the pool whose memory is looked after.
    pub(crate) warm: AtomicBool,
    /// Messages handed to it without its queue, the lower half of the number. Written by the life alone.
    offers: AtomicU32,
}

impl Header {
    pub(crate) fn new(
        id: AgentId,
        system: SystemRef,
        owner: Option<Arc<Link>>,
        key: u64,
        restarts: bool,
        extras: Option<Box<Extras>>,
    ) -> Self {
        Self {
            anchor: Anchor::loose(),
            link: CellLink::new(std::ptr::null_mut()),
            system,
            lease: Lease::new(),
            cost_ns: AtomicU32::new(0),
            extras,
            id,
            owner,
            key,
            cold: Mutex::new(None),
            schedule: Schedule::new(),
            control: AtomicU32::new(0),
            lives: AtomicU64::new(0),
            steps: AtomicU64::new(0),
            beats: AtomicU16::new(0),
            protected: AtomicU16::new(0),
            budget: AtomicU32::new(0),
            restarts,
            suspected: AtomicBool::new(false),
            service: AtomicU8::new(IN_SERVICE),
            warm: AtomicBool::new(false),
            offers: AtomicU32::new(0),
        }
    }

    /// The groups that each incarnation is in from its start.
    pub(crate) fn tags(&self) -> &[Tag] {
        self.extras.as_ref().map_or(&[], |extras| &extras.tags)
    }

    /// Its own driver, unless it runs on the pool.
    pub(crate) fn solo(&self) -> Option<&Arc<Solo>> {
        self.extras.as_ref().and_then(|extras| extras.solo.as_ref())
    }

    /// Who gives it its turns.
    pub(crate) fn driver(&self) -> &dyn Dispatch {
        match self.solo() {
            Some(solo) => &**solo,
            None => self.system.driver(),
        }
    }

    /// What is left of the budget of the turn.
    pub(crate) fn budget(&self) -> u32 {
        self.budget.load(Ordering::Relaxed)
    }

    /// Sets how many messages the turn that begins may handle.
    pub(crate) fn set_budget(&self, budget: u32) {
        self.budget.store(budget, Ordering::Relaxed);
    }

    /// Counts dead letters.
    pub(crate) fn note_dead(&self, n: usize) {
        if n > 0 {
            self.with_cold(|cold| cold.dead += n as u64);
        }
    }

    /// Counts a message that was handed to it without its queue.
    pub(crate) fn note_offer(&self) {
        let offers = self.offers.load(Ordering::Relaxed).wrapping_add(1);
        self.offers.store(offers, Ordering::Relaxed);
        if offers == 0 {
            self.with_cold(|cold| cold.offers_upper += 1);
        }
    }

    pub(crate) fn offers(&self) -> u64 {
        let upper = self.if_cold(|cold| cold.offers_upper).unwrap_or(0);
        u64::from(upper) << 32 | u64::from(self.offers.load(Ordering::Relaxed))
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
        // Looked at before it is written: a fresh cell has nothing to take back.
        let was_retired = self.service.load(Ordering::Acquire) != IN_SERVICE
            && self.service.swap(IN_SERVICE, Ordering::AcqRel) != IN_SERVICE;
        let control = self.control();
        if control & (KILL | STARTED) != 0 {
            self.lower(KILL | STARTED);
        }
        if control & (SHUTDOWN | STOP | DISCARD) != 0 && (was_retired || control & DISCARD == 0) {
            self.lower(SHUTDOWN | STOP | DISCARD);
        }
        self.lives.store(incarnation << 1 | 1, Ordering::Release);
    }

    pub(crate) fn incarnation(&self) -> u64 {
        self.lives.load(Ordering::Acquire) >> 1
    }

    #[inline]
    pub(crate) fn is_live(&self, incarnation: u64) -> bool {
        self.lives.load(Ordering::Acquire) == incarnation << 1 | 1
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.lives.load(Ordering::Acquire) & 1 != 0
    }

    pub(crate) fn end_incarnation(&self) {
        self.lives.fetch_and(!1, Ordering::AcqRel);
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
        if let Some(owner) = &self.owner
            && !self.suspected.swap(true, Ordering::AcqRel)
        {
            owner.suspect(self.key);
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
        self.steps() & 1 == 1 || self.schedule.running().is_some()
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
