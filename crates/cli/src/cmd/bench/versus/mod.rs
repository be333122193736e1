//! `ggml-agent bench`: agents beside raw tokio (a spawned task with an unbounded channel, answers by
//! oneshot), in rounds that alternate.

mod ask;
mod idle;
mod restart;
mod spawn;
mod tell;

use std::time::Duration;

use ggml_agent::SystemRef;

use super::job::Job;
use super::report::{Better, Name, Report};
use super::say::Unit;
use crate::failure::Failure;

/// Fewest rounds.
const ROUNDS_MIN: u32 = 5;
/// A round of all takes about so long, whatever the number of rounds.
const SECS_PER_ROUND: u32 = 4;

/// One thing to measure: in each round once for agents, once for tokio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Tell { n_senders: usize },
    Ask { n_askers: usize },
    Spawn,
    SpawnSupervised,
    Restart,
}

const CASES: [Case; 7] = [
    Case::Tell { n_senders: 1 },
    Case::Tell { n_senders: 8 },
    Case::Ask { n_askers: 1 },
    Case::Ask { n_askers: 64 },
    Case::Spawn,
    Case::SpawnSupervised,
    Case::Restart,
];

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Agents,
    Tokio,
}

const fn name(name: &'static str, says: &'static str, unit: Unit) -> Name {
    let better = if matches!(unit, Unit::PerSecond) { Better::More } else { Better::Less };
    Name { name, says, unit, better }
}

impl Case {
    /// What a round gives, in order.
    fn names(self) -> &'static [Name] {
        const TELL: [Name; 1] = [name("tell_1", "messages, 1 sender", Unit::PerSecond)];
        const TELL_8: [Name; 1] = [name("tell_8", "messages, 8 senders to 1", Unit::PerSecond)];
        const ASK: [Name; 5] = [
            name("ask_1_p50", "ask, 1 asker, agent at rest, p50", Unit::Ns),
            name("ask_1_p90", "                             p90", Unit::Ns),
            name("ask_1_p99", "                             p99", Unit::Ns),
            name("ask_1_p999", "                             p99.9", Unit::Ns),
            name("ask_1_rate", "                             rate", Unit::PerSecond),
        ];
        const ASK_64: [Name; 5] = [
            name("ask_64_p50", "ask, 64 askers,              p50", Unit::Ns),
            name("ask_64_p90", "                             p90", Unit::Ns),
            name("ask_64_p99", "                             p99", Unit::Ns),
            name("ask_64_p999", "                             p99.9", Unit::Ns),
            name("ask_64_rate", "                             rate", Unit::PerSecond),
        ];
        const SPAWN: [Name; 1] = [name("spawn", "spawn, until started", Unit::Ns)];
        const SUPERVISED: [Name; 1] =
            [name("spawn_supervised", "spawn under a supervisor", Unit::Ns)];
        const RESTART: [Name; 2] = [
            name("restart_p50", "panic to next message,       p50", Unit::Ns),
            name("restart_p99", "                             p99", Unit::Ns),
        ];
        match self {
            Self::Tell { n_senders: 1 } => &TELL,
            Self::Tell { .. } => &TELL_8,
            Self::Ask { n_askers: 1 } => &ASK,
            Self::Ask { .. } => &ASK_64,
            Self::Spawn => &SPAWN,
            Self::SpawnSupervised => &SUPERVISED,
            Self::Restart => &RESTART,
        }
    }

    /// Measures one side for about `time`; a figure for each name.
    async fn measure(
        self,
        side: Side,
        system: SystemRef,
        time: Duration,
    ) -> anyhow::Result<Vec<f64>> {
        Ok(match (self, side) {
            (Self::Tell { n_senders }, Side::Agents) => {
                vec![tell::agents(&system, n_senders, time).await?]
            }
            (Self::Tell { n_senders }, Side::Tokio) => vec![tell::tokio(n_senders, time).await?],
            (Self::Ask { n_askers }, Side::Agents) => {
                ask::agents(&system, n_askers, time).await?.figures()
            }
            (Self::Ask { n_askers }, Side::Tokio) => ask::tokio(n_askers, time).await?.figures(),
            (Self::Spawn, Side::Agents) => vec![spawn::agents(&system, time).await?],
            (Self::SpawnSupervised, Side::Agents) => vec![spawn::supervised(&system, time).await?],
            (Self::Spawn | Self::SpawnSupervised, Side::Tokio) => vec![spawn::tokio(time).await],
            (Self::Restart, Side::Agents) => {
                restart::figures(&restart::agents(&system, time).await?)
            }
            (Self::Restart, Side::Tokio) => restart::figures(&restart::tokio(time).await?),
        })
    }
}

