//! Real threads on one breaker, with a clock that they push on together.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use super::*;

const N_THREADS: usize = 4;

/// Asserts that the transitions are 1, 2, 3 and so on, and that each starts where the one before ended.
fn assert_chained(mut transitions: Vec<Transition>) -> usize {
    transitions.sort_by_key(|transition| transition.number);
    let mut state = State::Closed;
    for (idx, transition) in transitions.iter().enumerate() {
        assert_eq!(transition.number as usize, idx + 1, "each transition is made and told once");
        assert_eq!(transition.from, state, "transition {}", idx + 1);
        state = transition.to;
    }
    transitions.len()
}

#[test]
fn b05_racing_threads_make_each_transition_once() {
    let mut rng = Rng::new("b05_racing_threads_make_each_transition_once");
    // No drops without outcome and no forgotten probes here: both are told to nobody, by design.
    let options = Options { open_timeout: MS(3), probe_timeout: MS(1 << 40), ..SMALL };
    let breaker = Arc::new(breaker(options));
    let (clock, probes) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicUsize::new(0)));
    let jobs: Vec<_> = (0..N_THREADS)
        .map(|_| {
            let mut rng = Rng { state: rng.next(), ..rng };
            let (breaker, clock, probes) =
                (Arc::clone(&breaker), Arc::clone(&clock), Arc::clone(&probes));
            thread::spawn(move || {
                let mut made = Vec::new();
                for _ in 0..40_000 {
                    let now = MS(clock.fetch_add(rng.below(2), Ordering::Relaxed));
                    let Ok(permit) = breaker.admit_owned(now) else { continue };
                    made.extend(permit.transition());
                    let probe = permit.is_probe();
                    if probe {
                        assert!(probes.fetch_add(1, Ordering::SeqCst) < 2, "two probes at a time");
                        probes.fetch_sub(1, Ordering::SeqCst);
                    }
                    let outcome =
                        if rng.below(2) == 0 { Outcome::Success } else { Outcome::Failure };
                    made.extend(permit.report(outcome, now));
                }
                made
            })
        })
        .collect();
    let made: Vec<_> = jobs.into_iter().flat_map(|job| job.join().unwrap()).collect();
    assert!(assert_chained(made) > 1_000, "else the threads hardly met");
}

#[test]
fn b03_one_place_lets_one_of_many_racing_threads_through() {
    let options = Options { half_open_max_calls: Some(1), ..SMALL };
    let at_target = Arc::new(AtomicBool::new(false));
    for _ in 0..2_000 {
        let breaker = Arc::new(tripped(options));
        let start = Arc::new(Barrier::new(N_THREADS));
        let jobs: Vec<_> = (0..N_THREADS)
            .map(|_| {
                let (breaker, start) = (Arc::clone(&breaker), Arc::clone(&start));
                let at_target = Arc::clone(&at_target);
                thread::spawn(move || {
                    start.wait();
                    let Ok(permit) = breaker.admit(MS(100)) else { return None };
                    assert!(!at_target.swap(true, Ordering::SeqCst), "two probes at a time");
                    thread::yield_now();
                    at_target.store(false, Ordering::SeqCst);
                    let transition = permit.transition();
                    assert_eq!(permit.ignore(MS(100)), None);
                    transition
                })
            })
            .collect();
        let made: Vec<_> = jobs.into_iter().filter_map(|job| job.join().unwrap()).collect();
        assert_eq!(made, [change(State::Open, State::HalfOpen, 2).unwrap()]);
    }
}

#[test]
fn b09_callers_get_through_while_others_hold_permits_and_look() {
    let breaker = Arc::new(breaker(SMALL));
    let held: Vec<_> = (0..1_000).map(|_| breaker.admit_owned(MS(0)).unwrap()).collect();
    let looking = Arc::clone(&breaker);
    let job = thread::spawn(move || {
        (0..10_000).all(|n| {
            looking.admit(MS(n)).unwrap().success(MS(n));
            looking.state(MS(n)) == State::Closed
        })
    });
    assert!(job.join().unwrap());
    for permit in held {
        permit.ignore(MS(1));
    }
}
