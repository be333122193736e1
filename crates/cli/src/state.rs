//! The state folder: where it is, how its store is opened, and how it fails.

mod copy;

use std::env;
use std::fs;
use std::future::Future;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context;
use ggml_agent_core::store::{StoreError, StoreRef};
use ggml_agent_store::{FILE, Medium, OpenError, Options, Sqlite};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::args::StateArgs;
use crate::failure::{Code, Failure};

/// The store of a state folder, or a copy of it to look at.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) folder: PathBuf,
    pub(crate) sqlite: Sqlite,
    pub(crate) store: StoreRef,
    runtime: Runtime,
    /// Dropped last, after all that is open in it.
    copy: Option<TempDir>,
}

impl State {
    /// Opens the store that is there; none is made.
    pub(crate) fn open(args: &StateArgs) -> Result<Self, Failure> {
        let folder = folder(args)?;
        let sqlite = open(&folder)?.map_err(|error| refused(&error))?;
        Self::of(folder, sqlite, None)
    }

    /// Opens the store to read, or a copy of it while another process has it. Nothing may be written then.
    pub(crate) fn look(args: &StateArgs) -> Result<Self, Failure> {
        let folder = folder(args)?;
        let locked = match open(&folder)? {
            Ok(sqlite) => return Self::of(folder, sqlite, None),
            Err(error @ OpenError::Locked { .. }) => error,
            Err(error) => return Err(refused(&error)),
        };
        let (sqlite, copy) = copy::open(&folder).ok_or_else(|| refused(&locked))?;
        Self::of(folder, sqlite, Some(copy))
    }

    /// Whether it is a copy.
    pub(crate) fn is_copy(&self) -> bool {
        self.copy.is_some()
    }

    /// As [`open`](Self::open), where damage is no failure but what was asked for.
    pub(crate) fn open_or_damage(args: &StateArgs) -> Result<Result<Self, OpenError>, Failure> {
        let folder = folder(args)?;
        match open(&folder)? {
            Ok(sqlite) => Self::of(folder, sqlite, None).map(Ok),
            Err(error @ OpenError::Damaged { .. }) => Ok(Err(error)),
            Err(error) => Err(refused(&error)),
        }
    }

    fn of(folder: PathBuf, sqlite: Sqlite, copy: Option<TempDir>) -> Result<Self, Failure> {
        let store = StoreRef::new(sqlite.clone());
        Ok(Self { folder, sqlite, store, runtime: runtime()?, copy })
    }

    /// Waits for an answer.
    pub(crate) fn wait<F: Future>(&self, answer: F) -> F::Output {
        self.runtime.block_on(answer)
    }

