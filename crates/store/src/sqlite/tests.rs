//! What happens when the device fails in the middle of a commit, which no test from outside can arrange.

use std::path::PathBuf;

use ggml_agent_core::store::{Accepted, Bounds, Open, Position};
use ggml_agent_core::{Envelope, MessageId, MessageType};

use super::*;
use crate::options::Medium;

fn on<T>(answer: Answer<T>) -> Result<T, StoreError> {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(answer)
}

fn store(name: &str) -> (Sqlite, PathBuf) {
    let folder =
        std::env::temp_dir().join(format!("ggml-agent-store-{}-{name}", std::process::id()));
    drop(std::fs::remove_dir_all(&folder));
    let options = Options { medium: Medium::Any, ..Options::DEFAULT };
    let store = Sqlite::open(&folder, options).expect("opens");
    let agent = "a".parse().expect("an id");
    on(store.write(Write::Open(Open { agent, bounds: Bounds::DEFAULT, in_hand: None })))
        .expect("room");
    (store, folder)
}

fn append(store: &Sqlite, number: u128) -> Result<Written, StoreError> {
    let (id, to) = (MessageId::from_u128(number), "a".parse().expect("an id"));
    on(store.write(Write::Append(Envelope::new(id, 0, to, MessageType::User, "text"))))
}

fn fail_next_commit(store: &Sqlite) {
    let failing = store.operate(|engine| {
        engine.commits_fail = 1;
        Ok(())
    });
    on(failing).expect("open");
}

#[test]
fn a_commit_that_fails_is_of_unknown_outcome_and_the_store_is_opened_again() {
    let (store, folder) = store("commit");
    assert_eq!(append(&store, 1), Ok(Written::Accepted(Accepted::At(Position(1)))));
    fail_next_commit(&store);
    assert!(matches!(append(&store, 2), Err(StoreError::Indeterminate { .. })));
    // The same one again, and nothing that was acknowledged is lost.
    assert_eq!(append(&store, 2), Ok(Written::Accepted(Accepted::At(Position(2)))));
    assert_eq!(append(&store, 1), Ok(Written::Accepted(Accepted::Duplicate)));
    drop(store);
    std::fs::remove_dir_all(folder).expect("it is there");
}

#[test]
fn nothing_is_answered_with_ok_while_the_store_cannot_be_opened_again() {
    let (store, folder) = store("reopen");
    append(&store, 1).expect("room");
    fail_next_commit(&store);
    let (file, away) = (folder.join(open::FILE), folder.join("away"));
    // It is not made anew in the place of the one that was lost.
    let hidden = store.operate({
        let (file, away) = (file.clone(), away.clone());
        move |engine| {
            open::checkpoint(&engine.conn).map_err(crate::error::Fault::into_error)?;
            std::fs::rename(file, away).expect("a file");
            Ok(())
        }
    });
    on(hidden).expect("open");
    assert!(matches!(append(&store, 2), Err(StoreError::Indeterminate { .. })));
    for _ in 0..3 {
        assert!(matches!(append(&store, 2), Err(StoreError::Unavailable { .. })));
        assert!(matches!(on(store.stats()), Err(StoreError::Unavailable { .. })));
    }
    std::fs::rename(away, file).expect("a file");
    assert_eq!(append(&store, 2), Ok(Written::Accepted(Accepted::At(Position(2)))));
    assert_eq!(append(&store, 1), Ok(Written::Accepted(Accepted::Duplicate)));
    drop(store);
    std::fs::remove_dir_all(folder).expect("it is there");
}

#[test]
fn what_would_not_fit_into_memory_is_refused_and_may_come_again() {
    let (first, folder) = store("queue");
    drop(first);
    let options = Options { medium: Medium::Any, waiting_max: 2, ..Options::DEFAULT };
    let store = Sqlite::open(&folder, options).expect("opens");
    let (release, held) = std::sync::mpsc::channel::<()>();
    let (holds, is_held) = std::sync::mpsc::channel();
    let holding = store.operate(move |_| {
        holds.send(()).expect("the test waits");
        held.recv().map_err(|_| StoreError::Closed)
    });
    is_held.recv().expect("the thread runs");
    let read = || Read::Agents { after: None, limit: 1 };
    let (first, second, third) = (store.read(read()), store.read(read()), store.read(read()));
    assert!(matches!(on(third), Err(StoreError::Unavailable { .. })));
    release.send(()).expect("the thread waits");
    for answer in [on(first), on(second), on(store.read(read()))] {
        assert!(answer.is_ok(), "{answer:?}");
    }
    assert_eq!(on(holding), Ok(()));
    assert_eq!(on(store.close()), Ok(()));
    assert_eq!(on(store.read(read())), Err(StoreError::Closed));
    drop(store);
    std::fs::remove_dir_all(folder).expect("it is there");
}
