use std::pin::Pin;

use ggml_agent_core::store::{
    Accepted, Answer, Bounds, Commit, Found, Open, Position, Read, Revision, Store, Watermarks,
    Write, Written,
};
use ggml_agent_core::{Envelope, MessageId, MessageType, Priority};

use super::*;
use crate::rng::Rng;
use crate::store::poll_now;

fn id(name: &str) -> AgentId {
    name.parse().expect("an id")
}

fn append(number: u64) -> Write {
    let id_of = MessageId::from_u128(number.into());
    Write::Append(Envelope::new(id_of, 0, id("a"), MessageType::User, "12345"))
}

fn open_a() -> Write {
    Write::Open(Open { agent: id("a"), bounds: Bounds::DEFAULT, in_hand: None })
}

fn now<T>(answer: &mut Answer<T>) -> Option<Result<T, StoreError>> {
    poll_now(Pin::as_mut(answer))
}

/// A disk with a store on it and a durable mailbox.
fn ready(setup: Setup) -> (SimDisk, SimStore) {
    let disk = SimDisk::new(setup);
    let store = disk.open().expect("nobody has it");
    drop(store.write(open_a()));
    disk.sync();
    (disk, store)
}

/// Numbers of the messages that are in the durable mailbox.
fn durable(disk: &SimDisk) -> Vec<u128> {
    let (lane, after) = (Priority::Normal, Position(0));
    let read = Read::Messages { mailbox: id("a"), lane, after, limit: 100 };
    match disk.durable().read(&read) {
        Ok(Found::Messages(found)) => {
            found.iter().map(|message| message.envelope.id.to_u128()).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn an_answer_comes_with_the_sync_and_not_before() {
    let (disk, store) = ready(Setup::new(1));
    let mut answer = store.write(append(1));
    assert_eq!(now(&mut answer), None);
    assert_eq!(durable(&disk), [0; 0]);
    assert!(disk.sync());
    assert_eq!(now(&mut answer), Some(Ok(Written::Accepted(Accepted::At(Position(1))))));
    assert_eq!(durable(&disk), [1]);
    assert!(!disk.sync());
}

#[test]
fn a_power_cut_leaves_a_prefix_with_all_that_was_answered() {
    let mut left = [0; 7];
    for seed in 0..200 {
        let (disk, store) = ready(Setup::new(seed));
        let mut answers: Vec<_> = (1..=2).map(|n| store.write(append(n))).collect();
        disk.sync();
        answers.extend((3..=6).map(|n| store.write(append(n))));
        disk.power_cut();
        for (n, answer) in answers.iter_mut().enumerate() {
            let heard = now(answer);
            match n {
                0 | 1 => assert!(matches!(heard, Some(Ok(_))), "{heard:?}"),
                _ => assert!(matches!(heard, None | Some(Err(StoreError::Closed))), "{heard:?}"),
            }
        }
        assert_eq!(now(&mut store.write(append(7))), Some(Err(StoreError::Closed)));
        let kept = durable(&disk);
        assert!(kept.len() >= 2 && kept.iter().copied().eq(1..=kept.len() as u128), "{kept:?}");
        left[kept.len()] += 1;
        let again = disk.open().expect("the power is back");
        drop(again.write(append(7)));
        disk.sync();
        assert_eq!(durable(&disk).last(), Some(&7));
    }
    assert!(left[2..].iter().all(|&n| n > 10), "how much survives is by chance: {left:?}");
}

#[test]
fn one_store_at_a_time_is_open() {
    let (disk, store) = ready(Setup::new(1));
    assert!(matches!(disk.open(), Err(StoreError::Unavailable { .. })));
    let mut answer = store.write(append(1));
    disk.close();
    assert!(matches!(now(&mut answer), Some(Ok(_))), "closing in order syncs");
    let second = disk.open().expect("closed");
    assert_eq!(now(&mut store.write(append(2))), Some(Err(StoreError::Closed)));
    assert_eq!(now(&mut second.write(append(2))), None);
}

#[test]
fn a_write_that_fails_changes_nothing_or_nobody_knows_what() {
    let refusals = [
        (Fault::NoSpace, StoreError::NoSpace),
        (Fault::Unavailable, StoreError::Unavailable { why: "the device refuses".into() }),
    ];
    for (fault, error) in refusals {
        let (disk, store) = ready(Setup::new(1));
        disk.fail(2, fault);
        let mut answers = [1, 2, 3].map(|n| store.write(append(n)));
        assert_eq!(now(&mut answers[1]), Some(Err(error)));
        disk.sync();
        assert_eq!(durable(&disk), [1, 3]);
        assert!(matches!(now(&mut answers[2]), Some(Ok(_))));
    }
    let mut happened = [0; 3];
    for seed in 0..200 {
        let (disk, store) = ready(Setup::new(seed));
        disk.fail(2, Fault::Indeterminate);
        let mut answers = [1, 2].map(|n| store.write(append(n)));
        for answer in &mut answers {
            assert!(matches!(now(answer), Some(Err(StoreError::Indeterminate { .. }))));
        }
        assert_eq!(now(&mut store.write(append(3))), Some(Err(StoreError::Closed)));
        assert!(!disk.is_open());
        happened[durable(&disk).len()] += 1;
    }
    assert!(happened.iter().all(|&n| n > 20), "{happened:?}");
}

#[test]
fn the_power_goes_at_the_commit_that_is_named() {
    let revisions = |cut_of: fn(u64) -> Cut| {
        let mut found = [0; 4];
        for seed in 0..100 {
            let (disk, store) = ready(Setup::new(seed));
            disk.cut_at(cut_of(2));
            let mut answers = Vec::new();
            for expected in 0..3 {
                let commit =
                    Commit::new(id("a"), Epoch(1), Revision(expected), Watermarks::default());
                answers.push(store.write(Write::Commit(Box::new(commit))));
                assert_eq!(disk.is_open(), expected == 0);
            }
            for answer in &mut answers {
                let heard = now(answer);
                assert!(matches!(heard, None | Some(Err(StoreError::Closed))), "{heard:?}");
            }
            let all = disk.durable().read(&Read::Agents { after: None, limit: 1 });
            let Ok(Found::Agents(agents)) = all else { panic!("{all:?}") };
            found[usize::try_from(agents[0].revision.0).expect("small")] += 1;
        }
        found
    };
    let [none, one, ..] = revisions(Cut::Before);
    assert!(none > 10 && one > 10 && none + one == 100, "the second has not happened");
    let [none, one, two, _] = revisions(Cut::After);
    assert!(none > 10 && one > 5 && two > 10 && none + one + two == 100);
    assert_eq!(revisions(Cut::Synced), [0, 0, 100, 0]);
}

#[test]
fn a_liar_answers_before_the_sync_and_loses_what_it_promised() {
    let n_lost = (0..100).filter(|&seed| {
        let (disk, store) = ready(Setup { honesty: Honesty::Lying, ..Setup::new(seed) });
        assert!(matches!(now(&mut store.write(append(1))), Some(Ok(_))));
        disk.power_cut();
        durable(&disk).is_empty()
    });
    assert!(n_lost.count() > 20);
}

#[test]
fn one_seed_is_one_story() {
    let story = |seed| {
        let setup = Setup { is_traced: true, syncs: Syncs::ByChance(20), ..Setup::new(seed) };
        let (disk, mut store) = ready(setup);
        let mut rng = Rng::new(seed);
        for n in 1..=200 {
            match rng.below(20) {
                0 => disk.power_cut(),
                1 => disk.fail(1, Fault::Indeterminate),
                2 => disk.close(),
                3 => disk.sync_some(),
                _ => drop(store.write(append(rng.bits() % n))),
            }
            if !disk.is_open() {
                store = disk.open().expect("closed");
            }
        }
        (disk.trace(), disk.digest())
    };
    for seed in 0..100 {
        let first = story(seed);
        assert!(first == story(seed), "seed {seed} gives two stories");
        assert_ne!(first.1, story(seed + 1_000).1, "seed {seed}");
    }
}
