//! Mailboxes: the messages of each lane, a queue that is chained.
//!
//! What comes within one transaction is written at its end, or before the mailbox is read: see [`row`].

mod row;

use ggml_agent_core::store::{Position, Stored};
use ggml_agent_core::{Envelope, Priority};
use rusqlite::{Connection, OptionalExtension};

use self::row::Row;
use crate::agent::{Agent, lane_number};
use crate::body::Body;
use crate::error::{Fault, damaged};

// A run may begin at or before what is asked for, and end behind it.
const BEHIND: &str = "SELECT position, prev, arrival, attempts, bytes, envelope, blob, sum FROM messages \
    WHERE agent = ?1 AND lane = ?2 AND position >= coalesce((SELECT max(position) FROM messages \
    WHERE agent = ?1 AND lane = ?2 AND position <= ?3), 0) ORDER BY position LIMIT ?4";
const AT: &str = "SELECT position, prev, arrival, attempts, bytes, envelope, blob, sum FROM messages \
    WHERE agent = ?1 AND lane = ?2 AND position = ?3";
const DROP: &str = "DELETE FROM messages WHERE agent = ?1 AND lane = ?2 AND position <= ?3";

/// Messages that are looked at in one go when many leave a lane.
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
    /// The first message of its row, and whether it is the last one there.
    row: u64,
    pub(crate) ends_row: bool,
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
}

/// Puts a message behind all others, whatever the bounds. It stands in memory alone until [`write_out`].
pub(crate) fn push(
    conn: &Connection,
    agent: &mut Agent,
    envelope: &Envelope,
    arrival: u64,
) -> Result<Position, Fault> {
    let body = Body::pack_envelope(conn, envelope)?;
    let (position, bytes) = (agent.tail + 1, envelope.payload.len() as u64);
    let lane = agent.lane_mut(envelope.priority);
    let prev = lane.last;
    lane.last = position;
    lane.count += 1;
    agent.tail = position;
    agent.queued_bytes += bytes;
    agent.is_dirty = true;
    let (attempts, row) = (0, position);
    let mail = Mail { position, prev, arrival, attempts, bytes, body, row, ends_row: true };
    match envelope.priority {
        Priority::High => agent.unwritten.high.push(mail),
        Priority::Normal => agent.unwritten.normal.push(mail),
    }
    Ok(Position(position))
}

/// Messages of a mailbox that came within this transaction, and stand in no row yet, in order.
#[derive(Debug, Default)]
pub(crate) struct Unwritten {
    high: Vec<Mail>,
    normal: Vec<Mail>,
}

/// Writes what stands in memory alone, several messages to a row. Whatever reads a mailbox comes after it.
pub(crate) fn write_out(conn: &Connection, agent: &mut Agent) -> Result<(), Fault> {
    let Unwritten { high, normal } = std::mem::take(&mut agent.unwritten);
    for (lane, mails) in [(Priority::High, high), (Priority::Normal, normal)] {
        let mut rest = &mails[..];
        while !rest.is_empty() {
            let (row, n) = Row::of(rest);
            row.insert(conn, agent.id, lane_number(lane))?;
            rest = &rest[n..];
        }
    }
    Ok(())
}

