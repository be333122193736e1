use super::world::*;
use crate::supervise::*;

/// A world with one child in each state that can be named from outside.
fn states() -> World {
    let children = vec![worker("run"), worker("wait").backoff(Backoff::DEFAULT), worker("halt")];
    let mut world = World::started(SupervisorSpec::DEFAULT, children);
    world.crash("wait");
    world.call(Request::Stop(id("halt")));
    world.plan("begin", &[Plan::Hang]);
    world.add(worker("begin"));
    world.add(worker("end"));
    world.stick("end");
    world.call_later(Request::Stop(id("end")));
    world.take();
    world
}

#[test]
fn s30_every_request_has_an_answer_in_every_state() {
    let not_stopped = |text: &str, state| Err(CallError::NotStopped { id: id(text), state });
    let rows = [
        ("run", ChildState::Running),
        ("wait", ChildState::Restarting),
        ("begin", ChildState::Starting),
        ("end", ChildState::Stopping),
    ];
    for (name, state) in rows {
        let mut world = states();
        assert_eq!(world.state(name), Some(state));
        let exists = CallError::Exists { id: id(name), state };
        assert_eq!(world.add(worker(name)), Some(Err(exists)));
        assert_eq!(world.call(Request::Restart(id(name))), Some(not_stopped(name, state)));
        assert_eq!(world.call(Request::Delete(id(name))), Some(not_stopped(name, state)));
        let stopped = world.call(Request::Stop(id(name)));
        assert_eq!(stopped.is_none(), name == "end");
    }
    let mut world = states();
    let exists = CallError::Exists { id: id("halt"), state: ChildState::Stopped };
    assert_eq!(world.add(worker("halt")), Some(Err(exists)));
    assert_eq!(world.call(Request::Stop(id("halt"))), Some(Ok(Answer::Stopped)));
    assert!(matches!(world.call(Request::Restart(id("halt"))), Some(Ok(Answer::Started { .. }))));
    world.call(Request::Stop(id("halt")));
    assert_eq!(world.call(Request::Delete(id("halt"))), Some(Ok(Answer::Deleted)));
    for request in [Request::Stop(id("x")), Request::Restart(id("x")), Request::Delete(id("halt"))]
    {
        assert!(matches!(world.call(request), Some(Err(CallError::Unknown { .. }))));
    }
}

#[test]
fn s30_counts_are_right_at_every_step() {
    let counts = states().machine.counts();
    let expected = Counts {
        specs: 5,
        stopped: 1,
        starting: 1,
        running: 1,
        restarting: 1,
        stopping: 1,
        workers: 5,
        supervisors: 0,
    };
    assert_eq!(counts, expected);
}

#[test]
fn s30_two_stops_of_one_child_are_both_answered() {
    let mut world = World::started(SupervisorSpec::DEFAULT, team("a"));
    world.stick("a");
    let calls =
        [world.call_later(Request::Stop(id("a"))), world.call_later(Request::Stop(id("a")))];
    assert_eq!(calls.map(|call| world.answer(call)), [None, None]);
    world.advance(secs(5));
    let stopped = || Some(Ok(Answer::Stopped));
    assert_eq!(calls.map(|call| world.answer(call)), [stopped(), stopped()]);
    assert_eq!(world.take(), "stop a1, kill a1");
}

#[test]
fn s30_a_start_call_that_fails_keeps_no_spec() {
    let mut world = World::started(SupervisorSpec::DEFAULT, team("a"));
    world.plan("b", &[Plan::Fail]);
    assert!(matches!(world.add(worker("b")), Some(Err(CallError::StartFailed { .. }))));
    assert_eq!((world.take().as_str(), world.state("b")), ("start b1, forget b", None));
    world.call(Request::Stop(id("a")));
    world.plan("a", &[Plan::Fail]);
    assert!(matches!(
        world.call(Request::Restart(id("a"))),
        Some(Err(CallError::StartFailed { .. }))
    ));
    assert_eq!(world.state("a"), Some(ChildState::Stopped));
}

#[test]
fn s30_a_start_that_is_cut_short_is_answered() {
    let mut world = World::started(spec(Strategy::OneForAll), team("a"));
    world.plan("b", &[Plan::Hang]);
    let call = world.call_later(Request::Start(worker("b")));
    world.crash("a");
    assert_eq!(world.answer(call), Some(Err(CallError::Interrupted { id: id("b") })));
    assert_eq!(world.take(), "start b1, stop b1, start a2, start b2");
}

#[test]
fn s30_calls_that_wait_are_bounded() {
    let mut world = World::new(SupervisorSpec::DEFAULT, team("a"));
    let calls: Vec<_> =
        (0..=CALLS_WAITING_MAX).map(|_| world.call_later(Request::Delete(id("x")))).collect();
    assert_eq!(world.answer(calls[CALLS_WAITING_MAX]), Some(Err(CallError::Busy)));
    world.start();
    assert!(calls.iter().all(|call| world.answer(*call).is_some()));
}

#[test]
fn s30_a_dynamic_supervisor_keeps_no_stopped_child() {
    let dynamic = SupervisorSpec { children: Children::Dynamic, ..SupervisorSpec::DEFAULT };
    let mut world = World::started(dynamic, vec![]);
    world.add(worker("a"));
    world.add(worker("b").transient());
    world.call(Request::Stop(id("a")));
    world.exit("b", crate::ExitReason::Normal);
    assert_eq!(world.machine.counts(), Counts::default());
}

/// Commands for starting, restarting one of, and stopping n children.
fn orders(n: usize) -> usize {
    let children = (0..n).map(|n| worker(&format!("w{n}"))).collect();
    let mut machine = Machine::new(SupervisorSpec::DEFAULT, children, 0).unwrap();
    let mut out = Vec::new();
    let mut total = 0;
    let mut next = vec![Event::Start];
    let mut stopped = false;
    while let Some(event) = next.pop() {
        machine.handle(event, secs(0), &mut out);
        total += out.len();
        for command in out.drain(..) {
            match command {
                Command::StartChild { key, incarnation } => {
                    next.push(Event::ChildStarted { key, incarnation });
                }
                Command::StopChild { key, incarnation, .. } => {
                    let reason = crate::ExitReason::Shutdown;
                    next.push(Event::ChildExited { key, incarnation, reason });
                }
                _ => {}
            }
        }
        if next.is_empty() && !stopped {
            stopped = true;
            next.push(Event::Stop { reason: crate::ExitReason::Shutdown });
            let middle = machine.by_id(&format!("w{}", n / 2)).unwrap();
            let (key, incarnation) = (middle.key, middle.incarnation);
            next.push(Event::ChildExited { key, incarnation, reason: error() });
        }
    }
    assert!(machine.has_ended());
    total
}

#[test]
fn s31_100_000_children_start_and_stop_with_linearly_many_orders() {
    let (small, large) = (orders(10_000), orders(100_000));
    // A handful of orders (first, last, one restart) do not depend on the number of children.
    assert!(large <= small * 10 && large >= small * 10 - 1_000, "{small} {large}");
}
