//! What keeps a tool from doing its work, as opposed to what it finds.

use std::io;
use std::path::{Path, PathBuf};

/// Why a tool could not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("cannot read or write {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A program could not be started.
    #[error("cannot start `{command}`")]
    Start {
        /// The command line.
        command: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A program that this tool depends on failed.
    #[error("`{command}` failed: {stderr}")]
    Failed {
        /// The command line.
        command: String,
        /// What it said on its error stream.
        stderr: String,
    },
    /// A program is not on this machine.
    #[error("{program} is missing: {how}")]
    Missing {
        /// Its name.
        program: &'static str,
        /// How to get it.
        how: &'static str,
    },
    /// A file does not have the form that this tool reads.
    #[error("{}: {why}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to write instead.
        why: String,
    },
    /// The command line asks for something that does not exist.
    #[error("{0}")]
    Usage(String),
}

impl Error {
    /// An input or output error at `path`.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_path_buf(), source }
    }
}
