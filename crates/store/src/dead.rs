//! Dead letters: a chain by number.

use bytes::Bytes;
use ggml_agent_core::Envelope;
use ggml_agent_core::store::{DeadRecord, StoreError};
use rusqlite::{Connection, OptionalExtension, Row};

use crate::body::Body;
use crate::error::{Fault, damaged};
use crate::heads::Heads;
use crate::sum::Sum;

const FROM: &str = "SELECT * FROM dead WHERE number >= ?1 ORDER BY number LIMIT 1";
const PUT: &str = "INSERT OR REPLACE INTO dead VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

/// A dead letter as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) number: u64,
    /// The one before it, 0 if it is the first.
    prev: u64,
    attempts: u32,
    reason: String,
    pub(crate) body: Body,
}

impl Letter {
    pub(crate) fn unpack(&self, conn: &Connection) -> Result<DeadRecord, Fault> {
        Ok(DeadRecord {
            number: self.number,
            reason: self.reason.clone(),
            attempts: self.attempts,
            envelope: self.body.unpack_envelope(conn)?,
        })
    }

    fn sum(&self) -> i64 {
        let numbers = [self.number.cast_signed(), self.prev.cast_signed(), self.attempts.into()];
        self.body.add_to(Sum::of("dead").numbers(&numbers).bytes(self.reason.as_bytes())).end()
    }

    fn put(&self, conn: &Connection) -> Result<(), Fault> {
        conn.prepare_cached(PUT)?.execute((
            self.number.cast_signed(),
            self.prev.cast_signed(),
            self.attempts,
            &self.reason,
            &self.body.inline[..],
            self.body.blob.as_ref(),
            self.sum(),
        ))?;
        Ok(())
    }
}

/// Adds a dead letter.
pub(crate) fn bury(
    conn: &Connection,
    heads: &mut Heads,
    attempts: u32,
    envelope: &Envelope,
    reason: &str,
) -> Result<(), Fault> {
    let body = Body::pack_envelope(conn, envelope)?;
    heads.dead_last += 1;
    let number = heads.dead_last;
    let prev = std::mem::replace(&mut heads.dead_newest, number);
    Letter { number, prev, attempts, reason: reason.into(), body }.put(conn)
}

/// The first one behind `after`.
pub(crate) fn next(conn: &Connection, heads: &Heads, after: u64) -> Result<Option<Letter>, Fault> {
    let Some(from) = after.checked_add(1).and_then(|from| i64::try_from(from).ok()) else {
        return Ok(None);
    };
    let found = conn.prepare_cached(FROM)?.query_row([from], verified).optional()?.transpose()?;
    match found {
        Some(letter) if letter.prev <= after => Ok(Some(letter)),
        None if heads.dead_newest <= after => Ok(None),
        _ => Err(broken(from.cast_unsigned(), "it or one behind it is gone")),
    }
}

/// The one that has this number.
///
/// # Errors
/// [`StoreError::UnknownDeadLetter`].
pub(crate) fn find(conn: &Connection, heads: &Heads, number: u64) -> Result<Letter, Fault> {
    let unknown = || Fault::from(StoreError::UnknownDeadLetter { number });
    let before = number.checked_sub(1).ok_or_else(unknown)?;
    next(conn, heads, before)?.filter(|letter| letter.number == number).ok_or_else(unknown)
}

/// Forgets one that is there.
pub(crate) fn remove(conn: &Connection, heads: &mut Heads, letter: &Letter) -> Result<(), Fault> {
    let number = letter.number;
    match next(conn, heads, number)? {
        Some(next) if next.prev == number => Letter { prev: letter.prev, ..next }.put(conn)?,
        None if heads.dead_newest == number => heads.dead_newest = letter.prev,
        _ => return Err(broken(number, "the one behind it does not name it")),
    }
    letter.body.release(conn)?;
    conn.prepare_cached("DELETE FROM dead WHERE number = ?1")?.execute([number.cast_signed()])?;
    Ok(())
}

fn verified(row: &Row<'_>) -> rusqlite::Result<Result<Letter, Fault>> {
    let letter = Letter {
        number: row.get::<_, i64>(0)?.cast_unsigned(),
        prev: row.get::<_, i64>(1)?.cast_unsigned(),
        attempts: row.get(2)?,
        reason: row.get(3)?,
        body: Body {
            inline: Bytes::copy_from_slice(row.get_ref(4)?.as_blob()?),
            blob: row.get(5)?,
        },
    };
    let is_whole = row.get::<_, i64>(6)? == letter.sum();
    Ok(if is_whole { Ok(letter) } else { Err(broken(letter.number, "its checksum is wrong")) })
}

fn broken(number: u64, why: &str) -> Fault {
    damaged(format!("dead letter {number}"), why)
}
