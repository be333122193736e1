use super::*;
use crate::envelope::{MessageType, Priority};
use crate::id::MessageId;
use crate::store::record::{Bounds, OnFull, Position, Watermarks};

fn id(name: &str) -> AgentId {
    name.parse().expect("an id")
}

fn letter(number: u64) -> Envelope {
    Envelope::new(MessageId::from_u128(number.into()), 0, id("a"), MessageType::User, "12345")
}

fn opened(bounds: Bounds) -> (Tables, Opened) {
    let mut tables = Tables::with_dedupe_window(4);
    let opened = tables.open(Open { agent: id("a"), bounds, in_hand: None });
    (tables, opened)
}

fn waiting(tables: &Tables) -> Vec<u128> {
    let agent = tables.agent(&id("a")).expect("opened");
    let lanes = [Priority::High, Priority::Normal];
    let all = lanes.into_iter().flat_map(|lane| agent.messages(lane, Position(0), 100));
    all.map(|message| message.envelope.id.to_u128()).collect()
}

fn append(tables: &mut Tables, number: u64) -> Result<Accepted, StoreError> {
    tables.append(letter(number))
}

#[test]
fn an_id_is_known_within_the_window_and_not_behind_it() {
    let (mut tables, _) = opened(Bounds::DEFAULT);
    for number in 1..=4 {
        assert!(matches!(append(&mut tables, number), Ok(Accepted::At(_))));
    }
    assert_eq!(append(&mut tables, 1), Ok(Accepted::Duplicate));
    assert!(matches!(append(&mut tables, 5), Ok(Accepted::At(Position(5)))));
    // The window holds 2 to 5 now.
    assert_eq!(append(&mut tables, 2), Ok(Accepted::Duplicate));
    assert!(matches!(append(&mut tables, 1), Ok(Accepted::At(Position(6)))));
}

#[test]
fn q05_a_full_mailbox_does_what_its_policy_says() {
    let full = |on_full| {
        let (mut tables, _) = opened(Bounds { messages_max: 9, bytes_max: 10, on_full });
        let answers = [1, 2, 3, 3].map(|number| append(&mut tables, number));
        let dead: Vec<_> = tables.dead.values().map(|dead| dead.envelope.id.to_u128()).collect();
        (answers[2].clone(), answers[3].clone(), waiting(&tables), dead)
    };
    let refused = Err(StoreError::Full { agent: id("a"), messages: 2, bytes: 10 });
    assert_eq!(full(OnFull::Refuse), (refused.clone(), refused, vec![1, 2], vec![]));
    let duplicate = Ok(Accepted::Duplicate);
    assert_eq!(
        full(OnFull::DropNewest),
        (Ok(Accepted::Dropped), duplicate.clone(), vec![1, 2], vec![3])
    );
    let third = Ok(Accepted::At(Position(3)));
    assert_eq!(full(OnFull::DropOldest), (third, duplicate, vec![2, 3], vec![1]));
}

#[test]
fn a_commit_is_refused_whole() {
    let (mut tables, opened) = opened(Bounds::DEFAULT);
    append(&mut tables, 1).expect("room");
    let good = Commit::new(id("a"), opened.epoch, opened.revision, Watermarks::default());
    let before = tables.clone();
    let to = |normal| Watermarks { high: Position(0), normal: Position(normal) };
    let bad = [
        Commit { epoch: Epoch(0), ..good.clone() },
        Commit { expected: Revision(7), ..good.clone() },
        Commit { applied: to(2), ..good.clone() },
        Commit { applied: to(1), dead: vec![(Position(2), "?".into())], ..good.clone() },
        Commit { fire: vec!["never set".into()], ..good.clone() },
    ];
    for commit in bad {
        let why = format!("{commit:?}");
        assert!(tables.commit(commit).is_err(), "{why}");
        assert_eq!(tables, before, "{why}");
    }
    assert_eq!(tables.commit(Commit { applied: to(1), ..good.clone() }), Ok(Revision(1)));
    assert!(waiting(&tables).is_empty());
    let backwards = Commit { expected: Revision(1), ..good };
    assert!(matches!(tables.commit(backwards), Err(StoreError::Malformed { .. })));
}

