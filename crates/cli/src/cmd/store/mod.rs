//! `ggml-agent store`: what operators do with a store.

mod backup;
mod check;
mod compact;
mod stats;

use crate::args::{Global, StoreArgs, StoreVerb};
use crate::failure::Failure;
use crate::output::Screen;

const SCHEMA: &str = "ggml-agent.store/1";

pub(crate) fn run(args: &StoreArgs, global: &Global) -> Result<(), Failure> {
    let mut screen = Screen::stdout(global, None, SCHEMA);
    match &args.verb {
        StoreVerb::Check => check::run(&args.state, &mut screen),
        StoreVerb::Stats => stats::run(&args.state, &mut screen),
        StoreVerb::Compact => compact::run(&args.state, &mut screen),
        StoreVerb::Backup { file } => backup::run(file, &args.state, &mut screen),
    }
}
