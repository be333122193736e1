//! `ggml-agent runs`: work in steps that goes on where it stopped.

mod cancel;
mod export;
mod ls;
mod rm;
mod show;
mod signal;

use ggml_agent::{DurableSendError, RunMail, RunRecord, RunStatus, Runs, Untaken};
use serde_json::{Value, json};

use crate::args::{Global, RunsArgs, RunsVerb};
use crate::cbor;
use crate::cmd::look;
use crate::failure::{Code, Failure};
use crate::moment;
use crate::output::{Screen, plain};
use crate::state::{self, State};

const SCHEMA: &str = "ggml-agent.runs/1";

pub(crate) fn run(args: &RunsArgs, global: &Global) -> Result<(), Failure> {
    let mut screen = Screen::stdout(global, None, SCHEMA);
    let state = match &args.verb {
        RunsVerb::Ls | RunsVerb::Show { .. } => look(&args.state, &mut screen)?,
        // Its output is for programs.
        RunsVerb::Export { .. } => State::look(&args.state)?,
        RunsVerb::Signal { .. } | RunsVerb::Cancel { .. } | RunsVerb::Rm { .. } => {
            State::open(&args.state)?
        }
    };
    let shelf = Shelf { runs: Runs::of(&state.store), state };
    match &args.verb {
        RunsVerb::Ls => ls::run(&shelf, &mut screen),
        RunsVerb::Show { name } => show::run(name, &shelf, &mut screen),
        RunsVerb::Signal { name, signal, payload } => {
            signal::run(name, signal, payload, &shelf, &mut screen)
        }
        RunsVerb::Cancel { name } => cancel::run(name, &shelf, &mut screen),
        RunsVerb::Export { name } => export::run(name, &shelf, &mut screen),
        RunsVerb::Rm { name, yes } => rm::run(name, *yes, &shelf, &mut screen),
    }
}

/// The runs of a state folder.
struct Shelf {
    state: State,
    runs: Runs,
}

impl Shelf {
    fn find(&self, name: &str) -> Result<RunRecord, Failure> {
        self.state.ask(self.runs.show(name))?.ok_or_else(|| unknown(name))
    }

    fn untaken(&self, name: &str) -> Result<Vec<Untaken>, Failure> {
        self.state.ask(self.runs.untaken(name))
    }

    /// Waits until something is sent.
    fn sent<T>(
        &self,
        sent: impl Future<Output = Result<T, DurableSendError>>,
    ) -> Result<T, Failure> {
        self.state.wait(sent).map_err(|error| match error {
            DurableSendError::Refused { cause, .. } => state::failed(&cause),
            error => Failure::new(Code::Failure, anyhow::Error::new(error)),
        })
    }
}

fn unknown(name: &str) -> Failure {
    Failure::msg(Code::NotFound, format!("there is no run \"{}\"", plain(name)))
        .next("`ggml-agent runs ls` lists them")
}

/// A run that nothing more can happen to.
fn is_over(name: &str, status: &RunStatus) -> Failure {
    let text = format!("the run \"{name}\" is over: it is {}", status.as_str());
    Failure::msg(Code::Conflict, text)
        .next(format!("`ggml-agent runs show {name}` says how it ended"))
}

/// Where a run stands, in words.
fn status_text(status: &RunStatus) -> String {
    let name = status.as_str();
    match status {
        RunStatus::Sleeping { until_ms } => format!("{name} until {}", moment::say(*until_ms)),
        RunStatus::Waiting { signal } => format!("{name} for signal {}", plain(signal)),
        RunStatus::Failed { report } => format!("{name}: {}", plain(report)),
        _ => name.to_owned(),
    }
}

/// What belongs to a status: what it waits for, until when, why.
fn status_detail(status: &RunStatus) -> Option<(&'static str, Value)> {
    match status {
        RunStatus::Sleeping { until_ms } => Some(("until_ms", (*until_ms).into())),
        RunStatus::Waiting { signal } => Some(("signal", signal.as_str().into())),
        RunStatus::Failed { report } => Some(("report", report.as_str().into())),
        _ => None,
    }
}

fn n_done(record: &RunRecord) -> usize {
    record.steps.iter().filter(|step| step.done_ms.is_some()).count()
}

/// What was sent to a run, in JSON.
fn untaken_json(untaken: &Untaken) -> Value {
    let sent_ms = untaken.sent_ms;
    match &untaken.mail {
        Ok(RunMail::Signal { name, payload }) => {
            json!({ "kind": "signal", "signal": name, "payload": cbor::kept_as_json(payload), "sent_ms": sent_ms })
        }
        Ok(RunMail::Cancel) => json!({ "kind": "cancel", "sent_ms": sent_ms }),
        Ok(_) => json!({ "kind": "other", "sent_ms": sent_ms }),
        Err(error) => json!({ "kind": "unreadable", "why": error.to_string(), "sent_ms": sent_ms }),
    }
}
