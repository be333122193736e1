//! From a panic to the next message handled, which waits behind it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ggml_agent::{Agent, ChildSpec, Context, Reply, Report, Supervisor, SystemRef};
use tokio::sync::{mpsc, oneshot};

use super::super::clock;
use super::super::histogram::Histogram;
use super::super::job::Job;

/// The figures of a round: p50 and p99, in nanoseconds.
pub(super) fn figures(times: &Histogram) -> Vec<f64> {
    vec![times.per_mille(500), times.per_mille(990)]
}

/// When the last panic began; outlives the lives.
#[derive(Debug, Clone, Default)]
struct Mark(Arc<Mutex<Option<Instant>>>);

impl Mark {
    fn panic_now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(clock::now());
        #[expect(clippy::panic, reason = "what comes after it is measured")]
        {
            panic!("on purpose")
        }
    }

    /// Since the last panic.
    fn elapsed(&self) -> Duration {
        let at = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        at.map_or(Duration::ZERO, |at| clock::now() - at)
    }
}

struct Phoenix(Mark);

enum Msg {
    Panic,
    Next(Reply<Duration>),
}

impl Agent for Phoenix {
    type Msg = Msg;
    type Error = Report;

    async fn handle(&mut self, msg: Msg, _ctx: &mut Context<Self>) -> Result<(), Report> {
        match msg {
            Msg::Panic => self.0.panic_now(),
            Msg::Next(reply) => reply.send(self.0.elapsed()),
        }
        Ok(())
    }
}

/// An agent under its supervisor.
pub(super) async fn agents(system: &SystemRef, time: Duration) -> anyhow::Result<Histogram> {
    let mark = Mark::default();
    // More restarts than it can need in a window that is over at once.
    let tree = Supervisor::new("bench-tree")
        .intensity(10_000, Duration::from_millis(1))
        .child(ChildSpec::new("bench-phoenix", move || Phoenix(mark.clone())));
    let tree = system.supervise(tree).await?;
    let phoenix = system.lookup::<Phoenix>("bench-phoenix");
    let phoenix = phoenix.ok_or_else(|| anyhow::anyhow!("the agent is not there"))?;
    let begin = clock::now();
    let mut times = Histogram::default();
    while clock::now() - begin < time {
        phoenix.tell(Msg::Panic)?;
        times.record(clock::ns(phoenix.ask(Msg::Next).await?));
    }
    tree.stop().await;
    Ok(times)
}

enum RawMsg {
    Panic,
    Next(oneshot::Sender<Duration>),
}

/// A task that another one starts again, with the same queue.
pub(super) async fn tokio(time: Duration) -> anyhow::Result<Histogram> {
    let (phoenix, queue) = mpsc::unbounded_channel();
    let queue = Arc::new(tokio::sync::Mutex::new(queue));
    let mark = Mark::default();
    let supervisor = Job::start(async move {
        loop {
            let (queue, mark) = (queue.clone(), mark.clone());
            let life = tokio::runtime::Handle::current().spawn(async move {
                let mut queue = queue.lock().await;
                while let Some(msg) = queue.recv().await {
                    match msg {
                        RawMsg::Panic => mark.panic_now(),
                        // Nobody waits any more: then nobody needs it.
                        RawMsg::Next(reply) => {
                            reply.send(mark.elapsed()).ok();
                        }
                    }
                }
            });
            if life.await.is_ok() {
                return;
            }
        }
    });
    let begin = clock::now();
    let mut times = Histogram::default();
    while clock::now() - begin < time {
        phoenix.send(RawMsg::Panic)?;
        let (reply, answer) = oneshot::channel();
        phoenix.send(RawMsg::Next(reply))?;
        times.record(clock::ns(answer.await?));
    }
    drop(phoenix);
    supervisor.done().await;
    Ok(times)
}
