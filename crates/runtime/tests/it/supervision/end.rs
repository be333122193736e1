//! S22 to S25: stops, and what does not survive them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ggml_agent::core::seam::Clock;
use ggml_agent::{ExitReason, Options, Shutdown, Supervisor, SupervisorRef, System, TokioClock};
use tokio::time::Instant;

use crate::stage::{
    Act, Msg, OnStart, OnStop, Stage, Watch, act, find, gate, gone, incarnations, pass, secs,
};

#[tokio::test(start_paused = true)]
async fn s22_children_stop_in_reverse_order_each_gone_before_the_next_is_told() {
    let (system, stage) = (System::new(), Stage::default());
    let tree = Supervisor::new("tree").children(["a", "b", "c", "d"].map(|id| stage.worker(id)));
    let tree = system.supervise(tree).await.unwrap();
    stage.log();
    assert_eq!(tree.stop().await, ExitReason::Shutdown);
    assert_eq!(stage.log(), "-d ~d -c ~c -b ~b -a ~a");
    assert_eq!(system.agents().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn s22_a_dynamic_supervisor_tells_all_at_once() {
    let (system, stage, gate) = (System::new(), Stage::default(), gate());
    let crowd = system.supervise(Supervisor::dynamic("crowd")).await.unwrap();
    for id in ["a", "b", "c"] {
        stage.stops(id, OnStop::Gate(gate.clone()));
        crowd.start_child(stage.worker(id)).await.unwrap();
    }
    stage.log();
    let open = async {
        pass(secs(1)).await;
        assert_eq!(stage.log(), "-a -b -c", "nobody waits for another one");
        gate.add_permits(3);
    };
    tokio::join!(crowd.stop(), open);
    assert_eq!(stage.log(), "~a ~b ~c");
}

#[tokio::test(start_paused = true)]
async fn s22_a_dynamic_supervisor_has_one_deadline_for_all() {
    let (system, stage) = (System::new(), Stage::default());
    let crowd = system.supervise(Supervisor::dynamic("crowd")).await.unwrap();
    for (id, n) in [("a", 5), ("b", 7), ("c", 2), ("d", 5)] {
        if id != "d" {
            stage.stops(id, OnStop::Hang);
        }
        let spec = stage.worker(id).shutdown(Shutdown::Timeout(secs(n)));
        crowd.start_child(spec).await.unwrap();
    }
    stage.log();
    let started = Instant::now();
    crowd.stop().await;
    assert_eq!(started.elapsed(), secs(7), "the longest of them, not the sum");
    assert_eq!(stage.log(), "-a -b -c -d ~d ~a ~b ~c");
}

/// One child `a` whose handler or stop hangs for ever, as `shutdown` says.
async fn stuck(system: &System, stage: &Stage, shutdown: Option<Shutdown>) -> SupervisorRef {
    stage.stops("a", OnStop::Hang);
    let mut spec = stage.worker("a");
    if let Some(shutdown) = shutdown {
        spec = spec.shutdown(shutdown);
    }
    let tree = system.supervise(Supervisor::new("tree").child(spec)).await.unwrap();
    stage.log();
    tree
}

#[tokio::test(start_paused = true)]
async fn s23_kill_now_or_a_deadline_and_then_kill() {
    for (shutdown, expected, log) in [
        (Some(Shutdown::Kill), secs(0), "~a"),
        (Some(Shutdown::Timeout(secs(0))), secs(0), "-a ~a"),
        (Some(Shutdown::Timeout(secs(2))), secs(2), "-a ~a"),
        (None, secs(5), "-a ~a"),
    ] {
        let (system, stage) = (System::new(), Stage::default());
        let tree = stuck(&system, &stage, shutdown).await;
        let (addr, started) = (find(&system, "a"), Instant::now());
        assert_eq!(tree.stop().await, ExitReason::Shutdown);
        assert_eq!(started.elapsed(), expected, "{shutdown:?}");
        assert_eq!(addr.ended().await, ExitReason::Killed);
        if expected.is_zero() {
            continue; // whether its stop has begun when the kill comes is left open
        }
        assert_eq!(stage.log(), log, "{shutdown:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn s23_for_ever_waits_for_ever() {
    let (system, stage) = (System::new(), Stage::default());
    let tree = stuck(&system, &stage, Some(Shutdown::Forever)).await;
    let addr = find(&system, "a");
    let mut stop = std::pin::pin!(tree.stop());
    assert!(tokio::time::timeout(secs(24 * 3_600), &mut stop).await.is_err());
    assert_eq!(stage.log(), "-a");
    addr.kill();
    assert_eq!(stop.await, ExitReason::Shutdown);
}

#[tokio::test(start_paused = true)]
async fn s23_a_supervisor_waits_for_the_supervisors_below_it() {
    let (system, stage) = (System::new(), Stage::default());
    stage.stops("a", OnStop::Hang);
    let spec = stage.worker("a").shutdown(Shutdown::Timeout(secs(3_600)));
    let inner = Supervisor::new("inner").child(spec);
    let tree = system.supervise(Supervisor::new("tree").child(inner)).await.unwrap();
    let started = Instant::now();
    tree.stop().await;
    assert_eq!(started.elapsed(), secs(3_600));
}

#[tokio::test(start_paused = true)]
async fn s24_a_stuck_child_is_killed_after_its_own_deadline_and_the_others_stop_cleanly() {
    for in_handler in [false, true] {
        let (system, stage) = (System::new(), Stage::default());
        let b = stage.worker("b").shutdown(Shutdown::Timeout(secs(3)));
        let tree = Supervisor::new("tree").child(stage.worker("a")).child(b);
        let tree = system.supervise(tree.child(stage.worker("c"))).await.unwrap();
        stage.log();
        if in_handler {
            act(&system, "b", Act::Hang);
        } else {
            stage.stops("b", OnStop::Hang);
        }
        let started = Instant::now();
        assert_eq!(tree.stop().await, ExitReason::Shutdown);
        assert_eq!(started.elapsed(), secs(3));
        let b = if in_handler { "~b" } else { "-b ~b" };
        assert_eq!(stage.log(), format!("-c ~c {b} -a ~a"));
    }
}

#[tokio::test(start_paused = true)]
async fn s24_a_panic_while_stopping_holds_nobody_up() {
    let (system, stage) = (System::new(), Stage::default());
    stage.stops("b", OnStop::Panic);
    let tree = Supervisor::new("tree").children(["a", "b", "c"].map(|id| stage.worker(id)));
    let tree = system.supervise(tree).await.unwrap();
    stage.log();
    assert_eq!(tree.stop().await, ExitReason::Shutdown);
    assert_eq!(stage.log(), "-c ~c -b ~b -a ~a");
}

/// A tree with workers on three levels.
fn forest(stage: &Stage) -> Supervisor {
    let low = Supervisor::new("low").child(stage.worker("c"));
    let mid = Supervisor::new("mid").child(stage.worker("b")).child(low);
    Supervisor::new("tree").child(stage.worker("a")).child(mid)
}

#[tokio::test(start_paused = true)]
async fn s25_nothing_survives_the_kill_of_its_supervisor() {
    let (system, stage) = (System::new(), Stage::default());
    let tree = system.supervise(forest(&stage)).await.unwrap();
    let all = system.agents();
    assert_eq!(all.len(), 6);
    stage.log();
    tree.kill();
    for agent in all {
        assert_eq!(gone(&agent).await, ExitReason::Killed, "{agent:?}");
    }
    let mut gone: Vec<_> = stage.log().split(' ').map(str::to_owned).collect();
    gone.sort();
    assert_eq!(gone, ["~a", "~b", "~c"]);
    assert_eq!(system.agents().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn s25_nothing_survives_a_kill_while_children_start_restart_or_stop() {
    for moment in ["starting b (incarnation 1)", "starting b (incarnation 2)", "stopping b (in"] {
        let (system, stage) = (System::new(), Stage::default());
        let mut watch = Watch::new(&system);
        if moment.ends_with("1)") {
            stage.starts("b", [OnStart::Hang]);
        }
        let tree = Supervisor::new("tree").child(stage.worker("a")).child(stage.worker("b"));
        let start = system.supervise(tree);
        let kill = async {
            if moment.ends_with("1)") {
                watch.until("tree: starting b (incarnation 1)").await;
            } else {
                watch.until("tree: all children have started").await;
                stage.starts("b", [OnStart::Hang]);
                stage.stops("b", OnStop::Hang);
                match moment {
                    "stopping b (in" => system.lookup_any("tree").unwrap().shutdown(),
                    _ => act(&system, "b", Act::Panic),
                }
                watch.find(|decision| decision.to_string().starts_with(moment).then_some(())).await;
            }
            let all = system.agents();
            assert_eq!(all.len(), 3, "{moment}");
            system.lookup_any("tree").unwrap().kill();
            for agent in all {
                gone(&agent).await;
            }
        };
        let (started, ()) = tokio::join!(start, kill);
        assert_eq!(started.is_err(), moment.ends_with("1)"));
        assert_eq!(system.agents().len(), 0, "{moment}");
        assert_eq!(stage.alive(), 0, "{moment}");
    }
}

/// A clock that panics once, for whoever looks next.
struct Trap(TokioClock, Arc<AtomicBool>);

impl Clock for Trap {
    fn now(&self) -> Duration {
        assert!(!self.1.swap(false, Ordering::SeqCst), "the trap");
        self.0.now()
    }

    fn unix_ms(&self) -> u64 {
        self.0.unix_ms()
    }
}

#[tokio::test(start_paused = true)]
async fn s25_nothing_survives_the_panic_of_its_supervisor() {
    let armed = Arc::new(AtomicBool::new(false));
    let clock = Arc::new(Trap(TokioClock::new(), armed.clone()));
    let system = System::with(Options { clock: Some(clock), ..Options::default() });
    let stage = Stage::default();
    let mid = Supervisor::dynamic("mid");
    system.supervise(Supervisor::new("tree").child(mid)).await.unwrap();
    let mid = system.supervisor("mid").unwrap();
    let a = mid.start_child(stage.worker("a")).await.unwrap();
    armed.store(true, Ordering::SeqCst);
    mid.counts().await.unwrap_err();
    assert!(!armed.load(Ordering::SeqCst));
    assert_eq!(gone(&a.untyped()).await, ExitReason::Killed);
    let again = system.supervisor("mid").unwrap();
    assert_eq!(again.counts().await.unwrap().specs, 0);
    assert_eq!(again.untyped().incarnation(), 2);
    assert_eq!(stage.log(), "+a ~a");
}

#[tokio::test(start_paused = true)]
async fn s25_no_orphan_when_child_and_supervisor_die_at_the_same_moment() {
    for child_first in [true, false] {
        for act_of_child in [Act::Fail, Act::Panic, Act::End] {
            let (system, stage) = (System::new(), Stage::default());
            let tree = system.supervise(forest(&stage)).await.unwrap();
            let all = system.agents();
            let mid = system.supervisor("mid").unwrap();
            if child_first {
                act(&system, "b", act_of_child);
                mid.kill();
            } else {
                mid.kill();
                act(&system, "b", act_of_child);
            }
            // The parent restarts the whole branch, once.
            let mut watch = Watch::new(&system);
            watch.until("tree: mid started (incarnation 2)").await;
            assert_eq!(incarnations(&system, ["a", "b", "c"]).await[0], 1);
            assert_eq!(system.agents().len(), 6);
            tree.stop().await;
            assert_eq!(system.agents().len(), 0);
            for agent in all {
                gone(&agent).await;
            }
            assert_eq!(stage.alive(), 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s25_no_orphan_on_many_threads() {
    let (system, stage) = (System::new(), Stage::default());
    for round in 0..200 {
        let tree = system.supervise(forest(&stage)).await.unwrap();
        let all = system.agents();
        let [b, c] = ["b", "c"].map(|id| find(&system, id));
        let mid = system.supervisor("mid").unwrap();
        let jobs = [
            system.runtime().spawn(async move { drop(b.tell(Msg::Do(Act::Panic))) }),
            system.runtime().spawn(async move { c.kill() }),
            system.runtime().spawn(async move { mid.kill() }),
            system.runtime().spawn({
                let tree = tree.clone();
                async move { tree.kill() }
            }),
        ];
        for job in jobs {
            job.await.unwrap();
        }
        tree.ended().await;
        // From the top: while a supervisor is there, an agent that ended may be started again.
        for id in ["mid", "low", "a", "b", "c"] {
            gone(all.iter().find(|agent| agent.id().as_str() == id).unwrap()).await;
        }
        assert_eq!((system.agents().len(), stage.alive()), (0, 0), "round {round}");
    }
}

#[tokio::test(start_paused = true)]
async fn s25_dropping_the_system_ends_everything() {
    let (system, stage) = (System::new(), Stage::default());
    system.supervise(forest(&stage)).await.unwrap();
    let all = system.agents();
    drop(system);
    for agent in all {
        gone(&agent).await;
    }
    assert_eq!(stage.log().matches('~').count(), 3);
}
