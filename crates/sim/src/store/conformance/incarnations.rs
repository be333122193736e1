//! Who is the agent, and what its incarnations know of each other.

use ggml_agent_core::store::{
    Bounds, Commit, Epoch, Open, Opened, Position, Revision, StoreError, Watermarks, Write,
};

use super::End;
use super::ground::{Ground, commit_of, id, letter, urgent};

super::cases![
    the_first_incarnation_begins_with_nothing,
    each_incarnation_has_the_next_epoch,
    an_older_incarnation_commits_no_more,
    an_epoch_that_never_was_commits_nothing,
    an_older_incarnation_closes_nothing,
    who_was_never_begun_commits_and_closes_nothing,
    what_was_in_hand_is_counted,
    a_delivery_is_counted_when_it_begins,
    who_begins_after_a_removal_is_another,
    the_first_of_each_lane_is_counted_when_nobody_knows,
    nothing_is_counted_after_a_close,
    a_close_is_forgotten_with_the_next_beginning,
    messages_come_to_agents_that_do_not_run,
];

fn open_in_hand(ground: &mut Ground<'_>, in_hand: Option<&[u64]>) -> Opened {
    let in_hand = in_hand.map(|in_hand| in_hand.iter().copied().map(Position).collect());
    ground.open_as(Open { agent: id("a"), bounds: Bounds::DEFAULT, in_hand })
}

fn fenced<T>(current: u64) -> Result<T, StoreError> {
    Err(StoreError::Fenced { agent: id("a"), current: Epoch(current) })
}

fn the_first_incarnation_begins_with_nothing(ground: &mut Ground<'_>) {
    let opened = ground.open("a");
    let nothing = Opened {
        epoch: Epoch(1),
        revision: Revision(0),
        snapshot: None,
        journal_after: 0,
        journal_last: 0,
        applied: Watermarks::default(),
        queued: 0,
        outbox: Vec::new(),
        timers: Vec::new(),
        once: Vec::new(),
    };
    assert_eq!(opened, nothing);
}

fn each_incarnation_has_the_next_epoch(ground: &mut Ground<'_>) {
    for epoch in 1..=5 {
        assert_eq!(ground.open("a").epoch, Epoch(epoch));
        ground.reopen(if epoch % 2 == 0 { End::Close } else { End::Cut });
    }
    assert_eq!(ground.open("b").epoch, Epoch(1));
}

fn an_older_incarnation_commits_no_more(ground: &mut Ground<'_>) {
    let first = ground.open("a");
    let second = ground.open("a");
    ground.holds(|ground| {
        assert_eq!(ground.commit(commit_of("a", &first)), fenced(2));
    });
    // The epoch is looked at before the revision.
    let both = Commit { expected: Revision(7), ..commit_of("a", &first) };
    assert_eq!(ground.commit(both), fenced(2));
    assert_eq!(ground.commit(commit_of("a", &second)), Ok(Revision(1)));
}

fn an_epoch_that_never_was_commits_nothing(ground: &mut Ground<'_>) {
    let opened = ground.open("a");
    for epoch in [0, 2, u64::MAX] {
        let commit = Commit { epoch: Epoch(epoch), ..commit_of("a", &opened) };
        assert_eq!(ground.commit(commit), fenced(1));
    }
}

fn an_older_incarnation_closes_nothing(ground: &mut Ground<'_>) {
    let first = ground.open("a");
    ground.send([letter(1)]);
    ground.open("a");
    assert_eq!(ground.settle(Write::Close { agent: id("a"), epoch: first.epoch }), fenced(2));
    open_in_hand(ground, None);
    assert_eq!(ground.attempts(), [1], "it was not closed");
}

fn who_was_never_begun_commits_and_closes_nothing(ground: &mut Ground<'_>) {
    let opened = ground.open("b");
    let unknown = StoreError::UnknownMailbox { agent: id("a") };
    assert_eq!(ground.commit(commit_of("a", &opened)), Err(unknown.clone()));
    let close = Write::Close { agent: id("a"), epoch: opened.epoch };
    assert_eq!(ground.settle(close), Err(unknown));
}

