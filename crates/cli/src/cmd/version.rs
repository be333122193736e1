//! `ggml-agent version`.

use std::time::Duration;

use crate::args::{Form, Global};
use crate::failure::Failure;
use crate::output::{Level, Line, Screen};

pub(crate) fn run(global: &Global) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    let text = format!("ggml-agent {version}");
    let line = Line::new(Duration::ZERO, "", "version", text)
        .level(Level::Result)
        .with("version", version);
    Screen::stdout(global, Some(Form::Human), "ggml-agent.version/1").line(&line);
    Ok(())
}
