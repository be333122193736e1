//! A disk that loses what was not synced.

mod faults;
mod state;
mod store;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ggml_agent_core::AgentId;
use ggml_agent_core::limits;
use ggml_agent_core::store::{Epoch, StoreError, Tables};

pub use self::faults::{Cut, Fault};
use self::state::Disk;
pub use self::store::SimStore;

/// When what was written becomes durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syncs {
    /// When [`SimDisk::sync`] or [`SimDisk::sync_some`] is called.
    ByHand,
    /// With every write.
    AtOnce,
    /// By chance after a write, in so many of 100 cases: then some of what was written before is.
    ByChance(usize),
}

/// When a write is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Honesty {
    /// When it is durable.
    Honest,
    /// At once, a planted bug: a power cut takes away what was promised.
    Lying,
}

/// Whose commits are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fencing {
    /// As the seam says.
    Whole,
    /// Those of an older incarnation too, if the record is still the one it knows: a planted bug.
    NoEpoch,
    /// Those of an older incarnation too, whatever the record has become: a planted bug.
    Nothing,
}

/// What a disk is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// Decides all that chance decides.
    pub seed: u64,
    /// When what was written becomes durable.
    pub syncs: Syncs,
    /// Ids by which each mailbox knows duplicates.
    pub dedupe_ids_max: usize,
    /// When a write is answered.
    pub honesty: Honesty,
    /// Whose commits are accepted.
    pub fencing: Fencing,
    /// Whether a line is kept about all that happens.
    pub is_traced: bool,
}

impl Setup {
    /// An honest disk that is synced by hand.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            syncs: Syncs::ByHand,
            dedupe_ids_max: limits::DEDUPE_IDS_MAX,
            honesty: Honesty::Honest,
            fencing: Fencing::Whole,
            is_traced: false,
        }
    }
}

/// Something that took effect for good, in order: what a fence is judged by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// An incarnation began.
    Began(AgentId, Epoch),
    /// A commit of that incarnation was accepted.
    Committed(AgentId, Epoch),
}

/// The disk of a simulated machine: it outlives the stores that are opened on it, one after another.
///
/// Writes take effect at once, in order, where the open store sees them; a *sync* makes them durable and
/// answers them. A power cut leaves what is durable and, by chance, the first few of the other writes, each
/// of them whole. Nothing happens by itself: no thread, no clock. Cheap to clone.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<Disk>>);

impl SimDisk {
    /// An empty one.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        Self(Arc::new(Mutex::new(Disk::new(setup))))
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a store on what is there.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] while another one is open.
    pub fn open(&self) -> Result<SimStore, StoreError> {
        let number = self.lock().open()?;
        Ok(SimStore::new(self.clone(), number))
    }

    /// Closes the open store in order: all that was written is synced and answered.
    pub fn close(&self) {
        self.lock().close();
    }

    /// Makes all that was written durable, and answers it; false if there was nothing.
    pub fn sync(&self) -> bool {
        let mut disk = self.lock();
        let n_writes = disk.n_unsynced();
        disk.sync(n_writes);
        n_writes > 0
    }

    /// Makes the first few of what was written durable, by chance how many, and answers them.
    pub fn sync_some(&self) {
        self.lock().sync_some();
    }

    /// Takes the power away. Who waits for an answer hears, by chance, that the store is closed, or nothing.
    pub fn power_cut(&self) {
        self.lock().power_cut();
    }

    /// Takes the power away at the moment that `cut` names.
    pub fn cut_at(&self, cut: Cut) {
        self.lock().cut = Some(cut);
    }

    /// Lets the `n`-th write from now fail, 1 being the next one.
    pub fn fail(&self, n: u64, fault: Fault) {
        self.lock().fail(n, fault);
    }

    /// Forgets the writes that were to fail.
    pub fn mend(&self) {
        self.lock().mend();
    }

    /// Whether a store is open on it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.lock().is_open
    }

    /// What would survive a power cut for certain.
    #[must_use]
    pub fn durable(&self) -> Tables {
        self.lock().durable.clone()
    }

    /// What took effect for good.
    #[must_use]
    pub fn effects(&self) -> Vec<Effect> {
        self.lock().effects.clone()
    }

    /// Commits that were begun, over all stores.
    #[must_use]
    pub fn n_commits(&self) -> u64 {
        self.lock().n_commits
    }

    /// Writes that were begun, over all stores.
    #[must_use]
    pub fn n_writes(&self) -> u64 {
        self.lock().n_writes
    }

    /// Power cuts and failures in the middle of a write.
    #[must_use]
    pub fn n_cuts(&self) -> u64 {
        self.lock().n_cuts
    }

    /// A digest of all that happened.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.lock().digest
    }

    /// The lines about all that happened, if they are kept.
    #[must_use]
    pub fn trace(&self) -> String {
        self.lock().trace.clone()
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimDisk").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
