//! What is true of the whole store: the numbers that were given, and the ends of its chains.

use rusqlite::{Connection, OptionalExtension};

use crate::error::{Fault, damaged};
use crate::sum::Sum;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Heads {
    /// The newest number of an agent. None is given twice.
    pub(crate) agent_last: i64,
    /// The last name, empty if there is none.
    pub(crate) name_last: String,
    /// The newest number of a dead letter.
    pub(crate) dead_last: u64,
    /// The newest dead letter that is still there, 0 if none is.
    pub(crate) dead_newest: u64,
    /// The highest epoch of an agent that was removed: who begins anew under an old name begins behind it.
    pub(crate) removed_epoch: u64,
}

impl Heads {
    pub(crate) fn load(conn: &Connection) -> Result<Self, Fault> {
        let row = conn.query_row("SELECT * FROM heads WHERE only = 1", [], |row| {
            let heads = Self {
                agent_last: row.get(1)?,
                name_last: row.get(2)?,
                dead_last: row.get::<_, i64>(3)?.cast_unsigned(),
                dead_newest: row.get::<_, i64>(4)?.cast_unsigned(),
                removed_epoch: row.get::<_, i64>(5)?.cast_unsigned(),
            };
            Ok((heads, row.get::<_, i64>(6)?))
        });
        match row.optional()? {
            Some((heads, sum)) if sum == heads.sum() => Ok(heads),
            _ => Err(damaged("the first record", "its checksum is wrong")),
        }
    }

    pub(crate) fn save(&self, conn: &Connection) -> Result<(), Fault> {
        conn.prepare_cached("INSERT OR REPLACE INTO heads VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute((
                self.agent_last,
                &self.name_last,
                self.dead_last.cast_signed(),
                self.dead_newest.cast_signed(),
                self.removed_epoch.cast_signed(),
                self.sum(),
            ))?;
        Ok(())
    }

    fn sum(&self) -> i64 {
        Sum::of("heads")
            .number(self.agent_last)
            .bytes(self.name_last.as_bytes())
            .number(self.dead_last.cast_signed())
            .number(self.dead_newest.cast_signed())
            .number(self.removed_epoch.cast_signed())
            .end()
    }
}
