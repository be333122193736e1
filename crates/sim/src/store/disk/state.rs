//! What is on the disk, what is only in memory, and what becomes of it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::future::ready;

use ggml_agent_core::store::{
    Accepted, Answer, Commit, Epoch, Found, Read, StoreError, Tables, Write, Written,
};

use super::{Cut, Effect, Fault, Fencing, Honesty, Setup, Syncs};
use crate::rng::Rng;
use crate::store::answer::{Promise, promise};

type Outcome = Result<Written, StoreError>;

/// A write that has happened in memory only.
struct Unsynced {
    write: Write,
    /// What it is to a fence, if it succeeded.
    effect: Option<Effect>,
    outcome: Outcome,
    /// `None` if a liar has answered already.
    promise: Option<Promise<Outcome>>,
}

pub(super) struct Disk {
    setup: Setup,
    rng: Rng,
    pub(super) durable: Tables,
    pub(super) volatile: Tables,
    unsynced: VecDeque<Unsynced>,
    /// Stores that were opened: the newest one counts, if any does.
    n_opened: u64,
    pub(super) is_open: bool,
    /// By the number of a write.
    faults: BTreeMap<u64, Fault>,
    pub(super) cut: Option<Cut>,
    pub(super) n_writes: u64,
    pub(super) n_commits: u64,
    pub(super) n_cuts: u64,
    pub(super) effects: Vec<Effect>,
    pub(super) digest: u64,
    pub(super) trace: String,
}

impl Disk {
    pub(super) fn new(setup: Setup) -> Self {
        let empty = Tables::with_dedupe_window(setup.dedupe_ids_max);
        Self {
            setup,
            rng: Rng::new(setup.seed),
            durable: empty.clone(),
            volatile: empty,
            unsynced: VecDeque::new(),
            n_opened: 0,
            is_open: false,
            faults: BTreeMap::new(),
            cut: None,
            n_writes: 0,
            n_commits: 0,
            n_cuts: 0,
            effects: Vec::new(),
            digest: 0,
            trace: String::new(),
        }
    }

    /// Notes what happened: its number always, its line if lines are kept.
    fn note(&mut self, what: u64, line: impl FnOnce() -> String) {
        self.digest = (self.digest.rotate_left(5) ^ what).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        if self.setup.is_traced {
            // A String takes whatever is written to it.
            writeln!(self.trace, "{}", line()).expect("invariant: a string takes all");
        }
    }

    pub(super) fn open(&mut self) -> Result<u64, StoreError> {
        if self.is_open {
            return Err(StoreError::Unavailable { why: "another process has it open".into() });
        }
        self.volatile = self.durable.clone();
        self.is_open = true;
        self.n_opened += 1;
        self.note(1, || "opened".into());
        Ok(self.n_opened)
    }

    pub(super) fn is_open_as(&self, number: u64) -> bool {
        self.is_open && self.n_opened == number
    }

    pub(super) fn close(&mut self) {
        self.sync(self.unsynced.len());
        self.is_open = false;
        self.note(2, || "closed".into());
    }

    pub(super) fn n_unsynced(&self) -> usize {
        self.unsynced.len()
    }

    pub(super) fn fail(&mut self, n: u64, fault: Fault) {
        self.faults.insert(self.n_writes + n, fault);
    }

    pub(super) fn mend(&mut self) {
        self.faults.clear();
    }

    pub(super) fn write(&mut self, write: Write) -> Answer<Written> {
        self.n_writes += 1;
        let is_commit = matches!(write, Write::Commit(_));
        self.n_commits += u64::from(is_commit);
        let n = self.n_commits;
        let is_cut = |cut| is_commit && self.cut == Some(cut);
        let (before, after, synced) =
            (is_cut(Cut::Before(n)), is_cut(Cut::After(n)), is_cut(Cut::Synced(n)));
        let (promise, promised) = promise();
        if before {
            self.power_cut();
            self.leave_unanswered(promise);
            return Box::pin(promised);
        }
        match self.faults.remove(&self.n_writes) {
            Some(Fault::NoSpace) => return self.refuse(StoreError::NoSpace),
            Some(Fault::Unavailable) => {
                return self.refuse(StoreError::Unavailable { why: "the device refuses".into() });
            }
            Some(Fault::Indeterminate) => {
                self.happen(write, promise);
                self.fail_in_the_middle();
                return Box::pin(promised);
            }
            None => self.happen(write, promise),
        }
        if after {
            self.power_cut();
        } else if synced {
            self.survive(self.unsynced.len());
            self.power_cut();
        } else {
            match self.setup.syncs {
                Syncs::ByHand => {}
                Syncs::AtOnce => self.sync(self.unsynced.len()),
                Syncs::ByChance(percent) => {
                    if self.rng.chance(percent) {
                        self.sync_some();
                    }
                }
            }
        }
        Box::pin(promised)
    }

    fn refuse(&mut self, error: StoreError) -> Answer<Written> {
        let n = self.n_writes;
        self.note(3, || format!("write {n} refused: {error}"));
        Box::pin(ready(Err(error)))
    }

