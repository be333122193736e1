//! Named promises first, then a million seeded steps against a naive model.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{
    Busy, Change, Event, Grant, Lease, Limits, Locks, OnBusy, Outcome, Request, RequestError,
    Stale, Token,
};

mod model;
mod reference;
mod rights;

type Table = Locks<&'static str, u32>;

const LEASE: Duration = Duration::from_secs(30);

fn s(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn token(n: u64) -> Token {
    Token::from_u64(n)
}

fn ask(holder: u32, sections: &[&'static str], on_busy: OnBusy) -> Request<&'static str, u32> {
    Request::new(holder, sections.iter().copied().collect(), LEASE, on_busy)
}

fn deny(holder: u32, sections: &[&'static str]) -> Request<&'static str, u32> {
    ask(holder, sections, OnBusy::Deny)
}

fn queue(holder: u32, sections: &[&'static str]) -> Request<&'static str, u32> {
    ask(holder, sections, OnBusy::Queue { until: None })
}

fn grants(
    table: &mut Table,
    request: Request<&'static str, u32>,
    now: u64,
) -> Vec<Grant<&'static str>> {
    match table.request(request, s(now)).answer {
        Ok(Outcome::Granted(grants)) => grants,
        other => panic!("not granted: {other:?}"),
    }
}

fn queued(table: &mut Table, request: Request<&'static str, u32>, now: u64) -> usize {
    match table.request(request, s(now)).answer {
        Ok(Outcome::Queued { position }) => position,
        other => panic!("not queued: {other:?}"),
    }
}

fn table() -> Table {
    Locks::new(Limits::DEFAULT)
}

#[test]
fn d03_a_restored_lease_has_its_full_length_to_live_and_its_token() {
    let mut t = table();
    t.keep_changes();
    let first = grants(&mut t, deny(1, &["a", "b"]), 0);
    assert!(t.release(&"b", &1, first[1].token, s(1)).answer.is_ok());
    assert_eq!(queued(&mut t, queue(2, &["a"]), 2), 1);
    let mut kept = std::collections::BTreeMap::new();
    for change in t.take_changes() {
        match change {
            Change::Held(lease) => drop(kept.insert(lease.section, lease)),
            Change::Free { section } => drop(kept.remove(section)),
            other => panic!("nothing is reserved: {other:?}"),
        }
    }
    assert_eq!(kept.values().cloned().collect::<Vec<_>>(), t.leases().collect::<Vec<_>>());
    assert_eq!(t.take_changes(), []);
    // The clock of the next life begins anew.
    let mut t = Locks::restore(Limits::DEFAULT, t.last_token(), kept.into_values(), s(5));
    assert_eq!(t.lease(&"a", s(34)).map(|lease| lease.token), Some(first[0].token));
    assert_eq!((t.n_waiting(&"a"), t.next_deadline()), (0, Some(s(35))));
    assert_eq!(t.check_holder(&"a", &1, first[0].token, s(34)), Ok(()));
    assert!(grants(&mut t, deny(3, &["b"]), 5)[0].token > first[1].token);
    assert_eq!(t.expire(s(35)).len(), 2);
}

#[test]
fn d01_a_section_has_at_most_one_holder() {
    let mut t = table();
    grants(&mut t, deny(1, &["a"]), 0);
    let refused = t.request(deny(2, &["a"]), s(1)).answer;
    assert!(matches!(refused, Ok(Outcome::Denied { .. })));
    assert_eq!(t.lease(&"a", s(1)).map(|l| l.holder), Some(1));
}

#[test]
fn d02_each_grant_has_a_larger_token_than_any_before() {
    let mut t = table();
    let mut newest = Token::NONE;
    for round in 0..100 {
        let holder = round % 3;
        for grant in grants(&mut t, deny(holder, &["a", "b"]), u64::from(round)) {
            assert!(grant.token > newest, "{grant:?} after {newest}");
            newest = grant.token;
            let step = t.release(&grant.section, &holder, grant.token, s(u64::from(round)));
            assert_eq!(step.answer, Ok(()));
        }
    }
    assert_eq!(t.last_token(), newest);
    let mut reopened: Table = Locks::resume(Limits::DEFAULT, newest);
    assert!(grants(&mut reopened, deny(1, &["a"]), 0)[0].token > newest);
}

#[test]
fn d02_an_older_token_neither_writes_nor_renews_nor_releases() {
    let mut t = table();
    let old = grants(&mut t, deny(1, &["a"]), 0)[0].token;
    assert_eq!(t.release(&"a", &1, old, s(1)).answer, Ok(()));
    let new = grants(&mut t, deny(1, &["a"]), 2)[0].token;
    let stale = Err(Stale::Superseded { token: old, current: new });
    assert_eq!(t.check(&"a", old, s(3)), stale);
    assert_eq!(t.renew(&"a", &1, old, LEASE, s(3)).answer.map(|_| ()), stale);
    assert_eq!(t.release(&"a", &1, old, s(3)).answer, stale);
    assert_eq!(t.check(&"a", new, s(3)), Ok(()), "the late release took the new lock away");
}

#[test]
fn d02_tokens_that_are_unknown_or_anothers_are_refused() {
    let mut t = table();
    let mine = grants(&mut t, deny(1, &["a"]), 0)[0].token;
    let unknown = token(99);
    assert_eq!(
        t.check(&"a", unknown, s(0)),
        Err(Stale::NeverGiven { token: unknown, current: mine })
    );
    assert_eq!(t.check(&"b", mine, s(0)), Err(Stale::NotHeld { token: mine }));
    assert_eq!(t.check_holder(&"a", &2, mine, s(0)), Err(Stale::NotYours { token: mine }));
    assert_eq!(t.release(&"a", &2, mine, s(0)).answer, Err(Stale::NotYours { token: mine }));
    assert_eq!(t.check_holder(&"a", &1, mine, s(0)), Ok(()));
}

#[test]
fn d03_a_lease_ends_at_its_deadline_even_before_the_timer_comes() {
    let mut t = table();
    let grant = grants(&mut t, deny(1, &["a"]), 10)[0];
    assert_eq!(grant.deadline, s(40));
    assert_eq!(t.next_deadline(), Some(s(40)));
    let before = s(40) - Duration::from_nanos(1);
    assert_eq!(t.check(&"a", grant.token, before), Ok(()));
    let ended = Err(Stale::Expired { token: grant.token, at: s(40) });
    assert_eq!(t.check(&"a", grant.token, s(40)), ended);
    assert_eq!(t.lease(&"a", s(40)), None);
    // No call to expire in between: the request itself sweeps.
    let step = t.request(deny(2, &["a"]), s(40));
    assert!(matches!(step.answer, Ok(Outcome::Granted(_))));
    let expired = Event::Expired { section: "a", holder: 1, token: grant.token };
    assert_eq!(step.events, [expired]);
}

#[test]
fn d03_a_renewed_lease_lives_on_but_not_beyond_hold_max() {
    let mut t: Table = Locks::new(Limits { hold_max: s(50), ..Limits::DEFAULT });
    let grant = grants(&mut t, deny(1, &["a"]), 0)[0];
    assert_eq!(t.renew(&"a", &1, grant.token, LEASE, s(10)).answer, Ok(s(40)));
    assert_eq!(t.renew(&"a", &1, grant.token, s(1), s(11)).answer, Ok(s(40)), "it was shortened");
    assert_eq!(t.renew(&"a", &1, grant.token, LEASE, s(39)).answer, Ok(s(50)));
    assert_eq!(t.renew(&"a", &1, grant.token, Duration::MAX, s(49)).answer, Ok(s(50)));
    assert_eq!(t.expire(s(49)), []);
    assert_eq!(t.expire(s(50)).len(), 1);
    let over = t.renew(&"a", &1, grant.token, LEASE, s(50)).answer;
    assert_eq!(over, Err(Stale::NotHeld { token: grant.token }));
}

#[test]
fn d03_a_dead_holders_locks_are_free_at_once_and_its_wait_is_gone() {
    let mut t = table();
    let [a, b] = grants(&mut t, deny(1, &["a", "b"]), 0)[..] else { panic!("two grants") };
    queued(&mut t, queue(2, &["a"]), 1);
    grants(&mut t, deny(3, &["c"]), 1);
    queued(&mut t, queue(4, &["c"]), 1);
    queued(&mut t, queue(5, &["c"]), 1);
    let events = t.drop_holder(&1, s(2));
    let handed_on = Grant { section: "a", token: token(4), deadline: s(32) };
    assert_eq!(
        events,
        [
            Event::Lost { section: "a", holder: 1, token: a.token },
            Event::Lost { section: "b", holder: 1, token: b.token },
            Event::Granted { holder: 2, grants: vec![handed_on] },
        ]
    );
    assert_eq!(t.lease(&"b", s(2)), None);
    // A waiter that dies leaves the queue and gets nothing.
    let gone = Event::Withdrawn { holder: 4, sections: ["c"].into() };
    assert_eq!(t.drop_holder(&4, s(3)), [gone]);
    let events = t.drop_holder(&3, s(4));
    assert!(
        matches!(events[..], [Event::Lost { .. }, Event::Granted { holder: 5, .. }]),
        "{events:?}"
    );
    assert_eq!(t.drop_holder(&1, s(5)), [], "the second time there is nothing left to free");
}

#[test]
fn d03_a_lease_that_expires_while_its_waiter_dies_is_not_granted_to_the_dead() {
    let mut t = table();
    grants(&mut t, deny(1, &["a"]), 0);
    queued(&mut t, queue(2, &["a"]), 1);
    queued(&mut t, queue(3, &["a"]), 1);
    let events = t.drop_holder(&2, s(30));
    assert!(
        matches!(
            events[..],
            [
                Event::Withdrawn { holder: 2, .. },
                Event::Expired { holder: 1, .. },
                Event::Granted { holder: 3, .. }
            ]
        ),
        "{events:?}"
    );
}

#[test]
fn d04_denied_says_who_holds_it_and_until_when() {
    let mut t = table();
    grants(&mut t, deny(1, &["b"]), 5);
    let busy = Busy::Held { holder: 1, until: s(35) };
    assert_eq!((busy.holder(), busy.until()), (&1, Some(s(35))));
    let denied = Ok(Outcome::Denied { section: "b", busy });
    assert_eq!(t.request(deny(2, &["a", "b"]), s(6)).answer, denied);
    let past = ask(2, &["b"], OnBusy::Queue { until: Some(s(6)) });
    assert_eq!(t.request(past, s(6)).answer, denied, "a wait that is over before it begins");
    // b is held, so 3 waits for both; a is free but promised to 3.
    queued(&mut t, queue(3, &["a", "b"]), 7);
    let promised = Busy::Promised { to: 3 };
    assert_eq!((promised.holder(), promised.until()), (&3, None));
    let denied = Ok(Outcome::Denied { section: "a", busy: promised });
    assert_eq!(t.request(deny(4, &["a"]), s(8)).answer, denied);
}

#[test]
fn d04_the_queue_is_first_come_first_served() {
    let mut t = table();
    let mut current = (1, grants(&mut t, deny(1, &["a"]), 0)[0].token);
    for holder in 2..=9 {
        assert_eq!(queued(&mut t, queue(holder, &["a"]), 1), holder as usize - 1);
    }
    assert_eq!(queued(&mut t, queue(9, &["a"]), 1), 8, "a repeated request keeps its place");
    for next in 2..=9 {
        let step = t.release(&"a", &current.0, current.1, s(2));
        let [Event::Released { .. }, Event::Granted { holder, grants }] = &step.events[..] else {
            panic!("{:?}", step.events)
        };
        assert_eq!(*holder, next);
        current = (*holder, grants[0].token);
    }
}

#[test]
fn d04_a_waiter_gives_up_when_its_time_is_over_or_when_it_cancels() {
    let mut t = table();
    grants(&mut t, deny(1, &["a", "b"]), 0);
    queued(&mut t, ask(2, &["a"], OnBusy::Queue { until: Some(s(10)) }), 1);
    queued(&mut t, queue(3, &["b"]), 1);
    assert_eq!(t.next_deadline(), Some(s(10)));
    assert_eq!(t.expire(s(10)), [Event::WaitTimedOut { holder: 2, sections: ["a"].into() }]);
    assert!(t.cancel(&3, s(11)).answer);
    assert!(!t.cancel(&3, s(11)).answer);
    assert_eq!(t.n_waiting(&"a") + t.n_waiting(&"b"), 0);
    // Expiry at the very moment of the lease's end: the waiter whose time is over gets nothing.
    queued(&mut t, ask(4, &["a"], OnBusy::Queue { until: Some(s(30)) }), 12);
    assert!(t.expire(s(30)).iter().all(|e| !matches!(e, Event::Granted { .. })));
}

#[test]
fn d05_several_sections_are_locked_all_or_none() {
    let mut t = table();
    grants(&mut t, deny(1, &["b"]), 0);
    assert!(matches!(
        t.request(deny(2, &["a", "b", "c"]), s(1)).answer,
        Ok(Outcome::Denied { section: "b", .. })
    ));
    assert_eq!((t.lease(&"a", s(1)), t.lease(&"c", s(1))), (None, None));
    assert_eq!(queued(&mut t, queue(2, &["a", "b", "c"]), 1), 1);
    assert_eq!(t.lease(&"a", s(1)), None, "a waiter holds nothing");
    let events = t.drop_holder(&1, s(2));
    let Some(Event::Granted { holder: 2, grants }) = events.last() else { panic!("{events:?}") };
    assert_eq!(grants.iter().map(|g| g.section).collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[test]
fn d05_a_waiter_for_several_is_not_starved_by_later_requests_for_one() {
    let mut t = table();
    let a = grants(&mut t, deny(1, &["a"]), 0)[0].token;
    let b = grants(&mut t, deny(2, &["b"]), 0)[0].token;
    queued(&mut t, queue(3, &["a", "b"]), 1);
    assert_eq!(queued(&mut t, queue(4, &["a"]), 2), 2);
    assert_eq!(queued(&mut t, queue(5, &["b"]), 2), 2);
    assert_eq!(t.release(&"a", &1, a, s(3)).events.len(), 1, "a is kept for the earlier waiter");
    let events = t.release(&"b", &2, b, s(4)).events;
    assert!(matches!(events[..], [_, Event::Granted { holder: 3, .. }]), "{events:?}");
    let events = t.drop_holder(&3, s(5));
    assert!(matches!(
        events[2..],
        [Event::Granted { holder: 4, .. }, Event::Granted { holder: 5, .. }]
    ));
}

#[test]
fn d05_a_holder_never_waits_and_a_waiter_asks_once_so_nothing_deadlocks() {
    let mut t = table();
    let before = grants(&mut t, deny(1, &["a"]), 0)[0];
    grants(&mut t, deny(2, &["b"]), 0);
    let refused = t.request(queue(1, &["b"]), s(1)).answer;
    assert_eq!(refused, Err(RequestError::WaitWhileHolding { held: "a", wanted: "b" }));
    assert_eq!(queued(&mut t, queue(3, &["a"]), 1), 1);
    let second = t.request(deny(3, &["c"]), s(2)).answer;
    assert_eq!(second, Err(RequestError::AlreadyWaiting { waiting_for: ["a"].into() }));
    // Asking for more of what is free is allowed, and what it holds keeps its token.
    let more = grants(&mut t, queue(1, &["a", "c"]), 3);
    assert_eq!((more[0].token, more[0].deadline), (before.token, s(33)));
    assert!(more[1].token > before.token);
}

#[test]
fn malformed_and_excessive_requests_are_refused_with_what_to_do() {
    let mut t: Table = Locks::new(Limits { waiters_max: 2, ..Limits::DEFAULT });
    assert_eq!(t.request(deny(1, &[]), s(0)).answer, Err(RequestError::NoSections));
    let no_time = Request { lease: Duration::ZERO, ..deny(1, &["a"]) };
    assert_eq!(t.request(no_time, s(0)).answer, Err(RequestError::ZeroLease));
    grants(&mut t, deny(1, &["a"]), 0);
    queued(&mut t, queue(2, &["a"]), 0);
    queued(&mut t, queue(3, &["a"]), 0);
    let full = t.request(queue(4, &["a", "b"]), s(0)).answer.unwrap_err();
    assert_eq!(full, RequestError::QueueFull { section: "a", len: 2 });
    assert!(full.is_retryable());
    assert_eq!(full.to_string(), "2 requests already wait for section \"a\"; ask again later");
    assert_eq!(Limits::default().waiters_max, 1_000);
    assert_eq!(t.holders(), BTreeSet::from([&1, &2, &3]));
    assert_eq!(t.held_by(&1).collect::<Vec<_>>(), [&"a"]);
}
