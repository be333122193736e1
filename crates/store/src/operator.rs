//! What operators do with a store: look at it, check it, make it smaller, copy it.

mod aside;
mod check;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use ggml_agent_core::AgentId;
use ggml_agent_core::store::{Answer, StoreError};

use crate::engine::Engine;
use crate::error::Fault;
use crate::open;
use crate::sqlite::Sqlite;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked {
    /// Agents that were looked at.
    pub agents: u64,
    /// Records whose checksums were compared.
    pub records: u64,
    /// What is damaged.
    pub damaged: Vec<Damage>,
}

impl Checked {
    /// Whether nothing is damaged.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.damaged.is_empty()
    }
}

/// One thing that is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Which agent, list or page.
    pub what: String,
    /// What is wrong with it.
    pub why: String,
}

/// What became of an agent that was to be used again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Release {
    /// All its records are whole: it is used again, from where it stood.
    Released,
    /// It is damaged still, and stays set aside.
    Damaged(Damage),
    /// It was not set aside.
    NotSetAside,
}

/// How much is stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stats {
    /// Agents.
    pub agents: u64,
    /// Messages that wait.
    pub messages: u64,
    /// Bytes of their payloads.
    pub message_bytes: u64,
    /// Entries of journals.
    pub entries: u64,
    /// Messages in outboxes.
    pub outbox: u64,
    /// Timers.
    pub timers: u64,
    /// Results of outside effects.
    pub once: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Contents so large that they are stored by hash, each once.
    pub blobs: u64,
    /// Bytes of them.
    pub blob_bytes: u64,
    /// Agents that were set aside.
    pub quarantined: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bytes of SQLite's log beside it.
    pub log_bytes: u64,
    /// Bytes of the file that [`Sqlite::compact`] would give back.
    pub free_bytes: u64,
}

impl Sqlite {
    /// Checks everything: SQLite's pages, the checksum of each record, chains and counts. Nothing else is
    /// done meanwhile, and nothing is changed.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read; what is damaged is not an error.
    pub fn check(&self) -> Answer<Checked> {
        self.operate(|engine| check::check(engine).map_err(Fault::into_error))
    }

    /// Checks an agent that was set aside, and uses it again if it is whole: the damage was in memory or
    /// on the way, or somebody has repaired it.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read or written; that it is damaged still is not an error.
    pub fn release(&self, agent: AgentId) -> Answer<Release> {
        self.operate(move |engine| aside::release(engine, &agent).map_err(Fault::into_error))
    }

    /// Forgets an agent that was set aside, with all that is kept of it: mailbox, state, journal, timers and
    /// results, whole or not. Its dead letters stay. Who begins under its name begins anew, and a message
    /// that it had handled already may be handled again if it is sent again. False if it was not set aside.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read or written, or where other records are in the way; nothing
    /// is changed then.
    pub fn discard(&self, agent: AgentId) -> Answer<bool> {
        self.operate(move |engine| aside::discard(engine, &agent).map_err(Fault::into_error))
    }

    /// Counts what is stored.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub fn stats(&self) -> Answer<Stats> {
        self.operate(|engine| stats(engine).map_err(Fault::into_error))
    }

    /// Gives unused space back to the disk. It needs as much space again for its time, and nothing else is
    /// done meanwhile.
    ///
    /// # Errors
    /// [`StoreError::NoSpace`] and others; nothing is lost then.
    pub fn compact(&self) -> Answer<()> {
        self.operate(|engine| {
            let done = engine.conn.execute_batch("VACUUM").map_err(Fault::from);
            done.and_then(|()| open::checkpoint(&engine.conn)).map_err(Fault::into_error)
        })
    }

    /// Copies the store into the file `to`, which must not be there yet: as it is between two writes, with
    /// unused space left out. Writes that come meanwhile wait. Put into a folder of its own under the name
    /// [`FILE`](crate::FILE), it is a store.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the file is there or cannot be written, [`StoreError::NoSpace`].
    pub fn backup(&self, to: &Path) -> Answer<()> {
        let to = to.to_path_buf();
        self.operate(move |engine| backup(engine, &to))
    }
}

fn backup(engine: &Engine, to: &Path) -> Result<(), StoreError> {
    let unavailable = |why: &dyn std::fmt::Display| StoreError::Unavailable {
        why: format!("no backup in \"{}\": {why}", to.display()),
    };
    if to.try_exists().unwrap_or(true) {
        return Err(unavailable(&"the file is there already, name another"));
    }
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    // What an earlier attempt left would be refused by SQLite.
    drop(fs::remove_file(&part));
    let Some(name) = part.to_str() else { return Err(unavailable(&"its name is not UTF-8")) };
    let copied = engine.conn.execute("VACUUM INTO ?1", [name]).map_err(Fault::from);
    if let Err(fault) = copied {
        drop(fs::remove_file(&part));
        return Err(match fault.into_error() {
            StoreError::Unavailable { why } => unavailable(&why),
            error => error,
        });
    }
    let folder =
        to.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(&part)
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::rename(&part, to))
        .and_then(|()| open::sync_folder(folder))
        .map_err(|error| unavailable(&error))
}

fn stats(engine: &Engine) -> Result<Stats, Fault> {
    let conn = &engine.conn;
    let number = |select: &str| -> Result<u64, Fault> {
        Ok(conn.query_row(select, [], |row| row.get::<_, i64>(0))?.cast_unsigned())
    };
    let len = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
    let mut log = engine.path.as_os_str().to_owned();
    log.push("-wal");
    Ok(Stats {
        agents: number("SELECT count(*) FROM agents")?,
        messages: number("SELECT coalesce(sum(high_count + normal_count), 0) FROM agents")?,
        message_bytes: number("SELECT coalesce(sum(queued_bytes), 0) FROM agents")?,
        entries: number("SELECT count(*) FROM journal")?,
        outbox: number("SELECT count(*) FROM outbox")?,
        timers: number("SELECT count(*) FROM timers")?,
        once: number("SELECT count(*) FROM once")?,
        dead_letters: number("SELECT count(*) FROM dead")?,
        blobs: number("SELECT count(*) FROM contents")?,
        blob_bytes: number("SELECT coalesce(sum(length(content)), 0) FROM contents")?,
        quarantined: number("SELECT count(*) FROM quarantine")?,
        file_bytes: len(&engine.path),
        log_bytes: len(Path::new(&log)),
        free_bytes: number("PRAGMA freelist_count")? * number("PRAGMA page_size")?,
    })
}
