//! S5 to S14: who is restarted, and how often.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ggml_agent::core::seam::Clock;
use ggml_agent::core::supervise::{ChildState, Decision};
use ggml_agent::{
    Addr, ExitReason, Options, Restart, Supervisor, SupervisorRef, System, TokioClock,
};

use crate::stage::{Act, Msg, OnStart, Stage, Watch, Worker, act, find, incarnations, pass, secs};

/// The reason's words, whether it is abnormal, and how to bring it about.
type End = (&'static str, bool, fn(&Addr<Worker>));

/// Every way in which an incarnation can end.
fn ends() -> [End; 7] {
    fn tell(addr: &Addr<Worker>, act: Act) {
        addr.tell(Msg::Do(act)).unwrap();
    }
    [
        ("normal", false, |addr| tell(addr, Act::End)),
        ("shutdown: scripted", false, |addr| tell(addr, Act::EndWith)),
        ("shutdown", false, |addr| addr.shutdown()),
        ("normal", false, |addr| addr.stop()),
        ("error: scripted", true, |addr| tell(addr, Act::Fail)),
        ("panic: scripted", true, |addr| tell(addr, Act::Panic)),
        ("killed", true, |addr| addr.kill()),
    ]
}

/// Ends a child of this kind in each way; says for each whether it was restarted.
async fn is_restarted(restart: Restart) -> Vec<bool> {
    let mut restarted = Vec::new();
    for (reason, _, end) in ends() {
        let (system, stage) = (System::new(), Stage::default());
        let tree = Supervisor::new("tree").child(stage.worker("a").restart(restart));
        let tree = system.supervise(tree).await.unwrap();
        let (addr, mut watch) = (find(&system, "a"), Watch::new(&system));
        end(&addr);
        watch.until(&format!("tree: a ended (incarnation 1): {reason}")).await;
        let children = tree.children().await.unwrap();
        let answer = addr.ask(Msg::Ping).await;
        let again = answer == Ok(2);
        assert_eq!(again, answer.is_ok(), "{restart:?} after {reason}: {answer:?}");
        if !again {
            let kept = restart != Restart::Temporary;
            assert_eq!(children.len(), usize::from(kept), "the spec of a temporary one is freed");
            assert!(children.iter().all(|child| child.state == ChildState::Stopped));
            assert_eq!(addr.ended().await.to_string(), reason);
        }
        restarted.push(again);
    }
    restarted
}

#[tokio::test(start_paused = true)]
async fn s05_permanent_is_restarted_after_every_exit() {
    assert_eq!(is_restarted(Restart::Permanent).await, [true; 7]);
}

#[tokio::test(start_paused = true)]
async fn s06_transient_is_restarted_after_an_abnormal_exit_only() {
    assert_eq!(is_restarted(Restart::Transient).await, ends().map(|(_, abnormal, _)| abnormal));
}

#[tokio::test(start_paused = true)]
async fn s07_temporary_is_never_restarted() {
    assert_eq!(is_restarted(Restart::Temporary).await, [false; 7]);
}

#[tokio::test(start_paused = true)]
async fn s07_temporary_is_not_restarted_as_a_bystander() {
    let (system, stage) = (System::new(), Stage::default());
    let tree = Supervisor::new("tree")
        .one_for_all()
        .child(stage.worker("a"))
        .child(stage.worker("b").temporary())
        .child(stage.worker("c"));
    let tree = system.supervise(tree).await.unwrap();
    let b = find(&system, "b");
    stage.log();
    act(&system, "a", Act::Panic);
    assert_eq!(incarnations(&system, ["a", "c"]).await, [2, 2]);
    assert_eq!(stage.log(), "~a -c ~c -b ~b +a +c");
    assert_eq!(b.ended().await, ExitReason::Shutdown);
    assert_eq!(tree.counts().await.unwrap().specs, 2);
}

#[tokio::test(start_paused = true)]
async fn s07_ten_thousand_temporary_children_leave_nothing_behind() {
    let (system, stage) = (System::new(), Stage::default());
    let crowd = system.supervise(Supervisor::dynamic("crowd")).await.unwrap();
    for n in 0..10_000 {
        // Also the names come again: what is left of an earlier one would show.
        let spec = stage.worker(&format!("w{}", n % 10)).temporary();
        let addr = crowd.start_child(spec).await.unwrap();
        addr.tell(Msg::Do(if n % 2 == 0 { Act::End } else { Act::Panic })).unwrap();
        addr.ended().await;
    }
    assert_eq!(crowd.counts().await.unwrap(), Default::default());
    assert_eq!(system.agents().len(), 1, "the supervisor alone");
    assert_eq!(stage.log().matches('~').count(), 10_000, "every value was dropped");
}

async fn pair(system: &System, stage: &Stage, restarts_max: u32) -> SupervisorRef {
    let tree = Supervisor::new("tree")
        .intensity(restarts_max, secs(60))
        .child(stage.worker("a"))
        .child(stage.worker("b"));
    let tree = system.supervise(tree).await.unwrap();
    stage.log();
    tree
}

#[tokio::test(start_paused = true)]
async fn s08_one_restart_too_many_in_the_window_ends_the_supervisor() {
    for restarts_max in [0, 1, 3, 7] {
        let (system, stage) = (System::new(), Stage::default());
        let tree = pair(&system, &stage, restarts_max).await;
        let mut watch = Watch::new(&system);
        let addr = find(&system, "a");
        for n in 1..=restarts_max {
            addr.tell(Msg::Do(Act::Panic)).unwrap();
            assert_eq!(addr.ask(Msg::Ping).await, Ok(u64::from(n) + 1));
        }
        stage.log();
        addr.tell(Msg::Do(Act::Panic)).unwrap();
        assert_eq!(tree.ended().await, ExitReason::Shutdown);
        assert_eq!(stage.log(), "~a -b ~b", "the sibling is stopped, not killed");
        let gave_up = format!("tree: gave up: a needs more than {restarts_max} restarts in 60s");
        assert!(watch.seen().contains(&gave_up));
        assert_eq!(system.agents().len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn s09_the_count_is_one_per_supervisor() {
    let (system, stage) = (System::new(), Stage::default());
    let tree = pair(&system, &stage, 2).await;
    act(&system, "a", Act::Panic);
    act(&system, "b", Act::Panic);
    assert_eq!(incarnations(&system, ["a", "b"]).await, [2, 2]);
    act(&system, "a", Act::Panic);
    assert_eq!(tree.ended().await, ExitReason::Shutdown, "2 of a and 1 of b are 3");
}

#[tokio::test(start_paused = true)]
async fn s10_the_window_slides() {
    let (system, stage) = (System::new(), Stage::default());
    let tree = pair(&system, &stage, 2).await;
    // Two in a minute, for an hour: never three in any window of a minute.
    for n in 0..120 {
        pass(secs(31)).await;
        act(&system, "a", Act::Panic);
        assert_eq!(incarnations(&system, ["a"]).await, [n + 2]);
    }
    pass(secs(31)).await;
    act(&system, "a", Act::Panic);
    act(&system, "b", Act::Panic);
    assert_eq!(tree.ended().await, ExitReason::Shutdown, "one 31 s ago and two now");
}

#[tokio::test(start_paused = true)]
async fn s11_a_failed_attempt_to_restart_counts() {
    for failure in [OnStart::Fail, OnStart::Panic] {
        let (system, stage) = (System::new(), Stage::default());
        let tree = pair(&system, &stage, 3).await;
        stage.starts("b", [failure.clone(), failure.clone()]);
        act(&system, "b", Act::Panic);
        assert_eq!(incarnations(&system, ["a", "b"]).await, [1, 4], "the third attempt works");
        assert_eq!(stage.log(), "~b !b ~b !b ~b +b");
        act(&system, "b", Act::Panic);
        assert_eq!(tree.ended().await, ExitReason::Shutdown, "that was the fourth");
    }
}

#[tokio::test(start_paused = true)]
async fn s12_a_group_restart_counts_once() {
    let (system, stage) = (System::new(), Stage::default());
    let ids = ["a", "b", "c", "d", "e"];
    let tree = Supervisor::new("tree").one_for_all().intensity(2, secs(60));
    let tree = tree.children(ids.map(|id| stage.worker(id)));
    let tree = system.supervise(tree).await.unwrap();
    let mut watch = Watch::new(&system);
    for (failing, n) in [("c", 2), ("a", 3)] {
        act(&system, failing, Act::Panic);
        watch.until(&format!("tree: e started (incarnation {n})")).await;
        assert_eq!(incarnations(&system, ids).await, [n; 5]);
    }
    act(&system, "e", Act::Panic);
    assert_eq!(tree.ended().await, ExitReason::Shutdown);
}

#[tokio::test(start_paused = true)]
async fn s13_exits_that_are_not_restarted_do_not_count() {
    let (system, stage) = (System::new(), Stage::default());
    let crowd = Supervisor::dynamic("crowd").intensity(0, secs(60));
    let crowd = system.supervise(crowd).await.unwrap();
    for _ in 0..20 {
        let a = crowd.start_child(stage.worker("a").transient()).await.unwrap();
        a.tell(Msg::Do(Act::End)).unwrap();
        a.ended().await;
        let b = crowd.start_child(stage.worker("b").temporary()).await.unwrap();
        b.tell(Msg::Do(Act::Panic)).unwrap();
        b.ended().await;
        let c = crowd.start_child(stage.worker("c")).await.unwrap();
        crowd.stop_child(c.id()).await.unwrap();
    }
    assert!(crowd.untyped().is_alive());
    let a = crowd.start_child(stage.worker("a").transient()).await.unwrap();
    a.tell(Msg::Do(Act::Panic)).unwrap();
    assert_eq!(crowd.ended().await, ExitReason::Shutdown);
}

/// A wall clock that jumps by a year, there and back, each time that somebody looks.
struct Jumpy(TokioClock, AtomicU64);

impl Clock for Jumpy {
    fn now(&self) -> std::time::Duration {
        self.0.now()
    }

    fn unix_ms(&self) -> u64 {
        let year_ms = 365 * 24 * 3_600 * 1_000;
        let odd = self.1.fetch_add(1, Ordering::Relaxed) % 2;
        self.0.unix_ms() - odd * year_ms
    }
}

#[tokio::test(start_paused = true)]
async fn s14_stepping_the_wall_clock_changes_nothing() {
    let clock = Jumpy(TokioClock::new(), AtomicU64::new(0));
    let system = System::with(Options { clock: Some(Arc::new(clock)), ..Options::default() });
    let stage = Stage::default();
    let tree = pair(&system, &stage, 1).await;
    let mut watch = Watch::new(&system);
    for n in 0..10 {
        pass(secs(61)).await;
        act(&system, "a", Act::Panic);
        assert_eq!(incarnations(&system, ["a"]).await, [n + 2]);
        let restarting = |decision: &Decision| match decision {
            Decision::Restarting { in_window, .. } => Some(*in_window),
            _ => None,
        };
        assert_eq!(watch.find(restarting).await, 1);
    }
    act(&system, "a", Act::Panic);
    assert_eq!(tree.ended().await, ExitReason::Shutdown);
}