fn what_was_in_hand_is_counted(ground: &mut Ground<'_>) {
    ground.open("a");
    ground.send([letter(1), letter(2), urgent(3), letter(4)]);
    // Positions that are not there, or no more, are nothing to speak of.
    open_in_hand(ground, Some(&[2, 3, 99]));
    ground.holds(|ground| assert_eq!(ground.attempts(), [1, 0, 1, 0]));
    // Once more: its delivery began once, at least, as is known already.
    open_in_hand(ground, Some(&[3]));
    open_in_hand(ground, Some(&[]));
    ground.holds(|ground| assert_eq!(ground.attempts(), [1, 0, 1, 0]));
}

fn a_delivery_is_counted_when_it_begins(ground: &mut Ground<'_>) {
    let opened = ground.open("a");
    ground.send([letter(1), letter(2), urgent(3)]);
    let begun = vec![Position(1), Position(3), Position(99)];
    let first = Commit { begun, ..commit_of("a", &opened) };
    let second = Commit { expected: Revision(1), begun: vec![Position(1)], ..first.clone() };
    ground.commit(first).expect("good");
    ground.commit(second).expect("good");
    // The lane of high priority is listed first.
    ground.holds(|ground| assert_eq!(ground.attempts(), [1, 2, 0]));
    open_in_hand(ground, Some(&[1, 2]));
    ground.holds(|ground| assert_eq!(ground.attempts(), [1, 2, 1]));
}

fn who_begins_after_a_removal_is_another(ground: &mut Ground<'_>) {
    ground.open("b");
    let opened = ground.open("a");
    ground.settle(Write::Remove { agent: id("a") }).expect("it is there");
    ground.reopen(End::Close);
    assert_eq!(ground.open("a").epoch, Epoch(2));
    assert_eq!(ground.commit(commit_of("a", &opened)), fenced(2));
}

fn the_first_of_each_lane_is_counted_when_nobody_knows(ground: &mut Ground<'_>) {
    let opened = ground.open("a");
    ground.send([letter(1), letter(2), urgent(3), urgent(4)]);
    ground.reopen(End::Cut);
    open_in_hand(ground, None);
    assert_eq!(ground.attempts(), [1, 0, 1, 0]);
    let opened = open_in_hand(ground, None).epoch.0 - opened.epoch.0;
    assert_eq!((opened, ground.attempts()), (2, vec![1, 0, 1, 0]));
}

fn nothing_is_counted_after_a_close(ground: &mut Ground<'_>) {
    let opened = ground.open("a");
    ground.send([letter(1)]);
    let close = Write::Close { agent: id("a"), epoch: opened.epoch };
    assert_eq!(ground.settle(close.clone()), Ok(()));
    assert_eq!(ground.settle(close), Ok(()), "twice is nothing to speak of");
    ground.reopen(End::Cut);
    open_in_hand(ground, None);
    assert_eq!(ground.attempts(), [0]);
}

fn a_close_is_forgotten_with_the_next_beginning(ground: &mut Ground<'_>) {
    let opened = ground.open("a");
    ground.send([letter(1)]);
    ground.settle(Write::Close { agent: id("a"), epoch: opened.epoch }).expect("the newest");
    open_in_hand(ground, None);
    open_in_hand(ground, None);
    assert_eq!(ground.attempts(), [1]);
}

fn messages_come_to_agents_that_do_not_run(ground: &mut Ground<'_>) {
    let opened = ground.open("a");
    ground.settle(Write::Close { agent: id("a"), epoch: opened.epoch }).expect("the newest");
    ground.send([letter(1)]);
    ground.holds(|ground| assert_eq!(ground.waiting(), [1]));
    assert_eq!(ground.open("a").queued, 1);
}
