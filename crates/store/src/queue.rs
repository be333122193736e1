//! How much waits for the thread of the store.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::options::Options;
use crate::writer::{Command, size_of_command};

/// A count of what waits, so that senders which do not wait for answers cannot fill the memory.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    len: AtomicUsize,
    bytes: AtomicUsize,
}

impl Waiting {
    /// Counts `command`, if there is room for it; else says how much waits.
    pub(crate) fn came(&self, command: &Command, options: &Options) -> Result<(), (usize, usize)> {
        let size = size_of_command(command);
        let len = self.len.fetch_add(1, Ordering::Relaxed);
        let bytes = self.bytes.fetch_add(size, Ordering::Relaxed);
        // One that is larger than the bound passes alone; an operator's are few, and wait for their answers.
        let is_counted = matches!(command, Command::Write(..) | Command::Read(..));
        if !is_counted {
            return Ok(());
        }
        if len < options.waiting_max && (bytes == 0 || bytes + size <= options.waiting_bytes_max) {
            return Ok(());
        }
        self.took(1, size);
        Err((len, bytes))
    }

    /// What the thread took.
    pub(crate) fn left(&self, batch: &[Command], last: Option<&Command>) {
        let sizes = batch.iter().chain(last).map(size_of_command);
        self.took(batch.len() + usize::from(last.is_some()), sizes.sum());
    }

    fn took(&self, len: usize, bytes: usize) {
        self.len.fetch_sub(len, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}
