//! The promises B1 to B9, one by one; `model` and `threads` check them all together.

mod model;
mod threads;

use std::sync::Arc;

use super::*;

const MS: fn(u64) -> Duration = Duration::from_millis;

/// Small numbers, so that every state is a few calls away.
pub(crate) const SMALL: Options = Options {
    failure_threshold: 3,
    success_threshold: 2,
    open_timeout: Duration::from_millis(100),
    half_open_max_calls: None,
    probe_timeout: Duration::from_millis(50),
};

/// A random number generator whose failing test prints the command that repeats it.
pub(crate) struct Rng {
    seed: u64,
    state: u64,
    test: &'static str,
}

impl Rng {
    /// Seeded by `GGML_AGENT_SEED`, or by a fixed number.
    pub(crate) fn new(test: &'static str) -> Self {
        let given = std::env::var_os("GGML_AGENT_SEED");
        let seed = given.and_then(|text| text.to_str()?.parse().ok()).unwrap_or(20_261_123);
        Self { seed, state: seed, test }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 up to, not including, `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A number from 0 up to, not including, `end`.
    pub(crate) fn below_u32(&mut self, end: u32) -> u32 {
        u32::try_from(self.below(u64::from(end))).expect("invariant: below a u32")
    }
}

#[expect(clippy::print_stderr, reason = "how to repeat a failure is read on the terminal")]
impl Drop for Rng {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { seed, test, .. } = self;
            eprintln!("repeat: GGML_AGENT_SEED={seed} cargo test -p ggml-agent-core --lib {test}");
        }
    }
}

fn breaker(options: Options) -> Breaker {
    Breaker::new(options).expect("options in range")
}

/// A breaker that was tripped at 0 and whose `open_timeout` is over at 100 ms.
fn tripped(options: Options) -> Breaker {
    let breaker = breaker(options);
    breaker.trip(MS(0)).expect("CLOSED before");
    breaker
}

fn change(from: State, to: State, number: u32) -> Option<Transition> {
    Some(Transition { from, to, number })
}

#[test]
fn b01_closed_lets_every_call_through_and_consecutive_failures_open_it() {
    // (outcomes while CLOSED: s(uccess), f(ailure), b(ack-pressure), i(gnored); opens at the last one?)
    let table = [
        ("ssssssss", false),
        ("ff", false),
        ("fff", true),
        ("ffsff", false),
        ("ffsfff", true),
        ("fbfif", true),
        ("ffbbbbbbiiii", false),
        ("sfffs", true),
    ];
    for (outcomes, opens) in table {
        let breaker = breaker(SMALL);
        let mut opened = None;
        for (idx, letter) in outcomes.chars().enumerate() {
            let now = MS(idx as u64);
            let Ok(permit) = breaker.admit(now) else { break };
            assert!(!permit.is_probe() && permit.transition().is_none(), "{outcomes}");
            opened = match letter {
                's' => permit.success(now),
                'f' => permit.failure(now),
                'b' => permit.back_pressure(now),
                _ => permit.ignore(now),
            };
            assert!(opened.is_none() || opened == change(State::Closed, State::Open, 1));
        }
        assert_eq!(opened.is_some(), opens, "{outcomes}");
        let state = if opens { State::Open } else { State::Closed };
        assert_eq!(breaker.state(MS(20)), state, "{outcomes}");
    }
}

#[test]
fn b01_defaults_are_the_documented_ones() {
    let breaker = breaker(Options::default());
    let now = Duration::ZERO;
    for _ in 0..4 {
        assert_eq!(breaker.admit(now).unwrap().failure(now), None);
    }
    assert!(breaker.admit(now).unwrap().failure(now).is_some(), "5 failures open it");
    assert_eq!(breaker.admit(now).unwrap_err().retry_after, Duration::from_secs(30));
}

#[test]
fn b02_open_refuses_at_once_and_tells_the_time_left() {
    let breaker = tripped(SMALL);
    for (now, left) in [(0, 100), (1, 99), (50, 50), (99, 1)] {
        let refused = breaker.admit(MS(now)).unwrap_err();
        assert_eq!((refused.state, refused.retry_after), (State::Open, MS(left)));
        assert_eq!(breaker.snapshot(MS(now)).time_left, MS(left));
        assert!(refused.is_retryable());
    }
    let text = breaker.admit(MS(40)).unwrap_err().to_string();
    assert_eq!(text, "breaker is OPEN: try again in 60ms");
}

#[test]
fn b02_open_is_never_left_early_by_rounding() {
    let breaker = breaker(SMALL);
    breaker.trip(Duration::from_micros(900));
    // Open from 0.9 ms for 100 ms: until 100.9 ms, rounded up to 101 ms.
    for micros in [100_000, 100_899, 100_999] {
        let now = Duration::from_micros(micros);
        let refused = breaker.admit(now).unwrap_err();
        assert_eq!(
            now + refused.retry_after,
            MS(101),
            "asking again at the told time is not too early"
        );
    }
    assert!(breaker.admit(MS(101)).is_ok());
}

#[test]
fn b03_half_open_lets_through_at_most_max_calls_at_a_time() {
    // (success_threshold, half_open_max_calls, probes at a time)
    for (success_threshold, half_open_max_calls, probes) in
        [(2, None, 2), (1, None, 1), (4, Some(1), 1), (1, Some(3), 3)]
    {
        let breaker = tripped(Options { success_threshold, half_open_max_calls, ..SMALL });
        assert_eq!(breaker.state(MS(100)), State::HalfOpen, "before anybody asked");
        let mut permits: Vec<_> = (0..probes).map(|_| breaker.admit(MS(100)).unwrap()).collect();
        assert_eq!(permits[0].transition(), change(State::Open, State::HalfOpen, 2));
        assert!(permits[1..].iter().all(|permit| permit.transition().is_none()));
        assert!(permits.iter().all(Permit::is_probe));
        let refused = breaker.admit(MS(100)).unwrap_err();
        assert_eq!((refused.state, refused.retry_after), (State::HalfOpen, Duration::ZERO));
        // Each probe that ends makes room for one.
        permits.pop().unwrap().ignore(MS(101));
        permits.push(breaker.admit(MS(101)).unwrap());
        assert!(breaker.admit(MS(101)).is_err());
        for permit in permits {
            permit.ignore(MS(102));
        }
    }
}

#[test]
fn b03_probes_of_an_earlier_half_open_period_still_take_their_places() {
    let options = Options { probe_timeout: MS(500), ..SMALL };
    let breaker = tripped(options);
    let (slow, failing) = (breaker.admit(MS(100)).unwrap(), breaker.admit(MS(100)).unwrap());
    assert_eq!(failing.failure(MS(100)), change(State::HalfOpen, State::Open, 3));
    let probe = breaker.admit(MS(200)).unwrap();
    assert!(breaker.admit(MS(200)).is_err(), "two calls are at the target");
    assert_eq!(slow.success(MS(201)), None, "a late outcome does not count");
    assert_eq!(breaker.snapshot(MS(201)).successes, 0);
    assert!(breaker.admit(MS(201)).is_ok_and(|permit| permit.ignore(MS(201)).is_none()));
    probe.ignore(MS(201));
}

#[test]
fn b04_enough_successes_close_it_and_one_failure_opens_it_again() {
    // (outcomes of probes, one at a time; the state after them)
    for (outcomes, state) in [
        ("s", State::HalfOpen),
        ("ss", State::Closed),
        ("f", State::Open),
        ("sf", State::Open),
        ("sbs", State::Closed),
        ("bbii", State::HalfOpen),
    ] {
        let breaker = tripped(SMALL);
        for letter in outcomes.chars() {
            let permit = breaker.admit(MS(100)).unwrap();
            let outcome = match letter {
                's' => Outcome::Success,
                'f' => Outcome::Failure,
                'b' => Outcome::BackPressure,
                _ => Outcome::Ignored,
            };
            permit.report(outcome, MS(100));
        }
        assert_eq!(breaker.state(MS(100)), state, "{outcomes}");
        let left = if state == State::Open { MS(100) } else { Duration::ZERO };
        assert_eq!(breaker.snapshot(MS(100)).time_left, left, "open_timeout starts anew");
    }
}

#[test]
fn b05_each_transition_is_handed_to_one_caller_and_numbered() {
    let options = Options { failure_threshold: 1, success_threshold: 1, ..SMALL };
    let breaker = breaker(options);
    let (first, second) = (breaker.admit(MS(0)).unwrap(), breaker.admit(MS(0)).unwrap());
    assert_eq!(first.failure(MS(0)), change(State::Closed, State::Open, 1));
    assert_eq!(second.failure(MS(0)), None, "it is open already");
    let probe = breaker.admit(MS(100)).unwrap();
    assert_eq!(probe.transition(), change(State::Open, State::HalfOpen, 2));
    assert_eq!(probe.success(MS(101)), change(State::HalfOpen, State::Closed, 3));
    assert_eq!(breaker.trip(MS(102)), change(State::Closed, State::Open, 4));
    assert_eq!(breaker.trip(MS(103)), None, "no transition");
    assert_eq!(breaker.snapshot(MS(103)).time_left, MS(100), "but the time starts anew");
    assert_eq!(breaker.reset(MS(104)), change(State::Open, State::Closed, 5));
    assert_eq!(breaker.reset(MS(105)), None);
    assert_eq!(breaker.snapshot(MS(105)).n_transitions, 5);
    assert_eq!(change(State::HalfOpen, State::Open, 6).unwrap().to_string(), "HALF_OPEN -> OPEN");
}

#[test]
fn b06_back_pressure_never_opens_and_never_closes_it() {
    let closed = breaker(SMALL);
    for n in 0..1_000 {
        assert_eq!(closed.admit(MS(n)).unwrap().back_pressure(MS(n)), None);
    }
    assert_eq!(closed.state(MS(1_000)), State::Closed);
    let probing = tripped(SMALL);
    for n in 100..1_000 {
        assert_eq!(probing.admit(MS(n)).unwrap().back_pressure(MS(n)), None);
    }
    assert_eq!(probing.state(MS(1_000)), State::HalfOpen);
}

#[test]
fn b06_a_dropped_permit_is_a_failure_at_the_latest_time_seen() {
    let breaker = breaker(SMALL);
    breaker.admit(MS(5)).unwrap().failure(MS(5));
    drop(breaker.admit(MS(6)).unwrap());
    assert_eq!(breaker.snapshot(MS(6)).failures, 2);
    let held = breaker.admit(MS(7)).unwrap();
    breaker.admit(MS(30)).unwrap().ignore(MS(40));
    drop(held);
    let snapshot = breaker.snapshot(MS(50));
    assert_eq!((snapshot.state, snapshot.time_left), (State::Open, MS(90)), "open from 40 ms");
    assert_eq!(snapshot.n_transitions, 1, "this is how a dropped permit's transition shows");
    drop(breaker.admit(MS(140)).unwrap());
    assert_eq!(breaker.state(MS(140)), State::Open, "a dropped probe is a failure as well");
}

#[test]
fn b06_a_panic_in_the_call_is_a_failure() {
    let breaker = breaker(SMALL);
    let call = || {
        let _permit = breaker.admit(MS(1)).unwrap();
        panic!("the call broke");
    };
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).is_err());
    assert_eq!(breaker.snapshot(MS(1)).failures, 1);
}

#[test]
fn b06_an_outcome_of_an_older_period_does_not_count() {
    for late in [Outcome::Success, Outcome::Failure] {
        let breaker = breaker(Options { success_threshold: 1, ..SMALL });
        let old = breaker.admit(MS(0)).unwrap();
        breaker.trip(MS(0));
        let probe = breaker.admit(MS(100)).unwrap();
        assert_eq!(old.report(late, MS(101)), None, "{late:?} of CLOSED says nothing in HALF_OPEN");
        assert_eq!(breaker.state(MS(101)), State::HalfOpen);
        probe.success(MS(102)).expect("closes");
        assert_eq!(breaker.snapshot(MS(102)).failures, 0);
    }
}

#[test]
fn b07_a_breaker_is_shared_by_all_callers_and_knows_no_incarnation() {
    let shared = Arc::new(breaker(SMALL));
    let owned: OwnedPermit = shared.admit_owned(MS(0)).unwrap();
    let caller = std::thread::spawn(move || owned.failure(MS(1)));
    assert_eq!(caller.join().unwrap(), None);
    for n in 0..2 {
        // Every caller, and every incarnation of the target, meets the same count.
        let incarnation = Arc::clone(&shared);
        let opened = incarnation.admit(MS(2)).unwrap().failure(MS(2));
        assert_eq!(opened.is_some(), n == 1);
    }
    assert!(shared.admit_owned(MS(3)).is_err());
}

#[test]
fn b08_a_probe_that_never_reports_is_forgotten() {
    let breaker = tripped(Options { half_open_max_calls: Some(1), ..SMALL });
    let hung = breaker.admit(MS(100)).unwrap();
    assert!(breaker.admit(MS(149)).is_err(), "probe_timeout is 50 ms");
    let other = breaker.admit(MS(150)).unwrap();
    assert!(breaker.admit(MS(150)).is_err(), "one at a time, the hung one not counted");
    assert_eq!(breaker.snapshot(MS(150)).n_probes, 1);
    // The hung one reports after all: the same HALF_OPEN period, so it counts; the other's place stays.
    assert_eq!(hung.success(MS(160)), None);
    assert_eq!(breaker.snapshot(MS(160)).successes, 1);
    assert!(breaker.admit(MS(160)).is_err(), "it had no place to give back");
    assert_eq!(other.success(MS(161)), change(State::HalfOpen, State::Closed, 3));
}

#[test]
fn b08_slow_healthy_probes_close_it_although_all_are_forgotten() {
    let breaker = tripped(SMALL);
    let streams: Vec<_> = (0..2).map(|_| breaker.admit(MS(100)).unwrap()).collect();
    let ends: Vec<_> = streams.into_iter().map(|stream| stream.success(MS(10_000))).collect();
    assert_eq!(ends, [None, change(State::HalfOpen, State::Closed, 3)]);
}

#[test]
fn options_out_of_range_are_typed_errors() {
    use OptionsError as E;
    let table = [
        (Options { failure_threshold: 0, ..SMALL }, E::FailureThresholdZero),
        (Options { success_threshold: 0, ..SMALL }, E::SuccessThresholdZero),
        (Options { open_timeout: MS(0), ..SMALL }, E::OpenTimeoutZero),
        (Options { probe_timeout: MS(0), ..SMALL }, E::ProbeTimeoutZero),
        (Options { half_open_max_calls: Some(0), ..SMALL }, E::HalfOpenMaxCallsZero),
        (
            Options { half_open_max_calls: Some(1_025), ..SMALL },
            E::HalfOpenMaxCallsTooMany { found: 1_025 },
        ),
    ];
    for (options, error) in table {
        assert_eq!(Breaker::new(options).unwrap_err(), error);
        assert!(!error.is_retryable());
    }
    let huge = Options { success_threshold: u32::MAX, ..SMALL };
    assert_eq!(huge.check(), Ok(1_024), "the default is cut to the maximum");
}

#[test]
fn times_beyond_a_century_neither_panic_nor_block_for_ever() {
    let endless = Options { open_timeout: Duration::MAX, probe_timeout: Duration::MAX, ..SMALL };
    let breaker = tripped(endless);
    assert!(breaker.admit(Duration::from_secs(4_000_000_000)).is_err(), "still open in 126 years");
    assert!(breaker.admit(Duration::MAX).is_ok(), "the end of what a word can hold");
    breaker.trip(Duration::MAX);
    assert_eq!(breaker.state(Duration::MAX), State::HalfOpen);
}

#[test]
fn a_word_survives_packing() {
    let mut rng = Rng::new("a_word_survives_packing");
    for _ in 0..10_000 {
        let phase = match rng.below(3) {
            0 => Phase::Closed { failures: rng.below_u32(u32::MAX) },
            1 => Phase::Open { until_ms: rng.below(1 << 42) },
            _ => Phase::HalfOpen { successes: rng.below_u32(u32::MAX) },
        };
        let word = Word { phase, period: rng.below_u32(1 << 20) };
        assert_eq!(Word::unpack(word.pack()), word);
    }
    let last = Word { period: (1 << 20) - 1, ..Word::NEW };
    assert_eq!(last.next(Phase::HalfOpen { successes: 0 }).period, 0, "the period wraps");
}

#[test]
fn states_are_displayed_as_operators_know_them() {
    let names: Vec<_> =
        [State::Closed, State::Open, State::HalfOpen].iter().map(State::to_string).collect();
    assert_eq!(names, ["CLOSED", "OPEN", "HALF_OPEN"]);
}
