//! What it costs to spawn an agent, until it has started: without and with a supervisor.

use std::sync::Arc;
use std::time::Duration;

use ggml_agent::{Agent, ChildSpec, Context, Report, Supervisor, SystemRef};
use tokio::sync::mpsc;

use super::super::clock;
use super::super::job::{Countdown, Job};

/// Agents that are started before those are ended again.
const AT_ONCE: usize = 1_000;

/// Tells that it has started.
struct Newborn(Arc<Countdown>);

impl Agent for Newborn {
    type Msg = ();
    type Error = Report;

    async fn on_start(&mut self, _ctx: &mut Context<Self>) -> Result<(), Report> {
        self.0.one();
        Ok(())
    }

    async fn handle(&mut self, (): (), _ctx: &mut Context<Self>) -> Result<(), Report> {
        Ok(())
    }
}

fn newborn(n: usize, started: &Arc<Countdown>) -> ChildSpec<Newborn> {
    let started = started.clone();
    ChildSpec::new(format!("bench-{n}"), move || Newborn(started.clone())).temporary()
}

/// Nanoseconds per agent without a supervisor.
pub(super) async fn agents(system: &SystemRef, time: Duration) -> anyhow::Result<f64> {
    let begin = clock::now();
    let (mut spent, mut n) = (Duration::ZERO, 0);
    while clock::now() - begin < time {
        let started = Arc::new(Countdown::new(AT_ONCE));
        let mut addrs = Vec::with_capacity(AT_ONCE);
        let before = clock::now();
        for n in 0..AT_ONCE {
            addrs.push(system.spawn(newborn(n, &started))?);
        }
        started.over().await;
        spent += before.elapsed();
        n += AT_ONCE as u64;
        addrs.iter().for_each(ggml_agent::Addr::shutdown);
        for addr in addrs {
            addr.ended().await;
        }
    }
    Ok(clock::ns_per(spent, n))
}

/// Nanoseconds per agent under a supervisor.
pub(super) async fn supervised(system: &SystemRef, time: Duration) -> anyhow::Result<f64> {
    let begin = clock::now();
    let (mut spent, mut n) = (Duration::ZERO, 0);
    while clock::now() - begin < time {
        let crowd = system.supervise(Supervisor::dynamic("bench-crowd")).await?;
        let started = Arc::new(Countdown::new(AT_ONCE));
        let before = clock::now();
        let addrs = crowd.start_children((0..AT_ONCE).map(|n| newborn(n, &started))).await?;
        started.over().await;
        spent += before.elapsed();
        n += AT_ONCE as u64;
        drop(addrs);
        crowd.stop().await;
    }
    Ok(clock::ns_per(spent, n))
}

/// Nanoseconds per task with its channel.
pub(super) async fn tokio(time: Duration) -> f64 {
    let begin = clock::now();
    let (mut spent, mut n) = (Duration::ZERO, 0);
    while clock::now() - begin < time {
        let started = Arc::new(Countdown::new(AT_ONCE));
        let mut tasks = Vec::with_capacity(AT_ONCE);
        let before = clock::now();
        for _ in 0..AT_ONCE {
            let (sender, mut queue) = mpsc::unbounded_channel::<()>();
            let started = started.clone();
            let task = Job::start(async move {
                started.one();
                while queue.recv().await.is_some() {}
            });
            tasks.push((sender, task));
        }
        started.over().await;
        spent += before.elapsed();
        n += AT_ONCE as u64;
        for (sender, task) in tasks {
            drop(sender);
            task.done().await;
        }
    }
    clock::ns_per(spent, n)
}
