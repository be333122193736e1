use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use super::*;

#[test]
fn a_lease_is_over_after_its_time_also_where_the_clock_wraps() {
    for (begin, now, expected) in [
        (0, 0, false),
        (0, LEASE_US - 1, false),
        (0, LEASE_US, true),
        (TIME - 10, TIME, false),
        (TIME - 10, LEASE_US - 12, false),
        (TIME - 10, LEASE_US - 11, true),
    ] {
        assert_eq!(is_over(begin << 8 | 1, now), expected, "{begin} to {now}");
    }
}

#[test]
fn it_is_taken_when_it_is_free_or_over_and_not_before() {
    let lease = Lease::new();
    let owner = || lease.0.load(Ordering::Relaxed) & THREAD;
    lease.take(1, 5);
    assert_eq!(owner(), 1);
    lease.take(2, 5 + LEASE_US - 1);
    assert_eq!(owner(), 1);
    lease.take(2, 5 + LEASE_US);
    assert_eq!(owner(), 2);
}

#[test]
fn nobody_stands_back_before_threads_have_met_or_for_themselves() {
    let lease = Lease::new();
    assert!(!lease.is_foreign() && !lease.keeps_out());
    lease.contest();
    assert!(!lease.is_foreign() && !lease.keeps_out());
    std::thread::scope(|scope| {
        scope.spawn(|| assert!(lease.is_foreign()));
    });
}

/// A lease of another thread that began now.
fn foreign() -> Lease {
    let lease = Lease::new();
    let now = time();
    std::thread::scope(|scope| {
        scope.spawn(|| lease.take(me(), now));
    });
    lease
}

#[tokio::test(start_paused = true)]
async fn who_stands_back_goes_on_when_the_lease_is_over_and_has_it() {
    let lease = foreign();
    let mut waiting = pin!(lease.stand_back());
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..10 {
        assert!(waiting.as_mut().poll(&mut cx).is_pending());
    }
    assert!(lease.keeps_out());
    tokio::time::advance(Duration::from_micros(u64::from(LEASE_US))).await;
    assert!(waiting.as_mut().poll(&mut cx).is_ready());
    assert!(!lease.is_foreign());
}

#[tokio::test(start_paused = true)]
async fn who_stands_back_goes_on_in_the_end_where_time_stands_still() {
    let lease = foreign();
    lease.stand_back().await;
    assert!(lease.keeps_out());
}
