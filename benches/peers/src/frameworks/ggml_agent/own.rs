//! What only `ggml-agent` has: the road of envelopes, and children with heartbeats.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ggml_agent::{
    Agent, AgentId, Bytes, ChildSpec, Context, Envelope, MessageType, Report, SendError,
    Supervisor, System,
};
use tokio::sync::Notify;

use crate::cpu::{self, Stopwatch};
use crate::line::Measured;
use crate::workloads::spawning::capacity;

/// Counts envelopes.
struct Mailroom {
    left: u64,
    done: Arc<Notify>,
}

impl Agent for Mailroom {
    type Msg = Envelope;
    type Error = Report;

    async fn handle(&mut self, envelope: Envelope, _: &mut Context<Self>) -> Result<(), Report> {
        std::hint::black_box(envelope);
        self.left -= 1;
        if self.left == 0 {
            self.done.notify_one();
        }
        Ok(())
    }

    fn from_envelope(envelope: Envelope) -> Result<Envelope, Envelope> {
        Ok(envelope)
    }

    fn into_envelope(message: Envelope) -> Result<Envelope, Envelope> {
        Ok(message)
    }
}

/// One task routes envelopes with a shared payload of 64 bytes to one agent, by its id. A full
/// mailbox gives the envelope back; then it is sent by address, which waits.
pub(super) async fn envelope(system: &System, n: u64) -> Measured {
    let done = Arc::new(Notify::new());
    let signal = done.clone();
    let spec =
        ChildSpec::new(format!("mailroom-{n}"), move || Mailroom { left: n, done: signal.clone() });
    let addr = system.spawn(spec).expect("the name is free");
    let id: AgentId = addr.id().clone();
    let payload = Bytes::from(vec![7; 64]);
    let watch = Stopwatch::start();
    for _ in 0..n {
        let envelope = system.envelope(id.clone(), MessageType::User, payload.clone());
        match system.route(envelope) {
            Ok(()) => {}
            Err(SendError::Full(envelope)) => {
                addr.send(envelope).await.expect("the agent takes it");
            }
            Err(error) => unreachable!("{error}"),
        }
    }
    done.notified().await;
    watch.stop(n)
}

/// Does nothing, under a supervisor that watches its heartbeats.
struct Idle;

impl Agent for Idle {
    type Msg = u64;
    type Error = Report;

    async fn handle(&mut self, _: u64, _: &mut Context<Self>) -> Result<(), Report> {
        Ok(())
    }
}

/// Supervisors with 10,000 children each; memory per child, and what idling costs.
pub(super) async fn idle_supervised(system: &System, n: u64) -> Measured {
    const PER_SUPERVISOR: u64 = 10_000;
    // A quick run has a tenth of the agents, and a tenth of the patience would show nothing.
    let idling = Duration::from_secs(if n < 1_000_000 { 3 } else { 10 });
    // The warm-up ran in the same system.
    let crowd = |i: u64| format!("crowd-{n}-{i}");
    let mut addrs = Vec::with_capacity(capacity(n));
    let before = cpu::resident_bytes();
    let watch = Stopwatch::start();
    for first in (0..n).step_by(capacity(PER_SUPERVISOR)) {
        let tree = Supervisor::dynamic(crowd(first));
        let tree = system.supervise(tree).await.expect("the supervisor starts");
        for i in first..n.min(first + PER_SUPERVISOR) {
            let spec = ChildSpec::new(format!("idle-{n}-{i}"), || Idle);
            addrs.push(tree.start_child(spec).await.expect("the child starts"));
        }
    }
    let measured = watch.stop(n);
    let bytes = (cpu::resident_bytes() - before) / cpu::real(n);
    let (cpu_before, idle_since) = (cpu::cpu_time(), Instant::now());
    tokio::time::sleep(idling).await;
    let used = cpu::cpu_time().saturating_sub(cpu_before);
    let share = used.as_secs_f64() / idle_since.elapsed().as_secs_f64();
    measured.with_bytes(bytes).with("idle_cpu_share", share)
}
