//! Looks at every record.

use std::collections::BTreeMap;

use ggml_agent_core::AgentId;

use super::{Checked, Damage};
use crate::agent::Agent;
use crate::body::{self, Body};
use crate::engine::Engine;
use crate::error::{Fault, damaged};
use crate::ids::Ids;
use crate::sum::Hash;
use crate::write::LANES;
use crate::{dead, mail, names, small, state};

/// Records that are read in one go.
const PAGE: usize = 256;

struct Check<'a> {
    engine: &'a Engine,
    found: Checked,
    /// Rows of messages, and uses of large contents.
    rows: u64,
    uses: BTreeMap<Hash, i64>,
}

pub(super) fn check(engine: &Engine) -> Result<Checked, Fault> {
    let mut check = Check { engine, found: Checked::default(), rows: 0, uses: BTreeMap::new() };
    check.pages()?;
    for (name, why) in &engine.set_aside {
        check.note(format!("agent \"{name}\""), why.clone());
    }
    check.agents()?;
    check.dead_letters()?;
    check.contents()?;
    Ok(check.found)
}

/// Looks at every record of one agent; what is damaged is an error.
pub(super) fn one(engine: &Engine, name: &AgentId) -> Result<(), Fault> {
    let mut check = Check { engine, found: Checked::default(), rows: 0, uses: BTreeMap::new() };
    match names::find(&engine.conn, &engine.heads, name)? {
        Some(id) => check.agent(Agent::load(&engine.conn, id)?),
        None => Ok(()),
    }
}

impl Check<'_> {
    fn note(&mut self, what: String, why: String) {
        self.found.damaged.push(Damage { what, why });
    }

    /// What is damaged is noted; all else is an error.
    fn sort<T>(
        &mut self,
        what: impl FnOnce() -> String,
        result: Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        match result {
            Ok(found) => Ok(Some(found)),
            Err(fault) if fault.is_damage() => {
                let (part, why) = fault.into_damage();
                self.note(what(), format!("{part}: {why}"));
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }

    fn pages(&mut self) -> Result<(), Fault> {
        let mut select = self.engine.conn.prepare("PRAGMA integrity_check(100)")?;
        let lines = select.query_map([], |row| row.get::<_, String>(0))?;
        let lines = lines.collect::<Result<Vec<_>, _>>().map_err(Fault::from);
        for line in self.sort(|| "the file".into(), lines)?.unwrap_or_default() {
            if line != "ok" {
                self.note("the file".into(), line);
            }
        }
        Ok(())
    }

    fn agents(&mut self) -> Result<(), Fault> {
        let (conn, heads) = (&self.engine.conn, &self.engine.heads);
        let mut last = String::new();
        loop {
            let next = names::next(conn, heads, &last);
            // Behind a broken link nobody knows what comes.
            let Some(Some(link)) = self.sort(|| "the list of agents".into(), next)? else { break };
            last.clone_from(&link.name);
            self.found.agents += 1;
            let what = || format!("agent \"{}\"", link.name);
            let checked = match AgentId::new(&link.name) {
                Ok(_) => Agent::load(conn, link.agent).and_then(|agent| self.agent(agent)),
                Err(error) => Err(damaged("its name", error.to_string())),
            };
            self.sort(what, checked)?;
        }
        let rows = self.count("SELECT count(*) FROM messages")?;
        if rows != self.rows && self.found.is_whole() {
            let why = format!("there are {rows} rows of messages, and agents have {}", self.rows);
            self.note("the mailboxes".into(), why);
        }
        Ok(())
    }

    fn agent(&mut self, mut agent: Agent) -> Result<(), Fault> {
        let conn = &self.engine.conn;
        let whose = format!("agent number {}", agent.id);
        self.found.records += 1;
        let mut bytes = 0;
        for lane in LANES {
            let (mut last, mut count) = (0, 0);
            loop {
                let page = mail::behind(conn, &agent, lane, last, PAGE)?;
                let Some(end) = page.last() else { break };
                last = end.position;
                for mail in &page {
                    mail.unpack(conn)?;
                    bytes += mail.bytes;
                    self.used(&mail.body);
                }
                count += page.len() as u64;
                self.rows += page.iter().filter(|mail| mail.ends_row).count() as u64;
            }
            if count != agent.lane(lane).count {
                let why = format!("{count} of {} messages are there", agent.lane(lane).count);
                return Err(damaged(format!("the mailbox of {whose}"), why));
            }
            self.found.records += count;
        }
        if bytes != agent.queued_bytes {
            let why = format!("{bytes} of {} bytes are there", agent.queued_bytes);
            return Err(damaged(format!("the mailbox of {whose}"), why));
        }
        Ids::load(conn, &agent, u64::MAX)?;
        let small = small::load(conn, &mut agent)?;
        self.found.records += (small.outbox.len() + small.timers.len() + small.once.len()) as u64;
        self.found.records += u64::from(state::snapshot(conn, &agent)?.is_some());
        let mut after = agent.journal_after;
        loop {
            let page = state::journal(conn, &agent, after, PAGE)?;
            let Some(end) = page.last() else { break };
            after = end.number;
            self.found.records += page.len() as u64;
        }
        for table in ["snapshots", "journal", "outbox", "timers", "once"] {
            for hash in state::blobs(conn, table, agent.id)? {
                *self.uses.entry(hash).or_default() += 1;
            }
        }
        Ok(())
    }

    fn dead_letters(&mut self) -> Result<(), Fault> {
        let (conn, heads) = (&self.engine.conn, &self.engine.heads);
        let mut last = 0;
        loop {
            let next = dead::next(conn, heads, last);
            let Some(Some(letter)) = self.sort(|| "the dead letters".into(), next)? else {
                return Ok(());
            };
            last = letter.number;
            self.found.records += 1;
            self.used(&letter.body);
            let unpacked = letter.unpack(conn);
            self.sort(|| format!("dead letter {last}"), unpacked)?;
        }
    }

    /// Whether each large content is whole and used as often as is counted.
    fn contents(&mut self) -> Result<(), Fault> {
        let conn = &self.engine.conn;
        let mut select = conn.prepare("SELECT hash FROM contents UNION SELECT hash FROM blobs")?;
        let hashes = select.query_map([], |row| row.get::<_, Hash>(0))?;
        let hashes = hashes.collect::<Result<Vec<_>, _>>().map_err(Fault::from);
        // Where an agent could not be read to its end, nobody knows how often it uses what.
        let is_counted = self.found.is_whole();
        for hash in self.sort(|| "the large contents".into(), hashes)?.unwrap_or_default() {
            let what = || "a large content".to_owned();
            let fetched = body::fetch(conn, &hash);
            self.sort(what, fetched)?;
            let counted = body::uses(conn, &hash);
            let Some(counted) = self.sort(what, counted)? else { continue };
            let used = self.uses.get(&hash).copied();
            if is_counted && counted != used {
                let why =
                    format!("it is used {} times, not {}", used.unwrap_or(0), counted.unwrap_or(0));
                self.note(what(), why);
            }
            self.found.records += 1;
        }
        Ok(())
    }

    fn used(&mut self, body: &Body) {
        if let Some(hash) = body.blob {
            *self.uses.entry(hash).or_default() += 1;
        }
    }

    fn count(&self, select: &str) -> Result<u64, Fault> {
        Ok(self.engine.conn.query_row(select, [], |row| row.get::<_, i64>(0))?.cast_unsigned())
    }
}
