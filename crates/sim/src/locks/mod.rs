//! Locks and edits as clients see them: recorded by seed, judged by a checker that knows no lock.
//!
//! Clients lock sections, read them, think, append to what they read, and release. They pause beyond their
//! leases and crash; their messages are late, lost and repeated; people preempt them, an operator frees
//! locks, and the coordinator restarts from what it kept. Whatever happens, the appends and reads of each
//! section must be [linearizable](wgl), and tokens must grow: that is what fencing is for, and without it
//! ([`Fencing::Off`]) the same worlds show the lost updates.
//!
//! Reading order: [`wgl`], `server`, `client`, `world`.

mod client;
mod server;
pub mod wgl;
mod world;

pub use world::run;

use std::fmt;

use wgl::Operation;

/// Sections of a world.
pub const N_SECTIONS: u8 = 2;

/// Whether the coordinator looks at the tokens of edits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fencing {
    /// As it must.
    On,
    /// As a lock service does whose data lies elsewhere: what this costs is to be seen.
    Off,
}

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// No order of the operations on a section explains what their clients saw.
    NotLinearizable {
        /// The section.
        section: u8,
        /// Its operations, in the order in which they began.
        history: Vec<Operation>,
    },
    /// Somebody holds or waits for ever.
    StillLocked,
    /// A grant had a token that was not larger than all before.
    TokenNotLarger {
        /// The token.
        token: u64,
        /// The largest before.
        newest: u64,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLinearizable { section, history } => {
                writeln!(f, "no order explains what was seen of section {section}:")?;
                history.iter().try_for_each(|operation| writeln!(f, "  {operation:?}"))
            }
            Self::StillLocked => f.write_str("a lock outlives everybody"),
            Self::TokenNotLarger { token, newest } => {
                write!(f, "token {token} was granted after {newest}")
            }
        }
    }
}

/// What happened in a world, or in many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Appends that were acknowledged.
    pub appended: u64,
    /// Appends of which their client never heard.
    pub unknown: u64,
    /// Appends that were refused for their token.
    pub fenced: u64,
    /// Reads that were answered.
    pub reads: u64,
    /// Leases that ended by time.
    pub expired: u64,
    /// Locks that were taken away.
    pub revoked: u64,
    /// Clients that crashed.
    pub crashes: u64,
    /// Restarts of the coordinator.
    pub restarts: u64,
    /// Messages that came a second time.
    pub duplicates: u64,
    /// The first promise that was broken.
    pub violation: Option<Violation>,
}

impl Outcome {
    /// Adds the counts of `other`.
    pub fn add(&mut self, other: &Self) {
        self.appended += other.appended;
        self.unknown += other.unknown;
        self.fenced += other.fenced;
        self.reads += other.reads;
        self.expired += other.expired;
        self.revoked += other.revoked;
        self.crashes += other.crashes;
        self.restarts += other.restarts;
        self.duplicates += other.duplicates;
    }
}
