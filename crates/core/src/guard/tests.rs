//! Breaker and retry together.

use std::sync::Arc;

use super::*;
use crate::breaker::{self, State};
use crate::retry::{self, Policy};

const MS: fn(u64) -> Duration = Duration::from_millis;
const FAILED: Fault = Fault::Transient { retry_after: None };

fn fragile() -> Breaker {
    Breaker::new(breaker::Options { failure_threshold: 1, ..breaker::Options::DEFAULT }).unwrap()
}

fn call(breaker: &Breaker) -> Guarded<&Breaker> {
    Guarded::new(breaker, Retry::new(Policy::DEFAULT, MS(0), 1))
}

fn permit<'a>(call: &mut Guarded<&'a Breaker>, now: Duration) -> Permit<&'a Breaker> {
    match call.attempt(now) {
        Step::Call(permit) => permit,
        other => unreachable!("expected a permit at {now:?}, got {other:?}"),
    }
}

#[test]
fn r04_one_fault_decides_for_breaker_and_retry() {
    let after = Some(MS(5));
    let transient = Class::Transient { retry_after: after };
    let table = [
        (Fault::Transient { retry_after: after }, Outcome::Failure, transient),
        (Fault::Busy { retry_after: after }, Outcome::BackPressure, transient),
        (Fault::Broken, Outcome::Failure, Class::Permanent),
        (Fault::Rejected, Outcome::Ignored, Class::Permanent),
    ];
    for (fault, outcome, class) in table {
        assert_eq!((fault.outcome(), fault.class()), (outcome, class), "{fault:?}");
        let breaker = fragile();
        let mut call = call(&breaker);
        let attempt = permit(&mut call, MS(0));
        let reported = call.report(attempt, fault, MS(0));
        assert_eq!(reported.transition.is_some(), outcome == Outcome::Failure, "{fault:?}");
        let gave_up = reported.verdict == Verdict::GiveUp(Why::Permanent);
        assert_eq!(gave_up, class == Class::Permanent, "{fault:?}");
    }
}

#[test]
fn r06_a_call_that_is_cancelled_while_it_waits_leaves_nothing_in_the_breaker() {
    let breaker = Arc::new(fragile());
    breaker.trip(MS(0));
    let retry = Retry::new(Policy::DEFAULT, MS(0), 1);
    let mut cancelled = Guarded::new(Arc::clone(&breaker), retry);
    let Step::Call(probe) = cancelled.attempt(MS(30_000)) else { unreachable!("a probe is due") };
    let reported = cancelled.report(probe, Fault::Busy { retry_after: None }, MS(30_001));
    assert!(matches!(reported.verdict, Verdict::Wait(_)));
    let before = breaker.snapshot(MS(30_001));
    drop(cancelled);
    assert_eq!(breaker.snapshot(MS(30_001)), before);
    assert_eq!((before.state, before.n_probes), (State::HalfOpen, 0));
}

#[test]
fn r07_no_wait_ends_before_the_open_breaker_can_let_a_call_in() {
    let breaker = fragile();
    let (mut first, mut second) = (call(&breaker), call(&breaker));
    let attempt = permit(&mut first, MS(0));
    let reported = first.report(attempt, FAILED, MS(10));
    assert_eq!(reported.transition.map(|made| made.to), Some(State::Open));
    assert_eq!(reported.verdict, Verdict::Wait(MS(30_000)), "not the backoff of 100 ms");
    let Step::Wait(wait) = second.attempt(MS(1_000)) else { unreachable!("the breaker is OPEN") };
    assert_eq!(wait, MS(29_010));
    // Both come back when their waits end, and neither is refused.
    let probe = permit(&mut first, MS(30_010));
    assert_eq!(probe.transition().map(|made| made.to), Some(State::HalfOpen));
    let other = permit(&mut second, MS(30_010));
    assert_eq!(first.succeed(probe, MS(30_011)), None);
    let closed = second.succeed(other, MS(30_012)).map(|made| made.to);
    assert_eq!(closed, Some(State::Closed));
}

#[test]
fn r07_refusals_alone_end_by_themselves_and_never_touch_the_target() {
    let breaker = fragile();
    let mut refused = call(&breaker);
    for n in 1..=3_u64 {
        breaker.trip(MS(n * 60_000));
        match refused.attempt(MS(n * 60_000)) {
            Step::Wait(wait) => assert!(n < 3 && wait == MS(30_000)),
            Step::GiveUp(why) => assert!(n == 3 && why == Why::Breaker { refused: 3 }),
            Step::Call(_) => unreachable!("the breaker is OPEN"),
        }
    }
    assert_eq!((refused.retry().failed(), refused.retry().refused()), (0, 3));
}

#[test]
fn r05_an_open_breaker_that_outlasts_the_deadline_gives_up_at_once() {
    let options = retry::Options { deadline: Some(MS(5_000)), ..retry::Options::DEFAULT };
    let breaker = fragile();
    breaker.trip(MS(0));
    let retry = Retry::new(Policy::new(options).unwrap(), MS(0), 1);
    let mut hasty = Guarded::new(&breaker, retry);
    assert!(matches!(hasty.attempt(MS(1)), Step::GiveUp(Why::Deadline { .. })));
}
