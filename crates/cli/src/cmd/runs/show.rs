//! `ggml-agent runs show`.

use ggml_agent::{Bytes, RunMail, RunRecord, RunStatus, SignalRecord, StepRecord, Untaken};

use crate::cbor;
use crate::cmd::result;
use crate::failure::Failure;
use crate::moment;
use crate::output::{Line, Screen, plain};

use super::{Shelf, n_done, status_detail, status_text, untaken_json};

/// Characters of a result that people see; `export` has it whole.
const CHARS_MAX: usize = 160;

pub(super) fn run(name: &str, shelf: &Shelf, screen: &mut Screen) -> Result<(), Failure> {
    let record = shelf.find(name)?;
    let untaken = shelf.untaken(name)?;
    screen.line(&head(name, &record));
    record.steps.iter().for_each(|step| screen.line(&of_step(step)));
    record.signals.iter().for_each(|signal| screen.line(&of_signal(signal)));
    untaken.iter().for_each(|untaken| screen.line(&of_untaken(untaken)));
    if let Some(next) = next(name, &record.status) {
        screen.note(&next);
    }
    Ok(())
}

fn head(name: &str, record: &RunRecord) -> Line {
    let mut rows = vec![
        ("run", plain(name)),
        ("status", status_text(&record.status)),
        ("flow", plain(&record.flow)),
        ("begun", moment::say(record.begun_ms)),
        ("latest", moment::say(record.latest_ms)),
        ("input", cbor::kept_in_line(&record.input, CHARS_MAX)),
    ];
    if let Some(output) = &record.output {
        rows.push(("output", cbor::kept_in_line(output, CHARS_MAX)));
    }
    let (done, begun, repeated) = (n_done(record), record.steps.len(), record.n_repeated());
    rows.push(("steps", format!("{done} of {begun} done, {repeated} times repeated")));
    let rows = rows.iter().map(|(name, value)| format!("{name:<8}  {value}"));
    let line = result("run", rows.collect::<Vec<_>>().join("\n"))
        .with("name", name)
        .with("flow", record.flow.as_str())
        .with("status", record.status.as_str());
    let detail = status_detail(&record.status);
    let line = detail.into_iter().fold(line, |line, (name, value)| line.with(name, value));
    let output = record.output.as_deref().map(cbor::kept_as_json);
    line.with("steps_done", done)
        .with("steps_begun", begun)
        .with("repeated", repeated)
        .with("begun_ms", record.begun_ms)
        .with("latest_ms", record.latest_ms)
        .with("input", cbor::kept_as_json(&record.input))
        .with("output", output)
}

fn of_step(step: &StepRecord) -> Line {
    let state =
        step.done_ms.map_or_else(|| "begun".to_owned(), |ms| format!("done {}", moment::say(ms)));
    let result_of = |bytes: &Bytes| format!("  {}", cbor::kept_in_line(bytes, CHARS_MAX));
    let text = format!(
        "  step    {:<20}  {:>3} x  {state}{}",
        plain(&step.key),
        step.attempts,
        step.result.as_ref().map(result_of).unwrap_or_default()
    );
    result("run.step", text)
        .with("key", step.key.as_str())
        .with("attempts", step.attempts)
        .with("begun_ms", step.begun_ms)
        .with("done_ms", step.done_ms)
        .with("result", step.result.as_deref().map(cbor::kept_as_json))
}

fn of_signal(signal: &SignalRecord) -> Line {
    let payload = cbor::kept_in_line(&signal.payload, CHARS_MAX);
    let text =
        format!("  signal  {:<20}  {}  {payload}", plain(&signal.name), moment::say(signal.at_ms));
    result("run.signal", text)
        .with("signal", signal.name.as_str())
        .with("payload", cbor::kept_as_json(&signal.payload))
        .with("taken_ms", signal.at_ms)
}

fn of_untaken(untaken: &Untaken) -> Line {
    let what = match &untaken.mail {
        Ok(RunMail::Signal { name, payload }) => {
            format!("signal {}  {}", plain(name), cbor::kept_in_line(payload, CHARS_MAX))
        }
        Ok(RunMail::Cancel) => "cancel".to_owned(),
        Ok(_) => "a message of a later version".to_owned(),
        Err(error) => format!("unreadable: {error}"),
    };
    let text = format!("  not taken yet: {what}  (sent {})", moment::say(untaken.sent_ms));
    result("run.untaken", text).with("mail", untaken_json(untaken))
}

/// What a person can do with it. Only the program that began it has the flow's code.
fn next(name: &str, status: &RunStatus) -> Option<String> {
    if status.is_over() {
        return None;
    }
    let goes_on = "it goes on where it stopped when the program that began it is started again";
    Some(match status {
        RunStatus::Waiting { signal } => {
            format!("next:     `ggml-agent runs signal {name} {signal} JSON`; {goes_on}")
        }
        _ => format!("next:     {goes_on}"),
    })
}
