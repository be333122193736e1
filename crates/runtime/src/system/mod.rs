//! A system: everything that agents share, and nothing that outlives it.

mod blocking;
mod by_name;
mod durable;
mod options;

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use ggml_agent_core::AgentId;
use ggml_agent_core::envelope::{Envelope, MessageType};
use ggml_agent_core::id::{MessageId, SharedMessageIds};
use ggml_agent_core::registry::{JoinError, RegisterError, Tag};
use ggml_agent_core::seam::Clock;
use tokio::runtime::Handle;

pub use self::options::Options;
use crate::address::{Addr, AnyAddr, request_kill, request_shutdown};
use crate::agent::Agent;
use crate::cell::barrier;
use crate::cell::dispatch::Dispatch;
use crate::cell::handle::{CellRef, TypedRef};
use crate::cell::header::control;
use crate::cell::mailbox::Mail;
use crate::dead_letter::{DeadLetter, DeadLetters, Reason};
use crate::durable::hub::Hub;
use crate::envelope_agent;
use crate::error::{SendError, StartError};
use crate::jobs::Jobs;
use crate::observe::{CustomEvent, EventKind, Events, Observer};
use crate::pool::solo::Solo;
use crate::pool::warm::Warm;
use crate::pool::{Pool, pace};
use crate::registry::{Names, RegistryChanges};
use crate::root;
use crate::spec::ChildSpec;
use crate::supervisor::{Supervisor, SupervisorRef};
use crate::time::{self, TokioClock};

/// A system of agents. Dropping it kills what still runs; [`System::shutdown`] ends it in order.
#[derive(Debug)]
pub struct System {
    system: SystemRef,
}

/// A handle of a [`System`], cheap to clone; what agents see of it.
#[derive(Clone)]
pub struct SystemRef {
    core: Arc<Core>,
}

/// What the agents of a system share.
struct Core {
    runtime: Handle,
    clock: Arc<dyn Clock>,
    pool: Arc<Pool>,
    warm: Warm,
    /// Who gives turns in place of the pool.
    driver: Option<Arc<dyn Dispatch>>,
    ids: SharedMessageIds,
    seeds: AtomicU64,
    names: Names,
    events: Observer,
    dead: DeadLetters,
    solos: Mutex<Vec<Weak<Solo>>>,
    jobs: Jobs,
    fence_after: Duration,
    durable: Option<Arc<Hub>>,
    /// The process has the barrier that makes pops cheap.
    has_barrier: bool,
}

impl System {
    /// A system on the current tokio runtime.
    ///
    /// # Panics
    /// Outside of a tokio runtime, as tokio itself does.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Options::default())
    }

    /// A system with options of your choice.
    ///
    /// # Panics
    /// Outside of a tokio runtime, as tokio itself does.
    #[must_use]
    pub fn with(options: Options) -> Self {
        let runtime = Handle::current();
        let clock = options.clock.unwrap_or_else(|| Arc::new(TokioClock::new()));
        let workers = runtime.metrics().num_workers();
        let (pool, jobs) = Pool::new(options.n_runners.unwrap_or(workers), &runtime);
        let driver = options.dispatch;
        // Two systems, here or elsewhere, must not get one seed: their message ids would meet. std's
        // hasher has the randomness of the operating system, and another key each time.
        let random = RandomState::new().hash_one(clock.unix_ms());
        let seed = options.seed.unwrap_or(random);
        // A durable mailbox would take a message for the double of one with its id, for ever.
        let seed_of_ids = if options.store.is_some() { random } else { seed };
        let core = Arc::new(Core {
            runtime: runtime.clone(),
            clock,
            pool,
            warm: Warm::default(),
            driver,
            ids: SharedMessageIds::new(seed_of_ids),
            seeds: AtomicU64::new(seed),
            names: Names::new(),
            events: Observer::new(),
            dead: DeadLetters::default(),
            solos: Mutex::default(),
            jobs: Jobs::default(),
            fence_after: options.fence_after,
            durable: options.store.map(|store| Arc::new(Hub::new(store))),
            has_barrier: barrier::register(),
        });
        for job in jobs {
            core.jobs.spawn(&runtime, job);
        }
        let watched = Arc::downgrade(&core);
        core.jobs.spawn(&runtime, blocking::watch_threads(watched, options.watch_interval));
        Self { system: SystemRef { core } }
    }

    /// Asks every agent that has no supervisor to shut down, waits until all are gone, and kills
    /// those that are not after `deadline`.
    pub async fn shutdown(self, deadline: Duration) {
        let roots = self.roots();
        for root in &roots {
            request_shutdown(root);
        }
        let all_gone = async {
            for root in &roots {
                AnyAddr { cell: root.clone() }.ended().await;
            }
        };
        if time::within(deadline, all_gone).await.is_none() {
            self.kill_all();
            for root in roots {
                AnyAddr { cell: root }.ended().await;
            }
        }
    }
}

