use super::world::*;
use crate::ExitReason;
use crate::supervise::*;

#[test]
fn s22_children_stop_in_reverse_one_at_a_time() {
    let mut world = World::started(SupervisorSpec::DEFAULT, team("a b c"));
    world.stick("b");
    world.stop();
    assert_eq!(world.take(), "stop c1, stop b1");
    world.exit("b", ExitReason::Shutdown);
    assert_eq!(world.take(), "stop a1, exit shutdown");
}

#[test]
fn s22_dynamic_children_are_told_at_once_with_one_deadline() {
    let dynamic = SupervisorSpec { children: Children::Dynamic, ..SupervisorSpec::DEFAULT };
    let mut world = World::started(dynamic, vec![]);
    world.add(worker("a").shutdown(Shutdown::Timeout(secs(3))));
    world.add(worker("b").shutdown(Shutdown::Timeout(secs(7))));
    world.add(worker("c").shutdown(Shutdown::Forever));
    world.add(worker("d").shutdown(Shutdown::Kill));
    world.add(worker("e"));
    for id in ["a", "b", "c"] {
        world.stick(id);
    }
    world.take();
    world.stop();
    assert_eq!(world.take(), "stop a1, stop b1, stop c1, kill d1, stop e1");
    world.advance(secs(6));
    assert_eq!(world.take(), "");
    world.advance(secs(1));
    assert_eq!(world.take(), "kill a1, kill b1");
    world.exit("c", ExitReason::Shutdown);
    assert_eq!(world.take(), "exit shutdown");
}

#[test]
fn s23_each_child_stops_as_its_spec_says() {
    // shutdown, orders at once, orders within an hour
    let rows = [
        (Shutdown::Kill, "kill a1", ""),
        (Shutdown::Timeout(secs(2)), "stop a1", "kill a1"),
        (Shutdown::Forever, "stop a1", ""),
    ];
    for (shutdown, at_once, later) in rows {
        let mut world =
            World::started(SupervisorSpec::DEFAULT, vec![worker("a").shutdown(shutdown)]);
        world.stick("a");
        world.call_later(Request::Stop(id("a")));
        assert_eq!(world.take(), at_once);
        world.advance(secs(3_600));
        assert_eq!(world.take(), later);
    }
    assert_eq!(worker("a").shutdown, Shutdown::Timeout(secs(5)));
    assert_eq!(ChildSpec::supervisor(id("a")).shutdown, Shutdown::Forever);
}

#[test]
fn s24_a_stuck_child_is_killed_after_its_own_deadline() {
    let children = vec![worker("a"), worker("b").shutdown(Shutdown::Timeout(secs(2))), worker("c")];
    let mut world = World::started(SupervisorSpec::DEFAULT, children);
    world.stick("b");
    world.stop();
    world.advance(secs(1));
    assert_eq!(world.take(), "stop c1, stop b1");
    world.advance(secs(1));
    assert_eq!(world.take(), "kill b1, stop a1, exit shutdown");
}

#[test]
fn s25_no_orphan_when_child_and_supervisor_die_together() {
    for child_first in [true, false] {
        let mut world = World::started(spec(Strategy::OneForAll), team("a b"));
        let exit = world.exit_event("b", error());
        let stop = Event::Stop { reason: ExitReason::Shutdown };
        let events = if child_first { [exit, stop] } else { [stop, exit] };
        let mut all = Vec::new();
        for event in events {
            world.event(event);
            all.push(world.take());
        }
        assert!(world.machine.has_ended(), "{all:?}");
        assert_eq!(world.live(), "");
    }
}

#[test]
fn s25_a_killed_supervisor_kills_all_at_once_also_while_it_stops() {
    for stopping in [false, true] {
        let mut world = World::started(SupervisorSpec::DEFAULT, team("a b c"));
        world.stick("c");
        if stopping {
            world.stop();
            assert_eq!(world.take(), "stop c1");
        }
        world.event(Event::Stop { reason: ExitReason::Killed });
        let exit = if stopping { "exit shutdown" } else { "exit killed" };
        assert_eq!(world.take(), format!("kill a1, kill b1, kill c1, {exit}"));
    }
}

#[test]
fn s25_a_child_that_is_starting_is_waited_for() {
    let mut world = World::new(SupervisorSpec::DEFAULT, team("a b c"));
    world.plan("b", &[Plan::Hang]);
    world.stick("b");
    world.start();
    world.stop();
    assert_eq!(world.take(), "start a1, start b1, stop b1");
    world.finish_start("b");
    assert_eq!(world.take(), "");
    world.advance(secs(5));
    assert_eq!(world.take(), "kill b1, stop a1, exit shutdown");
}

#[test]
fn s25_nothing_happens_after_the_end() {
    let mut world = World::started(SupervisorSpec::DEFAULT, team("a"));
    let key = world.key("a");
    world.stop();
    world.take();
    world.start();
    world.stop();
    world.event(Event::ChildExited { key, incarnation: 1, reason: error() });
    world.advance(secs(100));
    assert_eq!(world.take(), "");
    assert_eq!(world.add(worker("b")), Some(Err(CallError::Stopping)));
}
