//! S30 and S31: administration, and many children.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use ggml_agent::core::supervise::{CallError, ChildState, Counts};
use ggml_agent::{
    AgentId, Backoff, Dispatch, Options, Runnable, StartError, Supervisor, SupervisorRef, System,
    TURN_BUDGET,
};

use crate::stage::{
    Act, Msg, OnStart, OnStop, Stage, Watch, act, find, gate, incarnations, pass, secs,
};

fn id(id: &str) -> AgentId {
    id.parse().unwrap()
}

fn refused<T>(result: Result<T, StartError>) -> CallError {
    match result {
        Err(StartError::Refused(error)) => error,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was done"),
    }
}

async fn state_of(tree: &SupervisorRef, id: &str) -> ChildState {
    let children = tree.children().await.unwrap();
    children.iter().find(|child| child.id.as_str() == id).unwrap().state
}

/// A team with a child `x` in this state, and another one that runs.
async fn with_x(state: ChildState) -> (System, Stage, SupervisorRef) {
    let (system, stage) = (System::new(), Stage::default());
    let wait = Backoff { initial: secs(10), jitter: 0.0, ..Backoff::DEFAULT };
    let team = system.supervise(Supervisor::new("team").child(stage.worker("y"))).await.unwrap();
    if state == ChildState::Starting {
        stage.starts("x", [OnStart::Hang]);
        let (team, spec) = (team.clone(), stage.worker("x"));
        let mut watch = Watch::new(&system);
        system.runtime().spawn(async move { drop(team.start_child(spec).await) });
        watch.until("team: starting x (incarnation 1)").await;
    } else {
        team.start_child(stage.worker("x").backoff(wait)).await.unwrap();
    }
    let mut watch = Watch::new(&system);
    match state {
        ChildState::Stopped => team.stop_child(&id("x")).await.unwrap(),
        ChildState::Starting | ChildState::Running => {}
        ChildState::Restarting => {
            act(&system, "x", Act::Panic);
            watch.until("team: x waits 10s before its restart").await;
        }
        ChildState::Stopping => {
            stage.stops("x", OnStop::Hang);
            let team = team.clone();
            system.runtime().spawn(async move { drop(team.stop_child(&id("x")).await) });
            watch.until("team: stopping x (incarnation 1)").await;
        }
    }
    assert_eq!(state_of(&team, "x").await, state);
    (system, stage, team)
}

const STATES: [ChildState; 5] = [
    ChildState::Stopped,
    ChildState::Starting,
    ChildState::Running,
    ChildState::Restarting,
    ChildState::Stopping,
];

#[tokio::test(start_paused = true)]
async fn s30_start_says_what_the_child_of_that_id_is_doing() {
    for state in STATES {
        let (_system, stage, team) = with_x(state).await;
        let error = refused(team.start_child(stage.worker("x")).await);
        assert_eq!(error, CallError::Exists { id: id("x"), state });
    }
}

#[tokio::test(start_paused = true)]
async fn s30_stop_works_in_every_state() {
    for state in STATES {
        let (system, _stage, team) = with_x(state).await;
        team.stop_child(&id("x")).await.unwrap();
        assert_eq!(state_of(&team, "x").await, ChildState::Stopped, "{state}");
        assert!(system.lookup_any("x").is_none(), "{state}");
        assert_eq!(incarnations(&system, ["y"]).await, [1]);
    }
}

