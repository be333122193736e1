//! Measures `ggml-agent` against other actor frameworks and raw channels, each measurement in a
//! process of its own. See README.md.

mod cpu;
mod framework;
mod frameworks;
mod line;
mod measure;
mod report;
mod run;
mod stats;
mod summary;
mod table;
mod targets;
mod workload;
mod workloads;

use std::io::{self, Write};

use clap::{Parser, Subcommand};

use crate::line::{Line, Subject};
use crate::measure::Case;
use crate::run::Plan;
use crate::workload::Workload;

/// Measures actor frameworks side by side.
#[derive(Debug, Parser)]
#[command(name = "bench-peers", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes one measurement in this process and prints it as a line of JSON.
    Measure {
        framework: Subject,
        workload: Workload,
        /// Operations; by default as many as take some tenths of a second.
        #[arg(long)]
        n: Option<u64>,
        /// Worker threads of the tokio runtime.
        #[arg(long, default_value_t = 2)]
        workers: usize,
    },
    /// Measures everything several times, each measurement in a process of its own, and prints
    /// tables.
    Run {
        /// Fewer operations and 3 rounds: shows that all works and roughly what comes out.
        #[arg(long)]
        quick: bool,
        /// Rounds; 7 by default, 3 when quick.
        #[arg(long)]
        rounds: Option<u32>,
        /// Only these workloads.
        #[arg(long, value_delimiter = ',')]
        only: Vec<Workload>,
        /// Only these frameworks.
        #[arg(long, value_delimiter = ',')]
        frameworks: Vec<Subject>,
        /// Writes REPORT.md and chart.svg too.
        #[arg(long)]
        write: bool,
    },
    /// Prints the tables of the last run once more.
    Report {
        /// Writes REPORT.md and chart.svg too.
        #[arg(long)]
        write: bool,
    },
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    match Cli::parse().command {
        Command::Measure { framework, workload, n, workers } => {
            let n = n.unwrap_or_else(|| workload.n());
            let line = measure::measure(Case { framework, workload, workers, n });
            print(&serde_json::to_string(&line)?)?;
        }
        Command::Run { quick, rounds, only, frameworks, write } => {
            let lines = run::run(&Plan::new(quick, rounds, only, frameworks))?;
            show(&lines, write)?;
        }
        Command::Report { write } => {
            let text = std::fs::read_to_string(run::results_path())?;
            let lines = text.lines().map(serde_json::from_str).collect::<Result<Vec<_>, _>>()?;
            show(&lines, write)?;
        }
    }
    Ok(())
}

fn show(lines: &[Line], write: bool) -> io::Result<()> {
    if write {
        report::write(lines)?;
    }
    print(&report::tables(lines))
}

fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")?;
    stdout.flush()
}
