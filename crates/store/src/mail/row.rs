//! A row of a mailbox: one message, or a run of small ones of a lane that came in one transaction.
//!
//! A run costs one row instead of some dozen, and fills its pages where rows of their own are split among
//! them. It stands in the column of the envelope:
//!
//! ```text
//! byte 0     0xB1: magic 0xB in the high half, version 1 in the low half; an envelope begins with 0xA
//! then for each message, in order:
//! varint     position behind that of the one before it; of the first, 0
//! varint     arrival, 0 if none
//! varint     attempts
//! varint     bytes of its payload
//! varint     length of its envelope, then the envelope
//! ```
//! Its `position` and `prev` are those of its first message, `bytes` is the sum, and `arrival` and
//! `attempts` are 0. A varint is LEB128.

use bytes::{BufMut, Bytes, BytesMut};
use rusqlite::Connection;

use super::Mail;
use crate::body::Body;
use crate::error::{Fault, damaged};
use crate::sum::Sum;

// Not `OR REPLACE`: what is to be replaced would be looked for in each insertion.
const PUT: &str = "INSERT INTO messages VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
const SET: &str = "UPDATE messages SET attempts = ?4, envelope = ?5, sum = ?6 \
    WHERE agent = ?1 AND lane = ?2 AND position = ?3";

const RUN: u8 = 0xB1;

/// Most messages of a run, and most bytes of it but for its last message.
// It is read whole whenever one of its messages is: 64 x some 200 B = 13 KB, some microseconds.
const RUN_LEN_MAX: usize = 64;
const RUN_BYTES_MAX: usize = 16 * 1024;

/// Longest envelope that is part of a run: a page of SQLite's. What a row costs beside a longer one does
/// not matter.
const PART_LEN_MAX: usize = 4096;

/// As it stands in the table, without agent and lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) position: u64,
    /// The message before it in its lane, which may be gone by now; 0 if there was none.
    pub(super) prev: u64,
    arrival: u64,
    attempts: u32,
    bytes: u64,
    body: Body,
}

impl Row {
    /// One row for as many as may share one, of `mails`, from the front; and how many they are.
    pub(super) fn of(mails: &[Mail]) -> (Self, usize) {
        let may_share =
            |mail: &&Mail| mail.body.blob.is_none() && mail.body.inline.len() <= PART_LEN_MAX;
        let (mut n, mut len) = (0, 0);
        for mail in mails.iter().take_while(may_share).take(RUN_LEN_MAX) {
            n += 1;
            len += mail.body.inline.len();
            if len >= RUN_BYTES_MAX {
                break;
            }
        }
        match n {
            0 | 1 => (Self::single(&mails[0]), 1),
            n => (Self::run(&mails[..n]), n),
        }
    }

    fn single(mail: &Mail) -> Self {
        Self {
            position: mail.position,
            prev: mail.prev,
            arrival: mail.arrival,
            attempts: mail.attempts,
            bytes: mail.bytes,
            body: mail.body.clone(),
        }
    }

    fn run(mails: &[Mail]) -> Self {
        let (first, mut last) = (&mails[0], mails[0].position);
        let mut inline = BytesMut::with_capacity(2 * RUN_BYTES_MAX);
        inline.put_u8(RUN);
        for mail in mails {
            put_varint(&mut inline, mail.position - last);
            put_varint(&mut inline, mail.arrival);
            put_varint(&mut inline, mail.attempts.into());
            put_varint(&mut inline, mail.bytes);
            put_varint(&mut inline, mail.body.inline.len() as u64);
            inline.put_slice(&mail.body.inline);
            last = mail.position;
        }
        Self {
            position: first.position,
            prev: first.prev,
            arrival: 0,
            attempts: 0,
            bytes: mails.iter().map(|mail| mail.bytes).sum(),
            body: Body { inline: inline.freeze(), blob: None },
        }
    }

