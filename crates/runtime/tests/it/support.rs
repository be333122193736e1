//! One agent that does what a test tells it, and ways to wait without a clock.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ggml_agent::{
    Addr, Agent, AskError, ChildSpec, Context, EventKind, Events, ExitReason, Reply, Report,
};

pub(crate) type Done<'a> = Pin<Box<dyn Future<Output = Result<(), Report>> + Send + 'a>>;
type Job =
    Box<dyn for<'a> FnOnce(&'a mut Probe, &'a mut Context<Probe>) -> Done<'a> + Send + 'static>;
type Hook = Arc<dyn Fn(&mut Context<Probe>, &Log) -> Result<(), Report> + Send + Sync>;
type DropHook = Arc<dyn Fn(&Log) + Send + Sync>;

/// What all incarnations of a probe, and the test, note in turn.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn note(&self, text: impl Into<String>) {
        self.lines().push(text.into());
    }

    pub(crate) fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn has(&self, text: &str) -> bool {
        self.lines().iter().any(|line| line == text)
    }

    pub(crate) fn text(&self) -> String {
        self.lines().join(" ")
    }
}

/// Does as it is told; what it has seen dies with its incarnation, the log does not.
pub(crate) struct Probe {
    pub(crate) seen: Vec<u32>,
    pub(crate) log: Log,
    hooks: Hooks,
}

impl Probe {
    pub(crate) fn bare(log: &Log) -> Self {
        Self { seen: Vec::new(), log: log.clone(), hooks: Hooks::default() }
    }
}

/// What a probe does outside of its handlers.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    on_start: Option<Hook>,
    on_stop: Option<Hook>,
    on_drop: Option<DropHook>,
}

impl Hooks {
    pub(crate) fn on_start(
        mut self,
        f: impl Fn(&mut Context<Probe>, &Log) -> Result<(), Report> + Send + Sync + 'static,
    ) -> Self {
        self.on_start = Some(Arc::new(f));
        self
    }

    pub(crate) fn on_stop(
        mut self,
        f: impl Fn(&mut Context<Probe>, &Log) -> Result<(), Report> + Send + Sync + 'static,
    ) -> Self {
        self.on_stop = Some(Arc::new(f));
        self
    }

    pub(crate) fn on_drop(mut self, f: impl Fn(&Log) + Send + Sync + 'static) -> Self {
        self.on_drop = Some(Arc::new(f));
        self
    }
}

pub(crate) enum Msg {
    Note(u32),
    Seen(Reply<Vec<u32>>),
    Fail,
    Panic,
    Run(Job),
}

impl From<u32> for Msg {
    fn from(n: u32) -> Self {
        Self::Note(n)
    }
}

/// A message that makes the probe do `job`.
pub(crate) fn run(
    job: impl for<'a> FnOnce(&'a mut Probe, &'a mut Context<Probe>) -> Done<'a> + Send + 'static,
) -> Msg {
    Msg::Run(Box::new(job))
}

/// A message that makes the probe call `f`, which does not wait.
pub(crate) fn call(f: impl FnOnce(&mut Probe, &mut Context<Probe>) + Send + 'static) -> Msg {
    Msg::Run(Box::new(move |probe, ctx| {
        f(probe, ctx);
        Box::pin(async { Ok(()) })
    }))
}

impl Agent for Probe {
    type Msg = Msg;
    type Error = Report;

    async fn on_start(&mut self, ctx: &mut Context<Self>) -> Result<(), Report> {
        let (hook, log) = (self.hooks.on_start.clone(), self.log.clone());
        hook.map_or(Ok(()), |hook| hook(ctx, &log))
    }

    async fn handle(&mut self, msg: Msg, ctx: &mut Context<Self>) -> Result<(), Report> {
        match msg {
            Msg::Note(n) => {
                self.seen.push(n);
                self.log.note(n.to_string());
            }
            Msg::Seen(reply) => reply.send(self.seen.clone()),
            Msg::Fail => return Err(Report::msg("asked to fail")),
            Msg::Panic => panic!("asked to panic"),
            Msg::Run(job) => job(self, ctx).await?,
        }
        Ok(())
    }

    async fn on_stop(&mut self, reason: &ExitReason, ctx: &mut Context<Self>) {
        self.log.note(format!("stopped:{reason}"));
        if let Some(hook) = self.hooks.on_stop.clone() {
            hook(ctx, &self.log).expect("a failing on_stop panics");
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if let Some(hook) = &self.hooks.on_drop {
            hook(&self.log);
        }
    }
}

pub(crate) fn probe(id: &str) -> ChildSpec<Probe> {
    probe_with(id, &Log::default(), Hooks::default())
}

pub(crate) fn logged(id: &str, log: &Log) -> ChildSpec<Probe> {
    probe_with(id, log, Hooks::default())
}

pub(crate) fn probe_with(id: &str, log: &Log, hooks: Hooks) -> ChildSpec<Probe> {
    let log = log.clone();
    ChildSpec::new(id, move || Probe { seen: Vec::new(), log: log.clone(), hooks: hooks.clone() })
}

/// What the probe has seen in this incarnation; an answer also says that all before is handled.
pub(crate) async fn seen(addr: &Addr<Probe>) -> Result<Vec<u32>, AskError> {
    addr.ask(Msg::Seen).await
}

/// Waits until the agent has taken all its mail.
pub(crate) async fn drained(addr: &Addr<Probe>) {
    until("its mail is taken", || addr.queued() == 0).await;
}

/// Lets others run until `condition` holds; fails if it does not come true.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if condition() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("{what}: not so after 10,000 rounds");
}

/// Occupies the probe until the returned gate is dropped; returns once it is within the handler.
pub(crate) async fn occupy(addr: &Addr<Probe>) -> Gate {
    let (entered, inside) = tokio::sync::oneshot::channel();
    let (gate, open) = tokio::sync::oneshot::channel::<()>();
    let stay = run(move |_, _| {
        Box::pin(async move {
            entered.send(()).unwrap();
            drop(open.await);
            Ok(())
        })
    });
    addr.tell(stay).unwrap();
    inside.await.unwrap();
    Gate { _gate: gate }
}

/// See [`occupy`].
pub(crate) struct Gate {
    _gate: tokio::sync::oneshot::Sender<()>,
}

/// The exit of an incarnation of `id`.
pub(crate) async fn exit_of(events: &mut Events, id: &str) -> ExitReason {
    events
        .find(|kind| match kind {
            EventKind::AgentExited { agent, reason, .. } if agent.as_str() == id => {
                Some(reason.clone())
            }
            _ => None,
        })
        .await
        .unwrap()
}

/// Polls `future` once.
pub(crate) async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|cx| match Pin::new(&mut *future).poll(cx) {
        std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}

/// Fails a test on real threads that would wait for ever.
pub(crate) async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it hangs")
}
