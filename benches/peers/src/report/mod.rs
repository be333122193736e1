//! The report: tables of a run, and with `--write` the page and the chart beside them.

mod chart;
mod host;
mod tables;

use std::io;
use std::path::Path;

use crate::line::{Line, Outcome};
use crate::summary::Summary;

/// The tables, as Markdown.
pub(crate) fn tables(lines: &[Line]) -> String {
    tables::all(&Summary::new(lines))
}

/// Writes `REPORT.md` and `chart.svg` beside the manifest.
pub(crate) fn write(lines: &[Line]) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let summary = Summary::new(lines);
    std::fs::write(folder.join("chart.svg"), chart::render(&chart::groups(&summary)))?;
    let rounds = lines.iter().filter_map(|line| line.round).max().unwrap_or(0);
    let quick =
        if is_quick(lines) { " A quick run: fewer operations than in a full one." } else { "" };
    let page = format!(
        "# ggml-agent next to its peers\n\n\
         ![Time per operation as a ratio to a raw tokio channel](chart.svg)\n\n\
         {host}\n## Method\n\n{METHOD}\nRounds: {rounds}.{quick}\n\n{tables}",
        host = host::describe(),
        tables = tables::all(&summary),
    );
    std::fs::write(folder.join("REPORT.md"), page)
}

fn is_quick(lines: &[Line]) -> bool {
    let is_short = |line: &Line| match &line.outcome {
        Outcome::Measured(measured) => measured.n * 2 < line.workload.n(),
        Outcome::Failed { .. } | Outcome::NotApplicable { .. } => false,
    };
    lines.iter().any(is_short)
}

const METHOD: &str = "\
Written by `bench-peers run --write`; [README.md](README.md) says how to read it.

- Each measurement is a process of its own, with a warm-up before the timed part. Frameworks are
  interleaved within a round, and each round begins with another one.
- tokio has two workers unless the table says otherwise. actix has its one thread, as its users have.
- Everybody runs in their defaults: ggml-agent and kameo with bounded mailboxes whose senders wait,
  the others unbounded. Handlers do nothing unless the workload says so; messages are 16 bytes.
- A ratio is taken against `tokio::sync::mpsc` (unbounded, a spawned task per actor) in the same
  round; what stands here is the median over the rounds. A difference of 15 % means nothing.
- CPU time is that of all threads of the process; memory is what the process has resident.
- actix has mailboxes of 1,024 in place of 16, since more askers than slots can hang. xtra does not
  keep the order of messages. Its workloads count messages, so that this changes nothing here.
";
