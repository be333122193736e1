//! Why something was refused.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

#[cfg(doc)]
use super::{Locks, Request};
use super::{OpId, Outcome, Over, Rank, Token};

/// Why a [`Request`] was not even considered. The asker is at fault, except for [`Self::QueueFull`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError<S: fmt::Debug> {
    /// It names no section.
    #[error("a lock request must name at least one section")]
    NoSections,
    /// Its lease lasts no time, or may be held for none.
    #[error("a lease must be longer than zero")]
    ZeroLease,
    /// The operation was carried out before and what it locked has ended since: it came twice.
    #[error(
        "operation {op} locked section {section:?} before; a new wish needs a new operation id"
    )]
    Repeated {
        /// The section that it had locked.
        section: S,
        /// The operation.
        op: OpId,
    },
    /// The asker holds the section too many times already: it forgets to release.
    #[error("section {section:?} is held {depth} deep already; release it before locking it again")]
    TooDeep {
        /// The section.
        section: S,
        /// How deep.
        depth: u32,
    },
    /// Too many wait for this section already; ask again later.
    #[error("{len} requests already wait for section {section:?}; ask again later")]
    QueueFull {
        /// The crowded section.
        section: S,
        /// How many wait there.
        len: usize,
    },
    /// The asker waits for something else already: cancel that, or ask for all at once.
    #[error(
        "already waiting for {waiting_for:?}; cancel that request, or ask for all sections at once"
    )]
    AlreadyWaiting {
        /// What it waits for.
        waiting_for: BTreeSet<S>,
    },
    /// The asker holds a section and would have to wait for another, which could deadlock.
    #[error(
        "section {wanted:?} is busy and waiting while holding {held:?} could deadlock; \
         release {held:?} and ask for all sections at once, or ask without waiting"
    )]
    WaitWhileHolding {
        /// A section that the asker holds.
        held: S,
        /// The busy section.
        wanted: S,
    },
}

impl<S: fmt::Debug> RequestError<S> {
    /// Whether the same request may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::QueueFull { .. } => true,
            Self::NoSections
            | Self::ZeroLease
            | Self::Repeated { .. }
            | Self::TooDeep { .. }
            | Self::AlreadyWaiting { .. }
            | Self::WaitWhileHolding { .. } => false,
        }
    }
}

/// Why a [preemption](Locks::preempt) was refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PreemptError<S: fmt::Debug, H> {
    /// The request itself cannot be considered.
    #[error(transparent)]
    Request(#[from] RequestError<S>),
    /// Somebody of the same rank, or of a higher one, holds the section or is about to get it.
    #[error(
        "section {section:?} belongs to somebody of rank {rank:?}, who does not give way; wait in \
         the queue, or preempt with {over:?} if that is allowed",
        over = Over::Anybody
    )]
    RankTooLow {
        /// The section.
        section: S,
        /// Who is in the way.
        holder: H,
        /// Its rank.
        rank: Rank,
    },
}

impl<S: fmt::Debug, H> PreemptError<S, H> {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Request(error) => error.is_retryable(),
            Self::RankTooLow { .. } => true,
        }
    }
}

/// What a [preemption](Locks::preempt) is answered.
pub type Preempted<S, H> = Result<Outcome<S, H>, PreemptError<S, H>>;

/// Why a [reservation](Locks::reserve) was refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReserveError<S: fmt::Debug> {
    /// It lasts no time.
    #[error("a reservation must be longer than zero")]
    ZeroLease,
    /// Too many mean to work on this section: choose another, or ask again later.
    #[error("{len} holders have reserved section {section:?} already; take another or ask later")]
    TooMany {
        /// The section.
        section: S,
        /// How many.
        len: usize,
    },
}

impl<S: fmt::Debug> ReserveError<S> {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::TooMany { .. })
    }
}

/// Why a holder was not [protected](Locks::protect): somebody forgets to end protections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{len} holders are protected already; end the protection of those that do not run")]
pub struct TooManyProtected {
    /// How many are.
    pub len: usize,
}

/// Why a token was refused (D2, D3). Nothing was changed; ask for the lock again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum Stale {
    /// Nobody holds the section: the lease ended, was released, or was taken from a dead holder.
    #[error("token {token} is stale: the section is not locked any more; lock it again")]
    NotHeld {
        /// The token that was refused.
        token: Token,
    },
    /// The section was granted to somebody later.
    #[error(
        "token {token} is stale: the section was granted again with token {current}; lock it again"
    )]
    Superseded {
        /// The token that was refused.
        token: Token,
        /// The token that counts.
        current: Token,
    },
    /// The lease ended and the timer has not yet come by.
    #[error("token {token} is stale: its lease ended at {at:?}; lock the section again")]
    Expired {
        /// The token that was refused.
        token: Token,
        /// When its lease ended.
        at: Duration,
    },
    /// No grant of this section ever had this token.
    #[error("token {token} was never given for this section, its newest is {current}")]
    NeverGiven {
        /// The token that was refused.
        token: Token,
        /// The token that counts.
        current: Token,
    },
    /// The token is right, but it is another's.
    #[error("token {token} belongs to another holder; use the token of your own grant")]
    NotYours {
        /// The token that was refused.
        token: Token,
    },
}

impl Stale {
    /// Always false: the same call will not succeed, a new lock is needed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        false
    }
}
