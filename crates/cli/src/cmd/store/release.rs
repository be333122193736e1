//! `ggml-agent store release`.

use ggml_agent_core::AgentId;
use ggml_agent_store::Release;

use crate::args::StateArgs;
use crate::cmd::result;
use crate::failure::{Code, Failure};
use crate::output::{Screen, plain};
use crate::state::State;

use super::not_set_aside;

pub(super) fn run(agent: &AgentId, args: &StateArgs, screen: &mut Screen) -> Result<(), Failure> {
    let state = State::open(args)?;
    match state.ask(state.sqlite.release(agent.clone()))? {
        Release::NotSetAside => Err(not_set_aside(agent)),
        Release::Damaged(damage) => {
            let why = format!("{}: {}", plain(&damage.what), plain(&damage.why));
            let text = format!("agent \"{agent}\" is damaged and stays set aside: {why}");
            Err(Failure::msg(Code::Failure, text).next(format!(
                "put a backup in the store's place, or forget what is kept of it with `ggml-agent store discard \
                 {agent}`"
            )))
        }
        Release::Released => {
            let text = format!(
                "agent \"{agent}\" is whole, and goes on where it stood when it is started"
            );
            screen.line(&result("store.released", text).with("agent", agent.as_str()));
            Ok(())
        }
    }
}
