//! The hot paths, one at a time, to be counted by `cargo xtask instructions`.
//!
//! `instructions PATH N MAX` does `N` operations after a preparation that is made for `MAX` of them,
//! so that two runs with the same `MAX` differ by operations alone. Without arguments each path runs
//! a few times, which shows that it works. One thread, no timer that ends, and nothing is torn down:
//! the process ends with everything alive.

#![expect(clippy::panic, clippy::print_stdout, reason = "the measured program, not the library")]

use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ggml_agent::core::supervise::RESTARTS_MAX_LIMIT;
use ggml_agent::{
    Addr, Agent, AgentId, Bytes, ChildSpec, Context, Envelope, MessageType, Options, Reply, Report,
    SendError, Supervisor, System,
};
use tokio::sync::{Notify, mpsc, oneshot};

/// The paths in the order of the report.
const PATHS: [&str; 14] = [
    "tell",
    "hop",
    "ring",
    "ask",
    "ask-from-agent",
    "tell-by-name",
    "route",
    "spawn",
    "start-child",
    "stop",
    "restart",
    "mpsc-tell",
    "mpsc-tell-bounded",
    "oneshot-ask",
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    if let [path, n, max] = args[..] {
        let number = |text: &str| text.parse().expect("a number of operations");
        measure(path, number(n), number(max));
    } else {
        for path in PATHS {
            measure(path, 10, 20);
            println!("{path}");
        }
    }
}

/// Runs one path on a runtime of its own, in a spawned job as a program's would be.
fn measure(path: &str, n: u64, max: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime needs no more than memory");
    let runtime = ManuallyDrop::new(runtime);
    let path = path.to_owned();
    let mut jobs = tokio::task::JoinSet::new();
    jobs.spawn_on(async move { operate(&path, n, max).await }, runtime.handle());
    let done = runtime.block_on(jobs.join_next());
    done.expect("there is one job").expect("the path does what it should");
}

async fn operate(path: &str, n: u64, max: u64) {
    // Nobody looks for handlers that block: that would be a timer.
    let watch_interval = Duration::from_secs(24 * 60 * 60);
    let options = Options { seed: Some(1), watch_interval, ..Options::default() };
    let system = ManuallyDrop::new(System::with(options));
    match path {
        "tell" => tell(&system, n).await,
        "hop" => ring(&system, n, 2).await,
        "ring" => ring(&system, n, 1_000).await,
        "ask" => ask(&system, n).await,
        "ask-from-agent" => ask_from_agent(&system, n).await,
        "tell-by-name" => tell_by_name(&system, n).await,
        "route" => route(&system, n).await,
        "spawn" => spawn(&system, n, max).await,
        "start-child" => start_child(&system, n, max).await,
        "stop" => stop(&system, n, max).await,
        "restart" => restart(&system, n).await,
        "mpsc-tell" => mpsc_tell(n).await,
        "mpsc-tell-bounded" => mpsc_tell_bounded(n).await,
        "oneshot-ask" => oneshot_ask(n).await,
        _ => panic!("no path is named {path}; there are: {}", PATHS.join(", ")),
    }
}

/// Counts messages, and says when it has seen enough.
struct Counter {
    left: u64,
    done: Arc<Notify>,
}

impl Counter {
    fn count(&mut self) {
        self.left -= 1;
        if self.left == 0 {
            self.done.notify_one();
        }
    }
}

enum Note {
    Tell(u64),
    Ask(Reply<u64>),
    Panic,
}

impl Agent for Counter {
    type Msg = Note;
    type Error = Report;

    async fn handle(&mut self, note: Note, _: &mut Context<Self>) -> Result<(), Report> {
        match note {
            Note::Tell(number) => {
                std::hint::black_box(number);
                self.count();
            }
            Note::Ask(reply) => reply.send(self.left),
            Note::Panic => panic!("as asked"),
        }
        Ok(())
    }
}

fn counter(id: &str, left: u64) -> (ChildSpec<Counter>, Arc<Notify>) {
    let done = Arc::new(Notify::new());
    let signal = done.clone();
    (ChildSpec::new(id, move || Counter { left, done: signal.clone() }), done)
}

async fn tell(system: &System, n: u64) {
    let (spec, done) = counter("counter", n);
    let addr = system.spawn(spec).expect("the name is free");
    for number in 0..n {
        addr.send(Note::Tell(number)).await.expect("it takes it");
    }
    done.notified().await;
}

/// Passes a number on, one less each time.
struct Link {
    next: Option<Addr<Self>>,
    done: Arc<Notify>,
}

enum Pass {
    To(Addr<Link>),
    Left(u64),
}

impl Agent for Link {
    type Msg = Pass;
    type Error = Report;