impl Default for System {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for System {
    type Target = SystemRef;

    fn deref(&self) -> &SystemRef {
        &self.system
    }
}

impl Drop for System {
    fn drop(&mut self) {
        self.kill_all();
        self.core.warm.forget();
        self.core.pool.close();
        for solo in self.core.solos.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            if let Some(solo) = solo.upgrade() {
                solo.close();
            }
        }
    }
}

impl SystemRef {
    /// Starts an agent without a supervisor, and returns when its `on_start` has.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start<A: Agent>(&self, spec: ChildSpec<A>) -> Result<Addr<A>, StartError> {
        root::start(self, spec).await
    }

    /// Starts an agent without a supervisor and does not wait for its `on_start`: messages sent now
    /// are handled after it.
    ///
    /// # Errors
    /// [`StartError::IdTaken`] and [`StartError::Id`].
    pub fn spawn<A: Agent>(&self, spec: ChildSpec<A>) -> Result<Addr<A>, StartError> {
        root::spawn(self, spec)
    }

    /// Starts a tree, and returns when all its static children have started.
    ///
    /// # Errors
    /// [`StartError::Failed`] names the child that did not start (S2).
    pub async fn supervise(&self, tree: Supervisor) -> Result<SupervisorRef, StartError> {
        self.start(tree.into_spec()).await.map(SupervisorRef::new)
    }

    /// The supervisor of this id, wherever in a tree it is.
    #[must_use]
    pub fn supervisor(&self, id: &str) -> Option<SupervisorRef> {
        self.lookup(id).map(SupervisorRef::new)
    }

    /// The typed address of the agent of this id, if there is one and it is an `A`.
    #[must_use]
    pub fn lookup<A: Agent>(&self, id: &str) -> Option<Addr<A>> {
        self.lookup_any(id)?.typed()
    }

    /// The address of the agent of this id (G1).
    #[must_use]
    pub fn lookup_any(&self, id: &str) -> Option<AnyAddr> {
        // What is no id names nobody.
        let id: AgentId = id.parse().ok()?;
        self.core.names.lookup(&id).map(|cell| AnyAddr { cell })
    }

    /// All registered agents, ordered by id (G1).
    #[must_use]
    pub fn agents(&self) -> Vec<AnyAddr> {
        self.core.names.list().into_iter().map(|cell| AnyAddr { cell }).collect()
    }

    /// Changes of the registry from now on (G1); a slow watcher is told how many it missed.
    #[must_use]
    pub fn watch_registry(&self) -> RegistryChanges {
        let (changes, relay) = self.core.names.watch();
        self.run_relay(relay);
        changes
    }

    /// Sends a typed message by id.
    ///
    /// # Errors
    /// [`SendError`] gives the message back.
    pub fn tell<M: Send + 'static>(&self, to: &AgentId, message: M) -> Result<(), SendError<M>> {
        by_name::tell(&self.core.names, to, message)
    }

    /// An envelope from outside with a fresh id and the present time.
    #[must_use]
    pub fn envelope(&self, to: AgentId, kind: MessageType, payload: impl Into<Bytes>) -> Envelope {
        let (id, now) = self.stamp();
        Envelope::new(id, now, to, kind, payload)
    }

    fn stamp(&self) -> (MessageId, u64) {
        let now = self.core.clock.unix_ms();
        (self.core.ids.next(now), now)
    }

    /// Hands an envelope to the agent that it is for (G3).
    ///
    /// # Errors
    /// [`SendError`] gives the envelope back; an unknown id is also recorded as a dead letter.
    #[inline]
    pub fn route(&self, envelope: Envelope) -> Result<(), SendError<Envelope>> {
        match self.core.names.lookup(&envelope.to) {
            // Not under the lock: the codec is the agent's own code.
            Some(cell) => envelope_agent::deliver(&cell, envelope),
            None => self.route_to_nobody(envelope),
        }
    }

    #[cold]
    fn route_to_nobody(&self, envelope: Envelope) -> Result<(), SendError<Envelope>> {
        self.dead_letter(DeadLetter::of(&envelope.to, &envelope, Reason::Unknown));
        Err(SendError::Unknown(envelope))
    }

    /// Sends a copy of `envelope` to every agent registered now except its sender and `except`; all
    /// copies share one payload. Returns how many accepted it (G4).
    pub fn broadcast(&self, envelope: &Envelope, except: Option<&AgentId>) -> usize {
        self.send_to_each(self.core.names.broadcast(envelope.from.as_ref(), except), envelope)
    }

    /// Sends a copy of `envelope` to each member of a group or capability. Returns how many accepted
    /// it (G5).
    pub fn send_to_all(&self, tag: &Tag, envelope: &Envelope) -> usize {
        self.send_to_each(self.core.names.members(tag), envelope)
    }

    fn send_to_each(&self, cells: Vec<CellRef>, envelope: &Envelope) -> usize {
        let mut n_accepted = 0;
        for cell in cells {
            let mut copy = envelope.clone();
            copy.id = self.stamp().0;
            copy.to = cell.header().id.clone();
            match envelope_agent::deliver(&cell, copy) {
                Ok(()) => n_accepted += 1,
                // One that is full, dead or does not understand keeps the others from nothing.
                Err(error) => {
                    let reason = Reason::of_refusal(&error);
                    let envelope = error.into_inner();
                    self.dead_letter(DeadLetter::of(&envelope.to, &envelope, reason));
                }
            }
        }
        n_accepted
    }

    /// Sends `envelope` to one living member of a group or capability, in turn (G5).
    ///
    /// # Errors
    /// [`SendError::Unknown`] when there is none.
    pub fn send_to_one(
        &self,
        tag: &Tag,
        mut envelope: Envelope,
    ) -> Result<(), SendError<Envelope>> {
        let Some(cell) = self.core.names.pick(tag) else {
            return Err(SendError::Unknown(envelope));
        };
        envelope.to = cell.header().id.clone();
        envelope_agent::deliver(&cell, envelope)
    }

    /// The members of a group or capability, ordered by id (G5).
    #[must_use]
    pub fn members(&self, tag: &Tag) -> Vec<AnyAddr> {
        self.core.names.members(tag).into_iter().map(|cell| AnyAddr { cell }).collect()
    }

    /// Answers `question` in the name of `from`.
    ///
    /// # Errors
    /// [`SendError`]; [`SendError::Unknown`] when the question came from outside.
    pub fn reply_as(
        &self,
        from: &AgentId,
        question: &Envelope,
        kind: MessageType,
        payload: impl Into<Bytes>,
    ) -> Result<(), SendError<Envelope>> {
        let (id, now) = self.stamp();
        match question.reply(kind, payload.into(), id, now) {
            Some(reply) => self.route(reply.sent_by(from.clone())),
            None => Err(SendError::Unknown(question.clone())),
        }
    }

    /// Watches all events from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        let (events, relay) = self.core.events.watch();
        self.run_relay(relay);
        events
    }

    /// Publishes an event of your own.
    pub fn publish(&self, event: impl CustomEvent) {
        self.emit(|| EventKind::Custom(Arc::new(event)));
    }

    /// Dead letters so far, by reason.
    #[must_use]
    pub fn dead_letter_counts(&self) -> BTreeMap<Reason, u64> {
        self.core.dead.counts()
    }

    /// The latest dead letters, oldest first.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<Arc<DeadLetter>> {
        self.core.dead.kept()
    }

    /// The system's clock.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        &*self.core.clock
    }

    /// The tokio runtime that it runs on.
    #[must_use]
    pub fn runtime(&self) -> &Handle {
        &self.core.runtime
    }

    // The runtime's side.

    #[inline]
    pub(crate) fn driver(&self) -> &dyn Dispatch {
        match &self.core.driver {
            None => &*self.core.pool,
            Some(driver) => &**driver,
        }
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.core.pool
    }

    /// The cells that keep memory while they rest.
    pub(crate) fn warm(&self) -> &Warm {
        &self.core.warm
    }

    pub(crate) fn has_barrier(&self) -> bool {
        self.core.has_barrier
    }

    /// Hands a question to a cell at rest that handles it on this stack. It is gone from `mail` if it
    /// was accepted.
    #[inline]
    pub(crate) fn offer_here<M>(&self, cell: &TypedRef<M>, mail: &mut Option<Mail<M>>) {
        if self.core.driver.is_none() && cell.header().solo().is_none() {
            self.core.pool.offer_here(cell, mail);
        }
    }

    /// Lets a cell that has got a question run on this stack, or asks for a turn.
    /// True when another thread has its turn and is likely to answer at once.
    pub(crate) fn answer_here(&self, cell: &CellRef, wake: bool) -> bool {
        if self.core.driver.is_none() && cell.header().solo().is_none() {
            !self.core.pool.answer_here(cell, wake) && pace::is_instant(cell.header())
        } else {
            if wake {
                cell.wake();
            }
            false
        }
    }

    /// Lets the sender that found a mailbox full handle some of its mail; false if it may not.
    pub(crate) fn make_room(&self, cell: &CellRef) -> bool {
        self.core.driver.is_none()
            && cell.header().solo().is_none()
            && self.core.pool.make_room(cell)
    }

    fn run_relay(&self, relay: Option<impl Future<Output = ()> + Send + 'static>) {
        if let Some(relay) = relay {
            self.core.jobs.spawn(&self.core.runtime, relay);
        }
    }

    pub(crate) fn next_seed(&self) -> u64 {
        // An odd step visits every seed once (splitmix64's).
        self.core.seeds.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed)
    }

    /// Publishes what `kind` makes, which is not called when nobody watches.
    pub(crate) fn emit(&self, kind: impl FnOnce() -> EventKind) {
        self.core.events.emit(&*self.core.clock, kind);
    }

    pub(crate) fn dead_letter(&self, letter: DeadLetter) {
        let letter = Arc::new(letter);
        self.core.dead.record(letter.reason, 1, [letter.clone()]);
        self.emit(|| EventKind::DeadLetter(letter));
    }

    /// Counts the event of a dead letter that is recorded with others; false when somebody watches.
    pub(crate) fn pass_dead_letter(&self) -> bool {
        self.core.events.pass()
    }

    /// Records dead letters whose events have been passed: `n` of them, and those worth keeping.
    pub(crate) fn record_dead_letters(&self, reason: Reason, n: u64, last: Vec<Arc<DeadLetter>>) {
        self.core.dead.record(reason, n, last);
    }

    pub(crate) fn note_solo(&self, solo: &Arc<Solo>) {
        let mut solos = self.core.solos.lock().unwrap_or_else(PoisonError::into_inner);
        if solos.len() == solos.capacity() {
            solos.retain(|solo| solo.strong_count() != 0);
        }
        solos.push(Arc::downgrade(solo));
    }

    /// Starts the next incarnation of `cell`.
    pub(crate) fn begin(&self, cell: &CellRef) -> Result<(), RegisterError> {
        self.prepare(cell)?;
        cell.wake();
        Ok(())
    }

    /// As [`SystemRef::begin`]; its first turn may run on this stack.
    pub(crate) fn begin_here(&self, cell: &CellRef) -> Result<(), RegisterError> {
        self.prepare(cell)?;
        if self.core.driver.is_some()
            || cell.header().solo().is_some()
            || !self.core.pool.start_here(cell)
        {
            cell.wake();
        }
        Ok(())
    }

    fn prepare(&self, cell: &CellRef) -> Result<(), RegisterError> {
        let header = cell.header();
        if header.incarnation() == 0 {
            self.core.names.register(cell)?;
        } else {
            self.core.names.begin(cell)?;
        }
        for tag in header.tags() {
            // Within the limits, which the spec's own tags cannot exceed alone.
            drop(self.core.names.join(cell, tag));
        }
        if let Some(solo) = header.solo().filter(|solo| solo.is_closed()) {
            solo.replace();
        }
        cell.open();
        let incarnation = header.incarnation() + 1;
        header.begin_incarnation(incarnation);
        header.raise(control::START);
        Ok(())
    }

    /// An incarnation of `cell` is over; another may follow.
    pub(crate) fn pause(&self, cell: &CellRef) {
        self.core.names.pause(cell);
    }

    /// No incarnation of `cell` will follow: what is queued becomes dead letters, its id is free.
    pub(crate) fn retire(&self, cell: &CellRef, reason: Reason) {
        let header = cell.header();
        if !header.retire() {
            return;
        }
        cell.close();
        cell.discard(reason);
        // HEARTBEATs that no handler step came to answer.
        for envelope in
            header.if_cold(|cold| std::mem::take(&mut cold.system_mail)).into_iter().flatten()
        {
            self.dead_letter(DeadLetter::of(&header.id, &envelope, reason));
        }
        cell.trim();
        if let Some(solo) = header.solo() {
            solo.close();
        }
        self.core.names.end(cell);
        self.emit(|| EventKind::AgentEnded { agent: header.id.clone() });
        header.retired();
        header.wake_end_watchers();
    }

    /// Agents that the system itself owns.
    fn roots(&self) -> Vec<CellRef> {
        self.core.names.select(|cell| cell.header().key == root::ROOT_KEY)
    }

    fn kill_all(&self) {
        for cell in self.core.names.list() {
            request_kill(&cell);
        }
    }

    /// Joins a group in the name of `agent` (G5).
    ///
    /// # Errors
    /// [`JoinError`].
    pub fn join(&self, agent: &AgentId, tag: &Tag) -> Result<(), JoinError> {
        match self.core.names.lookup(agent) {
            Some(cell) => self.core.names.join(&cell, tag),
            None => Err(JoinError::UnknownAgent { id: agent.clone() }),
        }
    }

    /// Leaves a group in the name of `agent`.
    pub fn leave(&self, agent: &AgentId, tag: &Tag) {
        if let Some(cell) = self.core.names.lookup(agent) {
            self.core.names.leave(&cell, tag);
        }
    }
}

impl fmt::Debug for SystemRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("System").field("pool", &self.core.pool).finish_non_exhaustive()
    }
}
