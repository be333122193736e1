//! M5, M10 to M13 when things go wrong: kills, panics, blocked threads.

use std::sync::mpsc;
use std::time::Duration;

use ggml_agent::{
    Addr, AskError, Backoff, ChildSpec, Context, EventKind, ExitReason, MailboxOptions,
    MessageType, Options, Overflow, Placement, Reason, Reply, Report, SendError, StartError,
    Supervisor, System,
};

use crate::support::{
    Hooks, Log, Msg, Probe, call, drained, exit_of, in_time, logged, occupy, probe, probe_with,
    run, seen,
};

const SECOND: Duration = Duration::from_secs(1);

async fn supervised(system: &System, spec: ChildSpec<Probe>) -> Addr<Probe> {
    let tree = Supervisor::new("tree").intensity(20, SECOND).child(spec);
    system.supervise(tree).await.unwrap();
    system.lookup("p").expect("the probes under test are all called p")
}

#[tokio::test(start_paused = true)]
async fn m10_a_kill_in_the_middle_of_a_handler_keeps_the_rest_of_the_mail() {
    let system = System::new();
    let log = Log::default();
    let addr = supervised(&system, logged("p", &log)).await;
    let mut events = system.events();
    let _gate = occupy(&addr).await;
    (0..3).for_each(|n| addr.tell(Msg::Note(n)).unwrap());
    addr.kill();
    assert_eq!(exit_of(&mut events, "p").await, ExitReason::Killed);
    assert_eq!(seen(&addr).await.unwrap(), [0, 1, 2]);
    assert_eq!(addr.incarnation(), 2);
    assert_eq!(log.text(), "0 1 2", "no on_stop after a kill");
}

