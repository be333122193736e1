//! A commit happens whole or not at all, and only on the record that it was made from.

use ggml_agent_core::store::{Commit, Epoch, Opened, Position, Revision, StoreError};

use super::effects::once;
use super::ground::{
    ALL, Ground, assert_malformed, commit_of, id, letter, letter_to, message_id, timer, up_to,
    urgent,
};
use super::state::snapshot;

super::cases![
    every_field_takes_effect_in_one_step,
    a_commit_that_is_refused_changes_nothing,
    a_commit_is_made_from_the_newest_record,
    watermarks_never_go_back,
    watermarks_go_no_further_than_there_are_messages,
    what_lies_behind_the_watermarks_is_forgotten,
    the_lanes_are_applied_each_for_itself,
    dead_letters_are_among_the_newly_applied,
    a_commit_that_changes_nothing_is_a_revision,
];

/// An agent that has some of everything: two messages in each lane, and its record at revision 1.
fn furnished(ground: &mut Ground<'_>) -> Opened {
    let opened = ground.open("a");
    ground.send([letter(1), urgent(2), letter(3), urgent(4)]);
    let commit = Commit {
        snapshot: Some(snapshot(3, "first")),
        journal: vec!["one".into()],
        outbox: vec![letter_to("b", 11), letter_to("c", 12)],
        set: vec![timer("t", 5, letter(13)), timer("u", 6, urgent(14))],
        once: vec![once("k", "first")],
        ..commit_of("a", &opened)
    };
    assert_eq!(ground.commit(commit), Ok(Revision(1)));
    ground.open("a")
}

/// A commit that changes all that can be changed.
fn full(opened: &Opened) -> Commit {
    Commit {
        snapshot: Some(snapshot(4, "second")),
        journal: vec!["two".into(), "three".into()],
        applied: up_to(2, 3),
        dead: vec![(Position(3), "bad".into())],
        outbox: vec![letter_to("b", 21)],
        sent: vec![message_id(11)],
        set: vec![timer("v", 7, letter(22))],
        cancel: vec!["u".into()],
        fire: vec!["t".into()],
        once: vec![once("l", "second")],
        forget: vec!["k".into()],
        ..commit_of("a", opened)
    }
}

fn every_field_takes_effect_in_one_step(ground: &mut Ground<'_>) {
    let opened = furnished(ground);
    assert_eq!(ground.commit(full(&opened)), Ok(Revision(2)));
    ground.holds(|ground| {
        let now = ground.open("a");
        assert_eq!(now.revision, Revision(2));
        assert_eq!(now.snapshot, Some(snapshot(4, "second")));
        assert_eq!((now.journal_after, now.journal_last), (1, 3));
        assert_eq!((now.applied, now.queued), (up_to(2, 3), 2));
        assert_eq!(now.outbox, [letter_to("c", 12), letter_to("b", 21)]);
        assert_eq!(now.timers, [timer("v", 7, letter(22))]);
        assert_eq!(now.once, [once("l", "second")]);
        assert_eq!(ground.waiting(), [4, 13]);
        assert_eq!(ground.dead_in_short(), [(1, 3, "bad".into())]);
        let journal = ground.journal(0, ALL);
        assert!(journal.iter().map(|entry| &entry.bytes[..]).eq([&b"two"[..], b"three"]));
    });
}

fn a_commit_that_is_refused_changes_nothing(ground: &mut Ground<'_>) {
    let opened = furnished(ground);
    let before = ground.everything();
    let opened = Opened { epoch: Epoch(opened.epoch.0 + 1), ..opened };
    let refused = [
        Commit { epoch: Epoch(1), ..full(&opened) },
        Commit { expected: Revision(0), ..full(&opened) },
        Commit { applied: up_to(2, 5), ..full(&opened) },
        Commit { dead: vec![(Position(4), "not applied".into())], ..full(&opened) },
        Commit { fire: vec!["t".into(), "never set".into()], ..full(&opened) },
        Commit { set: vec![timer("v", 7, letter_to("b", 22))], ..full(&opened) },
    ];
    for commit in refused {
        let what = format!("{commit:?}");
        assert!(ground.commit(commit).is_err(), "{what}");
    }
    ground.holds(|ground| assert_eq!(ground.everything(), before));
}

