//! `ggml-agent runs export`.

use ggml_agent::{RunRecord, Untaken};
use serde_json::{Value, json};

use crate::cbor;
use crate::failure::Failure;
use crate::output::Screen;

use super::{Shelf, status_detail, untaken_json};

pub(super) fn run(name: &str, shelf: &Shelf, screen: &mut Screen) -> Result<(), Failure> {
    let document = document(name, &shelf.find(name)?, &shelf.untaken(name)?);
    screen.raw(format!("{document:#}\n").as_bytes());
    Ok(())
}

fn document(name: &str, record: &RunRecord, untaken: &[Untaken]) -> Value {
    let steps = record.steps.iter().map(|step| {
        json!({
            "key": step.key,
            "attempts": step.attempts,
            "begun_ms": step.begun_ms,
            "done_ms": step.done_ms,
            "result": step.result.as_deref().map(cbor::kept_as_json),
        })
    });
    let signals = record.signals.iter().map(|signal| {
        json!({
            "signal": signal.name,
            "payload": cbor::kept_as_json(&signal.payload),
            "taken_ms": signal.at_ms,
        })
    });
    let mut document = json!({
        "schema": "ggml-agent.run/1",
        "name": name,
        "flow": record.flow,
        "status": record.status.as_str(),
        "begun_ms": record.begun_ms,
        "latest_ms": record.latest_ms,
        "input": cbor::kept_as_json(&record.input),
        "output": record.output.as_deref().map(cbor::kept_as_json),
        "repeated": record.n_repeated(),
        "steps": steps.collect::<Vec<_>>(),
        "signals": signals.collect::<Vec<_>>(),
        "untaken": untaken.iter().map(untaken_json).collect::<Vec<_>>(),
    });
    if let Some((field, value)) = status_detail(&record.status) {
        document[field] = value;
    }
    document
}
