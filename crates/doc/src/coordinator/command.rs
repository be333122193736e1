//! What goes into the coordinator and what comes out: plain data.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ggml_agent_core::AgentId;
use ggml_agent_core::lease::{Event, Grant, OnBusy, RequestError, Stale, Token};

use crate::history::Update;
use crate::limits::{DOCUMENT_BYTES_MAX, SECTION_BYTES_MAX, SUBSCRIBERS_MAX};
use crate::section::SectionId;

/// One life of an agent: locks and subscriptions belong to it, not to the agent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder {
    agent: AgentId,
    incarnation: u64,
}

impl Holder {
    /// The life number `incarnation` of `agent`; later lives have larger numbers.
    #[must_use]
    pub fn new(agent: AgentId, incarnation: u64) -> Self {
        Self { agent, incarnation }
    }

    /// The agent.
    #[must_use]
    pub fn agent(&self) -> &AgentId {
        &self.agent
    }

    /// Which of its lives.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.agent, self.incarnation)
    }
}

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
    /// Its text.
    pub text: Arc<str>,
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
        let texts = self.sections.iter().map(|section| &*section.text);
        [&*self.front].into_iter().chain(texts).collect()
    }
}

/// The caller's life is over, or a later one of the same agent has taken its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{holder} has ended or was restarted; only a later incarnation may act")]
pub struct Gone {
    /// Who asked.
    pub holder: Holder,
}

/// Why a lock request was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// The caller has ended.
    #[error(transparent)]
    Gone(#[from] Gone),
    /// There is no such section.
    #[error("the document has no section {section}; read the list of sections again")]
    UnknownSection {
        /// Which.
        section: SectionId,
    },
    /// The store has not kept up: see [`EditError::Unsaved`].
    #[error("the document waits for its store to keep earlier changes; try again later")]
    Unsaved,
    /// The request itself is at fault, or the queue is full.
    #[error(transparent)]
    Request(#[from] RequestError<SectionId>),
}

impl LockError {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Request(error) => error.is_retryable(),
            Self::Unsaved => true,
            Self::Gone(_) | Self::UnknownSection { .. } => false,
        }
    }
}

/// Why a subscription was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The caller has ended.
    #[error(transparent)]
    Gone(#[from] Gone),
    /// The document has as many subscribers as are allowed.
    #[error("{SUBSCRIBERS_MAX} subscribers follow the document already; try again later")]
    TooMany,
}

impl SubscribeError {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::TooMany)
    }
}

/// Why an edit was refused; nothing was changed (D6).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The caller has ended.
    #[error(transparent)]
    Gone(#[from] Gone),
    /// There is no such section.
    #[error("the document has no section {section}; read the list of sections again")]
    UnknownSection {
        /// Which.
        section: SectionId,
    },
    /// The lock is not the caller's any more (D2, D3).
    #[error(transparent)]
    Stale(#[from] Stale),
    /// The edit has no token, and somebody holds the section.
    #[error("section {section} is locked by {holder} until {until:?}; wait for the lock")]
    Locked {
        /// Which.
        section: SectionId,
        /// By whom.
        holder: Holder,
        /// Until when, unless renewed.
        until: Duration,
    },
    /// The store of a durable document has not kept up: its disk is full, fails, or is too slow. Nothing
    /// was decided.
    #[error("the document waits for its store to keep earlier changes; try again later")]
    Unsaved,
    /// The edit has neither a token nor the version that it was made from.
    #[error("an edit needs a lock's token or the version it was made from; send one of them")]
    NoTokenAndNoBase,
    /// Somebody has changed the section since.
    #[error(
        "section {section} is at version {current}, the edit was made from {base}; read it again"
    )]
    Outdated {
        /// Which.
        section: SectionId,
        /// The version that the edit was made from.
        base: u64,
        /// The version that it has.
        current: u64,
    },
    /// The new text is larger than [`SECTION_BYTES_MAX`].
    #[error("the new text has {len} bytes, at most {SECTION_BYTES_MAX} are allowed; shorten it")]
    SectionTooLarge {
        /// Its length in bytes.
        len: usize,
    },
    /// The document would be larger than [`DOCUMENT_BYTES_MAX`].
    #[error(
        "the document would have {len} bytes, at most {DOCUMENT_BYTES_MAX} are allowed; shorten the text"
    )]
    DocumentTooLarge {
        /// The length in bytes that it would have.
        len: usize,
    },
    /// The section has a heading and the new text does not begin with one.
    #[error(
        "the new text must begin with the section's heading, such as \"## Title\"; put it first"
    )]
    HeadingMissing,
    /// The next section's heading would become part of this section.
    #[error(
        "the new text would swallow the heading after it; \
         end it with a line break and close its fences and HTML"
    )]
    SwallowsNext,
    /// The new heading would become part of the section before.
    #[error(
        "the new heading would continue the section before it; write it as \"# Title\" instead"
    )]
    JoinsPrevious,
    /// With the new text the document would begin with (other) front matter or a byte order mark.
    #[error(
        "the document would begin with front matter then; \
         write a rule as \"***\", or put a blank line after the first \"---\" or \"+++\""
    )]
    BecomesFrontMatter,
}

impl EditError {
    /// Whether the same edit may succeed later; every other needs a new lock, a new read or a new text.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Locked { .. } | Self::Unsaved)
    }
}
