//! D1 to D5, and M13 for locks.

use std::collections::BTreeSet;
use std::time::Duration;

use ggml_agent::{Addr, ExitReason, Supervisor};
use ggml_agent_core::lease::OnBusy;
use ggml_agent_doc::coordinator::{GRACE, LockError};
use ggml_agent_doc::{
    CallError, Client, DocEvent, DocEventKind, DocNote, Edit, EditError, Holder, Kind, Lock,
    LockDenied,
};

use crate::support::{Do, House, LEASE, Locked, Writer, edit, id, lock};

#[tokio::test(start_paused = true)]
async fn d01_d04_a_second_lock_is_denied_with_holder_and_deadline() {
    let house = House::new().await;
    let (one, two) = (house.writer("one").await, house.writer("two").await);
    let grant = lock(&one, house.deny(0)).await.unwrap().remove(0);
    match lock(&two, house.deny(0)).await {
        Err(LockDenied::Busy { section, holder, until }) => {
            assert_eq!(section, house.sections[0]);
            assert_eq!(holder.to_string(), "one#1");
            assert_eq!(until, Some(grant.deadline));
        }
        other => panic!("{other:?}"),
    }
    assert!(lock(&two, house.deny(1)).await.is_ok(), "the other section is free");
}

#[tokio::test(start_paused = true)]
async fn d02_a_stale_token_neither_edits_nor_releases() {
    let house = House::new().await;
    let (one, two) = (house.writer("one").await, house.writer("two").await);
    let section = house.sections[0];
    let old = lock(&one, house.deny(0)).await.unwrap().remove(0).token;
    assert!(one.ask(|reply| Do::Release(section, old, reply)).await.unwrap());
    let new = lock(&two, house.deny(0)).await.unwrap().remove(0).token;
    assert!(new > old);
    let late = edit(&one, Edit::locked(section, old, "# Late\n")).await.unwrap_err();
    assert!(matches!(late, ggml_agent_doc::CallError::Refused(EditError::Stale(_))), "{late:?}");
    assert!(!one.ask(|reply| Do::Release(section, old, reply)).await.unwrap());
    assert!(edit(&two, Edit::locked(section, new, "# New\n\n")).await.is_ok());
    assert!(house.text().await.starts_with("# New\n\n# Two"));
}

