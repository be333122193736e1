//! S30: many children started at once.

use ggml_agent::core::supervise::CallError;
use ggml_agent::{Addr, ChildSpec, StartError, Supervisor, SupervisorRef, System};

use crate::stage::{OnStart, Stage, Watch, Worker, gate, incarnations, pass, secs};

async fn crowd(system: &System) -> SupervisorRef {
    system.supervise(Supervisor::dynamic("crowd")).await.unwrap()
}

fn workers(stage: &Stage, ids: &str) -> Vec<ChildSpec<Worker>> {
    ids.split(' ').map(|id| stage.worker(id)).collect()
}

fn ids(addrs: &[Addr<Worker>]) -> String {
    addrs.iter().map(|addr| addr.id().as_str()).collect::<Vec<_>>().join(" ")
}

#[tokio::test(start_paused = true)]
async fn s30_many_children_start_in_order_and_so_are_their_addresses() {
    for dynamic in [false, true] {
        let (system, stage) = (System::new(), Stage::default());
        let tree = if dynamic { Supervisor::dynamic("tree") } else { Supervisor::new("tree") };
        let tree = system.supervise(tree).await.unwrap();
        assert!(tree.start_children(Vec::<ChildSpec<Worker>>::new()).await.unwrap().is_empty());
        // More than are handed over at once, and not a multiple of it.
        let names: Vec<_> = (0..700).map(|n| format!("w{n}")).collect();
        let specs = names.iter().map(|name| stage.worker(name));
        let addrs = tree.start_children(specs).await.unwrap();
        assert_eq!(ids(&addrs), names.join(" "));
        assert_eq!(
            stage.log(),
            names.iter().map(|n| format!("+{n}")).collect::<Vec<_>>().join(" ")
        );
        assert_eq!(tree.counts().await.unwrap().running, 700);
        let listed = tree.children().await.unwrap();
        assert!(listed.iter().map(|child| child.id.as_str()).eq(&names));
        tree.stop().await;
        assert_eq!(system.agents().len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn s01_each_of_many_starts_after_the_start_before_it_returned() {
    let (system, stage, gate) = (System::new(), Stage::default(), gate());
    let crowd = crowd(&system).await;
    let mut watch = Watch::new(&system);
    stage.starts("b", [OnStart::Gate(gate.clone())]);
    let open = async {
        watch.until("crowd: starting b (incarnation 1)").await;
        pass(secs(100)).await;
        assert_eq!(stage.log(), "+a", "c waits for b");
        assert_eq!(crowd.counts().await.unwrap().specs, 2, "and others are answered meanwhile");
        crowd.start_child(stage.worker("x")).await.unwrap();
        gate.add_permits(1);
    };
    let (addrs, ()) = tokio::join!(crowd.start_children(workers(&stage, "a b c")), open);
    assert_eq!(ids(&addrs.unwrap()), "a b c");
    assert_eq!(stage.log(), "+x +b +c");
}

#[tokio::test(start_paused = true)]
async fn s30_the_first_of_many_that_does_not_start_ends_it_and_the_error_says_who_runs() {
    let refused = |error: &StartError| match error {
        StartError::Refused(error) => format!("{error}"),
        error => format!("{error}"),
    };
    for (bad, start, says) in [
        ("c", OnStart::Fail, "child c did not start: start failed: scripted"),
        ("c", OnStart::Panic, "child c did not start: start failed: scripted"),
        ("c", OnStart::Ignore, "c chose not to run"),
        ("a", OnStart::Run, "child a is there already (running)"),
        ("elsewhere", OnStart::Run, "child elsewhere did not start"),
        ("", OnStart::Run, "the spec's id is wrong"),
    ] {
        let (system, stage) = (System::new(), Stage::default());
        system.start(stage.worker("elsewhere")).await.unwrap();
        stage.log();
        let crowd = crowd(&system).await;
        stage.starts(bad, [start]);
        let specs = workers(&stage, &format!("a b {bad} d"));
        stage.starts("a", []);
        let failed = crowd.start_children(specs).await.unwrap_err();
        assert_eq!(ids(&failed.started), "a b", "{bad}");
        assert!(refused(&failed.error).starts_with(says), "{failed:?}");
        assert_eq!(failed.to_string(), "2 children were started, the next one was not");
        assert_eq!(incarnations(&system, ["a", "b"]).await, [1, 1]);
        let counts = crowd.counts().await.unwrap();
        assert_eq!((counts.specs, counts.running), (2, 2), "{bad}");
        assert!(system.lookup_any("d").is_none());
        assert!(!stage.log().contains("+d"));
    }
}

#[tokio::test(start_paused = true)]
async fn s30_who_leaves_while_many_start_gets_no_more_of_them() {
    let (system, stage, gate) = (System::new(), Stage::default(), gate());
    let crowd = crowd(&system).await;
    let mut watch = Watch::new(&system);
    stage.starts("b", [OnStart::Gate(gate.clone())]);
    let start = crowd.start_children(workers(&stage, "a b c"));
    tokio::time::timeout(secs(1), start).await.unwrap_err();
    gate.add_permits(1);
    watch.until("crowd: b started (incarnation 1)").await;
    assert_eq!(crowd.counts().await.unwrap().running, 2);
    assert_eq!(stage.log(), "+a +b");
    assert!(watch.seen().iter().all(|words| !words.contains(" c ")));
}

#[tokio::test(start_paused = true)]
async fn s30_a_supervisor_that_stops_says_so_to_who_starts_many() {
    let (system, stage) = (System::new(), Stage::default());
    let crowd = crowd(&system).await;
    let mut watch = Watch::new(&system);
    stage.starts("b", [OnStart::Hang]);
    let stop = async {
        watch.until("crowd: starting b (incarnation 1)").await;
        crowd.stop().await;
    };
    let (failed, ()) = tokio::join!(crowd.start_children(workers(&stage, "a b c")), stop);
    let failed = failed.unwrap_err();
    let id = "b".parse().unwrap();
    assert_eq!(failed.error, StartError::Refused(CallError::Interrupted { id }));
    assert_eq!(ids(&failed.started), "a", "it was started, and has ended");
    assert!(!failed.started[0].is_alive());
    let failed = crowd.start_children(workers(&stage, "d")).await.unwrap_err();
    assert_eq!((failed.error, failed.started.len()), (StartError::Ended, 0));
    assert_eq!(system.agents().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn s30_a_killed_supervisor_leaves_nobody_waiting_for_many() {
    let (system, stage) = (System::new(), Stage::default());
    let crowd = crowd(&system).await;
    let mut watch = Watch::new(&system);
    stage.starts("b", [OnStart::Hang]);
    let kill = async {
        watch.until("crowd: starting b (incarnation 1)").await;
        crowd.kill();
    };
    let (failed, ()) = tokio::join!(crowd.start_children(workers(&stage, "a b c")), kill);
    assert_eq!(failed.unwrap_err().error, StartError::Ended);
    crowd.ended().await;
    pass(secs(1)).await;
    assert_eq!((system.agents().len(), stage.alive()), (0, 0));
}