    /// Waits for an answer of the store.
    pub(crate) fn ask<T>(
        &self,
        answer: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, Failure> {
        self.wait(answer).map_err(|error| failed(&error))
    }
}

fn runtime() -> Result<Runtime, Failure> {
    let built = tokio::runtime::Builder::new_current_thread().build();
    Ok(built.context("cannot start the runtime")?)
}

/// The folder that was asked for, or the usual one.
fn folder(args: &StateArgs) -> Result<PathBuf, Failure> {
    if let Some(folder) = &args.state {
        return Ok(folder.clone());
    }
    usual(|name| env::var_os(name).map(PathBuf::from)).ok_or_else(|| {
        Failure::msg(Code::Usage, "neither XDG_STATE_HOME nor HOME says where the state folder is")
            .next("name it with --state DIR")
    })
}

/// As the XDG Base Directory Specification has it: a relative path is ignored.
fn usual(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let absolute = |name| variable(name).filter(|path| path.is_absolute());
    let home = || absolute("HOME").map(|home| home.join(".local/state"));
    absolute("XDG_STATE_HOME").or_else(home).map(|folder| folder.join("ggml-agent"))
}

fn open(folder: &Path) -> Result<Result<Sqlite, OpenError>, Failure> {
    must_be_there(folder)?;
    Ok(Sqlite::open(folder, options()))
}

/// Whoever made the store has decided that its disk will do: to look at it there is better than not to.
pub(crate) fn options() -> Options {
    Options { medium: Medium::Any, ..Options::DEFAULT }
}

/// Opening makes a store where none is, which nobody wants who looks for one.
fn must_be_there(folder: &Path) -> Result<(), Failure> {
    let next =
        "name the state folder with --state DIR; the program that keeps something there makes it";
    let missing = |text| Err(Failure::msg(Code::NotFound, text).next(next));
    if matches!(fs::metadata(folder), Err(error) if error.kind() == ErrorKind::NotFound) {
        return missing(format!("there is no state folder \"{}\"", folder.display()));
    }
    // A log without its file is damage, which the opening says.
    let is_none = |name: String| matches!(folder.join(name).try_exists(), Ok(false));
    if folder.is_dir() && is_none(FILE.to_owned()) && is_none(format!("{FILE}-wal")) {
        return missing(format!("there is no store in \"{}\"", folder.display()));
    }
    Ok(())
}

/// Why a store was not opened, with what to do.
pub(crate) fn refused(error: &OpenError) -> Failure {
    let (code, next) = match error {
        OpenError::Locked { pid: Some(pid), .. } => {
            let next =
                format!("stop process {pid} (`kill {pid}`), then run the same command again");
            (Code::Conflict, next)
        }
        OpenError::Locked { .. } => {
            (Code::Conflict, "stop what uses it, then run the same command again".to_owned())
        }
        OpenError::Newer { .. } => {
            (Code::Failure, "nothing was changed: use the newer ggml-agent".to_owned())
        }
        OpenError::Damaged { .. } => (
            Code::Failure,
            "nothing was changed; the backup is made with `ggml-agent store backup`".to_owned(),
        ),
        _ => (
            Code::Failure,
            "nothing was changed; see to it, then run the same command again".to_owned(),
        ),
    };
    Failure::new(code, chain(error)).next(next)
}

/// Why an operation failed, with what to do.
pub(crate) fn failed(error: &StoreError) -> Failure {
    let (code, next) = match error {
        StoreError::UnknownDeadLetter { .. } => {
            (Code::NotFound, "`ggml-agent deadletters ls` lists them")
        }
        StoreError::UnknownMailbox { .. } => (
            Code::NotFound,
            "an agent has a mailbox once it was started: start the program that has it",
        ),
        StoreError::Full { .. } => {
            (Code::Failure, "let the agent work some of it off, then run the same command again")
        }
        StoreError::NoSpace => (
            Code::Failure,
            "nothing was changed: make room on the disk, then run the same command again",
        ),
        StoreError::Quarantined { .. } => (
            Code::Failure,
            "`ggml-agent store check` lists what is damaged; a backup may have it whole",
        ),
        StoreError::Indeterminate { .. } => {
            (Code::Failure, "it may be done or not: look, then run the same command again")
        }
        _ => (
            Code::Failure,
            "nothing was changed; see to the cause, then run the same command again",
        ),
    };
    Failure::new(code, anyhow::Error::new(error.clone())).next(next)
}

/// An error with its causes, without the error itself: it belongs to somebody else.
fn chain(error: &dyn std::error::Error) -> anyhow::Error {
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        texts.push(error.to_string());
        cause = error.source();
    }
    let last = texts.pop().unwrap_or_default();
    texts.into_iter().rev().fold(anyhow::Error::msg(last), anyhow::Error::context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_folder_is_that_of_the_specification() {
        let table: &[(Option<&str>, Option<&str>, Option<&str>)] = &[
            (Some("/s"), Some("/h"), Some("/s/ggml-agent")),
            (None, Some("/h"), Some("/h/.local/state/ggml-agent")),
            (Some(""), Some("/h"), Some("/h/.local/state/ggml-agent")),
            (Some("rel"), Some("/h"), Some("/h/.local/state/ggml-agent")),
            (Some("rel"), Some("rel"), None),
            (None, None, None),
        ];
        for (state, home, expected) in table {
            let found = usual(|name| {
                let value = if name == "HOME" { home } else { state };
                value.map(PathBuf::from)
            });
            assert_eq!(found, expected.map(PathBuf::from), "{state:?} {home:?}");
        }
    }
}
