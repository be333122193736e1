use super::world::*;
use crate::ExitReason;
use crate::supervise::*;

#[test]
fn s15_one_for_one_leaves_siblings_alone() {
    let mut world = World::started(spec(Strategy::OneForOne), team("a b c"));
    world.crash("b");
    assert_eq!((world.take().as_str(), world.live().as_str()), ("start b2", "a1 b2 c1"));
}

#[test]
fn s15_a_start_that_hangs_holds_no_sibling_up() {
    let mut world = World::started(spec(Strategy::OneForOne), team("a b"));
    world.plan("a", &[Plan::Hang]);
    world.crash("a");
    world.crash("b");
    assert_eq!(world.take(), "start a2, start b2");
    assert_eq!(world.state("a"), Some(ChildState::Restarting));
}

#[test]
fn s16_one_for_all_stops_all_in_reverse_then_starts_all_in_order() {
    let mut world = World::started(spec(Strategy::OneForAll), team("a b c d"));
    world.crash("b");
    assert_eq!(world.take(), "stop d1, stop c1, stop a1, start a2, start b2, start c2, start d2");
}

#[test]
fn s16_nothing_starts_before_the_last_one_has_stopped() {
    let mut world = World::started(spec(Strategy::OneForAll), team("a b c"));
    world.stick("a");
    world.crash("c");
    assert_eq!(world.take(), "stop b1, stop a1");
    world.advance(secs(4));
    assert_eq!(world.take(), "");
    world.advance(secs(1));
    assert_eq!(world.take(), "kill a1, start a2, start b2, start c2");
}

#[test]
fn s16_a_child_that_had_been_stopped_starts_with_its_group() {
    let mut world = World::started(spec(Strategy::OneForAll), team("a b"));
    world.call(Request::Stop(id("b")));
    world.take();
    world.crash("a");
    assert_eq!(world.take(), "start a2, start b2");
}

#[test]
fn s17_one_for_all_tries_the_whole_set_again_when_a_start_fails() {
    let mut world = World::started(spec(Strategy::OneForAll), team("a b c"));
    world.plan("b", &[Plan::Fail]);
    world.crash("c");
    assert_eq!(
        world.take(),
        "stop b1, stop a1, start a2, start b2, stop a2, start a3, start b3, start c2"
    );
}

#[test]
fn s17_failed_group_attempts_count() {
    let mut world = World::started(spec(Strategy::OneForAll), team("a b"));
    world.plan("b", &[Plan::Fail; 9]);
    world.crash("a");
    assert_eq!(
        world.take(),
        "stop b1, start a2, start b2, stop a2, start a3, start b3, stop a3, start a4, start b4, \
         stop a4, exit shutdown"
    );
}

#[test]
fn s18_rest_for_one_restarts_only_those_after() {
    let mut world = World::started(spec(Strategy::RestForOne), team("a b c d"));
    world.crash("b");
    assert_eq!(world.take(), "stop d1, stop c1, start b2, start c2, start d2");
    world.crash("d");
    assert_eq!(world.take(), "start d3");
}

#[test]
fn s19_rest_for_one_retries_from_the_child_that_failed_to_start() {
    let mut world = World::started(spec(Strategy::RestForOne), team("a b c d"));
    world.plan("c", &[Plan::Fail]);
    world.crash("b");
    assert_eq!(world.take(), "stop d1, stop c1, start b2, start c2, start c3, start d2");
}

#[test]
fn s20_a_failure_of_a_started_child_waits_for_the_group_and_is_then_handled() {
    let mut world = World::started(spec(Strategy::OneForAll), team("a b c"));
    world.plan("c", &[Plan::Hang]);
    world.crash("b");
    world.crash("a");
    assert_eq!(world.take(), "stop c1, stop a1, start a2, start b2, start c2");
    world.finish_start("c");
    assert_eq!(world.take(), "stop c2, stop b2, start a3, start b3, start c3");
}

