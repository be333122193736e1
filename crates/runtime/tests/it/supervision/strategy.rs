//! S15 to S21: whom a restart reaches, and what crosses it.

use ggml_agent::core::supervise::ChildState;
use ggml_agent::{Backoff, Strategy, Supervisor, SupervisorRef, System};

use crate::stage::{
    Act, Msg, OnStart, Stage, Watch, act, find, gate, incarnations, millis, pass, secs,
};

async fn trio(system: &System, stage: &Stage, strategy: Strategy) -> SupervisorRef {
    let tree = Supervisor::new("tree").strategy(strategy).intensity(5, secs(60));
    let tree = tree.children(["a", "b", "c"].map(|id| stage.worker(id)));
    let tree = system.supervise(tree).await.unwrap();
    stage.log();
    tree
}

/// The incarnations and the log after `failing` has panicked.
async fn after_panic(strategy: Strategy, failing: &str) -> ([u64; 3], String) {
    let (system, stage) = (System::new(), Stage::default());
    trio(&system, &stage, strategy).await;
    act(&system, failing, Act::Panic);
    find(&system, failing).ask(Msg::Ping).await.unwrap();
    (incarnations(&system, ["a", "b", "c"]).await, stage.log())
}

#[tokio::test(start_paused = true)]
async fn s15_one_for_one_leaves_the_siblings_alone() {
    for (failing, expected) in [("a", [2, 1, 1]), ("b", [1, 2, 1]), ("c", [1, 1, 2])] {
        let log = format!("~{failing} +{failing}");
        assert_eq!(after_panic(Strategy::OneForOne, failing).await, (expected, log));
    }
}

