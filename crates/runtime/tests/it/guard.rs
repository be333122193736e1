//! B and R: breaker and retry around real calls, in virtual time.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use ggml_agent::core::breaker::{self, Breaker, State};
use ggml_agent::core::guard::{Classify, Fault};
use ggml_agent::core::retry::{self, Jitter, Policy, Why};
use ggml_agent::{AskError, EventKind, Events, Guard, GuardError, Supervisor, System};
use tokio::time::Instant;

use crate::stage::{Act, Msg, OnStart, Stage, act, find, gate, millis, pass, secs};

/// The ways in which a call of these tests fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failed {
    Later,
    LaterIn(Duration),
    Busy,
    Broken,
    Rejected,
}

impl Classify for Failed {
    fn fault(&self) -> Fault {
        match self {
            Self::Later => Fault::Transient { retry_after: None },
            Self::LaterIn(wait) => Fault::Transient { retry_after: Some(*wait) },
            Self::Busy => Fault::Busy { retry_after: None },
            Self::Broken => Fault::Broken,
            Self::Rejected => Fault::Rejected,
        }
    }
}

fn breaker() -> Arc<Breaker> {
    Arc::new(Breaker::new(breaker::Options::DEFAULT).unwrap())
}

/// One that never opens in these tests.
fn patient() -> Arc<Breaker> {
    let options = breaker::Options { failure_threshold: 1_000, ..breaker::Options::DEFAULT };
    Arc::new(Breaker::new(options).unwrap())
}

fn policy(change: impl FnOnce(&mut retry::Options)) -> Policy {
    let mut options = retry::Options::DEFAULT;
    change(&mut options);
    Policy::new(options).unwrap()
}

fn once() -> Policy {
    policy(|options| options.max_attempts = 1)
}

/// Calls a target that fails as `script` says, then succeeds. Gives the answer, the moments of the
/// calls since the first, and the time that it all took.
async fn calls(
    guard: &Guard,
    script: &[Failed],
) -> (Result<(), GuardError<Failed>>, Vec<Duration>, Duration) {
    let (begun, at) = (Instant::now(), RefCell::new(Vec::new()));
    let answer = guard
        .call(async || {
            let n = at.borrow().len();
            at.borrow_mut().push(begun.elapsed());
            script.get(n).map_or(Ok(()), |failed| Err(*failed))
        })
        .await;
    (answer, at.into_inner(), begun.elapsed())
}

