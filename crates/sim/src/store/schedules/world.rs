//! The world of one schedule.

use ggml_agent_core::store::{
    Bounds, Found, OnFull, Open, Opened, Position, Read, StoreRef, Tables, Write, Written,
};
use ggml_agent_core::{AgentId, Priority};

use super::sender::Sender;
use super::{Counts, Failure, Outcome, Plan, Scenario, Weather};
use crate::rng::Rng;
use crate::store::clerk::{Clerk, letter_of};
use crate::store::driver::{Driver, Ending, Turn};
use crate::store::oracle::{Dead, Heard, History, Kept, Sent, Waiting, judge};
use crate::store::{Fault, Setup, SimDisk};

/// Steps with faults; what is left then is done without.
const STEPS: usize = 90;

/// Rounds without faults after which a world that has not come to rest never will.
const ROUNDS_MAX: usize = 1_000;

pub(super) struct World<D: Driver> {
    plan: Plan,
    options: D::Options,
    rng: Rng,
    disk: SimDisk,
    store: StoreRef,
    senders: Vec<Sender>,
    clerks: [Clerk; 2],
    drivers: Vec<D>,
    /// Incarnations whose successor has begun, and who do not know it.
    former: Vec<D>,
    counts: Counts,
    failure: Option<Failure>,
}

impl<D: Driver> World<D> {
    pub(super) fn new(plan: Plan, scenario: &Scenario<D::Options>) -> Self {
        let mut rng = Rng::new(plan.seed);
        let Scenario { honesty, fencing, is_traced, .. } = *scenario;
        let setup = Setup { honesty, fencing, is_traced, ..Setup::new(rng.bits()) };
        let disk = SimDisk::new(setup);
        let store = open(&disk);
        let name = |name: &str| name.parse::<AgentId>().expect("invariant: a good name");
        let (first, second) = (name("a"), name("b"));
        let bounds = match plan.weather {
            Weather::Calm => Bounds::DEFAULT,
            Weather::Faulty => Bounds { messages_max: 4, ..Bounds::DEFAULT },
            Weather::Crowded => {
                Bounds { messages_max: 6, on_full: OnFull::DropNewest, ..Bounds::DEFAULT }
            }
            Weather::Evicting => {
                Bounds { messages_max: 3, on_full: OnFull::DropOldest, ..Bounds::DEFAULT }
            }
        };
        let clerks = [
            Clerk::new(first.clone(), Some(second.clone()), bounds, 1 + rng.below(3)),
            Clerk::new(second.clone(), None, Bounds::DEFAULT, 1 + rng.below(2)),
        ];
        // Who may be refused has one letter on its way: the next one would overtake it.
        let flying_max = if plan.weather == Weather::Faulty { 1 } else { 3 };
        let mut sender = |from: &str, to, n| Sender::new(&name(from), to, n, flying_max, &mut rng);
        let senders = vec![sender("s", &first, 4), sender("t", &first, 4), sender("u", &second, 2)];
        let mut world = Self {
            plan,
            options: scenario.driver.clone(),
            rng,
            disk,
            store,
            senders,
            clerks,
            drivers: Vec::new(),
            former: Vec::new(),
            counts: Counts { n_schedules: 1, ..Counts::default() },
            failure: None,
        };
        // Their mailboxes are there before anybody writes to them.
        world.begin_all(Some(Vec::new()));
        world.disk.sync();
        if let Some(cut) = plan.cut {
            world.disk.cut_at(cut);
        }
        world
    }

    pub(super) fn run(mut self) -> Outcome {
        for _ in 0..STEPS {
            if self.failure.is_none() {
                self.step();
            }
        }
        if self.failure.is_none() {
            self.rest();
        }
        self.counts.n_writes = self.disk.n_writes();
        self.counts.n_commits = self.disk.n_commits();
        self.counts.n_cuts = self.disk.n_cuts();
        self.counts.digest = self.disk.digest();
        Outcome { counts: self.counts, failure: self.failure, trace: self.disk.trace() }
    }