    /// The write takes effect, in memory.
    fn happen(&mut self, write: Write, promise: Promise<Outcome>) {
        let (effect, write) = (effect_of(&write), self.unfenced(write));
        let outcome = self.volatile.write(write.clone());
        self.note(digest_of(&outcome), || format!("{write:?} -> {outcome:?}"));
        let promise = match self.setup.honesty {
            Honesty::Honest => Some(promise),
            Honesty::Lying => {
                promise.keep(outcome.clone());
                None
            }
        };
        self.unsynced.push_back(Unsynced { write, effect, outcome, promise });
    }

    /// The first `n` writes become durable, and are answered.
    pub(super) fn sync(&mut self, n: usize) {
        for (promise, outcome) in self.survive(n) {
            if let Some(promise) = promise {
                promise.keep(outcome);
            }
        }
    }

    pub(super) fn sync_some(&mut self) {
        let n = self.rng.below(self.unsynced.len() + 1);
        self.sync(n);
    }

    /// The first `n` writes become durable.
    fn survive(&mut self, n: usize) -> Vec<(Option<Promise<Outcome>>, Outcome)> {
        if n > 0 {
            self.note(4, || format!("{n} synced"));
        }
        let mut answers = Vec::with_capacity(n);
        for Unsynced { write, effect, outcome, promise } in self.unsynced.drain(..n) {
            match (effect, &outcome) {
                (Some(Effect::Began(agent, _)), Ok(Written::Opened(opened))) => {
                    self.effects.push(Effect::Began(agent, opened.epoch));
                }
                (Some(effect), Ok(_)) => self.effects.push(effect),
                (_, Err(_)) | (None, Ok(_)) => {}
            }
            let again = self.durable.write(write);
            assert_eq!(again, outcome, "tables are a function of what is written");
            answers.push((promise, outcome));
        }
        answers
    }

    /// How many of the unsynced writes survive: often none or all, since these are the corners.
    fn n_lucky(&mut self) -> usize {
        match self.rng.below(4) {
            0 => 0,
            1 => self.unsynced.len(),
            _ => self.rng.below(self.unsynced.len() + 1),
        }
    }

    fn leave_unanswered(&mut self, promise: Promise<Outcome>) {
        if self.rng.chance(50) {
            promise.keep(Err(StoreError::Closed));
        }
    }

    pub(super) fn power_cut(&mut self) {
        let n = self.n_lucky();
        self.note(5, || "power cut".into());
        let mut left = self.survive(n);
        left.extend(self.unsynced.drain(..).map(|lost| (lost.promise, lost.outcome)));
        for (promise, _) in left {
            if let Some(promise) = promise {
                self.leave_unanswered(promise);
            }
        }
        self.end();
    }

    fn fail_in_the_middle(&mut self) {
        let n = self.n_lucky();
        self.note(6, || "failed in the middle of a write".into());
        let mut left = self.survive(n);
        left.extend(self.unsynced.drain(..).map(|lost| (lost.promise, lost.outcome)));
        for (promise, _) in left {
            if let Some(promise) = promise {
                promise.keep(Err(StoreError::Indeterminate { why: "the device failed".into() }));
            }
        }
        self.end();
    }

    fn end(&mut self) {
        self.n_cuts += 1;
        self.cut = None;
        self.is_open = false;
    }

    /// The write as a store takes it whose fence is broken.
    fn unfenced(&self, write: Write) -> Write {
        let Write::Commit(commit) = &write else { return write };
        if self.setup.fencing == Fencing::Whole {
            return write;
        }
        let everybody = Read::Agents { after: None, limit: usize::MAX };
        let Ok(Found::Agents(agents)) = self.volatile.read(&everybody) else { return write };
        let Some(now) = agents.into_iter().find(|now| now.agent == commit.agent) else {
            return write;
        };
        let expected = match self.setup.fencing {
            Fencing::Nothing => now.revision,
            Fencing::NoEpoch | Fencing::Whole => commit.expected,
        };
        Write::Commit(Box::new(Commit { epoch: now.epoch, expected, ..(**commit).clone() }))
    }
}

/// What a write is to a fence if it succeeds; a beginning learns its epoch then.
fn effect_of(write: &Write) -> Option<Effect> {
    match write {
        Write::Open(open) => Some(Effect::Began(open.agent.clone(), Epoch(0))),
        Write::Commit(commit) => Some(Effect::Committed(commit.agent.clone(), commit.epoch)),
        _ => None,
    }
}

/// A number for an outcome, different for different ones as far as a trace needs it.
fn digest_of(outcome: &Outcome) -> u64 {
    match outcome {
        Ok(Written::Opened(opened)) => 16 + (opened.epoch.0 << 8),
        Ok(Written::Accepted(accepted)) => match accepted {
            Accepted::At(position) => 17 + (position.0 << 8),
            Accepted::Duplicate => 18,
            Accepted::Dropped => 19,
        },
        Ok(Written::Committed(revision)) => 20 + (revision.0 << 8),
        Ok(Written::Done) => 21,
        Ok(Written::Taken(taken)) => 23 + ((taken.n as u64) << 8),
        Err(_) => 22,
    }
}
