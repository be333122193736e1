//! A store that outlives systems and does as it is told, and processes that use it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ggml_agent::core::store::{
    AgentSummary, Answer, Found, Level, MemoryStore, Read, Store, StoreError, StoreRef, Write,
    Written,
};
use ggml_agent::{Addr, ChildSpec, Events, Options, Supervisor, SupervisorRef, System, TokioClock};
use ggml_agent_core::lease::OnBusy;
use ggml_agent_doc::{Document, DocumentAgent, DocumentRef, Lock, SectionId};
use tokio::sync::watch;

use crate::support::{LEASE, TEXT, Writer};

/// The store, and the hand on it.
#[derive(Clone)]
pub(crate) struct Rig {
    pub(crate) store: StoreRef,
    clock: Arc<TokioClock>,
    state: Arc<watch::Sender<State>>,
    written: Arc<Mutex<u64>>,
}

/// What the store does with commits.
#[derive(Clone, Copy)]
struct State {
    /// They wait, and are lost if nobody waits for them.
    is_held: bool,
    /// There is no room for them.
    is_full: bool,
    /// So many were begun.
    commits: u64,
}

struct Doctored {
    inner: StoreRef,
    state: Arc<watch::Sender<State>>,
    written: Arc<Mutex<u64>>,
}

impl Store for Doctored {
    fn level(&self) -> Level {
        self.inner.level()
    }

    fn write(&self, write: Write) -> Answer<Written> {
        let Write::Commit(commit) = &write else { return self.inner.write(write) };
        let journal: usize = commit.journal.iter().map(|entry| entry.len()).sum();
        let snapshot = commit.snapshot.as_ref().map_or(0, |snapshot| snapshot.bytes.len());
        *self.written.lock().unwrap() += (journal + snapshot) as u64;
        self.state.send_modify(|state| state.commits += 1);
        if self.state.borrow().is_full {
            return Box::pin(async { Err(StoreError::NoSpace) });
        }
        let (inner, mut state) = (self.inner.clone(), self.state.subscribe());
        Box::pin(async move {
            state.wait_for(|state| !state.is_held).await.unwrap();
            inner.write(write).await
        })
    }

    fn read(&self, read: Read) -> Answer<Found> {
        self.inner.read(read)
    }
}

impl Rig {
    pub(crate) fn new() -> Self {
        let (state, _) = watch::channel(State { is_held: false, is_full: false, commits: 0 });
        let (state, written) = (Arc::new(state), Arc::<Mutex<u64>>::default());
        let inner = StoreRef::new(MemoryStore::new());
        let doctored = Doctored { inner, state: state.clone(), written: written.clone() };
        let clock = Arc::new(TokioClock::new());
        Self { store: StoreRef::new(doctored), clock, state, written }
    }

    /// From now on commits wait.
    pub(crate) fn hold(&self) {
        self.state.send_modify(|state| (state.is_held, state.commits) = (true, 0));
    }

    /// Lets them go.
    pub(crate) fn release(&self) {
        self.state.send_modify(|state| state.is_held = false);
    }

    pub(crate) fn set_full(&self, is_full: bool) {
        self.state.send_modify(|state| (state.is_full, state.commits) = (is_full, 0));
    }

    pub(crate) fn commits(&self) -> u64 {
        self.state.borrow().commits
    }

    /// Returns when so many commits were begun.
    pub(crate) async fn has_commits(&self, n: u64) {
        self.state.subscribe().wait_for(|state| state.commits >= n).await.unwrap();
    }

    /// Bytes of all commits.
    pub(crate) fn written(&self) -> u64 {
        *self.written.lock().unwrap()
    }

    pub(crate) async fn stored(&self, id: &str) -> AgentSummary {
        let agents = self.store.agents(None, 10).await.unwrap();
        agents.into_iter().find(|agent| agent.agent.as_str() == id).unwrap()
    }
}

/// A system with one document on a store that outlives it.
pub(crate) struct Process {
    pub(crate) system: System,
    pub(crate) tree: SupervisorRef,
    pub(crate) document: DocumentRef,
    pub(crate) sections: Vec<SectionId>,
}

impl Process {
    pub(crate) async fn start(rig: &Rig) -> Self {
        Self::start_watched(rig).await.0
    }

    /// As [`start`](Self::start), with every event from the beginning.
    pub(crate) async fn start_watched(rig: &Rig) -> (Self, Events) {
        let (store, clock) = (Some(rig.store.clone()), Some(rig.clock.clone() as _));
        let system = System::with(Options { store, clock, ..Options::default() });
        let events = system.events();
        let text = Document::parse(TEXT).unwrap();
        let sections = text.sections().iter().map(|section| section.id()).collect();
        let tree = Supervisor::new("tree")
            .intensity(1_000, Duration::from_secs(1))
            .child(DocumentAgent::durable("doc", text));
        let tree = system.supervise(tree).await.unwrap();
        let document = DocumentRef::new(system.lookup("doc").unwrap());
        (Self { system, tree, document, sections }, events)
    }

    pub(crate) fn spec(&self, name: &str) -> ChildSpec<Writer> {
        Writer::spec(name, &self.document)
    }

    pub(crate) async fn writer(&self, name: &str) -> Addr<Writer> {
        self.system.start(self.spec(name)).await.unwrap()
    }

    pub(crate) fn deny(&self, section: usize) -> Lock {
        Lock::one(self.sections[section], LEASE, OnBusy::Deny)
    }

    pub(crate) async fn text(&self) -> String {
        self.document.snapshot().await.unwrap().to_markdown()
    }

    /// Kills the document's agent, and returns when its next incarnation answers.
    pub(crate) async fn restart_document(&self) {
        let next = self.document.addr().incarnation() + 1;
        self.document.addr().kill();
        self.restarted(next).await;
    }

    pub(crate) async fn restarted(&self, incarnation: u64) {
        for _ in 0..10_000 {
            if self.document.addr().incarnation() >= incarnation
                && self.document.snapshot().await.is_ok()
            {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("the document was not restarted");
    }

    /// Ends as a process does that is killed: nobody is told.
    pub(crate) async fn kill(self) {
        let ended = self.system.lookup_any("tree").unwrap();
        drop(self.system);
        ended.ended().await;
    }

    /// Ends in order.
    pub(crate) async fn stop(self) {
        self.tree.stop().await;
        self.system.shutdown(Duration::from_secs(5)).await;
    }
}
