//! `ggml-agent runs cancel`.

use ggml_agent::{RunMail, RunStatus};

use crate::cmd::result;
use crate::failure::Failure;
use crate::output::Screen;

use super::{Shelf, is_over};

pub(super) fn run(name: &str, shelf: &Shelf, screen: &mut Screen) -> Result<(), Failure> {
    let status = shelf.find(name)?.status;
    let is_asked = || -> Result<bool, Failure> {
        Ok(shelf.untaken(name)?.iter().any(|untaken| untaken.mail == Ok(RunMail::Cancel)))
    };
    // What was wished for twice is one wish.
    let text = match status {
        RunStatus::Cancelled => format!("run {name} is cancelled already"),
        status if status.is_over() => return Err(is_over(name, &status)),
        _ if is_asked()? => format!("that run {name} ends is kept already"),
        _ => {
            shelf.sent(shelf.runs.cancel(name))?;
            format!(
                "that run {name} ends is kept: when it is begun again, nothing more of it happens"
            )
        }
    };
    screen.line(&result("run.cancelled", text).with("name", name));
    Ok(())
}
