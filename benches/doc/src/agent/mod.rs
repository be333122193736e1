//! Documents behind their agents, on the real runtime: calls, deliveries and memory.

mod calls;
mod deliveries;
mod house;
mod memory;

use std::io::{self, Write as _};
use std::time::Duration;

use ggml_agent::Report;

use crate::table::{Table, short};

/// How much is measured.
#[derive(Debug)]
pub(crate) struct Scale {
    /// Calls of each kind.
    pub(crate) n_calls: usize,
    pub(crate) n_subscribers: usize,
    /// Deliveries as fast as they go.
    pub(crate) n_flood: usize,
    /// Edits at [`Scale::TICK`], after each of which the last subscriber is waited for.
    pub(crate) n_ticks: usize,
    /// Documents that are opened and left alone.
    pub(crate) n_documents: usize,
    pub(crate) rounds: usize,
}

impl Scale {
    pub(crate) const QUICK: Self = Self {
        n_calls: 20_000,
        n_subscribers: 1_000,
        n_flood: 100_000,
        n_ticks: 40,
        n_documents: 8,
        rounds: 1,
    };

    pub(crate) const FULL: Self = Self {
        n_calls: 200_000,
        n_flood: 1_000_000,
        n_ticks: 200,
        n_documents: 64,
        rounds: 3,
        ..Self::QUICK
    };

    /// 20 edits a second: what twenty agents that stream text come to once each tick is one edit.
    const TICK: Duration = Duration::from_millis(50);
    /// Longest wait for the agents of a round to end.
    const SHUTDOWN: Duration = Duration::from_secs(10);
}

/// Rows of the table: what, the figure, and its target or the reason for none.
type Rows = Vec<(String, String, &'static str)>;

/// Measures everything on `workers` threads and answers the table. Memory is measured on one thread of its own.
pub(crate) fn run(scale: &Scale, workers: usize) -> Result<String, Report> {
    let mut table = Table::new(&["what", "measured", "target"]);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
    let mut rows = Rows::new();
    say("calls")?;
    rows.extend(runtime.block_on(calls::measure(scale))?);
    say("deliveries")?;
    rows.extend(runtime.block_on(deliveries::measure(scale))?);
    drop(runtime);
    say("memory")?;
    rows.extend(memory::measure(scale)?);
    for (what, figure, target) in rows {
        table.push(vec![what, figure, target.to_owned()]);
    }
    let mut text = table.render();
    text.push_str(
        "\nTargets are for four quiet cores. Nothing here is durable. Rates are medians of the rounds; CPU is of \
         the whole process, callers and subscribers included.\n",
    );
    Ok(text)
}

fn say(what: &str) -> io::Result<()> {
    writeln!(io::stderr(), "measuring {what}")
}

/// A duration with a unit that suits it.
fn time(duration: Duration) -> String {
    let us = duration.as_secs_f64() * 1e6;
    if us < 1_000.0 { format!("{} us", short(us)) } else { format!("{} ms", short(us / 1_000.0)) }
}
