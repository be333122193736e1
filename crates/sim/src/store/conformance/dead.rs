//! Dead letters.

use ggml_agent_core::store::{
    Accepted, Bounds, Commit, DeadRecord, OnFull, Open, Position, StoreError, Write,
};

use super::End;
use super::ground::{ALL, Ground, commit_of, id, letter, letter_to, up_to, urgent};

super::cases![
    a_dead_letter_says_what_why_and_how_often,
    numbers_only_grow,
    dead_letters_are_read_in_pages,
    a_dead_letter_is_sent_again_as_if_it_were_new,
    a_dead_letter_is_sent_again_whatever_the_bounds,
    a_dead_letter_is_discarded,
    a_number_that_is_not_there_is_refused,
    a_letter_whose_mailbox_is_gone_stays_dead,
];

/// Makes dead letters of these messages to `a`, one commit for each.
fn bury(ground: &mut Ground<'_>, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        let opened = ground.open("a");
        let answer = ground.append(letter(number));
        let Ok(Accepted::At(position)) = answer else { unreachable!("{answer:?}") };
        let dead = vec![(position, format!("because {number}"))];
        let applied = up_to(opened.applied.high.0, position.0);
        ground.commit(Commit { applied, dead, ..commit_of("a", &opened) }).expect("good");
    }
}

fn in_short(numbers: &[(u64, u64)]) -> Vec<(u64, u128, String)> {
    let short = |&(number, message)| (number, u128::from(message), format!("because {message}"));
    numbers.iter().map(short).collect()
}

fn a_dead_letter_says_what_why_and_how_often(ground: &mut Ground<'_>) {
    ground.open("a");
    ground.send([letter(1), urgent(2)]);
    let in_hand = Some(vec![Position(2)]);
    ground.open_as(Open { agent: id("a"), bounds: Bounds::DEFAULT, in_hand: in_hand.clone() });
    let opened = ground.open_as(Open { agent: id("a"), bounds: Bounds::DEFAULT, in_hand });
    let dead = vec![(Position(2), "poison: \"é\"".into())];
    let begun = vec![Position(2)];
    let commit = Commit { applied: up_to(2, 0), begun, dead, ..commit_of("a", &opened) };
    ground.commit(commit).expect("good");
    ground.holds(|ground| {
        let reason = "poison: \"é\"".into();
        let letter = DeadRecord { number: 1, reason, attempts: 2, envelope: urgent(2) };
        assert_eq!(ground.dead(), [letter]);
        assert_eq!(ground.waiting(), [1]);
    });
}

fn numbers_only_grow(ground: &mut Ground<'_>) {
    bury(ground, 1..=3);
    for number in 2..=3 {
        ground.settle(Write::Discard { number }).expect("it is there");
    }
    // The last one is not used again, also when nothing but the store remembers it.
    ground.reopen(End::Close);
    bury(ground, [4]);
    ground.settle(Write::Discard { number: 1 }).expect("it is there");
    ground.settle(Write::Discard { number: 4 }).expect("it is there");
    ground.reopen(End::Cut);
    bury(ground, [5]);
    ground.holds(|ground| assert_eq!(ground.dead_in_short(), in_short(&[(5, 5)])));
}

fn dead_letters_are_read_in_pages(ground: &mut Ground<'_>) {
    bury(ground, 1..=5);
    ground.settle(Write::Discard { number: 3 }).expect("it is there");
    let rows: [(u64, usize, &[u64]); 7] = [
        (0, 2, &[1, 2]),
        (2, 2, &[4, 5]),
        (3, 1, &[4]),
        (5, 9, &[]),
        (0, 0, &[]),
        (0, usize::MAX, &[1, 2, 4, 5]),
        (u64::MAX, usize::MAX, &[]),
    ];
    ground.holds(|ground| {
        for (after, limit, there) in rows {
            let answer = ground.store().dead_letters(after, limit);
            let page = ground.run(answer).expect("the list is always there");
            let found: Vec<_> = page.iter().map(|dead| dead.number).collect();
            assert_eq!(found, there, "{limit} behind {after}");
        }
    });
}

fn a_dead_letter_is_sent_again_as_if_it_were_new(ground: &mut Ground<'_>) {
    ground.open("a");
    ground.send([letter(1), letter(2)]);
    let in_hand = Some(vec![Position(1)]);
    let opened = ground.open_as(Open { agent: id("a"), bounds: Bounds::DEFAULT, in_hand });
    let dead = vec![(Position(1), "bad".into())];
    ground.commit(Commit { applied: up_to(0, 1), dead, ..commit_of("a", &opened) }).expect("good");
    assert_eq!(ground.settle(Write::Resend { number: 1 }), Ok(()));
    ground.holds(|ground| {
        assert_eq!(ground.dead(), []);
        let lane = ground.lane_of("a");
        let found: Vec<_> =
            lane.iter().map(|found| (found.position.0, found.attempts, &found.envelope)).collect();
        assert_eq!(found, [(2, 0, &letter(2)), (3, 0, &letter(1))]);
        // It is the message that it was, so its sender's repetition is still one.
        assert_eq!(ground.append(letter(1)), Ok(Accepted::Duplicate));
    });
}

fn a_dead_letter_is_sent_again_whatever_the_bounds(ground: &mut Ground<'_>) {
    let bounds = Bounds { messages_max: 1, bytes_max: 5, on_full: OnFull::DropNewest };
    ground.open_with("a", bounds);
    ground.send([letter(1)]);
    assert_eq!(ground.append(letter(2)), Ok(Accepted::Dropped));
    assert_eq!(ground.settle(Write::Resend { number: 1 }), Ok(()));
    ground.holds(|ground| assert_eq!(ground.waiting(), [1, 2]));
}

fn a_dead_letter_is_discarded(ground: &mut Ground<'_>) {
    bury(ground, 1..=2);
    assert_eq!(ground.settle(Write::Discard { number: 1 }), Ok(()));
    ground.holds(|ground| assert_eq!(ground.dead_in_short(), in_short(&[(2, 2)])));
    assert_eq!(ground.waiting(), [0; 0]);
}

fn a_number_that_is_not_there_is_refused(ground: &mut Ground<'_>) {
    bury(ground, 1..=3);
    ground.settle(Write::Discard { number: 1 }).expect("it is there");
    ground.settle(Write::Resend { number: 2 }).expect("it is there");
    for number in [0, 1, 2, 4, u64::MAX] {
        let unknown = Err(StoreError::UnknownDeadLetter { number });
        assert_eq!(ground.settle(Write::Discard { number }), unknown);
        assert_eq!(ground.settle(Write::Resend { number }), unknown);
    }
    assert_eq!(ground.dead_in_short(), in_short(&[(3, 3)]));
}

fn a_letter_whose_mailbox_is_gone_stays_dead(ground: &mut Ground<'_>) {
    bury(ground, [1]);
    ground.open("b");
    ground.send([letter_to("b", 1)]);
    ground.settle(Write::Remove { agent: id("a") }).expect("it is there");
    let unknown = Err(StoreError::UnknownMailbox { agent: id("a") });
    ground.holds(|ground| {
        assert_eq!(ground.settle(Write::Resend { number: 1 }), unknown);
        assert_eq!(ground.dead_in_short(), in_short(&[(1, 1)]));
    });
    ground.open("a");
    assert_eq!(ground.settle(Write::Resend { number: 1 }), Ok(()));
    assert_eq!(ground.waiting(), [1]);
    assert_eq!(ground.page("b", Default::default(), 0, ALL).map(|lane| lane.len()), Ok(1));
}
