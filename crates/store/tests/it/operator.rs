//! Check, stats, compact, backup.

use std::fs;

use ggml_agent_core::Priority;
use ggml_agent_core::store::{
    Commit, Epoch, Found, Position, Read, Revision, Store, StoreError, Watermarks, Write,
};
use ggml_agent_store::{FILE, Sqlite};

use crate::common::{Folder, Waiter, begin, id, letter, letter_of, open};

fn mailbox() -> Read {
    let lane = Priority::Normal;
    Read::Messages { mailbox: id("a"), lane, after: Position(0), limit: usize::MAX }
}

fn filled(folder: &Folder, waiter: &Waiter, messages: u64) -> Sqlite {
    let store = open(&folder.0);
    waiter.write(&store, begin("a")).expect("room");
    let answers: Vec<_> = (1..=messages)
        .map(|number| store.write(Write::Append(letter_of("a", number, vec![7; 900]))))
        .collect();
    for answer in answers {
        waiter.on(answer).expect("room");
    }
    store
}

#[test]
fn compacting_gives_space_back_and_keeps_what_is_there() {
    let (folder, waiter) = (Folder::new("compact"), Waiter::new());
    let store = filled(&folder, &waiter, 2000);
    let applied = Watermarks { high: Position(0), normal: Position(1990) };
    let commit = Commit::new(id("a"), Epoch(1), Revision(0), applied);
    waiter.write(&store, Write::Commit(Box::new(commit))).expect("good");
    let before = waiter.on(store.stats()).expect("open");
    let left = waiter.read(&store, mailbox());
    waiter.on(store.compact()).expect("there is space");
    let after = waiter.on(store.stats()).expect("open");
    assert!(before.free_bytes > 1_000_000, "{before:?}");
    assert!(
        after.file_bytes < 400_000 && after.log_bytes == 0 && after.free_bytes == 0,
        "{after:?}"
    );
    assert_eq!((after.agents, after.messages, after.message_bytes), (1, 10, 9000));
    assert_eq!(waiter.read(&store, mailbox()), left);
    assert!(waiter.on(store.check()).expect("open").is_whole());
}

#[test]
fn a_backup_is_a_store_of_one_moment_while_writes_go_on() {
    let (folder, copy, waiter) = (Folder::new("backup"), Folder::new("backup-copy"), Waiter::new());
    let store = filled(&folder, &waiter, 500);
    fs::create_dir(&copy.0).expect("a folder");
    let before = store.write(Write::Append(letter("a", 1000)));
    let backup = store.backup(&copy.file(FILE));
    let behind: Vec<_> =
        (2000..2100).map(|number| store.write(Write::Append(letter("a", number)))).collect();
    waiter.on(before).expect("room");
    waiter.on(backup).expect("there is space");
    for answer in behind {
        waiter.on(answer).expect("room");
    }
    let again = waiter.on(store.backup(&copy.file(FILE)));
    assert!(
        matches!(&again, Err(StoreError::Unavailable { why }) if why.contains("already")),
        "{again:?}"
    );
    let Ok(Found::Messages(all)) = waiter.read(&store, mailbox()) else { panic!("a mailbox") };
    let second = open(&copy.0);
    assert_eq!(waiter.read(&second, mailbox()), Ok(Found::Messages(all[..501].to_vec())));
    assert!(waiter.on(second.check()).expect("open").is_whole());
    waiter.write(&second, Write::Append(letter("a", 3000))).expect("it is a store like any other");
}

#[test]
fn a_check_counts_what_it_looked_at() {
    let (folder, waiter) = (Folder::new("check"), Waiter::new());
    let store = filled(&folder, &waiter, 10);
    let checked = waiter.on(store.check()).expect("open");
    // The agent's record and its messages.
    assert_eq!((checked.agents, checked.records), (1, 11));
    assert!(checked.is_whole());
}
