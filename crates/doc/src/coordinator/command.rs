//! What goes into the coordinator and what comes out: plain data.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ggml_agent_core::lease::{Event, Grant, OnBusy, Token};
use smallvec::SmallVec;

use super::author::Holder;
use crate::history::Update;
use crate::rope::Text;
use crate::section::SectionId;
use crate::sheet::Mode;
use crate::text::Change;

/// A wish for the lock of one or several sections, all or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// Which; at least one.
    pub sections: BTreeSet<SectionId>,
    /// For how long, from the grant on.
    pub lease: Duration,
    /// What to do when one of them is busy.
    pub on_busy: OnBusy,
}

impl Lock {
    /// A wish for one section.
    #[must_use]
    pub fn one(section: SectionId, lease: Duration, on_busy: OnBusy) -> Self {
        Self { sections: [section].into(), lease, on_busy }
    }
}

/// A new text for a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Which section.
    pub section: SectionId,
    /// The token of its lock; without it, `base` is needed and nobody may hold the section.
    pub token: Option<Token>,
    /// The version that the text was made from; where given it must be the current one.
    pub base: Option<u64>,
    /// The whole new text, heading included.
    pub text: String,
}

impl Edit {
    /// An edit by the holder of the section's lock.
    pub fn locked(section: SectionId, token: Token, text: impl Into<String>) -> Self {
        Self { section, token: Some(token), base: None, text: text.into() }
    }

    /// An edit without a lock: accepted if nobody holds the section and `base` is its version.
    pub fn optimistic(section: SectionId, base: u64, text: impl Into<String>) -> Self {
        Self { section, token: None, base: Some(base), text: text.into() }
    }
}

/// Changes of one section, as an editor makes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Splices {
    /// Which section.
    pub section: SectionId,
    /// The token of its lock; without it, `base` is needed and nobody may hold the section.
    pub token: Option<Token>,
    /// The version that they were made for; where given it must be the current one.
    pub base: Option<u64>,
    /// In order, in bytes of the text before; no two touch.
    pub changes: SmallVec<[Change; 1]>,
}

/// An edit was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// Its number in the document.
    pub seq: u64,
    /// The version of the section that it made.
    pub version: u64,
}

/// The answer to the caller, and what others have to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "the outs tell waiters and subscribers what happened"]
pub struct Step<T> {
    /// The answer to the caller.
    pub answer: T,
    /// What to send, in this order.
    pub outs: Vec<Out>,
}

/// Something to send.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Out {
    /// For the event stream: what happened to a lock, whoever it concerns.
    Happened(Event<SectionId, Holder>),
    /// For one holder or waiter.
    ToHolder {
        /// Who.
        to: Holder,
        /// What.
        note: Note,
    },
    /// For one subscriber; to be answered by `confirm` once it has been handled.
    ToSubscriber {
        /// Who.
        to: Holder,
        /// What.
        delivery: Delivery,
    },
}

/// What a holder or a waiter has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// Its turn has come.
    LockGranted {
        /// One grant per section.
        grants: Vec<Grant<SectionId>>,
    },
    /// Its lease has ended.
    LockLost {
        /// Which section.
        section: SectionId,
        /// The token that is stale now.
        token: Token,
    },
    /// Its time to wait is over.
    WaitEnded {
        /// What it had asked for.
        sections: BTreeSet<SectionId>,
    },
}

/// What a subscriber gets (D8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The next edit: its number is one more than that of the delivery before.
    Update(Arc<Update>),
    /// Too far behind: read a snapshot. Updates after `seq` follow; those that the snapshot has
    /// already (their number is not above the snapshot's) are to be skipped.
    Resync {
        /// The newest edit when this was sent.
        seq: u64,
    },
}

impl Delivery {
    /// What to confirm when it has been handled.
    #[must_use]
    pub fn seq(&self) -> u64 {
        match self {
            Self::Update(update) => update.seq,
            Self::Resync { seq } => *seq,
        }
    }
}

/// One section at one version; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionView {
    /// Which.
    pub id: SectionId,
    /// How many edits it has had.
    pub version: u64,
    /// How it may be written to.
    pub mode: Mode,
    /// Its text.
    pub text: Text,
}

/// The document at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The newest edit that it contains.
    pub seq: u64,
    /// Byte order mark and front matter.
    pub front: Arc<str>,
    /// The sections in order.
    pub sections: Vec<SectionView>,
}

impl Snapshot {
    /// The document as Markdown.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let texts = self.sections.iter().flat_map(|section| section.text.chunks());
        [&*self.front].into_iter().chain(texts).collect()
    }
}
