use super::world::*;
use crate::supervise::*;
use crate::{ExitReason, Report};

fn reasons() -> Vec<ExitReason> {
    let report = || Report::msg("x");
    vec![
        ExitReason::Normal,
        ExitReason::Shutdown,
        ExitReason::ShutdownWith(report()),
        ExitReason::Error(report()),
        ExitReason::Panic(report()),
        ExitReason::Killed,
        ExitReason::Unresponsive,
        ExitReason::StartFailed(report()),
    ]
}

#[test]
fn s05_permanent_restarts_after_every_exit() {
    for reason in reasons() {
        let mut world = World::started(SupervisorSpec::DEFAULT, team("a b"));
        world.exit("a", reason);
        assert_eq!(world.take(), "start a2");
    }
}

#[test]
fn s06_transient_restarts_only_after_an_abnormal_exit() {
    for reason in reasons() {
        let children = vec![worker("a").transient(), worker("b")];
        let mut world = World::started(SupervisorSpec::DEFAULT, children);
        let abnormal = reason.is_abnormal();
        world.exit("a", reason);
        assert_eq!(world.take(), if abnormal { "start a2" } else { "" });
        let state = if abnormal { ChildState::Running } else { ChildState::Stopped };
        assert_eq!(world.state("a"), Some(state));
    }
}

#[test]
fn s07_temporary_never_restarts_and_its_spec_is_freed() {
    for reason in reasons() {
        let children = vec![worker("a").temporary(), worker("b")];
        let mut world = World::started(SupervisorSpec::DEFAULT, children);
        world.exit("a", reason);
        assert_eq!(world.take(), "forget a");
        assert_eq!(world.state("a"), None);
    }
}

#[test]
fn s07_a_temporary_bystander_of_a_group_restart_is_not_restarted() {
    for strategy in [Strategy::OneForAll, Strategy::RestForOne] {
        let children = vec![worker("a"), worker("b").temporary(), worker("c")];
        let mut world = World::started(spec(strategy), children);
        world.crash("a");
        assert_eq!(world.take(), "stop c1, stop b1, forget b, start a2, start c2");
    }
}

#[test]
fn s07_memory_is_flat_over_10_000_temporary_children() {
    let mut world = World::started(SupervisorSpec::DEFAULT, team("a"));
    for n in 0..10_000 {
        let name = format!("t{n}");
        world.add(worker(&name).temporary());
        world.crash(&name);
        assert_eq!(world.machine.counts().specs, 1);
    }
    assert_eq!(world.machine.children().count(), 1);
}
