use std::time::Duration;

use super::world::*;
use crate::supervise::*;

#[test]
fn s01_children_start_in_order_each_after_the_previous_start_returned() {
    let mut world = World::new(SupervisorSpec::DEFAULT, team("a b c"));
    world.plan("b", &[Plan::Hang]);
    world.start();
    assert_eq!(world.take(), "start a1, start b1");
    world.finish_start("b");
    assert_eq!(world.take(), "start c1, ready");
}

#[test]
fn s01_a_second_start_changes_nothing() {
    let mut world = World::started(SupervisorSpec::DEFAULT, team("a"));
    world.start();
    assert_eq!(world.take(), "");
}

#[test]
fn s02_a_failed_first_start_stops_the_others_in_reverse_and_is_not_tried_again() {
    let mut world = World::new(SupervisorSpec::DEFAULT, team("a b c d"));
    world.plan("c", &[Plan::Fail]);
    world.start();
    assert_eq!(world.take(), "start a1, start b1, start c1, stop b1, stop a1, start failed: c");
    assert!(world.machine.has_ended());
}

#[test]
fn s02_a_child_that_died_during_the_start_is_not_stopped_again() {
    let mut world = World::new(SupervisorSpec::DEFAULT, team("a b c"));
    world.plan("c", &[Plan::Hang]);
    world.start();
    world.crash("b");
    world.crash("c");
    assert_eq!(world.take(), "start a1, start b1, start c1, stop a1, start failed: c");
}

#[test]
fn s03_ignore_keeps_the_spec_and_is_no_error() {
    let mut world = World::new(SupervisorSpec::DEFAULT, team("a b"));
    world.plan("a", &[Plan::Ignore]);
    world.start();
    assert_eq!(world.take(), "start a1, start b1, ready");
    assert_eq!(world.state("a"), Some(ChildState::Stopped));
    let answer = world.call(Request::Restart(id("a")));
    assert!(matches!(answer, Some(Ok(Answer::Started { incarnation: 2, .. }))));
}

#[test]
fn s03_ignore_frees_the_spec_of_a_temporary_child() {
    let mut world = World::new(SupervisorSpec::DEFAULT, vec![worker("a").temporary()]);
    world.plan("a", &[Plan::Ignore]);
    world.start();
    assert_eq!(world.take(), "start a1, forget a, ready");
}

#[test]
fn s04_each_bad_spec_is_refused_with_its_own_error() {
    let any =
        SupervisorSpec { auto_shutdown: AutoShutdown::AnySignificant, ..SupervisorSpec::DEFAULT };
    let plain = SupervisorSpec::DEFAULT;
    let zero = SupervisorSpec { period: Duration::ZERO, ..plain };
    let huge = SupervisorSpec { restarts_max: RESTARTS_MAX_LIMIT + 1, ..plain };
    let dynamic = SupervisorSpec { children: Children::Dynamic, ..spec(Strategy::OneForAll) };
    let bad = Backoff { multiplier: 0.5, ..Backoff::DEFAULT };
    let a = || id("a");
    let rows = [
        (plain, team("a b a"), SpecError::DuplicateId { id: a() }),
        (zero, team("a"), SpecError::PeriodZero),
        (huge, vec![], SpecError::RestartsMaxTooLarge { restarts_max: RESTARTS_MAX_LIMIT + 1 }),
        (any, vec![worker("a").significant()], SpecError::SignificantPermanent { id: a() }),
        (
            plain,
            vec![worker("a").transient().significant()],
            SpecError::SignificantWithoutAutoShutdown { id: a() },
        ),
        (dynamic, vec![], SpecError::DynamicStrategy { strategy: Strategy::OneForAll }),
        (plain, vec![worker("a").backoff(bad)], SpecError::BadBackoff { id: a() }),
    ];
    for (spec, children, expected) in rows {
        assert_eq!(Machine::new(spec, children, 0).err(), Some(expected));
    }
}
