//! How long an ask takes: one asker and an agent at rest, or 64 that ask at once.

use std::time::Duration;

use ggml_agent::{Addr, Agent, ChildSpec, Context, Reply, Report, SystemRef};
use tokio::sync::{mpsc, oneshot};

use super::super::clock;
use super::super::histogram::Histogram;
use super::super::job::Job;

/// Asks of one asker before it lets others run.
const AT_ONCE: u64 = 256;

/// Answers with the number of its answer.
struct Oracle(u64);

impl Agent for Oracle {
    type Msg = Reply<u64>;
    type Error = Report;

    async fn handle(&mut self, reply: Reply<u64>, _ctx: &mut Context<Self>) -> Result<(), Report> {
        self.0 += 1;
        reply.send(self.0);
        Ok(())
    }
}

/// What a round found.
pub(super) struct Asked {
    latencies: Histogram,
    /// From the first ask to the last answer.
    took: Duration,
}

impl Asked {
    /// p50, p90, p99 and p99.9 in nanoseconds, and answers per second.
    pub(super) fn figures(&self) -> Vec<f64> {
        let found = self.latencies.percentiles();
        let rate = self.latencies.len() as f64 / self.took.as_secs_f64();
        vec![found.p50, found.p90, found.p99, found.p999, rate]
    }
}

/// Asks an agent.
pub(super) async fn agents(
    system: &SystemRef,
    n_askers: usize,
    time: Duration,
) -> anyhow::Result<Asked> {
    let oracle = system.start(ChildSpec::new("bench-oracle", || Oracle(0))).await?;
    let found = all_ask(n_askers, time, &oracle).await?;
    oracle.stop();
    oracle.ended().await;
    Ok(found)
}

/// Asks a task.
pub(super) async fn tokio(n_askers: usize, time: Duration) -> anyhow::Result<Asked> {
    let (oracle, mut queue) = mpsc::unbounded_channel::<oneshot::Sender<u64>>();
    let task = Job::start(async move {
        let mut n = 0;
        while let Some(reply) = queue.recv().await {
            n += 1;
            // Nobody waits any more: then nobody needs it.
            reply.send(n).ok();
        }
    });
    let found = all_ask(n_askers, time, &oracle).await?;
    drop(oracle);
    task.done().await;
    Ok(found)
}

/// Who can be asked.
trait Ask: Clone + Send + Sync + 'static {
    fn ask(&self) -> impl Future<Output = anyhow::Result<u64>> + Send;
}

impl Ask for Addr<Oracle> {
    async fn ask(&self) -> anyhow::Result<u64> {
        Ok(Self::ask(self, |reply| reply).await?)
    }
}

impl Ask for mpsc::UnboundedSender<oneshot::Sender<u64>> {
    async fn ask(&self) -> anyhow::Result<u64> {
        let (reply, answer) = oneshot::channel();
        self.send(reply)?;
        Ok(answer.await?)
    }
}

/// So many jobs ask one after another, for so long.
async fn all_ask(n_askers: usize, time: Duration, asked: &impl Ask) -> anyhow::Result<Asked> {
    let begin = clock::now();
    let askers: Vec<_> = (0..n_askers)
        .map(|_| {
            let asked = asked.clone();
            Job::start(async move {
                let mut latencies = Histogram::default();
                let mut now = begin;
                while now - begin < time {
                    for _ in 0..AT_ONCE {
                        let asked_at = clock::now();
                        Ask::ask(&asked).await?;
                        latencies.record_since(asked_at);
                    }
                    tokio::task::yield_now().await;
                    now = clock::now();
                }
                anyhow::Ok(latencies)
            })
        })
        .collect();
    let mut all = Histogram::default();
    for asker in askers {
        all.merge(&asker.done().await?);
    }
    Ok(Asked { latencies: all, took: begin.elapsed() })
}
