//! The tables of a report.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::line::{Measured, Subject};
use crate::summary::{Setting, Summary};
use crate::table::{number, number_or_dash, ratio_or_dash, render};
use crate::targets;
use crate::workload::Workload;

const OURS: Subject = Subject::GgmlAgent;

/// Workers of all tables but that of scaling.
const WORKERS: usize = 2;

pub(super) fn all(summary: &Summary<'_>) -> String {
    let mut text = String::new();
    let mut section = |title: &str, intro: &str, body: &str| {
        if !body.is_empty() {
            write!(text, "## {title}\n\n{intro}\n\n{body}\n").expect("a string takes all");
        }
    };
    section(
        "Time",
        "Wall ns per operation, in brackets wall x and CPU x `tokio-mpsc`. The target is one for our \
         wall ratio.",
        &times(summary),
    );
    section(
        "Ours and the quickest framework",
        "Channels are no frameworks. Below 1 ours is quicker.",
        &quickest(summary),
    );
    section(
        "Memory",
        "Resident bytes per actor: after its start, and after its first message. Its address is part \
         of it.",
        &memory(summary),
    );
    section("Restarts and requests to end", "Restart in ns: median, p99.", &singles(summary));
    section("Scaling", "Time with 1 worker / time with 2, and with 8.", &scaling(summary));
    section("Other targets", "Within 15 %, and for first place clear of 15 %.", &goals(summary));
    section("Operations", "What is counted.", &operations(summary));
    section("Not measured", "And why.", &gaps(summary));
    text
}

fn headers<'a>(first: &str, others: impl IntoIterator<Item = &'a Subject>) -> Vec<String> {
    let others = others.into_iter().map(ToString::to_string);
    std::iter::once(first.to_owned()).chain(others).collect()
}

/// The columns: the yardstick, the other channels, the frameworks, ours.
fn columns(summary: &Summary<'_>) -> Vec<Subject> {
    let mut columns = summary.subjects();
    columns.sort_by_key(|subject| (*subject == OURS, *subject));
    columns
}

fn times(summary: &Summary<'_>) -> String {
    let columns = columns(summary);
    let mut headers = headers("workload", &columns);
    headers.extend(["target".to_owned(), "met".to_owned()]);
    let mut rows = Vec::new();
    for workload in summary.workloads() {
        let setting = (workload, WORKERS);
        let mut row = vec![workload.to_string()];
        row.extend(columns.iter().map(|subject| time(summary, setting, *subject)));
        let target = targets::wall_ratio_max(workload);
        let ratio = summary.wall_ratio(setting, OURS);
        let met = target.zip(ratio).map(|(at_most, ratio)| targets::is_within(ratio, at_most));
        row.push(target.map_or_else(String::new, |at_most| format!("{at_most}x")));
        row.push(met.map_or("", verdict).to_owned());
        rows.push(row);
    }
    render(&headers, &rows)
}

fn verdict(is_met: bool) -> &'static str {
    if is_met { "met" } else { "not met" }
}

fn time(summary: &Summary<'_>, setting: Setting, subject: Subject) -> String {
    let Some(wall_ns) = summary.wall_ns(setting, subject) else {
        return if summary.reason(setting, subject).is_some() { "n/a" } else { "" }.to_owned();
    };
    let ratios = summary.wall_ratio(setting, subject).zip(summary.cpu_ratio(setting, subject));
    match ratios {
        Some((wall, cpu)) => format!("{} ({wall:.2}, {cpu:.2})", number(wall_ns)),
        None => number(wall_ns),
    }
}

fn quickest(summary: &Summary<'_>) -> String {
    let headers = ["workload", "ours ns", "quickest framework", "its ns", "ours / its"];
    let mut rows = Vec::new();
    for workload in summary.workloads() {
        let setting = (workload, WORKERS);
        let is_peer = |subject: Subject| subject != OURS && !subject.is_channel();
        let (Some(ours), Some(peer)) =
            (summary.wall_ns(setting, OURS), summary.quickest(setting, is_peer))
        else {
            continue;
        };
        rows.push(vec![
            workload.to_string(),
            number(ours),
            peer.to_string(),
            number_or_dash(summary.wall_ns(setting, peer)),
            ratio_or_dash(summary.against(setting, OURS, peer)),
        ]);
    }
    table_or_nothing(&headers, &rows)
}

fn table_or_nothing(headers: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    render(&headers.iter().map(|header| (*header).to_owned()).collect::<Vec<_>>(), rows)
}

fn extra(name: &'static str) -> impl Fn(&Measured) -> Option<f64> {
    move |measured| measured.extra.get(name).copied()
}

