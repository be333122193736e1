//! Replays of traces, engine by engine in alternation: what disturbs the machine for a while disturbs all of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};

use crate::clock::{Spent, median, real, spent, us_each};
use crate::engine::Kind;
use crate::table::{Table, short};
use crate::trace::Trace;

/// What to replay.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    pub(crate) engines: Vec<Kind>,
}

/// One replay.
#[derive(Debug, Clone, Copy)]
struct Run {
    n_edits: usize,
    spent: Spent,
    n_bytes: usize,
    heap_bytes: i64,
    /// Whether the text is what it should be.
    is_right: bool,
}

/// Why a replay counts for nothing.
#[derive(Debug)]
pub(crate) enum ReplayError {
    /// The engine has another text than all others.
    WrongText {
        engine: Kind,
        trace: String,
    },
    Io(io::Error),
}

impl std::fmt::Display for ReplayError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::WrongText { engine, trace } => {
                write!(f, "{engine} has another text after the trace {trace}")
            }
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ReplayError {}

impl From<io::Error> for ReplayError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Replays `traces` and answers the tables.
pub(crate) fn run(plan: &Plan, traces: &[Trace]) -> Result<String, ReplayError> {
    let mut text = String::new();
    for trace in traces {
        let mut runs: BTreeMap<Kind, Vec<Run>> = BTreeMap::new();
        for round in 0..plan.rounds {
            let mut engines = plan.engines.clone();
            // Each round begins with another one.
            engines.rotate_left(round % plan.engines.len().max(1));
            for engine in engines {
                let run = replay(engine, trace);
                if !run.is_right {
                    return Err(ReplayError::WrongText { engine, trace: trace.name.clone() });
                }
                let us = short(us_each(run.spent.cpu, run.n_edits));
                writeln!(
                    io::stderr(),
                    "{}/{} {}: {engine}: {us} us",
                    round + 1,
                    plan.rounds,
                    trace.name
                )?;
                runs.entry(engine).or_default().push(run);
            }
        }
        text.push_str(&describe(trace));
        text.push_str(&tabulate(&runs).render());
        text.push('\n');
    }
    text.push_str(
        "us/edit: CPU time of the thread, median of the rounds; ratio: to strong mode in the same round, median; \
         heap: live at the end.\nEvery engine's final text was compared with that of a rope.\n",
    );
    Ok(text)
}

fn replay(kind: Kind, trace: &Trace) -> Run {
    let n_edits = trace.edits.len();
    let mut done = None;
    // The heap is that of this thread; no engine here has others.
    let heap = allocation_counter::measure(|| {
        let mut engine = kind.engine();
        let (n_bytes, spent) = spent(|| {
            let edits = trace.edits.iter();
            edits.map(|edit| engine.apply(edit.at, edit.del, &edit.insert)).sum()
        });
        done = Some((engine, n_bytes, spent));
    });
    let (mut engine, n_bytes, spent) = done.expect("invariant: the work was done");
    let is_right = engine.text() == trace.text_after(n_edits);
    Run { n_edits, spent, n_bytes, heap_bytes: heap.bytes_current, is_right }
}

fn describe(trace: &Trace) -> String {
    let shaped = trace.shaped();
    let whence = if trace.is_made {
        "MADE here, like the published one of the same numbers"
    } else {
        "published"
    };
    let mut text = format!("### {} ({whence})\n\n", trace.name);
    writeln!(
        text,
        "{} edits: {} characters in (at most {} at once), {} out, {} left; {} jumps of the cursor\n",
        shaped.n_edits,
        shaped.inserted,
        shaped.longest_insert,
        shaped.removed,
        shaped.inserted - shaped.removed,
        shaped.jumps
    )
    .expect("invariant: a String takes all");
    text
}

fn tabulate(runs: &BTreeMap<Kind, Vec<Run>>) -> Table {
    let heads = ["engine", "edits", "us/edit", "wall us", "ratio", "bytes/event", "heap KiB"];
    let mut table = Table::new(&heads);
    let ours = runs.get(&Kind::Strong);
    for (engine, runs) in runs {
        let each = |value: &dyn Fn(&Run) -> f64| median(runs.iter().map(value).collect());
        let cpu = |run: &Run| us_each(run.spent.cpu, run.n_edits);
        let ratio = ours.map(|ours| {
            median(runs.iter().zip(ours).map(|(run, ours)| cpu(run) / cpu(ours)).collect())
        });
        let bytes = each(&|run| real(run.n_bytes) / real(run.n_edits.max(1)));
        let heap = |run: &Run| real(usize::try_from(run.heap_bytes).unwrap_or(0)) / 1024.0;
        table.push(vec![
            engine.to_string(),
            runs.first().map_or(0, |run| run.n_edits).to_string(),
            short(each(&cpu)),
            short(each(&|run| us_each(run.spent.wall, run.n_edits))),
            ratio.map_or_else(|| "-".to_owned(), short),
            if bytes > 0.0 { short(bytes) } else { "-".to_owned() },
            short(each(&heap)),
        ]);
    }
    table
}
