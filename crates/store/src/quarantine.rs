//! Who was set aside.

use std::collections::BTreeMap;

use ggml_agent_core::AgentId;
use rusqlite::Connection;

use crate::error::{Fault, damaged};
use crate::sum::Sum;

pub(crate) fn load(conn: &Connection) -> Result<BTreeMap<AgentId, String>, Fault> {
    let mut select = conn.prepare("SELECT name, why, sum FROM quarantine")?;
    let mut rows = select.query([])?;
    let mut all = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (name, why): (String, String) = (row.get(0)?, row.get(1)?);
        let is_whole = row.get::<_, i64>(2)? == sum(&name, &why);
        match AgentId::new(&name) {
            Ok(name) if is_whole => all.insert(name, why),
            _ => return Err(damaged("the list of damaged agents", "a checksum is wrong")),
        };
    }
    Ok(all)
}

/// In a transaction of its own, if none is open.
pub(crate) fn put(conn: &Connection, name: &AgentId, why: &str) -> Result<(), Fault> {
    let row = (name.as_str(), why, sum(name.as_str(), why));
    conn.prepare_cached("INSERT OR REPLACE INTO quarantine VALUES (?1, ?2, ?3)")?.execute(row)?;
    Ok(())
}

/// In a transaction of its own, if none is open.
pub(crate) fn remove(conn: &Connection, name: &AgentId) -> Result<(), Fault> {
    conn.prepare_cached("DELETE FROM quarantine WHERE name = ?1")?.execute([name.as_str()])?;
    Ok(())
}

fn sum(name: &str, why: &str) -> i64 {
    Sum::of("quarantine").bytes(name.as_bytes()).bytes(why.as_bytes()).end()
}
