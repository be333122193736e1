//! `ggml-agent bench memory`: what idle and busy agents weigh, under supervisors with heartbeats on.
//!
//! Resident memory alone: exact bytes of the heap would need an allocator that counts, and that
//! would slow down every command.

use std::time::Duration;

use ggml_agent::{Addr, Agent, ChildSpec, Context, Report, Supervisor, SupervisorRef, SystemRef};
use tokio::sync::watch;

use super::job::Job;
use super::report::Report as Lines;
use super::say::{self, Unit};
use super::{clock, machine, stats};
use crate::failure::Failure;

/// Children of one supervisor.
const CHILDREN_MAX: usize = 10_000;
/// Agents that get a burst, and messages that each of them gets.
const BURST_AGENTS: usize = 1_000;
const BURST_MESSAGES: u64 = 1_000;
/// After the burst, until memory is looked at again.
const REST: Duration = Duration::from_secs(2);
/// How often, and how many times, it is looked whether a burst was handled: 60 s.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);
const LOOKS_MAX: u32 = 3_000;
/// How much more than idle agents those that were busy may hold on to.
const AFTER_RATIO_MAX: f64 = 1.2;

/// What is done, and how long.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Plan {
    n_agents: usize,
    /// How long they are watched while idle.
    idle: Duration,
}

impl Plan {
    pub(in super::super) fn new(n_agents: u32, brief: bool) -> Self {
        let idle = Duration::from_millis(if brief { 200 } else { 5_000 });
        Self { n_agents: usize::try_from(n_agents).unwrap_or(usize::MAX), idle }
    }
}

/// As small as an agent can be.
struct Idle;

impl Agent for Idle {
    type Msg = u64;
    type Error = Report;

    async fn handle(&mut self, _msg: u64, _ctx: &mut Context<Self>) -> Result<(), Report> {
        Ok(())
    }
}

/// Waits at the gate when it is told to, and adds up what comes behind.
struct Worker {
    gate: watch::Receiver<bool>,
    sum: u64,
}

/// 32 bytes, as a small message with an id and a few numbers has.
enum Msg {
    Wait,
    Work([u64; 3]),
}

impl Agent for Worker {
    type Msg = Msg;
    type Error = Report;

    async fn handle(&mut self, msg: Msg, ctx: &mut Context<Self>) -> Result<(), Report> {
        match msg {
            // The gate is gone at the end of the burst at the latest.
            Msg::Wait => drop(ctx.protect(self.gate.wait_for(|is_open| *is_open)).await),
            Msg::Work(numbers) => self.sum += numbers.iter().sum::<u64>(),
        }
        Ok(())
    }
}

pub(in super::super) async fn run(
    system: &SystemRef,
    plan: Plan,
    report: &mut Lines,
) -> Result<(), Failure> {
    let n = say::count(plan.n_agents as u64);
    let about = format!(
        "{n} agents under dynamic supervisors of {} children each, with health checks every second.\n\
         Bytes are resident memory: what the operating system counts, with what the allocator keeps.",
        say::count(CHILDREN_MAX as u64)
    );
    report.head("bench memory", &about, &[("agents", plan.n_agents.into())]);
    if machine::resident_bytes().is_none() {
        report.skip("memory", "all of it: this system has no /proc");
        return report.conclude();
    }
    let before = resident();
    let began_at = clock::now();
    let crowd = start_idle(system, plan.n_agents).await?;
    let took = began_at.elapsed();
    report.note("");
    idle(plan.n_agents as u64, before, took, plan.idle, report).await;
    bursts(system, report).await?;
    for supervisor in crowd {
        supervisor.stop().await;
    }
    report.conclude()
}

/// Says what they weigh and what they cost while nothing happens.
async fn idle(n: u64, before: f64, took: Duration, watched: Duration, report: &mut Lines) {
    let total = (resident() - before).max(0.0);
    let each = total / n.max(1) as f64;
    let (each_said, total_said) = (bytes(each), bytes(total));
    let text = row("an idle agent", &each_said, &format!("{total_said} in all"));
    let fields = [
        ("unit", Unit::Bytes.name().into()),
        ("value", say::json(each)),
        ("total", say::json(total)),
    ];
    report.measurement("idle_bytes", text, fields);
    let each = clock::ns_per(took, n);
    let text = row("a start", &say::figure(each, Unit::Ns), &format!("{took:.2?} in all"));
    report.measurement(
        "start",
        text,
        [("unit", Unit::Ns.name().into()), ("value", say::json(each))],
    );

    let cpu_before = machine::cpu_time();
    let began_at = clock::now();
    clock::pause(watched).await;
    let elapsed = began_at.elapsed();
    let used =
        machine::cpu_time().zip(cpu_before).map(|(after, before)| after.saturating_sub(before));
    let Some(used) = used else {
        report.skip("idle_cpu", "CPU time while idle: this system does not say");
        return;
    };
    let percent = 100.0 * used.as_secs_f64() / elapsed.as_secs_f64();
    let over = format!("of one core, over {:.1} s", elapsed.as_secs_f64());
    let text = row("CPU while all are idle", &format!("{} %", say::digits(percent)), &over);
    report.measurement(
        "idle_cpu",
        text,
        [("unit", "percent of one core".into()), ("value", say::json(percent))],
    );
}

