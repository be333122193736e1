//! `ggml-agent deadletters`: messages that could not be delivered.

mod drop;
mod ls;
mod resend;
mod show;

use ggml_agent_core::store::{DeadRecord, StoreError, Write};

use crate::args::{DeadLettersArgs, DeadLettersVerb, Global, Which};
use crate::cmd::{look, result};
use crate::failure::{Code, Failure};
use crate::output::{Line, Screen, Tone};
use crate::state::{self, State};

const SCHEMA: &str = "ggml-agent.deadletters/1";

/// Dead letters that are read at once: their payloads come with them, up to 1 MiB each.
const PAGE_LEN: usize = 16;

pub(crate) fn run(args: &DeadLettersArgs, global: &Global) -> Result<(), Failure> {
    let mut screen = Screen::stdout(global, None, SCHEMA);
    let state = match &args.verb {
        DeadLettersVerb::Ls | DeadLettersVerb::Show { .. } => look(&args.state, &mut screen)?,
        DeadLettersVerb::Resend { .. } | DeadLettersVerb::Drop { .. } => State::open(&args.state)?,
    };
    match &args.verb {
        DeadLettersVerb::Ls => ls::run(&state, &mut screen),
        DeadLettersVerb::Show { number } => show::run(*number, &state, &mut screen),
        DeadLettersVerb::Resend { which } => resend::run(which, &state, &mut screen),
        DeadLettersVerb::Drop { which, yes } => drop::run(which, *yes, &state, &mut screen),
    }
}

/// Visits all that are there, in order.
fn each(state: &State, mut visit: impl FnMut(DeadRecord)) -> Result<(), Failure> {
    let mut after = 0;
    loop {
        let page = state.ask(state.store.dead_letters(after, PAGE_LEN))?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.number;
        page.into_iter().for_each(&mut visit);
    }
}

fn find(state: &State, number: u64) -> Result<DeadRecord, Failure> {
    let page = state.ask(state.store.dead_letters(number.saturating_sub(1), 1))?;
    let found = page.into_iter().find(|letter| letter.number == number);
    found.ok_or_else(|| state::failed(&StoreError::UnknownDeadLetter { number }))
}

/// The numbers and receivers of those that are meant.
fn chosen(which: &Which, state: &State) -> Result<Vec<(u64, String)>, Failure> {
    let mut chosen = Vec::new();
    let mut choose =
        |letter: DeadRecord| chosen.push((letter.number, letter.envelope.to.to_string()));
    match which.number {
        Some(number) => choose(find(state, number)?),
        None => each(state, choose)?,
    }
    Ok(chosen)
}

/// What is done to each of those that are meant.
struct Act {
    event: &'static str,
    /// What was done, as in "3 resent".
    done: &'static str,
    summary: &'static str,
    write: fn(u64) -> Write,
}

/// Does it to one after the other: one that fails does not stop the others.
fn settle(
    act: &Act,
    chosen: &[(u64, String)],
    state: &State,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let mut errors = Vec::new();
    for (number, to) in chosen {
        let settled = state.wait(state.store.settle((act.write)(*number)));
        let named = |line: Line| line.with("number", *number).with("to", to.as_str());
        match settled {
            Ok(()) => {
                let text = format!("{number} {} (to {to})", act.done);
                screen.line(&named(result(act.event, text)));
            }
            Err(error) => {
                let text = format!("{number} not {} (to {to}): {error}", act.done);
                let line = named(result("deadletters.failed", text)).tone(Tone::Bad);
                screen.line(&line.with("why", error.to_string()));
                errors.push(error);
            }
        }
    }
    let (n_all, n_failed) = (chosen.len(), errors.len());
    let n_done = n_all - n_failed;
    let text = format!("{n_done} of {n_all} {}", act.done);
    screen.line(&result(act.summary, text).with("done", n_done).with("failed", n_failed));
    match errors.first() {
        None => Ok(()),
        Some(error) if n_all == 1 => Err(state::failed(error)),
        Some(error) => {
            let code = if n_done == 0 { Code::Failure } else { Code::Partial };
            let text = format!("{n_failed} of {n_all} dead letters were not {}", act.done);
            let first = state::failed(error);
            let failure = Failure::new(code, first.error.context(text));
            Err(Failure { next: first.next, ..failure })
        }
    }
}
