//! `ggml-agent runs ls`.

use ggml_agent::RunSummary;

use crate::cmd::result;
use crate::failure::Failure;
use crate::moment;
use crate::output::{Line, Screen, Tone, plain};

use super::{Shelf, n_done, status_detail, status_text};

pub(super) fn run(shelf: &Shelf, screen: &mut Screen) -> Result<(), Failure> {
    let all = shelf.state.ask(shelf.runs.list())?;
    if !all.is_empty() {
        screen.note(&row(&["NAME", "STEPS", "REPEATED", "LATEST", "STATUS"]));
    }
    for summary in &all {
        screen.line(&line(summary));
    }
    let text = match all.len() {
        0 => "no runs".to_owned(),
        1 => "1 run".to_owned(),
        n => format!("{n} runs"),
    };
    screen.line(&result("runs", text).with("n", all.len()));
    Ok(())
}

fn line(summary: &RunSummary) -> Line {
    let name = summary.name.as_str();
    let record = match &summary.record {
        Ok(record) => record,
        Err(error) => {
            let why = error.to_string();
            let text = row(&[name, "?", "?", "?", &format!("unreadable: {}", plain(&why))]);
            let line = result("run", text).tone(Tone::Bad).with("name", name);
            return line.with("status", "unreadable").with("why", why);
        }
    };
    let (done, begun) = (n_done(record), record.steps.len());
    let text = row(&[
        name,
        &format!("{done}/{begun}"),
        &record.n_repeated().to_string(),
        &moment::say(record.latest_ms),
        &status_text(&record.status),
    ]);
    let line = result("run", text)
        .with("name", name)
        .with("flow", record.flow.as_str())
        .with("status", record.status.as_str());
    let detail = status_detail(&record.status);
    let line = detail.into_iter().fold(line, |line, (name, value)| line.with(name, value));
    line.with("steps_done", done)
        .with("steps_begun", begun)
        .with("repeated", record.n_repeated())
        .with("begun_ms", record.begun_ms)
        .with("latest_ms", record.latest_ms)
}

fn row([name, steps, repeated, latest, status]: &[&str; 5]) -> String {
    format!("{name:<20}  {steps:>7}  {repeated:>8}  {latest:<20}  {status}")
}
