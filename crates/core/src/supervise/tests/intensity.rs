use std::time::Duration;

use super::world::*;
use crate::ExitReason;
use crate::supervise::*;

fn limited(strategy: Strategy, restarts_max: u32, period: u64) -> SupervisorSpec {
    SupervisorSpec { restarts_max, period: secs(period), ..spec(strategy) }
}

#[test]
fn s08_exactly_n_restarts_in_the_window_are_allowed() {
    // restarts_max, period, crashes at, gives up at the last one?
    let rows: [(u32, u64, &[u64], bool); 8] = [
        (0, 5, &[0], true),
        (1, 5, &[0, 1], true),
        (1, 5, &[0, 4], true),
        (1, 5, &[0, 5], false),
        (3, 5, &[0, 1, 2], false),
        (3, 5, &[0, 1, 2, 4], true),
        (3, 5, &[0, 1, 2, 5], false),
        (3, 5, &[0, 0, 0, 0], true),
    ];
    for (restarts_max, period, crashes, gives_up) in rows {
        let spec = limited(Strategy::OneForOne, restarts_max, period);
        let mut world = World::started(spec, team("a b"));
        for at in crashes {
            world.now = secs(*at);
            world.crash("b");
        }
        let exits = world.take().ends_with("stop a1, exit shutdown");
        assert_eq!(exits, gives_up, "{restarts_max} in {period} s, crashes at {crashes:?}");
    }
}

#[test]
fn s08_giving_up_stops_the_children_in_reverse_and_exits_shutdown() {
    let mut world = World::started(limited(Strategy::OneForOne, 0, 5), team("a b c"));
    world.crash("b");
    assert_eq!(world.take(), "stop c1, stop a1, exit shutdown");
}

#[test]
fn s09_the_count_is_one_per_supervisor() {
    let mut world = World::started(limited(Strategy::OneForOne, 2, 5), team("a b c"));
    for id in ["a", "b", "c"] {
        world.crash(id);
    }
    assert_eq!(world.take(), "start a2, start b2, stop b2, stop a2, exit shutdown");
}

#[test]
fn s10_n_per_window_for_ever_is_fine() {
    let mut world = World::started(limited(Strategy::OneForOne, 3, 6), team("a"));
    for _ in 0..1_000 {
        world.now += secs(2);
        world.crash("a");
    }
    assert_eq!(world.live(), "a1001");
}

#[test]
fn s10_the_window_remembers_no_more_than_it_must() {
    let mut intensity = Intensity::new(3, secs(1));
    for n in 0..10_000 {
        intensity.record(Duration::from_millis(n * 100));
        assert!(intensity.remembered() <= 3);
    }
}

#[test]
fn s11_a_failed_attempt_counts() {
    let mut world = World::started(limited(Strategy::OneForOne, 3, 60), team("a b"));
    world.plan("b", &[Plan::Fail, Plan::Fail, Plan::Fail, Plan::Fail]);
    world.crash("b");
    assert_eq!(world.take(), "start b2, start b3, start b4, stop a1, exit shutdown");
}

#[test]
fn s12_a_group_restart_counts_once() {
    let mut world = World::started(limited(Strategy::OneForAll, 1, 60), team("a b c d"));
    world.crash("b");
    assert_eq!(world.live(), "a2 b2 c2 d2");
    world.crash("c");
    assert!(world.machine.has_ended());
}

#[test]
fn s13_exits_that_are_not_restarted_do_not_count() {
    let children = vec![worker("a").transient(), worker("b").temporary(), worker("c")];
    let mut world = World::started(limited(Strategy::OneForOne, 1, 60), children);
    world.exit("a", ExitReason::Normal);
    world.crash("b");
    world.call(Request::Stop(id("c")));
    world.call(Request::Restart(id("c")));
    world.crash("c");
    assert_eq!(world.live(), "c3");
}

#[test]
fn s14_a_time_that_goes_back_changes_nothing() {
    let mut world = World::started(limited(Strategy::OneForOne, 1, 10), team("a"));
    world.now = secs(100);
    world.crash("a");
    world.now = secs(0);
    world.crash("a");
    assert_eq!(world.take(), "start a2, exit shutdown");
    let mut intensity = Intensity::new(1, secs(10));
    assert_eq!(intensity.record(secs(100)), Verdict::Restart { in_window: 1 });
    assert_eq!(intensity.record(secs(50)), Verdict::GiveUp);
    assert_eq!(intensity.record(secs(110)), Verdict::Restart { in_window: 1 });
}
