//! The store inside of its thread: one connection, what is kept in memory of it, and transactions.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ggml_agent_core::AgentId;
use ggml_agent_core::store::StoreError;
use rusqlite::Connection;

use crate::agent::Agent;
use crate::error::Fault;
use crate::heads::Heads;
use crate::ids::{self, Ids};
use crate::options::Options;
use crate::quarantine;
use crate::{mail, names};

#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) conn: Connection,
    /// The file.
    pub(crate) path: PathBuf,
    pub(crate) options: Options,
    pub(crate) heads: Heads,
    /// As they stand in the file.
    heads_saved: Heads,
    agents: BTreeMap<AgentId, Agent>,
    /// Whose record may be behind, since the transaction began.
    touched: Vec<AgentId>,
    /// Agents that were set aside, and why.
    pub(crate) set_aside: BTreeMap<AgentId, String>,
    /// A commit of an operator's failed: the store is given up, and opened again before anything is answered.
    pub(crate) is_doubtful: bool,
    /// How often an agent was looked up.
    uses: u64,
    /// And how often when it was last seen how much is in memory.
    weighed: u64,
    #[cfg(test)]
    pub(crate) commits_fail: u32,
}

impl Engine {
    pub(crate) fn new(
        conn: Connection,
        path: PathBuf,
        options: Options,
        heads: Heads,
        set_aside: BTreeMap<AgentId, String>,
    ) -> Self {
        Self {
            conn,
            path,
            options,
            heads_saved: heads.clone(),
            heads,
            agents: BTreeMap::new(),
            touched: Vec::new(),
            set_aside,
            is_doubtful: false,
            uses: 0,
            weighed: 0,
            #[cfg(test)]
            commits_fail: 0,
        }
    }

    pub(crate) fn begin(&mut self) -> Result<(), Fault> {
        self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(())
    }

    /// Writes what stands in memory alone.
    pub(crate) fn flush(&mut self) -> Result<(), Fault> {
        for name in self.touched.drain(..) {
            let Some(agent) = self.agents.get_mut(&name).filter(|agent| agent.is_dirty) else {
                continue;
            };
            mail::write_out(&self.conn, agent)?;
            if let Some(ids) = agent.ids.as_mut() {
                agent.arrivals = ids.arrivals();
                let is_due = agent.arrivals - agent.ids_saved >= ids::BEHIND_MAX
                    || agent.tail - agent.ids_position >= ids::BEHIND_MAX;
                if is_due || agent.must_save_ids {
                    agent.chunk_first = ids.save(&self.conn, agent.id)?;
                    (agent.ids_saved, agent.ids_position) = (agent.arrivals, agent.tail);
                    agent.must_save_ids = false;
                }
            }
            agent.save(&self.conn)?;
            agent.is_dirty = false;
        }
        if self.heads != self.heads_saved {
            self.heads.save(&self.conn)?;
            self.heads_saved = self.heads.clone();
        }
        Ok(())
    }

