//! `ggml-agent store compact`.

use crate::args::StateArgs;
use crate::cmd::result;
use crate::failure::Failure;
use crate::output::Screen;
use crate::state::State;

pub(super) fn run(args: &StateArgs, screen: &mut Screen) -> Result<(), Failure> {
    let state = State::open(args)?;
    let before = state.ask(state.sqlite.stats())?.file_bytes;
    state.ask(state.sqlite.compact())?;
    let after = state.ask(state.sqlite.stats())?.file_bytes;
    let text = format!("{before} bytes before, {after} bytes now");
    let line = result("store.compacted", text);
    screen.line(&line.with("file_bytes_before", before).with("file_bytes", after));
    Ok(())
}