/// Messages of a lane behind `after`, at most `limit`, none left out.
pub(crate) fn behind(
    conn: &Connection,
    agent: &Agent,
    lane: Priority,
    after: u64,
    limit: usize,
) -> Result<Vec<Mail>, Fault> {
    debug_assert!(agent.unwritten.high.is_empty() && agent.unwritten.normal.is_empty());
    let (queue, lane) = (agent.lane(lane), lane_number(lane));
    let broken = |at: u64, why: &str| {
        Err(damaged(format!("message {at} in the mailbox of agent number {}", agent.id), why))
    };
    let from = after.max(queue.gone);
    // And the row in which `from` itself may be.
    let most = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let mut select = conn.prepare_cached(BEHIND)?;
    let mut rows = select.query((agent.id, lane, key(from), most))?;
    let (mut found, mut last) = (Vec::new(), None);
    while found.len() < limit
        && let Some(row) = rows.next()?
    {
        let row = match Row::read(row, (agent.id, lane))? {
            Ok(row) => row,
            Err(at) => return broken(at, "its checksum is wrong"),
        };
        // The first may name an earlier one than is asked for; the others name each other.
        let is_next = last.map_or(row.prev <= from, |last| row.prev == last);
        let mails = row.mails()?;
        let end = mails.last().map_or(row.position, |mail| mail.position);
        if !is_next || end <= queue.gone {
            return broken(row.position, "the one before it is gone");
        }
        last = Some(end);
        let left = limit - found.len();
        found.extend(mails.into_iter().filter(|mail| mail.position > from).take(left));
    }
    if found.len() < limit && queue.last > last.unwrap_or(0).max(from) {
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
    while agent.lane(lane).count > 0 && agent.lane(lane).gone < position {
        let page = front(conn, agent, lane, position)?;
        let Some(last) = page.last().map(|mail| mail.position) else { return Ok(()) };
        // A row goes with its last message.
        let mut ends = page.iter().filter(|mail| mail.ends_row);
        let n_rows = ends.clone().count();
        if let Some(end) = ends.next_back() {
            let row = (agent.id, lane_number(lane), key(end.position));
            if conn.prepare_cached(DROP)?.execute(row)? != n_rows {
                let what = format!("the mailbox of agent number {}", agent.id);
                return Err(damaged(what, "its messages are out of order"));
            }
        }
        agent.must_save_ids |= last > agent.ids_position;
        let queue = agent.lane_mut(lane);
        queue.gone = last;
        queue.count = queue.count.saturating_sub(page.len() as u64);
        agent.is_dirty = true;
        for mail in page {
            agent.queued_bytes = agent.queued_bytes.saturating_sub(mail.bytes);
            mail.body.release(conn)?;
        }
    }
    Ok(())
}

/// Some of the messages of a lane that stand up to `position`, from its front; none if there are none.
fn front(
    conn: &Connection,
    agent: &Agent,
    lane: Priority,
    position: u64,
) -> Result<Vec<Mail>, Fault> {
    // There are no more than there are positions.
    let most = usize::try_from(position - agent.lane(lane).gone).map_or(PAGE, |n| n.min(PAGE));
    let mut page = behind(conn, agent, lane, 0, most)?;
    page.retain(|mail| mail.position <= position);
    Ok(page)
}

/// How many messages of a lane stand up to `position`.
pub(crate) fn count_up_to(
    conn: &Connection,
    agent: &Agent,
    lane: Priority,
    position: u64,
) -> Result<u64, Fault> {
    let queue = agent.lane(lane);
    if queue.count == 0 || queue.gone >= position {
        return Ok(0);
    }
    if queue.last <= position {
        return Ok(queue.count);
    }
    let (mut count, mut after) = (0, 0);
    loop {
        let page = behind(conn, agent, lane, after, PAGE)?;
        let n = page.iter().take_while(|mail| mail.position <= position).count();
        count += n as u64;
        match page.last() {
            Some(last) if n == page.len() && n == PAGE => after = last.position,
            _ => return Ok(count),
        }
    }
}

/// The message at `position` of a lane, if it stands there.
pub(crate) fn at(
    conn: &Connection,
    agent: &Agent,
    lane: Priority,
    position: u64,
) -> Result<Option<Mail>, Fault> {
    let Some(before) = position.checked_sub(1) else { return Ok(None) };
    let mut found = behind(conn, agent, lane, before, 1)?;
    found.retain(|mail| mail.position == position);
    Ok(found.pop())
}

/// Counts one more beginning of a delivery.
pub(crate) fn count_attempt(
    conn: &Connection,
    agent: &Agent,
    lane: Priority,
    mail: &Mail,
) -> Result<(), Fault> {
    let place = (agent.id, lane_number(lane));
    let mut select = conn.prepare_cached(AT)?;
    let row = select.query_row((place.0, place.1, key(mail.row)), |row| Row::read(row, place));
    let Some(Ok(row)) = row.optional()? else {
        let what = format!("message {} in the mailbox of agent number {}", mail.position, agent.id);
        return Err(damaged(what, "it is gone, or its checksum is wrong"));
    };
    row.count_attempt(conn, place, mail.position)
}

/// A position as a key; what lies behind every possible one lies behind this one.
fn key(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}
