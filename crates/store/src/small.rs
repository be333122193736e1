//! What an agent reads whole when it begins: outbox, timers, results. They are counted, and their keys
//! are in memory while it is busy.

use std::collections::BTreeSet;

use bytes::Bytes;
use ggml_agent_core::store::{Once, Timer};
use ggml_agent_core::{Envelope, MessageId};
use rusqlite::{Connection, Row};

use crate::agent::Agent;
use crate::body::Body;
use crate::error::{Fault, damaged};
use crate::sum::Sum;

const OUTBOX: &str = "SELECT * FROM outbox WHERE agent = ?1 ORDER BY number";
const TIMERS: &str = "SELECT * FROM timers WHERE agent = ?1 ORDER BY key";
const ONCE: &str = "SELECT * FROM once WHERE agent = ?1 ORDER BY key";

/// Which keys there are.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// Ids of the outbox with their numbers.
    pub(crate) outbox: BTreeSet<(u128, u64)>,
    pub(crate) timers: BTreeSet<String>,
    pub(crate) once: BTreeSet<String>,
}

impl Index {
    pub(crate) fn len(&self) -> usize {
        self.outbox.len() + self.timers.len() + self.once.len()
    }
}

/// What there is.
#[derive(Debug, Default)]
pub(crate) struct Small {
    pub(crate) outbox: Vec<Envelope>,
    pub(crate) timers: Vec<Timer>,
    pub(crate) once: Vec<Once>,
}

/// Reads everything, and fills the agent's index.
pub(crate) fn load(conn: &Connection, agent: &mut Agent) -> Result<Small, Fault> {
    let (mut small, mut index) = (Small::default(), Index::default());
    each(conn, OUTBOX, agent.id, |row| {
        let (number, body) = (row.get::<_, i64>(1)?, body(row, 2)?);
        check(row, 4, outbox_sum(agent.id, number, &body), "a message of the outbox")?;
        let envelope = body.unpack_envelope(conn)?;
        index.outbox.insert((envelope.id.to_u128(), number.cast_unsigned()));
        small.outbox.push(envelope);
        Ok(())
    })?;
    each(conn, TIMERS, agent.id, |row| {
        let timer = timer(row)?;
        index.timers.insert(timer.key.clone());
        small.timers.push(Timer {
            due_ms: timer.due.cast_unsigned(),
            envelope: timer.body.unpack_envelope(conn)?,
            key: timer.key,
        });
        Ok(())
    })?;
    each(conn, ONCE, agent.id, |row| {
        let (key, body) = (row.get::<_, String>(1)?, body(row, 2)?);
        check(row, 4, once_sum(agent.id, &key, &body), "the result of an effect")?;
        index.once.insert(key.clone());
        small.once.push(Once { key, result: body.unpack(conn)? });
        Ok(())
    })?;
    let found = (index.outbox.len(), index.timers.len(), index.once.len());
    let counts = (agent.outbox_count, agent.timers_count, agent.once_count);
    if (found.0 as u64, found.1 as u64, found.2 as u64) != counts {
        return Err(broken(agent.id, "the outbox, a timer or a result", "it is gone"));
    }
    agent.index = Some(index);
    Ok(small)
}

/// The index, read if it is not there.
pub(crate) fn index<'a>(conn: &Connection, agent: &'a mut Agent) -> Result<&'a mut Index, Fault> {
    if agent.index.is_none() {
        load(conn, agent)?;
    }
    Ok(agent.index.get_or_insert_default())
}

