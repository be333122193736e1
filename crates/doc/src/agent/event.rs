//! What happens to a document, as events of the system's stream.

use std::any::Any;
use std::fmt;
use std::time::Duration;

use ggml_agent::CustomEvent;
use ggml_agent_core::AgentId;
use ggml_agent_core::lease::{Busy, Grant, Token};

use crate::coordinator::{EditError, Holder, OpError};
use crate::section::SectionId;

/// One thing that happened to a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocEvent {
    /// Which document.
    pub document: AgentId,
    /// Who did it, or whom it happened to.
    pub holder: Holder,
    /// What.
    pub kind: DocEventKind,
}

/// What happened to a document.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DocEventKind {
    /// A lock was granted.
    Granted {
        /// Of which section.
        section: SectionId,
        /// The fencing token.
        token: Token,
        /// When the lease ends, on the system's clock.
        until: Duration,
    },
    /// A request waits its turn.
    Queued {
        /// For which section.
        section: SectionId,
        /// 1 = next.
        position: usize,
    },
    /// A lock was denied.
    Denied {
        /// Of which section.
        section: SectionId,
        /// Who holds it.
        by: Holder,
        /// When that lease ends.
        until: Option<Duration>,
    },
    /// A lock was given back.
    Released {
        /// Of which section.
        section: SectionId,
        /// Its token, now stale.
        token: Token,
    },
    /// A lease ran out.
    Expired {
        /// Of which section.
        section: SectionId,
        /// Its token, now stale.
        token: Token,
    },
    /// A lock was taken back because its holder died or was restarted.
    TakenBack {
        /// Of which section.
        section: SectionId,
        /// Its token, now stale.
        token: Token,
    },
    /// A person wants a lock: its holder has until then to save what it has and release.
    Revoking {
        /// Of which section.
        section: SectionId,
        /// Its token, good until then.
        token: Token,
        /// When the lock is taken, on the system's clock.
        at: Duration,
    },
    /// An operator took a lock from its holder.
    Forced {
        /// Of which section.
        section: SectionId,
        /// Its token, now stale.
        token: Token,
    },
    /// An edit is in the document.
    EditAccepted {
        /// Of which section.
        section: SectionId,
        /// The document's version.
        seq: u64,
        /// The section's version.
        version: u64,
    },
    /// A command was refused; nothing was changed.
    CommandRefused {
        /// The section that it, or the refused one of its batch, is about.
        section: SectionId,
        /// Why.
        error: Box<OpError>,
    },
    /// Sections came, went, moved, or are written to in another way.
    OutlineChanged {
        /// The document's version.
        seq: u64,
    },
    /// An edit was refused; nothing was changed.
    EditRefused {
        /// Of which section.
        section: SectionId,
        /// Why.
        error: EditError,
    },
}

impl DocEventKind {
    pub(super) fn granted(grant: &Grant<SectionId>) -> Self {
        Self::Granted { section: grant.section, token: grant.token, until: grant.deadline }
    }

    /// Whether an edit was refused because its token, or its author's incarnation, is over (D2).
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        let error = match self {
            Self::EditRefused { error, .. } => Some(error),
            Self::CommandRefused { error, .. } => error.edit_error(),
            _ => None,
        };
        matches!(error, Some(EditError::Stale(_) | EditError::Gone(_)))
    }
}

/// Who is in the way, and until when.
pub(super) fn parts(busy: &Busy<Holder>) -> (Holder, Option<Duration>) {
    match busy {
        Busy::Held { holder, until } => (holder.clone(), Some(*until)),
        Busy::Promised { to } => (to.clone(), None),
    }
}

impl fmt::Display for DocEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let holder = &self.holder;
        match &self.kind {
            DocEventKind::Granted { section, token, .. } => {
                write!(f, "{section} lease to {holder}, fence={token}")
            }
            DocEventKind::Queued { section, position } => {
                write!(f, "{section}: {holder} waits, position {position}")
            }
            DocEventKind::Denied { section, by, .. } => {
                write!(f, "{section} denied to {holder}: held by {by}")
            }
            DocEventKind::Released { section, .. } => write!(f, "{section} released by {holder}"),
            DocEventKind::Expired { section, token } => {
                write!(f, "{section} lease of {holder} ran out, fence {token} is stale")
            }
            DocEventKind::TakenBack { section, token } => {
                write!(f, "{section} lease of {holder} taken back, fence {token} is stale")
            }
            DocEventKind::Revoking { section, token, .. } => {
                write!(f, "{section} lease of {holder} will be taken back, fence {token}")
            }
            DocEventKind::Forced { section, token } => {
                write!(f, "{section} released by force by {holder}, fence {token} is stale")
            }
            DocEventKind::EditAccepted { section, seq, version } => {
                write!(f, "{section} edited by {holder}: version {version}, document {seq}")
            }
            DocEventKind::CommandRefused { section, error } => {
                write!(f, "{section} command of {holder} refused: {error}")
            }
            DocEventKind::OutlineChanged { seq } => {
                write!(f, "sections changed by {holder}: document {seq}")
            }
            DocEventKind::EditRefused { section, error } => {
                write!(f, "{section} edit of {holder} refused: {error}")
            }
        }
    }
}

impl CustomEvent for DocEvent {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &'static str {
        match self.kind {
            DocEventKind::Granted { .. } => "doc.lock_granted",
            DocEventKind::Queued { .. } => "doc.lock_queued",
            DocEventKind::Denied { .. } => "doc.lock_denied",
            DocEventKind::Released { .. } => "doc.lock_released",
            DocEventKind::Expired { .. } => "doc.lock_expired",
            DocEventKind::TakenBack { .. } => "doc.lock_taken_back",
            DocEventKind::Revoking { .. } => "doc.lock_revoking",
            DocEventKind::Forced { .. } => "doc.lock_forced",
            DocEventKind::EditAccepted { .. } => "doc.edit_accepted",
            DocEventKind::OutlineChanged { .. } => "doc.outline_changed",
            DocEventKind::EditRefused { .. } => "doc.edit_refused",
            DocEventKind::CommandRefused { .. } => "doc.command_refused",
        }
    }
}
