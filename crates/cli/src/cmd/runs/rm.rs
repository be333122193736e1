//! `ggml-agent runs rm`.

use ggml_agent::Runs;
use ggml_agent_core::store::StoreError;

use crate::cmd::{must_agree, result};
use crate::failure::Failure;
use crate::output::{Screen, plain};
use crate::state::failed;

use super::{Shelf, status_text, unknown};

pub(super) fn run(
    name: &str,
    yes: bool,
    shelf: &Shelf,
    screen: &mut Screen,
) -> Result<(), Failure> {
    // One that cannot be read can be forgotten all the same.
    let (status, stands) = match shelf.state.wait(shelf.runs.show(name)) {
        Ok(None) => return Err(unknown(name)),
        Ok(Some(record)) if record.status.is_over() => (record.status.as_str(), None),
        Ok(Some(record)) => (record.status.as_str(), Some(status_text(&record.status))),
        Err(StoreError::Quarantined { why, .. }) => {
            let stands =
                format!("unreadable: {}; what it has done is not known any more", plain(&why));
            ("unreadable", Some(stands))
        }
        Err(error) => return Err(failed(&error)),
    };
    if let (false, Some(stands)) = (yes, stands) {
        must_agree(&format!("forget run {name} with all its results? It is {stands}"), true)?;
    }
    if !removed(name, shelf)? {
        return Err(unknown(name));
    }
    let text = format!("run {name} is forgotten");
    screen.line(&result("run.removed", text).with("name", name).with("status", status));
    Ok(())
}

fn removed(name: &str, shelf: &Shelf) -> Result<bool, Failure> {
    match (shelf.state.wait(shelf.runs.remove(name)), Runs::agent(name)) {
        (Ok(was_there), _) => Ok(was_there),
        // The store has set it aside: then it goes with whatever is left of it.
        (Err(StoreError::Quarantined { .. }), Some(agent)) => {
            shelf.state.ask(shelf.state.sqlite.discard(agent))
        }
        (Err(error), _) => Err(failed(&error)),
    }
}
