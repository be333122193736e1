//! What each write does, as `Tables` in the core says it.
//!
//! A write that the caller is to blame for is refused before anything is changed. Any other failure takes
//! the whole transaction back, so nothing here has to be undone.

mod append;
mod commit;

use ggml_agent_core::store::{Epoch, Open, Opened, Position, Revision, Taken, Write, Written};
use ggml_agent_core::{AgentId, Envelope, Priority};

use crate::agent::Agent;
use crate::engine::{Engine, Parts};
use crate::error::Fault;
use crate::{dead, mail, names, small, state};

pub(crate) const LANES: [Priority; 2] = [Priority::High, Priority::Normal];

impl Engine {
    pub(crate) fn write(&mut self, write: &Write) -> Result<Written, Fault> {
        match write {
            Write::Open(open) => self.open(open).map(|opened| Written::Opened(Box::new(opened))),
            Write::Append(envelope) => {
                append::append(self.receiver(&envelope.to)?, envelope).map(Written::Accepted)
            }
            Write::AppendAll(envelopes) => self.append_all(envelopes).map(Written::Taken),
            Write::Commit(commit) => {
                commit::commit(self.agent(&commit.agent)?, commit).map(Written::Committed)
            }
            Write::Close { agent, epoch } => self.close(agent, *epoch),
            Write::Resend { number } => self.resend(*number),
            Write::Discard { number } => {
                let letter = dead::find(&self.conn, &self.heads, *number)?;
                dead::remove(&self.conn, &mut self.heads, &letter)?;
                Ok(Written::Done)
            }
            Write::Remove { agent } => self.remove(agent),
        }
    }

    fn append_all(&mut self, envelopes: &[Envelope]) -> Result<Taken, Fault> {
        for (n, envelope) in envelopes.iter().enumerate() {
            let appended =
                self.receiver(&envelope.to).and_then(|parts| append::append(parts, envelope));
            match appended {
                Ok(_) => {}
                Err(Fault::Refused(error)) => return Ok(Taken { n, refused: Some(error) }),
                Err(fault) => return Err(fault),
            }
        }
        Ok(Taken { n: envelopes.len(), refused: None })
    }

    fn open(&mut self, open: &Open) -> Result<Opened, Fault> {
        if self.find(&open.agent)?.is_none() {
            let id = self.heads.agent_last + 1;
            self.heads.agent_last = id;
            names::insert(&self.conn, &mut self.heads, &open.agent, id)?;
            let epoch = self.heads.removed_epoch;
            self.add(&open.agent, Agent::new(id, open.bounds, epoch));
        }
        let Parts { conn, agent, .. } = self.agent(&open.agent)?;
        let small = small::load(conn, agent)?;
        let snapshot = state::snapshot(conn, agent)?;
        for lane in LANES {
            for mail in in_hand(conn, agent, lane, open.in_hand.as_deref())? {
                // It began once, at least; later ones are counted when they begin.
                if mail.attempts == 0 {
                    mail::count_attempt(conn, agent, lane, &mail)?;
                }
            }
        }
        agent.bounds = open.bounds;
        agent.epoch += 1;
        agent.is_closed = false;
        agent.is_dirty = true;
        Ok(Opened {
            epoch: Epoch(agent.epoch),
            revision: Revision(agent.revision),
            snapshot,
            journal_after: agent.journal_after,
            journal_last: agent.journal_last,
            applied: agent.applied,
            queued: agent.queued(),
            outbox: small.outbox,
            timers: small.timers,
            once: small.once,
        })
    }

    fn close(&mut self, name: &AgentId, epoch: Epoch) -> Result<Written, Fault> {
        let Parts { agent, .. } = self.agent(name)?;
        agent.must_be(name, epoch)?;
        agent.is_closed = true;
        agent.is_dirty = true;
        Ok(Written::Done)
    }

    fn resend(&mut self, number: u64) -> Result<Written, Fault> {
        let letter = dead::find(&self.conn, &self.heads, number)?;
        let envelope = letter.body.unpack_envelope(&self.conn)?;
        let Parts { conn, heads, agent, .. } = self.agent(&envelope.to)?;
        mail::push(conn, agent, &envelope, 0)?;
        dead::remove(conn, heads, &letter)?;
        Ok(Written::Done)
    }

    fn remove(&mut self, name: &AgentId) -> Result<Written, Fault> {
        let Parts { conn, heads, agent, .. } = self.agent(name)?;
        heads.removed_epoch = heads.removed_epoch.max(agent.epoch);
        for table in ["messages", "snapshots", "journal", "outbox", "timers", "once"] {
            state::release_all(conn, table, agent.id)?;
        }
        for table in
            ["messages", "seen", "snapshots", "journal", "outbox", "timers", "once", "agents"]
        {
            let delete = format!("DELETE FROM {table} WHERE agent = ?1");
            conn.prepare_cached(&delete)?.execute([agent.id])?;
        }
        names::remove(conn, heads, name)?;
        self.forget(name);
        Ok(Written::Done)
    }
}

/// The messages of a lane that the incarnation before may have had in hand.
fn in_hand(
    conn: &rusqlite::Connection,
    agent: &Agent,
    lane: Priority,
    told: Option<&[Position]>,
) -> Result<Vec<mail::Mail>, Fault> {
    let Some(told) = told else {
        let most = if agent.is_closed { 0 } else { 1 };
        return mail::behind(conn, agent, lane, 0, most);
    };
    let mut positions: Vec<_> = told.iter().map(|position| position.0).collect();
    positions.sort_unstable();
    positions.dedup();
    let mut found = Vec::new();
    for position in positions {
        found.extend(mail::at(conn, agent, lane, position)?);
    }
    Ok(found)
}
