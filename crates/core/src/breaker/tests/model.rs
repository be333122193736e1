//! A naive model, in plain fields and one thread, against the breaker over a million random operations.

use std::collections::VecDeque;

use super::*;

struct Model {
    options: Options,
    state: State,
    failures: u32,
    successes: u32,
    until: Duration,
    seen: Duration,
    transitions: u32,
    /// Permit and the time at which it is forgotten.
    probes: Vec<(u64, Duration)>,
    max_probes: usize,
}

/// A permit as the model remembers it.
struct Held<'a> {
    id: u64,
    transitions: u32,
    permit: Permit<&'a Breaker>,
}

impl Model {
    fn new(options: Options) -> Self {
        let max_probes = options.half_open_max_calls.unwrap_or(options.success_threshold) as usize;
        Self {
            options,
            state: State::Closed,
            failures: 0,
            successes: 0,
            until: Duration::ZERO,
            seen: Duration::ZERO,
            transitions: 0,
            probes: Vec::new(),
            max_probes,
        }
    }

    fn go(&mut self, to: State, now: Duration) -> Option<(State, State)> {
        let from = std::mem::replace(&mut self.state, to);
        self.failures = 0;
        self.successes = 0;
        self.until = now + self.options.open_timeout;
        if from == to {
            return None;
        }
        self.transitions += 1;
        Some((from, to))
    }

    fn state_at(&self, now: Duration) -> State {
        let over = self.state == State::Open && now >= self.until;
        if over { State::HalfOpen } else { self.state }
    }

    /// Whether the call is let in, and the transition that makes.
    fn admit(&mut self, id: u64, now: Duration) -> (bool, Option<(State, State)>) {
        self.seen = now;
        match self.state_at(now) {
            State::Closed => return (true, None),
            State::Open => return (false, None),
            State::HalfOpen => {}
        }
        self.probes.retain(|(_, forgotten_at)| now < *forgotten_at);
        if self.probes.len() == self.max_probes {
            return (false, None);
        }
        self.probes.push((id, now + self.options.probe_timeout));
        let due = self.state == State::Open;
        (true, due.then(|| self.go(State::HalfOpen, now)).flatten())
    }

    fn report(
        &mut self,
        (id, transitions): (u64, u32),
        outcome: Outcome,
        now: Duration,
    ) -> Option<(State, State)> {
        self.seen = now;
        self.probes.retain(|(probe, _)| *probe != id);
        if transitions != self.transitions {
            return None;
        }
        match (outcome, self.state) {
            (Outcome::Success, State::Closed) => self.failures = 0,
            (Outcome::Success, State::HalfOpen) => {
                self.successes += 1;
                if self.successes == self.options.success_threshold {
                    return self.go(State::Closed, now);
                }
            }
            (Outcome::Failure, State::Closed) => {
                self.failures += 1;
                if self.failures == self.options.failure_threshold {
                    return self.go(State::Open, now);
                }
            }
            (Outcome::Failure, State::HalfOpen) => return self.go(State::Open, now),
            (_, State::Open) => unreachable!("nobody is let in while OPEN"),
            (Outcome::BackPressure | Outcome::Ignored, _) => {}
        }
        None
    }

    fn check(&self, breaker: &Breaker, now: Duration) {
        let open = self.state == State::Open;
        let expected = Snapshot {
            state: self.state_at(now),
            failures: self.failures,
            successes: self.successes,
            time_left: if open { self.until.saturating_sub(now) } else { Duration::ZERO },
            n_probes: self.probes.iter().filter(|(_, until)| now < *until).count(),
            n_transitions: self.transitions,
        };
        assert_eq!(breaker.snapshot(now), expected);
        assert_eq!(breaker.state(now), expected.state);
    }
}

fn pair(transition: Option<Transition>) -> Option<(State, State)> {
    transition.map(|Transition { from, to, .. }| (from, to))
}

fn random_options(rng: &mut Rng) -> Options {
    let calls = rng.below_u32(4);
    Options {
        failure_threshold: 1 + rng.below_u32(5),
        success_threshold: 1 + rng.below_u32(3),
        open_timeout: MS(1 + rng.below(60)),
        half_open_max_calls: (calls > 0).then_some(calls),
        probe_timeout: MS(1 + rng.below(60)),
    }
}

/// One breaker's life of `n_ops` operations; gives how many calls it refused and transitions it made.
fn life(rng: &mut Rng, n_ops: u64) -> (u64, u64) {
    let options = random_options(rng);
    let (breaker, mut model) = (breaker(options), Model::new(options));
    let mut held = VecDeque::new();
    let (mut now, mut refusals) = (MS(0), 0);
    for id in 0..n_ops {
        match rng.below(100) {
            0..20 => now += MS(rng.below(20)),
            20..55 => {
                let (let_in, transition) = model.admit(id, now);
                let admitted = breaker.admit(now);
                assert_eq!(admitted.is_ok(), let_in, "at {now:?} under {options:?}");
                if let Ok(permit) = admitted {
                    assert_eq!(pair(permit.transition()), transition);
                    held.push_back(Held { id, transitions: model.transitions, permit });
                } else {
                    refusals += 1;
                }
            }
            55..98 if !held.is_empty() => {
                let turn = rng.below_u32(64) as usize % held.len();
                let Held { id, transitions, permit } =
                    held.swap_remove_back(turn).expect("below the length");
                let outcome = match rng.below(10) {
                    0..4 => Outcome::Success,
                    4..7 => Outcome::Failure,
                    7 => Outcome::BackPressure,
                    8 => Outcome::Ignored,
                    _ => {
                        model.report((id, transitions), Outcome::Failure, model.seen);
                        drop(permit);
                        continue;
                    }
                };
                let expected = model.report((id, transitions), outcome, now);
                assert_eq!(pair(permit.report(outcome, now)), expected);
            }
            98 if rng.below(5) == 0 => {
                model.seen = now;
                assert_eq!(pair(breaker.trip(now)), model.go(State::Open, now));
            }
            99 if rng.below(5) == 0 => {
                model.seen = now;
                assert_eq!(pair(breaker.reset(now)), model.go(State::Closed, now));
            }
            _ => model.check(&breaker, now),
        }
    }
    model.check(&breaker, now);
    (refusals, u64::from(model.transitions))
}

#[test]
fn b04_a_million_random_operations_agree_with_a_naive_model() {
    let mut rng = Rng::new("b04_a_million_random_operations_agree_with_a_naive_model");
    let (mut refusals, mut transitions) = (0, 0);
    for _ in 0..1_000 {
        let (refused, made) = life(&mut rng, 1_000);
        refusals += refused;
        transitions += made;
    }
    // Else the operations above are too tame to say anything.
    assert!(
        refusals > 50_000 && transitions > 20_000,
        "{refusals} refusals, {transitions} transitions"
    );
}
