//! Measures `ggml-agent` against other actor frameworks and raw channels, each measurement in a
//! process of its own. See README.md.

mod cpu;
mod framework;
mod frameworks;
mod line;
mod measure;
mod stats;
mod workload;
mod workloads;

use std::io::Write;

use clap::{Parser, Subcommand};

use crate::line::Subject;
use crate::measure::Case;
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
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    match Cli::parse().command {
        Command::Measure { framework, workload, n, workers } => {
            let n = n.unwrap_or_else(|| workload.n());
            let line = measure::measure(Case { framework, workload, workers, n });
            let mut stdout = std::io::stdout().lock();
            serde_json::to_writer(&mut stdout, &line)?;
            writeln!(stdout)?;
            stdout.flush()?;
            Ok(())
        }
    }
}
