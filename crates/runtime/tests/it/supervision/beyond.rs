//! S32 to S34: backoff, heartbeats, and that every decision can be watched.

use std::time::Duration;

use ggml_agent::core::supervise::{ChildState, Decision};
use ggml_agent::{Backoff, EventKind, Options, Supervisor, System};
use tokio::time::Instant;

use crate::stage::{Act, Msg, OnStart, Stage, Watch, act, find, incarnations, millis, pass, secs};

const DOUBLING: Backoff = Backoff { jitter: 0.0, ..Backoff::DEFAULT };

/// Lets `a` fail and gives the wait before its restart: as decided, and as it took.
async fn wait_of(system: &System, watch: &mut Watch) -> (Duration, Duration) {
    act(system, "a", Act::Panic);
    let waits = |decision: &Decision| match decision {
        Decision::BackingOff { wait, .. } => Some(*wait),
        _ => None,
    };
    let wait = watch.find(waits).await;
    let begun = Instant::now();
    watch.find(|d| matches!(d, Decision::Started { .. }).then_some(())).await;
    (wait, begun.elapsed())
}

/// tokio's timers have a resolution of one millisecond.
fn is_about(wait: Duration, took: Duration) -> bool {
    took >= wait && took <= wait + millis(1)
}

#[tokio::test(start_paused = true)]
async fn s32_waits_grow_up_to_the_longest_and_health_resets_them() {
    let (system, stage) = (System::new(), Stage::default());
    let tree = Supervisor::new("tree").intensity(1_000, secs(60));
    let tree = tree.child(stage.worker("a").backoff(DOUBLING));
    system.supervise(tree).await.unwrap();
    let mut watch = Watch::new(&system);
    for expected in [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000] {
        let (wait, took) = wait_of(&system, &mut watch).await;
        assert_eq!(wait, millis(expected));
        assert!(is_about(wait, took), "{wait:?} took {took:?}");
    }
    pass(secs(59)).await;
    assert_eq!(wait_of(&system, &mut watch).await.0, secs(10), "not healthy for long enough");
    pass(secs(60)).await;
    assert_eq!(wait_of(&system, &mut watch).await.0, millis(100));
}

