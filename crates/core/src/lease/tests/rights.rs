//! Counted locks, preemption, pauses, protection and reservations: one promise at a time.

use super::*;
use crate::lease::{
    DEPTH_MAX, GRACE, Kept, OPS_MAX, Op, OpId, Over, PAST_OPS_MAX, PREEMPTORS_MAX, PROTECTED_MAX,
    PreemptError, RESERVATIONS_MAX, Rank, ReserveError, TooManyProtected,
};

fn op(n: u128) -> OpId {
    OpId::from_u128(n)
}

fn counted(holder: u32, section: &'static str, id: u128) -> Request<&'static str, u32> {
    Request { op: Some(op(id)), ..deny(holder, &[section]) }
}

fn person(holder: u32, sections: &[&'static str]) -> Request<&'static str, u32> {
    Request { rank: Rank::Person, ..deny(holder, sections) }
}

fn depth(t: &Table) -> Option<u32> {
    t.rows().find(|row| *row.section == "a")?.lease.map(|lease| lease.depth)
}

#[test]
fn d02_a_lock_is_as_deep_as_different_operations_made_it_and_repeats_count_nothing() {
    let mut t = table();
    let token = grants(&mut t, counted(1, "a", 1), 0)[0].token;
    for (id, expected) in [(1, 1), (2, 2), (2, 2), (1, 2)] {
        assert_eq!(grants(&mut t, counted(1, "a", id), 1)[0].token, token);
        assert_eq!(depth(&t), Some(expected), "after operation {id}");
    }
    grants(&mut t, deny(1, &["a"]), 1);
    assert_eq!(depth(&t), Some(2), "a request without an operation counts nothing");
    for (id, expected, n_events) in [(3, Some(1), 0), (3, Some(1), 0), (4, None, 1), (4, None, 0)] {
        let step = t.release_once(&"a", &1, token, op(id), s(2));
        assert_eq!((step.answer, step.events.len()), (Ok(()), n_events), "release {id}");
        assert_eq!(depth(&t), expected, "after release {id}");
    }
    let late = t.request(counted(1, "a", 2), s(3)).answer;
    assert_eq!(late, Err(RequestError::Repeated { section: "a", op: op(2) }));
    assert!(!late.unwrap_err().is_retryable());
    assert_eq!(t.lease(&"a", s(3)), None, "a message that comes late locks nothing");
    // The release that came twice leaves the next lock alone, also that of the same holder.
    let next = grants(&mut t, counted(1, "a", 5), 4)[0].token;
    assert_eq!(t.release_once(&"a", &1, token, op(4), s(4)).answer, Ok(()));
    assert_eq!(t.check_holder(&"a", &1, next, s(4)), Ok(()));
}

#[test]
fn d02_a_plain_release_takes_one_level_and_a_stale_one_none() {
    let mut t = table();
    let token_1 = grants(&mut t, counted(1, "a", 1), 0)[0].token;
    grants(&mut t, counted(1, "a", 2), 0);
    assert!(t.release(&"a", &2, token_1, s(1)).answer.is_err());
    assert_eq!(depth(&t), Some(2));
    let step = t.release(&"a", &1, token_1, s(1));
    assert_eq!((step.answer, step.events.len(), depth(&t)), (Ok(()), 0, Some(1)));
    assert_eq!(t.release(&"a", &1, token_1, s(1)).events.len(), 1);
    assert_eq!(depth(&t), None);
}

#[test]
fn d02_the_memory_of_operations_is_bounded_and_so_is_depth() {
    let mut t = table();
    let token = grants(&mut t, counted(1, "a", 0), 0)[0].token;
    for id in 1..u128::from(DEPTH_MAX) {
        grants(&mut t, counted(1, "a", id), 0);
    }
    let more = t.request(counted(1, "a", 99), s(0)).answer;
    assert_eq!(more, Err(RequestError::TooDeep { section: "a", depth: DEPTH_MAX }));
    // Lock and release in turn: the lease remembers OPS_MAX operations, the oldest is forgotten.
    let rounds = u128::try_from(OPS_MAX).unwrap();
    for id in 1_000..1_000 + rounds {
        assert_eq!(t.release_once(&"a", &1, token, op(id), s(0)).answer, Ok(()));
        grants(&mut t, counted(1, "a", id), 0);
    }
    assert_eq!(t.leases().map(|kept| kept.ops.len()).collect::<Vec<_>>(), [OPS_MAX]);
    assert_eq!(depth(&t), Some(DEPTH_MAX));
    // Of leases that have ended, PAST_OPS_MAX operations are remembered.
    let mut t = table();
    let rounds = u128::try_from(PAST_OPS_MAX).unwrap() + 1;
    for id in 0..rounds {
        let token = grants(&mut t, counted(1, "a", id), 0)[0].token;
        assert_eq!(t.release(&"a", &1, token, s(0)).answer, Ok(()));
    }
    let repeated = |id| Err(RequestError::Repeated { section: "a", op: op(id) });
    assert_eq!(t.request(counted(1, "a", 1), s(0)).answer, repeated(1));
    assert!(t.request(counted(1, "a", 0), s(0)).answer.is_ok(), "the oldest is forgotten");
}

#[test]
fn d12_depth_rank_hold_and_operations_survive() {
    let mut t = table();
    t.keep_changes();
    let first = Request { hold_max: Some(s(40)), op: Some(op(1)), ..person(1, &["a"]) };
    let token = grants(&mut t, first, 0)[0].token;
    grants(&mut t, counted(1, "a", 2), 1);
    assert_eq!(t.reserve(&"b", &2, s(9), s(1)).answer, Ok(s(10)));
    let kept = Kept {
        depth: 2,
        rank: Rank::Person,
        hold_max: Some(s(40)),
        ops: vec![Op::Lock(op(1)), Op::Lock(op(2))],
        ..Kept::new("a", 1, token, LEASE)
    };
    let changes = t.take_changes();
    let reserved = Change::Reserved { section: "b", holder: 2, length: s(9) };
    assert_eq!(changes[1..], [Change::Held(kept.clone()), reserved]);
    let mut next = Locks::restore(Limits::DEFAULT, t.last_token(), [kept], s(100));
    next.restore_reserved(t.reserved(), s(100));
    assert_eq!(next.rows().map(|row| row.reservations).last().unwrap(), [(&2, s(109))]);
    grants(&mut next, counted(1, "a", 2), 101);
    assert_eq!(depth(&next), Some(2), "it came before and after the restart");
    let refused = next.preempt(person(3, &["a"]), Over::LowerRank, GRACE, s(101)).answer;
    assert!(matches!(refused, Err(PreemptError::RankTooLow { .. })), "{refused:?}");
    assert_eq!(next.renew(&"a", &1, token, s(90), s(101)).answer, Ok(s(140)));
    assert_eq!(next.release(&"a", &1, token, s(102)).events, []);
    assert_eq!(next.release(&"a", &1, token, s(102)).events.len(), 1);
}

#[test]
fn d03_a_hold_may_be_shorter_than_the_limit_and_not_longer() {
    let mut t = Locks::new(Limits { hold_max: s(50), ..Limits::DEFAULT });
    for (hold, end) in [(Some(s(5)), 5), (Some(s(40)), 40), (Some(s(500)), 50), (None, 50)] {
        let token = grants(&mut t, Request { hold_max: hold, ..deny(1, &["a"]) }, 0)[0].token;
        let again = Request { hold_max: Some(s(1)), ..deny(1, &["a"]) };
        grants(&mut t, again, 0);
        assert_eq!(t.renew(&"a", &1, token, s(999), s(0)).answer, Ok(s(end)), "{hold:?}");
        assert_eq!(t.release(&"a", &1, token, s(0)).answer, Ok(()));
    }
    let none = Request { hold_max: Some(Duration::ZERO), ..deny(1, &["a"]) };
    assert_eq!(t.request(none, s(0)).answer, Err(RequestError::ZeroLease));
}

#[test]
fn d04_a_person_gets_the_lock_after_the_grace_and_before_all_waiters() {
    let mut t = table();
    let token = grants(&mut t, deny(1, &["a"]), 0)[0].token;
    queued(&mut t, queue(2, &["a"]), 1);
    let step = t.preempt(person(9, &["a"]), Over::LowerRank, GRACE, s(10));
    assert_eq!(step.answer, Ok(Outcome::Queued { position: 1 }));
    let revoking = Event::Revoking { section: "a", holder: 1, token, at: s(12) };
    assert_eq!(step.events, [revoking], "the holder is told at once");
    assert_eq!(t.check_holder(&"a", &1, token, s(11)), Ok(()), "and may save its work");
    assert_eq!(t.renew(&"a", &1, token, LEASE, s(11)).answer, Ok(s(12)), "but not go on");
    assert_eq!(t.next_deadline(), Some(s(12)));
    let events = t.expire(s(12));
    let [Event::Revoked { holder: 1, .. }, Event::Granted { holder: 9, grants }] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert!(grants[0].token > token, "D2");
    let events = t.drop_holder(&9, s(13));
    assert!(matches!(events[..], [_, Event::Granted { holder: 2, .. }]), "{events:?}");
}

#[test]
fn d04_a_holder_that_releases_in_its_grace_hands_over_at_once() {
    let mut t = table();
    let token = grants(&mut t, deny(1, &["a"]), 0)[0].token;
    queued(&mut t, queue(2, &["a"]), 1);
    // A waiter may preempt what it waits for; then it is not the last any more.
    queued(&mut t, Request { on_busy: OnBusy::Queue { until: None }, ..person(9, &["a"]) }, 2);
    let step = t.preempt(person(9, &["a"]), Over::LowerRank, GRACE, s(10));
    assert_eq!(step.answer, Ok(Outcome::Queued { position: 1 }));
    assert_eq!(t.n_waiting(&"a"), 2);
    let events = t.release(&"a", &1, token, s(11)).events;
    assert!(matches!(events[..], [Event::Released { .. }, Event::Granted { holder: 9, .. }]));
}

#[test]
fn d04_nobody_gives_way_to_the_same_rank_unless_forced() {
    let mut t = table();
    grants(&mut t, person(1, &["a"]), 0);
    let too_low = |rank| Err(PreemptError::RankTooLow { section: "a", holder: 1, rank });
    let refused = t.preempt(person(2, &["a", "b"]), Over::LowerRank, GRACE, s(1));
    assert_eq!((refused.answer, refused.events.len()), (too_low(Rank::Person), 0));
    assert_eq!(t.lease(&"b", s(1)), None, "D5: all or none");
    let refused = t.preempt(deny(3, &["a"]), Over::LowerRank, GRACE, s(1)).answer;
    assert_eq!(refused, too_low(Rank::Person));
    assert!(refused.unwrap_err().is_retryable());
    let forced = t.preempt(person(2, &["a"]), Over::Anybody, Duration::ZERO, s(1));
    assert!(matches!(forced.answer, Ok(Outcome::Granted(_))), "no grace, no wait");
    assert!(matches!(forced.events[..], [Event::Revoking { .. }, Event::Revoked { .. }]));
    // A holder never waits, not even for a grace (D5).
    grants(&mut t, deny(4, &["b"]), 1);
    let refused = t.preempt(person(2, &["b"]), Over::LowerRank, GRACE, s(1)).answer;
    let held = RequestError::WaitWhileHolding { held: "a", wanted: "b" };
    assert_eq!(refused, Err(PreemptError::Request(held)));
    // The newest of those who preempt is first, and they are not many.
    for holder in 100..100 + u32::try_from(PREEMPTORS_MAX).unwrap() {
        let step = t.preempt(person(holder, &["b"]), Over::Anybody, GRACE, s(1));
        assert_eq!(step.answer, Ok(Outcome::Queued { position: 1 }));
    }
    let full = t.preempt(person(99, &["b"]), Over::Anybody, GRACE, s(1)).answer;
    let len = PREEMPTORS_MAX;
    assert_eq!(full, Err(PreemptError::Request(RequestError::QueueFull { section: "b", len })));
    let events = t.expire(s(3));
    assert!(matches!(events[..], [_, Event::Granted { holder: 107, .. }]), "{events:?}");
}

#[test]
fn d04_an_operator_frees_a_lock_and_the_next_waiter_has_it() {
    let mut t = table();
    let token = grants(&mut t, person(1, &["a"]), 0)[0].token;
    queued(&mut t, queue(2, &["a"]), 1);
    let step = t.force_release(&"a", s(2));
    assert_eq!(step.answer, Some(token));
    let revoked = Event::Revoked { section: "a", holder: 1, token };
    assert_eq!(step.events[0], revoked);
    assert!(matches!(step.events[1], Event::Granted { holder: 2, .. }));
    assert!(matches!(t.check(&"a", token, s(2)), Err(Stale::Superseded { .. })));
    assert_eq!(t.force_release(&"b", s(2)).answer, None);
}

#[test]
fn d03_no_lease_ends_in_a_pause_and_each_gets_its_time_back() {
    let mut t = table();
    let token = grants(&mut t, deny(1, &["a"]), 0)[0].token;
    assert_eq!(t.reserve(&"b", &1, s(20), s(0)).answer, Ok(s(20)));
    queued(&mut t, ask(2, &["a"], OnBusy::Queue { until: Some(s(15)) }), 1);
    assert_eq!(t.pause_leases(s(10)), []);
    assert_eq!(t.pause_leases(s(11)), [], "a pause in a pause is no second one");
    assert_eq!(t.next_deadline(), Some(s(15)));
    let events = t.expire(s(1_000));
    assert!(matches!(events[..], [Event::WaitTimedOut { .. }]), "waits end as usual: {events:?}");
    assert_eq!(t.next_deadline(), None);
    assert_eq!(t.check_holder(&"a", &1, token, s(1_000)), Ok(()));
    assert!(matches!(
        t.request(deny(2, &["a"]), s(1_000)).answer,
        Ok(Outcome::Denied { section: "a", .. })
    ));
    // What is granted in the pause has its time from the end of the pause on, and is told at least that.
    assert_eq!(grants(&mut t, deny(3, &["c"]), 1_000)[0].deadline, s(1_030));
    assert_eq!(t.resume_leases(s(1_010)), []);
    let deadlines: Vec<_> = t.rows().filter_map(|row| Some(row.lease?.deadline)).collect();
    assert_eq!(deadlines, [s(1_030), s(1_040)], "20 s were left of the first, all of the second");
    assert_eq!(t.expire(s(1_020)).len(), 1, "10 s were left of the reservation");
    let renewed = t.renew(&"a", &1, token, s(9_999), s(1_020)).answer;
    assert_eq!(renewed, Ok(s(1_300)), "the hold has moved by 1,000 s, too");
    assert_eq!(t.resume_leases(s(1_021)), [], "without a pause");
    assert_eq!(t.lease(&"a", s(1_021)).map(|lease| lease.deadline), Some(s(1_300)));
}

#[test]
fn d03_a_holder_at_work_keeps_its_lock_until_the_hold_ends() {
    let mut t = table();
    assert_eq!(t.protect(&1, s(0)).answer, Ok(()));
    let grant = grants(&mut t, Request { hold_max: Some(s(100)), ..deny(1, &["a"]) }, 0)[0];
    assert_eq!(grant.deadline, s(30), "it is told what it may count on");
    assert_eq!(t.expire(s(59)), []);
    assert_eq!(t.check_holder(&"a", &1, grant.token, s(59)), Ok(()));
    assert_eq!(t.unprotect(&1, s(60)), []);
    assert_eq!(t.next_deadline(), Some(s(90)), "as if it had been renewed");
    assert_eq!(t.protect(&1, s(70)).answer, Ok(()));
    assert_eq!(t.next_deadline(), Some(s(100)));
    assert_eq!(t.unprotect(&1, s(71)), []);
    assert_eq!(t.next_deadline(), Some(s(100)), "never beyond the hold");
    assert_eq!(t.protect(&1, s(72)).answer, Ok(()));
    let step = t.preempt(person(2, &["a"]), Over::LowerRank, GRACE, s(73));
    assert_eq!(step.answer, Ok(Outcome::Queued { position: 1 }));
    assert!(matches!(t.expire(s(75))[..], [Event::Revoked { .. }, Event::Granted { .. }]));
    // Its end ends the protection.
    assert_eq!(t.drop_holder(&1, s(76)), []);
    grants(&mut t, deny(1, &["b"]), 76);
    assert_eq!(t.lease(&"b", s(76)).map(|lease| lease.deadline), Some(s(106)));
}

#[test]
fn d03_protections_are_bounded() {
    let mut t = table();
    for holder in 0..u32::try_from(PROTECTED_MAX).unwrap() {
        assert_eq!(t.protect(&holder, s(0)).answer, Ok(()));
    }
    let full = Err(TooManyProtected { len: PROTECTED_MAX });
    assert_eq!(t.protect(&u32::MAX, s(0)).answer, full);
    assert_eq!(t.protect(&0, s(0)).answer, Ok(()), "one that is protected already");
    assert_eq!(t.unprotect(&0, s(0)), []);
    assert_eq!(t.protect(&u32::MAX, s(0)).answer, Ok(()));
}

#[test]
fn d04_a_reservation_is_seen_by_all_and_keeps_nobody_out() {
    let mut t = table();
    assert_eq!(t.reserve(&"a", &1, s(10), s(0)).answer, Ok(s(10)));
    assert_eq!(t.reserve(&"a", &1, s(5), s(1)).answer, Ok(s(10)), "never shortened");
    assert_eq!(t.reserve(&"a", &2, s(5), s(1)).answer, Ok(s(6)));
    grants(&mut t, deny(3, &["a"]), 2);
    queued(&mut t, queue(4, &["a"]), 2);
    let rows: Vec<_> = t.rows().collect();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].lease.map(|lease| lease.holder), Some(3));
    assert_eq!(rows[0].waiters, [&4]);
    assert_eq!(rows[0].reservations, [(&1, s(10)), (&2, s(6))]);
    assert_eq!(t.holders(), BTreeSet::from([&1, &2, &3, &4]));
    assert_eq!(t.expire(s(6)), [Event::ReservationEnded { section: "a", holder: 2 }]);
    let ended = Event::ReservationEnded { section: "a", holder: 1 };
    assert_eq!(t.drop_holder(&1, s(7)), std::slice::from_ref(&ended));
    assert!(t.reserve(&"a", &1, s(5), s(7)).answer.is_ok());
    let step = t.unreserve(&"a", &1, s(8));
    assert_eq!((step.answer, step.events), (true, vec![ended]));
    assert!(!t.unreserve(&"a", &1, s(8)).answer);
    assert_eq!(t.reserve(&"a", &1, s(0), s(8)).answer, Err(ReserveError::ZeroLease));
    for holder in 0..u32::try_from(RESERVATIONS_MAX).unwrap() {
        assert!(t.reserve(&"b", &holder, s(5), s(8)).answer.is_ok());
    }
    let full = ReserveError::TooMany { section: "b", len: RESERVATIONS_MAX };
    assert!(full.is_retryable());
    assert_eq!(t.reserve(&"b", &999, s(5), s(8)).answer, Err(full));
}
