//! Mailboxes: the messages of each lane, a queue that is chained.

use bytes::Bytes;
use ggml_agent_core::store::{Position, Stored};
use ggml_agent_core::{Envelope, Priority};
use rusqlite::{Connection, Row};

use crate::agent::{Agent, lane_number};
use crate::body::Body;
use crate::error::{Fault, damaged};
use crate::sum::Sum;

// Not `OR REPLACE`: what is to be replaced would be looked for in each insertion.
const PUT: &str = "INSERT INTO messages VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
const COUNT: &str = "UPDATE messages SET attempts = ?4, sum = ?5 \
    WHERE agent = ?1 AND lane = ?2 AND position = ?3";
const BEHIND: &str = "SELECT position, prev, arrival, attempts, bytes, envelope, blob, sum FROM messages \
    WHERE agent = ?1 AND lane = ?2 AND position > ?3 ORDER BY position LIMIT ?4";
const DROP: &str = "DELETE FROM messages WHERE agent = ?1 AND lane = ?2 AND position <= ?3";

/// Rows that are looked at in one go when many leave a lane.
const PAGE: usize = 256;

/// A message as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mail {
    pub(crate) position: u64,
    /// The message before it in its lane, which may be gone by now; 0 if there was none.
    prev: u64,
    /// The how manieth accepted id it brought, 0 if none.
    pub(crate) arrival: u64,
    pub(crate) attempts: u32,
    /// Length of its payload.
    pub(crate) bytes: u64,
    pub(crate) body: Body,
}

impl Mail {
    pub(crate) fn unpack(&self, conn: &Connection) -> Result<Stored, Fault> {
        Ok(Stored {
            position: Position(self.position),
            attempts: self.attempts,
            envelope: self.body.unpack_envelope(conn)?,
        })
    }

    /// The id of the message.
    pub(crate) fn id(&self) -> Result<u128, Fault> {
        self.body.id()
    }

    fn sum(&self, agent: i64, lane: i64) -> i64 {
        let numbers = [
            agent,
            lane,
            self.position.cast_signed(),
            self.prev.cast_signed(),
            self.arrival.cast_signed(),
            self.attempts.into(),
            self.bytes.cast_signed(),
        ];
        self.body.add_to(Sum::of("messages").numbers(&numbers)).end()
    }

    fn put(&self, conn: &Connection, agent: i64, lane: i64) -> Result<(), Fault> {
        conn.prepare_cached(PUT)?.execute((
            agent,
            lane,
            self.position.cast_signed(),
            self.prev.cast_signed(),
            self.arrival.cast_signed(),
            self.attempts,
            self.bytes.cast_signed(),
            &self.body.inline[..],
            self.body.blob.as_ref(),
            self.sum(agent, lane),
        ))?;
        Ok(())
    }
}

/// Puts a message behind all others, whatever the bounds.
pub(crate) fn push(
    conn: &Connection,
    agent: &mut Agent,
    envelope: &Envelope,
    arrival: u64,
) -> Result<Position, Fault> {
    let body = Body::pack_envelope(conn, envelope)?;
    let (position, bytes) = (agent.tail + 1, envelope.payload.len() as u64);
    let lane = agent.lane_mut(envelope.priority);
    let mail = Mail { position, prev: lane.last, arrival, attempts: 0, bytes, body };
    lane.last = position;
    lane.count += 1;
    agent.tail = position;
    agent.queued_bytes += bytes;
    agent.is_dirty = true;
    mail.put(conn, agent.id, lane_number(envelope.priority))?;
    Ok(Position(position))
}

/// Messages of a lane behind `after`, at most `limit`, none left out.
pub(crate) fn behind(
    conn: &Connection,
    agent: &Agent,
    lane: Priority,
    after: u64,
    limit: usize,
) -> Result<Vec<Mail>, Fault> {
    let queue = agent.lane(lane);
    let broken = |at: u64, why: &str| {
        Err(damaged(format!("message {at} in the mailbox of agent number {}", agent.id), why))
    };
    let (from, most) = (key(after), i64::try_from(limit).unwrap_or(i64::MAX));
    let mut select = conn.prepare_cached(BEHIND)?;
    let mut rows = select.query((agent.id, lane_number(lane), from, most))?;
    let (mut found, mut last) = (Vec::new(), after.max(queue.gone));
    while let Some(row) = rows.next()? {
        let mail = from_row(row)?;
        if row.get::<_, i64>(7)? != mail.sum(agent.id, lane_number(lane)) {
            return broken(mail.position, "its checksum is wrong");
        }
        // The first may name an earlier one than is asked for; the others name each other.
        let is_next = if found.is_empty() { mail.prev <= last } else { mail.prev == last };
        if !is_next || mail.position <= queue.gone {
            return broken(mail.position, "the one before it is gone");
        }
        last = mail.position;
        found.push(mail);
    }
    if found.len() < limit && queue.last > last {
        return broken(queue.last, "it is gone");
    }
    Ok(found)
}

/// Takes everything up to `position` from the front of a lane. The ids are in memory then, as far as the
/// messages are the ones to know them.
pub(crate) fn drop_front(
    conn: &Connection,
    agent: &mut Agent,
    lane: Priority,
    position: u64,
) -> Result<(), Fault> {
    if agent.lane(lane).count == 0 || agent.lane(lane).gone >= position {
        return Ok(());
    }
    loop {
        let mut page = behind(conn, agent, lane, 0, PAGE)?;
        page.retain(|mail| mail.position <= position);
        let Some(last) = page.last().map(|mail| mail.position) else { return Ok(()) };
        let row = (agent.id, lane_number(lane), key(last));
        let dropped = conn.prepare_cached(DROP)?.execute(row)?;
        if dropped != page.len() {
            let what = format!("the mailbox of agent number {}", agent.id);
            return Err(damaged(what, "its messages are out of order"));
        }
        let queue = agent.lane_mut(lane);
        queue.gone = last;
        agent.must_save_ids |= last > agent.ids_position;
        let queue = agent.lane_mut(lane);
        queue.count = queue.count.saturating_sub(page.len() as u64);
        agent.is_dirty = true;
        let is_all = page.len() < PAGE;
        for mail in page {
            agent.queued_bytes = agent.queued_bytes.saturating_sub(mail.bytes);
            mail.body.release(conn)?;
        }
        if is_all {
            return Ok(());
        }
    }
}

/// Counts one more beginning of a delivery.
pub(crate) fn count_attempt(
    conn: &Connection,
    agent: &Agent,
    lane: Priority,
    mail: Mail,
) -> Result<(), Fault> {
    let mail = Mail { attempts: mail.attempts.saturating_add(1), ..mail };
    let lane = lane_number(lane);
    let row = (agent.id, lane, key(mail.position), mail.attempts, mail.sum(agent.id, lane));
    conn.prepare_cached(COUNT)?.execute(row)?;
    Ok(())
}

/// A position as a key; what lies behind every possible one lies behind this one.
fn key(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Mail> {
    Ok(Mail {
        position: row.get::<_, i64>(0)?.cast_unsigned(),
        prev: row.get::<_, i64>(1)?.cast_unsigned(),
        arrival: row.get::<_, i64>(2)?.cast_unsigned(),
        attempts: row.get(3)?,
        bytes: row.get::<_, i64>(4)?.cast_unsigned(),
        body: Body {
            inline: Bytes::copy_from_slice(row.get_ref(5)?.as_blob()?),
            blob: row.get(6)?,
        },
    })
}
