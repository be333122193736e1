//! `ggml-agent deadletters resend`.

use ggml_agent_core::store::Write;

use crate::args::Which;
use crate::failure::Failure;
use crate::output::Screen;
use crate::state::State;

use super::{Act, chosen, settle};

pub(super) fn run(which: &Which, state: &State, screen: &mut Screen) -> Result<(), Failure> {
    let act = Act {
        event: "deadletter.resent",
        done: "resent",
        summary: "deadletters.resent",
        write: |number| Write::Resend { number },
    };
    // Chosen before the first is sent: what becomes a dead letter meanwhile is not meant.
    settle(&act, &chosen(which, state)?, state, screen)
}
