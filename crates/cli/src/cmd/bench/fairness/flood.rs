//! One agent that jobs flood without pause.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ggml_agent::{Addr, Agent, ChildSpec, Context, Reply, Report, SystemRef};

use super::super::job::Job;
use super::on_worker;

/// Jobs that send to it.
const N_SENDERS: usize = 4;

struct Flooded(u64);

enum Msg {
    Drop,
    Total(Reply<u64>),
}

impl Agent for Flooded {
    type Msg = Msg;
    type Error = Report;

    async fn handle(&mut self, msg: Msg, _ctx: &mut Context<Self>) -> Result<(), Report> {
        match msg {
            Msg::Drop => self.0 += 1,
            Msg::Total(reply) => reply.send(self.0),
        }
        Ok(())
    }
}

/// The flood.
pub(super) struct Flood {
    flooded: Addr<Flooded>,
    is_over: Arc<AtomicBool>,
    senders: Vec<Job<anyhow::Result<()>>>,
}

impl Flood {
    pub(super) async fn start(system: &SystemRef) -> anyhow::Result<Self> {
        let flooded = system.start(ChildSpec::new("bench-flooded", || Flooded(0))).await?;
        let is_over = Arc::new(AtomicBool::new(false));
        let sender = |_| {
            let (flooded, is_over) = (flooded.clone(), is_over.clone());
            Job::start(async move {
                while !is_over.load(Ordering::Relaxed) {
                    flooded.send(Msg::Drop).await?;
                }
                Ok(())
            })
        };
        let senders = (0..N_SENDERS).map(sender).collect();
        Ok(Self { flooded, is_over, senders })
    }

    /// Messages that it has handled.
    pub(super) async fn n_handled(&self) -> anyhow::Result<u64> {
        let flooded = self.flooded.clone();
        Ok(on_worker(async move { flooded.ask(Msg::Total).await }).await?)
    }

    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.is_over.store(true, Ordering::Relaxed);
        for sender in self.senders {
            sender.done().await?;
        }
        self.flooded.stop();
        self.flooded.ended().await;
        Ok(())
    }
}
