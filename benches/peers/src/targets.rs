//! What `ggml-agent` aims for, and whether a run has shown it.

use crate::line::{Measured, Subject};
use crate::summary::{SLACK, Setting, Summary};
use crate::table::{number, ratio_or_dash};
use crate::workload::Workload;

/// The most that a workload may cost, in wall time of tokio's channel.
pub(crate) fn wall_ratio_max(workload: Workload) -> Option<f64> {
    Some(match workload {
        Workload::Spawn => 0.2,
        Workload::FanIn => 0.3,
        Workload::Tell | Workload::Ask => 0.5,
        Workload::Broadcast => 0.55,
        Workload::TellExt | Workload::AskMany | Workload::Restart => 0.6,
        Workload::PingPong | Workload::Ring => 0.65,
        Workload::NamedSend => 0.75,
        _ => return None,
    })
}

/// Whether a cost is within its target.
pub(crate) fn is_within(cost: f64, at_most: f64) -> bool {
    cost <= at_most * SLACK
}

/// A target that is not a ratio to tokio's channel.
#[derive(Debug)]
pub(crate) struct Goal {
    pub(crate) what: String,
    pub(crate) target: String,
    pub(crate) measured: String,
    pub(crate) is_met: bool,
}

const OURS: Subject = Subject::GgmlAgent;

/// How many times as quick as another framework; 1 means ahead of it by more than the spread.
const TIMES_AS_QUICK: [(Workload, Subject, f64); 11] = [
    (Workload::Tell, Subject::Actix, 2.0),
    (Workload::Tell, Subject::Ractor, 8.0),
    (Workload::Tell, Subject::Kameo, 8.0),
    (Workload::Ask, Subject::Actix, 3.0),
    (Workload::Ask, Subject::Ractor, 3.0),
    (Workload::Ask, Subject::Kameo, 3.0),
    (Workload::Ask, Subject::Xtra, 3.0),
    (Workload::Ask, Subject::Beam, 3.0),
    (Workload::PingPong, Subject::Actix, 1.0),
    (Workload::AskMany, Subject::Actix, 1.0),
    (Workload::Ring, Subject::Actix, 1.0),
];

/// Those goals that the run has numbers for.
pub(crate) fn goals(summary: &Summary<'_>) -> Vec<Goal> {
    let mut goals = Vec::new();
    for (workload, peer, times) in TIMES_AS_QUICK {
        // How many times as long the other one takes.
        if let Some(quicker) = summary.against((workload, 2), peer, OURS) {
            let needed = if times > 1.0 { times / SLACK } else { SLACK };
            goals.push(Goal {
                what: format!("{workload}: times as quick as {peer}"),
                target: if times > 1.0 { number(times) } else { "ahead".to_owned() },
                measured: number(quicker),
                is_met: quicker >= needed,
            });
        }
    }
    goals.extend(costs(summary));
    goals.extend(scaling_goals(summary));
    goals
}

/// Memory, idling, the tail of restarts, the road of envelopes, the system lane.
fn costs(summary: &Summary<'_>) -> Vec<Goal> {
    let mut goals = Vec::new();
    let mut at_most = |what: &str, at_most: f64, unit: &str, slack: f64, cost: Option<f64>| {
        let Some(cost) = cost else { return };
        goals.push(Goal {
            what: what.to_owned(),
            target: format!("at most {}{unit}", number(at_most)),
            measured: format!("{}{unit}", number(cost)),
            is_met: cost <= at_most * slack,
        });
    };
    let ours =
        |workload, of: &dyn Fn(&Measured) -> Option<f64>| summary.median((workload, 2), OURS, of);
    let extra = |name: &'static str| move |m: &Measured| m.extra.get(name).copied();
    at_most("bytes per idle agent", 400.0, "", SLACK, ours(Workload::ManyIdle, &|m| m.bytes));
    let supervised = ours(Workload::IdleSupervised, &|m| m.bytes);
    // 512 MiB for 1,000,000 of them.
    at_most("bytes per idle supervised agent", 536.87, "", SLACK, supervised);
    let share = ours(Workload::IdleSupervised, &extra("idle_cpu_share"));
    at_most("idle supervised agents: % of a core", 1.0, " %", SLACK, share.map(|s| s * 100.0));
    let tail =
        ours(Workload::Restart, &|m| Some(m.extra.get("p99_ns")? / m.extra.get("median_ns")?));
    at_most("restart: p99 in medians", 3.0, "", SLACK, tail);
    let tell = ((Workload::Tell, 2), OURS);
    let envelope = summary.ratio(((Workload::Envelope, 2), OURS), tell, |m| m.wall_ns);
    at_most("envelope road in tells", 1.5, "", SLACK, envelope);
    let handled = ours(Workload::SystemBehind, &extra("handled"));
    // Exact: one more is one too many.
    at_most("messages handled after a shutdown request", 1.0, "", 1.0, handled);
    goals
}

/// How many times as long one worker takes as `workers`.
pub(crate) fn scaling(
    summary: &Summary<'_>,
    workload: Workload,
    workers: usize,
    framework: Subject,
) -> Option<f64> {
    let at = |workers| ((workload, workers) as Setting, framework);
    summary.ratio(at(1), at(workers), |measured| measured.wall_ns)
}

fn scaling_goals(summary: &Summary<'_>) -> Vec<Goal> {
    let mut goals = Vec::new();
    for workload in [Workload::FanOut, Workload::Skynet] {
        let two = scaling(summary, workload, 2, OURS);
        if let Some(two) = two {
            goals.push(Goal {
                what: format!("{workload}: time with 1 worker / with 2"),
                target: "at least 1.7".to_owned(),
                measured: ratio_or_dash(Some(two)),
                is_met: two >= 1.7 / SLACK,
            });
        }
        if let Some(eight) = scaling(summary, workload, 8, OURS) {
            goals.push(Goal {
                what: format!("{workload}: time with 1 worker / with 8"),
                // More workers than cores may cost something, but not the gain of the second one.
                target: "at least 1, no collapse".to_owned(),
                measured: ratio_or_dash(Some(eight)),
                is_met: eight >= 1.0 / SLACK,
            });
        }
    }
    goals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::tests::line;

    #[test]
    fn a_target_is_met_within_the_spread_and_first_place_is_clear_of_it() {
        assert!(is_within(0.57, 0.5));
        assert!(!is_within(0.58, 0.5));
        let met = |workload, actix_ns| {
            let lines =
                [line(OURS, workload, 1, 100.0), line(Subject::Actix, workload, 1, actix_ns)];
            goals(&Summary::new(&lines))[0].is_met
        };
        assert!(met(Workload::Tell, 180.0));
        assert!(!met(Workload::Tell, 170.0));
        assert!(met(Workload::Ring, 120.0));
        assert!(!met(Workload::Ring, 110.0));
    }
}
