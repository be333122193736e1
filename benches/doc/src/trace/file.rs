//! Published traces: the JSON form of josephg/editing-traces.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Edit, Trace};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Published {
    start_content: String,
    end_content: String,
    txns: Vec<Transaction>,
}

#[derive(Deserialize)]
struct Transaction {
    patches: Vec<(usize, usize, String)>,
}

/// Why a file is not a trace that can be replayed here.
#[derive(Debug)]
pub(crate) enum ReadError {
    Unreadable(PathBuf, std::io::Error),
    NotATrace(PathBuf, serde_json::Error),
    NotAscii(PathBuf),
    EndsElsewhere(PathBuf),
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(path, error) => write!(f, "{}: {error}", path.display()),
            Self::NotATrace(path, error) => {
                write!(f, "{}: not an unpacked editing trace: {error}", path.display())
            }
            Self::NotAscii(path) => write!(
                f,
                "{}: has characters beyond ASCII; take the file of the folder ascii_only",
                path.display()
            ),
            Self::EndsElsewhere(path) => {
                write!(f, "{}: its edits do not lead to its endContent", path.display())
            }
        }
    }
}

impl std::error::Error for ReadError {}

impl Trace {
    /// Reads a trace from an unpacked JSON file.
    pub(crate) fn read(path: &Path) -> Result<Self, ReadError> {
        let file = File::open(path).map_err(|error| ReadError::Unreadable(path.into(), error))?;
        let published: Published = serde_json::from_reader(BufReader::new(file))
            .map_err(|error| ReadError::NotATrace(path.into(), error))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut edits = Vec::new();
        if !published.start_content.is_empty() {
            edits.push(Edit { at: 0, del: 0, insert: published.start_content });
        }
        for (at, del, insert) in published.txns.into_iter().flat_map(|txn| txn.patches) {
            edits.push(Edit { at, del, insert });
        }
        if edits.iter().any(|edit| !edit.insert.is_ascii()) {
            return Err(ReadError::NotAscii(path.into()));
        }
        let trace = Self { name, is_made: false, edits };
        if trace.text_after(usize::MAX) != published.end_content {
            return Err(ReadError::EndsElsewhere(path.into()));
        }
        Ok(trace)
    }
}
