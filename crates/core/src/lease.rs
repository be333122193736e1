//! Section locks: leases with fencing tokens, granted first come, first served.
//!
//! [`Locks`] is a pure table. `S` names what is locked (a section), `H` names who locks it: an agent
//! *and its incarnation*, so that a restarted agent never inherits the locks of its former life.
//! Time is a `Duration` since an arbitrary origin on one monotonic clock (the coordinator's) and is
//! passed in; every call that changes the table first ends what is due, so a late timer never lets a
//! lease live longer than promised.
//!
//! Rules, and why:
//! - **One counter of tokens per document**, not one per section. "Larger than any before for that
//!   section" (D2) follows, nothing has to be remembered for sections that nobody locks, a section
//!   that is removed and made again cannot start over at 1, and a restart has to save one number.
//! - **A waiter holds nothing and a holder never waits.** A holder that asks for more is answered at
//!   once (granted or refused), and a waiter may have one request only. So the graph "waits for" has
//!   no cycle, and there is no deadlock (D5).
//! - **First in, first out per section.** A request is served when all its sections are free and no
//!   earlier waiter wants any of them; a new request never overtakes a waiter. The oldest waiter only
//!   waits for holders, and these end: nobody starves.
//! - **Re-entrant without a count.** A holder that asks again for what it holds gets the same token
//!   and a renewed lease, and one release frees the section: requests may be repeated by a network,
//!   and a repeated request must not need a second release.
//! - **Nobody holds for ever.** Renewals end [`Limits::hold_max`] after the grant.

mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

pub use table::Locks;

/// A fencing token: larger than every token given before it on the same document (D2).
///
/// Whoever writes sends the token along; a token that is not the newest of its section is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(u64);

impl Token {
    /// Below every token that is ever given.
    pub const NONE: Self = Self(0);

    /// The token as it came over a wire or out of a journal.
    #[must_use]
    pub fn from_u64(token: u64) -> Self {
        Self(token)
    }

    /// The token as a number, for a wire or a journal.
    #[must_use]
    pub fn as_u64(self) -> u64 {
        self.0
    }

    fn next(self) -> Self {
        // 2^64 grants at one per nanosecond are 584 years.
        Self(self.0.checked_add(1).expect("invariant: fewer than 2^64 grants per document"))
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Bounds of a lock table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest time from grant to end, however often the lease is renewed; more than
    /// zero. Default 5 min.
    pub hold_max: Duration,
    /// Most waiters per section; one more is refused. Default 1,000.
    pub waiters_max: usize,
}

impl Limits {
    /// The defaults.
    pub const DEFAULT: Self = Self {
        hold_max: Duration::from_secs(5 * 60),
        // 1,000 waiters x about 200 B = 200 KB for one crowded section.
        waiters_max: 1_000,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

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

/// Who holds a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease<H> {
    /// The holder.
    pub holder: H,
    /// Its fencing token.
    pub token: Token,
    /// When the lease ends unless renewed.
    pub deadline: Duration,
    /// When it was granted.
    pub since: Duration,
    /// How long it had to live when it was granted, or renewed last.
    pub length: Duration,
}

/// What a table must be told to be made again elsewhere, or later: see [`Locks::take_changes`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<S, H> {
    /// A section was granted, or its lease renewed.
    Held(Kept<S, H>),
    /// A section is free, for whatever reason.
    Free {
        /// Which.
        section: S,
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

/// Why a [`Request`] was not even considered. The asker is at fault, except for [`Self::QueueFull`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError<S: fmt::Debug> {
    /// It names no section.
    #[error("a lock request must name at least one section")]
    NoSections,
    /// Its lease lasts no time.
    #[error("a lease must be longer than zero")]
    ZeroLease,
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
            | Self::AlreadyWaiting { .. }
            | Self::WaitWhileHolding { .. } => false,
        }
    }
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
