//! `ggml-agent store backup`.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

use anyhow::Context;
use ggml_agent_store::{Checked, FILE, Sqlite};
use tempfile::TempPath;

use crate::args::StateArgs;
use crate::cmd::result;
use crate::failure::{Code, Failure};
use crate::output::Screen;
use crate::state::{self, State};

pub(super) fn run(to: &Path, args: &StateArgs, screen: &mut Screen) -> Result<(), Failure> {
    let state = State::open(args)?;
    if to.try_exists().unwrap_or(true) {
        return Err(exists(to));
    }
    let folder = to.parent().filter(|above| !above.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let cannot = || format!("cannot write {}", to.display());
    // It gets its name when it was opened as a store and found whole: nobody takes half of one for a backup.
    let trial = tempfile::Builder::new().prefix(".ggml-agent-").tempdir_in(folder);
    let trial = trial.with_context(cannot).map_err(|error| {
        Failure::from(error).next("name a file in a folder that is there and can be written")
    })?;
    let copy = trial.path().join(FILE);
    state.ask(state.sqlite.backup(&copy))?;
    let checked = check(&state, trial.path())?;
    let bytes = fs::metadata(&copy).with_context(cannot)?.len();
    give_name(&copy, to)?;
    sync(folder).with_context(cannot)?;
    let text = format!(
        "{}: {bytes} bytes, opened and checked: agents {}, records {}, nothing is damaged\n\
         to use it: put it into a folder of its own as {FILE}, and name that with --state",
        to.display(),
        checked.agents,
        checked.records
    );
    let line = result("store.backed_up", text).with("file", to.display().to_string());
    let line = line.with("file_bytes", bytes).with("ok", true);
    screen.line(&line.with("agents", checked.agents).with("records", checked.records));
    Ok(())
}

/// Opens the copy as whoever needs it will, and looks at everything in it.
fn check(state: &State, folder: &Path) -> Result<Checked, Failure> {
    let store = Sqlite::open(folder, state::options()).map_err(|error| state::refused(&error))?;
    let checked = state.ask(store.check())?;
    // What was opened is brought into the one file again.
    state.ask(store.close())?;
    if checked.is_whole() {
        return Ok(checked);
    }
    let text = format!("{} records are damaged: there is no backup", checked.damaged.len());
    Err(Failure::msg(Code::Failure, text).next("`ggml-agent store check` lists them"))
}

fn give_name(copy: &Path, to: &Path) -> Result<(), Failure> {
    let cannot = || format!("cannot write {}", to.display());
    let named = TempPath::try_from_path(copy).with_context(cannot)?.persist_noclobber(to);
    match named {
        Ok(()) => Ok(()),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Err(exists(to)),
        Err(error) => Err(anyhow::Error::new(error.error).context(cannot()).into()),
    }
}

fn exists(to: &Path) -> Failure {
    let text = format!("{} exists already", to.display());
    Failure::msg(Code::Conflict, text).next("nothing was written: name another file")
}

/// Makes the name survive a power cut.
fn sync(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
