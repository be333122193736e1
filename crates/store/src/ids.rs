//! The ids by which a mailbox knows duplicates: in memory while it is busy, and in rows of some.

use std::collections::{BTreeSet, VecDeque};

use rusqlite::Connection;

use crate::agent::Agent;
use crate::error::{Fault, damaged};
use crate::mail;
use crate::sum::Sum;
use crate::write::LANES;

/// Ids in one row. 48 x 16 B = 768 B, which fits into a page beside others without overflow.
const CHUNK_LEN: usize = 48;
pub(crate) const CHUNK: u64 = CHUNK_LEN as u64;

/// Most messages among which the ids that stand in no row of ids are looked for.
// Saved more seldom, several rows of ids are written at once: 1,024 x 16 B are four pages, where 64 at a
// time were one or two pages of each transaction.
pub(crate) const BEHIND_MAX: u64 = 1024;

const LOAD: &str = "SELECT chunk, ids, sum FROM seen WHERE agent = ?1 ORDER BY chunk";
const SAVE: &str = "INSERT OR REPLACE INTO seen VALUES (?1, ?2, ?3, ?4)";
const PRUNE: &str = "DELETE FROM seen WHERE agent = ?1 AND chunk < ?2";

/// The ids of one mailbox. Arrivals are numbered from 0.
#[derive(Debug)]
pub(crate) struct Ids {
    window: u64,
    known: BTreeSet<u128>,
    /// In the order of arrival, from the beginning of a chunk on.
    order: VecDeque<u128>,
    /// Arrival of the first in `order`.
    begin: u64,
    /// The first arrival that is still known.
    known_from: u64,
    /// How many arrivals stand in rows.
    saved: u64,
    /// The first chunk that stands in rows.
    chunk_first: u64,
}

impl Ids {
    pub(crate) fn load(conn: &Connection, agent: &Agent, window: u64) -> Result<Self, Fault> {
        let (record, agent) = (agent, agent.id);
        let begin = record.chunk_first * CHUNK;
        let mut ids = Self {
            window,
            known: BTreeSet::new(),
            order: VecDeque::new(),
            begin,
            known_from: begin,
            saved: record.ids_saved,
            chunk_first: record.chunk_first,
        };
        let mut select = conn.prepare_cached(LOAD)?;
        let mut rows = select.query([agent])?;
        let mut expected = record.chunk_first;
        while let Some(row) = rows.next()? {
            let (chunk, bytes) =
                (row.get::<_, i64>(0)?, row.get_ref(1)?.as_blob().unwrap_or_default());
            let is_whole = chunk == expected.cast_signed()
                && bytes.len() % 16 == 0
                && row.get::<_, i64>(2)? == sum(agent, chunk, bytes);
            if !is_whole {
                return Err(broken(agent, "a checksum or a number is wrong"));
            }
            for id in bytes.as_chunks::<16>().0 {
                ids.order.push_back(u128::from_be_bytes(*id));
            }
            expected += 1;
        }
        if ids.arrivals() != record.ids_saved {
            return Err(broken(agent, "some are gone"));
        }
        ids.order.extend(in_messages(conn, record)?);
        let arrivals = record.arrivals;
        if ids.arrivals() != arrivals {
            return Err(broken(agent, "some are gone with their messages"));
        }
        let skipped = usize::try_from(arrivals.saturating_sub(window).saturating_sub(begin));
        ids.known_from += skipped.map_or(0, |n| n as u64);
        ids.known.extend(ids.order.iter().skip(skipped.unwrap_or(0)));
        Ok(ids)
    }

    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// How many ids were accepted, ever.
    pub(crate) fn arrivals(&self) -> u64 {
        self.begin + self.order.len() as u64
    }

    pub(crate) fn contains(&self, id: u128) -> bool {
        self.known.contains(&id)
    }

    /// Remembers `id`; one that is known keeps its place.
    pub(crate) fn remember(&mut self, id: u128) {
        if !self.known.insert(id) {
            return;
        }
        self.order.push_back(id);
        if self.arrivals() - self.known_from > self.window {
            if let Some(eldest) = self.at(self.known_from) {
                self.known.remove(&eldest);
            }
            self.known_from += 1;
        }
        // By whole rows, since a row is written whole each time that it grows.
        while self.begin + CHUNK <= self.known_from {
            self.order.drain(..CHUNK_LEN);
            self.begin += CHUNK;
        }
    }

    fn at(&self, arrival: u64) -> Option<u128> {
        self.order.get(usize::try_from(arrival - self.begin).ok()?).copied()
    }

    /// Writes what came since, and forgets rows that nobody needs. Returns the first row that is left.
    pub(crate) fn save(&mut self, conn: &Connection, agent: i64) -> Result<u64, Fault> {
        let arrivals = self.arrivals();
        let mut bytes = Vec::with_capacity(CHUNK_LEN * 16);
        let mut chunk = (self.saved / CHUNK).max(self.begin / CHUNK);
        while chunk * CHUNK < arrivals && self.saved < arrivals {
            bytes.clear();
            let end = arrivals.min((chunk + 1) * CHUNK);
            for arrival in chunk * CHUNK..end {
                let id = self.at(arrival).expect("invariant: arrivals from `begin` on are here");
                bytes.extend_from_slice(&id.to_be_bytes());
            }
            let number = chunk.cast_signed();
            let row = (agent, number, &bytes, sum(agent, number, &bytes));
            conn.prepare_cached(SAVE)?.execute(row)?;
            chunk += 1;
        }
        self.saved = arrivals;
        if self.begin / CHUNK > self.chunk_first {
            self.chunk_first = self.begin / CHUNK;
            conn.prepare_cached(PRUNE)?.execute((agent, self.chunk_first.cast_signed()))?;
        }
        Ok(self.chunk_first)
    }
}

/// The newest ids, from the messages that brought them.
fn in_messages(conn: &Connection, agent: &Agent) -> Result<Vec<u128>, Fault> {
    if agent.arrivals == agent.ids_saved {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for lane in LANES {
        let all = mail::behind(conn, agent, lane, agent.ids_position, usize::MAX)?;
        for mail in all.iter().filter(|mail| mail.arrival > agent.ids_saved) {
            found.push((mail.arrival, mail.id()?));
        }
    }
    found.sort_unstable();
    let are_all =
        found.iter().map(|(arrival, _)| *arrival).eq(agent.ids_saved + 1..=agent.arrivals);
    if !are_all {
        return Err(broken(agent.id, "some are gone with their messages"));
    }
    Ok(found.into_iter().map(|(_, id)| id).collect())
}

fn sum(agent: i64, chunk: i64, bytes: &[u8]) -> i64 {
    Sum::of("seen").number(agent).number(chunk).bytes(bytes).end()
}

fn broken(agent: i64, why: &str) -> Fault {
    damaged(format!("the list of accepted ids of agent number {agent}"), why)
}
