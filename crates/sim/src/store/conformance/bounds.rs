//! How much a mailbox holds, and what happens to more.

use ggml_agent_core::Envelope;
use ggml_agent_core::store::{
    Accepted, Bounds, Commit, DROPPED, EVICTED, OnFull, Position, Revision, StoreError, Taken,
};

use super::ground::{Ground, commit_of, id, letter, saying, timer, up_to, urgent};

super::cases![
    a_full_mailbox_refuses_and_says_how_full_it_is,
    a_mailbox_is_full_by_count_and_by_bytes,
    who_was_refused_gets_in_when_there_is_room,
    a_full_mailbox_drops_what_is_newest,
    a_full_mailbox_drops_what_is_oldest,
    the_oldest_of_the_same_lane_goes_first,
    as_many_go_as_the_new_one_needs,
    what_can_never_fit_is_dropped_itself,
    many_are_taken_until_one_is_refused,
    what_was_evicted_while_it_was_in_hand_is_not_applied_too,
    a_duplicate_drops_nobody,
    bounds_are_those_of_the_newest_incarnation,
];

fn bounds(messages_max: u64, bytes_max: u64, on_full: OnFull) -> Bounds {
    Bounds { messages_max, bytes_max, on_full }
}

fn sized(number: u64, len: usize) -> Envelope {
    saying(number, vec![b'x'; len])
}

fn full(messages: u64, bytes: u64) -> Result<Accepted, StoreError> {
    Err(StoreError::Full { agent: id("a"), messages, bytes })
}

fn a_full_mailbox_refuses_and_says_how_full_it_is(ground: &mut Ground<'_>) {
    ground.open_with("a", bounds(2, 100, OnFull::Refuse));
    ground.send([letter(1), urgent(2)]);
    ground.holds(|ground| {
        assert_eq!(ground.append(letter(3)), full(2, 10));
        assert_eq!(ground.append(urgent(3)), full(2, 10));
        assert_eq!(ground.append(letter(1)), Ok(Accepted::Duplicate));
        assert_eq!(ground.waiting(), [2, 1]);
        assert_eq!(ground.dead(), []);
    });
}

fn a_mailbox_is_full_by_count_and_by_bytes(ground: &mut Ground<'_>) {
    ground.open_with("a", bounds(3, 20, OnFull::Refuse));
    ground.send([sized(1, 20)]);
    // Bytes are those of payloads, so that one without a payload needs none.
    assert_eq!(ground.append(sized(2, 1)), full(1, 20));
    ground.send([sized(3, 0), sized(4, 0)]);
    assert_eq!(ground.append(sized(5, 0)), full(3, 20));
    ground.open_with("b", bounds(0, 20, OnFull::Refuse));
    let nothing = Err(StoreError::Full { agent: id("b"), messages: 0, bytes: 0 });
    assert_eq!(ground.append(super::ground::letter_to("b", 1)), nothing);
}

fn who_was_refused_gets_in_when_there_is_room(ground: &mut Ground<'_>) {
    let opened = ground.open_with("a", bounds(1, 100, OnFull::Refuse));
    ground.send([letter(1)]);
    assert_eq!(ground.append(letter(2)), full(1, 5));
    let mut commit = commit_of("a", &opened);
    commit.applied.normal = Position(1);
    ground.commit(commit).expect("good");
    assert_eq!(ground.append(letter(2)), Ok(Accepted::At(Position(2))));
}

fn a_full_mailbox_drops_what_is_newest(ground: &mut Ground<'_>) {
    ground.open_with("a", bounds(2, 100, OnFull::DropNewest));
    ground.send([letter(1), letter(2)]);
    assert_eq!(ground.append(letter(3)), Ok(Accepted::Dropped));
    ground.holds(|ground| {
        assert_eq!(ground.append(letter(3)), Ok(Accepted::Duplicate));
        assert_eq!(ground.waiting(), [1, 2]);
        assert_eq!(ground.dead_in_short(), [(1, 3, DROPPED.into())]);
        assert_eq!(ground.dead()[0].attempts, 0);
        assert_eq!(ground.dead()[0].envelope, letter(3));
    });
}

fn a_full_mailbox_drops_what_is_oldest(ground: &mut Ground<'_>) {
    ground.open_with("a", bounds(2, 100, OnFull::DropOldest));
    ground.send([letter(1), letter(2), letter(3)]);
    ground.holds(|ground| {
        // It was accepted once, and is dead now.
        assert_eq!(ground.append(letter(1)), Ok(Accepted::Duplicate));
        assert_eq!(ground.waiting(), [2, 3]);
        assert_eq!(ground.dead_in_short(), [(1, 1, EVICTED.into())]);
    });
}

fn the_oldest_of_the_same_lane_goes_first(ground: &mut Ground<'_>) {
    ground.open_with("a", bounds(3, 100, OnFull::DropOldest));
    ground.send([letter(1), urgent(2), letter(3), urgent(4)]);
    assert_eq!(ground.waiting(), [4, 1, 3]);
    ground.send([letter(5), letter(6), letter(7)]);
    assert_eq!(ground.waiting(), [4, 6, 7]);
    // There is none of its own lane: then of the other.
    ground.open_with("a", bounds(1, 100, OnFull::DropOldest));
    ground.send([urgent(8)]);
    ground.holds(|ground| {
        assert_eq!(ground.waiting(), [8]);
        let dead = ground.dead_in_short();
        let dead: Vec<_> = dead.into_iter().map(|(_, message, _)| message).collect();
        assert_eq!(dead, [2, 1, 3, 5, 4, 6, 7]);
    });
}

