//! `ggml-agent deadletters drop`.

use ggml_agent_core::store::Write;

use crate::args::Which;
use crate::cmd::must_agree;
use crate::failure::Failure;
use crate::output::Screen;
use crate::state::State;

use super::{Act, chosen, settle};

pub(super) fn run(
    which: &Which,
    yes: bool,
    state: &State,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let chosen = chosen(which, state)?;
    if !yes {
        let question = match which.number {
            Some(number) => format!("drop dead letter {number} for good?"),
            None => format!("drop all {} dead letters for good?", chosen.len()),
        };
        must_agree(&question, which.number.is_some())?;
    }
    let act = Act {
        event: "deadletter.dropped",
        done: "dropped",
        summary: "deadletters.dropped",
        write: |number| Write::Discard { number },
    };
    settle(&act, &chosen, state, screen)
}
