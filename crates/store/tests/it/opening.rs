//! Which folders are refused, and that nothing in them is touched then.

use std::fs;
use std::path::Path;

use ggml_agent_core::store::{Accepted, Position, StoreError, Write, Written};
use ggml_agent_store::{FILE, OpenError, Options, Sqlite};

use crate::common::{Folder, Waiter, begin, letter, open, options};

/// A closed store with one agent and one message.
fn made(name: &str) -> Folder {
    let (folder, waiter) = (Folder::new(name), Waiter::new());
    let store = open(&folder.0);
    waiter.write(&store, begin("a")).expect("room");
    waiter.write(&store, Write::Append(letter("a", 1))).expect("room");
    folder
}

fn refusal(folder: &Path) -> OpenError {
    Sqlite::open(folder, options()).expect_err("refused")
}

fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let all = fs::read_dir(folder).expect("a folder").map(|entry| {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("UTF-8");
        (name, fs::read(entry.path()).expect("a file"))
    });
    let mut all: Vec<_> = all.filter(|(name, _)| name != "lock").collect();
    all.sort();
    all
}

/// Changes the file, and says that the store is refused without a byte being changed.
fn refused_untouched(name: &str, change: impl FnOnce(&mut Vec<u8>)) -> OpenError {
    let folder = made(name);
    let mut bytes = fs::read(folder.file(FILE)).expect("the file");
    change(&mut bytes);
    fs::write(folder.file(FILE), bytes).expect("a file");
    let before = contents(&folder.0);
    let error = refusal(&folder.0);
    assert!(contents(&folder.0) == before, "{name}: something was touched");
    error
}

#[test]
fn a_store_is_as_it_was_when_it_is_opened_again() {
    let (folder, waiter) = (made("again"), Waiter::new());
    let store = open(&folder.0);
    let duplicate = waiter.write(&store, Write::Append(letter("a", 1)));
    assert_eq!(duplicate, Ok(Written::Accepted(Accepted::Duplicate)));
    let next = waiter.write(&store, Write::Append(letter("a", 2)));
    assert_eq!(next, Ok(Written::Accepted(Accepted::At(Position(2)))));
}

#[test]
fn what_was_begun_before_the_last_handle_was_dropped_is_done() {
    let (folder, waiter) = (made("begun"), Waiter::new());
    let store = open(&folder.0);
    for number in 2..500 {
        // Nobody awaits them.
        drop(ggml_agent_core::store::Store::write(&store, Write::Append(letter("a", number))));
    }
    drop(store);
    let stats = waiter.on(open(&folder.0).stats()).expect("open");
    assert_eq!(stats.messages, 499);
}

#[test]
fn q14_a_second_owner_is_refused_with_the_id_of_the_first() {
    let folder = made("owner");
    let first = open(&folder.0);
    let second = refusal(&folder.0);
    let own = std::process::id();
    assert!(matches!(second, OpenError::Locked { pid: Some(pid), .. } if pid == own), "{second:?}");
    assert!(second.to_string().contains(&format!("process {own}")), "{second}");
    drop(first);
    open(&folder.0);
}

#[test]
fn q14_a_newer_format_is_refused_by_both_numbers_and_untouched() {
    let error = refused_untouched("newer", |bytes| bytes[60..64].copy_from_slice(&[0, 0, 0, 9]));
    assert!(matches!(error, OpenError::Newer { found: 9, known: 2, .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("format 9") && text.contains("up to 2"), "{text}");
}

#[test]
fn what_is_not_a_store_is_refused_and_untouched() {
    let other = refused_untouched("other", |bytes| bytes[68] ^= 1);
    assert!(matches!(other, OpenError::NotAStore { .. }), "{other:?}");
    let text = refused_untouched("text", |bytes| *bytes = vec![b'x'; 5000]);
    assert!(matches!(text, OpenError::NotAStore { .. }), "{text:?}");
    let short = refused_untouched("short", |bytes| bytes.truncate(50));
    assert!(matches!(short, OpenError::NotAStore { .. }), "{short:?}");
    let cut = refused_untouched("cut", |bytes| bytes.truncate(bytes.len() / 2));
    assert!(matches!(cut, OpenError::Damaged { .. }), "{cut:?}");
}

#[test]
fn a_log_without_its_file_is_refused_and_untouched() {
    let folder = made("lone-log");
    let store = open(&folder.0);
    Waiter::new().write(&store, Write::Append(letter("a", 2))).expect("room");
    let (image, log) = (Folder::new("lone-log-image"), format!("{FILE}-wal"));
    fs::create_dir(&image.0).expect("a folder");
    fs::copy(folder.file(&log), image.file(&log)).expect("a log");
    let before = contents(&image.0);
    assert!(matches!(refusal(&image.0), OpenError::Damaged { .. }));
    assert_eq!(contents(&image.0), before);
}

#[test]
fn a_path_that_is_no_folder_is_refused() {
    let folder = made("path");
    let file = folder.file(FILE);
    for path in [file.clone(), file.join("below")] {
        let error = refusal(&path);
        assert!(matches!(error, OpenError::NotAFolder { .. }), "{error:?}");
    }
}

#[test]
fn a_missing_folder_is_made_with_all_above_it() {
    let folder = Folder::new("deep");
    open(&folder.file("one/two/three"));
    assert!(folder.file("one/two/three").join(FILE).is_file());
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_written_is_refused_by_name() {
    let made = refusal(Path::new("/proc/ggml-agent"));
    assert!(matches!(made, OpenError::CannotCreate { .. }), "{made:?}");
    let written = refusal(Path::new("/proc"));
    assert!(matches!(written, OpenError::CannotWrite { .. }), "{written:?}");
    assert!(written.to_string().contains("/proc/lock"), "{written}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_system_in_memory_is_refused_unless_it_is_accepted() {
    let memory = Path::new("/dev/shm");
    let mounts = fs::read_to_string("/proc/self/mounts").expect("Linux");
    if !mounts.contains(" /dev/shm tmpfs ") {
        return; // Here is none.
    }
    let error = Sqlite::open(memory, Options::DEFAULT).expect_err("nothing survives there");
    assert!(
        matches!(&error, OpenError::Medium { file_system, .. } if file_system == "tmpfs"),
        "{error:?}"
    );
    assert!(!memory.join(FILE).exists());
}

#[test]
fn an_interrupted_creation_is_begun_anew() {
    let folder = Folder::new("half");
    fs::create_dir(&folder.0).expect("a folder");
    fs::write(folder.file("store.new"), b"half of it").expect("a file");
    open(&folder.0);
    assert!(!folder.file("store.new").exists());
}

#[test]
fn a_store_that_may_not_grow_refuses_and_loses_nothing() {
    let (folder, waiter) = (made("full"), Waiter::new());
    let small = Options { file_bytes_max: Some(256 * 1024), ..options() };
    let store = Sqlite::open(&folder.0, small).expect("opens");
    let number = (2..).find(|number| {
        let big = crate::common::letter_of("a", *number, vec![1; 3000]);
        match waiter.write(&store, Write::Append(big)) {
            Ok(_) => false,
            Err(error) => {
                assert_eq!(error, StoreError::NoSpace);
                assert!(error.is_retryable());
                true
            }
        }
    });
    let number = number.expect("it is full some day");
    assert_eq!(waiter.on(store.stats()).expect("open").messages, number - 1);
    drop(store);
    let store = open(&folder.0);
    assert!(waiter.on(store.check()).expect("open").is_whole());
    let again = waiter.write(&store, Write::Append(letter("a", number)));
    assert_eq!(again, Ok(Written::Accepted(Accepted::At(Position(number)))));
}
