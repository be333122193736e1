//! The one place that starts other programs.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;

/// A command that runs `program` in `dir`.
#[expect(clippy::disallowed_methods, reason = "this is the one place that starts processes")]
pub fn command(program: impl Into<OsString>, dir: &Path) -> Command {
    let mut command = Command::new(program.into());
    command.current_dir(dir);
    command
}

/// The cargo that runs this tool, or the one on the path.
#[must_use]
pub fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// The root of the repository: two folders above this crate's manifest, which cargo names to
/// whatever it runs; else the current folder.
#[must_use]
pub fn root() -> PathBuf {
    env::var_os("CARGO_MANIFEST_DIR")
        .map(PathBuf::from)
        .and_then(|dir| dir.ancestors().nth(2).map(Path::to_path_buf))
        .unwrap_or_else(|| PathBuf::from("."))
}

/// Where cargo builds the project at `root`, and where the tools keep what they make.
#[must_use]
pub fn target_dir(root: &Path) -> PathBuf {
    root.join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// Runs `command` to its end and returns what it wrote to its standard output.
///
/// # Errors
/// [`Error::Start`] when it cannot be started, [`Error::Failed`] when it ends with a failure.
pub fn stdout_of(command: &mut Command) -> Result<Vec<u8>, Error> {
    let line = line_of(command);
    let output =
        command.output().map_err(|source| Error::Start { command: line.clone(), source })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::Failed { command: line, stderr })
}

/// The command as a person would type it.
#[must_use]
pub fn line_of(command: &Command) -> String {
    let mut line = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program())
        .to_string_lossy()
        .into_owned();
    for arg in command.get_args() {
        line.push(' ');
        line.push_str(&arg.to_string_lossy());
    }
    line
}
