//! Stores that were once written are read for ever: `tests/golden/store` at the root of the repository.
//!
//! `GGML_AGENT_BLESS=1 cargo test -p ggml-agent-store golden` writes a file that is missing, and never
//! changes one: a changed form is a new version and a new file.

use std::fs;
use std::path::PathBuf;

use ggml_agent_core::store::Write;
use ggml_agent_store::FILE;

use crate::common::{Folder, Waiter, letter, letter_of, open};
use crate::damage::{carried_out, reads, truth, writes};

/// Something of everything, and a content so large that it is stored by its hash.
fn written() -> Vec<Write> {
    let mut all = writes();
    all.push(Write::Append(letter_of("beta", 500, vec![b'y'; 256 * 1024 + 1])));
    all
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/store/v1.db")
}

#[test]
fn the_golden_store_of_format_1_says_what_was_written() {
    let (folder, waiter) = (Folder::new("golden"), Waiter::new());
    if !file().exists() && std::env::var_os("GGML_AGENT_BLESS").is_some() {
        drop(carried_out(&folder, &waiter, &written()));
        fs::create_dir_all(file().parent().expect("a folder")).expect("a folder");
        fs::copy(folder.file(FILE), file()).expect("a file");
        fs::remove_dir_all(&folder.0).expect("it is there");
    }
    fs::create_dir(&folder.0).expect("a folder");
    fs::write(folder.file(FILE), fs::read(file()).expect("a golden file")).expect("a file");
    let (store, mut tables) = (open(&folder.0), truth(&written()));
    assert!(waiter.on(store.check()).expect("open").is_whole());
    for read in reads() {
        assert_eq!(waiter.read(&store, read.clone()), tables.read(&read), "{read:?}");
    }
    // And it goes on from there.
    for write in [
        crate::common::begin("alpha"),
        Write::Append(letter("beta", 500)),
        Write::Append(letter("beta", 501)),
        Write::Resend { number: 2 },
    ] {
        assert_eq!(waiter.write(&store, write.clone()), tables.write(write.clone()), "{write:?}");
    }
}
