//! Every interleaving of two and three threads on one breaker, by a model checker.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p ggml-agent-core --lib loom_ --release --target-dir target/loom`

use std::sync::Arc;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::*;

const AT: Duration = Duration::from_millis(10);

const OPTIONS: Options = Options {
    failure_threshold: 2,
    success_threshold: 2,
    open_timeout: AT,
    half_open_max_calls: Some(1),
    probe_timeout: Duration::from_secs(1),
};

/// A breaker that can be probed at [`AT`].
fn tripped(options: Options) -> Arc<Breaker> {
    let breaker = Arc::new(Breaker::new(options).expect("in range"));
    breaker.trip(Duration::ZERO).expect("CLOSED before");
    breaker
}

/// What a thread that asks for a probe sees.
fn probe(breaker: &Breaker, at_target: &AtomicUsize, outcome: Outcome) -> Vec<Transition> {
    let Ok(permit) = breaker.admit(AT) else { return Vec::new() };
    assert!(permit.is_probe(), "nothing closes the breaker in these tests");
    assert_eq!(at_target.fetch_add(1, Ordering::SeqCst), 0, "two probes at a time");
    at_target.fetch_sub(1, Ordering::SeqCst);
    permit.transition().into_iter().chain(permit.report(outcome, AT)).collect()
}

/// Asserts that, after the trip of the set-up, each transition was told once and follows from the last.
fn assert_chained(breaker: &Breaker, mut made: Vec<Transition>) {
    made.sort_by_key(|transition| transition.number);
    let (mut state, mut number) = (State::Open, 1);
    for transition in &made {
        assert_eq!((transition.from, transition.number), (state, number + 1), "{made:?}");
        (state, number) = (transition.to, transition.number);
    }
    assert_eq!(breaker.snapshot(AT).n_transitions, number, "none was lost");
}

/// Lets each outcome race for the one place of HALF_OPEN, one thread each, and checks what they saw.
///
/// `preemptions_max` bounds how often a thread is interrupted before it waits or ends.
fn race(outcomes: &'static [Outcome], preemptions_max: Option<usize>) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = preemptions_max;
    model.check(move || {
        let breaker = tripped(OPTIONS);
        let at_target = Arc::new(AtomicUsize::new(0));
        let (here, there) = outcomes.split_first().expect("at least one");
        let jobs: Vec<_> = there
            .iter()
            .map(|outcome| {
                let (breaker, at_target) = (Arc::clone(&breaker), Arc::clone(&at_target));
                thread::spawn(move || probe(&breaker, &at_target, *outcome))
            })
            .collect();
        let mut made = probe(&breaker, &at_target, *here);
        for job in jobs {
            made.extend(job.join().expect("no panic"));
        }
        assert!(!made.is_empty(), "somebody was let in");
        assert_chained(&breaker, made);
    });
}

#[test]
fn loom_b03_two_threads_race_for_the_one_place() {
    race(&[Outcome::Ignored, Outcome::Ignored], None);
}

#[test]
fn loom_b03_three_threads_race_for_the_one_place() {
    // All interleavings take more than eight minutes; races that need more than two ill-timed interruptions are rare.
    race(&[Outcome::Ignored, Outcome::Ignored, Outcome::Ignored], Some(2));
}

#[test]
fn loom_b04_a_failing_probe_races_another_call() {
    race(&[Outcome::Failure, Outcome::Success], None);
}

#[test]
fn loom_b04_nobody_is_let_into_open_by_an_old_look() {
    loom::model(|| {
        let breaker = tripped(OPTIONS);
        let failing = breaker.admit_owned(AT).expect("the first probe");
        let job = thread::spawn(move || failing.failure(AT));
        assert!(breaker.admit(AT).is_err(), "the place is taken, or the breaker is open");
        assert!(job.join().expect("no panic").is_some());
        assert_eq!(breaker.state(AT), State::Open);
    });
}

#[test]
fn loom_b05_success_and_failure_of_two_probes_make_one_transition() {
    let options = Options { success_threshold: 1, half_open_max_calls: Some(2), ..OPTIONS };
    loom::model(move || {
        let breaker = tripped(options);
        let first = breaker.admit_owned(AT).expect("first of two");
        let opened = first.transition();
        let second = breaker.admit_owned(AT).expect("second of two");
        let job = thread::spawn(move || first.success(AT));
        let failed = second.failure(AT);
        let succeeded = job.join().expect("no panic");
        assert!(failed.is_some() != succeeded.is_some(), "{failed:?} {succeeded:?}");
        assert_chained(&breaker, opened.into_iter().chain(failed).chain(succeeded).collect());
    });
}

#[test]
fn loom_b05_three_failures_open_it_once() {
    loom::model(|| {
        let breaker = Arc::new(Breaker::new(OPTIONS).expect("in range"));
        let mut permits = (0..3).map(|_| breaker.admit_owned(AT).expect("CLOSED"));
        let here = permits.next().expect("three");
        let jobs: Vec<_> =
            permits.map(|permit| thread::spawn(move || permit.failure(AT).is_some())).collect();
        let mut opened = usize::from(here.failure(AT).is_some());
        for job in jobs {
            opened += usize::from(job.join().expect("no panic"));
        }
        assert_eq!((opened, breaker.state(AT)), (1, State::Open));
    });
}

#[test]
fn loom_b05_an_operator_races_a_probe() {
    loom::model(|| {
        let breaker = tripped(OPTIONS);
        let operator = Arc::clone(&breaker);
        let job = thread::spawn(move || {
            operator.trip(AT).into_iter().chain(operator.reset(AT)).collect::<Vec<_>>()
        });
        let mut made = Vec::new();
        if let Ok(permit) = breaker.admit(AT) {
            made.extend(permit.transition());
            made.extend(permit.failure(AT));
        }
        made.extend(job.join().expect("no panic"));
        assert_chained(&breaker, made);
        assert_eq!(breaker.snapshot(AT).n_probes, 0, "the place was given back on every path");
    });
}
