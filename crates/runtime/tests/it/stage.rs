//! A stage for supervision: workers that do as the script says, and a log of what they did.

use std::collections::{BTreeMap, VecDeque};
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ggml_agent::core::supervise::Decision;
use ggml_agent::{
    Addr, Agent, AnyAddr, ChildSpec, Context, EventKind, Events, ExitReason, Reply, Report, System,
    Tag,
};
use tokio::sync::Semaphore;

/// What a worker does when it starts.
#[derive(Clone)]
pub(crate) enum OnStart {
    Run,
    Fail,
    Panic,
    Ignore,
    Hang,
    /// Waits for a permit, then runs.
    Gate(Arc<Semaphore>),
}

/// What a worker does when it is told to stop.
#[derive(Clone)]
pub(crate) enum OnStop {
    Hang,
    Panic,
    /// Waits for a permit, then ends.
    Gate(Arc<Semaphore>),
}

/// What a worker is told to do.
pub(crate) enum Act {
    Fail,
    Panic,
    End,
    EndWith,
    Hang,
    /// Awaits this long under `protect`.
    Protect(Duration),
    /// Awaits this long, so many times, with progress in between.
    Progress(Duration, u32),
    Join(Tag),
}

pub(crate) enum Msg {
    /// Answers with the number of the incarnation.
    Ping(Reply<u64>),
    /// Panics with the question in hand, so many times; then answers as `Ping`.
    Crash(u64, Reply<u64>),
    /// Drops the question.
    Ignore(Reply<u64>),
    Do(Act),
}

/// The shared log and the script of all workers of a test.
#[derive(Clone, Default)]
pub(crate) struct Stage {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    alive: usize,
    log: Vec<String>,
    starts: BTreeMap<String, VecDeque<OnStart>>,
    stops: BTreeMap<String, OnStop>,
}

impl Stage {
    pub(crate) fn worker(&self, id: &str) -> ChildSpec<Worker> {
        let (stage, name) = (self.clone(), id.to_owned());
        ChildSpec::new(id, move || {
            stage.inner.lock().unwrap().alive += 1;
            Worker { stage: stage.clone(), name: name.clone() }
        })
    }

    /// The next starts of `id`; after them it runs.
    pub(crate) fn starts(&self, id: &str, starts: impl IntoIterator<Item = OnStart>) {
        self.inner.lock().unwrap().starts.insert(id.to_owned(), starts.into_iter().collect());
    }

    /// How `id` stops, from now on.
    pub(crate) fn stops(&self, id: &str, stop: OnStop) {
        self.inner.lock().unwrap().stops.insert(id.to_owned(), stop);
    }

    /// How many workers there are, also such as have not started yet.
    pub(crate) fn alive(&self) -> usize {
        self.inner.lock().unwrap().alive
    }

    fn note(&self, sign: char, name: &str) {
        self.inner.lock().unwrap().log.push(format!("{sign}{name}"));
    }

    /// What happened since the last call: `+a` started, `!a` refuses to start, `-a` begins to stop,
    /// `~a` is gone.
    pub(crate) fn log(&self) -> String {
        std::mem::take(&mut self.inner.lock().unwrap().log).join(" ")
    }
}

pub(crate) struct Worker {
    stage: Stage,
    name: String,
}

impl Agent for Worker {
    type Msg = Msg;
    type Error = Report;

    async fn on_start(&mut self, ctx: &mut Context<Self>) -> Result<(), Report> {
        let start = {
            let mut inner = self.stage.inner.lock().unwrap();
            inner.starts.get_mut(&self.name).and_then(VecDeque::pop_front)
        };
        match start.unwrap_or(OnStart::Run) {
            OnStart::Run => ctx.yield_now().await,
            OnStart::Gate(gate) => gate.acquire().await.unwrap().forget(),
            OnStart::Hang => pending().await,
            refusal => {
                self.stage.note('!', &self.name);
                match refusal {
                    OnStart::Ignore => ctx.ignore(),
                    OnStart::Panic => panic!("scripted"),
                    _ => return Err(Report::msg("scripted")),
                }
                return Ok(());
            }
        }
        self.stage.note('+', &self.name);
        Ok(())
    }

