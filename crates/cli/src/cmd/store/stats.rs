//! `ggml-agent store stats`.

use crate::args::StateArgs;
use crate::cmd::{look, result};
use crate::failure::Failure;
use crate::output::Screen;

pub(super) fn run(args: &StateArgs, screen: &mut Screen) -> Result<(), Failure> {
    let state = look(args, screen)?;
    let stats = state.ask(state.sqlite.stats())?;
    let rows = [
        ("agents", stats.agents, "agents"),
        ("messages", stats.messages, "messages that wait"),
        ("message_bytes", stats.message_bytes, "bytes of them"),
        ("entries", stats.entries, "entries of journals"),
        ("outbox", stats.outbox, "messages to be sent"),
        ("timers", stats.timers, "timers"),
        ("once", stats.once, "results of outside effects"),
        ("dead_letters", stats.dead_letters, "dead letters"),
        ("blobs", stats.blobs, "large contents, each kept once"),
        ("blob_bytes", stats.blob_bytes, "bytes of them"),
        ("quarantined", stats.quarantined, "agents set aside as damaged"),
        ("file_bytes", stats.file_bytes, "bytes of the file"),
        ("log_bytes", stats.log_bytes, "bytes of its log"),
        ("free_bytes", stats.free_bytes, "bytes that `store compact` would give back"),
    ];
    let texts = rows.map(|(_, number, what)| format!("{number:>14}  {what}"));
    let line = result("store.stats", texts.join("\n"));
    let line = line.with("folder", state.folder.display().to_string());
    screen.line(&rows.iter().fold(line, |line, (name, number, _)| line.with(name, *number)));
    Ok(())
}
