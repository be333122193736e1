//! Messages per second, one way: from one job or from eight, until the last one was handled.

use std::time::{Duration, Instant};

use ggml_agent::{Agent, ChildSpec, Context, Reply, Report, SystemRef};
use tokio::sync::{mpsc, oneshot};

use super::super::clock;
use super::super::job::Job;

/// Messages between two looks at the clock; then a sender lets others run.
const AT_ONCE: u64 = 256;
/// Most messages of one sender in a round: an unbounded channel holds those that wait.
// 2^21 x 16 B = 32 MiB.
const MESSAGES_MAX: u64 = 1 << 21;

/// Adds up what it is sent.
struct Sink(u64);

enum Msg {
    Add(u64),
    Total(Reply<u64>),
}

impl Agent for Sink {
    type Msg = Msg;
    type Error = Report;

    async fn handle(&mut self, msg: Msg, _ctx: &mut Context<Self>) -> Result<(), Report> {
        match msg {
            Msg::Add(n) => self.0 += n,
            Msg::Total(reply) => reply.send(self.0),
        }
        Ok(())
    }
}

/// Messages per second to an agent.
pub(super) async fn agents(
    system: &SystemRef,
    n_senders: usize,
    time: Duration,
) -> anyhow::Result<f64> {
    let sink = system.start(ChildSpec::new("bench-sink", || Sink(0))).await?;
    let begin = clock::now();
    let senders: Vec<_> = (0..n_senders)
        .map(|_| {
            let sink = sink.clone();
            Job::start(async move {
                let mut n_sent = 0;
                while is_on(n_sent, begin, time) {
                    for _ in 0..AT_ONCE {
                        sink.send(Msg::Add(1)).await?;
                    }
                    n_sent += AT_ONCE;
                    tokio::task::yield_now().await;
                }
                anyhow::Ok(n_sent)
            })
        })
        .collect();
    let mut n_sent = 0;
    for sender in senders {
        n_sent += sender.done().await?;
    }
    let n_handled = sink.ask(Msg::Total).await?;
    let took = begin.elapsed();
    anyhow::ensure!(n_handled == n_sent, "{n_sent} messages were sent, {n_handled} handled");
    sink.stop();
    sink.ended().await;
    Ok(n_sent as f64 / took.as_secs_f64())
}

enum RawMsg {
    Add(u64),
    Total(oneshot::Sender<u64>),
}

/// Messages per second to a task.
pub(super) async fn tokio(n_senders: usize, time: Duration) -> anyhow::Result<f64> {
    let (sink, mut queue) = mpsc::unbounded_channel();
    let task = Job::start(async move {
        let mut total = 0;
        while let Some(msg) = queue.recv().await {
            match msg {
                RawMsg::Add(n) => total += n,
                // Nobody waits any more: then nobody needs it.
                RawMsg::Total(reply) => {
                    reply.send(total).ok();
                }
            }
        }
    });
    let begin = clock::now();
    let senders: Vec<_> = (0..n_senders)
        .map(|_| {
            let sink = sink.clone();
            Job::start(async move {
                let mut n_sent = 0;
                while is_on(n_sent, begin, time) {
                    for _ in 0..AT_ONCE {
                        sink.send(RawMsg::Add(1))?;
                    }
                    n_sent += AT_ONCE;
                    tokio::task::yield_now().await;
                }
                anyhow::Ok(n_sent)
            })
        })
        .collect();
    let mut n_sent = 0;
    for sender in senders {
        n_sent += sender.done().await?;
    }
    let (reply, answer) = oneshot::channel();
    sink.send(RawMsg::Total(reply))?;
    let n_handled = answer.await?;
    let took = begin.elapsed();
    anyhow::ensure!(n_handled == n_sent, "{n_sent} messages were sent, {n_handled} handled");
    drop(sink);
    task.done().await;
    Ok(n_sent as f64 / took.as_secs_f64())
}

fn is_on(n_sent: u64, begin: Instant, time: Duration) -> bool {
    n_sent < MESSAGES_MAX && clock::now() - begin < time
}
