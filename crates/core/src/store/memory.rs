//! The store that ends with the process.

use std::fmt;
use std::future::ready;
use std::sync::{Mutex, PoisonError};

use super::{Answer, Found, Level, Read, Store, Tables, Write, Written};

/// A store in memory: for tests, and where only the rules are wanted (ids, bounds, one step for state
/// and acknowledgement, restarts of agents) and not their survival.
#[derive(Default)]
pub struct MemoryStore {
    tables: Mutex<Tables>,
}

impl MemoryStore {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Store for MemoryStore {
    fn level(&self) -> Level {
        Level::Volatile
    }

    fn write(&self, write: Write) -> Answer<Written> {
        // Tables never panic between two changes: what another thread left is whole.
        let written = self.tables.lock().unwrap_or_else(PoisonError::into_inner).write(write);
        Box::pin(ready(written))
    }

    fn read(&self, read: Read) -> Answer<Found> {
        let found = self.tables.lock().unwrap_or_else(PoisonError::into_inner).read(&read);
        Box::pin(ready(found))
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}