fn memory(summary: &Summary<'_>) -> String {
    let mut rows = Vec::new();
    for subject in columns(summary) {
        let of = |workload, of: &dyn Fn(&Measured) -> Option<f64>| {
            summary.median((workload, WORKERS), subject, of)
        };
        let idle = of(Workload::ManyIdle, &|measured| measured.bytes);
        let after = of(Workload::ManyIdle, &extra("bytes_after"));
        let supervised = of(Workload::IdleSupervised, &|measured| measured.bytes);
        if idle.or(supervised).is_some() {
            rows.push(vec![
                subject.to_string(),
                number_or_dash(idle),
                number_or_dash(after),
                number_or_dash(supervised),
            ]);
        }
    }
    table_or_nothing(&["", "idle", "after a message", "idle, supervised, heartbeats on"], &rows)
}

fn singles(summary: &Summary<'_>) -> String {
    let mut rows = Vec::new();
    for subject in columns(summary) {
        let of = |workload, name| summary.median((workload, WORKERS), subject, extra(name));
        let cells = [
            of(Workload::Restart, "median_ns"),
            of(Workload::Restart, "p99_ns"),
            of(Workload::SystemBehind, "handled"),
        ];
        if cells.iter().any(Option::is_some) {
            let cells = cells.iter().map(|cell| number_or_dash(*cell));
            rows.push(std::iter::once(subject.to_string()).chain(cells).collect());
        }
    }
    table_or_nothing(&["", "restart", "p99", "messages handled after the request"], &rows)
}

fn scaling(summary: &Summary<'_>) -> String {
    let mut rows = Vec::new();
    for subject in columns(summary) {
        let cells = [Workload::FanOut, Workload::Skynet]
            .into_iter()
            .flat_map(|workload| [(workload, 2), (workload, 8)])
            .map(|(workload, workers)| targets::scaling(summary, workload, workers, subject))
            .collect::<Vec<_>>();
        if cells.iter().any(Option::is_some) {
            let cells = cells.into_iter().map(ratio_or_dash);
            rows.push(std::iter::once(subject.to_string()).chain(cells).collect());
        }
    }
    table_or_nothing(&["", "fan_out, 2", "fan_out, 8", "skynet, 2", "skynet, 8"], &rows)
}

fn goals(summary: &Summary<'_>) -> String {
    let rows: Vec<_> = targets::goals(summary)
        .into_iter()
        .map(|goal| vec![goal.what, goal.target, goal.measured, verdict(goal.is_met).to_owned()])
        .collect();
    table_or_nothing(&["", "target", "measured", "met"], &rows)
}

fn operations(summary: &Summary<'_>) -> String {
    let workloads = summary.workloads();
    let items =
        workloads.iter().map(|workload| format!("- {workload}: {}\n", workload.operation()));
    items.collect()
}

/// One line for each reason: `restart: it has no supervision (xtra)`.
fn gaps(summary: &Summary<'_>) -> String {
    let mut text = String::new();
    for workload in summary.workloads() {
        let mut by_reason: BTreeMap<String, BTreeSet<Subject>> = BTreeMap::new();
        for workers in workload.workers() {
            for subject in columns(summary) {
                let Some(mut reason) = summary.reason((workload, *workers), subject) else {
                    continue;
                };
                if *workers != WORKERS {
                    write!(reason, ", with {workers} workers").expect("a string takes all");
                }
                by_reason.entry(reason).or_default().insert(subject);
            }
        }
        for (reason, subjects) in by_reason {
            let subjects: Vec<_> = subjects.iter().map(ToString::to_string).collect();
            writeln!(text, "- {workload}: {reason} ({})", subjects.join(", "))
                .expect("a string takes all");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::Outcome;
    use crate::summary::tests::line;

    #[test]
    fn the_table_of_times_has_ratios_and_a_verdict() {
        let of = |framework, ns| line(framework, Workload::Tell, 1, ns);
        let lines = [of(OURS, 40.0), of(Subject::TokioMpsc, 100.0), of(Subject::Actix, 120.0)];
        let text = all(&Summary::new(&lines));
        let row = "| tell | 100 (1.00, 1.00) | 120 (1.20, 1.20) | 40 (0.40, 0.40) | 0.5x | met |";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("| tell | 40 | actix | 120 | 0.33x |"), "{text}");
        assert!(!text.contains("## Memory"), "{text}");
    }

    #[test]
    fn a_reason_stands_once_with_all_whom_it_concerns() {
        let without = |framework| {
            let mut line = line(framework, Workload::Restart, 1, 1.0);
            line.outcome = Outcome::NotApplicable { not_applicable: "it cannot".to_owned() };
            line
        };
        let lines = [without(Subject::Xtra), without(Subject::Actix)];
        assert_eq!(gaps(&Summary::new(&lines)), "- restart: it cannot (actix, xtra)\n");
    }
}
