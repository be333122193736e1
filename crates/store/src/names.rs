//! Which agent has which name: a chain in order, so that a name that is not there is known not to be.

use ggml_agent_core::AgentId;
use rusqlite::{Connection, OptionalExtension, Row};

use crate::error::{Fault, damaged};
use crate::heads::Heads;
use crate::sum::Sum;

const FROM: &str =
    "SELECT name, prev, agent, sum FROM names WHERE name >= ?1 ORDER BY name LIMIT 1";
const BEHIND: &str =
    "SELECT name, prev, agent, sum FROM names WHERE name > ?1 ORDER BY name LIMIT 1";
const PUT: &str = "INSERT OR REPLACE INTO names VALUES (?1, ?2, ?3, ?4)";

/// One link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) name: String,
    /// The name before it, empty if it is the first.
    prev: String,
    pub(crate) agent: i64,
}

/// The number of the agent called `name`.
pub(crate) fn find(conn: &Connection, heads: &Heads, name: &AgentId) -> Result<Option<i64>, Fault> {
    let name = name.as_str();
    match link(conn, FROM, name)? {
        Some(found) if found.name == name => Ok(Some(found.agent)),
        Some(next) if next.prev.as_str() < name => Ok(None),
        None if heads.name_last.as_str() < name => Ok(None),
        _ => Err(broken(name)),
    }
}

/// The link behind `name`, which is there or empty.
pub(crate) fn next(conn: &Connection, heads: &Heads, name: &str) -> Result<Option<Name>, Fault> {
    match link(conn, BEHIND, name)? {
        Some(next) if next.prev.as_str() <= name => Ok(Some(next)),
        None if heads.name_last.as_str() <= name => Ok(None),
        _ => Err(broken(name)),
    }
}

/// Adds a name that [`find`] did not find.
pub(crate) fn insert(
    conn: &Connection,
    heads: &mut Heads,
    name: &AgentId,
    agent: i64,
) -> Result<(), Fault> {
    let name = name.as_str();
    let prev = match link(conn, BEHIND, name)? {
        Some(next) => {
            put(conn, &Name { prev: name.into(), ..next.clone() })?;
            next.prev
        }
        None => std::mem::replace(&mut heads.name_last, name.into()),
    };
    put(conn, &Name { name: name.into(), prev, agent })
}

/// Removes a name that is there.
pub(crate) fn remove(conn: &Connection, heads: &mut Heads, name: &AgentId) -> Result<(), Fault> {
    let name = name.as_str();
    let found = link(conn, FROM, name)?.filter(|found| found.name == name);
    let prev = found.ok_or_else(|| broken(name))?.prev;
    match link(conn, BEHIND, name)? {
        Some(next) if next.prev == name => put(conn, &Name { prev, ..next })?,
        None if heads.name_last == name => heads.name_last = prev,
        _ => return Err(broken(name)),
    }
    conn.prepare_cached("DELETE FROM names WHERE name = ?1")?.execute([name])?;
    Ok(())
}

fn link(conn: &Connection, select: &str, name: &str) -> Result<Option<Name>, Fault> {
    conn.prepare_cached(select)?.query_row([name], verified).optional()?.transpose()
}

fn verified(row: &Row<'_>) -> rusqlite::Result<Result<Name, Fault>> {
    let link = Name { name: row.get(0)?, prev: row.get(1)?, agent: row.get(2)? };
    let is_whole = row.get::<_, i64>(3)? == link.sum();
    Ok(if is_whole { Ok(link) } else { Err(broken(&link.name)) })
}

fn put(conn: &Connection, link: &Name) -> Result<(), Fault> {
    let row = (&link.name, &link.prev, link.agent, link.sum());
    conn.prepare_cached(PUT)?.execute(row)?;
    Ok(())
}

impl Name {
    fn sum(&self) -> i64 {
        Sum::of("names")
            .bytes(self.name.as_bytes())
            .bytes(self.prev.as_bytes())
            .number(self.agent)
            .end()
    }
}

fn broken(near: &str) -> Fault {
    damaged(format!("the list of names near \"{near}\""), "its chain or a checksum is wrong")
}
