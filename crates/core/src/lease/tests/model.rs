//! A model that is slow and obvious: two plain lists, everything found by looking through them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::{
    Event, Grant, Limits, Locks, OnBusy, Outcome, Request, RequestError, Stale, Token,
};

type Section = u8;
type Holder = u8;
type Ev = Event<Section, Holder>;

const SECTIONS: u64 = 5;
const HOLDERS: u64 = 7;
const LIMITS: Limits = Limits { hold_max: Duration::from_secs(40), waiters_max: 3 };

/// `splitmix64` (Steele, Lea, Flood 2014): enough to choose test steps.
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    fn small(&mut self, n: u64) -> u8 {
        u8::try_from(self.below(n)).unwrap()
    }
}

#[derive(Clone)]
struct Held {
    section: Section,
    holder: Holder,
    token: u64,
    since: Duration,
    deadline: Duration,
}

#[derive(Clone)]
struct Waits {
    holder: Holder,
    sections: BTreeSet<Section>,
    lease: Duration,
    until: Option<Duration>,
}

#[derive(Default)]
struct Model {
    held: Vec<Held>,
    waits: Vec<Waits>,
    token: u64,
}

impl Model {
    fn on(&self, section: Section) -> Option<&Held> {
        self.held.iter().find(|h| h.section == section)
    }

    /// Ends everything due; does not serve.
    fn sweep(&mut self, now: Duration, out: &mut Vec<Ev>) {
        for w in self.waits.extract_if(.., |w| w.until.is_some_and(|u| u <= now)) {
            out.push(Event::WaitTimedOut { holder: w.holder, sections: w.sections });
        }
        for h in self.held.extract_if(.., |h| h.deadline <= now) {
            let token = Token::from_u64(h.token);
            out.push(Event::Expired { section: h.section, holder: h.holder, token });
        }
    }

    fn take(
        &mut self,
        holder: Holder,
        wanted: &BTreeSet<Section>,
        lease: Duration,
        now: Duration,
    ) -> Vec<Grant<Section>> {
        let mut grants = Vec::new();
        for &section in wanted {
            if let Some(h) = self.held.iter_mut().find(|h| h.section == section) {
                assert_eq!(h.holder, holder, "model: two holders");
                h.deadline = h.deadline.max((now + lease).min(h.since + LIMITS.hold_max));
            } else {
                self.token += 1;
                let deadline = (now + lease).min(now + LIMITS.hold_max);
                self.held.push(Held { section, holder, token: self.token, since: now, deadline });
            }
            let h = self.on(section).unwrap();
            let token = Token::from_u64(h.token);
            grants.push(Grant { section, token, deadline: h.deadline });
        }
        grants
    }

    /// Looks through all waiters in order of arrival; who wants nothing that is held or that an
    /// earlier one wants is served.
    fn serve(&mut self, now: Duration, out: &mut Vec<Ev>) {
        let mut wanted_before = BTreeSet::new();
        for w in std::mem::take(&mut self.waits) {
            let free = w.sections.iter().all(|s| self.on(*s).is_none());
            if free && w.sections.is_disjoint(&wanted_before) {
                let grants = self.take(w.holder, &w.sections, w.lease, now);
                out.push(Event::Granted { holder: w.holder, grants });
            } else {
                wanted_before.extend(w.sections.iter().copied());
                self.waits.push(w);
            }
        }
    }

    fn request(
        &mut self,
        r: Request<Section, Holder>,
        now: Duration,
    ) -> Result<Option<Vec<Grant<Section>>>, &'static str> {
        if let Some(w) = self.waits.iter().find(|w| w.holder == r.holder) {
            return if w.sections == r.sections { Ok(None) } else { Err("already waiting") };
        }
        let is_busy = |s: &Section| match self.on(*s) {
            Some(h) => h.holder != r.holder,
            None => self.waits.iter().any(|w| w.sections.contains(s)),
        };
        if !r.sections.iter().any(is_busy) {
            return Ok(Some(self.take(r.holder, &r.sections, r.lease, now)));
        }
        let OnBusy::Queue { until } = r.on_busy else { return Err("denied") };
        if until.is_some_and(|u| u <= now) {
            return Err("denied");
        }
        if self.held.iter().any(|h| h.holder == r.holder) {
            return Err("would deadlock");
        }
        let waiting = |s: &Section| self.waits.iter().filter(|w| w.sections.contains(s)).count();
        if r.sections.iter().any(|s| waiting(s) >= LIMITS.waiters_max) {
            return Err("full");
        }
        self.waits.push(Waits { holder: r.holder, sections: r.sections, lease: r.lease, until });
        Ok(None)
    }

    fn may(&self, section: Section, holder: Holder, token: u64, now: Duration) -> bool {
        self.on(section).is_some_and(|h| h.token == token && h.holder == holder && now < h.deadline)
    }

    fn remove(&mut self, section: Section) -> Held {
        let at = self.held.iter().position(|h| h.section == section).unwrap();
        self.held.remove(at)
    }
}

