//! `ggml-agent store`: what operators do with a store.

mod backup;
mod check;
mod compact;
mod discard;
mod prune;
mod release;
mod stats;

use ggml_agent_core::AgentId;

use crate::args::{Global, StoreArgs, StoreVerb};
use crate::failure::{Code, Failure};
use crate::output::Screen;

const SCHEMA: &str = "ggml-agent.store/1";

pub(crate) fn run(args: &StoreArgs, global: &Global) -> Result<(), Failure> {
    let mut screen = Screen::stdout(global, None, SCHEMA);
    match &args.verb {
        StoreVerb::Release { agent } => release::run(agent, &args.state, &mut screen),
        StoreVerb::Prune(prune) => prune::run(prune, &args.state, &mut screen),
        StoreVerb::Discard { agent, yes } => discard::run(agent, *yes, &args.state, &mut screen),
        StoreVerb::Check => check::run(&args.state, &mut screen),
        StoreVerb::Stats => stats::run(&args.state, &mut screen),
        StoreVerb::Compact => compact::run(&args.state, &mut screen),
        StoreVerb::Backup { file } => backup::run(file, &args.state, &mut screen),
    }
}

fn not_set_aside(agent: &AgentId) -> Failure {
    Failure::msg(Code::NotFound, format!("no agent \"{agent}\" is set aside"))
        .next("`ggml-agent store check` lists what is damaged, and by whose name")
}