    async fn handle(&mut self, pass: Pass, _: &mut Context<Self>) -> Result<(), Report> {
        match pass {
            Pass::To(next) => self.next = Some(next),
            Pass::Left(0) => self.done.notify_one(),
            Pass::Left(left) => {
                let next = self.next.as_ref().expect("the ring is closed");
                next.send(Pass::Left(left - 1)).await?;
            }
        }
        Ok(())
    }
}

/// One token goes round `n_links` agents until it has made `n` hops.
async fn ring(system: &System, n: u64, n_links: usize) {
    let done = Arc::new(Notify::new());
    let link = |i: usize| {
        let done = done.clone();
        let make = move || Link { next: None, done: done.clone() };
        system.spawn(ChildSpec::new(format!("link-{i}"), make)).expect("the name is free")
    };
    let links: Vec<Addr<Link>> = (0..n_links).map(link).collect();
    for (i, addr) in links.iter().enumerate() {
        let next = links[(i + 1) % n_links].clone();
        addr.send(Pass::To(next)).await.expect("it takes it");
    }
    links[0].send(Pass::Left(n)).await.expect("it takes it");
    done.notified().await;
}

async fn ask(system: &System, n: u64) {
    let (spec, _) = counter("counter", 1);
    let addr = system.start(spec).await.expect("the name is free");
    for _ in 0..n {
        std::hint::black_box(addr.ask(Note::Ask).await.expect("it answers"));
    }
}

/// Asks as often as it is told to.
struct Asker {
    to: Addr<Counter>,
}

impl Agent for Asker {
    type Msg = (u64, Reply<()>);
    type Error = Report;

    async fn handle(
        &mut self,
        (n, reply): (u64, Reply<()>),
        _: &mut Context<Self>,
    ) -> Result<(), Report> {
        for _ in 0..n {
            std::hint::black_box(self.to.ask(Note::Ask).await?);
        }
        reply.send(());
        Ok(())
    }
}

async fn ask_from_agent(system: &System, n: u64) {
    let (spec, _) = counter("counter", 1);
    let to = system.start(spec).await.expect("the name is free");
    let asker = ChildSpec::new("asker", move || Asker { to: to.clone() });
    let asker = system.start(asker).await.expect("the name is free");
    asker.ask(|reply| (n, reply)).await.expect("it answers");
}

/// To one of 1,000 agents.
async fn tell_by_name(system: &System, n: u64) {
    for i in 0..999 {
        let (spec, _) = counter(&format!("other-{i}"), 1);
        system.start(spec).await.expect("the name is free");
    }
    let (spec, done) = counter("counter", n);
    let addr = system.start(spec).await.expect("the name is free");
    let name: AgentId = addr.id().clone();
    for number in 0..n {
        match system.tell(&name, Note::Tell(number)) {
            Ok(()) => {}
            Err(SendError::Full(note)) => addr.send(note).await.expect("it takes it"),
            Err(error) => panic!("{error}"),
        }
    }
    done.notified().await;
}

/// Counts envelopes.
struct Mailroom(Counter);

impl Agent for Mailroom {
    type Msg = Envelope;
    type Error = Report;

    async fn handle(&mut self, envelope: Envelope, _: &mut Context<Self>) -> Result<(), Report> {
        std::hint::black_box(envelope);
        self.0.count();
        Ok(())
    }

    fn from_envelope(envelope: Envelope) -> Result<Envelope, Envelope> {
        Ok(envelope)
    }

    fn into_envelope(message: Envelope) -> Result<Envelope, Envelope> {
        Ok(message)
    }
}

/// By id, with a shared payload of 64 bytes.
async fn route(system: &System, n: u64) {
    let done = Arc::new(Notify::new());
    let signal = done.clone();
    let make = move || Mailroom(Counter { left: n, done: signal.clone() });
    let addr = system.start(ChildSpec::new("mailroom", make)).await.expect("the name is free");
    let id: AgentId = addr.id().clone();
    let payload = Bytes::from(vec![7; 64]);
    for _ in 0..n {
        match system.route(system.envelope(id.clone(), MessageType::User, payload.clone())) {
            Ok(()) => {}
            Err(SendError::Full(envelope)) => addr.send(envelope).await.expect("it takes it"),
            Err(error) => panic!("{error}"),
        }
    }
    done.notified().await;
}

/// Does nothing; the last one to start says so.
struct Idle {
    starts: Arc<Starts>,
}

struct Starts {
    left: AtomicU64,
    done: Notify,
}

impl Starts {
    fn of(n: u64) -> Arc<Self> {
        Arc::new(Self { left: AtomicU64::new(n), done: Notify::new() })
    }
}

