//! Ends with a long queue (M5, M13).

use ggml_agent::{Addr, EventKind, ExitReason, Ledger, MailboxOptions, Reason, Supervisor, System};
use ggml_agent_core::limits;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::support::{Log, Msg, Probe, in_time, logged, occupy, probe, seen};

/// More than is buried in one turn, and more than is kept.
const N: u32 = 5_000;

/// Queues `n` notes behind a handler, and asks for a shutdown. What a job finds in the books that was
/// woken by the end of the life, and whether one more note was taken.
async fn end_with_mail(addr: &Addr<Probe>, n: u32) -> (Ledger, bool) {
    let gate = occupy(addr).await;
    for n in 0..n {
        addr.tell(Msg::Note(n)).unwrap();
    }
    let (exited, over) = oneshot::channel();
    assert!(addr.on_exit(move |_, _, _| exited.send(()).unwrap()));
    let mut jobs = JoinSet::new();
    let watched = addr.clone();
    jobs.spawn(async move {
        over.await.unwrap();
        (watched.ledger(), watched.tell(Msg::Note(7)).is_ok())
    });
    addr.shutdown();
    drop(gate);
    in_time(jobs.join_next()).await.unwrap().unwrap()
}

#[tokio::test]
async fn m05_whoever_the_end_has_woken_does_not_wait_for_the_dead_letters() {
    let system = System::new();
    let spec = || probe("p").mailbox(MailboxOptions::UNBOUNDED);
    let addr = system.start(spec()).await.unwrap();
    let (at_end, is_open) = end_with_mail(&addr, N).await;
    assert!(at_end.queued > 0, "{at_end:?}");
    assert!(!is_open);
    assert!(!addr.is_alive());
    // A life that is over cannot be killed, and the end goes on.
    addr.kill();
    assert_eq!(in_time(addr.ended()).await, ExitReason::Shutdown);
    let ledger = addr.ledger();
    assert_eq!((ledger.dead, ledger.queued), (u64::from(N), 0));
    assert!(ledger.is_balanced());
    assert_eq!(system.dead_letter_counts()[&Reason::Stopped], u64::from(N));
    assert_eq!(system.dead_letters().len(), limits::DEAD_LETTERS_KEPT_MAX);
    // Its id is free.
    system.start(spec()).await.unwrap();
}

#[tokio::test]
async fn m05_each_dead_letter_is_an_event_for_those_who_watch() {
    let system = System::new();
    let addr = system.start(probe("p").mailbox(MailboxOptions::UNBOUNDED)).await.unwrap();
    let mut events = system.events();
    // Less than the ring of events holds.
    const N: u32 = 1_000;
    end_with_mail(&addr, N).await;
    let mut n = 0;
    loop {
        match events.next().await.unwrap().kind {
            EventKind::DeadLetter(letter) => {
                assert_eq!(letter.reason, Reason::Stopped);
                n += 1;
            }
            EventKind::AgentExited { .. } => assert_eq!(n, N, "all of them before the exit"),
            EventKind::AgentEnded { .. } => break,
            _ => {}
        }
    }
    assert_eq!(n, N);
}

#[tokio::test]
async fn m12_what_comes_after_the_end_is_for_the_next_incarnation() {
    let system = System::new();
    let log = Log::default();
    let worker = logged("worker", &log).mailbox(MailboxOptions::UNBOUNDED);
    system.supervise(Supervisor::new("tree").child(worker)).await.unwrap();
    let addr = system.lookup::<Probe>("worker").unwrap();
    let (at_end, is_open) = end_with_mail(&addr, N).await;
    assert!(at_end.queued > 0, "{at_end:?}");
    assert!(is_open);
    assert_eq!(in_time(seen(&addr)).await, Ok(vec![7]));
    assert_eq!(addr.incarnation(), 2);
    assert_eq!(addr.ledger().dead, u64::from(N));
}
