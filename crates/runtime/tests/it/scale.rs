//! M at scale, over time, and in every place where an agent may run.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ggml_agent::{
    Agent, ChildSpec, Context, EventKind, ExitReason, Lane, Placement, Recipient, Reply, Report,
    SendError, Shard, Supervisor, System,
};

use crate::support::{Hooks, Log, Msg, Probe, call, in_time, logged, probe, probe_with, run, seen};

const SECOND: Duration = Duration::from_secs(1);

/// As small as an agent can be.
struct Tiny {
    alive: Arc<AtomicUsize>,
}

impl Tiny {
    fn new(alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        Self { alive: alive.clone() }
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Agent for Tiny {
    type Msg = Reply<usize>;
    type Error = Report;

    async fn handle(&mut self, reply: Reply<usize>, _: &mut Context<Self>) -> Result<(), Report> {
        reply.send(self.alive.load(Ordering::Relaxed));
        Ok(())
    }
}

// One thread: each start is a conversation, and a wake across threads costs more than all of it.
#[tokio::test]
async fn m10_100_000_agents_start_and_stop_under_a_dynamic_supervisor() {
    const N: usize = 100_000;
    let system = System::new();
    let alive = Arc::new(AtomicUsize::new(0));
    let crowd = system.supervise(Supervisor::dynamic("crowd")).await.unwrap();
    let mut addrs = Vec::with_capacity(N);
    for n in 0..N {
        let alive = alive.clone();
        let spec = ChildSpec::new(format!("tiny-{n}"), move || Tiny::new(&alive));
        addrs.push(crowd.start_child(spec.temporary()).await.unwrap());
    }
    assert_eq!(alive.load(Ordering::Relaxed), N);
    assert_eq!(system.agents().len(), N + 1);
    for addr in addrs.iter().step_by(1_000) {
        assert_eq!(addr.ask(|reply| reply).await, Ok(N));
    }
    // Half of them one by one, the others with their supervisor.
    for addr in &addrs[..N / 2] {
        addr.stop();
    }
    for addr in &addrs[..N / 2] {
        assert_eq!(addr.ended().await, ExitReason::Normal);
    }
    assert_eq!(in_time(crowd.stop()).await, ExitReason::Shutdown);
    assert_eq!(addrs[N - 1].ended().await, ExitReason::Shutdown);
    assert_eq!(alive.load(Ordering::Relaxed), 0);
    assert_eq!(system.agents().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn m01_two_systems_in_one_process_do_not_meet() {
    let (one, two) = (System::new(), System::new());
    let (first, second) =
        (one.start(probe("p")).await.unwrap(), two.start(probe("p")).await.unwrap());
    first.tell(Msg::Note(1)).unwrap();
    one.tell(first.id(), Msg::Note(2)).unwrap();
    // An address works across systems; a name does not.
    let abroad = second.clone();
    first.tell(call(move |_, _| abroad.tell(Msg::Note(3)).unwrap())).unwrap();
    assert_eq!(seen(&first).await.unwrap(), [1, 2]);
    assert_eq!(seen(&second).await.unwrap(), [3]);
    let mut events = two.events();
    one.start(probe("only-in-one")).await.unwrap();
    assert!(two.lookup_any("only-in-one").is_none());
    one.shutdown(SECOND).await;
    assert!(events.try_next().unwrap().is_none(), "no event of the other one");
    assert!(matches!(first.tell(Msg::Note(4)), Err(SendError::Closed(_))));
    second.tell(Msg::Note(5)).unwrap();
    assert_eq!(seen(&second).await.unwrap(), [3, 5]);
}

#[tokio::test(start_paused = true)]
async fn m13_timers_send_when_due_and_not_after_cancel() {
    let system = System::new();
    let addr = system.start(probe("p")).await.unwrap();
    let timers = addr
        .ask(|reply: Reply<[ggml_agent::Timer; 3]>| {
            call(move |_, ctx| {
                let once = ctx.send_after(3 * SECOND, Msg::Note(1));
                let never = ctx.send_after(3 * SECOND, Msg::Note(2));
                reply.send([once, never, ctx.send_every(2 * SECOND, || Msg::Note(3))]);
            })
        })
        .await
        .unwrap();
    timers[1].cancel();
    let after = async |time| {
        tokio::time::advance(time).await;
        // One round for the timers' jobs, and one for the agent.
        tokio::task::yield_now().await;
        seen(&addr).await.unwrap()
    };
    assert_eq!(after(Duration::from_millis(1_999)).await, [0; 0]);
    assert_eq!(after(Duration::from_millis(2)).await, [3]);
    assert_eq!(after(SECOND).await, [3, 1]);
    assert_eq!(after(SECOND).await, [3, 1, 3]);
    assert!(timers[0].is_finished() && timers[1].is_finished());
    timers[2].cancel();
    assert_eq!(after(20 * SECOND).await, [3, 1, 3]);
}

#[tokio::test(start_paused = true)]
async fn m13_a_timer_that_nobody_takes_is_a_dead_letter() {
    let system = System::new();
    let hooks = Hooks::default().on_stop(|ctx, _| {
        ctx.send_after(Duration::ZERO, Msg::Note(1));
        Ok(())
    });
    let addr = system.start(probe_with("p", &Log::default(), hooks)).await.unwrap();
    addr.tell(call(|_, ctx| drop(ctx.send_after(SECOND, Msg::Note(2))))).unwrap();
    seen(&addr).await.unwrap();
    let job = call(|_, ctx| {
        // The agent closes its mailbox and goes on with what is queued; the timer comes between.
        ctx.addr().stop();
    });
    let stay = run(|_, _| {
        Box::pin(async {
            tokio::time::timeout(2 * SECOND, std::future::pending::<()>()).await.unwrap_err();
            Ok(())
        })
    });
    addr.tell(job).unwrap();
    addr.tell(stay).unwrap();
    addr.ended().await;
    let letters = system.dead_letters();
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(letters[0].reason, ggml_agent::Reason::Ended);
}

#[tokio::test(start_paused = true)]
async fn m10_blocking_work_runs_beside_the_worker() {
    let system = System::new();
    let addr = system.start(probe("p")).await.unwrap();
    let here = std::thread::current().id();
    let block = |reply: Reply<bool>| {
        run(move |_, ctx| {
            Box::pin(async move {
                let there = ctx.block(|| std::thread::current().id()).await?;
                let failure: Result<(), Report> = ctx.block(|| panic!("no luck")).await;
                assert!(failure.unwrap_err().to_string().contains("no luck"));
                reply.send(there != here);
                Ok(())
            })
        })
    };
    assert_eq!(addr.ask(block).await, Ok(true));
    assert_eq!(addr.incarnation(), 1, "its panic is an error for whoever waits for it");
}

#[tokio::test(start_paused = true)]
async fn m03_protected_and_progressing_handlers_are_not_unresponsive() {
    let system = System::new();
    let tree = Supervisor::new("tree").health(SECOND, 5 * SECOND).child(probe("p"));
    system.supervise(tree).await.unwrap();
    let addr = system.lookup::<Probe>("p").unwrap();
    let wait = |time| tokio::time::timeout(time, std::future::pending::<()>());
    let protected = run(move |probe, ctx| {
        Box::pin(async move {
            ctx.protect(wait(60 * SECOND)).await.unwrap_err();
            for _ in 0..20 {
                wait(3 * SECOND).await.unwrap_err();
                ctx.progress();
            }
            probe.seen.push(1);
            Ok(())
        })
    });
    addr.tell(protected).unwrap();
    assert_eq!(addr.ask_within(500 * SECOND, Msg::Seen).await.unwrap(), [1]);
    assert_eq!(addr.incarnation(), 1);
    // Without either it is taken for dead, and replaced.
    let silent = run(move |_, _| Box::pin(std::future::pending()));
    let mut events = system.events();
    addr.tell(silent).unwrap();
    let found = events.find(|kind| match kind {
        EventKind::Supervision { decision, .. } => {
            Some(decision.to_string()).filter(|text| text.contains("progress"))
        }
        _ => None,
    });
    found.await.unwrap();
    assert_eq!(addr.ask_within(SECOND, Msg::Seen).await.unwrap(), [0; 0]);
    assert_eq!(addr.incarnation(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m10_an_agent_on_a_shard_may_use_spawn_local() {
    let system = System::new();
    let shard = Shard::start("shard").unwrap();
    let spec = |id| probe(id).placement(Placement::Shard(shard.clone()));
    let tree = Supervisor::new("tree").child(spec("a")).child(spec("b"));
    let tree = system.supervise(tree).await.unwrap();
    let mut threads = Vec::new();
    for id in ["a", "b", "a"] {
        let addr = system.lookup::<Probe>(id).unwrap();
        let local = |reply: Reply<std::thread::ThreadId>| {
            call(move |_, _| {
                // Not `Send`: it can only stay on this thread.
                let here = std::rc::Rc::new(std::thread::current().id());
                tokio::task::spawn_local(async move { reply.send(*here) });
            })
        };
        threads.push(in_time(addr.ask(local)).await.unwrap());
        addr.tell(Msg::Panic).unwrap();
        assert_eq!(in_time(seen(&addr)).await.unwrap(), [0; 0]);
    }
    assert!(threads.iter().all(|thread| *thread == threads[0]), "one thread, also after restarts");
    assert_ne!(threads[0], std::thread::current().id());
    in_time(tree.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m10_an_agent_on_its_own_thread_may_block_and_holds_up_nobody() {
    let system = System::new();
    let spec = |id| probe(id).placement(Placement::Thread);
    let tree = Supervisor::new("tree").child(spec("a")).child(spec("b")).child(probe("c"));
    let tree = system.supervise(tree).await.unwrap();
    let addr = |id| system.lookup::<Probe>(id).unwrap();
    let (entered, inside) = tokio::sync::oneshot::channel();
    let (go, may_go) = std::sync::mpsc::channel::<()>();
    addr("a")
        .tell(call(move |probe, _| {
            entered.send(std::thread::current().name().map(str::to_owned)).unwrap();
            may_go.recv().unwrap();
            probe.seen.push(1);
        }))
        .unwrap();
    assert_eq!(in_time(inside).await.unwrap().as_deref(), Some("agent a"));
    for id in ["b", "c"] {
        assert_eq!(in_time(seen(&addr(id))).await.unwrap(), [0; 0]);
    }
    go.send(()).unwrap();
    assert_eq!(in_time(seen(&addr("a"))).await.unwrap(), [1]);
    addr("a").tell(Msg::Panic).unwrap();
    assert_eq!(in_time(seen(&addr("a"))).await.unwrap(), [0; 0]);
    assert_eq!(addr("a").incarnation(), 2);
    in_time(tree.stop()).await;
}

#[tokio::test(start_paused = true)]
async fn m02_a_recipient_knows_only_the_message() {
    let system = System::new();
    let addr = system.start(probe("p")).await.unwrap();
    let recipient: Recipient<u32> = addr.recipient();
    assert_eq!(recipient.id(), addr.id());
    recipient.tell(1).unwrap();
    recipient.clone().tell(2).unwrap();
    assert_eq!(seen(&addr).await.unwrap(), [1, 2]);
    addr.kill();
    addr.ended().await;
    assert!(matches!(recipient.tell(3), Err(SendError::Closed(()))));
}

#[test]
fn m01_a_system_lives_on_a_current_thread_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let system = System::new();
        let log = Log::default();
        let tree = Supervisor::new("tree").child(logged("p", &log));
        let tree = system.supervise(tree).await.unwrap();
        let addr = system.lookup::<Probe>("p").unwrap();
        for n in 0..5_000 {
            addr.send(Msg::Note(n)).await.unwrap();
        }
        addr.tell_on(Lane::Priority, Msg::Panic).unwrap();
        assert!(seen(&addr).await.is_ok());
        assert_eq!(log.lines().len(), 5_000);
        assert_eq!(tree.stop().await, ExitReason::Shutdown);
        assert!(addr.ledger().is_balanced());
        system.shutdown(SECOND).await;
    });
}

#[tokio::test(start_paused = true)]
async fn m10_what_a_system_that_is_gone_held_is_freed() {
    let held = Arc::new(());
    let spec = |id: &str| {
        let held = held.clone();
        ChildSpec::new(id, move || {
            let _in_the_factory = &held;
            Tiny { alive: Arc::default() }
        })
    };
    let system = System::new();
    let root = system.start(spec("root")).await.unwrap();
    let below = Supervisor::new("below").child(spec("grandchild"));
    let tree = Supervisor::new("tree").child(spec("child")).child(below);
    let tree = system.supervise(tree).await.unwrap();
    let crowd = system.supervise(Supervisor::dynamic("crowd")).await.unwrap();
    crowd.start_child(spec("dynamic")).await.unwrap();
    assert_eq!(Arc::strong_count(&held), 5);
    drop(system);
    root.ended().await;
    tree.ended().await;
    crowd.ended().await;
    drop((root, tree, crowd));
    // The runners end when they find nothing to do.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(Arc::strong_count(&held), 1);
}

#[tokio::test(start_paused = true)]
async fn m10_dropping_a_system_ends_its_agents() {
    let system = System::new();
    let log = Log::default();
    let hooks = Hooks::default().on_drop(|log| log.note("dropped"));
    let root = system.start(probe_with("root", &log, hooks.clone())).await.unwrap();
    let tree = Supervisor::new("tree").child(probe_with("child", &log, hooks));
    let tree = system.supervise(tree).await.unwrap();
    drop(system);
    assert_eq!(root.ended().await, ExitReason::Killed);
    assert_eq!(tree.ended().await, ExitReason::Killed);
    assert_eq!(log.text(), "dropped dropped");
}