    fn begin(&mut self, which: usize, in_hand: Option<Vec<Position>>) -> D {
        let seed = self.rng.bits();
        D::begin(self.clerks[which].clone(), &self.store, in_hand, &self.options, seed)
    }

    fn begin_all(&mut self, in_hand: Option<Vec<Position>>) {
        self.former.clear();
        self.drivers = (0..self.clerks.len()).map(|n| self.begin(n, in_hand.clone())).collect();
    }

    fn step(&mut self) {
        match self.rng.below(100) {
            0..=27 => {
                let sender = self.rng.below(self.senders.len());
                self.senders[sender].turn(&self.store);
            }
            28..=61 => {
                let which = self.rng.below(self.drivers.len());
                self.turn(which);
            }
            62..=67 => self.former_turn(),
            68..=79 => self.disk.sync_some(),
            80..=94 => drop(self.disk.sync()),
            95 if self.rng.chance(20) => self.disk.close(),
            _ => self.trouble(),
        }
        if self.rng.below(1_000) < self.plan.cuts_per_mille {
            self.disk.power_cut();
        }
        if !self.disk.is_open() {
            self.recover();
        }
    }

    fn trouble(&mut self) {
        match self.plan.weather {
            Weather::Calm | Weather::Evicting => {}
            Weather::Faulty => {
                let faults = [Fault::NoSpace, Fault::Unavailable, Fault::Indeterminate];
                let (n, fault) = (1 + self.rng.below(4) as u64, self.rng.pick(&faults));
                self.disk.fail(n, fault);
            }
            Weather::Crowded => {
                let which = self.rng.below(self.drivers.len());
                let usurper = self.begin(which, Some(Vec::new()));
                self.former.push(std::mem::replace(&mut self.drivers[which], usurper));
                self.counts.n_usurped += 1;
            }
        }
    }

    /// Gives a driver its turn; whether it rests.
    fn turn(&mut self, which: usize) -> bool {
        let in_hand = match self.drivers[which].turn() {
            Turn::Worked | Turn::Waits => return false,
            Turn::Rests => return true,
            // The store is opened again, and the agents with it.
            Turn::Ended(_) if !self.disk.is_open() => return false,
            Turn::Ended(Ending::Crashed(in_hand)) => {
                self.counts.n_crashed += 1;
                Some(in_hand)
            }
            Turn::Ended(Ending::Fenced) => {
                self.counts.n_fenced += 1;
                Some(Vec::new())
            }
            Turn::Ended(Ending::Store(_)) => None,
        };
        self.drivers[which] = self.begin(which, in_hand);
        false
    }

    fn former_turn(&mut self) {
        if self.former.is_empty() {
            return;
        }
        let which = self.rng.below(self.former.len());
        if let Turn::Ended(ending) = self.former[which].turn() {
            self.counts.n_fenced += u64::from(ending == Ending::Fenced);
            self.former.swap_remove(which);
        }
    }

    /// The process is gone: what survived is judged, and everybody begins again.
    fn recover(&mut self) {
        for sender in &mut self.senders {
            sender.rewind();
        }
        self.judge();
        self.store = open(&self.disk);
        self.begin_all(None);
    }

    /// Without faults but the cut that is planned, until there is nothing left to do.
    fn rest(&mut self) {
        self.disk.mend();
        for _ in 0..ROUNDS_MAX {
            for sender in &mut self.senders {
                sender.turn(&self.store);
            }
            if !self.disk.is_open() {
                self.recover();
            }
            if self.failure.is_some() {
                return;
            }
            let rests: Vec<_> = (0..self.drivers.len()).map(|which| self.turn(which)).collect();
            self.former_turn();
            let is_synced = !self.disk.sync();
            let all_sent = self.senders.iter().all(Sender::is_done);
            if is_synced && all_sent && rests.iter().all(|rests| *rests) {
                let left = self.judge();
                if left > 0 && self.failure.is_none() {
                    self.failure = Some(Failure::LeftOver(left));
                }
                return;
            }
        }
        self.failure = Some(Failure::Stuck);
    }

