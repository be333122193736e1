//! The record of one agent: its numbers, which are kept in memory while it is busy.

use ggml_agent_core::Priority;
use ggml_agent_core::store::{AgentSummary, Bounds, Epoch, OnFull, Position, Revision, Watermarks};
use ggml_agent_core::{AgentId, store::StoreError};
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use crate::error::{Fault, damaged};
use crate::ids::Ids;
use crate::mail::Unwritten;
use crate::small::Index;
use crate::sum::Sum;

/// Numbers of an agent's row, behind its key and before its sum.
const NUMBERS: usize = 27;

const LOAD: &str = "SELECT * FROM agents WHERE agent = ?1";
const SAVE: &str = "INSERT OR REPLACE INTO agents VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, \
    ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29)";

/// One lane of a mailbox: a queue whose messages each name the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Lane {
    /// The newest that left it at the front; 0 if none did.
    pub(crate) gone: u64,
    /// The newest that came.
    pub(crate) last: u64,
    pub(crate) count: u64,
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "two are columns of its row, all independent")]
pub(crate) struct Agent {
    pub(crate) id: i64,
    pub(crate) bounds: Bounds,
    pub(crate) epoch: u64,
    pub(crate) revision: u64,
    pub(crate) is_closed: bool,
    pub(crate) applied: Watermarks,
    /// Position of the newest message.
    pub(crate) tail: u64,
    pub(crate) high: Lane,
    pub(crate) normal: Lane,
    pub(crate) queued_bytes: u64,
    /// Ids that were accepted, ever.
    pub(crate) arrivals: u64,
    /// The first row of ids that is kept.
    pub(crate) chunk_first: u64,
    /// Ids that stand in rows of their own; the later ones stand in messages behind `ids_position`.
    pub(crate) ids_saved: u64,
    pub(crate) ids_position: u64,
    pub(crate) journal_after: u64,
    pub(crate) journal_last: u64,
    pub(crate) outbox_last: u64,
    pub(crate) outbox_count: u64,
    pub(crate) timers_count: u64,
    pub(crate) once_count: u64,
    pub(crate) has_snapshot: bool,

    /// What is looked up in memory; `None` until somebody asks.
    pub(crate) ids: Option<Ids>,
    pub(crate) index: Option<Index>,
    /// Messages that stand in no row yet.
    pub(crate) unwritten: Unwritten,
    /// An id that stands in no row has lost its message, or never had one.
    pub(crate) must_save_ids: bool,
    /// Its row is behind.
    pub(crate) is_dirty: bool,
    /// When it was used last, counted in uses.
    pub(crate) used: u64,
}

pub(crate) fn lane_number(lane: Priority) -> i64 {
    match lane {
        Priority::Normal => 0,
        Priority::High => 1,
    }
}

impl Agent {
    pub(crate) fn new(id: i64, bounds: Bounds, epoch: u64) -> Self {
        let mut numbers = [0; NUMBERS];
        numbers[5] = 1; // Closed: no incarnation had anything in hand.
        let agent = Self::from_numbers(id, &numbers).expect("invariant: zeros are a record");
        Self { bounds, epoch, is_dirty: true, ..agent }
    }

    pub(crate) fn lane(&self, lane: Priority) -> &Lane {
        match lane {
            Priority::High => &self.high,
            Priority::Normal => &self.normal,
        }
    }

    pub(crate) fn lane_mut(&mut self, lane: Priority) -> &mut Lane {
        match lane {
            Priority::High => &mut self.high,
            Priority::Normal => &mut self.normal,
        }
    }

    pub(crate) fn queued(&self) -> u64 {
        self.high.count + self.normal.count
    }

    pub(crate) fn has_room_for(&self, bytes: u64) -> bool {
        self.queued() < self.bounds.messages_max
            && self.queued_bytes.saturating_add(bytes) <= self.bounds.bytes_max
    }

    pub(crate) fn must_be(&self, name: &AgentId, epoch: Epoch) -> Result<(), Fault> {
        if epoch.0 == self.epoch {
            return Ok(());
        }
        let current = Epoch(self.epoch);
        Err(StoreError::Fenced { agent: name.clone(), current }.into())
    }

