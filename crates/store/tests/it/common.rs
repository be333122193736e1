//! What the tests share.

use std::path::{Path, PathBuf};

use ggml_agent_core::store::{
    Answer, Bounds, Found, Open, Read, Store, StoreError, Write, Written,
};
use ggml_agent_core::{AgentId, Envelope, MessageId, MessageType};
use ggml_agent_store::{Medium, Options, Sqlite};
use tokio::runtime::Runtime;

/// Wherever the tests run.
pub(crate) fn options() -> Options {
    Options { medium: Medium::Any, ..Options::DEFAULT }
}

pub(crate) fn open(folder: &Path) -> Sqlite {
    Sqlite::open(folder, options()).expect("a folder that can be used")
}

/// A folder that is gone afterwards.
#[derive(Debug)]
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = format!("ggml-agent-store-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(path);
        drop(std::fs::remove_dir_all(&path));
        Self(path)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Waits for answers.
pub(crate) struct Waiter(Runtime);

impl Waiter {
    pub(crate) fn new() -> Self {
        Self(tokio::runtime::Builder::new_current_thread().build().expect("a runtime"))
    }

    pub(crate) fn on<T>(&self, answer: Answer<T>) -> Result<T, StoreError> {
        self.0.block_on(answer)
    }

    pub(crate) fn write(&self, store: &Sqlite, write: Write) -> Result<Written, StoreError> {
        self.on(store.write(write))
    }

    pub(crate) fn read(&self, store: &Sqlite, read: Read) -> Result<Found, StoreError> {
        self.on(store.read(read))
    }
}

pub(crate) fn id(name: &str) -> AgentId {
    name.parse().expect("an id")
}

pub(crate) fn letter(to: &str, number: u64) -> Envelope {
    letter_of(to, number, format!("message {number}").into_bytes())
}

pub(crate) fn letter_of(to: &str, number: u64, payload: Vec<u8>) -> Envelope {
    let id_of = MessageId::from_u128(number.into());
    Envelope::new(id_of, number, id(to), MessageType::User, payload)
}

pub(crate) fn begin(name: &str) -> Write {
    Write::Open(Open { agent: id(name), bounds: Bounds::DEFAULT, in_hand: None })
}

/// A number from the environment, or `default`.
pub(crate) fn number(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// splitmix64: quick, and any seed is good.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}