    /// Judges what would survive a power cut now; how many letters are still on their way.
    fn judge(&mut self) -> usize {
        self.counts.n_judged += 1;
        let (history, n_applied) = self.history();
        self.counts.n_applied = n_applied;
        self.counts.n_dead = history.dead.len() as u64;
        let violations = judge(&history);
        if !violations.is_empty() {
            self.failure = Some(Failure::Violated(violations));
        }
        history.kept.iter().map(|kept| kept.waiting.len() + kept.outbox.len()).sum()
    }

    fn history(&self) -> (History, u64) {
        let mut tables = self.disk.durable();
        let sent = self.senders.iter().flat_map(Sender::letters).cloned();
        let mut history = History { sent: sent.collect(), ..History::default() };
        for clerk in &self.clerks {
            let mut clerk = clerk.clone();
            let opened = reopened(&mut tables, &clerk);
            clerk.restore(opened.snapshot.as_ref());
            // What a committed state says was sent must be on its way at least.
            history.sent.extend(clerk.drafts().into_iter().map(|draft| Sent {
                to: draft.to,
                letter: draft.letter,
                id: None,
                heard: Heard::Accepted(None),
            }));
            history.sent.extend(clerk.alarms().into_iter().map(|alarm| Sent {
                to: clerk.id.clone(),
                letter: alarm.letter,
                id: None,
                heard: Heard::Accepted(None),
            }));
            // A timer that is set is on its way, as what waits in the outbox is.
            let timers = opened.timers.iter().map(|timer| &timer.envelope);
            let outbox = opened.outbox.iter().chain(timers);
            history.kept.push(Kept {
                waiting: waiting(&tables, &clerk.id),
                agent: clerk.id,
                applied: clerk.applied,
                watermarks: opened.applied,
                outbox: outbox.map(|sent| (sent.to.clone(), letter_of(sent))).collect(),
            });
        }
        let dead = Read::DeadLetters { after: 0, limit: usize::MAX };
        if let Ok(Found::DeadLetters(letters)) = tables.read(&dead) {
            history.dead.extend(letters.into_iter().map(|dead| Dead {
                letter: letter_of(&dead.envelope),
                id: dead.envelope.id,
                to: dead.envelope.to,
            }));
        }
        history.effects = self.disk.effects();
        let n_applied = history.kept.iter().map(|kept| kept.applied.len() as u64).sum();
        (history, n_applied)
    }
}

fn open(disk: &SimDisk) -> StoreRef {
    StoreRef::new(disk.open().expect("invariant: no other store is open"))
}

/// What the next incarnation would begin with: the only way to see a state, here on a copy.
fn reopened(tables: &mut Tables, clerk: &Clerk) -> Opened {
    let (agent, bounds) = (clerk.id.clone(), clerk.bounds);
    let open = Open { agent, bounds, in_hand: Some(Vec::new()) };
    match tables.write(Write::Open(open)) {
        Ok(Written::Opened(opened)) => *opened,
        other => unreachable!("invariant: an agent can be begun: {other:?}"),
    }
}

fn waiting(tables: &Tables, agent: &AgentId) -> Vec<Waiting> {
    let mut waiting = Vec::new();
    for lane in [Priority::High, Priority::Normal] {
        let (mailbox, after, limit) = (agent.clone(), Position(0), usize::MAX);
        let read = Read::Messages { mailbox, lane, after, limit };
        let Ok(Found::Messages(messages)) = tables.read(&read) else { continue };
        waiting.extend(messages.into_iter().map(|message| Waiting {
            position: message.position,
            id: message.envelope.id,
            letter: letter_of(&message.envelope),
        }));
    }
    waiting
}
