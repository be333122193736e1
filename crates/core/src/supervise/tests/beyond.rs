use std::time::Duration;

use super::world::*;
use crate::ExitReason;
use crate::supervise::*;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn steady() -> Backoff {
    Backoff {
        initial: ms(100),
        multiplier: 2.0,
        max: ms(1_000),
        jitter: 0.0,
        healthy_for: secs(30),
    }
}

#[test]
fn s32_waits_grow_to_their_maximum_and_never_overflow() {
    let rows = [(0, 100), (1, 200), (3, 800), (4, 1_000), (u32::MAX, 1_000)];
    for (failures, wait) in rows {
        assert_eq!(steady().delay(failures, 0.7), ms(wait));
    }
    let wild = Backoff { initial: Duration::MAX, multiplier: f64::MAX, ..steady() };
    assert_eq!(wild.delay(u32::MAX, 0.0), ms(1_000));
    let full = Backoff { jitter: 1.0, ..steady() };
    assert_eq!(full.delay(0, 0.25), ms(75));
    let zero = Backoff { initial: Duration::ZERO, ..steady() };
    assert!(zero.delay(u32::MAX, 0.5) <= ms(1_000));
}

#[test]
fn s32_a_waiting_child_is_restarting_and_holds_no_sibling_up() {
    let many = SupervisorSpec { restarts_max: 100, ..SupervisorSpec::DEFAULT };
    let mut world = World::started(many, vec![worker("a").backoff(steady()), worker("b")]);
    for wait in [100, 200, 400, 800, 1_000, 1_000] {
        world.crash("a");
        assert_eq!(world.state("a"), Some(ChildState::Restarting));
        world.advance(ms(wait - 1));
        world.crash("b");
        assert!(world.take().starts_with("start b"));
        world.advance(ms(1));
        assert!(world.take().starts_with("start a"));
    }
}

#[test]
fn s32_the_backoff_begins_again_after_healthy_for() {
    let many = SupervisorSpec { restarts_max: 100, ..SupervisorSpec::DEFAULT };
    let mut world = World::started(many, vec![worker("a").backoff(steady())]);
    for (healthy, wait) in [(0, 100), (29, 200), (30, 100), (0, 200)] {
        world.advance(secs(healthy));
        world.crash("a");
        world.advance(ms(wait - 1));
        assert_eq!(world.take(), "", "{wait}");
        world.advance(ms(1));
        assert!(world.take().starts_with("start a"), "{wait}");
    }
}

#[test]
fn s32_a_group_waits_with_its_members_running() {
    let mut world =
        World::started(spec(Strategy::OneForAll), vec![worker("a").backoff(steady()), worker("b")]);
    world.crash("a");
    assert_eq!((world.take().as_str(), world.live().as_str()), ("", "b1"));
    world.advance(ms(100));
    assert_eq!(world.take(), "stop b1, start a2, start b2");
}

#[test]
fn s32_a_group_restart_takes_a_waiting_member_along() {
    let mut world =
        World::started(spec(Strategy::OneForAll), vec![worker("a").backoff(steady()), worker("b")]);
    world.crash("a");
    world.crash("b");
    assert_eq!(world.take(), "start a2, start b2");
    world.advance(secs(10));
    assert_eq!(world.take(), "");
}

#[test]
fn s32_giving_up_while_a_restart_waits_ends_at_once() {
    let one = SupervisorSpec { restarts_max: 1, ..SupervisorSpec::DEFAULT };
    let mut world = World::started(one, vec![worker("a").backoff(steady()), worker("b")]);
    world.crash("a");
    world.crash("b");
    assert_eq!(world.take(), "exit shutdown");
    world.advance(secs(10));
    assert_eq!(world.take(), "");
}

fn vital(progress: u64) -> Vital {
    Vital { progress, protected: false }
}

/// Checks once a second what each row shows of child `a`; `None`: idle. Says after which row it died.
fn killed_after(rows: &[Option<Vital>]) -> Option<usize> {
    let mut world = World::started(SupervisorSpec::DEFAULT, team("a b"));
    for (n, row) in rows.iter().enumerate() {
        world.now += secs(1);
        let busy: Vec<_> = row.iter().map(|vital| ("a", *vital)).collect();
        world.check_health(&busy);
        if world.take() == "kill a1, start a2" {
            return Some(n);
        }
    }
    None
}