#[test]
fn s20_a_failure_of_a_child_that_is_to_be_stopped_is_its_stop_and_not_counted() {
    let one = SupervisorSpec { restarts_max: 1, ..spec(Strategy::OneForAll) };
    let mut world = World::started(one, team("a b c"));
    world.stick("c");
    world.crash("b");
    world.crash("a");
    assert_eq!(world.take(), "stop c1");
    world.crash("c");
    assert_eq!(world.take(), "start a2, start b2, start c2");
}

#[test]
fn s20_a_failure_before_the_group_is_handled_after_it() {
    let mut world = World::started(spec(Strategy::RestForOne), team("a b c"));
    world.plan("c", &[Plan::Hang]);
    world.crash("b");
    world.crash("a");
    assert_eq!(world.take(), "stop c1, start b2, start c2");
    world.finish_start("c");
    assert_eq!(world.take(), "stop c2, stop b2, start a2, start b3, start c3");
}

#[test]
fn s20_a_late_exit_of_an_old_incarnation_is_ignored() {
    let mut world = World::started(spec(Strategy::OneForOne), team("a"));
    let key = world.key("a");
    world.crash("a");
    world.take();
    world.event(Event::ChildExited { key, incarnation: 1, reason: error() });
    world.event(Event::ChildStarted { key, incarnation: 9 });
    assert_eq!((world.take().as_str(), world.live().as_str()), ("", "a2"));
}

#[test]
fn s21_calls_are_answered_while_a_restart_is_pending_and_a_stop_cancels_it() {
    let children = vec![worker("a").backoff(Backoff::DEFAULT), worker("b")];
    let mut world = World::started(spec(Strategy::OneForOne), children);
    world.crash("a");
    assert_eq!(world.state("a"), Some(ChildState::Restarting));
    assert!(matches!(world.call(Request::Count), Some(Ok(Answer::Count(c))) if c.restarting == 1));
    assert_eq!(world.call(Request::Stop(id("a"))), Some(Ok(Answer::Stopped)));
    world.advance(secs(100));
    assert_eq!((world.take().as_str(), world.state("a")), ("", Some(ChildState::Stopped)));
}

#[test]
fn s21_a_stop_during_a_hanging_restart_cancels_it() {
    let mut world = World::started(spec(Strategy::OneForOne), team("a"));
    world.plan("a", &[Plan::Hang]);
    world.crash("a");
    assert_eq!(world.call(Request::Stop(id("a"))), Some(Ok(Answer::Stopped)));
    assert_eq!(world.take(), "start a2, stop a2");
}

#[test]
fn s21_those_that_wait_behind_a_cancelled_retry_start() {
    for strategy in [Strategy::OneForAll, Strategy::RestForOne] {
        let children = vec![worker("a"), worker("b").backoff(Backoff::DEFAULT), worker("c")];
        let mut world = World::started(spec(strategy), children);
        world.plan("b", &[Plan::Fail]);
        world.crash("a");
        assert_eq!(world.take(), "stop c1, stop b1, start a2, start b2");
        assert_eq!(world.call(Request::Stop(id("b"))), Some(Ok(Answer::Stopped)));
        assert_eq!((world.take().as_str(), world.live().as_str()), ("start c2", "a2 c2"));
    }
}

#[test]
fn s21_calls_wait_for_a_group_restart_but_questions_do_not() {
    let mut world = World::started(spec(Strategy::OneForAll), team("a b"));
    world.plan("b", &[Plan::Hang]);
    world.crash("a");
    let stop = world.call_later(Request::Stop(id("a")));
    assert_eq!(world.answer(stop), None);
    assert!(matches!(world.call(Request::List), Some(Ok(Answer::List(_)))));
    world.finish_start("b");
    assert_eq!(world.answer(stop), Some(Ok(Answer::Stopped)));
    world.exit("b", ExitReason::Normal);
    assert_eq!(world.live(), "a3 b3");
}

#[test]
fn strategies_are_read_as_they_are_written() {
    for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
        let text = strategy.to_string();
        for text in [text.clone(), text.to_uppercase(), text.replace('_', "-")] {
            assert_eq!(text.parse(), Ok(strategy));
        }
    }
    assert_eq!("one".parse::<Strategy>(), Err(ParseStrategyError));
}
