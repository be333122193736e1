//! `ggml-agent runs rm`.

use crate::cmd::{must_agree, result};
use crate::failure::Failure;
use crate::output::Screen;

use super::{Shelf, status_text, unknown};

pub(super) fn run(
    name: &str,
    yes: bool,
    shelf: &Shelf,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let status = shelf.find(name)?.status;
    if !yes && !status.is_over() {
        let question =
            format!("forget run {name} with all its results? It is {}", status_text(&status));
        must_agree(&question, true)?;
    }
    if !shelf.state.ask(shelf.runs.remove(name))? {
        return Err(unknown(name));
    }
    let text = format!("run {name} is forgotten");
    screen.line(&result("run.removed", text).with("name", name).with("status", status.as_str()));
    Ok(())
}