    /// The messages in it, at least one.
    pub(super) fn mails(&self) -> Result<Vec<Mail>, Fault> {
        if self.body.inline.first() != Some(&RUN) {
            return Ok(vec![Mail {
                position: self.position,
                prev: self.prev,
                arrival: self.arrival,
                attempts: self.attempts,
                bytes: self.bytes,
                body: self.body.clone(),
                row: self.position,
                ends_row: true,
            }]);
        }
        let mut mails: Vec<Mail> = Vec::with_capacity(RUN_LEN_MAX);
        let mut rest = self.body.inline.slice(1..);
        while !rest.is_empty() {
            let mail = self.part(mails.last(), &mut rest);
            mails.push(mail.ok_or_else(|| damaged("a run of messages", "it is cut short"))?);
        }
        match mails.last_mut() {
            Some(last) => last.ends_row = true,
            None => return Err(damaged("a run of messages", "it is empty")),
        }
        Ok(mails)
    }

    fn part(&self, before: Option<&Mail>, rest: &mut Bytes) -> Option<Mail> {
        let behind = take_varint(rest)?;
        let mail = Mail {
            position: before.map_or(self.position, |before| before.position).checked_add(behind)?,
            prev: before.map_or(self.prev, |before| before.position),
            arrival: take_varint(rest)?,
            attempts: take_varint(rest)?.try_into().ok()?,
            bytes: take_varint(rest)?,
            body: Body { inline: Bytes::new(), blob: None },
            row: self.position,
            ends_row: false,
        };
        let len = usize::try_from(take_varint(rest)?).ok().filter(|len| *len <= rest.len())?;
        Some(Mail { body: Body { inline: rest.split_to(len), blob: None }, ..mail })
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

    pub(super) fn insert(&self, conn: &Connection, agent: i64, lane: i64) -> Result<(), Fault> {
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

    /// Writes it again, with one more beginning of the delivery of the message at `position`.
    pub(super) fn count_attempt(
        &self,
        conn: &Connection,
        (agent, lane): (i64, i64),
        position: u64,
    ) -> Result<(), Fault> {
        let mut mails = self.mails()?;
        for mail in mails.iter_mut().filter(|mail| mail.position == position) {
            mail.attempts = mail.attempts.saturating_add(1);
        }
        let row = match &mails[..] {
            [mail] if self.body.inline.first() != Some(&RUN) => Self::single(mail),
            mails => Self::run(mails),
        };
        conn.prepare_cached(SET)?.execute((
            agent,
            lane,
            row.position.cast_signed(),
            row.attempts,
            &row.body.inline[..],
            row.sum(agent, lane),
        ))?;
        Ok(())
    }

    /// From the columns behind agent and lane. `None` if its checksum is wrong.
    pub(super) fn read(
        row: &rusqlite::Row<'_>,
        (agent, lane): (i64, i64),
    ) -> rusqlite::Result<Result<Self, u64>> {
        let read = Self {
            position: row.get::<_, i64>(0)?.cast_unsigned(),
            prev: row.get::<_, i64>(1)?.cast_unsigned(),
            arrival: row.get::<_, i64>(2)?.cast_unsigned(),
            attempts: row.get(3)?,
            bytes: row.get::<_, i64>(4)?.cast_unsigned(),
            body: Body {
                inline: Bytes::copy_from_slice(row.get_ref(5)?.as_blob()?),
                blob: row.get(6)?,
            },
        };
        let is_whole = row.get::<_, i64>(7)? == read.sum(agent, lane);
        Ok(if is_whole { Ok(read) } else { Err(read.position) })
    }
}

fn put_varint(out: &mut BytesMut, mut number: u64) {
    while number >= 0x80 {
        out.put_u8((number & 0x7F) as u8 | 0x80);
        number >>= 7;
    }
    out.put_u8((number & 0x7F) as u8);
}

fn take_varint(rest: &mut Bytes) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *rest.first()?;
        *rest = rest.slice(1..);
        number |= u64::from(byte & 0x7F).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests;
