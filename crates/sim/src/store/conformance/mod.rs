//! The laws of the seam as cases that every engine is held against.
//!
//! An engine is plugged in by a [`World`], which says how its stores are made and opened again. Cases are
//! grouped by what they are about; a seeded comparison then goes on with
//! [`Tables`](ggml_agent_core::store::Tables), step by step.

#![expect(clippy::print_stderr, reason = "a failure says which seed repeats it")]

mod bounds;
mod commit;
mod dead;
mod effects;
mod ground;
mod incarnations;
mod listing;
mod mailbox;
mod order;
mod random;
mod state;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ggml_agent_core::limits;
use ggml_agent_core::store::StoreRef;

use self::ground::Ground;

/// How a process ends before its store is opened again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// In order.
    Close,
    /// By a power cut; or, where that cannot be had, as hard as possible.
    Cut,
}

/// What makes stores of one engine.
pub trait World {
    /// An empty store. The one before is not used any more.
    fn fresh(&mut self) -> StoreRef;

    /// The same store, opened again after its process has ended. `store` is the last handle of it, and all
    /// answers were heard or dropped. Never called for a volatile one.
    fn reopen(&mut self, store: StoreRef, end: End) -> StoreRef;

    /// Does some of what an answer waits for; false if the engine works by itself, and wakes who waits.
    fn work(&mut self) -> bool {
        false
    }

    /// By how many ids its mailboxes know duplicates. The cases about that run only if it is small.
    fn dedupe_ids_max(&self) -> usize {
        limits::DEDUPE_IDS_MAX
    }
}

/// A case: its name is a statement.
type Case = (&'static str, fn(&mut Ground<'_>));

/// Names a case.
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        pub(super) const CASES: &[super::Case] = &[$((stringify!($case), $case)),*];
    };
}
use cases;

/// All cases, by what they are about.
const GROUPS: [(&str, &[Case]); 9] = [
    ("mailbox", mailbox::CASES),
    ("order", order::CASES),
    ("bounds", bounds::CASES),
    ("incarnations", incarnations::CASES),
    ("commit", commit::CASES),
    ("state", state::CASES),
    ("effects", effects::CASES),
    ("dead", dead::CASES),
    ("listing", listing::CASES),
];

/// Runs every case, each on a store of its own, and then the comparison with each of `seeds`.
///
/// # Panics
/// When cases fail, after all of them were run: it names them; or with the first seed that fails.
pub fn conforms(world: &mut dyn World, seeds: Range<u64>) {
    let mut failed = Vec::new();
    for (group, cases) in GROUPS {
        for (case, run) in cases {
            // The next case has a store of its own, whatever became of this one.
            let run = AssertUnwindSafe(|| run(&mut Ground::new(world)));
            if catch_unwind(run).is_err() {
                failed.push(format!("{group}::{case}"));
            }
        }
    }
    assert!(failed.is_empty(), "the laws are broken: {failed:#?}");
    for seed in seeds {
        let _name = Name(seed);
        random::agrees_with_the_tables(world, seed);
    }
}

/// Says which seed failed, if one did.
struct Name(u64);

impl Drop for Name {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let seed = self.0;
            eprintln!("conformance: the comparison with seed {seed} fails, GGML_AGENT_SEED={seed}");
        }
    }
}
