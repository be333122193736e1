use super::world::*;
use crate::ExitReason;
use crate::supervise::*;

/// What a supervisor whose one child fails once too often exits with.
fn gives_up() -> ExitReason {
    let none = SupervisorSpec { restarts_max: 0, ..SupervisorSpec::DEFAULT };
    let mut machine = Machine::new(none, team("a"), 0).unwrap();
    let key = machine.by_id("a").unwrap().key;
    let mut out = Vec::new();
    machine.handle(Event::Start, secs(0), &mut out);
    machine.handle(Event::ChildStarted { key, incarnation: 1 }, secs(0), &mut out);
    let crash = Event::ChildExited { key, incarnation: 1, reason: error() };
    machine.handle(crash, secs(0), &mut out);
    match out.pop() {
        Some(Command::Exit { reason }) => reason,
        other => panic!("no exit but {other:?}"),
    }
}

#[test]
fn s26_a_sub_supervisor_that_gives_up_is_restarted_as_its_spec_says_and_counts() {
    let sub = || ChildSpec::supervisor(id("sub"));
    let rows = [(sub(), "start sub2"), (sub().transient(), ""), (sub().temporary(), "forget sub")];
    for (child, expected) in rows {
        let mut world = World::started(SupervisorSpec::DEFAULT, vec![child]);
        world.exit("sub", gives_up());
        assert_eq!(world.take(), expected);
    }
    let one = SupervisorSpec { restarts_max: 1, ..SupervisorSpec::DEFAULT };
    let mut world = World::started(one, vec![sub()]);
    world.exit("sub", gives_up());
    world.exit("sub", gives_up());
    assert_eq!(world.take(), "start sub2, exit shutdown");
}

#[test]
fn s27_a_restarted_supervisor_has_its_static_children_and_no_others() {
    let statics = team("a b");
    let mut first = World::started(SupervisorSpec::DEFAULT, statics.clone());
    first.add(worker("late"));
    assert_eq!(first.live(), "a1 b1 late1");
    first.stop();
    // A restart is a new machine from the same specs.
    let second = World::started(SupervisorSpec::DEFAULT, statics);
    assert_eq!(second.live(), "a1 b1");
}

#[test]
fn s28_giving_up_is_a_value() {
    assert_eq!(gives_up(), ExitReason::Shutdown);
}

fn auto(auto_shutdown: AutoShutdown) -> SupervisorSpec {
    SupervisorSpec { auto_shutdown, ..SupervisorSpec::DEFAULT }
}

#[test]
fn s29_any_significant_ends_the_supervisor_by_its_own_final_exit() {
    let children = || {
        let significant = |id| worker(id).transient().significant();
        vec![significant("a"), significant("b"), worker("c").transient()]
    };
    let any = auto(AutoShutdown::AnySignificant);
    let mut world = World::started(any, children());
    world.exit("c", ExitReason::Normal);
    world.crash("a");
    assert_eq!(world.take(), "start a2");
    world.call(Request::Stop(id("b")));
    assert_eq!(world.take(), "stop b1");
    world.exit("a", ExitReason::Normal);
    assert_eq!(world.take(), "exit shutdown");
}

#[test]
fn s29_all_significant_waits_for_the_last_one() {
    let children = vec![
        worker("a").transient().significant(),
        worker("b").temporary().significant(),
        worker("c"),
    ];
    let mut world = World::started(auto(AutoShutdown::AllSignificant), children);
    world.crash("b");
    assert_eq!(world.take(), "forget b");
    world.exit("a", ExitReason::Shutdown);
    assert_eq!(world.take(), "stop c1, exit shutdown");
}

#[test]
fn s29_all_significant_counts_one_that_is_being_restarted_as_alive() {
    let significant = |id| worker(id).transient().significant();
    let children = vec![significant("a").backoff(Backoff::DEFAULT), significant("b")];
    let mut world = World::started(auto(AutoShutdown::AllSignificant), children);
    world.crash("a");
    world.exit("b", ExitReason::Normal);
    assert!(!world.machine.has_ended());
}

#[test]
fn s29_a_stop_by_group_or_by_call_is_not_its_own_exit() {
    let any =
        SupervisorSpec { strategy: Strategy::OneForAll, ..auto(AutoShutdown::AnySignificant) };
    let children = vec![worker("a"), worker("b").temporary().significant()];
    let mut world = World::started(any, children);
    world.crash("a");
    assert_eq!(world.take(), "stop b1, forget b, start a2");
    world.add(worker("c").temporary().significant());
    world.call(Request::Stop(id("c")));
    assert!(!world.machine.has_ended());
    assert_eq!(
        world.add(worker("d").significant()),
        Some(Err(CallError::Spec(SpecError::SignificantPermanent { id: id("d") })))
    );
}
