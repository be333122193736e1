//! The binary as its users meet it: exit codes, files, signals, transcripts.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod bench;
mod doc;
mod files;
mod kept;
mod signals;
mod state;
mod transcripts;

use std::process::{Command, Output, Stdio};

/// A command of the binary.
fn ggml_agent(arguments: &[&str]) -> Command {
    #[expect(clippy::disallowed_methods, reason = "the one place of the tests that starts it")]
    let mut command = Command::new(env!("CARGO_BIN_EXE_ggml-agent"));
    command.args(arguments).stdin(Stdio::null()).env_remove("NO_COLOR");
    command
}

/// Runs it; its exit code, standard output and standard error.
fn run(arguments: &[&str]) -> (i32, String, String) {
    said(&ggml_agent(arguments).output().unwrap())
}

fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}