#[tokio::test(start_paused = true)]
async fn d03_a_lease_ends_at_its_deadline_unless_renewed() {
    let house = House::new().await;
    let (one, two) = (house.writer("one").await, house.writer("two").await);
    let section = house.sections[0];
    let grant = lock(&one, house.deny(0)).await.unwrap().remove(0);
    tokio::time::advance(LEASE / 2).await;
    assert!(one.ask(|reply| Do::Renew(section, grant.token, reply)).await.unwrap());
    tokio::time::advance(LEASE * 3 / 4).await;
    assert!(lock(&two, house.deny(0)).await.is_err(), "renewed");
    let mut events = house.system.events();
    tokio::time::advance(LEASE).await;
    let expired = events.find(|event| match event {
        ggml_agent::EventKind::Custom(event) => {
            match event.as_any().downcast_ref::<DocEvent>()?.kind {
                DocEventKind::Expired { token, .. } => Some(token),
                _ => None,
            }
        }
        _ => None,
    });
    assert_eq!(expired.await.unwrap(), grant.token);
    assert!(lock(&two, house.deny(0)).await.is_ok());
    let notes = one.ask(Do::Notes).await.unwrap();
    assert!(
        matches!(notes[..], [DocNote::LockLost { token, .. }] if token == grant.token),
        "the old holder is told: {notes:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn d03_m13_a_dead_or_restarted_holder_has_no_locks() {
    let house = House::new().await;
    let tree = Supervisor::new("tree").child(house.spec("one"));
    let tree = house.system.supervise(tree).await.unwrap();
    let one = house.system.lookup("one").unwrap();
    let two = house.writer("two").await;
    let before = lock(&one, house.deny(0)).await.unwrap().remove(0);
    let waits = tokio::spawn({
        let (two, queued) = (two.clone(), house.queue(0));
        async move { lock(&two, queued).await }
    });
    one.tell(Do::Fail).unwrap();
    let granted = waits.await.unwrap().unwrap().remove(0);
    assert!(granted.token > before.token);
    assert_eq!(one.ask(Do::Notes).await.unwrap().len(), 0);
    assert_eq!(one.incarnation(), 2);
    let late = edit(&one, Edit::locked(house.sections[0], before.token, "# Late\n")).await;
    assert!(late.is_err(), "a token of the incarnation before");
    assert_eq!(tree.stop().await, ExitReason::Shutdown);
}

#[tokio::test(start_paused = true)]
async fn d04_waiters_are_served_first_come_first_served() {
    let house = House::new().await;
    let one = house.writer("one").await;
    let grant = lock(&one, house.deny(0)).await.unwrap().remove(0);
    let (order, mut served) = tokio::sync::mpsc::unbounded_channel();
    for name in ["a", "b", "c"] {
        let writer = house.writer(name).await;
        let (queued, order, section) = (house.queue(0), order.clone(), house.sections[0]);
        tokio::spawn(async move {
            let grant = lock(&writer, queued).await.unwrap().remove(0);
            order.send(name).unwrap();
            writer.ask(|reply| Do::Release(section, grant.token, reply)).await.unwrap();
        });
        // In line before the next one asks.
        let mut events = house.system.events();
        events
            .find(|event| match event {
                ggml_agent::EventKind::Custom(event) => {
                    (event.name() == "doc.lock_queued").then_some(())
                }
                _ => None,
            })
            .await
            .unwrap();
    }
    one.ask(|reply| Do::Release(house.sections[0], grant.token, reply)).await.unwrap();
    for name in ["a", "b", "c"] {
        assert_eq!(served.recv().await, Some(name));
    }
}

#[tokio::test(start_paused = true)]
async fn d04_a_wait_ends_at_its_time_and_a_waiter_that_left_gets_nothing() {
    let house = House::new().await;
    let (one, two) = (house.writer("one").await, house.writer("two").await);
    let grant = lock(&one, house.deny(0)).await.unwrap().remove(0);
    let until = house.system.clock().now() + Duration::from_secs(3);
    let patient = Lock { on_busy: OnBusy::Queue { until: Some(until) }, ..house.queue(0) };
    assert_eq!(lock(&two, patient).await, Err(LockDenied::WaitEnded));
    let impatient =
        two.ask_within(Duration::from_secs(1), |reply| Do::Lock(house.queue(0), reply)).await;
    assert!(impatient.is_err());
    two.kill();
    two.ended().await;
    assert!(one.ask(|reply| Do::Release(house.sections[0], grant.token, reply)).await.unwrap());
    assert!(lock(&one, house.deny(0)).await.is_ok(), "the dead waiter did not get it");
}

#[tokio::test(start_paused = true)]
async fn d05_several_sections_are_locked_all_or_none() {
    let house = House::new().await;
    let (one, two) = (house.writer("one").await, house.writer("two").await);
    lock(&one, house.deny(1)).await.unwrap();
    let both =
        Lock { sections: house.sections.iter().copied().collect::<BTreeSet<_>>(), ..house.deny(0) };
    assert!(lock(&two, both).await.is_err());
    assert!(lock(&one, house.deny(0)).await.is_ok(), "the first section was not kept by two");
}

/// As `lock`, however long it takes.
async fn wait(writer: &Addr<Writer>, lock: Lock) -> Locked {
    let long = Duration::from_secs(10_000);
    writer.ask_within(long, |reply| Do::Lock(lock, reply)).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn d03_a_lease_of_a_holder_at_work_is_renewed_and_ends_when_it_rests() {
    let house = House::new().await;
    let (one, two) = (house.writer("one").await, house.writer("two").await);
    let first = lock(&one, house.deny(0)).await.unwrap()[0];
    let (go_on, until) = tokio::sync::oneshot::channel();
    one.tell(Do::Hold(until)).unwrap();
    let until = Some(house.system.clock().now() + 3 * LEASE);
    let wish = Lock { on_busy: OnBusy::Queue { until }, ..house.queue(0) };
    let waited = wait(&two, wish).await;
    assert_eq!(waited, Err(LockDenied::WaitEnded), "its handler still runs");
    go_on.send(()).unwrap();
    let notes = one.ask(Do::Notes).await.unwrap();
    assert!(notes.is_empty(), "{notes:?}");
    let next = wait(&two, house.queue(0)).await.unwrap()[0];
    assert!(next.token > first.token && next.deadline >= 4 * LEASE, "{next:?}");
}

#[tokio::test(start_paused = true)]
async fn d03_nobody_holds_a_section_for_ever_however_busy() {
    let house = House::new().await;
    let (one, two) = (house.writer("one").await, house.writer("two").await);
    lock(&one, house.deny(0)).await.unwrap();
    let (_go_on, until) = tokio::sync::oneshot::channel();
    one.tell(Do::Hold(until)).unwrap();
    let since = house.system.clock().now();
    wait(&two, house.queue(0)).await.unwrap();
    let waited = house.system.clock().now() - since;
    assert_eq!(waited.as_secs(), ggml_agent_core::lease::Limits::DEFAULT.hold_max.as_secs());
}

#[tokio::test(start_paused = true)]
async fn d04_a_person_takes_a_lock_from_an_agent_after_its_grace() {
    let house = House::new().await;
    let one = house.writer("one").await;
    let old = lock(&one, house.deny(0)).await.unwrap()[0];
    let person = |name: &str| Client::unwatched(Holder::of(Kind::Person, id(name), 1));
    let (anna, bob) = (person("@anna"), person("@bob"));
    assert_eq!(
        house.document.preempt(&anna, house.deny(0)).await.unwrap(),
        None,
        "after the grace"
    );
    edit(&one, Edit::locked(house.sections[0], old.token, "# saved\n\n")).await.unwrap();
    let notes = one.ask(Do::Notes).await.unwrap();
    assert!(matches!(notes[..], [DocNote::LockRevoking { token, .. }] if token == old.token));
    tokio::time::advance(GRACE).await;
    let held = house.document.look(|document, now| {
        document.lease(document.snapshot().sections[0].id, now).map(|lease| lease.holder.clone())
    });
    assert_eq!(held.await.unwrap().as_ref(), Some(anna.holder()));
    let late = edit(&one, Edit::locked(house.sections[0], old.token, "# late\n\n")).await;
    assert!(matches!(late, Err(CallError::Refused(EditError::Stale(_)))), "{late:?}");
    let refused = house.document.preempt(&bob, house.deny(0)).await.unwrap_err();
    assert!(
        matches!(refused, CallError::Refused(LockError::NoPrecedence { .. })),
        "a person does not give way: {refused:?}"
    );
    assert!(house.document.force_release(bob.holder(), house.sections[0]).await.unwrap().is_some());
    assert!(lock(&one, house.deny(0)).await.is_ok(), "free again");
}
