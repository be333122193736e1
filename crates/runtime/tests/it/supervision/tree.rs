//! S26 to S29: supervisors of supervisors, and ends that come from below.

use ggml_agent::core::supervise::AutoShutdown;
use ggml_agent::{AskError, ExitReason, Restart, Supervisor, System};

use crate::stage::{Act, Msg, OnStart, Stage, Watch, act, find, incarnations, pass, secs};

/// `tree` with the worker `a` and the supervisor `sub`, which gives up at once, over `b` and `c`.
fn nested(stage: &Stage, sub: Restart, restarts_max: u32) -> Supervisor {
    let sub = Supervisor::new("sub").restart(sub).intensity(0, secs(60));
    let sub = sub.child(stage.worker("b")).child(stage.worker("c"));
    let tree = Supervisor::new("tree").intensity(restarts_max, secs(60));
    tree.child(stage.worker("a")).child(sub)
}

#[tokio::test(start_paused = true)]
async fn s26_a_sub_supervisor_that_gives_up_is_restarted_by_its_parent_and_counts_there() {
    let (system, stage) = (System::new(), Stage::default());
    let tree = system.supervise(nested(&stage, Restart::Permanent, 2)).await.unwrap();
    let mut watch = Watch::new(&system);
    stage.log();
    for n in 2..=3 {
        act(&system, "b", Act::Panic);
        watch.until(&format!("tree: sub started (incarnation {n})")).await;
        assert_eq!(incarnations(&system, ["a", "b", "c"]).await, [1, n, n]);
        assert_eq!(stage.log(), "~b -c ~c +b +c");
    }
    act(&system, "c", Act::Panic);
    assert_eq!(tree.ended().await, ExitReason::Shutdown, "its third failure in the parent");
    assert_eq!(stage.log(), "~c -b ~b -a ~a");
    assert_eq!(system.agents().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn s26_the_sub_supervisors_own_spec_says_whether_it_is_restarted() {
    for (restart, kept) in [(Restart::Transient, 2), (Restart::Temporary, 1)] {
        let (system, stage) = (System::new(), Stage::default());
        let tree = system.supervise(nested(&stage, restart, 2)).await.unwrap();
        let sub = system.supervisor("sub").unwrap();
        act(&system, "b", Act::Panic);
        assert_eq!(sub.ended().await, ExitReason::Shutdown, "which is not abnormal");
        let counts = tree.counts().await.unwrap();
        assert_eq!((counts.specs, counts.running), (kept, 1));
        assert!(system.lookup_any("b").is_none());
        assert_eq!(incarnations(&system, ["a"]).await, [1]);
    }
}

#[tokio::test(start_paused = true)]
async fn s26_a_transient_sub_supervisor_is_restarted_when_it_was_killed() {
    let (system, stage) = (System::new(), Stage::default());
    system.supervise(nested(&stage, Restart::Transient, 2)).await.unwrap();
    let mut watch = Watch::new(&system);
    system.supervisor("sub").unwrap().kill();
    watch.until("tree: sub started (incarnation 2)").await;
    assert_eq!(incarnations(&system, ["a", "b", "c"]).await, [1, 2, 2]);
}

#[tokio::test(start_paused = true)]
async fn s27_static_children_come_again_under_their_old_addresses_and_dynamic_ones_are_gone() {
    let (system, stage) = (System::new(), Stage::default());
    let crowd = Supervisor::dynamic("crowd").child(stage.worker("s"));
    system.supervise(Supervisor::new("tree").child(crowd)).await.unwrap();
    let crowd = system.supervisor("crowd").unwrap();
    let (s, d) = (find(&system, "s"), crowd.start_child(stage.worker("d")).await.unwrap());
    let mut watch = Watch::new(&system);
    for n in 2..=4 {
        crowd.kill();
        watch.until(&format!("tree: crowd started (incarnation {n})")).await;
        assert_eq!(s.ask(Msg::Ping).await, Ok(n), "an address from the time before");
        assert_eq!(d.ask(Msg::Ping).await, Err(AskError::Ended));
        assert_eq!(d.ended().await, ExitReason::Killed);
        assert!(system.lookup_any("d").is_none());
        assert_eq!(crowd.counts().await.unwrap().specs, 1);
        if n == 3 {
            break; // one more would be the fourth restart
        }
    }
    let again = crowd.start_child(stage.worker("d")).await.unwrap();
    assert_eq!(again.ask(Msg::Ping).await, Ok(1), "a new agent of that name");
    assert_eq!(d.ask(Msg::Ping).await, Err(AskError::Ended), "is not the old one");
}

#[tokio::test(start_paused = true)]
async fn s27_a_restart_that_fails_deep_down_is_tried_again() {
    let (system, stage) = (System::new(), Stage::default());
    system.supervise(nested(&stage, Restart::Permanent, 3)).await.unwrap();
    let mut watch = Watch::new(&system);
    stage.log();
    stage.starts("c", [OnStart::Fail]);
    act(&system, "b", Act::Panic);
    watch.until("tree: sub started (incarnation 3)").await;
    assert_eq!(stage.log(), "~b -c ~c +b !c ~c -b ~b +b +c");
    assert_eq!(incarnations(&system, ["a", "b", "c"]).await, [1, 3, 3]);
}

#[tokio::test(start_paused = true)]
async fn s28_the_root_that_gives_up_is_a_value_for_the_program() {
    let (system, stage) = (System::new(), Stage::default());
    let tree = system.supervise(nested(&stage, Restart::Permanent, 0)).await.unwrap();
    let (waiter, mut watch) = (tree.clone(), Watch::new(&system));
    let ended = system.runtime().spawn(async move { waiter.ended().await });
    act(&system, "b", Act::Panic);
    assert_eq!(ended.await.unwrap(), ExitReason::Shutdown);
    assert_eq!(tree.ended().await, ExitReason::Shutdown, "also for whoever asks later");
    watch.until("sub: gave up: b needs more than 0 restarts in 60s").await;
    watch.until("tree: gave up: sub needs more than 0 restarts in 60s").await;
    assert!(tree.counts().await.is_err());
    assert!(!tree.untyped().is_alive());
}

/// Ends `x` and then `y`, both significant; says after which of them the supervisor is gone.
async fn ends_after(mode: AutoShutdown, x: Act, y: Act) -> [bool; 2] {
    let (system, stage) = (System::new(), Stage::default());
    let tree = Supervisor::new("tree").auto_shutdown(mode).child(stage.worker("other"));
    let tree = tree.children(["x", "y"].map(|id| stage.worker(id).transient().significant()));
    let tree = system.supervise(tree.child(stage.worker("z").temporary())).await.unwrap();
    let [x_addr, y_addr] = ["x", "y"].map(|id| find(&system, id));
    act(&system, "z", Act::End);
    find(&system, "z").ended().await;
    x_addr.tell(Msg::Do(x)).unwrap();
    x_addr.ended().await;
    let mut gone = [tree.counts().await.is_err(), true];
    if !gone[0] {
        y_addr.tell(Msg::Do(y)).unwrap();
        y_addr.ended().await;
        gone[1] = tree.counts().await.is_err();
    }
    if gone.contains(&true) {
        assert_eq!(tree.ended().await, ExitReason::Shutdown);
        assert_eq!(system.agents().len(), 0);
    }
    gone
}

#[tokio::test(start_paused = true)]
async fn s29_any_or_all_significant_children_end_their_supervisor() {
    let any = ends_after(AutoShutdown::AnySignificant, Act::End, Act::End).await;
    assert_eq!(any, [true, true]);
    let all = ends_after(AutoShutdown::AllSignificant, Act::End, Act::EndWith).await;
    assert_eq!(all, [false, true]);
}

#[tokio::test(start_paused = true)]
async fn s29_never_is_never() {
    let (system, stage) = (System::new(), Stage::default());
    let tree = Supervisor::new("tree").children(["x", "y"].map(|id| stage.worker(id).transient()));
    let tree = system.supervise(tree).await.unwrap();
    for id in ["x", "y"] {
        let addr = find(&system, id);
        act(&system, id, Act::End);
        addr.ended().await;
    }
    pass(secs(3_600)).await;
    assert_eq!(tree.counts().await.unwrap().stopped, 2);
}

#[tokio::test(start_paused = true)]
async fn s29_only_a_significant_childs_own_final_exit_counts() {
    let (system, stage) = (System::new(), Stage::default());
    let tree = Supervisor::new("tree").auto_shutdown(AutoShutdown::AnySignificant);
    let tree = tree.child(stage.worker("other"));
    let tree = tree.child(stage.worker("x").transient().significant());
    let tree = system.supervise(tree).await.unwrap();
    let x = find(&system, "x");
    // A failure that is mended, and a stop by the supervisor, are not its own final exit.
    act(&system, "x", Act::Panic);
    assert_eq!(x.ask(Msg::Ping).await, Ok(2));
    tree.stop_child(x.id()).await.unwrap();
    tree.restart_child(x.id()).await.unwrap();
    act(&system, "other", Act::End);
    assert_eq!(incarnations(&system, ["other", "x"]).await, [2, 3]);
    stage.log();
    act(&system, "x", Act::End);
    assert_eq!(tree.ended().await, ExitReason::Shutdown);
    assert_eq!(stage.log(), "-x ~x -other ~other");
}

#[tokio::test(start_paused = true)]
async fn s29_a_supervisor_can_be_significant_for_the_one_above_it() {
    let (system, stage) = (System::new(), Stage::default());
    let sub = Supervisor::new("sub")
        .restart(Restart::Transient)
        .significant()
        .auto_shutdown(AutoShutdown::AllSignificant)
        .child(stage.worker("job").transient().significant());
    let tree = Supervisor::new("tree").auto_shutdown(AutoShutdown::AnySignificant);
    let tree = tree.child(stage.worker("helper")).child(sub);
    let tree = system.supervise(tree).await.unwrap();
    act(&system, "job", Act::End);
    assert_eq!(tree.ended().await, ExitReason::Shutdown);
    assert_eq!(system.agents().len(), 0);
}
