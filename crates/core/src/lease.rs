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
//! - **Re-entrant, with a count that repeats do not confuse.** A holder that asks again for what it holds
//!   gets the same token and a renewed lease. If it names a new [`OpId`] the lock is one level deeper and
//!   needs one more release; the same id again, or none, counts nothing, because a network repeats
//!   requests, and a repeated one must not need a second release.
//! - **Nobody holds for ever.** Renewals end [`Request::hold_max`] after the grant.
//! - **People go first, agents are warned.** [`Locks::preempt`] takes a lock from a holder of lower
//!   [`Rank`], after a grace in which the holder can save its work; whoever preempts is served before all
//!   waiters. The wait is bounded by the grace, so this adds no way to deadlock.
//! - **A lease measures its holder, not us.** While the coordinator cannot answer
//!   ([`Locks::pause_leases`]), or is known to have the holder at work ([`Locks::protect`]), a missing
//!   renewal says nothing, and no lease ends for it.
//! - **An intent is not a lock.** [`Locks::reserve`] tells the others and keeps nobody out.

mod error;
mod event;
mod request;
mod table;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

pub use error::{PreemptError, Preempted, RequestError, ReserveError, Stale, TooManyProtected};
pub use event::{Change, Event, Kept, Step};
pub use request::{Busy, Grant, OnBusy, Op, OpId, Outcome, Over, Rank, Request};
pub use table::{Locks, Row};

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

/// How long a holder keeps its lock after it was told that it is taken away.
// Two seconds: a person waits that long without asking what is wrong, an agent saves a section in it.
pub const GRACE: Duration = Duration::from_secs(2);

/// Most levels of one lock.
// Nested calls of one agent are a few deep; 32 is a loop that forgets to release.
pub const DEPTH_MAX: u32 = 32;

/// Most operations remembered of one lease; the oldest is forgotten.
// Twice DEPTH_MAX: each level once locked and once released. 64 x 32 B = 2 KiB per lease that counts.
pub const OPS_MAX: usize = 64;

/// Most operations remembered of leases that have ended, per table; the oldest is forgotten.
// 1,024 x about 2 x 100 B = 200 KiB. A repeat comes within seconds: 1,024 operations are more than that.
pub const PAST_OPS_MAX: usize = 1_024;

/// Most reservations of one section.
// 64 x about 200 B = 13 KB. A list of more intents on one section tells nobody where to work.
pub const RESERVATIONS_MAX: usize = 64;

/// Most preemptors that wait for one section, besides its waiters.
// Each but the first one overrides another person by force; eight in one grace is no operation any more.
pub const PREEMPTORS_MAX: usize = 8;

/// Most protected holders.
// 10,000 x about 100 B = 1 MB; one handler runs per agent, and a document has no more agents than that.
pub const PROTECTED_MAX: usize = 10_000;

/// Who holds a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease<H> {
    /// The holder.
    pub holder: H,
    /// Its fencing token.
    pub token: Token,
    /// When the lease ends unless renewed; [`Self::hold_end`] while the holder is
    /// [protected](Locks::protect). While leases are [paused](Locks::pause_leases) it is what it will be
    /// if the pause ends at once.
    pub deadline: Duration,
    /// When it was granted.
    pub since: Duration,
    /// How long it had to live when it was granted, or renewed last.
    pub length: Duration,
    /// When it ends however often it is renewed; moves like [`Self::deadline`] in a pause.
    pub hold_end: Duration,
    /// How many releases free it; at least 1.
    pub depth: u32,
    /// What rank it was granted to.
    pub rank: Rank,
    /// When it is taken away, if it is: not after [`Self::hold_end`]. Set by [`Locks::preempt`].
    pub revoked_at: Option<Duration>,
}
