//! The subcommands.

mod bench;
mod completions;
mod deadletters;
mod demo;
mod doc;
mod runs;
mod store;
mod version;

use std::time::Duration;

use crate::args::{Cli, Command, StateArgs};
use crate::failure::{Code, Failure};
use crate::output::{self, Level, Line, Screen};
use crate::state::State;

/// Runs what was asked for.
pub(crate) fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Demo(args) => demo::run(&args, &cli.global),
        Command::Bench(args) => bench::run(&args, &cli.global),
        Command::Doc(args) => doc::run(&args, &cli.global),
        Command::Runs(args) => runs::run(&args, &cli.global),
        Command::DeadLetters(args) => deadletters::run(&args, &cli.global),
        Command::Store(args) => store::run(&args, &cli.global),
        Command::Version => version::run(&cli.global),
        Command::Completions { shell } => completions::run(shell, &cli.global),
    }
}

/// A line of what was asked for: it has no time and nobody who says it.
fn result(event: &'static str, text: String) -> Line {
    Line::new(Duration::ZERO, "", event, text).level(Level::Result)
}

/// Opens the store to read, and tells people if it is in use.
fn look(args: &StateArgs, screen: &mut Screen) -> Result<State, Failure> {
    let state = State::look(args)?;
    if state.is_copy() {
        screen.note("(as it was a moment ago: another process has the store open)");
    }
    Ok(state)
}

/// Lets a person agree to what cannot be taken back, who has not said --yes.
fn must_agree(question: &str, may_ask: bool) -> Result<(), Failure> {
    match may_ask.then(|| output::ask(question)).flatten() {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::msg(Code::Failure, "nothing was changed")
            .next("run the same command again and answer y")),
        None => Err(Failure::msg(Code::Usage, format!("not without --yes: {question}"))
            .next("this cannot be taken back: add --yes if you mean it")),
    }
}
