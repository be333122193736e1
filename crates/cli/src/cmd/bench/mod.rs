//! `ggml-agent bench`: what this machine does with agents, beside raw tokio; and what the runtime
//! promises of fairness and memory, checked.
//!
//! Reading order: `versus` (the figures beside tokio's), `fairness`, `memory`; then what they share:
//! `report` (lines and checks), `histogram`, `stats`, `say`, `machine`, `job`, `clock`.

mod fairness;
mod memory;
mod versus;

mod clock;
mod histogram;
mod job;
mod machine;
mod report;
mod say;
mod stats;

use std::time::Duration;

use ggml_agent::System;
use tokio::runtime::Builder;

use self::report::Report;
use crate::args::{Bench, BenchArgs, Form, Global};
use crate::failure::{Code, Failure};
use crate::output::Screen;
use crate::signal;

/// How long the agents have to end before they are killed.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(10);

/// The schema of the JSON lines of all benchmarks.
const SCHEMA: &str = "ggml-agent.bench/1";

pub(crate) fn run(args: &BenchArgs, global: &Global) -> Result<(), Failure> {
    let n_workers = args.common.workers.map_or_else(machine::n_cores, usize::from);
    let runtime = Builder::new_multi_thread()
        .worker_threads(n_workers)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Code::Failure, error))?;
    // A table is for people, also behind a pipe, unless told otherwise.
    let form = if args.common.json { Form::Json } else { Form::Human };
    let mut report = Report::new(Screen::stdout(global, Some(form), SCHEMA), n_workers);
    runtime.block_on(async {
        let stop = signal::listen().map_err(|error| Failure::new(Code::Failure, error))?;
        let system = System::new();
        let brief = args.common.brief;
        let body = async {
            match args.what {
                None => versus::run(&system, args.seconds, &mut report).await,
                Some(Bench::Fairness { seconds }) => {
                    fairness::run(&system, fairness::Plan::new(seconds, brief), &mut report).await
                }
                Some(Bench::Memory { agents }) => {
                    memory::run(&system, memory::Plan::new(agents, brief), &mut report).await
                }
            }
        };
        let done = tokio::select! {
            biased;
            done = body => done,
            signal = stop => Err(signal.failure()),
        };
        system.shutdown(SHUTDOWN_DEADLINE).await;
        done
    })
}