#[tokio::test(start_paused = true)]
async fn s30_restart_and_delete_want_a_stopped_child() {
    for state in STATES {
        let (system, _stage, team) = with_x(state).await;
        if state == ChildState::Stopped {
            team.restart_child(&id("x")).await.unwrap();
            assert_eq!(incarnations(&system, ["x"]).await, [2]);
            team.stop_child(&id("x")).await.unwrap();
            team.delete_child(&id("x")).await.unwrap();
            assert_eq!(team.counts().await.unwrap().specs, 1);
        } else {
            let expected = CallError::NotStopped { id: id("x"), state };
            assert_eq!(refused(team.restart_child(&id("x")).await), expected);
            assert_eq!(refused(team.delete_child(&id("x")).await), expected);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s30_nobody_of_that_name_is_an_answer_too() {
    let (_system, _stage, team) = with_x(ChildState::Running).await;
    let unknown = CallError::Unknown { id: id("z") };
    assert_eq!(refused(team.stop_child(&id("z")).await), unknown);
    assert_eq!(refused(team.restart_child(&id("z")).await), unknown);
    assert_eq!(refused(team.delete_child(&id("z")).await), unknown);
}

#[tokio::test(start_paused = true)]
async fn s30_counts_are_right_at_every_step() {
    let worker = |counts: Counts| Counts { workers: 2, specs: 2, ..counts };
    for (state, counts) in [
        (ChildState::Stopped, Counts { stopped: 1, running: 1, ..Counts::default() }),
        (ChildState::Starting, Counts { starting: 1, running: 1, ..Counts::default() }),
        (ChildState::Running, Counts { running: 2, ..Counts::default() }),
        (ChildState::Restarting, Counts { restarting: 1, running: 1, ..Counts::default() }),
        (ChildState::Stopping, Counts { stopping: 1, running: 1, ..Counts::default() }),
    ] {
        let (_system, _stage, team) = with_x(state).await;
        assert_eq!(team.counts().await.unwrap(), worker(counts), "{state}");
    }
}

#[tokio::test(start_paused = true)]
async fn s30_a_new_child_whose_start_fails_is_gone_again() {
    let (system, stage, team) = with_x(ChildState::Running).await;
    for failure in [OnStart::Fail, OnStart::Panic] {
        stage.starts("n", [failure]);
        let error = refused(team.start_child(stage.worker("n")).await);
        assert!(matches!(error, CallError::StartFailed { .. }), "{error:?}");
        assert_eq!(team.counts().await.unwrap().specs, 2);
        assert!(system.lookup_any("n").is_none());
    }
    stage.starts("n", [OnStart::Ignore]);
    let ignored = team.start_child(stage.worker("n").temporary()).await.unwrap_err();
    assert_eq!(ignored, StartError::Ignored { id: id("n") });
    assert_eq!(team.counts().await.unwrap().specs, 2);
    team.start_child(stage.worker("n")).await.unwrap();
    assert_eq!(team.counts().await.unwrap().running, 3);
}

#[tokio::test(start_paused = true)]
async fn s30_a_restart_that_fails_leaves_the_child_stopped() {
    let (_system, stage, team) = with_x(ChildState::Stopped).await;
    stage.starts("x", [OnStart::Fail]);
    let error = refused(team.restart_child(&id("x")).await);
    assert!(matches!(error, CallError::StartFailed { .. }), "{error:?}");
    assert_eq!(state_of(&team, "x").await, ChildState::Stopped);
}

#[tokio::test(start_paused = true)]
async fn s30_an_id_that_lives_elsewhere_in_the_system_is_refused() {
    let (system, stage, team) = with_x(ChildState::Running).await;
    system.start(stage.worker("solo")).await.unwrap();
    let error = refused(team.start_child(stage.worker("solo")).await);
    assert!(error.to_string().contains("taken"), "{error}");
    assert_eq!(team.counts().await.unwrap().specs, 2);
    assert_eq!(incarnations(&system, ["solo", "x"]).await, [1, 1], "nobody was harmed");
}

#[tokio::test(start_paused = true)]
async fn s30_a_supervisor_that_stops_or_has_stopped_says_so() {
    let (system, stage, gate) = (System::new(), Stage::default(), gate());
    stage.stops("x", OnStop::Gate(gate.clone()));
    let team = system.supervise(Supervisor::new("team").child(stage.worker("x"))).await.unwrap();
    let mut watch = Watch::new(&system);
    let ask = async {
        watch.until("team: stopping x (incarnation 1)").await;
        assert_eq!(team.counts().await.unwrap().stopping, 1);
        assert_eq!(refused(team.stop_child(&id("x")).await), CallError::Stopping);
        assert_eq!(refused(team.start_child(stage.worker("n")).await), CallError::Stopping);
        gate.add_permits(1);
    };
    tokio::join!(team.stop(), ask);
    assert_eq!(team.counts().await.unwrap_err(), StartError::Ended);
    assert_eq!(team.start_child(stage.worker("n")).await.unwrap_err(), StartError::Ended);
}

#[tokio::test(start_paused = true)]
async fn s30_supervisors_come_and_go_at_run_time_too() {
    let (system, stage, team) = with_x(ChildState::Running).await;
    let sub = Supervisor::new("sub").child(stage.worker("deep"));
    let sub = team.start_supervisor(sub).await.unwrap();
    assert_eq!(team.counts().await.unwrap().supervisors, 1);
    let deep = find(&system, "deep");
    team.stop_child(sub.id()).await.unwrap();
    deep.ended().await;
    team.restart_child(sub.id()).await.unwrap();
    assert_eq!(deep.ask(Msg::Ping).await, Ok(2), "under its old address");
    pass(secs(1)).await;
    team.stop().await;
    assert_eq!(system.agents().len(), 0);
}

/// Gives turns on a job of its own, and counts them by agent.
#[derive(Default)]
struct Counting {
    queue: Mutex<Vec<Runnable>>,
    turns: Mutex<BTreeMap<AgentId, usize>>,
    wake: tokio::sync::Notify,
}

impl Dispatch for Counting {
    fn dispatch(&self, cell: Runnable) {
        self.queue.lock().unwrap().push(cell);
        self.wake.notify_one();
    }
}

impl Counting {
    async fn run(&self) {
        loop {
            let cells = std::mem::take(&mut *self.queue.lock().unwrap());
            if cells.is_empty() {
                self.wake.notified().await;
            }
            for cell in cells {
                *self.turns.lock().unwrap().entry(cell.id().clone()).or_default() += 1;
                cell.run(TURN_BUDGET);
            }
        }
    }
}

/// Starts and stops so many children; gives the turns of the supervisor, the turns of the children
/// and the decisions taken.
async fn start_and_stop(n: usize, dynamic: bool) -> [usize; 3] {
    let counting = Arc::new(Counting::default());
    let options = Options { dispatch: Some(counting.clone()), ..Options::default() };
    let (system, stage) = (System::with(options), Stage::default());
    let runner = system.runtime().spawn({
        let counting = counting.clone();
        async move { counting.run().await }
    });
    let tree = if dynamic { Supervisor::dynamic("tree") } else { Supervisor::new("tree") };
    // No health check in between: its turns are a matter of time, not of children.
    let tree = tree.health(secs(0), secs(5));
    let tree = tree.children((0..n).map(|n| stage.worker(&format!("w{n}"))));
    let tree = system.supervise(tree).await.unwrap();
    assert_eq!(tree.counts().await.unwrap().running, n);
    tree.stop().await;
    let log = stage.log();
    assert_eq!([log.matches('+').count(), log.matches('~').count()], [n, n]);
    assert_eq!(system.agents().len(), 0);
    let mut turns = std::mem::take(&mut *counting.turns.lock().unwrap());
    let own = turns.remove("tree").unwrap();
    runner.abort();
    [own, turns.values().sum(), turns.len()]
}

#[tokio::test(start_paused = true)]
async fn s31_ten_thousand_children_start_and_stop_in_linear_work() {
    for dynamic in [false, true] {
        let [few_own, few_turns, few] = start_and_stop(1_000, dynamic).await;
        let [own, turns, n] = start_and_stop(10_000, dynamic).await;
        assert_eq!([few, n], [1_000, 10_000]);
        assert!(own <= 10 * few_own + 100, "{own} turns, after {few_own} for a tenth");
        assert!(turns <= 10 * few_turns, "{turns} turns, after {few_turns} for a tenth");
    }
}
