//! `ggml-agent store discard`.

use ggml_agent_core::AgentId;

use crate::args::StateArgs;
use crate::cmd::{must_agree, result};
use crate::failure::Failure;
use crate::output::Screen;
use crate::state::State;

use super::not_set_aside;

pub(super) fn run(
    agent: &AgentId,
    yes: bool,
    args: &StateArgs,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let state = State::open(args)?;
    if !yes {
        let question = format!(
            "forget all that is kept of agent {agent}: its waiting messages, state, timers and results, also those \
             that are whole? What it was sent and had done may be done again"
        );
        must_agree(&question, true)?;
    }
    if !state.ask(state.sqlite.discard(agent.clone()))? {
        return Err(not_set_aside(agent));
    }
    let text = format!("agent \"{agent}\" is forgotten, and begins anew when it is started");
    screen.line(&result("store.discarded", text).with("agent", agent.as_str()));
    Ok(())
}
