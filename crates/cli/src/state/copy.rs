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
        let is_whole = take(folder, copy.path(), || {}).unwrap_or(false);
        // The end of the log may have been copied while it was written, which looks like damage.
        let opened = is_whole.then(|| Sqlite::open(copy.path(), super::options()).ok());
        Some((opened.flatten()?, copy))
    })
}

/// Copies the file, then, after `between`, the log; false if that is no state of one moment.
fn take(from: &Path, to: &Path, between: impl FnOnce()) -> io::Result<bool> {
    let log = format!("{FILE}-wal");
    let before = Mark::of(from, &log)?;
    if before.len > BYTES_MAX {
        return Ok(false);
    }
    fs::copy(from.join(FILE), to.join(FILE))?;
    between();
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

#[cfg(test)]
mod tests {
    use ggml_agent_core::store::{Bounds, Open, StoreRef};
    use ggml_agent_core::{Envelope, MessageId, MessageType};

    use super::*;

    /// A store in use, and what waits for it.
    struct Used {
        store: StoreRef,
        runtime: tokio::runtime::Runtime,
    }

    impl Used {
        fn new(folder: &Path) -> Self {
            let store = StoreRef::new(Sqlite::open(folder, super::super::options()).unwrap());
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let agent = "writer".parse().unwrap();
            let begin = Open { agent, bounds: Bounds::DEFAULT, in_hand: None };
            runtime.block_on(store.open(begin)).unwrap();
            Self { store, runtime }
        }

        /// Puts messages into the mailbox, of 100,000 bytes each.
        fn write(&self, numbers: std::ops::Range<u128>) {
            for number in numbers {
                let (id, to) = (MessageId::from_u128(number), "writer".parse().unwrap());
                let payload = vec![7; 100_000];
                let message = Envelope::new(id, 0, to, MessageType::User, payload);
                self.runtime.block_on(self.store.append(message)).unwrap();
            }
        }
    }

    /// Takes a copy while `between` messages are written; how many are in it, or `None` if it is no state
    /// of one moment.
    fn messages_in_copy(before: u128, between: u128) -> Option<u64> {
        let (folder, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let used = Used::new(folder.path());
        used.write(0..before);
        let write = || used.write(before..before + between);
        if !take(folder.path(), copy.path(), write).unwrap() {
            return None;
        }
        let opened = Sqlite::open(copy.path(), super::super::options()).unwrap();
        assert!(used.runtime.block_on(opened.check()).unwrap().is_whole());
        Some(used.runtime.block_on(opened.stats()).unwrap().messages)
    }

    #[test]
    fn what_is_written_meanwhile_is_in_the_log() {
        assert_eq!(messages_in_copy(9, 0), Some(9));
        assert_eq!(messages_in_copy(9, 5), Some(14));
    }

    #[test]
    fn a_log_that_was_begun_anew_meanwhile_makes_no_copy() {
        // 40 MB: it is begun anew every 16 MiB.
        assert_eq!(messages_in_copy(9, 400), None);
        assert_eq!(messages_in_copy(0, 0), Some(0));
    }

    #[test]
    fn a_file_that_was_changed_without_a_log_makes_no_copy() {
        let (folder, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(folder.path().join(FILE), b"one").unwrap();
        let change = || fs::write(folder.path().join(FILE), b"other").unwrap();
        assert!(!take(folder.path(), copy.path(), change).unwrap());
        assert!(take(folder.path(), copy.path(), || {}).unwrap());
    }
}
