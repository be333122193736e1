//! What can be chosen about a store.

use ggml_agent_core::limits;

/// What can be chosen about a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where it may lie.
    pub medium: Medium,
    /// Ids by which each mailbox knows duplicates: that many of the newest.
    pub dedupe_ids_max: u64,
    /// Most bytes that the file may have; a write that needs more gets
    /// [`StoreError::NoSpace`](ggml_agent_core::store::StoreError::NoSpace). `None` leaves it to the disk.
    pub file_bytes_max: Option<u64>,
    /// Writes and reads that may wait for the thread of the store; more are refused as unavailable.
    pub waiting_max: usize,
    /// Bytes of them.
    pub waiting_bytes_max: usize,
    /// Ids, keys and agents that are remembered in memory, over all agents.
    pub cached_max: usize,
    /// Largest file whose pages are all checked when it is opened; that of a larger one is left to
    /// [`Sqlite::check`](crate::Sqlite::check).
    pub check_bytes_max: u64,
}

impl Options {
    /// On a local disk, with the window of duplicates that the seam promises.
    pub const DEFAULT: Self = Self {
        medium: Medium::LocalDisk,
        dedupe_ids_max: limits::DEDUPE_IDS_MAX as u64,
        file_bytes_max: None,
        // 65,536 x some 400 B = 26 MB of small writes.
        waiting_max: 65_536,
        // 256 of the largest envelopes.
        waiting_bytes_max: 256 * 1024 * 1024,
        // 4 full windows: 4 x 2^20 x some 50 B = 200 MB, when four mailboxes are that busy.
        cached_max: 4 * limits::DEDUPE_IDS_MAX,
        // Measured at some 500 MB/s: half a second.
        check_bytes_max: 256 * 1024 * 1024,
    };
}

impl Default for Options {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Where a store may lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// Neither in memory nor across a network, as far as the system says (Linux alone does).
    LocalDisk,
    /// Anywhere, for tests: on a file system in memory nothing survives a power cut.
    Any,
}
