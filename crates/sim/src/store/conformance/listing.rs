//! Which agents there are, and that one can be forgotten.

use ggml_agent_core::store::{
    Accepted, AgentSummary, Commit, Epoch, Position, Revision, StoreError, Write,
};

use super::effects::once;
use super::ground::{ALL, Ground, commit_of, id, letter, letter_to, timer, urgent};
use super::state::snapshot;

super::cases![
    an_empty_store_has_no_agents,
    an_agent_is_listed_with_what_it_has,
    agents_are_listed_by_name_in_pages,
    a_removed_agent_is_forgotten,
    a_removed_agent_leaves_the_others_alone,
];

fn an_empty_store_has_no_agents(ground: &mut Ground<'_>) {
    ground.holds(|ground| {
        assert_eq!(ground.agents(None, ALL), []);
        assert_eq!(ground.dead(), []);
    });
}

fn an_agent_is_listed_with_what_it_has(ground: &mut Ground<'_>) {
    ground.open("a");
    ground.send([letter(1), urgent(2)]);
    let opened = ground.open("a");
    let commit = Commit {
        snapshot: Some(snapshot(1, "s")),
        journal: vec!["1".into(), "2".into(), "3".into()],
        outbox: vec![letter_to("b", 3)],
        set: (0..4).map(|n| timer(&n.to_string(), n, letter(4))).collect(),
        once: ["1", "2", "3", "4", "5"].map(|key| once(key, "x")).to_vec(),
        ..commit_of("a", &opened)
    };
    ground.commit(commit).expect("good");
    let summary = AgentSummary {
        agent: id("a"),
        epoch: Epoch(2),
        revision: Revision(1),
        queued: 2,
        queued_bytes: 10,
        entries: 3,
        outbox: 1,
        timers: 4,
        once: 5,
    };
    let all = [summary];
    ground.holds(|ground| assert_eq!(ground.agents(None, ALL), all));
}

fn agents_are_listed_by_name_in_pages(ground: &mut Ground<'_>) {
    // By the bytes of their names, as the ids are ordered everywhere.
    let names = ["A", "B/1", "B/2", "a", "b", "ä"];
    for at in [3, 0, 5, 2, 4, 1] {
        ground.open(names[at]);
    }
    let rows: [(Option<&str>, usize, &[&str]); 7] = [
        (None, 2, &["A", "B/1"]),
        (Some("B/1"), 2, &["B/2", "a"]),
        (Some("B/15"), 1, &["B/2"]),
        (Some("b"), 9, &["ä"]),
        (Some("ä"), 9, &[]),
        (None, 0, &[]),
        (None, usize::MAX, &names),
    ];
    ground.holds(|ground| {
        for (after, limit, there) in rows {
            let page = ground.agents(after, limit);
            assert!(page.iter().map(|of| of.agent.as_str()).eq(there.iter().copied()), "{page:?}");
        }
    });
}

fn a_removed_agent_is_forgotten(ground: &mut Ground<'_>) {
    let remove = Write::Remove { agent: id("a") };
    let unknown = StoreError::UnknownMailbox { agent: id("a") };
    assert_eq!(ground.settle(remove.clone()), Err(unknown.clone()));
    let opened = ground.open("a");
    ground.send([letter(1), urgent(2)]);
    let commit = Commit {
        snapshot: Some(snapshot(1, "s")),
        journal: vec!["1".into()],
        outbox: vec![letter_to("b", 3)],
        set: vec![timer("t", 1, letter(4))],
        once: vec![once("k", "x")],
        ..commit_of("a", &opened)
    };
    ground.commit(commit).expect("good");
    assert_eq!(ground.settle(remove.clone()), Ok(()));
    ground.holds(|ground| {
        assert_eq!(ground.agents(None, ALL), []);
        assert_eq!(ground.append(letter(1)), Err(unknown.clone()));
        assert_eq!(ground.settle(remove.clone()), Err(unknown.clone()));
        assert_eq!(ground.commit(commit_of("a", &opened)), Err(unknown.clone()));
    });
    // Who comes under its name has nothing of it: not even the ids are known.
    let opened = ground.open("a");
    assert_eq!((opened.snapshot, opened.revision, opened.queued), (None, Revision(0), 0));
    assert_eq!((opened.outbox, opened.timers, opened.once), (vec![], vec![], vec![]));
    assert_eq!((opened.journal_last, ground.journal(0, ALL)), (0, vec![]));
    assert_eq!(ground.append(letter(1)), Ok(Accepted::At(Position(1))));
}

fn a_removed_agent_leaves_the_others_alone(ground: &mut Ground<'_>) {
    ground.open("a");
    ground.open("ab");
    ground.send([letter_to("a", 1), letter_to("ab", 1)]);
    ground.settle(Write::Remove { agent: id("a") }).expect("it is there");
    ground.holds(|ground| {
        assert_eq!(ground.agents(None, ALL).len(), 1);
        assert_eq!(ground.lane_of("ab").len(), 1);
        assert_eq!(ground.append(letter_to("ab", 1)), Ok(Accepted::Duplicate));
    });
}