fn as_many_go_as_the_new_one_needs(ground: &mut Ground<'_>) {
    ground.open_with("a", bounds(10, 20, OnFull::DropOldest));
    ground.send([sized(1, 5), sized(2, 5), sized(3, 5), sized(4, 5), sized(5, 12)]);
    ground.holds(|ground| {
        assert_eq!(ground.waiting(), [4, 5]);
        let evicted = [1, 2, 3].map(|n: u64| (n, u128::from(n), EVICTED.into()));
        assert_eq!(ground.dead_in_short(), evicted);
        assert_eq!(ground.agents(None, 1)[0].queued_bytes, 17);
    });
}

fn what_can_never_fit_is_dropped_itself(ground: &mut Ground<'_>) {
    ground.open_with("a", bounds(2, 20, OnFull::DropOldest));
    ground.send([letter(1)]);
    assert_eq!(ground.append(sized(2, 21)), Ok(Accepted::Dropped));
    ground.open_with("a", bounds(0, 20, OnFull::DropOldest));
    assert_eq!(ground.append(letter(3)), Ok(Accepted::Dropped));
    ground.holds(|ground| {
        assert_eq!(ground.waiting(), [1]);
        assert_eq!(ground.dead_in_short(), [(1, 2, DROPPED.into()), (2, 3, DROPPED.into())]);
    });
}

fn many_are_taken_until_one_is_refused(ground: &mut Ground<'_>) {
    ground.open_with("a", bounds(2, 100, OnFull::Refuse));
    ground.open("b");
    ground.send([letter(1)]);
    let to = |name, number| {
        let mut envelope = letter(number);
        envelope.to = id(name);
        envelope
    };
    let to_b = to("b", 4);
    let all = vec![letter(1), letter(2), letter(3), to_b.clone()];
    let full = StoreError::Full { agent: id("a"), messages: 2, bytes: 10 };
    assert_eq!(ground.append_all(all.clone()), Taken { n: 2, refused: Some(full) });
    ground.holds(|ground| assert_eq!(ground.waiting(), [1, 2]));
    // What lies behind the refused one is for a later attempt, whomever it is for.
    assert_eq!(ground.agents(None, 9)[1].queued, 0);
    assert_eq!(ground.append_all(vec![to_b]), Taken { n: 1, refused: None });
    assert_eq!(ground.append_all(Vec::new()), Taken { n: 0, refused: None });
    let stranger = to("c", 5);
    let unknown = StoreError::UnknownMailbox { agent: id("c") };
    assert_eq!(ground.append_all(vec![stranger]), Taken { n: 0, refused: Some(unknown) });
    ground.holds(|ground| assert_eq!(ground.agents(None, 9)[1].queued, 1));
}

fn what_was_evicted_while_it_was_in_hand_is_not_applied_too(ground: &mut Ground<'_>) {
    let opened = ground.open_with("a", bounds(1, 20, OnFull::DropOldest));
    ground.send([letter(1), letter(2)]);
    let first = Commit { applied: up_to(0, 1), ..commit_of("a", &opened) };
    let conflict = Err(StoreError::Conflict { agent: id("a"), found: Revision(0) });
    assert_eq!(ground.commit(Commit { n_applied: Some(1), ..first.clone() }), conflict);
    let both = Commit { applied: up_to(0, 2), n_applied: Some(2), ..first.clone() };
    assert_eq!(ground.commit(both), conflict);
    assert_eq!(ground.commit(Commit { n_applied: Some(0), ..first }), Ok(Revision(1)));
    ground.holds(|ground| assert_eq!(ground.waiting(), [2]));
}

fn a_duplicate_drops_nobody(ground: &mut Ground<'_>) {
    ground.open_with("a", bounds(2, 100, OnFull::DropOldest));
    ground.send([letter(1), letter(2)]);
    assert_eq!(ground.append(letter(2)), Ok(Accepted::Duplicate));
    assert_eq!(ground.waiting(), [1, 2]);
    assert_eq!(ground.dead(), []);
}

fn bounds_are_those_of_the_newest_incarnation(ground: &mut Ground<'_>) {
    ground.open_with("a", bounds(1, 100, OnFull::Refuse));
    ground.send([letter(1)]);
    assert_eq!(ground.append(letter(2)), full(1, 5));
    let opened = ground.open_with("a", bounds(2, 100, OnFull::Refuse));
    ground.send([letter(2)]);
    ground.holds(|ground| assert_eq!(ground.append(letter(3)), full(2, 10)));
    // Fewer than there are: nobody is driven out, and a timer was accepted before.
    let mut set = commit_of("a", &opened);
    set.set = vec![timer("t", 1, letter(4))];
    ground.commit(set).expect("good");
    let opened = ground.open_with("a", bounds(1, 1, OnFull::Refuse));
    let mut fire = commit_of("a", &opened);
    fire.fire = vec!["t".into()];
    ground.commit(fire).expect("good");
    assert_eq!(ground.waiting(), [1, 2, 4]);
    assert_eq!(ground.append(letter(5)), full(3, 15));
}