#[test]
fn q05_what_was_evicted_while_it_was_in_hand_is_not_applied_too() {
    let bounds = Bounds { messages_max: 1, bytes_max: 10, on_full: OnFull::DropOldest };
    let (mut tables, opened) = opened(bounds);
    append(&mut tables, 1).expect("room");
    append(&mut tables, 2).expect("it takes the place of the first");
    let to = |normal| Watermarks { high: Position(0), normal: Position(normal) };
    let first = Commit::new(id("a"), opened.epoch, opened.revision, to(1));
    let conflict = Err(StoreError::Conflict { agent: id("a"), found: Revision(0) });
    assert_eq!(tables.commit(Commit { n_applied: Some(1), ..first.clone() }), conflict);
    assert_eq!(tables.commit(Commit { n_applied: Some(0), ..first }), Ok(Revision(1)));
}

#[test]
fn q13_who_begins_under_the_name_of_one_that_was_removed_is_another() {
    let (mut tables, opened) = opened(Bounds::DEFAULT);
    tables.write(Write::Remove { agent: id("a") }).expect("it is there");
    tables.open(Open { agent: id("a"), bounds: Bounds::DEFAULT, in_hand: None });
    let old = Commit::new(id("a"), opened.epoch, opened.revision, Watermarks::default());
    let fenced = Err(StoreError::Fenced { agent: id("a"), current: Epoch(2) });
    assert_eq!(tables.commit(old), fenced);
}

#[test]
fn q13_who_was_begun_again_is_fenced() {
    let (mut tables, first) = opened(Bounds::DEFAULT);
    let again = Open { agent: id("a"), bounds: Bounds::DEFAULT, in_hand: Some(vec![]) };
    let second = tables.open(again);
    let commit = Commit::new(id("a"), first.epoch, first.revision, Watermarks::default());
    let fenced = Err(StoreError::Fenced { agent: id("a"), current: second.epoch });
    assert_eq!(tables.commit(commit.clone()), fenced);
    assert_eq!(tables.commit(Commit { epoch: second.epoch, ..commit }), Ok(Revision(1)));
}

#[test]
fn attempts_are_counted_for_what_was_or_may_have_been_in_hand() {
    let (mut tables, first) = opened(Bounds::DEFAULT);
    for number in 1..=3 {
        append(&mut tables, number).expect("room");
    }
    let attempts = |tables: &Tables| {
        let agent = tables.agent(&id("a")).expect("opened");
        let lane = agent.messages(Priority::Normal, Position(0), 9);
        lane.iter().map(|message| message.attempts).collect::<Vec<_>>()
    };
    let open = |tables: &mut Tables, in_hand| {
        tables.open(Open { agent: id("a"), bounds: Bounds::DEFAULT, in_hand })
    };
    open(&mut tables, Some(vec![Position(2)]));
    assert_eq!(attempts(&tables), [0, 1, 0]);
    open(&mut tables, None);
    // Again and again: that says nothing new of the first.
    let third = open(&mut tables, None);
    assert_eq!(attempts(&tables), [1, 1, 0]);
    let begins = Commit::new(id("a"), third.epoch, third.revision, Watermarks::default());
    tables.commit(Commit { begun: vec![Position(1)], ..begins }).expect("good");
    assert_eq!(attempts(&tables), [2, 1, 0]);
    assert!(tables.close(&id("a"), first.epoch).is_err());
    tables.close(&id("a"), third.epoch).expect("the newest");
    open(&mut tables, None);
    assert_eq!(attempts(&tables), [2, 1, 0]);
}

#[test]
fn a_dead_letter_that_is_sent_again_waits_as_if_it_were_new() {
    let (mut tables, opened) = opened(Bounds::DEFAULT);
    append(&mut tables, 1).expect("room");
    let applied = Watermarks { high: Position(0), normal: Position(1) };
    let commit = Commit::new(id("a"), opened.epoch, opened.revision, applied);
    tables.commit(Commit { dead: vec![(Position(1), "poison".into())], ..commit }).expect("good");
    assert!(waiting(&tables).is_empty());
    assert_eq!(tables.write(Write::Resend { number: 1 }), Ok(Written::Done));
    assert_eq!(waiting(&tables), [1]);
    assert_eq!(
        tables.write(Write::Discard { number: 1 }),
        Err(StoreError::UnknownDeadLetter { number: 1 })
    );
}