pub(crate) fn send(conn: &Connection, agent: &mut Agent, envelope: &Envelope) -> Result<(), Fault> {
    let body = Body::pack_envelope(conn, envelope)?;
    let number = agent.outbox_last + 1;
    index(conn, agent)?.outbox.insert((envelope.id.to_u128(), number));
    agent.outbox_last = number;
    agent.outbox_count += 1;
    let key = number.cast_signed();
    let sum = outbox_sum(agent.id, key, &body);
    let row = (agent.id, key, &body.inline[..], body.blob.as_ref(), sum);
    conn.prepare_cached("INSERT OR REPLACE INTO outbox VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(row)?;
    Ok(())
}

/// Forgets every message of the outbox that has this id.
pub(crate) fn sent(conn: &Connection, agent: &mut Agent, id: MessageId) -> Result<(), Fault> {
    let id = id.to_u128();
    let all = index(conn, agent)?.outbox.range((id, 0)..=(id, u64::MAX)).copied();
    for (id, number) in all.collect::<Vec<_>>() {
        let key = (agent.id, number.cast_signed());
        drop_row(conn, "outbox", "number", key)?;
        index(conn, agent)?.outbox.remove(&(id, number));
        agent.outbox_count -= 1;
    }
    Ok(())
}

pub(crate) fn set_timer(conn: &Connection, agent: &mut Agent, timer: &Timer) -> Result<(), Fault> {
    cancel_timer(conn, agent, &timer.key)?;
    let body = Body::pack_envelope(conn, &timer.envelope)?;
    index(conn, agent)?.timers.insert(timer.key.clone());
    agent.timers_count += 1;
    let due = timer.due_ms.cast_signed();
    let sum = timer_sum(agent.id, &timer.key, due, &body);
    let row = (agent.id, &timer.key, due, &body.inline[..], body.blob.as_ref(), sum);
    conn.prepare_cached("INSERT OR REPLACE INTO timers VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(row)?;
    Ok(())
}

/// Forgets a timer, if there is one of this key.
pub(crate) fn cancel_timer(conn: &Connection, agent: &mut Agent, key: &str) -> Result<(), Fault> {
    if index(conn, agent)?.timers.remove(key) {
        agent.timers_count -= 1;
        drop_row(conn, "timers", "key", (agent.id, key))?;
    }
    Ok(())
}

/// The message of a timer, if there is one of this key.
pub(crate) fn timer_message(
    conn: &Connection,
    agent: &mut Agent,
    key: &str,
) -> Result<Option<Envelope>, Fault> {
    if !index(conn, agent)?.timers.contains(key) {
        return Ok(None);
    }
    let mut select = conn.prepare_cached("SELECT * FROM timers WHERE agent = ?1 AND key = ?2")?;
    let mut rows = select.query((agent.id, key))?;
    match rows.next()? {
        Some(row) => timer(row)?.body.unpack_envelope(conn).map(Some),
        None => Err(broken(agent.id, "a timer", "it is gone")),
    }
}

/// Keeps a result, unless there is one of its key.
pub(crate) fn keep_once(conn: &Connection, agent: &mut Agent, once: &Once) -> Result<(), Fault> {
    if !index(conn, agent)?.once.insert(once.key.clone()) {
        return Ok(());
    }
    agent.once_count += 1;
    let body = Body::pack(conn, &once.result)?;
    let sum = once_sum(agent.id, &once.key, &body);
    let row = (agent.id, &once.key, &body.inline[..], body.blob.as_ref(), sum);
    conn.prepare_cached("INSERT OR REPLACE INTO once VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(row)?;
    Ok(())
}

/// Forgets a result, if there is one of this key.
pub(crate) fn forget_once(conn: &Connection, agent: &mut Agent, key: &str) -> Result<(), Fault> {
    if index(conn, agent)?.once.remove(key) {
        agent.once_count -= 1;
        drop_row(conn, "once", "key", (agent.id, key))?;
    }
    Ok(())
}

/// Deletes a row that is there, and gives its large content up.
fn drop_row<K>(conn: &Connection, table: &str, column: &str, key: (i64, K)) -> Result<(), Fault>
where
    (i64, K): rusqlite::Params,
{
    let agent = key.0;
    let delete = format!("DELETE FROM {table} WHERE agent = ?1 AND {column} = ?2 RETURNING blob");
    let mut delete = conn.prepare_cached(&delete)?;
    let mut rows = delete.query(key)?;
    let Some(row) = rows.next()? else {
        return Err(broken(agent, "the outbox, a timer or a result", "it is gone"));
    };
    let body = Body { inline: Bytes::new(), blob: row.get(0)? };
    // The statement is run to its end before the next one changes something.
    while rows.next()?.is_some() {}
    body.release(conn)
}

struct StoredTimer {
    key: String,
    due: i64,
    body: Body,
}

fn timer(row: &Row<'_>) -> Result<StoredTimer, Fault> {
    let timer = StoredTimer { key: row.get(1)?, due: row.get(2)?, body: body(row, 3)? };
    let sum = timer_sum(row.get(0)?, &timer.key, timer.due, &timer.body);
    check(row, 5, sum, "a timer")?;
    Ok(timer)
}

fn each(
    conn: &Connection,
    select: &str,
    agent: i64,
    mut visit: impl FnMut(&Row<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut select = conn.prepare_cached(select)?;
    let mut rows = select.query([agent])?;
    while let Some(row) = rows.next()? {
        visit(row)?;
    }
    Ok(())
}

/// A body in two columns from `column` on.
pub(crate) fn body(row: &Row<'_>, column: usize) -> rusqlite::Result<Body> {
    let inline = Bytes::copy_from_slice(row.get_ref(column)?.as_blob()?);
    Ok(Body { inline, blob: row.get(column + 1)? })
}

pub(crate) fn check(row: &Row<'_>, column: usize, sum: i64, what: &str) -> Result<(), Fault> {
    if row.get::<_, i64>(column)? == sum {
        return Ok(());
    }
    Err(broken(row.get(0)?, what, "its checksum is wrong"))
}

fn outbox_sum(agent: i64, number: i64, body: &Body) -> i64 {
    body.add_to(Sum::of("outbox").numbers(&[agent, number])).end()
}

fn timer_sum(agent: i64, key: &str, due: i64, body: &Body) -> i64 {
    body.add_to(Sum::of("timers").number(agent).bytes(key.as_bytes()).number(due)).end()
}

fn once_sum(agent: i64, key: &str, body: &Body) -> i64 {
    body.add_to(Sum::of("once").number(agent).bytes(key.as_bytes())).end()
}

fn broken(agent: i64, what: &str, why: &str) -> Fault {
    damaged(format!("{what} of agent number {agent}"), why)
}
