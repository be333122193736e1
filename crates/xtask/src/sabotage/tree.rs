//! The copy of the project that bugs are planted in.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::Bug;
use crate::{Error, source};

/// A copy of the project, with room for builds and logs beside it.
#[derive(Debug)]
pub(super) struct Tree {
    base: PathBuf,
}

impl Tree {
    /// Copies the files of the project at `root` into `base/tree`.
    ///
    /// A file that is already there and equal is left alone, so that cargo builds only what changed;
    /// one that is different (a bug left behind by a run that was killed) is put right.
    pub(super) fn copy(root: &Path, base: &Path) -> Result<Self, Error> {
        let tree = Self { base: base.to_path_buf() };
        make_dir(&tree.dir())?;
        make_dir(&tree.logs())?;
        let files = source::files(root)?;
        for file in &files {
            let (from, to) = (root.join(file), tree.dir().join(file));
            let bytes = fs::read(&from).map_err(Error::io(&from))?;
            if fs::read(&to).is_ok_and(|present| present == bytes) {
                continue;
            }
            make_dir(to.parent().unwrap_or(&to))?;
            fs::write(&to, bytes).map_err(Error::io(&to))?;
        }
        let wanted: BTreeSet<PathBuf> = files.into_iter().collect();
        for file in source::files(&tree.dir())? {
            // Cargo writes a lock file where the project keeps none.
            if !wanted.contains(&file) && file != Path::new("Cargo.lock") {
                let stale = tree.dir().join(file);
                fs::remove_file(&stale).map_err(Error::io(&stale))?;
            }
        }
        Ok(tree)
    }

    /// Where the copy is.
    pub(super) fn dir(&self) -> PathBuf {
        self.base.join("tree")
    }

    /// Where builds with this environment go; flags change everything, so each set has its own.
    pub(super) fn target_dir(&self, flags: &str) -> PathBuf {
        let name: String = flags.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
        self.base.join("build").join(if name.is_empty() { "plain" } else { &name })
    }

    /// Where the outputs of the runs are kept.
    pub(super) fn logs(&self) -> PathBuf {
        self.base.join("logs")
    }

    /// Plants `bug`, which [fits](super::Plan::misfits); it is taken out when the answer is dropped.
    pub(super) fn plant(&self, bug: &Bug) -> Result<Planted, Error> {
        let path = self.dir().join(&bug.file);
        let original = fs::read_to_string(&path).map_err(Error::io(&path))?;
        let planted = original.replacen(&bug.find, &bug.replace, 1);
        fs::write(&path, planted).map_err(Error::io(&path))?;
        Ok(Planted { path, original })
    }
}

/// A bug in its place.
#[derive(Debug)]
pub(super) struct Planted {
    path: PathBuf,
    original: String,
}

impl Drop for Planted {
    fn drop(&mut self) {
        // Cannot be answered from here; the next file operation of the run fails with the cause,
        // and the next run puts the file right.
        drop(fs::write(&self.path, &self.original));
    }
}

fn make_dir(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(Error::io(path))
}
