//! S1 to S4: starts.

use ggml_agent::core::supervise::{AutoShutdown, ChildState, SpecError};
use ggml_agent::{ExitReason, StartError, Strategy, Supervisor, System};

use crate::stage::{OnStart, Stage, Watch, gate, incarnations, secs};

#[tokio::test(start_paused = true)]
async fn s01_children_start_in_order_each_after_the_start_before_it_returned() {
    let (system, stage, gate) = (System::new(), Stage::default(), gate());
    let mut watch = Watch::new(&system);
    stage.starts("b", [OnStart::Gate(gate.clone())]);
    let tree = Supervisor::new("tree").children(["a", "b", "c"].map(|id| stage.worker(id)));
    let start = system.supervise(tree);
    let open = async {
        watch.until("tree: starting b (incarnation 1)").await;
        assert_eq!(stage.log(), "+a", "c waits for b");
        assert!(system.lookup_any("c").is_none());
        gate.add_permits(1);
    };
    let (tree, ()) = tokio::join!(start, open);
    assert_eq!(stage.log(), "+b +c");
    assert_eq!(
        watch.seen(),
        [
            "tree: b started (incarnation 1)",
            "tree: starting c (incarnation 1)",
            "tree: c started (incarnation 1)",
            "tree: all children have started",
        ]
    );
    assert_eq!(tree.unwrap().stop().await, ExitReason::Shutdown);
}

#[tokio::test(start_paused = true)]
async fn s02_a_failed_first_start_undoes_the_others_and_names_the_child() {
    for failure in [OnStart::Fail, OnStart::Panic] {
        let (system, stage) = (System::new(), Stage::default());
        stage.starts("c", [failure]);
        let tree =
            || Supervisor::new("tree").children(["a", "b", "c", "d"].map(|id| stage.worker(id)));
        let Err(StartError::Failed { id, reason }) = system.supervise(tree()).await else {
            panic!("it did not fail")
        };
        assert_eq!(id.as_str(), "tree");
        assert_eq!(reason.to_string(), "start failed: c: start failed: scripted");
        assert_eq!(stage.log(), "+a +b !c ~c -b ~b -a ~a", "no retry, and d never starts");
        assert_eq!(system.agents().len(), 0, "every id is free again");
        system.supervise(tree()).await.unwrap();
        assert_eq!(stage.log(), "+a +b +c +d");
    }
}

#[tokio::test(start_paused = true)]
async fn s02_a_failed_start_deep_down_undoes_the_whole_tree() {
    let (system, stage) = (System::new(), Stage::default());
    stage.starts("c", [OnStart::Fail]);
    let inner = Supervisor::new("inner").child(stage.worker("b")).child(stage.worker("c"));
    let tree = Supervisor::new("tree").child(stage.worker("a")).child(inner);
    let error = system.supervise(tree).await.unwrap_err();
    assert!(error.to_string().contains("inner: start failed: c: start failed"), "{error}");
    assert_eq!(stage.log(), "+a +b !c ~c -b ~b -a ~a");
    assert_eq!(system.agents().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn s03_an_ignored_start_keeps_the_spec_and_is_no_error() {
    let (system, stage) = (System::new(), Stage::default());
    stage.starts("b", [OnStart::Ignore, OnStart::Ignore]);
    let tree = Supervisor::new("tree").children(["a", "b", "c"].map(|id| stage.worker(id)));
    let tree = system.supervise(tree).await.unwrap();
    assert_eq!(stage.log(), "+a !b ~b +c");
    assert!(system.lookup_any("b").is_none());
    let states: Vec<_> = tree.children().await.unwrap().iter().map(|child| child.state).collect();
    assert_eq!(states, [ChildState::Running, ChildState::Stopped, ChildState::Running]);
    let b = "b".parse().unwrap();
    tree.restart_child(&b).await.unwrap();
    assert_eq!(tree.counts().await.unwrap().stopped, 1, "it ignored that, too");
    tree.restart_child(&b).await.unwrap();
    assert_eq!(incarnations(&system, ["a", "b", "c"]).await, [1, 3, 1]);
}

#[tokio::test(start_paused = true)]
async fn s03_an_agent_without_a_supervisor_may_ignore_its_start() {
    let (system, stage) = (System::new(), Stage::default());
    stage.starts("a", [OnStart::Ignore]);
    let error = system.start(stage.worker("a")).await.unwrap_err();
    assert_eq!(error, StartError::Ignored { id: "a".parse().unwrap() });
    assert!(system.lookup_any("a").is_none());
}

#[tokio::test(start_paused = true)]
async fn s04_a_wrong_spec_is_refused_by_its_own_error_before_anything_starts() {
    let (system, stage) = (System::new(), Stage::default());
    let id = || "a".parse().unwrap();
    let any = || Supervisor::new("tree").auto_shutdown(AutoShutdown::AnySignificant);
    let first = || Supervisor::new("tree").child(stage.worker("first"));
    let cases = [
        (
            first().child(stage.worker("a")).child(stage.worker("a")),
            SpecError::DuplicateId { id: id() },
        ),
        (first().intensity(1, secs(0)), SpecError::PeriodZero),
        (
            any().child(stage.worker("first")).child(stage.worker("a").significant()),
            SpecError::SignificantPermanent { id: id() },
        ),
        (
            first().child(stage.worker("a").transient().significant()),
            SpecError::SignificantWithoutAutoShutdown { id: id() },
        ),
        (
            Supervisor::dynamic("tree").one_for_all().child(stage.worker("first")),
            SpecError::DynamicStrategy { strategy: Strategy::OneForAll },
        ),
    ];
    for (tree, expected) in cases {
        let outer = Supervisor::new("outer").child(stage.worker("first")).child(tree);
        assert_eq!(system.supervise(outer).await.unwrap_err(), StartError::Spec(expected));
        assert_eq!(stage.log(), "");
        assert_eq!(system.agents().len(), 0);
    }
    let unnamed = first().child(stage.worker(""));
    assert!(matches!(system.supervise(unnamed).await, Err(StartError::Id(_))));
    assert_eq!(stage.log(), "");
}
