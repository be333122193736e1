//! What becomes of an agent that was set aside.

use std::collections::BTreeMap;

use ggml_agent_core::AgentId;
use ggml_agent_core::store::StoreError;
use rusqlite::Connection;

use super::{Damage, Release, check};
use crate::agent::Agent;
use crate::engine::Engine;
use crate::error::Fault;
use crate::sum::Hash;
use crate::{body, names, quarantine};

/// Epochs that are skipped when nobody can tell how many an agent had: one for each of its starts, and it
/// would have to start a thousand times a second for 49 days to need them all.
const EPOCHS_SKIPPED: u64 = 1 << 32;

/// Tables with rows of agents, and those of them that name large contents.
const TABLES: [&str; 8] =
    ["messages", "seen", "snapshots", "journal", "outbox", "timers", "once", "agents"];
const USERS: &str = "SELECT blob, count(*) FROM (SELECT blob FROM messages \
    UNION ALL SELECT blob FROM snapshots UNION ALL SELECT blob FROM journal \
    UNION ALL SELECT blob FROM outbox UNION ALL SELECT blob FROM timers \
    UNION ALL SELECT blob FROM once UNION ALL SELECT blob FROM dead) \
    WHERE blob IS NOT NULL GROUP BY blob";

pub(super) fn release(engine: &mut Engine, name: &AgentId) -> Result<Release, Fault> {
    if !engine.set_aside.contains_key(name) {
        return Ok(Release::NotSetAside);
    }
    match check::one(engine, name) {
        Ok(()) => {}
        Err(fault) if fault.is_damage() => {
            let (what, why) = fault.into_damage();
            return Ok(Release::Damaged(Damage { what, why }));
        }
        Err(fault) => return Err(fault),
    }
    quarantine::remove(&engine.conn, name)?;
    engine.set_aside.remove(name);
    Ok(Release::Released)
}

/// Whether it was set aside.
pub(super) fn discard(engine: &mut Engine, name: &AgentId) -> Result<bool, Fault> {
    if !engine.set_aside.contains_key(name) {
        return Ok(false);
    }
    engine.begin()?;
    if let Err(fault) = erase(engine, name).and_then(|()| engine.flush()) {
        engine.is_doubtful = !engine.roll_back();
        return Err(fault);
    }
    if let Err(error) = engine.commit() {
        engine.is_doubtful = true;
        return Err(StoreError::Indeterminate { why: error.to_string() }.into());
    }
    engine.set_aside.remove(name);
    engine.forget(name);
    Ok(true)
}

fn erase(engine: &mut Engine, name: &AgentId) -> Result<(), Fault> {
    let Engine { conn, heads, .. } = engine;
    if let Some(id) = names::find(conn, heads, name)? {
        let epoch = match Agent::load(conn, id) {
            Ok(agent) => agent.epoch,
            Err(fault) if fault.is_damage() => heads.removed_epoch.saturating_add(EPOCHS_SKIPPED),
            Err(fault) => return Err(fault),
        };
        heads.removed_epoch = heads.removed_epoch.max(epoch);
        for table in TABLES {
            let delete = format!("DELETE FROM {table} WHERE agent = ?1");
            conn.prepare_cached(&delete)?.execute([id])?;
        }
        names::remove(conn, heads, name)?;
    }
    quarantine::remove(conn, name)?;
    count_uses(conn)
}

/// Counts anew how often each large content is used, since nobody can tell which ones a damaged row named.
fn count_uses(conn: &Connection) -> Result<(), Fault> {
    let mut users = conn.prepare(USERS)?;
    let used = users.query_map([], |row| Ok((row.get::<_, Hash>(0)?, row.get::<_, i64>(1)?)))?;
    let used = used.collect::<Result<BTreeMap<_, _>, _>>()?;
    let mut select = conn.prepare("SELECT hash FROM contents UNION SELECT hash FROM blobs")?;
    let hashes = select.query_map([], |row| row.get::<_, Hash>(0))?;
    for hash in hashes.collect::<Result<Vec<_>, _>>()? {
        match used.get(&hash) {
            Some(uses) => body::set_uses(conn, &hash, *uses)?,
            None => body::forget(conn, &hash)?,
        }
    }
    Ok(())
}