    pub(crate) fn summary(&self, agent: AgentId) -> AgentSummary {
        AgentSummary {
            agent,
            epoch: Epoch(self.epoch),
            revision: Revision(self.revision),
            queued: self.queued(),
            queued_bytes: self.queued_bytes,
            entries: self.journal_last - self.journal_after,
            outbox: self.outbox_count,
            timers: self.timers_count,
            once: self.once_count,
        }
    }

    /// What it takes in memory, in ids, keys and agents.
    pub(crate) fn weight(&self) -> usize {
        // Its own 400 B are worth 8 ids.
        8 + self.ids.as_ref().map_or(0, Ids::len) + self.index.as_ref().map_or(0, Index::len)
    }

    pub(crate) fn load(conn: &Connection, id: i64) -> Result<Self, Fault> {
        let what = || format!("the record of agent number {id}");
        let mut select = conn.prepare_cached(LOAD)?;
        let row = select.query_row([id], |row| {
            let mut numbers = [0; NUMBERS];
            for (column, number) in numbers.iter_mut().enumerate() {
                *number = row.get(column + 1)?;
            }
            Ok((numbers, row.get::<_, i64>(NUMBERS + 1)?))
        });
        let (numbers, sum) = row.optional()?.ok_or_else(|| damaged(what(), "it is gone"))?;
        if sum != Self::sum(id, &numbers) {
            return Err(damaged(what(), "its checksum is wrong"));
        }
        Self::from_numbers(id, &numbers)
            .ok_or_else(|| damaged(what(), "its numbers are not possible"))
    }

    pub(crate) fn save(&self, conn: &Connection) -> Result<(), Fault> {
        let numbers = self.numbers();
        let sum = Self::sum(self.id, &numbers);
        let all = std::iter::once(self.id).chain(numbers).chain([sum]);
        conn.prepare_cached(SAVE)?.execute(params_from_iter(all))?;
        Ok(())
    }

    fn sum(id: i64, numbers: &[i64; NUMBERS]) -> i64 {
        Sum::of("agents").number(id).numbers(numbers).end()
    }

    /// In the order of the columns.
    fn numbers(&self) -> [i64; NUMBERS] {
        let on_full = match self.bounds.on_full {
            OnFull::Refuse => 0,
            OnFull::DropNewest => 1,
            OnFull::DropOldest => 2,
        };
        [
            self.bounds.messages_max,
            self.bounds.bytes_max,
            on_full,
            self.epoch,
            self.revision,
            self.is_closed.into(),
            self.applied.high.0,
            self.applied.normal.0,
            self.tail,
            self.high.gone,
            self.high.last,
            self.high.count,
            self.normal.gone,
            self.normal.last,
            self.normal.count,
            self.queued_bytes,
            self.arrivals,
            self.chunk_first,
            self.ids_saved,
            self.ids_position,
            self.journal_after,
            self.journal_last,
            self.outbox_last,
            self.outbox_count,
            self.timers_count,
            self.once_count,
            self.has_snapshot.into(),
        ]
        .map(u64::cast_signed)
    }

    fn from_numbers(id: i64, numbers: &[i64; NUMBERS]) -> Option<Self> {
        let n = numbers.map(i64::cast_unsigned);
        let on_full = match n[2] {
            0 => OnFull::Refuse,
            1 => OnFull::DropNewest,
            2 => OnFull::DropOldest,
            _ => return None,
        };
        Some(Self {
            id,
            bounds: Bounds { messages_max: n[0], bytes_max: n[1], on_full },
            epoch: n[3],
            revision: n[4],
            is_closed: n[5] != 0,
            applied: Watermarks { high: Position(n[6]), normal: Position(n[7]) },
            tail: n[8],
            high: Lane { gone: n[9], last: n[10], count: n[11] },
            normal: Lane { gone: n[12], last: n[13], count: n[14] },
            queued_bytes: n[15],
            arrivals: n[16],
            chunk_first: n[17],
            ids_saved: n[18],
            ids_position: n[19],
            journal_after: n[20],
            journal_last: n[21],
            outbox_last: n[22],
            outbox_count: n[23],
            timers_count: n[24],
            once_count: n[25],
            has_snapshot: n[26] != 0,
            must_save_ids: false,
            ids: None,
            unwritten: Unwritten::default(),
            index: None,
            is_dirty: false,
            used: 0,
        })
    }
}
