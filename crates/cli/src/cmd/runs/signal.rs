//! `ggml-agent runs signal`.

use serde_json::Value;

use crate::cmd::result;
use crate::failure::Failure;
use crate::output::Screen;

use super::{Shelf, is_over};

pub(super) fn run(
    name: &str,
    signal: &str,
    payload: &Value,
    shelf: &Shelf,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let record = shelf.find(name)?;
    if record.status.is_over() {
        return Err(is_over(name, &record.status));
    }
    let id = shelf.sent(shelf.runs.signal(name, signal, payload))?;
    let text = format!("signal {signal} is kept for run {name}, which takes it when it goes on");
    let line = result("run.signalled", text).with("name", name).with("signal", signal);
    screen.line(&line.with("payload", payload.clone()).with("id", id.to_string()));
    Ok(())
}