#[tokio::test(start_paused = true)]
async fn s16_one_for_all_stops_all_in_reverse_and_then_starts_all_in_order() {
    for (failing, log) in [
        ("a", "~a -c ~c -b ~b +a +b +c"),
        ("b", "~b -c ~c -a ~a +a +b +c"),
        ("c", "~c -b ~b -a ~a +a +b +c"),
    ] {
        let expected = ([2, 2, 2], log.to_owned());
        assert_eq!(after_panic(Strategy::OneForAll, failing).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn s17_one_for_all_tries_the_whole_set_again_when_a_later_start_fails() {
    let (system, stage) = (System::new(), Stage::default());
    trio(&system, &stage, Strategy::OneForAll).await;
    let mut watch = Watch::new(&system);
    stage.starts("b", [OnStart::Fail, OnStart::Panic]);
    act(&system, "c", Act::Panic);
    watch.until("tree: c started (incarnation 2)").await;
    assert_eq!(stage.log(), "~c -b ~b -a ~a +a !b ~b -a ~a +a !b ~b -a ~a +a +b +c");
    assert_eq!(incarnations(&system, ["a", "b", "c"]).await, [4, 4, 2]);
}

#[tokio::test(start_paused = true)]
async fn s17_each_failed_attempt_of_the_set_counts() {
    let (system, stage) = (System::new(), Stage::default());
    let tree = trio(&system, &stage, Strategy::OneForAll).await;
    let mut watch = Watch::new(&system);
    stage.starts("b", vec![OnStart::Fail; 100]);
    act(&system, "c", Act::Panic);
    tree.ended().await;
    assert_eq!(watch.count("tree: b did not start"), 5, "all that the intensity allows");
    assert_eq!(system.agents().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn s18_rest_for_one_restarts_the_failed_one_and_those_after_it() {
    for (failing, expected, log) in [
        ("a", [2, 2, 2], "~a -c ~c -b ~b +a +b +c"),
        ("b", [1, 2, 2], "~b -c ~c +b +c"),
        ("c", [1, 1, 2], "~c +c"),
    ] {
        let expected = (expected, log.to_owned());
        assert_eq!(after_panic(Strategy::RestForOne, failing).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn s19_rest_for_one_retries_from_the_child_whose_start_failed() {
    let (system, stage) = (System::new(), Stage::default());
    trio(&system, &stage, Strategy::RestForOne).await;
    let mut watch = Watch::new(&system);
    stage.starts("b", [OnStart::Fail]);
    act(&system, "a", Act::Panic);
    watch.until("tree: c started (incarnation 2)").await;
    assert_eq!(stage.log(), "~a -c ~c -b ~b +a !b ~b +b +c", "a stays up");
    assert_eq!(incarnations(&system, ["a", "b", "c"]).await, [2, 3, 2]);
}

#[tokio::test(start_paused = true)]
async fn s20_failures_at_the_same_moment_make_one_group_restart() {
    let (system, stage) = (System::new(), Stage::default());
    let tree = trio(&system, &stage, Strategy::OneForAll).await;
    let mut watch = Watch::new(&system);
    for id in ["c", "a", "b"] {
        act(&system, id, Act::Panic);
    }
    watch.until("tree: c started (incarnation 2)").await;
    assert_eq!(incarnations(&system, ["a", "b", "c"]).await, [2, 2, 2]);
    assert_eq!(tree.counts().await.unwrap().running, 3);
    assert_eq!(watch.seen(), [""; 0], "nothing else follows");
}

#[tokio::test(start_paused = true)]
async fn s20_a_failure_during_a_group_restart_is_not_lost() {
    let (system, stage, gate) = (System::new(), Stage::default(), gate());
    trio(&system, &stage, Strategy::OneForAll).await;
    let mut watch = Watch::new(&system);
    stage.starts("b", [OnStart::Gate(gate.clone())]);
    act(&system, "c", Act::Panic);
    watch.until("tree: starting b (incarnation 2)").await;
    // a is up again, c is not yet: a fails while b starts.
    act(&system, "a", Act::Panic);
    watch.until("tree: a ended (incarnation 2): panic: scripted").await;
    gate.add_permits(1);
    watch.until("tree: c started (incarnation 3)").await;
    assert_eq!(incarnations(&system, ["a", "b", "c"]).await, [3, 3, 3]);
    assert_eq!(watch.seen(), [""; 0], "and it is handled once");
}

fn slow() -> Backoff {
    Backoff { initial: secs(10), jitter: 0.0, ..Backoff::DEFAULT }
}

#[tokio::test(start_paused = true)]
async fn s21_the_supervisor_answers_and_a_stop_cancels_while_a_restart_waits() {
    let (system, stage) = (System::new(), Stage::default());
    let tree =
        Supervisor::new("tree").child(stage.worker("a").backoff(slow())).child(stage.worker("b"));
    let tree = system.supervise(tree).await.unwrap();
    let (a, mut watch) = (find(&system, "a"), Watch::new(&system));
    act(&system, "a", Act::Panic);
    watch.until("tree: a waits 10s before its restart").await;
    let counts = tree.counts().await.unwrap();
    assert_eq!((counts.restarting, counts.running), (1, 1));
    tree.stop_child(a.id()).await.unwrap();
    watch.until("tree: restart of a called off").await;
    let ended = tree.children().await.unwrap();
    assert_eq!(ended[0].state, ChildState::Stopped);
    pass(secs(60)).await;
    assert_eq!(watch.count("tree: starting a"), 0);
    assert!(system.lookup_any("a").is_none(), "its id is free");
    assert_eq!(incarnations(&system, ["b"]).await, [1]);
}

#[tokio::test(start_paused = true)]
async fn s21_the_supervisor_answers_and_a_stop_cancels_while_a_restart_hangs() {
    let (system, stage) = (System::new(), Stage::default());
    let tree = trio(&system, &stage, Strategy::OneForOne).await;
    stage.starts("b", [OnStart::Hang]);
    let (b, mut watch) = (find(&system, "b"), Watch::new(&system));
    act(&system, "b", Act::Panic);
    watch.until("tree: starting b (incarnation 2)").await;
    assert_eq!(tree.counts().await.unwrap().restarting, 1);
    let started = tokio::time::Instant::now();
    tree.stop_child(b.id()).await.unwrap();
    assert_eq!(started.elapsed(), secs(5), "it does not heed the stop, and is killed");
    assert_eq!(tree.counts().await.unwrap().stopped, 1);
    assert_eq!(incarnations(&system, ["a", "c"]).await, [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn s21_the_supervisor_is_not_busy_between_failing_attempts() {
    let (system, stage) = (System::new(), Stage::default());
    let tree = Supervisor::new("tree").intensity(9_000, secs(60)).child(stage.worker("a"));
    let tree = system.supervise(tree).await.unwrap();
    stage.starts("a", vec![OnStart::Fail; 8_000]);
    act(&system, "a", Act::Panic);
    // Thousands of attempts at once, and still there is an answer in between.
    for _ in 0..100 {
        assert_eq!(tree.counts().await.unwrap().specs, 1);
    }
    tree.stop_child(&"a".parse().unwrap()).await.unwrap();
    assert_eq!(tree.counts().await.unwrap().stopped, 1);
    pass(millis(1)).await;
}
