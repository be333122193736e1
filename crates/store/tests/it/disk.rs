//! A device that fails in the middle of a commit, in a process of its own.
//!
//! The system refuses a write behind the largest size that a process may give a file (`RLIMIT_FSIZE`): with
//! SIGXFSZ ignored that is an error of `write`, which SQLite takes for one of the device. Nobody needs to be
//! root for it, and no part of SQLite is replaced.

use std::path::PathBuf;
use std::process::Command;

use ggml_agent_core::Priority;
use ggml_agent_core::store::{Accepted, Found, Position, Read, StoreError, Write, Written};
use ggml_agent_store::{FILE, Sqlite};

use crate::common::{Folder, Waiter, begin, id, letter_of, open, options};

/// The folder that a child works in; without it, it is no child.
const CHILD: &str = "GGML_AGENT_STORE_FULL";

/// Blocks of 512 bytes that a file may have: 300 KiB, some 70 pages of the log.
const BLOCKS: u32 = 600;

const MESSAGES_MAX: u64 = 2000;

fn mail(number: u64) -> Write {
    Write::Append(letter_of("a", number, vec![b'x'; 1000]))
}

fn read(after: u64) -> Read {
    Read::Messages { mailbox: id("a"), lane: Priority::Normal, after: Position(after), limit: 9999 }
}

fn texts(found: Result<Found, StoreError>) -> Vec<u128> {
    match found {
        Ok(Found::Messages(all)) => all.iter().map(|mail| mail.envelope.id.to_u128()).collect(),
        answer => panic!("{answer:?}"),
    }
}

/// What the child is: it sends, again what failed, until the disk fails for good; then it asks for more
/// room, and goes on.
#[test]
fn child_on_a_bad_disk() {
    let Some(folder) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let (waiter, store) = (Waiter::new(), Sqlite::open(&folder, options()).expect("opens"));
    waiter.write(&store, begin("a")).expect("room");
    let (mut number, mut in_a_row) = (1, 0);
    while in_a_row < 5 {
        match waiter.write(&store, mail(number)) {
            // In the middle of a log that is full, the file has room: it is opened again, and goes on.
            Ok(Written::Accepted(accepted)) => {
                let is_kept = match accepted {
                    Accepted::At(at) => at == Position(number),
                    accepted => accepted == Accepted::Duplicate && in_a_row > 0,
                };
                assert!(is_kept, "{accepted:?} for {number} after {in_a_row} errors");
                if in_a_row > 0 {
                    println!("recovered {number}");
                }
                (number, in_a_row) = (number + 1, 0);
            }
            Err(error) => {
                println!("failed {number} {error:?}");
                assert!(error.is_retryable(), "{error:?}");
                in_a_row += 1;
            }
            answer => panic!("{answer:?}"),
        }
        assert!(number < MESSAGES_MAX, "the disk does not fail");
    }
    let limit = ["--fsize=unlimited", "--pid", &std::process::id().to_string()];
    assert!(Command::new("prlimit").args(limit).status().expect("it is there").success());
    // The one that failed may have been kept; then it is known.
    let again = waiter.write(&store, mail(number)).expect("the disk works again");
    assert!(matches!(again, Written::Accepted(Accepted::At(_) | Accepted::Duplicate)));
    for number in number + 1..number + 20 {
        waiter.write(&store, mail(number)).expect("the disk works again");
    }
    let all: Vec<u128> = (1..u128::from(number) + 20).collect();
    assert_eq!(texts(waiter.read(&store, read(0))), all);
    println!("kept {}", all.len());
}

#[test]
fn q10_a_device_that_fails_in_a_commit_loses_nothing_and_is_used_again_when_it_works() {
    if Command::new("prlimit").arg("--version").output().is_err() {
        println!("skipped: there is no prlimit here, which lets the disk work again");
        return;
    }
    let folder = Folder::new("bad-disk");
    let itself = std::env::current_exe().expect("it runs");
    // A signal that is ignored stays so in the program that takes the shell's place.
    let script = format!(
        "trap '' XFSZ; ulimit -S -f {BLOCKS}; exec \"$0\" --exact disk::child_on_a_bad_disk --nocapture"
    );
    let mut shell = Command::new("sh");
    let output = shell.args(["-c", &script]).arg(itself).env(CHILD, &folder.0).output();
    let output = output.expect("a shell");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let number = |word: &str| -> u64 {
        let line = said.lines().find_map(|line| line.split_once(word));
        let text = line.and_then(|(_, rest)| rest.split(' ').find(|part| !part.is_empty()));
        text.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{word}: {said}"))
    };
    assert!(number("recovered ") > 10, "it failed in the middle of the work: {said}");
    assert!(said.contains("Indeterminate"), "it failed in a commit: {said}");
    let (waiter, store) = (Waiter::new(), open(&folder.0));
    let all: Vec<u128> = (1..=number("kept ").into()).collect();
    assert_eq!(texts(waiter.read(&store, read(0))), all);
    let checked = waiter.on(store.check()).expect("open");
    assert!(checked.is_whole(), "{checked:?}");
    assert!(folder.file(FILE).exists());
}