/// The table and the model side by side.
struct Pair {
    real: Locks<Section, Holder>,
    model: Model,
    newest: BTreeMap<Section, Token>,
}

type Answer = Result<Option<Vec<Grant<Section>>>, &'static str>;

fn comparable(answer: Result<Outcome<Section, Holder>, RequestError<Section>>) -> Answer {
    match answer {
        Ok(Outcome::Granted(grants)) => Ok(Some(grants)),
        Ok(Outcome::Queued { .. }) => Ok(None),
        Ok(Outcome::Denied { .. }) => Err("denied"),
        Err(RequestError::AlreadyWaiting { .. }) => Err("already waiting"),
        Err(RequestError::WaitWhileHolding { .. }) => Err("would deadlock"),
        Err(RequestError::QueueFull { .. }) => Err("full"),
        Err(other) => panic!("{other}"),
    }
}

impl Pair {
    /// One random step on both; answers what the table and the model said.
    fn step(&mut self, rng: &mut Rng, now: Duration) -> (Vec<Ev>, Vec<Ev>) {
        let mut expected = Vec::new();
        let holder = rng.small(HOLDERS);
        let section = rng.small(SECTIONS);
        let real = match rng.below(16) {
            0..=6 => {
                let request = random_request(rng, holder, section, now);
                let step = self.real.request(request.clone(), now);
                self.model.sweep(now, &mut expected);
                self.model.serve(now, &mut expected);
                assert_eq!(comparable(step.answer.clone()), self.model.request(request, now));
                if let Ok(Outcome::Granted(grants)) = step.answer {
                    self.tokens_increase(&grants);
                }
                step.events
            }
            kind @ 7..=12 => return self.step_of_a_holder(rng, kind, section, holder, now),
            13 => {
                let events = self.real.drop_holder(&holder, now);
                self.model_leaves(holder, now, &mut expected);
                for h in self.model.held.extract_if(.., |h| h.holder == holder) {
                    let token = Token::from_u64(h.token);
                    expected.push(Event::Lost { section: h.section, holder, token });
                }
                self.model.serve(now, &mut expected);
                events
            }
            14 => {
                let step = self.real.cancel(&holder, now);
                assert_eq!(step.answer, self.model_leaves(holder, now, &mut expected));
                self.model.serve(now, &mut expected);
                step.events
            }
            _ => {
                let events = self.real.expire(now);
                self.model.sweep(now, &mut expected);
                self.model.serve(now, &mut expected);
                events
            }
        };
        (real, expected)
    }

    /// Renews or releases, mostly with the right token and holder.
    fn step_of_a_holder(
        &mut self,
        rng: &mut Rng,
        kind: u64,
        section: Section,
        stranger: Holder,
        now: Duration,
    ) -> (Vec<Ev>, Vec<Ev>) {
        let mut expected = Vec::new();
        let (owner, current) =
            self.model.on(section).map_or((stranger, 1), |h| (h.holder, h.token));
        let holder = if rng.below(8) == 0 { stranger } else { owner };
        let number = if rng.below(4) == 0 { 1 + rng.below(current + 2) } else { current };
        let token = Token::from_u64(number);
        self.model.sweep(now, &mut expected);
        if kind <= 9 {
            self.model.serve(now, &mut expected);
            let lease = Duration::from_secs(1 + rng.below(20));
            let step = self.real.renew(&section, &holder, token, lease, now);
            assert_eq!(step.answer.is_ok(), self.model.may(section, holder, number, now));
            if let Ok(deadline) = step.answer {
                let wanted = [section].into();
                assert_eq!(self.model.take(holder, &wanted, lease, now)[0].deadline, deadline);
            }
            return (step.events, expected);
        }
        let step = self.real.release(&section, &holder, token, now);
        assert_eq!(step.answer.is_ok(), self.model.may(section, holder, number, now));
        if step.answer.is_ok() {
            self.model.remove(section);
            expected.push(Event::Released { section, holder, token });
        }
        self.model.serve(now, &mut expected);
        (step.events, expected)
    }

    fn model_leaves(&mut self, holder: Holder, now: Duration, expected: &mut Vec<Ev>) -> bool {
        let left = self.model.waits.iter().position(|w| w.holder == holder);
        if let Some(at) = left {
            let sections = self.model.waits.remove(at).sections;
            expected.push(Event::Withdrawn { holder, sections });
        }
        self.model.sweep(now, expected);
        left.is_some()
    }