/// Says what busy agents weigh with full mailboxes, and after they have emptied them; then, with
/// as many others, whether what the first ones had could be used again.
async fn bursts(system: &SystemRef, report: &mut Lines) -> anyhow::Result<()> {
    let supervisor = system.supervise(Supervisor::dynamic("bench-busy")).await?;
    let (first, gate) = busy(&supervisor, "first").await?;
    let (second, other_gate) = busy(&supervisor, "second").await?;
    let idle = resident();
    fill(&first).await?;
    let peak = resident();
    empty(&first, &gate).await?;
    let after = resident();
    fill(&second).await?;
    let second_peak = resident();
    empty(&second, &other_gate).await?;
    for (name, says, found) in [
        ("burst_peak_bytes", "a busy agent, at the peak", peak),
        ("burst_after_bytes", "2 s after the burst", after),
        ("burst_again_bytes", "at the peak of 1,000 others", second_peak),
    ] {
        let each = (found - idle) / BURST_AGENTS as f64;
        let text = row(says, &bytes(each), "more than idle");
        let fields = [("unit", Unit::Bytes.name().into()), ("value", say::json(each))];
        report.measurement(name, text, fields);
    }
    let ratio = stats::ratio(after, idle).unwrap_or(f64::INFINITY);
    let statement = format!(
        "2 s after a burst the memory is at most {AFTER_RATIO_MAX} times that of before: {}x",
        say::digits(ratio)
    );
    let fields = [("value", say::json(ratio)), ("bound", AFTER_RATIO_MAX.into())];
    report.check("burst_given_back", ratio <= AFTER_RATIO_MAX, &statement, fields);
    let ratio = stats::ratio(second_peak - idle, peak - idle).unwrap_or(f64::INFINITY);
    let statement = format!(
        "a burst of others uses that memory again, at most {AFTER_RATIO_MAX} times as much: {}x",
        say::digits(ratio)
    );
    let fields = [("value", say::json(ratio)), ("bound", AFTER_RATIO_MAX.into())];
    report.check("burst_used_again", ratio <= AFTER_RATIO_MAX, &statement, fields);
    supervisor.stop().await;
    Ok(())
}

/// Agents for a burst, and their gate.
async fn busy(
    supervisor: &SupervisorRef,
    which: &str,
) -> anyhow::Result<(Vec<Addr<Worker>>, watch::Sender<bool>)> {
    let (open, gate) = watch::channel(false);
    let specs = (0..BURST_AGENTS).map(|i| {
        let gate = gate.clone();
        let worker = move || Worker { gate: gate.clone(), sum: 0 };
        ChildSpec::new(format!("bench-busy-{which}-{i}"), worker)
    });
    Ok((supervisor.start_children(specs).await?, open))
}

/// Sends each its burst while it waits at the gate.
// On the thread of the caller, which is always the same: so the allocator takes the memory of all
// bursts from one place.
async fn fill(agents: &[Addr<Worker>]) -> anyhow::Result<()> {
    for agent in agents {
        agent.send(Msg::Wait).await?;
        for i in 0..BURST_MESSAGES {
            agent.send(Msg::Work([i; 3])).await?;
        }
    }
    Ok(())
}

/// Lets them work, until all is done and a while longer.
async fn empty(agents: &[Addr<Worker>], gate: &watch::Sender<bool>) -> anyhow::Result<()> {
    gate.send_replace(true);
    let mut n_looks = 0;
    while agents.iter().any(|agent| agent.queued() > 0) {
        anyhow::ensure!(n_looks < LOOKS_MAX, "the messages of a burst are not handled");
        n_looks += 1;
        clock::pause(BETWEEN_LOOKS).await;
    }
    clock::pause(REST).await;
    Ok(())
}

fn resident() -> f64 {
    machine::resident_bytes().unwrap_or(0) as f64
}

/// Starts so many under as many supervisors as that takes.
async fn start_idle(system: &SystemRef, n_agents: usize) -> anyhow::Result<Vec<SupervisorRef>> {
    let system = system.clone();
    Job::start(async move {
        let mut supervisors: Vec<SupervisorRef> = Vec::new();
        let mut n_left = n_agents;
        while n_left > 0 {
            let n = n_left.min(CHILDREN_MAX);
            n_left -= n;
            let which = supervisors.len();
            let supervisor = Supervisor::dynamic(format!("bench-{which}"));
            let supervisor = system.supervise(supervisor).await?;
            let specs = (0..n).map(|i| ChildSpec::new(format!("bench-{which}-{i}"), || Idle));
            drop(supervisor.start_children(specs).await?);
            supervisors.push(supervisor);
        }
        Ok(supervisors)
    })
    .done()
    .await
}

fn bytes(value: f64) -> String {
    say::figure(value, Unit::Bytes)
}

fn row(name: &str, figure: &str, more: &str) -> String {
    format!("{name:<28}{figure:>12}  {more}")
}