#[tokio::test(start_paused = true)]
async fn m11_a_panic_in_on_start_fails_the_start() {
    let system = System::new();
    let log = Log::default();
    let hooks = Hooks::default().on_start(|_, _| panic!("no start"));
    let error = system.start(probe_with("p", &log, hooks.clone())).await.unwrap_err();
    let StartError::Failed { id, reason } = &error else { panic!("{error:?}") };
    assert_eq!(id.as_str(), "p");
    assert!(reason.to_string().contains("no start"), "{reason}");
    assert!(system.lookup_any("p").is_none(), "its id is free");

    let error_hooks = Hooks::default().on_start(|_, _| Err(Report::msg("not today")));
    let error = system.start(probe_with("p", &log, error_hooks)).await.unwrap_err();
    assert_eq!(error.to_string(), "p did not start: start failed: not today");
    let tree = Supervisor::new("tree").child(probe_with("p", &log, hooks));
    assert!(matches!(system.supervise(tree).await, Err(StartError::Failed { .. })));
    system.start(probe("p")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn m11_a_panic_in_on_start_of_a_restart_is_tried_again() {
    let system = System::new();
    let hooks = Hooks::default().on_start(|ctx, log| {
        log.note(format!("start{}", ctx.incarnation()));
        assert!(ctx.incarnation() != 2, "no start");
        Ok(())
    });
    let log = Log::default();
    let addr = supervised(&system, probe_with("p", &log, hooks)).await;
    addr.tell(Msg::Panic).unwrap();
    addr.tell(Msg::Note(1)).unwrap();
    assert_eq!(seen(&addr).await.unwrap(), [1], "the mail waited through the failed start");
    assert_eq!(log.text(), "start1 start2 start3 1");
}

#[tokio::test(start_paused = true)]
async fn m11_a_panic_in_on_stop_is_the_reason_of_the_exit() {
    let system = System::new();
    let log = Log::default();
    let hooks = Hooks::default().on_stop(|_, _| panic!("no stop"));
    let addr = system.start(probe_with("p", &log, hooks)).await.unwrap();
    addr.stop();
    assert_eq!(addr.ended().await.to_string(), "panic: no stop");
    assert!(system.lookup_any("p").is_none());
}

#[tokio::test(start_paused = true)]
async fn m11_a_panic_in_the_factory_is_a_failed_start() {
    let system = System::new();
    let mut n_made = 0;
    let mut made = probe_factory();
    let spec = ChildSpec::new("p", move || {
        n_made += 1;
        assert!(n_made != 2 && n_made != 3, "no value");
        made()
    });
    let addr = supervised(&system, spec).await;
    addr.tell(Msg::Panic).unwrap();
    addr.tell(Msg::Note(1)).unwrap();
    assert_eq!(seen(&addr).await.unwrap(), [1]);
    assert_eq!(addr.incarnation(), 4);
    let broken = ChildSpec::<Probe>::new("q", || panic!("no value"));
    let error = system.start(broken).await.unwrap_err();
    assert_eq!(error.to_string(), "q did not start: start failed: no value");
}

fn probe_factory() -> impl FnMut() -> Probe + Send + 'static {
    let log = Log::default();
    move || Probe::bare(&log)
}

#[tokio::test(start_paused = true)]
async fn m11_a_panic_in_drop_ends_nothing_but_its_incarnation() {
    let system = System::new();
    let log = Log::default();
    let hooks = Hooks::default().on_drop(|log| {
        log.note("dropped");
        panic!("no drop");
    });
    // The last one panics twice: in its handler, and when its value is dropped.
    for (n, end) in ["stop", "kill", "fail", "panic"].into_iter().enumerate() {
        let addr = system.start(probe_with("p", &log, hooks.clone())).await.unwrap();
        match end {
            "stop" => addr.stop(),
            "kill" => addr.kill(),
            "fail" => addr.tell(Msg::Fail).unwrap(),
            _ => addr.tell(Msg::Panic).unwrap(),
        }
        addr.ended().await;
        assert_eq!(log.lines().iter().filter(|line| *line == "dropped").count(), n + 1, "{end}");
        assert!(system.lookup_any("p").is_none(), "{end}");
    }
}

#[tokio::test(start_paused = true)]
async fn m05_a_full_mailbox_an_unknown_id_and_a_dropped_reply_have_typed_errors() {
    let system = System::new();
    let options = MailboxOptions { len_max: 1, overflow: Overflow::Reject };
    let addr = system.start(probe("p").mailbox(options)).await.unwrap();
    let gate = occupy(&addr).await;
    addr.tell(Msg::Note(1)).unwrap();
    assert!(matches!(addr.tell(Msg::Note(2)), Err(SendError::Full(Msg::Note(2)))));
    assert!(matches!(addr.send(Msg::Note(2)).await, Err(SendError::Full(Msg::Note(2)))));
    assert_eq!(seen(&addr).await, Err(AskError::Full));
    drop(gate);
    let unknown = system.envelope("nobody".parse().unwrap(), MessageType::Task, "x");
    assert!(matches!(system.route(unknown), Err(SendError::Unknown(_))));
    drained(&addr).await;
    let forget = |reply: Reply<()>| call(move |_, _| drop(reply));
    assert_eq!(addr.ask(forget).await, Err(AskError::NoReply));
}

#[tokio::test(start_paused = true)]
async fn m06_an_ask_to_a_dying_agent_ends_at_once() {
    let begun = tokio::time::Instant::now();
    // how it dies, and what the question that waits in its mailbox learns
    for end in ["shutdown", "kill", "panic"] {
        let system = System::new();
        let addr = system.start(probe("p")).await.unwrap();
        let gate = occupy(&addr).await;
        if end == "panic" {
            addr.tell(Msg::Panic).unwrap();
        }
        let (queued, ()) = tokio::join!(seen(&addr), async {
            tokio::task::yield_now().await;
            assert!(addr.queued() > 0);
            match end {
                "shutdown" => addr.shutdown(),
                "kill" => addr.kill(),
                _ => {}
            }
            drop(gate);
        });
        assert_eq!(queued, Err(AskError::Ended), "{end}");
        assert_eq!(seen(&addr).await, Err(AskError::Ended), "{end}");
    }
    assert_eq!(begun.elapsed(), Duration::ZERO, "not at the deadline");
}

#[tokio::test(start_paused = true)]
async fn m06_an_ask_within_on_stop_is_answered_or_refused_but_never_hangs() {
    let system = System::new();
    let hooks = Hooks::default().on_stop(|ctx, log| {
        let refused = ctx.addr().tell(Msg::Note(1));
        log.note(format!("{refused:?}"));
        Ok(())
    });
    let log = Log::default();
    let addr = system.start(probe_with("p", &log, hooks)).await.unwrap();
    addr.stop();
    addr.ended().await;
    assert_eq!(log.text(), "stopped:normal Err(Closed(..))");
}

/// A handler that holds its thread until the returned sender speaks or goes, then tries to send.
struct Blocked {
    entered: tokio::sync::oneshot::Receiver<()>,
    go: mpsc::Sender<()>,
    /// What became of its sends.
    sent: tokio::sync::oneshot::Receiver<[String; 4]>,
}

fn block(addr: &Addr<Probe>, target: &Addr<Probe>) -> Blocked {
    let (entering, entered) = tokio::sync::oneshot::channel();
    let (go, may_go) = mpsc::channel::<()>();
    let (sending, sent) = tokio::sync::oneshot::channel();
    let target = target.clone();
    addr.tell(run(move |_, ctx| {
        Box::pin(async move {
            entering.send(()).unwrap();
            may_go.recv().unwrap_err();
            let told = format!("{:?}", target.tell(Msg::Note(666)));
            let asked = format!("{:?}", seen(&target).await);
            let by_id = format!("{:?}", ctx.system().tell(target.id(), Msg::Note(667)));
            let own = format!("{:?}", ctx.addr().tell(Msg::Note(668)));
            drop(sending.send([told, asked, by_id, own]));
            Ok(())
        })
    }))
    .unwrap();
    Blocked { entered, go, sent }
}

fn quick_fence() -> System {
    System::with(Options {
        fence_after: Duration::from_millis(20),
        watch_interval: Duration::from_millis(10),
        ..Options::default()
    })
}

/// Kills an agent whose handler holds its thread; the supervisor replaces it.
async fn fence_and_replace(placement: Placement) {
    let system = quick_fence();
    let log = Log::default();
    let target = system.start(probe("target")).await.unwrap();
    let hooks = Hooks::default().on_start(|ctx: &mut Context<Probe>, _| {
        if ctx.incarnation() == 1 {
            // Far quicker than the test: M13 for one that does not even come back.
            ctx.send_every(Duration::from_millis(1), || call(|probe, _| probe.log.note("tick")));
        }
        Ok(())
    });
    let addr = supervised(&system, probe_with("p", &log, hooks).placement(placement)).await;
    let mut events = system.events();
    let blocked = block(&addr, &target);
    blocked.entered.await.unwrap();
    addr.tell(Msg::Note(1)).unwrap();
    addr.kill();
    assert_eq!(exit_of(&mut events, "p").await, ExitReason::Killed);
    assert!(seen(&addr).await.unwrap().contains(&1), "the next incarnation has the mail");
    assert_eq!(addr.incarnation(), 2);
    let ticks = |log: &Log| log.lines().iter().filter(|line| *line == "tick").count();
    let before = ticks(&log);
    for _ in 0..20 {
        tokio::time::timeout(Duration::from_millis(1), std::future::pending::<()>())
            .await
            .unwrap_err();
        seen(&addr).await.unwrap();
    }
    assert_eq!(ticks(&log), before, "its timers ended with it");

    drop(blocked.go);
    let sent = blocked.sent.await.unwrap();
    assert_eq!(sent[0], "Err(Fenced(..))");
    assert_eq!(sent[1], "Err(Fenced)");
    assert_eq!(sent[2..], ["Err(Fenced(..))", "Err(Fenced(..))"]);
    assert_eq!(seen(&target).await.unwrap(), [0; 0]);
    assert_eq!(seen(&addr).await.unwrap(), [1], "the second one goes on");
    assert!(!log.text().contains("stopped"), "no on_stop after a fence: {}", log.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m10_a_handler_that_blocks_the_pool_is_fenced_and_replaced() {
    in_time(fence_and_replace(Placement::Shared)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m10_a_handler_that_blocks_its_own_thread_is_fenced_and_replaced() {
    in_time(fence_and_replace(Placement::Thread)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m10_a_handler_blocked_for_ever_is_reported_and_its_siblings_go_on() {
    let system = quick_fence();
    let mut events = system.events();
    let stuck = system.start(probe("stuck")).await.unwrap();
    let sibling = system.start(probe("sibling")).await.unwrap();
    let blocked = block(&stuck, &sibling);
    in_time(blocked.entered).await.unwrap();
    let reported = events.find(|kind| match kind {
        EventKind::AgentBlocks { agent } => Some(agent.to_string()),
        _ => None,
    });
    assert_eq!(in_time(reported).await.unwrap(), "stuck");
    for n in 0..200 {
        sibling.tell(Msg::Note(n)).unwrap();
        assert_eq!(in_time(seen(&sibling)).await.unwrap().len(), n as usize + 1);
    }
    stuck.kill();
    assert_eq!(in_time(stuck.ended()).await, ExitReason::Killed);
    assert_eq!(system.dead_letter_counts().get(&Reason::Ended), None);
    drop(blocked.go);
    assert_eq!(in_time(blocked.sent).await.unwrap()[0], "Err(Fenced(..))");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m10_an_agent_fenced_twice_over_has_one_successor() {
    let system = quick_fence();
    let target = system.start(probe("target")).await.unwrap();
    let addr = supervised(&system, probe("p").placement(Placement::Thread)).await;
    let mut events = system.events();
    let mut lost = Vec::new();
    for _ in 0..3 {
        let Blocked { entered, go, sent } = block(&addr, &target);
        in_time(entered).await.unwrap();
        addr.kill();
        assert_eq!(in_time(exit_of(&mut events, "p")).await, ExitReason::Killed);
        lost.push((go, sent));
    }
    for (go, sent) in lost {
        drop(go);
        assert_eq!(in_time(sent).await.unwrap()[0], "Err(Fenced(..))");
        addr.tell(Msg::Note(1)).unwrap();
        in_time(seen(&addr)).await.unwrap();
    }
    assert_eq!(in_time(seen(&addr)).await.unwrap(), [1, 1, 1]);
    assert_eq!(addr.incarnation(), 4);
    assert!(addr.ledger().is_balanced(), "{:?}", addr.ledger());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m12_asks_in_a_handler_that_fails_on_another_thread_answer_restarting() {
    let system = System::new();
    let tree = Supervisor::new("tree").intensity(10_000, SECOND).child(probe("p"));
    system.supervise(tree).await.unwrap();
    let addr = system.lookup::<Probe>("p").unwrap();
    for n in 0..2_000 {
        let fail = |reply: Reply<()>| {
            run(move |_, _| {
                Box::pin(async move {
                    drop(reply);
                    if n % 2 == 0 { Err(Report::msg("asked to fail")) } else { Ok(()) }
                })
            })
        };
        let expected = if n % 2 == 0 { AskError::Restarting } else { AskError::NoReply };
        assert_eq!(in_time(addr.ask(fail)).await, Err(expected), "{n}");
    }
}

#[tokio::test(start_paused = true)]
async fn m10_a_shutdown_asked_for_between_two_incarnations_is_obeyed_by_the_next() {
    let system = System::new();
    let backoff = Backoff { initial: Duration::from_secs(10), jitter: 0.0, ..Backoff::DEFAULT };
    let spec = probe("p").transient().backoff(backoff);
    let addr = supervised(&system, spec).await;
    let mut events = system.events();
    addr.tell(run(|_, _| Box::pin(async { Err(Report::msg("asked to fail")) }))).unwrap();
    assert!(exit_of(&mut events, "p").await.is_abnormal());
    assert!(!addr.is_alive());
    addr.shutdown();
    assert_eq!(addr.ended().await, ExitReason::Shutdown);
    assert_eq!(addr.incarnation(), 2);
}

#[tokio::test(start_paused = true)]
async fn m13_an_ignored_start_releases_what_it_took_as_any_end_does() {
    let system = System::new();
    let log = Log::default();
    let hooks = Hooks::default().on_start(|ctx, log| {
        let log = log.clone();
        assert!(ctx.addr().on_exit(move |_, _, reason| log.note(reason.to_string())));
        ctx.ignore();
        Ok(())
    });
    let ignored = system.start(probe_with("p", &log, hooks)).await;
    assert!(matches!(ignored, Err(StartError::Ignored { .. })), "{ignored:?}");
    assert_eq!(log.text(), "normal", "whoever watched it was told");
}
