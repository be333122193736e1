//! What is asked of the table, and what it answers.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use super::Token;
#[cfg(doc)]
use super::{Event, Limits, Locks};

/// A wish for one or several sections, all or none (D5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<S, H> {
    /// Who asks.
    pub holder: H,
    /// What it wants; at least one.
    pub sections: BTreeSet<S>,
    /// How long the lease shall last from the grant on; more than zero, cut to [`Limits::hold_max`].
    pub lease: Duration,
    /// What to do when a section is busy.
    pub on_busy: OnBusy,
    /// Longest time from the grant to the end, however often the lease is renewed; more than zero,
    /// cut to [`Limits::hold_max`], which is also what `None` means. Of the sections that are held
    /// already, nothing changes.
    pub hold_max: Option<Duration>,
    /// Who the asker is, for [`Locks::preempt`].
    pub rank: Rank,
    /// Which operation this is, if the asker counts its locks: see [`OpId`].
    pub op: Option<OpId>,
}

impl<S, H> Request<S, H> {
    /// A request of an agent that does not count its locks, for as long as [`Limits::hold_max`] allows.
    #[must_use]
    pub fn new(holder: H, sections: BTreeSet<S>, lease: Duration, on_busy: OnBusy) -> Self {
        Self { holder, sections, lease, on_busy, hold_max: None, rank: Rank::Agent, op: None }
    }
}

/// Who a holder is when somebody wants to take its lock away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rank {
    /// A program.
    #[default]
    Agent,
    /// Somebody who waits in front of a screen: goes before agents once it asks for that.
    Person,
}

/// Whom a [preemption](Locks::preempt) may take a lock from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Only from holders of a lower [`Rank`] than the asker's.
    LowerRank,
    /// From anybody. Whoever calls this has made sure that the asker may.
    Anybody,
}

/// The identity of one operation, chosen by the asker and used for nothing else: a repeated message
/// carries it again, a new wish a new one.
///
/// A lock that is asked for with a new id while it is held is one level deeper and needs one more
/// release; the same id again changes nothing. Without an id a lock is never deeper than it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(u128);

impl OpId {
    /// The id of this number, such as that of a message.
    #[must_use]
    pub const fn from_u128(id: u128) -> Self {
        Self(id)
    }

    /// The id as a number.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0
    }
}

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// What an operation did to a lease: one id may lock and release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Op {
    /// Locked the section, or made the lock deeper.
    Lock(OpId),
    /// Took one level back.
    Release(OpId),
}

/// What a [`Request`] wants when a section is busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnBusy {
    /// To be told who holds it (D4).
    Deny,
    /// To wait its turn (D4).
    Queue {
        /// When to give up: a moment on the coordinator's clock, `None` to wait without end.
        until: Option<Duration>,
    },
}

/// The answer to a [`Request`] that was well formed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<S, H> {
    /// All sections are the asker's, one grant each, ordered by section.
    Granted(Vec<Grant<S>>),
    /// The request waits; [`Event::Granted`], [`Event::WaitTimedOut`] or [`Event::Withdrawn`] follows.
    Queued {
        /// 1 = next: one more than the waiters before it at its most crowded section.
        position: usize,
    },
    /// Nothing was locked.
    Denied {
        /// The first busy section.
        section: S,
        /// Who is in the way.
        busy: Busy<H>,
    },
}

/// One section that was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant<S> {
    /// The section.
    pub section: S,
    /// The fencing token to send with every edit, renewal and release.
    pub token: Token,
    /// The moment at which the lease ends; at this moment it is no longer held.
    pub deadline: Duration,
}

/// Why a section could not be had at once (D4).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Busy<H> {
    /// Somebody holds it.
    Held {
        /// Who.
        holder: H,
        /// Until when, unless renewed.
        until: Duration,
    },
    /// Nobody holds it, but a waiter who came earlier needs it together with others.
    Promised {
        /// That waiter.
        to: H,
    },
}

impl<H> Busy<H> {
    /// Who is in the way.
    pub fn holder(&self) -> &H {
        match self {
            Self::Held { holder, .. } => holder,
            Self::Promised { to } => to,
        }
    }

    /// Until when, where that is known.
    pub fn until(&self) -> Option<Duration> {
        match self {
            Self::Held { until, .. } => Some(*until),
            Self::Promised { .. } => None,
        }
    }
}
