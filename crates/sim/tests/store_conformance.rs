//! The engines against the laws of the seam.

use std::ops::Range;

use ggml_agent_core::store::{MemoryStore, StoreRef};
use ggml_agent_sim::store::conformance::{End, World, conforms};
use ggml_agent_sim::store::{Setup, SimDisk, Syncs};
use ggml_agent_store::{Medium, Options, Sqlite};
use tempfile::TempDir;

/// So many seeds, or the one that somebody repeats.
fn seeds(n: u64) -> Range<u64> {
    let one = std::env::var_os("GGML_AGENT_SEED").and_then(|seed| seed.to_str()?.parse().ok());
    one.map_or(0..n, |seed: u64| seed..seed + 1)
}

/// Stores that end with the process.
struct InMemory;

impl World for InMemory {
    fn fresh(&mut self) -> StoreRef {
        StoreRef::new(MemoryStore::new())
    }

    fn reopen(&mut self, _: StoreRef, _: End) -> StoreRef {
        unreachable!("it is volatile")
    }
}

#[test]
fn the_store_in_memory_conforms() {
    conforms(&mut InMemory, seeds(100));
}

/// Stores on a simulated disk.
struct Simulated {
    setup: Setup,
    disk: SimDisk,
}

impl Simulated {
    fn new(syncs: Syncs) -> Self {
        let setup = Setup { syncs, dedupe_ids_max: 40, ..Setup::new(1) };
        Self { setup, disk: SimDisk::new(setup) }
    }
}

impl World for Simulated {
    fn fresh(&mut self) -> StoreRef {
        self.setup.seed += 1;
        self.disk = SimDisk::new(self.setup);
        StoreRef::new(self.disk.open().expect("a new disk"))
    }

    fn reopen(&mut self, _: StoreRef, end: End) -> StoreRef {
        match end {
            End::Close => self.disk.close(),
            End::Cut => self.disk.power_cut(),
        }
        StoreRef::new(self.disk.open().expect("the one before has ended"))
    }

    fn work(&mut self) -> bool {
        self.disk.sync()
    }

    fn dedupe_ids_max(&self) -> usize {
        self.setup.dedupe_ids_max
    }
}

#[test]
fn the_simulated_store_conforms() {
    for syncs in [Syncs::ByHand, Syncs::AtOnce, Syncs::ByChance(30)] {
        conforms(&mut Simulated::new(syncs), seeds(100));
    }
}

/// Stores of SQLite, each in a folder of its own. A cut is a close here: what a disk loses is not simulated.
struct OnDisk {
    folder: TempDir,
}

impl OnDisk {
    const OPTIONS: Options =
        Options { medium: Medium::Any, dedupe_ids_max: 40, ..Options::DEFAULT };

    fn open(&self) -> StoreRef {
        StoreRef::new(Sqlite::open(self.folder.path(), Self::OPTIONS).expect("a folder of its own"))
    }
}

impl World for OnDisk {
    fn fresh(&mut self) -> StoreRef {
        self.folder = tempfile::tempdir().expect("a folder");
        self.open()
    }

    fn reopen(&mut self, store: StoreRef, _: End) -> StoreRef {
        drop(store);
        self.open()
    }

    fn dedupe_ids_max(&self) -> usize {
        40
    }
}

#[test]
fn the_store_of_sqlite_conforms() {
    conforms(&mut OnDisk { folder: tempfile::tempdir().expect("a folder") }, seeds(8));
}