    /// Makes the transaction last. The error is SQLite's, so that the caller can tell what it means here.
    pub(crate) fn commit(&mut self) -> Result<(), rusqlite::Error> {
        #[cfg(test)]
        if self.commits_fail > 0 {
            self.commits_fail -= 1;
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC);
            return Err(rusqlite::Error::SqliteFailure(code, None));
        }
        self.conn.prepare_cached("COMMIT")?.execute([])?;
        self.forget_the_eldest();
        Ok(())
    }

    /// Takes the transaction back, with all that was remembered of it. Whether the connection can be used.
    pub(crate) fn roll_back(&mut self) -> bool {
        self.agents.clear();
        self.touched.clear();
        // SQLite may have rolled back by itself.
        let is_over = self.conn.is_autocommit() || self.conn.execute_batch("ROLLBACK").is_ok();
        match is_over.then(|| Heads::load(&self.conn)) {
            Some(Ok(heads)) => {
                self.heads_saved = heads.clone();
                self.heads = heads;
                true
            }
            _ => false,
        }
    }

    /// An agent that is there, in memory, with what else an operation on it needs. All its messages stand
    /// in rows.
    pub(crate) fn agent(&mut self, name: &AgentId) -> Result<Parts<'_>, Fault> {
        let parts = self.receiver(name)?;
        mail::write_out(parts.conn, parts.agent)?;
        Ok(parts)
    }

    /// An agent that gets a message: those that came before it in this transaction may stand in memory
    /// alone, so that they share a row.
    pub(crate) fn receiver(&mut self, name: &AgentId) -> Result<Parts<'_>, Fault> {
        self.find(name)?.ok_or_else(|| StoreError::UnknownMailbox { agent: name.clone() }.into())
    }

    /// An agent, if it is there.
    pub(crate) fn find(&mut self, name: &AgentId) -> Result<Option<Parts<'_>>, Fault> {
        self.must_be_whole(name)?;
        if !self.agents.contains_key(name) {
            let Some(id) = names::find(&self.conn, &self.heads, name)? else { return Ok(None) };
            let agent = Agent::load(&self.conn, id)?;
            self.agents.insert(name.clone(), agent);
        }
        self.touched.push(name.clone());
        self.uses += 1;
        let agent = self.agents.get_mut(name).expect("invariant: it is there, or was put there");
        agent.used = self.uses;
        let window = self.options.dedupe_ids_max;
        Ok(Some(Parts { conn: &self.conn, heads: &mut self.heads, agent, window }))
    }

    /// The newest of an agent's record that is in memory, if it is.
    pub(crate) fn peek(&self, name: &AgentId) -> Option<&Agent> {
        self.agents.get(name)
    }

    pub(crate) fn add(&mut self, name: &AgentId, agent: Agent) {
        self.agents.insert(name.clone(), agent);
    }

    pub(crate) fn forget(&mut self, name: &AgentId) {
        self.agents.remove(name);
    }

    fn must_be_whole(&self, name: &AgentId) -> Result<(), Fault> {
        match self.set_aside.get(name) {
            None => Ok(()),
            Some(why) => {
                Err(StoreError::Quarantined { what: format!("agent \"{name}\""), why: why.clone() }
                    .into())
            }
        }
    }

    /// Sets an agent aside, for good. Its records stay as they are.
    pub(crate) fn quarantine(&mut self, name: &AgentId, why: String) {
        if quarantine::put(&self.conn, name, &why).is_err() {
            // It is set aside until the store is opened again, and then found damaged again.
        }
        self.set_aside.insert(name.clone(), why);
        self.forget(name);
    }

    fn forget_the_eldest(&mut self) {
        // This walks over all agents in memory: once per so many uses, each of which adds little.
        if self.uses - self.weighed < (self.options.cached_max / 64) as u64 {
            return;
        }
        self.weighed = self.uses;
        let mut left: usize = self.agents.values().map(Agent::weight).sum();
        if left <= self.options.cached_max {
            return;
        }
        let mut by_use: Vec<_> = self
            .agents
            .iter()
            .map(|(name, agent)| (agent.used, agent.weight(), name.clone()))
            .collect();
        by_use.sort_unstable_by_key(|(used, _, _)| *used);
        by_use.pop(); // The newest stays, whatever it weighs.
        for (_, weight, name) in by_use {
            if left <= self.options.cached_max / 4 * 3 {
                break;
            }
            left -= weight;
            self.agents.remove(&name);
        }
    }
}

/// One agent and what an operation on it needs.
pub(crate) struct Parts<'a> {
    pub(crate) conn: &'a Connection,
    pub(crate) heads: &'a mut Heads,
    pub(crate) agent: &'a mut Agent,
    window: u64,
}

impl Parts<'_> {
    /// The ids that it knows.
    pub(crate) fn ids(&mut self) -> Result<&mut Ids, Fault> {
        let agent = &mut *self.agent;
        if agent.ids.is_none() {
            mail::write_out(self.conn, agent)?;
            agent.ids = Some(Ids::load(self.conn, agent, self.window)?);
        }
        Ok(agent.ids.as_mut().expect("invariant: loaded"))
    }
}
