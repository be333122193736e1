//! `ggml-agent doc`: a document that is served, and questions to a server that runs.

mod note;
mod serve;

use crate::args::{DocArgs, DocVerb, Global};
use crate::failure::Failure;
use crate::output::Screen;

const SCHEMA: &str = "ggml-agent.doc/1";

pub(crate) fn run(args: &DocArgs, global: &Global) -> Result<(), Failure> {
    let mut screen = Screen::stdout(global, None, SCHEMA);
    match &args.verb {
        DocVerb::Serve(serve) => serve::run(serve, &mut screen),
        _ => Err(Failure::msg(crate::failure::Code::Failure, "not yet")),
    }
}
