//! A look at a store that another process has open, without disturbing it: its files are copied, and the
//! copy is opened.
//!
//! SQLite holds the file for its owner alone, so nobody can read in it; but bytes can be read. Why the copy
//! is the store as it was at one moment: all that is written to the file was in the log before, flushed, and
//! stays there until the log is begun anew, with another header (SQLite's "WAL-mode File Format", §4). So if
//! the header was the same before the file was copied and after the log was, the log's copy has every page
//! that may have changed meanwhile. Without a log nothing may have changed at all.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::time::SystemTime;

use ggml_agent_store::{FILE, Sqlite};
use tempfile::TempDir;

/// How often it is tried: the log is begun anew every 16 MiB or so.
const ATTEMPTS_MAX: u32 = 5;

/// Largest file that is copied for a look: some seconds on a slow disk.
const BYTES_MAX: u64 = 1024 * 1024 * 1024;

const LOG_HEADER_LEN: u64 = 32;

/// The store of `folder` as it was at one moment of this call, with the folder of the copy, which is gone
/// when that is dropped. `None` if it cannot be had.
pub(super) fn open(folder: &Path) -> Option<(Sqlite, TempDir)> {
    (0..ATTEMPTS_MAX).find_map(|_| {
        // Of this user alone, as the crate has it.
        let copy = tempfile::tempdir().ok()?;
        let is_whole = take(folder, copy.path()).unwrap_or(false);
        // The end of the log may have been copied while it was written, which looks like damage.
        let opened = is_whole.then(|| Sqlite::open(copy.path(), super::options()).ok());
        Some((opened.flatten()?, copy))
    })
}

/// Copies file and log; false if that is no state of one moment.
fn take(from: &Path, to: &Path) -> io::Result<bool> {
    let log = format!("{FILE}-wal");
    let before = Mark::of(from, &log)?;
    if before.len > BYTES_MAX {
        return Ok(false);
    }
    fs::copy(from.join(FILE), to.join(FILE))?;
    match fs::copy(from.join(&log), to.join(&log)) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let after = Mark::of(from, &log)?;
    Ok(if before.log_header.is_empty() {
        before == after
    } else {
        before.log_header == after.log_header
    })
}

/// By what it is known whether something was written.
#[derive(Debug, PartialEq, Eq)]
struct Mark {
    len: u64,
    changed_at: SystemTime,
    log_header: Vec<u8>,
}

impl Mark {
    fn of(folder: &Path, log: &str) -> io::Result<Self> {
        let mut log_header = Vec::new();
        match File::open(folder.join(log)) {
            Ok(file) => drop(file.take(LOG_HEADER_LEN).read_to_end(&mut log_header)?),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let file = fs::metadata(folder.join(FILE))?;
        Ok(Self { len: file.len(), changed_at: file.modified()?, log_header })
    }
}