#[tokio::test(start_paused = true)]
async fn s32_a_failed_restart_waits_longer_too() {
    let (system, stage) = (System::new(), Stage::default());
    let tree = Supervisor::new("tree").intensity(10, secs(60));
    system.supervise(tree.child(stage.worker("a").backoff(DOUBLING))).await.unwrap();
    let mut watch = Watch::new(&system);
    stage.starts("a", [OnStart::Fail, OnStart::Fail]);
    let begun = Instant::now();
    act(&system, "a", Act::Panic);
    watch.until("tree: a started (incarnation 4)").await;
    assert!(is_about(millis(700), begun.elapsed()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn s32_waits_of_several_children_end_each_at_its_own_time() {
    let (system, stage) = (System::new(), Stage::default());
    let wait = |time| Backoff { initial: time, max: time, ..DOUBLING };
    // Without a health check, which would look at all timers each second.
    let tree = Supervisor::new("tree").intensity(1_000, secs(60)).health(secs(0), secs(5));
    // In this order: a later one is due before an earlier one, two at once, and one never.
    let waits =
        [("c", 3_750), ("never", 500), ("a", 1_250), ("d", 60_100), ("b", 2_500), ("b2", 2_500)];
    let children = waits.map(|(id, time)| stage.worker(id).backoff(wait(millis(time))));
    let tree = system.supervise(tree.children(children)).await.unwrap();
    let mut watch = Watch::new(&system);
    for (id, _) in waits {
        act(&system, id, Act::Panic);
        watch.find(|d| matches!(d, Decision::BackingOff { .. }).then_some(())).await;
    }
    let begun = Instant::now();
    tree.stop_child(&"never".parse().unwrap()).await.unwrap();
    for (id, time) in [("a", 1_250), ("b", 2_500), ("b2", 2_500), ("c", 3_750), ("d", 60_100)] {
        let started = |d: &Decision| match d {
            Decision::Started { id, .. } => Some(id.clone()),
            _ => None,
        };
        assert_eq!(watch.find(started).await.as_str(), id);
        assert!(is_about(millis(time), begun.elapsed()), "{id} after {:?}", begun.elapsed());
    }
    pass(secs(100)).await;
    assert_eq!(tree.counts().await.unwrap().stopped, 1);
}

#[tokio::test(start_paused = true)]
async fn s32_jitter_takes_away_a_random_part_that_repeats_with_the_seed() {
    let waits = async |seed| {
        let system = System::with(Options { seed: Some(seed), ..Options::default() });
        let stage = Stage::default();
        let tree = Supervisor::new("tree").intensity(100, secs(60));
        system.supervise(tree.child(stage.worker("a").backoff(Backoff::DEFAULT))).await.unwrap();
        let mut watch = Watch::new(&system);
        let mut waits = Vec::new();
        for full in [100, 200, 400, 800] {
            let (wait, took) = wait_of(&system, &mut watch).await;
            assert!(wait <= millis(full) && wait >= millis(full / 2), "{wait:?}");
            assert!(took >= wait);
            waits.push(wait);
        }
        waits
    };
    let first = waits(1).await;
    assert_eq!(waits(1).await, first);
    assert_ne!(waits(2).await, first);
}

#[tokio::test(start_paused = true)]
async fn s32_a_waiting_child_is_listed_restarting_and_holds_no_sibling_up() {
    let (system, stage) = (System::new(), Stage::default());
    let tree = Supervisor::new("tree");
    let tree = tree.child(stage.worker("a").backoff(DOUBLING)).child(stage.worker("b"));
    let tree = system.supervise(tree).await.unwrap();
    let (a, mut watch) = (find(&system, "a"), Watch::new(&system));
    act(&system, "a", Act::Panic);
    watch.until("tree: a waits 100ms before its restart").await;
    let begun = Instant::now();
    assert_eq!(tree.children().await.unwrap()[0].state, ChildState::Restarting);
    act(&system, "b", Act::Panic);
    assert_eq!(incarnations(&system, ["b"]).await, [2]);
    assert_eq!(begun.elapsed(), millis(0));
    assert_eq!(a.ask(Msg::Ping).await, Ok(2), "what is sent meanwhile is answered afterwards");
    assert!(is_about(millis(100), begun.elapsed()));
}

#[tokio::test(start_paused = true)]
async fn s33_a_handler_without_progress_is_unresponsive_and_recovers_like_a_crash() {
    let (system, stage) = (System::new(), Stage::default());
    let tree = Supervisor::new("tree").child(stage.worker("a")).child(stage.worker("b"));
    system.supervise(tree).await.unwrap();
    let mut watch = Watch::new(&system);
    stage.log();
    pass(secs(100)).await;
    let begun = Instant::now();
    act(&system, "a", Act::Hang);
    let addr = find(&system, "a");
    let queued = addr.ask_within(secs(60), Msg::Ping);
    let (silent_for, answer) = tokio::join!(
        watch.find(|decision| match decision {
            Decision::Unresponsive { silent_for, .. } => Some(*silent_for),
            _ => None,
        }),
        queued
    );
    let took = begun.elapsed();
    assert!(silent_for >= secs(5) && silent_for <= secs(6), "{silent_for:?}");
    assert!(took >= secs(5) && took <= secs(7), "{took:?}");
    assert_eq!(answer, Ok(2), "queued mail survives");
    watch.until("tree: a ended (incarnation 1): unresponsive").await;
    watch.until("tree: restart a (1 of 3 in 60s)").await;
    assert_eq!(incarnations(&system, ["a", "b"]).await, [2, 1]);
    assert_eq!(stage.log(), "~a +a");
}

#[tokio::test(start_paused = true)]
async fn s33_unresponsive_counts_and_reaches_the_group_as_a_crash_does() {
    let (system, stage) = (System::new(), Stage::default());
    let tree = Supervisor::new("tree").one_for_all().intensity(1, secs(60));
    let tree = tree.child(stage.worker("a").transient()).child(stage.worker("b"));
    let tree = system.supervise(tree).await.unwrap();
    let mut watch = Watch::new(&system);
    act(&system, "a", Act::Hang);
    watch.until("tree: b started (incarnation 2)").await;
    assert_eq!(incarnations(&system, ["a", "b"]).await, [2, 2]);
    act(&system, "b", Act::Hang);
    tree.ended().await;
    watch.until("tree: gave up: b needs more than 1 restarts in 60s").await;
}

#[tokio::test(start_paused = true)]
async fn s33_idle_protected_and_progressing_agents_are_healthy() {
    let (system, stage) = (System::new(), Stage::default());
    let tree =
        Supervisor::new("tree").children(["idle", "long", "slow"].map(|id| stage.worker(id)));
    system.supervise(tree).await.unwrap();
    let mut watch = Watch::new(&system);
    act(&system, "long", Act::Protect(secs(3_600)));
    act(&system, "slow", Act::Progress(secs(4), 900));
    pass(secs(3_601)).await;
    assert_eq!(incarnations(&system, ["idle", "long", "slow"]).await, [1, 1, 1]);
    assert_eq!(watch.seen(), [""; 0]);
    // Protection ends with the future: the next long wait is a missed heartbeat.
    act(&system, "long", Act::Hang);
    watch.until("tree: long started (incarnation 2)").await;
}

#[tokio::test(start_paused = true)]
async fn s33_progress_slower_than_the_timeout_is_too_slow() {
    let (system, stage) = (System::new(), Stage::default());
    system.supervise(Supervisor::new("tree").child(stage.worker("a"))).await.unwrap();
    let mut watch = Watch::new(&system);
    act(&system, "a", Act::Progress(secs(8), 10));
    watch.until("tree: a started (incarnation 2)").await;
}

#[tokio::test(start_paused = true)]
async fn s33_a_child_or_a_supervisor_may_have_its_own_times() {
    let (system, stage) = (System::new(), Stage::default());
    let tree = Supervisor::new("tree").health(millis(100), secs(2)).intensity(9, secs(60));
    let tree = tree.child(stage.worker("own").heartbeat_timeout(secs(30)));
    system.supervise(tree.child(stage.worker("a"))).await.unwrap();
    let never = Supervisor::new("never").health(secs(0), secs(5)).child(stage.worker("n"));
    system.supervise(never).await.unwrap();
    let mut watch = Watch::new(&system);
    let begun = Instant::now();
    for id in ["own", "a", "n"] {
        act(&system, id, Act::Hang);
    }
    for (id, timeout) in [("a", secs(2)), ("own", secs(30))] {
        watch.until(&format!("tree: {id} started (incarnation 2)")).await;
        let took = begun.elapsed();
        assert!(took >= timeout && took <= timeout + millis(300), "{id} after {took:?}");
    }
    pass(secs(600)).await;
    assert_eq!(find(&system, "n").incarnation(), 1, "an interval of zero checks never");
}

#[tokio::test(start_paused = true)]
async fn s33_a_long_start_is_no_missed_heartbeat() {
    let (system, stage, gate) = (System::new(), Stage::default(), crate::stage::gate());
    stage.starts("a", [OnStart::Run, OnStart::Gate(gate.clone())]);
    system.supervise(Supervisor::new("tree").child(stage.worker("a"))).await.unwrap();
    let mut watch = Watch::new(&system);
    act(&system, "a", Act::Panic);
    watch.until("tree: starting a (incarnation 2)").await;
    pass(secs(600)).await;
    gate.add_permits(1);
    watch.until("tree: a started (incarnation 2)").await;
}

#[tokio::test(start_paused = true)]
async fn s34_every_decision_is_an_event_in_order() {
    let (system, stage) = (System::new(), Stage::default());
    let mut watch = Watch::new(&system);
    let tree = Supervisor::new("tree").rest_for_one().intensity(1, secs(60));
    let tree = tree.child(stage.worker("a").backoff(DOUBLING)).child(stage.worker("b"));
    let tree = system.supervise(tree).await.unwrap();
    act(&system, "a", Act::Panic);
    incarnations(&system, ["a", "b"]).await;
    tree.start_child(stage.worker("c").temporary()).await.unwrap();
    act(&system, "c", Act::End);
    find(&system, "c").ended().await;
    act(&system, "b", Act::Fail);
    tree.ended().await;
    let seen = watch.seen();
    let words: Vec<&str> = seen.iter().map(|words| words.strip_prefix("tree: ").unwrap()).collect();
    assert_eq!(
        words,
        [
            "starting a (incarnation 1)",
            "a started (incarnation 1)",
            "starting b (incarnation 1)",
            "b started (incarnation 1)",
            "all children have started",
            "a ended (incarnation 1): panic: scripted",
            "restart a (1 of 1 in 60s)",
            "a waits 100ms before its restart",
            "rest_for_one restart because of a",
            "stopping b (incarnation 1)",
            "b ended (incarnation 1): shutdown",
            "starting a (incarnation 2)",
            "a started (incarnation 2)",
            "starting b (incarnation 2)",
            "b started (incarnation 2)",
            "c added",
            "starting c (incarnation 1)",
            "c started (incarnation 1)",
            "c ended (incarnation 1): normal",
            "c forgotten",
            "b ended (incarnation 2): error: scripted",
            "gave up: b needs more than 1 restarts in 60s",
            "stopping all children: shutdown",
            "stopping a (incarnation 2)",
            "a ended (incarnation 2): shutdown",
            "ended: shutdown",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn s34_the_agents_own_events_stand_in_the_same_stream() {
    let (system, stage) = (System::new(), Stage::default());
    let mut events = system.events();
    stage.starts("a", [OnStart::Run, OnStart::Panic]);
    let tree = Supervisor::new("tree").intensity(1, secs(60)).child(stage.worker("a"));
    let tree = system.supervise(tree).await.unwrap();
    act(&system, "a", Act::Panic);
    tree.ended().await;
    let (mut told, mut last) = (Vec::new(), 0);
    while let Some(event) = events.try_next().unwrap() {
        assert_eq!(event.seq, last + 1, "numbered without gaps");
        last = event.seq;
        match event.kind {
            EventKind::AgentStarted { agent, incarnation } => {
                told.push(format!("{agent} {incarnation} started"));
            }
            EventKind::AgentExited { agent, incarnation, reason, started } => {
                told.push(format!("{agent} {incarnation} exited: {reason}, {started}"));
            }
            EventKind::AgentEnded { agent } => told.push(format!("{agent} ended")),
            _ => {}
        }
    }
    assert_eq!(
        told,
        [
            "a 1 started",
            "tree 1 started",
            "a 1 exited: panic: scripted, true",
            "a 2 exited: start failed: scripted, false",
            "a ended",
            "tree 1 exited: shutdown, true",
            "tree ended",
        ]
    );
}
