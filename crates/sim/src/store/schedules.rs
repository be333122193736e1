//! Schedules: senders and two durable agents on a disk whose power is cut, every step of it by seed.
//!
//! Senders append to the first agent, and one to the second; the first tells the second of each letter by
//! its outbox. Chance decides whose turn is next, what is synced, what fails and when an incarnation is
//! begun beside one that still runs. After every power cut the [oracle](super::oracle) judges what survived,
//! and in the end, without faults, everything must come to rest and be judged once more.

mod sender;
mod world;

use std::fmt;
use std::ops::Range;

use super::driver::Driver;
use super::oracle::Violation;
use super::{Cut, Fencing, Honesty};

use self::world::World;

/// What else goes on beside power cuts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Nothing: senders have several letters on their way.
    Calm,
    /// Writes fail, in each way that the seam knows, and a mailbox is full now and then.
    Faulty,
    /// Incarnations are begun while the one before still runs; a full mailbox drops what is newest.
    Crowded,
    /// A full mailbox drops what is oldest, which its agent may have in hand.
    Evicting,
}

/// One schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Decides all that chance decides.
    pub seed: u64,
    /// What else goes on.
    pub weather: Weather,
    /// A power cut at a commit.
    pub cut: Option<Cut>,
    /// Power cuts at other moments: in so many of 1,000 steps.
    pub cuts_per_mille: usize,
}

/// Who is under test, and what is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scenario<O> {
    /// What the driver is told.
    pub driver: O,
    /// When the store answers.
    pub honesty: Honesty,
    /// Whom the store fences.
    pub fencing: Fencing,
    /// Whether lines are kept about all that happens on the disk.
    pub is_traced: bool,
}

impl<O> Scenario<O> {
    /// A store without a bug, below a driver that is told `driver`.
    #[must_use]
    pub const fn honest(driver: O) -> Self {
        Self { driver, honesty: Honesty::Honest, fencing: Fencing::Whole, is_traced: false }
    }
}

/// Why a schedule failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The oracle found this.
    Violated(Vec<Violation>),
    /// Without faults it did not come to rest.
    Stuck,
    /// It came to rest with so many letters in mailboxes, outboxes and timers.
    LeftOver(usize),
}

/// What a schedule, or many, came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Schedules.
    pub n_schedules: u64,
    /// Writes that were begun.
    pub n_writes: u64,
    /// Commits among them.
    pub n_commits: u64,
    /// Power cuts, and failures in the middle of a write.
    pub n_cuts: u64,
    /// Histories that the oracle judged.
    pub n_judged: u64,
    /// Letters that were applied, by both agents.
    pub n_applied: u64,
    /// Dead letters.
    pub n_dead: u64,
    /// Incarnations that were begun while another ran.
    pub n_usurped: u64,
    /// Incarnations whose handler failed.
    pub n_crashed: u64,
    /// Incarnations that learned that they are the agent no more.
    pub n_fenced: u64,
    /// A digest of all that happened.
    pub digest: u64,
}

impl Counts {
    /// Adds what others came to.
    pub fn add(&mut self, other: &Self) {
        self.n_schedules += other.n_schedules;
        self.n_writes += other.n_writes;
        self.n_commits += other.n_commits;
        self.n_cuts += other.n_cuts;
        self.n_judged += other.n_judged;
        self.n_applied += other.n_applied;
        self.n_dead += other.n_dead;
        self.n_usurped += other.n_usurped;
        self.n_crashed += other.n_crashed;
        self.n_fenced += other.n_fenced;
        self.digest = self.digest.rotate_left(7) ^ other.digest;
    }
}

/// What one schedule came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How much happened.
    pub counts: Counts,
    /// What went wrong.
    pub failure: Option<Failure>,
    /// What happened on the disk, if it was traced.
    pub trace: String,
}

/// A schedule that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Which.
    pub plan: Plan,
    /// Why.
    pub failure: Failure,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} failed: {:#?}", self.plan, self.failure)
    }
}

/// Runs one schedule.
#[must_use]
pub fn run<D: Driver>(plan: Plan, scenario: &Scenario<D::Options>) -> Outcome {
    World::<D>::new(plan, scenario).run()
}

/// Runs, for each seed, one schedule without a power cut, then each that has one before, after or right
/// behind the sync of each of its commits, then as many with cuts at random moments. Stops at the first
/// one that fails.
///
/// # Errors
/// The schedule that failed.
pub fn explore<D: Driver>(
    seeds: Range<u64>,
    weather: Weather,
    scenario: &Scenario<D::Options>,
) -> Result<Counts, Box<Failed>> {
    let mut total = Counts::default();
    let mut judged = |plan| {
        let outcome = run::<D>(plan, scenario);
        total.add(&outcome.counts);
        match outcome.failure {
            Some(failure) => Err(Box::new(Failed { plan, failure })),
            None => Ok(outcome.counts.n_commits),
        }
    };
    for seed in seeds {
        let plan = Plan { seed, weather, cut: None, cuts_per_mille: 0 };
        let n_commits = judged(plan)?;
        for commit in 1..=n_commits {
            for cut in [Cut::Before(commit), Cut::After(commit), Cut::Synced(commit)] {
                judged(Plan { cut: Some(cut), ..plan })?;
            }
        }
        for n in 0..n_commits {
            let seed = seed ^ ((n + 1) << 32);
            judged(Plan { seed, cuts_per_mille: 30, ..plan })?;
        }
    }
    Ok(total)
}