/// The transitions that the stream tells of, in words.
fn transitions(events: &mut Events) -> Vec<String> {
    let mut seen = Vec::new();
    while let Some(event) = events.try_next().unwrap() {
        if let EventKind::Breaker { name, transition } = event.kind {
            seen.push(format!("{name}: {transition}"));
        }
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn b01_consecutive_failures_open_it_and_a_success_resets_the_count() {
    let system = System::new();
    let guard = Guard::new(&system, "model", breaker(), once());
    for script in [&[Failed::Later][..], &[], &[Failed::Broken]] {
        for _ in 0..4 {
            drop(calls(&guard, script).await);
        }
        assert_eq!(guard.breaker().state(system.clock().now()), State::Closed);
    }
    drop(calls(&guard, &[Failed::Later]).await);
    assert_eq!(guard.breaker().state(system.clock().now()), State::Open, "the fifth in a row");
}

#[tokio::test(start_paused = true)]
async fn b02_open_refuses_at_once_without_touching_the_target() {
    let system = System::new();
    let guard = Guard::new(&system, "model", breaker(), once());
    for _ in 0..5 {
        drop(calls(&guard, &[Failed::Later]).await);
    }
    pass(secs(29)).await;
    let (answer, at, took) = calls(&guard, &[]).await;
    assert_eq!(answer, Err(GuardError::Refused { why: Why::Breaker { refused: 1 } }));
    assert_eq!((at.len(), took), (0, secs(0)));
    let refused = guard.breaker().admit(system.clock().now()).unwrap_err();
    assert_eq!(refused.retry_after, secs(1), "the error tells the time left");
}

#[tokio::test(start_paused = true)]
async fn b03_b04_half_open_lets_probes_through_and_closes_or_opens_by_them() {
    let system = System::new();
    let mut events = system.events();
    let guard = Guard::new(&system, "model", breaker(), once());
    for _ in 0..5 {
        drop(calls(&guard, &[Failed::Later]).await);
    }
    pass(secs(30)).await;
    drop(calls(&guard, &[Failed::Later]).await); // one failure opens it again
    assert_eq!(guard.breaker().state(system.clock().now()), State::Open);
    pass(secs(30)).await;
    let gate = gate();
    let probe = || {
        guard.call(async || {
            gate.acquire().await.unwrap().forget();
            Ok::<(), Failed>(())
        })
    };
    let third = async {
        let (answer, at, _) = calls(&guard, &[]).await;
        assert_eq!((answer.is_err(), at.len()), (true, 0), "two probes are out");
        gate.add_permits(2);
    };
    let (first, second, ()) = tokio::join!(probe(), probe(), third);
    assert_eq!((first, second), (Ok(()), Ok(())));
    assert_eq!(guard.breaker().state(system.clock().now()), State::Closed);
    assert_eq!(
        transitions(&mut events),
        [
            "model: CLOSED -> OPEN",
            "model: OPEN -> HALF_OPEN",
            "model: HALF_OPEN -> OPEN",
            "model: OPEN -> HALF_OPEN",
            "model: HALF_OPEN -> CLOSED",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn b06_busy_and_rejected_open_nothing_and_a_dropped_call_is_a_failure() {
    let system = System::new();
    let guard = Guard::new(&system, "model", breaker(), once());
    for _ in 0..20 {
        drop(calls(&guard, &[Failed::Busy]).await);
        drop(calls(&guard, &[Failed::Rejected]).await);
    }
    assert_eq!(guard.breaker().snapshot(system.clock().now()).failures, 0);
    for n in 1..=5 {
        let hangs = guard.call(async || std::future::pending::<Result<(), Failed>>().await);
        assert!(tokio::time::timeout(secs(1), hangs).await.is_err());
        let snapshot = guard.breaker().snapshot(system.clock().now());
        assert_eq!((snapshot.failures, snapshot.state == State::Open), (n % 5, n == 5));
    }
}

#[tokio::test(start_paused = true)]
async fn b07_a_breaker_is_shared_by_its_callers_and_survives_the_targets_restart() {
    let (system, stage) = (System::new(), Stage::default());
    let tree = Supervisor::new("tree").intensity(100, secs(60)).child(stage.worker("a"));
    system.supervise(tree).await.unwrap();
    let (addr, breaker) = (find(&system, "a"), breaker());
    let mut events = system.events();
    let callers = [(); 3].map(|()| addr.guarded(breaker.clone(), once()));
    // The question itself makes the handler fail: no answer, a restart each time.
    for n in 0..5 {
        let failing = callers[n % 3].ask(|reply| Msg::Crash(u64::MAX, reply));
        let error = failing.await.unwrap_err();
        assert_eq!(error.failure(), Some(&AskError::Restarting), "{error:?}");
        assert_eq!(addr.ask(Msg::Ping).await, Ok(n as u64 + 2), "the agent itself is well again");
    }
    for caller in &callers {
        let refused = caller.ask(Msg::Ping).await.unwrap_err();
        assert_eq!(refused, GuardError::Refused { why: Why::Breaker { refused: 1 } });
    }
    pass(secs(30)).await;
    for caller in &callers[..2] {
        assert_eq!(caller.ask(Msg::Ping).await, Ok(6));
    }
    assert_eq!(breaker.state(system.clock().now()), State::Closed);
    let expected = ["a: CLOSED -> OPEN", "a: OPEN -> HALF_OPEN", "a: HALF_OPEN -> CLOSED"];
    assert_eq!(transitions(&mut events), expected);
}

#[tokio::test(start_paused = true)]
async fn b08_a_probe_that_never_reports_does_not_block_for_ever() {
    let system = System::new();
    let guard = Guard::new(&system, "model", breaker(), once());
    for _ in 0..5 {
        drop(calls(&guard, &[Failed::Later]).await);
    }
    pass(secs(30)).await;
    let hang = || guard.call(async || std::future::pending::<Result<(), Failed>>().await);
    let (mut first, mut second) = (std::pin::pin!(hang()), std::pin::pin!(hang()));
    for probe in [&mut first, &mut second] {
        assert!(tokio::time::timeout(secs(0), probe).await.is_err());
    }
    assert_eq!(calls(&guard, &[]).await.1.len(), 0, "all probes are out");
    pass(secs(31)).await;
    assert_eq!(calls(&guard, &[]).await.0, Ok(()), "they are given up");
    assert_eq!(calls(&guard, &[]).await.0, Ok(()));
    assert_eq!(guard.breaker().state(system.clock().now()), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn r01_waits_of_100_200_400_ms_between_at_most_so_many_attempts() {
    let system = System::new();
    let guard = Guard::new(&system, "model", patient(), Policy::DEFAULT);
    let (answer, at, _) = calls(&guard, &[Failed::Later; 2]).await;
    assert_eq!(answer, Ok(()), "the third attempt is the last one");
    assert_eq!(at, [0, 100, 300].map(millis));
    let (answer, at, took) = calls(&guard, &[Failed::Later; 3]).await;
    let why = Why::Attempts { made: 3 };
    assert_eq!(answer, Err(GuardError::Failed { why, source: Failed::Later }));
    assert_eq!((at.len(), took), (3, millis(300)), "no wait after the last one");
    let five = Guard::new(&system, "model", patient(), policy(|o| o.max_attempts = 5));
    let (_, at, _) = calls(&five, &[Failed::Later; 9]).await;
    assert_eq!(at, [0, 100, 300, 700, 1_500].map(millis));
}

#[tokio::test(start_paused = true)]
async fn r02_jitter_by_choice_and_a_retry_after_is_honoured() {
    let system = System::new();
    let guard = Guard::new(&system, "model", patient(), Policy::DEFAULT);
    let (_, at, _) = calls(&guard, &[Failed::LaterIn(secs(7)), Failed::Later]).await;
    assert_eq!(at, [0, 7_000, 7_200].map(millis));
    let why = calls(&guard, &[Failed::LaterIn(secs(301))]).await.0.unwrap_err();
    assert!(matches!(why, GuardError::Failed { why: Why::AskedTooLong { .. }, .. }), "{why:?}");
    let jittery = policy(|options| options.jitter = Jitter::Full);
    let jittery = Guard::new(&system, "model", patient(), jittery);
    let mut waits = Vec::new();
    for _ in 0..20 {
        let (_, at, _) = calls(&jittery, &[Failed::Later]).await;
        assert!(at[1] <= millis(101), "{at:?}");
        waits.push(at[1]);
    }
    waits.dedup();
    assert!(waits.len() > 1, "they differ");
}

#[tokio::test(start_paused = true)]
async fn r03_no_wait_exceeds_the_longest_one() {
    let system = System::new();
    let steep = policy(|options| {
        options.max_attempts = 20;
        options.multiplier = f64::MAX;
    });
    let guard = Guard::new(&system, "model", patient(), steep);
    let (_, at, _) = calls(&guard, &[Failed::Later; 20]).await;
    let waits: Vec<_> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(waits[0], millis(100));
    assert_eq!(waits[1..], [secs(10); 18]);
}

#[tokio::test(start_paused = true)]
async fn r04_only_what_is_transient_is_retried() {
    let system = System::new();
    let guard = Guard::new(&system, "model", patient(), Policy::DEFAULT);
    for (failed, n_calls) in
        [(Failed::Later, 3), (Failed::Busy, 3), (Failed::Broken, 1), (Failed::Rejected, 1)]
    {
        let (answer, at, _) = calls(&guard, &[failed; 9]).await;
        let error = answer.unwrap_err();
        assert_eq!((at.len(), error.failure()), (n_calls, Some(&failed)));
        assert_eq!(error.is_retryable(), n_calls > 1);
    }
}

#[tokio::test(start_paused = true)]
async fn r04_an_ask_is_retried_while_its_agent_restarts_and_not_when_it_is_gone() {
    let (system, stage) = (System::new(), Stage::default());
    let tree = Supervisor::new("tree").child(stage.worker("a"));
    let tree = system.supervise(tree).await.unwrap();
    let a = find(&system, "a").guarded(patient(), Policy::DEFAULT);
    let begun = Instant::now();
    assert_eq!(a.ask(|reply| Msg::Crash(2, reply)).await, Ok(3), "the third attempt");
    assert_eq!(begun.elapsed(), millis(300));
    let asked = Cell::new(0);
    let error = a.ask(|reply| {
        asked.set(asked.get() + 1);
        Msg::Ignore(reply)
    });
    let error = error.await.unwrap_err();
    assert_eq!((error.failure(), asked.get()), (Some(&AskError::NoReply), 1));
    tree.stop().await;
    let error = a.ask(Msg::Ping).await.unwrap_err();
    let why = Why::Permanent;
    assert_eq!(error, GuardError::Failed { why, source: AskError::Ended });
}

#[tokio::test(start_paused = true)]
async fn r05_a_deadline_bounds_the_sum() {
    let system = System::new();
    let hurried = policy(|options| {
        options.max_attempts = 10;
        options.deadline = Some(millis(700));
    });
    let guard = Guard::new(&system, "model", patient(), hurried);
    let (answer, at, took) = calls(&guard, &[Failed::Later; 10]).await;
    assert_eq!(at, [0, 100, 300].map(millis), "the next one would start at the deadline");
    assert_eq!(took, millis(300), "and nobody waits for it");
    let why = Why::Deadline { wait: millis(400), left: millis(400) };
    assert_eq!(answer, Err(GuardError::Failed { why, source: Failed::Later }));
}

#[tokio::test(start_paused = true)]
async fn r05_the_time_of_the_attempts_counts_and_each_ask_has_its_own_deadline() {
    let (system, stage) = (System::new(), Stage::default());
    system.start(stage.worker("a")).await.unwrap();
    act(&system, "a", Act::Hang);
    let hurried = policy(|options| {
        options.max_attempts = 10;
        options.deadline = Some(secs(4));
    });
    let a = find(&system, "a").guarded(patient(), hurried).within(secs(1));
    let begun = Instant::now();
    let error = a.ask(Msg::Ping).await.unwrap_err();
    assert_eq!(error.failure(), Some(&AskError::Deadline(secs(1))));
    assert!(begun.elapsed() <= secs(5), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn r06_a_dropped_call_is_not_tried_again() {
    let system = System::new();
    let guard = Guard::new(&system, "model", patient(), Policy::DEFAULT);
    let n_calls = Cell::new(0);
    let call = guard.call(async || {
        n_calls.set(n_calls.get() + 1);
        Err::<(), _>(Failed::Later)
    });
    assert!(tokio::time::timeout(millis(250), call).await.is_err());
    assert_eq!(n_calls.get(), 2, "at 0 and 100 ms");
    pass(secs(3_600)).await;
    assert_eq!(n_calls.get(), 2);
    let snapshot = guard.breaker().snapshot(system.clock().now());
    assert_eq!((snapshot.failures, snapshot.n_probes), (2, 0), "a wait holds no permit");
}

#[tokio::test(start_paused = true)]
async fn r06_a_dropped_ask_is_not_tried_again() {
    let (system, stage) = (System::new(), Stage::default());
    stage.starts("a", [OnStart::Run, OnStart::Hang]);
    system.supervise(Supervisor::new("tree").child(stage.worker("a"))).await.unwrap();
    let (addr, asked) = (find(&system, "a"), Cell::new(0));
    let a = addr.guarded(patient(), Policy::DEFAULT);
    let ask = a.ask(|reply| {
        asked.set(asked.get() + 1);
        Msg::Crash(1, reply)
    });
    assert!(tokio::time::timeout(millis(50), ask).await.is_err(), "within the first wait");
    pass(secs(60)).await;
    assert_eq!((asked.get(), addr.queued()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn r07_an_open_breaker_is_not_retried_against_before_it_can_let_a_call_in() {
    let system = System::new();
    let guard = Guard::new(&system, "model", breaker(), Policy::DEFAULT);
    guard.breaker().trip(system.clock().now());
    let (answer, at, _) = calls(&guard, &[]).await;
    assert_eq!((answer, at), (Ok(()), vec![secs(30)]), "one wait, and the probe");
    // The failure that opens it is followed by one wait as long as it is open.
    let sharp = breaker::Options { failure_threshold: 2, ..breaker::Options::DEFAULT };
    let sharp = Arc::new(Breaker::new(sharp).unwrap());
    let guard = Guard::new(&system, "model", sharp, Policy::DEFAULT);
    let (answer, at, _) = calls(&guard, &[Failed::Later; 2]).await;
    assert_eq!((answer, at), (Ok(()), vec![millis(0), millis(100), millis(30_100)]));
}

#[tokio::test(start_paused = true)]
async fn r07_nobody_waits_for_a_breaker_beyond_his_deadline() {
    let system = System::new();
    let hurried = policy(|options| options.deadline = Some(secs(10)));
    let guard = Guard::new(&system, "model", breaker(), hurried);
    guard.breaker().trip(system.clock().now());
    let (answer, at, took) = calls(&guard, &[]).await;
    let why = Why::Deadline { wait: secs(30), left: secs(10) };
    assert_eq!(answer, Err(GuardError::Refused { why }));
    assert_eq!((at.len(), took), (0, secs(0)));
}
