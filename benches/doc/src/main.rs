//! Measures the document coordinator of `ggml-agent`: edits beside those of ropes and CRDTs, and calls and deliveries
//! through its agent. See README.md.

mod agent;
mod clock;
mod engine;
mod replay;
mod table;
mod trace;

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use ggml_agent::Report;

use crate::agent::Scale;
use crate::engine::Kind;
use crate::replay::Plan;
use crate::trace::{Shape, Trace};

/// Measures the document coordinator.
#[derive(Debug, Parser)]
#[command(name = "bench-doc", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Replays editing traces in every engine, in alternation, and prints tables.
    Traces {
        /// Rounds; the tables have the medians.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Only the first so many edits of each trace.
        #[arg(long)]
        edits: Option<usize>,
        /// Only these engines.
        #[arg(long, value_delimiter = ',')]
        engines: Vec<Kind>,
        /// Only these made traces.
        #[arg(long, value_delimiter = ',')]
        shapes: Vec<Shape>,
        /// Published traces instead of made ones: unpacked JSON files of the form of josephg/editing-traces, in
        /// its `ascii_only` variant.
        #[arg(long, num_args = 1..)]
        file: Vec<PathBuf>,
        /// Seed of the made traces.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Measures locks, edits, deliveries and memory of documents behind their agents.
    Agent {
        /// Some seconds instead of a minute: shows that all works, and roughly what comes out.
        #[arg(long)]
        quick: bool,
        /// Worker threads of the tokio runtime.
        #[arg(long, default_value_t = 2)]
        workers: usize,
    },
}

fn main() -> Result<(), Report> {
    match Cli::parse().command {
        Command::Traces { rounds, edits, engines, shapes, file, seed } => {
            let mut traces = Vec::new();
            for path in &file {
                traces.push(Trace::read(path)?);
            }
            if traces.is_empty() {
                traces.extend(or_all(shapes).into_iter().map(|shape| Trace::make(shape, seed)));
            }
            for trace in &mut traces {
                trace.cut(edits.unwrap_or(usize::MAX));
            }
            let plan = Plan { rounds: rounds.max(1), engines: or_all(engines) };
            print(&replay::run(&plan, &traces)?)?;
        }
        Command::Agent { quick, workers } => {
            let scale = if quick { Scale::QUICK } else { Scale::FULL };
            print(&agent::run(&scale, workers)?)?;
        }
    }
    Ok(())
}

fn or_all<T: clap::ValueEnum + Clone>(asked: Vec<T>) -> Vec<T> {
    if asked.is_empty() { T::value_variants().to_vec() } else { asked }
}

fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")?;
    stdout.flush()
}
