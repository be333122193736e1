//! The store that is open on a disk.

use std::fmt;
use std::future::ready;

use ggml_agent_core::store::{Answer, Found, Level, Read, Store, StoreError, Write, Written};

use super::SimDisk;

/// A store on a [`SimDisk`], as long as it is the open one; after that everything is
/// [`StoreError::Closed`].
pub struct SimStore {
    disk: SimDisk,
    number: u64,
}

impl SimStore {
    pub(super) fn new(disk: SimDisk, number: u64) -> Self {
        Self { disk, number }
    }
}

impl Store for SimStore {
    fn level(&self) -> Level {
        Level::Durable
    }

    fn write(&self, write: Write) -> Answer<Written> {
        let mut disk = self.disk.lock();
        if !disk.is_open_as(self.number) {
            return Box::pin(ready(Err(StoreError::Closed)));
        }
        disk.write(write)
    }

    fn read(&self, read: Read) -> Answer<Found> {
        let disk = self.disk.lock();
        let found = match disk.is_open_as(self.number) {
            true => disk.volatile.read(&read),
            false => Err(StoreError::Closed),
        };
        Box::pin(ready(found))
    }
}

impl fmt::Debug for SimStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimStore").field("number", &self.number).finish_non_exhaustive()
    }
}
