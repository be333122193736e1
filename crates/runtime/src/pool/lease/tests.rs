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
fn it_is_worth_it_for_busy_agents() {
    for (n_handled, us, expected) in [(400, 200, true), (399, 200, false), (0, 1, false)] {
        assert_eq!(is_worth_it(n_handled, us), expected, "{n_handled} in {us} us");
    }
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
        scope.spawn(|| lease.change(0, now << 8 | me()));
    });
    lease
}

/// What is left of a lease for a thread that stood back until it was over.
async fn after_one_lease(n_handled_in_it: u64) -> Lease {
    let lease = foreign();
    let n_handled = std::cell::Cell::new(0);
    {
        let mut waiting = pin!(lease.stand_back(|| n_handled.get()));
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..10 {
            assert!(waiting.as_mut().poll(&mut cx).is_pending());
        }
        assert!(lease.keeps_out());
        n_handled.set(n_handled_in_it);
        tokio::time::advance(Duration::from_micros(u64::from(LEASE_US))).await;
        assert!(waiting.as_mut().poll(&mut cx).is_ready());
    }
    lease
}

#[tokio::test(start_paused = true)]
async fn who_stood_back_has_the_next_lease_of_a_busy_agent() {
    let lease = after_one_lease(u64::from(LEASE_US) * MESSAGES_PER_US).await;
    assert_eq!(lease.word() & THREAD, me());
}

#[tokio::test(start_paused = true)]
async fn of_an_agent_with_little_to_do_nobody_has_it_then() {
    assert_eq!(after_one_lease(0).await.word(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_nobody_waited_for_is_forgotten() {
    let lease = foreign();
    tokio::time::advance(Duration::from_micros(u64::from(LEASE_US))).await;
    assert!(lease.is_foreign() && !lease.keeps_out());
    lease.stand_back(|| 0).await;
    assert_eq!(lease.word(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_runs_is_not_contested() {
    let lease = foreign();
    lease.contest();
    assert!(lease.is_foreign());
    tokio::time::advance(Duration::from_micros(u64::from(LEASE_US))).await;
    lease.contest();
    assert!(!lease.is_foreign());
}

#[tokio::test(start_paused = true)]
async fn who_stands_back_goes_on_in_the_end_where_time_stands_still() {
    foreign().stand_back(|| 0).await;
}