impl Agent for Idle {
    type Msg = u64;
    type Error = Report;

    async fn on_start(&mut self, _: &mut Context<Self>) -> Result<(), Report> {
        if self.starts.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.starts.done.notify_one();
        }
        Ok(())
    }

    async fn handle(&mut self, _: u64, _: &mut Context<Self>) -> Result<(), Report> {
        Ok(())
    }
}

fn idle(name: &str, starts: &Arc<Starts>) -> ChildSpec<Idle> {
    let starts = starts.clone();
    ChildSpec::new(name, move || Idle { starts: starts.clone() })
}

/// Names are part of the preparation: what is counted does not format them.
fn names(max: u64) -> Vec<String> {
    (0..max).map(|i| format!("idle-{i:06}")).collect()
}

/// Starts an agent of each name, and keeps them.
async fn crowd(system: &System, names: &[String]) -> ManuallyDrop<Vec<Addr<Idle>>> {
    let starts = Starts::of(names.len() as u64);
    let mut addrs = Vec::with_capacity(names.len());
    for name in names {
        addrs.push(system.spawn(idle(name, &starts)).expect("the name is free"));
    }
    starts.done.notified().await;
    ManuallyDrop::new(addrs)
}

async fn spawn(system: &System, n: u64, max: u64) {
    let names = names(max);
    let n = usize::try_from(n).expect("a small number");
    crowd(system, &names[..n]).await;
}

async fn start_child(system: &System, n: u64, max: u64) {
    let names = names(max);
    let tree = Supervisor::dynamic("tree").health(Duration::ZERO, Duration::from_secs(5));
    let tree = system.supervise(tree).await.expect("the name is free");
    let starts = Starts::of(0);
    let mut addrs = ManuallyDrop::new(Vec::with_capacity(names.len()));
    for name in names.iter().take(usize::try_from(n).expect("a small number")) {
        addrs.push(tree.start_child(idle(name, &starts)).await.expect("it starts"));
    }
}

/// All are told at once, then each is waited for.
async fn stop(system: &System, n: u64, max: u64) {
    let addrs = crowd(system, &names(max)).await;
    let some = &addrs[..usize::try_from(n).expect("a small number")];
    for addr in some {
        addr.stop();
    }
    for addr in some {
        addr.ended().await;
    }
}

/// From a panic to the next message handled.
async fn restart(system: &System, n: u64) {
    std::panic::set_hook(Box::new(|_| {}));
    let done = Arc::new(Notify::new());
    let signal = done.clone();
    let spec = ChildSpec::new("phoenix", move || Counter { left: 1, done: signal.clone() });
    let tree = Supervisor::new("tree")
        .intensity(RESTARTS_MAX_LIMIT, Duration::from_nanos(1))
        .health(Duration::ZERO, Duration::from_secs(5))
        .child(spec);
    system.supervise(tree).await.expect("the name is free");
    let addr = system.lookup::<Counter>("phoenix").expect("it has started");
    for number in 0..n {
        addr.send(Note::Panic).await.expect("it takes it");
        addr.send(Note::Tell(number)).await.expect("it takes it");
        done.notified().await;
    }
}

/// The yardstick of a tell: a job that receives from an unbounded channel.
async fn mpsc_tell(n: u64) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let mut jobs = tokio::task::JoinSet::new();
    jobs.spawn(async move {
        for _ in 0..n {
            std::hint::black_box(receiver.recv().await);
        }
    });
    for number in 0..n {
        sender.send(number).expect("the receiver lives");
    }
    jobs.join_all().await;
}

/// The same with room for as many as a mailbox has by default.
async fn mpsc_tell_bounded(n: u64) {
    let (sender, mut receiver) = mpsc::channel(1_024);
    let mut jobs = tokio::task::JoinSet::new();
    jobs.spawn(async move {
        for _ in 0..n {
            std::hint::black_box(receiver.recv().await);
        }
    });
    for number in 0..n {
        sender.send(number).await.expect("the receiver lives");
    }
    jobs.join_all().await;
}

/// The yardstick of an ask: a question with a channel for its answer.
async fn oneshot_ask(n: u64) {
    let (sender, mut receiver) = mpsc::unbounded_channel::<oneshot::Sender<u64>>();
    let mut jobs = tokio::task::JoinSet::new();
    jobs.spawn(async move {
        for number in 0..n {
            let reply = receiver.recv().await.expect("the asker lives");
            reply.send(number).expect("the asker waits");
        }
    });
    for _ in 0..n {
        let (reply, answer) = oneshot::channel();
        sender.send(reply).expect("the receiver lives");
        std::hint::black_box(answer.await.expect("it answers"));
    }
    jobs.join_all().await;
}
