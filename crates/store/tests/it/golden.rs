//! Stores that were once written are read for ever: `tests/golden/store` at the root of the repository.
//!
//! `GGML_AGENT_BLESS=1 cargo test -p ggml-agent-store golden` writes a file that is missing, and never
//! changes one: a changed form is a new version and a new file.

use std::fs;
use std::path::PathBuf;

use ggml_agent_core::store::Write;
use ggml_agent_store::FILE;

use crate::common::{Folder, Waiter, letter, letter_of, open};
use crate::damage::{carried_out, reads, truth, writes, writes_of_format_2};

/// Something of everything that a format has, and a content so large that it is stored by its hash.
fn written(format: u32) -> Vec<Write> {
    let mut all = if format == 1 { writes() } else { writes_of_format_2() };
    all.push(Write::Append(letter_of("beta", 500, vec![b'y'; 256 * 1024 + 1])));
    all
}

fn file(format: u32) -> PathBuf {
    let store = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/store");
    store.join(format!("v{format}.db"))
}

#[test]
fn the_golden_store_of_format_1_says_what_was_written() {
    says_what_was_written(1);
}

#[test]
fn the_golden_store_of_format_2_says_what_was_written() {
    let file = file(2);
    if !file.exists() && std::env::var_os("GGML_AGENT_BLESS").is_some() {
        let (folder, waiter) = (Folder::new("bless"), Waiter::new());
        drop(carried_out(&folder, &waiter, &written(2)));
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::copy(folder.file(FILE), file).expect("a file");
    }
    says_what_was_written(2);
}

fn says_what_was_written(format: u32) {
    let (folder, waiter) = (Folder::new(&format!("golden-{format}")), Waiter::new());
    fs::create_dir(&folder.0).expect("a folder");
    let golden = fs::read(file(format)).expect("a golden file");
    assert_eq!(golden[60..64], format.to_be_bytes(), "the format that it says it has");
    fs::write(folder.file(FILE), golden).expect("a file");
    let (store, mut tables) = (open(&folder.0), truth(&written(format)));
    assert!(waiter.on(store.check()).expect("open").is_whole());
    for read in reads() {
        assert_eq!(waiter.read(&store, read.clone()), tables.read(&read), "{read:?}");
    }
    // And it goes on from there: old rows and new ones, alone and in runs.
    for write in [
        crate::common::begin("alpha"),
        Write::Append(letter("beta", 500)),
        Write::Append(letter("beta", 501)),
        Write::AppendAll((502..520).map(|n| letter("beta", n)).collect()),
        Write::Resend { number: 2 },
    ] {
        assert_eq!(waiter.write(&store, write.clone()), tables.write(write.clone()), "{write:?}");
    }
    for read in reads() {
        assert_eq!(waiter.read(&store, read.clone()), tables.read(&read), "{read:?}");
    }
    drop(store);
    // An older program would refuse it from now on, by its number.
    let header = fs::read(folder.file(FILE)).expect("a file");
    assert_eq!(header[60..64], 2_u32.to_be_bytes());
}
