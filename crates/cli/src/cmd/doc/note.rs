//! What a running server leaves for those who ask it: where it listens, and its token. Only its user may read it.

use std::env;
use std::fs::{self, DirBuilder};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::failure::{Code, Failure};

/// A server that runs, or did.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Note {
    /// Where, as `http://HOST:PORT`.
    pub(super) url: String,
    /// What everybody must show.
    pub(super) token: String,
    /// What the document is called in addresses.
    pub(super) id: String,
    /// The file that is served.
    pub(super) file: PathBuf,
}

/// A note that is on disk, until the server ends.
#[derive(Debug)]
pub(super) struct Left(PathBuf);

impl Drop for Left {
    fn drop(&mut self) {
        // Somebody may have cleaned up already.
        drop(fs::remove_file(&self.0));
    }
}

impl Note {
    /// Leaves it. The port makes its name: a server that was killed leaves nothing that the next one does not replace.
    pub(super) fn leave(&self, port: u16) -> Result<Left, Failure> {
        let folder = folder()?;
        let path = folder.join(format!("doc-{port}.json"));
        let cannot = || format!("cannot write {}", path.display());
        let text = serde_json::to_string(self).context("the note of the server")?;
        private(&folder).with_context(cannot)?;
        // Of mode 0600 from the beginning, and there as a whole or not at all.
        let mut file = tempfile::NamedTempFile::new_in(&folder).with_context(cannot)?;
        file.write_all(text.as_bytes()).with_context(cannot)?;
        drop(file.persist(&path).with_context(cannot)?);
        Ok(Left(path))
    }

    /// All notes that are there.
    pub(super) fn all() -> Result<Vec<Self>, Failure> {
        let folder = folder()?;
        let files = match fs::read_dir(&folder) {
            Ok(files) => files,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                let error = anyhow::Error::new(error);
                return Err(error.context(format!("cannot read {}", folder.display())).into());
            }
        };
        let notes = files.filter_map(|file| {
            let path = file.ok()?.path();
            let name = path.file_name()?.to_str()?;
            if !name.starts_with("doc-") || !name.ends_with(".json") {
                return None;
            }
            // One that another process removes or writes just now is none.
            serde_json::from_slice(&fs::read(&path).ok()?).ok()
        });
        Ok(notes.collect())
    }
}

/// Where notes are: gone with the user's session, where the system has such a place.
fn folder() -> Result<PathBuf, Failure> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let runtime = set("XDG_RUNTIME_DIR").map(|folder| folder.join("ggml-agent"));
    let state = || set("XDG_STATE_HOME").map(|folder| folder.join("ggml-agent").join("run"));
    let home = || set("HOME").map(|home| home.join(".local/state/ggml-agent/run"));
    runtime.or_else(state).or_else(home).ok_or_else(|| {
        Failure::msg(Code::Failure, "there is no folder for what runs")
            .next("set XDG_RUNTIME_DIR or HOME")
    })
}

/// Makes a folder that only its user may enter.
fn private(folder: &Path) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(folder)
}
