//! `ggml-agent bench fairness`: nobody starves beside an agent that is flooded, or beside one whose
//! handler holds its thread.

mod block;
mod crowd;
mod flood;

use std::time::Duration;

use ggml_agent::SystemRef;

use self::crowd::{Crowd, Taken};
use super::histogram::Percentiles;
use super::report::Report;
use super::say::{self, Unit};
use super::{clock, job::Job, stats};
use crate::failure::Failure;
use crate::seeded::Rng;

/// How much worse the 99th percentile may be beside a flooded agent.
const P99_RATIO_MAX: f64 = 3.0;
/// Longest that one may be kept waiting by another that blocks.
const DELAY_MAX: Duration = Duration::from_secs(1);
/// How soon a handler that holds its thread must be reported.
const BLOCKS_WITHIN: Duration = Duration::from_secs(1);
/// Each agent gets so many messages in a second.
const RATE: u32 = 100;
/// What is not measured at the beginning of a phase.
const WARM_UP: Duration = Duration::from_millis(300);

/// What is done, and how long.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Plan {
    n_agents: usize,
    /// Of each of the two phases.
    phase: Duration,
    /// How long the handler blocks.
    block: Duration,
}

impl Plan {
    pub(in super::super) fn new(seconds: u16, brief: bool) -> Self {
        let phase = Duration::from_secs(seconds.into()) / 2;
        let (n_agents, block) = if brief { (50, 2) } else { (1_000, 5) };
        Self { n_agents, phase, block: Duration::from_secs(block) }
    }
}

pub(in super::super) async fn run(
    system: &SystemRef,
    plan: Plan,
    report: &mut Report,
) -> Result<(), Failure> {
    let n = say::count(plan.n_agents as u64);
    let about = format!(
        "{n} supervised agents, {RATE} messages/s each by timers; latency is handled minus due. \
         {:.0} s unloaded, {:.0} s beside\none agent that 4 jobs flood without pause, then {} s beside \
         a handler that holds its thread.",
        plan.phase.as_secs_f64(),
        plan.phase.as_secs_f64(),
        plan.block.as_secs()
    );
    let fields = [
        ("agents", plan.n_agents.into()),
        ("messages_per_second", RATE.into()),
        ("phase_seconds", plan.phase.as_secs_f64().into()),
        ("block_seconds", plan.block.as_secs().into()),
    ];
    report.head("bench fairness", &about, &fields);
    let began_at = clock::now();
    let crowd = Crowd::start(system, plan.n_agents).await?;
    clock::pause(WARM_UP).await;
    crowd.take().await?;

    report
        .note(&format!("\n{}", row("", ["p50", "p99", "p99.9", "max", "since sent: p50", "p99"])));
    let unloaded = phase(&crowd, plan.phase).await?;
    say_latencies(report, "unloaded", "unloaded", &unloaded, plan.phase);
    let flood = flood::Flood::start(system).await?;
    clock::pause(WARM_UP).await;
    crowd.take().await?;
    let n_before = flood.n_handled().await?;
    let flooded = phase(&crowd, plan.phase).await?;
    let rate = stats::ratio((flood.n_handled().await? - n_before) as f64, plan.phase.as_secs_f64());
    flood.stop().await?;
    say_latencies(report, "flooded", "beside the flooded one", &flooded, plan.phase);
    let rate = rate.unwrap_or(0.0);
    let text = format!("the flooded agent handled {}", say::figure(rate, Unit::PerSecond));
    let fields = [("unit", Unit::PerSecond.name().into()), ("value", say::json(rate))];
    report.measurement("flood", text, fields);
    check_flood(report, unloaded.latencies.percentiles(), flooded.latencies.percentiles());

    if report.n_workers() < 2 {
        report
            .skip("blocked", "a handler that holds its thread: with one worker it holds them all");
    } else {
        // The crowd catches up first. Not at a fixed time after the start of the system: its watch
        // looks at the threads every so often, and each moment between two looks shall have its turn.
        let moment = Rng::new(clock::ns_since(began_at)).next() % 500;
        clock::pause(WARM_UP + Duration::from_millis(moment)).await;
        crowd.take().await?;
        let found = block::run(system, &crowd, plan.block).await?;
        say_latencies(report, "blocked", "beside the blocked one", &found.taken, plan.block);
        check_block(report, &found, plan.n_agents);
    }
    crowd.stop().await;
    report.conclude()
}