#[test]
fn s33_no_progress_for_the_timeout_is_unresponsive_and_recovers_like_a_crash() {
    assert_eq!(killed_after(&[Some(vital(1)); 8]), Some(5));
    let mut world = World::started(SupervisorSpec::DEFAULT, vec![worker("a").transient()]);
    for _ in 0..6 {
        world.now += secs(1);
        world.check_health(&[("a", vital(1))]);
    }
    assert_eq!(world.take(), "kill a1, start a2");
    let ended = Decision::Exited { id: id("a"), incarnation: 1, reason: ExitReason::Unresponsive };
    assert!(world.decisions.contains(&ended));
}

#[test]
fn s33_progress_idleness_and_protection_are_healthy() {
    let progress: Vec<_> = (0..30).map(|n| Some(vital(n / 4))).collect();
    assert_eq!(killed_after(&progress), None);
    let mut idle = vec![Some(vital(1)); 30];
    idle.iter_mut().step_by(5).for_each(|row| *row = None);
    assert_eq!(killed_after(&idle), None);
    assert_eq!(killed_after(&[Some(Vital { progress: 1, protected: true }); 30]), None);
}

#[test]
fn s33_a_stop_of_an_unresponsive_child_is_a_stop() {
    let mut world = World::started(SupervisorSpec::DEFAULT, team("a"));
    let key = world.key("a");
    let mut out = Vec::new();
    for at in [0, 5] {
        world.machine.check_health(secs(at), &mut [(key, vital(1))].into_iter(), &mut out);
    }
    assert!(out.contains(&Command::KillChild { key, incarnation: 1 }));
    let call = world.call_later(Request::Stop(id("a")));
    world.exit("a", ExitReason::Killed);
    assert_eq!(world.answer(call), Some(Ok(Answer::Stopped)));
    assert_eq!(world.state("a"), Some(ChildState::Stopped));
}

#[test]
fn s33_the_health_timer_runs_only_while_there_is_something_to_check() {
    let mut world = World::started(SupervisorSpec::DEFAULT, vec![]);
    assert_eq!(world.timer(TimerId::Health), None);
    world.add(worker("a").temporary());
    assert_eq!(world.timer(TimerId::Health), Some(secs(1)));
    world.advance(secs(3));
    assert_eq!(world.timer(TimerId::Health), Some(secs(4)));
    world.crash("a");
    assert_eq!(world.timer(TimerId::Health), None);
    let never = SupervisorSpec { health_check_interval: Duration::ZERO, ..SupervisorSpec::DEFAULT };
    assert_eq!(World::started(never, team("a")).timer(TimerId::Health), None);
}

#[test]
fn s33_idle_children_cost_nothing_at_a_check() {
    let mut heartbeats = crate::heartbeat::Heartbeats::<u64>::new();
    assert_eq!(heartbeats.check(secs(1), std::iter::empty()), []);
    assert_eq!(heartbeats.suspected(), 0);
}

#[test]
fn s34_every_decision_is_an_event_with_words() {
    let one = SupervisorSpec { restarts_max: 1, ..spec(Strategy::OneForAll) };
    let mut world = World::new(one, vec![worker("a"), worker("b").temporary()]);
    world.start();
    world.crash("a");
    world.crash("a");
    let words: Vec<_> = world.decisions.iter().map(ToString::to_string).collect();
    let expected = [
        "starting a (incarnation 1)",
        "a started (incarnation 1)",
        "starting b (incarnation 1)",
        "b started (incarnation 1)",
        "all children have started",
        "a ended (incarnation 1): error: boom",
        "restart a (1 of 1 in 60s)",
        "one_for_all restart because of a",
        "stopping b (incarnation 1)",
        "b ended (incarnation 1): shutdown",
        "b forgotten",
        "starting a (incarnation 2)",
        "a started (incarnation 2)",
        "a ended (incarnation 2): error: boom",
        "gave up: a needs more than 1 restarts in 60s",
        "stopping all children: shutdown",
        "ended: shutdown",
    ];
    assert_eq!(words, expected);
}