    fn tokens_increase(&mut self, grants: &[Grant<Section>]) {
        for grant in grants {
            let newest = self.newest.entry(grant.section).or_insert(Token::NONE);
            let same = self.model.on(grant.section).is_some_and(|h| h.token == newest.as_u64());
            assert!(grant.token > *newest || (same && grant.token == *newest), "D2: {grant:?}");
            *newest = grant.token;
        }
    }

    /// What must hold after every step.
    fn invariants(&self, now: Duration) {
        let mut deadlines = Vec::new();
        for section in 0..u8::try_from(SECTIONS).unwrap() {
            let lease = self.real.lease(&section, now);
            let expected = self.model.on(section);
            assert_eq!(
                lease.map(|l| (l.holder, l.token.as_u64(), l.deadline, l.since)),
                expected.map(|h| (h.holder, h.token, h.deadline, h.since)),
                "D1"
            );
            if let Some(l) = lease {
                assert!(
                    now < l.deadline && l.deadline <= l.since + LIMITS.hold_max,
                    "D3: outlived"
                );
                deadlines.push(l.deadline);
                assert_eq!(self.real.check_holder(&section, &l.holder, l.token, now), Ok(()));
                let older = Token::from_u64(l.token.as_u64() - 1);
                let refused = self.real.check(&section, older, now);
                assert!(matches!(refused, Err(Stale::Superseded { .. })), "D2: {refused:?}");
            }
            let n_waiting =
                self.model.waits.iter().filter(|w| w.sections.contains(&section)).count();
            assert_eq!(self.real.n_waiting(&section), n_waiting);
            assert!(n_waiting <= LIMITS.waiters_max);
        }
        for (at, w) in self.model.waits.iter().enumerate() {
            deadlines.extend(w.until);
            assert!(self.model.held.iter().all(|h| h.holder != w.holder), "D5: hold and wait");
            let earlier = &self.model.waits[..at];
            let blocked = w.sections.iter().any(|s| {
                self.real.lease(s, now).is_some() || earlier.iter().any(|e| e.sections.contains(s))
            });
            assert!(blocked, "D4: {} waits for nothing", w.holder);
        }
        assert_eq!(self.real.next_deadline(), deadlines.into_iter().min());
    }
}

fn random_request(
    rng: &mut Rng,
    holder: Holder,
    section: Section,
    now: Duration,
) -> Request<Section, Holder> {
    let mut sections: BTreeSet<Section> = [section].into();
    for _ in 0..rng.below(3) {
        sections.insert(rng.small(SECTIONS));
    }
    let on_busy = match rng.below(4) {
        0 => OnBusy::Deny,
        1 => OnBusy::Queue { until: Some(now + Duration::from_secs(rng.below(15))) },
        _ => OnBusy::Queue { until: None },
    };
    Request::new(holder, sections, Duration::from_secs(1 + rng.below(20)), on_busy)
}

fn sorted(mut events: Vec<Ev>) -> Vec<Ev> {
    events.sort();
    events
}

fn run(seed: u64, steps: u64) {
    let mut rng = Rng(seed);
    let real = Locks::new(LIMITS);
    let mut pair = Pair { real, model: Model::default(), newest: BTreeMap::new() };
    let mut now = Duration::ZERO;
    for _ in 0..steps {
        // Half of the steps happen at the same moment, some after a long silence.
        now += match rng.below(40) {
            0 => Duration::from_secs(50),
            1..=19 => Duration::from_millis(rng.below(4_000)),
            _ => Duration::ZERO,
        };
        let (real, expected) = pair.step(&mut rng, now);
        let granted_in_order = |events: &[Ev]| -> Vec<Holder> {
            let who =
                |e: &Ev| if let Event::Granted { holder, .. } = e { Some(*holder) } else { None };
            events.iter().filter_map(who).collect()
        };
        assert_eq!(granted_in_order(&real), granted_in_order(&expected), "D4: order of grants");
        for event in &real {
            if let Event::Granted { grants, .. } = event {
                pair.tokens_increase(grants);
            }
        }
        assert_eq!(sorted(real), sorted(expected));
        pair.invariants(now);
    }
}

/// Prints how to repeat the run when it panics.
struct Repeat(u64);

impl Drop for Repeat {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!(
                "repeat: GGML_AGENT_SEED={} cargo test -p ggml-agent-core d01_to_d05_a_million",
                self.0
            );
        }
    }
}

#[test]
fn d01_to_d05_a_million_random_steps_agree_with_a_naive_model() {
    let seeds = match std::env::var_os("GGML_AGENT_SEED") {
        Some(seed) => {
            let seed = seed.to_str().unwrap().parse().unwrap();
            seed..seed + 1
        }
        None => 0..100,
    };
    for seed in seeds {
        let _repeat = Repeat(seed);
        run(seed, 10_000);
    }
}
