//! `ggml-agent`: the command line. One file per subcommand; the only place that prints or exits.
//!
//! It holds no rule: who restarts, who gets a lock and what an edit may do is decided in the crates
//! below. Here are arguments, files, signals, lines of output and exit codes.
//!
//! Reading order: `args`, `cmd` (one module per subcommand), `output` (everything that is printed),
//! `failure` (exit codes), `file` (whole or not at all), `state` (the folder of what is kept), `signal`.

mod args;
mod cmd;

mod cbor;
mod failure;
mod file;
mod moment;
mod output;
mod period;
mod seeded;
mod signal;
mod state;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;

fn main() -> ExitCode {
    // A panic of an agent is caught, reported as its exit reason and shown as an event; the hook
    // would print it a second time, with a backtrace.
    std::panic::set_hook(Box::new(|_| {}));
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return output::usage(&error),
    };
    let done = std::panic::catch_unwind(|| cmd::run(cli));
    match done.unwrap_or_else(|panic| Err(failure::Failure::internal(&*panic))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => output::failure(&failure),
    }
}
