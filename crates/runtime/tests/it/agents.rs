//! M: agents and messages.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ggml_agent::{
    AskError, ExitReason, Lane, MailboxOptions, Overflow, Reason, Reply, SendError, Supervisor,
    System, Tag,
};

use crate::support::{
    Hooks, Log, Msg, call, drained, exit_of, logged, occupy, poll_once, probe, probe_with, run,
    seen,
};

const SECOND: Duration = Duration::from_secs(1);

fn bounded(len_max: usize, overflow: Overflow) -> MailboxOptions {
    MailboxOptions { len_max, overflow }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m01_an_agent_handles_one_message_at_a_time() {
    let system = System::new();
    let addr = system.start(probe("p").mailbox(MailboxOptions::UNBOUNDED)).await.unwrap();
    let inside = Arc::new(AtomicUsize::new(0));
    let senders: Vec<_> = (0..4)
        .map(|_| {
            let (addr, inside) = (addr.clone(), inside.clone());
            std::thread::spawn(move || {
                for _ in 0..500 {
                    let inside = inside.clone();
                    let work = run(move |probe, ctx| {
                        Box::pin(async move {
                            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two at a time");
                            // Others have their turn, the agent's next message has not.
                            ctx.yield_now().await;
                            inside.fetch_sub(1, Ordering::SeqCst);
                            probe.seen.push(1);
                            Ok(())
                        })
                    });
                    addr.tell(work).unwrap();
                }
            })
        })
        .collect();
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    assert_eq!(seen(&addr).await.unwrap().len(), 2_000);
    assert_eq!(addr.incarnation(), 1);
}

#[tokio::test(start_paused = true)]
async fn m02_messages_of_one_sender_arrive_in_the_order_sent() {
    let system = System::new();
    let addr = system.start(probe("p")).await.unwrap();
    for n in 0..500 {
        addr.tell(Msg::Note(n)).unwrap();
    }
    assert_eq!(seen(&addr).await.unwrap(), (0..500).collect::<Vec<_>>());
    assert!(addr.ledger().is_balanced(), "{:?}", addr.ledger());
}

#[tokio::test(start_paused = true)]
async fn m02_the_order_holds_across_a_restart_and_between_tell_and_send() {
    let system = System::new();
    let log = Log::default();
    let options = bounded(8, Overflow::Wait(SECOND));
    let tree = Supervisor::new("tree").child(logged("p", &log).mailbox(options));
    let tree = system.supervise(tree).await.unwrap();
    let addr = system.lookup("p").unwrap();
    for n in 0..60 {
        addr.send(Msg::Note(n)).await.unwrap();
        if n == 30 {
            addr.send(Msg::Panic).await.unwrap();
        }
    }
    assert_eq!(seen(&addr).await.unwrap(), (31..60).collect::<Vec<_>>());
    let expected: Vec<_> = (0..60).map(|n| n.to_string()).collect();
    assert_eq!(*log.lines(), expected);
    tree.stop().await;
}

#[tokio::test(start_paused = true)]
async fn m03_priority_goes_first_and_neither_lane_starves() {
    let system = System::new();
    let addr = system.start(probe("p")).await.unwrap();
    let gate = occupy(&addr).await;
    for n in 0..100 {
        addr.tell(Msg::Note(n)).unwrap();
        addr.tell_on(Lane::Priority, Msg::Note(1_000 + n)).unwrap();
    }
    drop(gate);
    let order = seen(&addr).await.unwrap();
    let is_urgent = |n: &u32| *n >= 1_000;
    assert!(order[..16].iter().all(is_urgent), "priority first: {order:?}");
    assert!(order.chunks(17).take(5).all(|chunk| !is_urgent(&chunk[16])), "1 in 17: {order:?}");
    let lane = |urgent| order.iter().copied().filter(move |n| is_urgent(n) == urgent);
    assert!(lane(true).eq(1_000..1_100) && lane(false).eq(0..100), "in order: {order:?}");
}

#[tokio::test(start_paused = true)]
async fn m03_the_system_lane_passes_100_000_queued_messages() {
    let system = System::new();
    let log = Log::default();
    let spec = |id| logged(id, &log).mailbox(MailboxOptions::UNBOUNDED);
    for end in ["shutdown", "kill"] {
        let addr = system.start(spec(end)).await.unwrap();
        let gate = occupy(&addr).await;
        // The request comes from within the first of the messages, in the middle of a turn.
        addr.tell(call(move |_, ctx| match end {
            "kill" => ctx.addr().kill(),
            _ => ctx.addr().shutdown(),
        }))
        .unwrap();
        for n in 0..100_000 {
            addr.tell(Msg::Note(n)).unwrap();
        }
        drop(gate);
        addr.ended().await;
        assert!(!log.has("0"), "{end} did not wait behind mail");
        let ledger = addr.ledger();
        assert_eq!((ledger.handled, ledger.dead, ledger.queued), (2, 100_000, 0), "{end}");
    }
}

#[tokio::test(start_paused = true)]
async fn m04_a_mailbox_is_bounded_by_default_at_1024() {
    let system = System::new();
    let addr = system.start(probe("p")).await.unwrap();
    let _gate = occupy(&addr).await;
    for n in 0..1_024 {
        addr.tell(Msg::Note(n)).unwrap();
    }
    let refused = addr.tell(Msg::Note(7));
    assert!(matches!(refused, Err(SendError::Full(Msg::Note(7)))), "{refused:?}");
    assert!(refused.unwrap_err().is_retryable());
    assert_eq!(addr.queued(), 1_024);
}

#[tokio::test(start_paused = true)]
async fn m04_wait_lets_senders_in_first_come_first_served_until_their_deadline() {
    let system = System::new();
    let options = bounded(1, Overflow::Wait(SECOND));
    let addr = system.start(probe("p").mailbox(options)).await.unwrap();
    let gate = occupy(&addr).await;
    addr.tell(Msg::Note(0)).unwrap();
    let mut waiting: Vec<_> = (1..=3).map(|n| Box::pin(addr.send(Msg::Note(n)))).collect();
    for sender in &mut waiting {
        assert!(poll_once(sender).await.is_none(), "no room");
    }
    let cancelled = waiting.remove(1);
    drop(cancelled);
    drop(gate);
    for sender in waiting {
        sender.await.unwrap();
    }
    assert_eq!(seen(&addr).await.unwrap(), [0, 1, 3]);

    let _gate = occupy(&addr).await;
    addr.tell(Msg::Note(4)).unwrap();
    let begun = tokio::time::Instant::now();
    let refused = addr.send(Msg::Note(5)).await;
    assert!(matches!(refused, Err(SendError::Full(Msg::Note(5)))), "{refused:?}");
    assert_eq!(begun.elapsed().as_secs(), 1, "the policy's deadline");
    assert_eq!(addr.ask(Msg::Seen).await, Err(AskError::Full));
}

#[tokio::test(start_paused = true)]
async fn m04_a_newcomer_does_not_pass_those_who_wait() {
    let system = System::new();
    let options = bounded(2, Overflow::Wait(SECOND));
    let addr = system.start(probe("p").mailbox(options)).await.unwrap();
    let gate = occupy(&addr).await;
    addr.tell(Msg::Note(0)).unwrap();
    addr.tell(Msg::Note(1)).unwrap();
    let mut first = Box::pin(addr.send(Msg::Note(2)));
    assert!(poll_once(&mut first).await.is_none());
    let mut second = Box::pin(addr.send(Msg::Note(3)));
    assert!(poll_once(&mut second).await.is_none());
    assert!(matches!(addr.tell(Msg::Note(9)), Err(SendError::Full(_))), "others wait");
    drop(gate);
    // Nobody polls the senders while the agent empties its mailbox: they were served in their order.
    drained(&addr).await;
    addr.tell(Msg::Note(4)).unwrap();
    first.await.unwrap();
    second.await.unwrap();
    assert_eq!(seen(&addr).await.unwrap(), [0, 1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn m04_each_policy_counts_what_it_drops_and_gives_back_what_it_refuses() {
    // policy, handled, reason of the dead letter
    let cases = [
        (Overflow::Wait(SECOND), vec![0, 1], None),
        (Overflow::Reject, vec![0, 1], None),
        (Overflow::DropNewest, vec![0, 1], Some(Reason::DroppedNewest)),
        (Overflow::DropOldest, vec![1, 2], Some(Reason::DroppedOldest)),
    ];
    for (overflow, handled, dropped) in cases {
        let system = System::new();
        let addr = system.start(probe("p").mailbox(bounded(2, overflow))).await.unwrap();
        let gate = occupy(&addr).await;
        addr.tell(Msg::Note(0)).unwrap();
        addr.tell(Msg::Note(1)).unwrap();
        let last = addr.tell(Msg::Note(2));
        match dropped {
            None => assert!(matches!(last, Err(SendError::Full(Msg::Note(2)))), "{overflow:?}"),
            Some(reason) => {
                assert!(last.is_ok(), "{overflow:?}");
                assert_eq!(system.dead_letter_counts()[&reason], 1);
                assert_eq!(system.dead_letters()[0].to.as_str(), "p");
            }
        }
        let ledger = addr.ledger();
        assert_eq!(ledger.dead, u64::from(dropped.is_some()), "{overflow:?}");
        assert!(ledger.is_balanced(), "{overflow:?}: {ledger:?}");
        drop(gate);
        drained(&addr).await;
        assert_eq!(seen(&addr).await.unwrap(), handled, "{overflow:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn m04_a_send_by_name_keeps_the_same_books() {
    for overflow in [Overflow::DropNewest, Overflow::DropOldest] {
        let system = System::new();
        let addr = system.start(probe("p").mailbox(bounded(1, overflow))).await.unwrap();
        let gate = occupy(&addr).await;
        for n in 0..3 {
            system.tell(addr.id(), Msg::Note(n)).unwrap();
        }
        let ledger = addr.ledger();
        assert_eq!((ledger.accepted, ledger.dead), (4, 2), "{overflow:?}: {ledger:?}");
        assert!(ledger.is_balanced(), "{overflow:?}: {ledger:?}");
        let reason = match overflow {
            Overflow::DropNewest => Reason::DroppedNewest,
            _ => Reason::DroppedOldest,
        };
        assert_eq!(system.dead_letter_counts()[&reason], 2);
        drop(gate);
        drained(&addr).await;
        assert_eq!(seen(&addr).await.unwrap().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn m05_a_refused_message_comes_back_with_the_reason() {
    let system = System::new();
    let addr = system.start(probe("p")).await.unwrap();
    let nobody = "nobody".parse().unwrap();
    assert!(matches!(system.tell(&nobody, 7_u32), Err(SendError::Unknown(7))));
    assert!(matches!(system.tell(addr.id(), 7_u64), Err(SendError::WrongType(7))));
    addr.stop();
    assert!(matches!(addr.tell(Msg::Note(1)), Err(SendError::Closed(Msg::Note(1)))));
    assert_eq!(addr.ended().await, ExitReason::Normal);
    assert!(matches!(addr.tell(Msg::Note(2)), Err(SendError::Closed(Msg::Note(2)))));
    assert!(matches!(addr.send(Msg::Note(3)).await, Err(SendError::Closed(Msg::Note(3)))));
    assert!(matches!(system.tell(addr.id(), Msg::Note(4)), Err(SendError::Unknown(Msg::Note(4)))));
    assert_eq!(addr.ledger().accepted, 0, "what was refused is not in the books");
}

#[tokio::test(start_paused = true)]
async fn m05_what_was_accepted_and_not_handled_is_a_dead_letter_with_the_reason() {
    let system = System::new();
    // how it ends, reason of the letters
    let cases = [("shutdown", Reason::Stopped), ("kill", Reason::Ended), ("fail", Reason::Ended)];
    for (end, reason) in cases {
        let before = system.dead_letter_counts().get(&reason).copied().unwrap_or(0);
        let addr = system.start(probe(end)).await.unwrap();
        let gate = occupy(&addr).await;
        if end == "fail" {
            addr.tell(Msg::Fail).unwrap();
        }
        for n in 0..5 {
            addr.tell(Msg::Note(n)).unwrap();
        }
        match end {
            "shutdown" => addr.shutdown(),
            "kill" => addr.kill(),
            _ => {}
        }
        drop(gate);
        addr.ended().await;
        assert_eq!(system.dead_letter_counts()[&reason] - before, 5, "{end}");
        assert_eq!(addr.ledger().dead, 5, "{end}");
        assert!(addr.ledger().is_balanced(), "{end}");
        let letters = system.dead_letters();
        let last = letters.last().unwrap();
        assert_eq!((last.to.as_str(), last.reason), (end, reason));
        assert!(last.type_name.ends_with("Msg"), "{}", last.type_name);
    }
}

#[tokio::test(start_paused = true)]
async fn m06_an_ask_ends_at_its_deadline() {
    let system = System::new();
    let addr = system.start(probe("p")).await.unwrap();
    let begun = tokio::time::Instant::now();
    let _gate = occupy(&addr).await;
    assert_eq!(seen(&addr).await, Err(AskError::Deadline(5 * SECOND)));
    assert_eq!(begun.elapsed().as_secs(), 5);
    assert_eq!(addr.ask_within(2 * SECOND, Msg::Seen).await, Err(AskError::Deadline(2 * SECOND)));
    assert_eq!(begun.elapsed().as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn m06_a_dead_target_answers_at_once() {
    let system = System::new();
    let addr = system.start(probe("p")).await.unwrap();
    let gate = occupy(&addr).await;
    let begun = tokio::time::Instant::now();
    let (first, second) = tokio::join!(seen(&addr), async {
        tokio::task::yield_now().await;
        addr.kill();
        addr.ended().await;
        seen(&addr).await
    });
    assert_eq!((first, second), (Err(AskError::Ended), Err(AskError::Ended)));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    drop(gate);
}

#[tokio::test(start_paused = true)]
async fn m06_a_late_reply_reaches_nobody_and_a_left_question_is_skipped() {
    let system = System::new();
    let addr = system.start(probe("p")).await.unwrap();
    let (kept, reply) = tokio::sync::oneshot::channel::<Reply<u32>>();
    let keep = |reply| call(move |_, _| drop(kept.send(reply)));
    assert_eq!(addr.ask_within(SECOND, keep).await, Err(AskError::Deadline(SECOND)));
    let reply = reply.await.unwrap();
    assert!(reply.is_abandoned());
    reply.send(7);

    let gate = occupy(&addr).await;
    let asked = Arc::new(AtomicUsize::new(0));
    for _ in 0..3 {
        let asked = asked.clone();
        let question = move |reply: Reply<()>| {
            call(move |_, _| {
                asked.fetch_add(1, Ordering::SeqCst);
                reply.send(());
            })
        };
        assert!(poll_once(&mut Box::pin(addr.ask(question))).await.is_none());
    }
    drop(gate);
    assert_eq!(seen(&addr).await.unwrap(), [0; 0]);
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    assert_eq!(system.dead_letter_counts()[&Reason::AskerLeft], 3);
    assert!(addr.ledger().is_balanced());
}

#[tokio::test(start_paused = true)]
async fn m06_each_way_to_give_no_answer_has_its_error() {
    let system = System::new();
    let options = bounded(1, Overflow::DropOldest);
    let addr = system.start(probe("p").mailbox(options)).await.unwrap();
    let forget = |reply: Reply<()>| call(move |_, _| drop(reply));
    assert_eq!(addr.ask(forget).await, Err(AskError::NoReply));
    let panic = |reply: Reply<()>| {
        call(move |_, _| {
            let _reply = reply;
            panic!("asked to panic")
        })
    };
    let gate = occupy(&addr).await;
    let (dropped, ()) = tokio::join!(seen(&addr), async {
        tokio::task::yield_now().await;
        addr.tell(Msg::Note(1)).unwrap();
        drop(gate);
    });
    assert_eq!(dropped, Err(AskError::Dropped));
    assert_eq!(addr.ask(panic).await, Err(AskError::Ended), "nobody restarts it");
}

#[tokio::test(start_paused = true)]
async fn m06_a_question_may_be_answered_later_and_by_another() {
    let system = System::new();
    let front = system.start(probe("front")).await.unwrap();
    let back = system.start(probe("back")).await.unwrap();
    back.tell(Msg::Note(5)).unwrap();
    let forward = |reply| call(move |_, _| back.tell(Msg::Seen(reply)).unwrap());
    assert_eq!(front.ask(forward).await.unwrap(), [5]);
}

#[tokio::test(start_paused = true)]
async fn m07_delivery_is_at_most_once() {
    let system = System::new();
    let log = Log::default();
    let tree = Supervisor::new("tree").intensity(50, SECOND).child(logged("p", &log));
    let tree = system.supervise(tree).await.unwrap();
    let addr = system.lookup::<crate::support::Probe>("p").unwrap();
    for n in 0..40 {
        let note_and_die = run(move |probe, _| {
            Box::pin(async move {
                probe.log.note(n.to_string());
                assert!(n % 2 == 0, "asked to panic");
                Ok(())
            })
        });
        addr.tell(note_and_die).unwrap();
    }
    seen(&addr).await.unwrap();
    let expected: Vec<_> = (0..40).map(|n| n.to_string()).collect();
    let lines = log.lines().clone();
    assert_eq!(lines, expected, "none twice, also those whose handler died");
    assert_eq!(addr.incarnation(), 21);
    tree.stop().await;
}

#[tokio::test(start_paused = true)]
async fn m10_stop_handles_what_is_queued() {
    let system = System::new();
    let log = Log::default();
    let addr = system.start(logged("p", &log)).await.unwrap();
    let gate = occupy(&addr).await;
    (0..3).for_each(|n| addr.tell(Msg::Note(n)).unwrap());
    addr.stop();
    assert!(matches!(addr.tell(Msg::Note(3)), Err(SendError::Closed(_))));
    drop(gate);
    assert_eq!(addr.ended().await, ExitReason::Normal);
    assert_eq!(log.text(), "0 1 2 stopped:normal");
    assert_eq!(addr.ledger().dead, 0);
}

#[tokio::test(start_paused = true)]
async fn m10_shutdown_finishes_the_current_message_only() {
    let system = System::new();
    let log = Log::default();
    let addr = system.start(logged("p", &log)).await.unwrap();
    let (go, may_go) = tokio::sync::oneshot::channel::<()>();
    let (entered, inside) = tokio::sync::oneshot::channel();
    let current = run(|probe, ctx| {
        Box::pin(async move {
            entered.send(()).unwrap();
            drop(may_go.await);
            assert!(ctx.is_stopping(), "a long handler can see it");
            probe.log.note("current");
            Ok(())
        })
    });
    addr.tell(current).unwrap();
    inside.await.unwrap();
    (0..3).for_each(|n| addr.tell(Msg::Note(n)).unwrap());
    addr.shutdown();
    drop(go);
    assert_eq!(addr.ended().await, ExitReason::Shutdown);
    assert_eq!(log.text(), "current stopped:shutdown");
    assert_eq!(system.dead_letter_counts()[&Reason::Stopped], 3);
}

#[tokio::test(start_paused = true)]
async fn m10_kill_drops_the_handler_at_its_await_point() {
    let system = System::new();
    let log = Log::default();
    let hooks = Hooks::default().on_drop(|log| log.note("dropped"));
    let addr = system.start(probe_with("p", &log, hooks)).await.unwrap();
    let _gate = occupy(&addr).await;
    addr.kill();
    assert_eq!(addr.ended().await, ExitReason::Killed);
    assert_eq!(log.text(), "dropped", "no on_stop after a kill");
}

#[tokio::test(start_paused = true)]
async fn m10_an_agent_ends_itself_by_its_own_decision() {
    let system = System::new();
    let log = Log::default();
    let addr = system.start(logged("p", &log)).await.unwrap();
    let gate = occupy(&addr).await;
    addr.tell(call(|_, ctx| ctx.stop())).unwrap();
    addr.tell(Msg::Note(1)).unwrap();
    drop(gate);
    assert_eq!(addr.ended().await, ExitReason::Normal);
    assert_eq!(log.text(), "stopped:normal");
    assert_eq!(addr.ledger().dead, 1);
    let addr = system.start(probe("q")).await.unwrap();
    addr.tell(call(|_, ctx| ctx.stop_with(ggml_agent::Report::msg("done")))).unwrap();
    assert_eq!(addr.ended().await.to_string(), "shutdown: done");
}

#[tokio::test(start_paused = true)]
async fn m11_a_failure_ends_the_incarnation_and_nothing_else() {
    let system = System::new();
    let sibling = system.start(probe("sibling")).await.unwrap();
    let mut events = system.events();
    for (id, msg) in [("err", Msg::Fail), ("panic", Msg::Panic)] {
        let addr = system.start(probe(id)).await.unwrap();
        addr.tell(msg).unwrap();
        let reason = addr.ended().await;
        assert!(reason.is_abnormal());
        assert_eq!(exit_of(&mut events, id).await, reason);
        assert_eq!(
            reason.to_string(),
            if id == "err" { "error: asked to fail" } else { "panic: asked to panic" }
        );
    }
    sibling.tell(Msg::Note(1)).unwrap();
    assert_eq!(seen(&sibling).await.unwrap(), [1]);
    assert_eq!(sibling.incarnation(), 1);
}

#[tokio::test(start_paused = true)]
async fn m12_address_and_queued_messages_survive_a_restart() {
    let system = System::new();
    let tree = system.supervise(Supervisor::new("tree").child(probe("p"))).await.unwrap();
    let addr = system.lookup::<crate::support::Probe>("p").unwrap();
    addr.tell(Msg::Note(1)).unwrap();
    addr.tell(Msg::Panic).unwrap();
    addr.tell(Msg::Note(2)).unwrap();
    addr.tell(Msg::Fail).unwrap();
    addr.tell(Msg::Note(3)).unwrap();
    assert_eq!(seen(&addr).await.unwrap(), [3]);
    assert_eq!(addr.incarnation(), 3);
    let _gate = occupy(&addr).await;
    addr.kill();
    assert_eq!(seen(&addr).await.unwrap(), [0; 0]);
    addr.tell(Msg::Fail).unwrap();
    assert_eq!(seen(&addr).await, Err(AskError::Ended), "the fourth failure: it gave up");
    tree.ended().await;
    assert!(system.lookup_any("p").is_none());
    assert!(system.lookup_any("tree").is_none());
    system.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn m12_asks_in_the_failed_handler_answer_restarting() {
    let system = System::new();
    let tree = Supervisor::new("tree").intensity(10, SECOND).child(probe("p"));
    let tree = system.supervise(tree).await.unwrap();
    let addr = system.lookup::<crate::support::Probe>("p").unwrap();
    for end in ["panic", "error", "kill"] {
        let fail = |reply: Reply<()>| {
            run(move |_, ctx| {
                Box::pin(async move {
                    let _reply = reply;
                    match end {
                        "panic" => panic!("asked to panic"),
                        "error" => Err(ggml_agent::Report::msg("asked to fail")),
                        _ => {
                            ctx.addr().kill();
                            std::future::pending().await
                        }
                    }
                })
            })
        };
        let answer = addr.ask(fail).await;
        assert_eq!(answer, Err(AskError::Restarting), "{end}");
        assert!(answer.unwrap_err().is_retryable());
        assert_eq!(seen(&addr).await.unwrap(), [0; 0], "{end}: asking again works");
    }
    tree.stop().await;
}

#[tokio::test(start_paused = true)]
async fn m13_what_an_incarnation_held_is_released_before_the_next_one_starts() {
    let system = System::new();
    let log = Log::default();
    let tag: Tag = Tag::group("writers").unwrap();
    let watched = (system.clone(), tag.clone());
    let hooks = Hooks::default()
        .on_start(move |ctx, log| {
            let members = watched.0.members(&watched.1).len();
            log.note(format!("start{}:members={members}", ctx.incarnation()));
            Ok(())
        })
        .on_drop(|log| log.note("dropped"));
    let tree = Supervisor::new("tree").child(probe_with("p", &log, hooks));
    let tree = system.supervise(tree).await.unwrap();
    let addr = system.lookup::<crate::support::Probe>("p").unwrap();
    let held = Arc::new(());
    let (job_holds, joined) = (held.clone(), tag.clone());
    addr.tell(call(move |_, ctx| {
        ctx.join(&joined).unwrap();
        ctx.send_after(SECOND, Msg::Note(1));
        ctx.send_every(SECOND, || Msg::Note(2));
        ctx.spawn(async move {
            let _held = job_holds;
            std::future::pending().await
        });
    }))
    .unwrap();
    seen(&addr).await.unwrap();
    assert_eq!(system.members(&tag).len(), 1);
    let exit_log = log.clone();
    assert!(addr.on_exit(move |_, incarnation, reason| {
        exit_log.note(format!("exit{incarnation}:{reason}"));
    }));
    addr.tell(Msg::Panic).unwrap();
    seen(&addr).await.unwrap();
    assert_eq!(log.text(), "start1:members=0 dropped exit1:panic: asked to panic start2:members=0");
    tokio::time::advance(10 * SECOND).await;
    assert_eq!(seen(&addr).await.unwrap(), [0; 0], "the timers died with their incarnation");
    assert_eq!(Arc::strong_count(&held), 1, "and so did the job");
    tree.stop().await;
}
