//! Bytes of an idle agent: resident memory, while more and more of them are kept alive, so that no
//! figure is spoilt by memory that was used before.

use ggml_agent::{Agent, ChildSpec, Context, Report, Supervisor, SystemRef};
use tokio::sync::mpsc;

use super::super::job::Job;
use super::super::machine;

/// As small as an agent can be.
struct Idle;

impl Agent for Idle {
    type Msg = u64;
    type Error = Report;

    async fn handle(&mut self, _msg: u64, _ctx: &mut Context<Self>) -> Result<(), Report> {
        Ok(())
    }
}

/// Bytes of each round, of agents and of tasks; `None` where the system does not say.
pub(super) async fn measure(
    system: &SystemRef,
    n_rounds: u32,
    n: usize,
) -> anyhow::Result<Option<(Vec<f64>, Vec<f64>)>> {
    if machine::resident_bytes().is_none() {
        return Ok(None);
    }
    let system = system.clone();
    Job::start(async move { grow(&system, n_rounds, n).await }).done().await.map(Some)
}

async fn grow(system: &SystemRef, n_rounds: u32, n: usize) -> anyhow::Result<(Vec<f64>, Vec<f64>)> {
    let (mut agents, mut tasks) = (Vec::new(), Vec::new());
    let (mut crowds, mut kept) = (Vec::new(), Vec::new());
    // One round more: the first one pays for the tables.
    for round in 0..=n_rounds.min(5) {
        let before = resident();
        let crowd = system.supervise(Supervisor::dynamic(format!("bench-idle-{round}"))).await?;
        let specs = (0..n).map(|i| ChildSpec::new(format!("bench-{round}-{i}"), || Idle));
        drop(crowd.start_children(specs).await?);
        crowds.push(crowd);
        let between = resident();
        let mut senders = Vec::with_capacity(n);
        for _ in 0..n {
            let (sender, mut queue) = mpsc::unbounded_channel::<u64>();
            let task = Job::start(async move { while queue.recv().await.is_some() {} });
            senders.push((sender, task));
        }
        // Each has had its first turn.
        tokio::task::yield_now().await;
        let after = resident();
        kept.push(senders);
        if round > 0 {
            agents.push((between - before) / n as f64);
            tasks.push((after - between) / n as f64);
        }
    }
    for crowd in crowds {
        crowd.stop().await;
    }
    for (sender, task) in kept.into_iter().flatten() {
        drop(sender);
        task.done().await;
    }
    Ok((agents, tasks))
}

fn resident() -> f64 {
    machine::resident_bytes().unwrap_or(0) as f64
}
