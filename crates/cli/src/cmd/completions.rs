//! `ggml-agent completions <shell>`.

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use crate::args::{Cli, Form, Global};
use crate::failure::Failure;
use crate::output::Screen;

pub(crate) fn run(shell: Shell, global: &Global) -> Result<(), Failure> {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "ggml-agent", &mut script);
    Screen::stdout(global, Some(Form::Human), "ggml-agent.completions/1").raw(&script);
    Ok(())
}