    async fn handle(&mut self, msg: Msg, ctx: &mut Context<Self>) -> Result<(), Report> {
        match msg {
            Msg::Ping(reply) => reply.send(ctx.incarnation()),
            Msg::Crash(times, reply) => {
                assert!(ctx.incarnation() > times, "scripted");
                reply.send(ctx.incarnation());
            }
            Msg::Ignore(reply) => drop(reply),
            Msg::Do(Act::Fail) => return Err(Report::msg("scripted")),
            Msg::Do(Act::Panic) => panic!("scripted"),
            Msg::Do(Act::End) => ctx.stop(),
            Msg::Do(Act::EndWith) => ctx.stop_with(Report::msg("scripted")),
            Msg::Do(Act::Hang) => pending().await,
            Msg::Do(Act::Protect(time)) => ctx.protect(pass(time)).await,
            Msg::Do(Act::Progress(time, times)) => {
                for _ in 0..times {
                    pass(time).await;
                    ctx.progress();
                }
            }
            Msg::Do(Act::Join(tag)) => ctx.join(&tag)?,
        }
        Ok(())
    }

    async fn on_stop(&mut self, _reason: &ExitReason, ctx: &mut Context<Self>) {
        self.stage.note('-', &self.name);
        let stop = self.stage.inner.lock().unwrap().stops.get(&self.name).cloned();
        match stop {
            // A supervisor that told two at once would be seen here.
            None => ctx.yield_now().await,
            Some(OnStop::Hang) => pending().await,
            Some(OnStop::Panic) => panic!("scripted"),
            Some(OnStop::Gate(gate)) => gate.acquire().await.unwrap().forget(),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stage.inner.lock().unwrap().alive -= 1;
        self.stage.note('~', &self.name);
    }
}

/// Lets virtual time pass.
pub(crate) async fn pass(time: Duration) {
    assert!(tokio::time::timeout(time, pending::<()>()).await.is_err());
}

pub(crate) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) fn gate() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(0))
}

pub(crate) fn find(system: &System, id: &str) -> Addr<Worker> {
    system.lookup(id).unwrap_or_else(|| panic!("no {id}"))
}

pub(crate) fn act(system: &System, id: &str, act: Act) {
    find(system, id).tell(Msg::Do(act)).unwrap();
}

/// Waits until this agent is gone, and fails if that takes longer than any of its deadlines.
pub(crate) async fn gone(agent: &AnyAddr) -> ExitReason {
    let ended = tokio::time::timeout(secs(60), agent.ended()).await;
    ended.unwrap_or_else(|_| panic!("{agent:?} lives on"))
}

/// The incarnations of these workers once each of them answers.
pub(crate) async fn incarnations<const N: usize>(system: &System, ids: [&str; N]) -> [u64; N] {
    let mut all = [0; N];
    for (id, n) in ids.into_iter().zip(&mut all) {
        *n = find(system, id).ask(Msg::Ping).await.unwrap();
    }
    all
}

/// What supervisors decide, in words: `tree: a started (incarnation 2)`.
pub(crate) struct Watch(Events);

impl Watch {
    pub(crate) fn new(system: &System) -> Self {
        Self(system.events())
    }

    /// Waits for this decision.
    pub(crate) async fn until(&mut self, words: &str) {
        let same = |kind: &EventKind| words_of(kind).filter(|found| found == words);
        self.0.find(same).await.unwrap_or_else(|error| panic!("no \"{words}\": {error}"));
    }

    /// Waits for a decision that `wanted` maps to a value.
    pub(crate) async fn find<T>(&mut self, wanted: impl Fn(&Decision) -> Option<T>) -> T {
        let decision = |kind: &EventKind| match kind {
            EventKind::Supervision { decision, .. } => wanted(decision),
            _ => None,
        };
        self.0.find(decision).await.unwrap()
    }

    /// All decisions so far that this watch has not passed.
    pub(crate) fn seen(&mut self) -> Vec<String> {
        let mut seen = Vec::new();
        while let Some(event) = self.0.try_next().unwrap() {
            seen.extend(words_of(&event.kind));
        }
        seen
    }

    /// How many of them begin so.
    pub(crate) fn count(&mut self, words: &str) -> usize {
        self.seen().iter().filter(|seen| seen.starts_with(words)).count()
    }
}

fn words_of(kind: &EventKind) -> Option<String> {
    match kind {
        EventKind::Supervision { supervisor, decision } => {
            Some(format!("{supervisor}: {decision}"))
        }
        _ => None,
    }
}