fn a_commit_is_made_from_the_newest_record(ground: &mut Ground<'_>) {
    let opened = ground.open("a");
    let conflict = |found| Err(StoreError::Conflict { agent: id("a"), found: Revision(found) });
    let at = |revision| Commit { expected: Revision(revision), ..commit_of("a", &opened) };
    assert_eq!(ground.commit(at(1)), conflict(0));
    assert_eq!(ground.commit(at(0)), Ok(Revision(1)));
    // Who asks again after an unknown outcome learns that it happened.
    assert_eq!(ground.commit(at(0)), conflict(1));
    assert_eq!(ground.commit(at(1)), Ok(Revision(2)));
    assert_eq!(ground.commit(at(u64::MAX)), conflict(2));
}

fn watermarks_never_go_back(ground: &mut Ground<'_>) {
    let opened = furnished(ground);
    let at = |high, normal, expected| Commit {
        applied: up_to(high, normal),
        expected: Revision(expected),
        ..commit_of("a", &opened)
    };
    assert_eq!(ground.commit(at(2, 3, 1)), Ok(Revision(2)));
    assert_malformed(ground.commit(at(1, 3, 2)));
    assert_malformed(ground.commit(at(2, 2, 2)));
    assert_malformed(ground.commit(at(4, 0, 2)));
    assert_eq!(ground.commit(at(2, 3, 2)), Ok(Revision(3)));
}

fn watermarks_go_no_further_than_there_are_messages(ground: &mut Ground<'_>) {
    let opened = furnished(ground);
    let at = |high, normal| Commit { applied: up_to(high, normal), ..commit_of("a", &opened) };
    for (high, normal) in [(5, 0), (0, 5), (u64::MAX, u64::MAX)] {
        assert_malformed(ground.commit(at(high, normal)));
    }
    // The newest position counts, in whatever lane it is.
    assert_eq!(ground.commit(at(4, 4)), Ok(Revision(2)));
    assert_eq!(ground.waiting(), [0; 0]);
    ground.send([letter(5), urgent(6)]);
    assert_eq!(ground.waiting(), [6, 5]);
}

fn what_lies_behind_the_watermarks_is_forgotten(ground: &mut Ground<'_>) {
    let opened = furnished(ground);
    let applied = up_to(2, 1);
    assert_eq!(ground.commit(Commit { applied, ..commit_of("a", &opened) }), Ok(Revision(2)));
    ground.holds(|ground| {
        assert_eq!(ground.waiting(), [4, 3]);
        let now = ground.open("a");
        assert_eq!((now.applied, now.queued), (applied, 2));
        assert_eq!(ground.agents(None, 1)[0].queued_bytes, 10);
    });
}

fn the_lanes_are_applied_each_for_itself(ground: &mut Ground<'_>) {
    let opened = furnished(ground);
    // The priority lane alone, past messages of the user lane that were there before.
    let high = Commit { applied: up_to(4, 0), ..commit_of("a", &opened) };
    assert_eq!(ground.commit(high), Ok(Revision(2)));
    ground.holds(|ground| assert_eq!(ground.waiting(), [1, 3]));
}

fn dead_letters_are_among_the_newly_applied(ground: &mut Ground<'_>) {
    let opened = furnished(ground);
    let at = |applied, dead: &[u64], expected| Commit {
        applied,
        dead: dead.iter().map(|&position| (Position(position), "bad".into())).collect(),
        expected: Revision(expected),
        ..commit_of("a", &opened)
    };
    assert_malformed(ground.commit(at(up_to(0, 0), &[1], 1)));
    assert_malformed(ground.commit(at(up_to(2, 1), &[1, 3], 1)));
    // They are numbered in the order of their arrival, over both lanes, however they are named.
    assert_eq!(ground.commit(at(up_to(2, 1), &[2, 1], 1)), Ok(Revision(2)));
    assert_malformed(ground.commit(at(up_to(2, 3), &[1], 2)));
    assert_eq!(ground.commit(at(up_to(2, 3), &[3], 2)), Ok(Revision(3)));
    ground.holds(|ground| {
        let letters = [1, 2, 3].map(|n: u64| (n, u128::from(n), "bad".into()));
        assert_eq!(ground.dead_in_short(), letters);
        assert_eq!(ground.waiting(), [4]);
    });
}

fn a_commit_that_changes_nothing_is_a_revision(ground: &mut Ground<'_>) {
    furnished(ground);
    let before = ground.everything();
    let opened = ground.open("a");
    assert_eq!(ground.commit(commit_of("a", &opened)), Ok(Revision(2)));
    assert_ne!(ground.everything(), before);
    let now = ground.open("a");
    let revision = opened.revision;
    assert_eq!(Opened { epoch: opened.epoch, revision, ..now }, opened);
}
