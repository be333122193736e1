//! What happens to locks: for those who wait, and for whoever keeps the table.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Grant, Op, Rank, Token};
#[cfg(doc)]
use super::{Locks, Request};

/// What a table must be told to be made again elsewhere, or later: see [`Locks::take_changes`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<S, H> {
    /// A section was granted, its lease renewed, or its depth changed.
    Held(Kept<S, H>),
    /// A section is free, for whatever reason.
    Free {
        /// Which.
        section: S,
    },
    /// A holder said, or said again, that it means to work on a section.
    Reserved {
        /// The section.
        section: S,
        /// Who.
        holder: H,
        /// How long that has to live.
        length: Duration,
    },
    /// It does not mean to any more.
    Unreserved {
        /// The section.
        section: S,
        /// Who.
        holder: H,
    },
}

/// A lease without a clock: what survives of it when the clock does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept<S, H> {
    /// The section.
    pub section: S,
    /// Who holds it.
    pub holder: H,
    /// Its fencing token.
    pub token: Token,
    /// How long it had to live when it was granted, or renewed last.
    pub length: Duration,
    /// How many releases free it; at least 1.
    pub depth: u32,
    /// What rank it was granted to.
    pub rank: Rank,
    /// The [`Request::hold_max`] that it was granted with.
    pub hold_max: Option<Duration>,
    /// Which operations made it what it is, oldest first, at most [`OPS_MAX`](super::OPS_MAX).
    pub ops: Vec<Op>,
}

impl<S, H> Kept<S, H> {
    /// A lease as it was before there were depths, ranks and operations.
    #[must_use]
    pub fn new(section: S, holder: H, token: Token, length: Duration) -> Self {
        let (depth, rank) = (1, Rank::Agent);
        Self { section, holder, token, length, depth, rank, hold_max: None, ops: Vec::new() }
    }
}

/// What happened to a lock or a waiter other than by the answer to its own call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Event<S, H> {
    /// A waiter got all its sections.
    Granted {
        /// The waiter.
        holder: H,
        /// One grant per section.
        grants: Vec<Grant<S>>,
    },
    /// A lease ended at its deadline (D3).
    Expired {
        /// The section.
        section: S,
        /// Who held it.
        holder: H,
        /// The token, now stale.
        token: Token,
    },
    /// A lock will be taken from its holder: save what you have and release it (D4).
    Revoking {
        /// The section.
        section: S,
        /// Who holds it, still.
        holder: H,
        /// Its token, good until then.
        token: Token,
        /// When it ends, whatever is renewed.
        at: Duration,
    },
    /// A lock was taken from its holder: its grace was over, or an operator freed it.
    Revoked {
        /// The section.
        section: S,
        /// Who held it.
        holder: H,
        /// The token, now stale.
        token: Token,
    },
    /// A holder gave a section back.
    Released {
        /// The section.
        section: S,
        /// Who held it.
        holder: H,
        /// The token, now stale.
        token: Token,
    },
    /// A holder died or was restarted, its lock is free (D3, M13).
    Lost {
        /// The section.
        section: S,
        /// Who held it.
        holder: H,
        /// The token, now stale.
        token: Token,
    },
    /// A waiter's time was over before its turn came.
    WaitTimedOut {
        /// The waiter.
        holder: H,
        /// What it had asked for.
        sections: BTreeSet<S>,
    },
    /// A [reservation](super::Locks::reserve) is over: taken back, run out, or its holder is gone.
    ReservationEnded {
        /// The section.
        section: S,
        /// Whose it was.
        holder: H,
    },
    /// A waiter left the queue: it cancelled, died or was restarted.
    Withdrawn {
        /// The waiter.
        holder: H,
        /// What it had asked for.
        sections: BTreeSet<S>,
    },
}

/// The answer of a call that changes the table, and what else it caused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "the events tell waiters that it is their turn"]
pub struct Step<T, S, H> {
    /// The answer to the caller.
    pub answer: T,
    /// What happened besides, in order: first ends, then grants.
    pub events: Vec<Event<S, H>>,
}