/// How the time is shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    n_rounds: u32,
    /// For one case of one side.
    slot: Duration,
    /// Idle agents of a round, and as many tasks.
    n_idle: usize,
}

impl Plan {
    fn new(seconds: u16) -> Self {
        let n_rounds = (u32::from(seconds) / SECS_PER_ROUND).max(ROUNDS_MIN);
        let n_slots = n_rounds * 2 * u32::try_from(CASES.len()).unwrap_or(u32::MAX);
        // A tenth is left for idle agents, for starts and for ends.
        let slot = Duration::from_secs(seconds.into()) * 9 / 10 / n_slots;
        Self { n_rounds, slot, n_idle: 1_000 * usize::from(seconds).clamp(2, 20) }
    }
}

pub(super) async fn run(
    system: &SystemRef,
    seconds: u16,
    report: &mut Report,
) -> Result<(), Failure> {
    let plan = Plan::new(seconds);
    let about = format!(
        "Agents as users get them (bounded mailbox, counted, supervised where it says so) beside raw \
         tokio (a task with\nan unbounded channel, answers by oneshot): medians of {} rounds that \
         alternate, in about {seconds} s.",
        plan.n_rounds
    );
    let fields = [("seconds", seconds.into()), ("rounds", plan.n_rounds.into())];
    report.head("bench", &about, &fields);
    // First, while no memory has been given back that could be used again.
    let idle = idle::measure(system, plan.n_rounds, plan.n_idle).await?;
    let mut all = CASES.map(|case| Figures::new(case.names().len()));
    for round in 0..plan.n_rounds {
        for (case, figures) in CASES.into_iter().zip(&mut all) {
            // Who comes first finds a colder machine.
            let sides = if round % 2 == 0 {
                [Side::Agents, Side::Tokio]
            } else {
                [Side::Tokio, Side::Agents]
            };
            for side in sides {
                let job = Job::start(case.measure(side, system.clone(), plan.slot));
                figures.add(side, job.done().await?);
            }
        }
    }
    report.versus_heading();
    for (case, figures) in CASES.into_iter().zip(&all) {
        for (name, (ours, tokio)) in case.names().iter().zip(&figures.of_name) {
            report.versus(*name, ours, tokio);
        }
    }
    match idle {
        Some((ours, tokio)) => {
            let name = name("idle_bytes", "memory of an idle agent", Unit::Bytes);
            report.versus(name, &ours, &tokio);
        }
        None => report.skip("idle_bytes", "memory of an idle agent: this system has no /proc"),
    }
    report.conclude()
}

/// The figures of all rounds of a case: for each name those of agents and those of tokio.
struct Figures {
    of_name: Vec<(Vec<f64>, Vec<f64>)>,
}

impl Figures {
    fn new(n_names: usize) -> Self {
        Self { of_name: vec![(Vec::new(), Vec::new()); n_names] }
    }

    fn add(&mut self, side: Side, round: Vec<f64>) {
        for ((agents, tokio), figure) in self.of_name.iter_mut().zip(round) {
            let of_side = if side == Side::Agents { agents } else { tokio };
            of_side.push(figure);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slots_fit_the_time_and_there_are_at_least_five_rounds() {
        for seconds in [2, 3, 20, 21, 600] {
            let plan = Plan::new(seconds);
            assert!(plan.n_rounds >= 5, "{plan:?}");
            let all = plan.slot * plan.n_rounds * 2 * 7;
            let budget = Duration::from_secs(seconds.into());
            assert!(all <= budget * 9 / 10 && all > budget * 8 / 10, "{plan:?}");
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> =
            CASES.iter().flat_map(|case| case.names()).map(|name| name.name).collect();
        let n = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), n);
    }
}
