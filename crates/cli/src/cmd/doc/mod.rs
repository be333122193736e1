//! `ggml-agent doc`: a document that is served, and questions to a server that runs.

mod ask;
mod change;
mod note;
mod past;
mod remote;
mod serve;

use crate::args::{DocArgs, DocVerb, Global};
use crate::failure::Failure;
use crate::output::Screen;

const SCHEMA: &str = "ggml-agent.doc/1";

pub(crate) fn run(args: &DocArgs, global: &Global) -> Result<(), Failure> {
    let mut screen = Screen::stdout(global, None, SCHEMA);
    match &args.verb {
        DocVerb::Serve(serve) => serve::run(serve, &mut screen),
        verb => ask::run(verb, &remote::Remote::find(&args.server)?, &mut screen),
    }
}
