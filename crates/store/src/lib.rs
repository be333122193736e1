//! The durable store of `ggml-agent`: what agents must not lose, kept by SQLite in one folder.
//!
//! One thread owns the connection. It takes whatever waits, carries it out in one transaction, and answers
//! when that has reached the device (*group commit*): a single write costs one flush, and sixty-four that
//! come together cost one as well.
//!
//! What is kept, and what each write means, is said in [`ggml_agent_core::store`]; this crate holds it
//! against power cuts, full disks, failing devices, flipped bits and second owners.
//!
//! Reading order: [`Sqlite`], [`OpenError`], `writer` (transactions), `write` and `read` (what each
//! operation does), `schema` (how it is noticed that something is damaged).

mod agent;
mod body;
mod dead;
mod engine;
mod error;
mod heads;
mod ids;
mod lock;
mod mail;
mod medium;
mod names;
mod open;
mod operator;
mod options;
mod quarantine;
mod queue;
mod read;
mod schema;
mod small;
mod sqlite;
mod state;
mod sum;
mod wal;
mod write;
mod writer;

pub use error::OpenError;
pub use open::FILE;
pub use operator::{Checked, Damage, Release, Stats};
pub use options::{Medium, Options};
pub use sqlite::Sqlite;
