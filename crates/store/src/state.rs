//! Snapshots and journals. A journal is numbered without a gap.

use bytes::Bytes;
use ggml_agent_core::store::{Entry, Snapshot};
use rusqlite::{Connection, OptionalExtension};

use crate::agent::Agent;
use crate::body::{self, Body};
use crate::error::{Fault, damaged};
use crate::small;
use crate::sum::{Hash, Sum};

const SNAPSHOT: &str = "SELECT * FROM snapshots WHERE agent = ?1";
const SET_SNAPSHOT: &str = "INSERT OR REPLACE INTO snapshots VALUES (?1, ?2, ?3, ?4, ?5)";
const BEHIND: &str =
    "SELECT * FROM journal WHERE agent = ?1 AND number > ?2 ORDER BY number LIMIT ?3";

/// The snapshot of an agent.
pub(crate) fn snapshot(conn: &Connection, agent: &Agent) -> Result<Option<Snapshot>, Fault> {
    if !agent.has_snapshot {
        return Ok(None);
    }
    let mut select = conn.prepare_cached(SNAPSHOT)?;
    let mut rows = select.query([agent.id])?;
    let Some(row) = rows.next()? else {
        return Err(damaged(format!("the snapshot of agent number {}", agent.id), "it is gone"));
    };
    let (version, body) = (row.get(1)?, small::body(row, 2)?);
    small::check(row, 4, snapshot_sum(agent.id, version, &body), "the snapshot")?;
    Ok(Some(Snapshot { version, bytes: body.unpack(conn)? }))
}

/// Sets the snapshot, which stands for the journal up to here.
pub(crate) fn set_snapshot(
    conn: &Connection,
    agent: &mut Agent,
    snapshot: &Snapshot,
) -> Result<(), Fault> {
    // First the new one: what both share is kept.
    let body = Body::pack(conn, &snapshot.bytes)?;
    if agent.has_snapshot {
        let mut select = conn.prepare_cached("SELECT blob FROM snapshots WHERE agent = ?1")?;
        let blob: Option<Option<Hash>> =
            select.query_row([agent.id], |row| row.get(0)).optional()?;
        if let Some(Some(blob)) = blob {
            body::release(conn, &blob)?;
        }
    }
    let sum = snapshot_sum(agent.id, snapshot.version, &body);
    let row = (agent.id, snapshot.version, &body.inline[..], body.blob.as_ref(), sum);
    conn.prepare_cached(SET_SNAPSHOT)?.execute(row)?;
    agent.has_snapshot = true;
    if agent.journal_last > agent.journal_after {
        release_all(conn, "journal", agent.id)?;
        conn.prepare_cached("DELETE FROM journal WHERE agent = ?1")?.execute([agent.id])?;
        agent.journal_after = agent.journal_last;
    }
    Ok(())
}

/// Adds an entry to the journal.
pub(crate) fn log(conn: &Connection, agent: &mut Agent, content: &Bytes) -> Result<(), Fault> {
    let body = Body::pack(conn, content)?;
    agent.journal_last += 1;
    let number = agent.journal_last.cast_signed();
    let sum = entry_sum(agent.id, number, &body);
    let row = (agent.id, number, &body.inline[..], body.blob.as_ref(), sum);
    conn.prepare_cached("INSERT OR REPLACE INTO journal VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(row)?;
    Ok(())
}

/// Entries behind `after`, at most `limit`, none left out.
pub(crate) fn journal(
    conn: &Connection,
    agent: &Agent,
    after: u64,
    limit: usize,
) -> Result<Vec<Entry>, Fault> {
    let after = after.max(agent.journal_after);
    let from = i64::try_from(after).unwrap_or(i64::MAX);
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut select = conn.prepare_cached(BEHIND)?;
    let mut rows = select.query((agent.id, from, most))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (number, body) = (row.get::<_, i64>(1)?, small::body(row, 2)?);
        small::check(row, 4, entry_sum(agent.id, number, &body), "an entry of the journal")?;
        let number = number.cast_unsigned();
        if number != after + 1 + found.len() as u64 {
            break;
        }
        found.push(Entry { number, bytes: body.unpack(conn)? });
    }
    let expected = agent.journal_last.saturating_sub(after).min(limit as u64);
    if found.len() as u64 == expected {
        return Ok(found);
    }
    let next = after + 1 + found.len() as u64;
    Err(damaged(format!("entry {next} in the journal of agent number {}", agent.id), "it is gone"))
}

/// The large contents that the rows of an agent in `table` name.
pub(crate) fn blobs(conn: &Connection, table: &str, agent: i64) -> Result<Vec<Hash>, Fault> {
    let select = format!("SELECT blob FROM {table} WHERE agent = ?1 AND blob IS NOT NULL");
    let mut select = conn.prepare_cached(&select)?;
    let hashes = select.query_map([agent], |row| row.get::<_, Hash>(0))?;
    Ok(hashes.collect::<Result<_, _>>()?)
}

/// Gives them up.
pub(crate) fn release_all(conn: &Connection, table: &str, agent: i64) -> Result<(), Fault> {
    blobs(conn, table, agent)?.iter().try_for_each(|hash| body::release(conn, hash))
}

fn snapshot_sum(agent: i64, version: u32, body: &Body) -> i64 {
    body.add_to(Sum::of("snapshots").numbers(&[agent, version.into()])).end()
}

fn entry_sum(agent: i64, number: i64, body: &Body) -> i64 {
    body.add_to(Sum::of("journal").numbers(&[agent, number])).end()
}