/// What the crowd sees in so long.
async fn phase(crowd: &Crowd, time: Duration) -> Result<Taken, Failure> {
    clock::pause(time).await;
    Ok(crowd.take().await?)
}

fn check_flood(report: &mut Report, unloaded: Percentiles, flooded: Percentiles) {
    let ratio = stats::ratio(flooded.p99, unloaded.p99).unwrap_or(f64::INFINITY);
    let statement = format!(
        "beside a flooded agent the 99th percentile is at most {P99_RATIO_MAX:.0} times as long: {}x",
        say::digits(ratio)
    );
    let fields = [("value", say::json(ratio)), ("bound", P99_RATIO_MAX.into())];
    report.check("flooded_p99_ratio", ratio <= P99_RATIO_MAX, &statement, fields);
}

fn check_block(report: &mut Report, found: &block::Found, n_agents: usize) {
    let n_delayed = found.taken.n_delayed;
    let statement = format!(
        "nobody but the blocked one waits for more than {} s: {} of {} did",
        DELAY_MAX.as_secs(),
        say::count(n_delayed as u64),
        say::count(n_agents as u64),
    );
    let fields = [("value", n_delayed.into()), ("bound", 0.into())];
    report.check("delayed_agents", n_delayed == 0, &statement, fields);
    let after = found.reported_after;
    let said = after.map_or_else(
        || "it never came".to_owned(),
        |after| say::figure(clock::ns(after) as f64, Unit::Ns),
    );
    let within = BLOCKS_WITHIN.as_secs();
    let statement =
        format!("a handler that holds its thread is reported within {within} s: {said}");
    let ms = |time: Duration| say::json(time.as_secs_f64() * 1e3);
    let fields = [("value_ms", after.map(ms).into()), ("bound_ms", ms(BLOCKS_WITHIN))];
    let holds = after.is_some_and(|after| after <= BLOCKS_WITHIN);
    report.check("blocks_reported", holds, &statement, fields);
}

fn say_latencies(
    report: &mut Report,
    name: &'static str,
    says: &str,
    taken: &Taken,
    time: Duration,
) {
    let found = taken.latencies.percentiles();
    let passages = taken.passages.percentiles();
    let shown = [found.p50, found.p99, found.p999, found.max, passages.p50, passages.p99];
    let text = row(says, shown.map(|value| say::figure(value, Unit::Ns)));
    let per_second = taken.latencies.len() as f64 / time.as_secs_f64();
    let fields = [
        ("unit", Unit::Ns.name().into()),
        ("messages", taken.latencies.len().into()),
        ("messages_per_second", say::json(per_second)),
        ("p50", say::json(found.p50)),
        ("p90", say::json(found.p90)),
        ("p99", say::json(found.p99)),
        ("p999", say::json(found.p999)),
        ("max", say::json(found.max)),
        ("since_sent_p50", say::json(passages.p50)),
        ("since_sent_p99", say::json(passages.p99)),
        ("since_sent_max", say::json(passages.max)),
    ];
    report.measurement(name, text, fields);
}

fn row(name: &str, columns: [impl std::fmt::Display; 6]) -> String {
    let [p50, p99, p999, max, sent_p50, sent_p99] = columns;
    let latencies = format!("{name:<24}{p50:>10}{p99:>10}{p999:>10}{max:>10}");
    format!("{latencies}{sent_p50:>18}{sent_p99:>10}").trim_end().to_owned()
}

/// Runs on a worker, as users' code does.
async fn on_worker<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    Job::start(work).done().await
}
