//! The subcommands.

mod bench;
mod completions;
mod demo;
mod version;

use crate::args::{Cli, Command};
use crate::failure::Failure;

/// Runs what was asked for.
pub(crate) fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Demo(args) => demo::run(&args, &cli.global),
        Command::Bench(args) => bench::run(&args, &cli.global),
        Command::Version => version::run(&cli.global),
        Command::Completions { shell } => completions::run(shell, &cli.global),
    }
}
