//! Many agents that get messages at a fixed rate and note how late each was.

use std::time::{Duration, Instant};

use ggml_agent::{
    Addr, Agent, ChildSpec, Context, Reply, Report, Supervisor, SupervisorRef, SystemRef,
};
use tokio::time::MissedTickBehavior;

use super::super::clock;
use super::super::histogram::Histogram;
use super::{DELAY_MAX, RATE, on_worker};

/// What was seen since the last look.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Handled minus due: a sender whose timer is late counts as well.
    pub(super) latencies: Histogram,
    /// Handled minus sent.
    pub(super) passages: Histogram,
    /// Agents of which some message was handled too long after it was due.
    pub(super) n_delayed: usize,
}

struct Member {
    /// When its first message is due, so that they do not all come at once.
    phase: Duration,
    latencies: Histogram,
    passages: Histogram,
    longest: Duration,
}

/// What a member has seen.
struct Seen {
    latencies: Histogram,
    passages: Histogram,
    /// From due to handled.
    longest: Duration,
}

enum Msg {
    Tick { due_at: Instant, sent_at: Instant },
    Take(Reply<Seen>),
}

impl Agent for Member {
    type Msg = Msg;
    type Error = Report;

    async fn on_start(&mut self, ctx: &mut Context<Self>) -> Result<(), Report> {
        let addr = ctx.addr();
        let first = tokio::time::Instant::now() + self.phase;
        let mut ticks = tokio::time::interval_at(first, Duration::from_secs(1) / RATE);
        // A late timer makes up for it, so that nothing late goes unseen.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        ctx.spawn(async move {
            loop {
                let due_at = ticks.tick().await.into_std();
                let tick = Msg::Tick { due_at, sent_at: clock::now() };
                // Waits for room when there is none; it has ended when it takes nothing any more.
                if addr.send(tick).await.is_err() {
                    return;
                }
            }
        });
        Ok(())
    }

    async fn handle(&mut self, msg: Msg, _ctx: &mut Context<Self>) -> Result<(), Report> {
        match msg {
            Msg::Tick { due_at, sent_at } => {
                let now = clock::now();
                let latency = now.saturating_duration_since(due_at);
                self.latencies.record(clock::ns(latency));
                self.passages.record(clock::ns(now - sent_at));
                self.longest = self.longest.max(latency);
            }
            Msg::Take(reply) => reply.send(Seen {
                latencies: std::mem::take(&mut self.latencies),
                passages: std::mem::take(&mut self.passages),
                longest: std::mem::take(&mut self.longest),
            }),
        }
        Ok(())
    }
}

/// The agents.
pub(super) struct Crowd {
    supervisor: SupervisorRef,
    members: Vec<Addr<Member>>,
}

impl Crowd {
    pub(super) async fn start(system: &SystemRef, n: usize) -> anyhow::Result<Self> {
        let system = system.clone();
        on_worker(async move {
            let supervisor = system.supervise(Supervisor::dynamic("bench-crowd")).await?;
            let members = (0..n).map(|i| {
                let phase =
                    Duration::from_secs(1) / RATE * u32::try_from(i % 100).unwrap_or(0) / 100;
                ChildSpec::new(format!("bench-{i}"), move || Member {
                    phase,
                    latencies: Histogram::default(),
                    passages: Histogram::default(),
                    longest: Duration::ZERO,
                })
            });
            let members = supervisor.start_children(members).await?;
            anyhow::Ok(Self { supervisor, members })
        })
        .await
    }

    /// What all have seen since the last look.
    pub(super) async fn take(&self) -> anyhow::Result<Taken> {
        let members = self.members.clone();
        on_worker(async move {
            let mut taken = Taken::default();
            for member in members {
                let seen = member.ask(Msg::Take).await?;
                taken.latencies.merge(&seen.latencies);
                taken.passages.merge(&seen.passages);
                taken.n_delayed += usize::from(seen.longest > DELAY_MAX);
            }
            Ok(taken)
        })
        .await
    }

    pub(super) async fn stop(self) {
        self.supervisor.stop().await;
    }
}
