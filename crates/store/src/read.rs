//! What each read finds.

use ggml_agent_core::AgentId;
use ggml_agent_core::store::{AgentSummary, DeadRecord, Found, Read};

use crate::agent::Agent;
use crate::engine::{Engine, Parts};
use crate::error::{Fault, damaged};
use crate::{dead, mail, names, state};

impl Engine {
    pub(crate) fn read(&mut self, read: &Read) -> Result<Found, Fault> {
        match read {
            Read::Messages { mailbox, lane, after, limit } => {
                let Parts { conn, agent, .. } = self.agent(mailbox)?;
                let found = mail::behind(conn, agent, *lane, after.0, *limit)?;
                let unpacked = found.iter().map(|mail| mail.unpack(conn));
                Ok(Found::Messages(unpacked.collect::<Result<_, _>>()?))
            }
            Read::Journal { agent, after, limit } => {
                let Parts { conn, agent, .. } = self.agent(agent)?;
                Ok(Found::Journal(state::journal(conn, agent, *after, *limit)?))
            }
            Read::DeadLetters { after, limit } => {
                self.dead_letters(*after, *limit).map(Found::DeadLetters)
            }
            Read::Agents { after, limit } => {
                self.summaries(after.as_ref(), *limit).map(Found::Agents)
            }
        }
    }

    fn dead_letters(&self, after: u64, limit: usize) -> Result<Vec<DeadRecord>, Fault> {
        let (mut found, mut last) = (Vec::new(), after);
        while found.len() < limit {
            let Some(letter) = dead::next(&self.conn, &self.heads, last)? else { break };
            last = letter.number;
            found.push(letter.unpack(&self.conn)?);
        }
        Ok(found)
    }

    fn summaries(&self, after: Option<&AgentId>, limit: usize) -> Result<Vec<AgentSummary>, Fault> {
        let mut last = after.map(|after| after.as_str().to_owned()).unwrap_or_default();
        let mut found = Vec::new();
        while found.len() < limit {
            let Some(summary) = self.summary_behind(&last)? else { break };
            summary.agent.as_str().clone_into(&mut last);
            found.push(summary);
        }
        Ok(found)
    }

    fn summary_behind(&self, last: &str) -> Result<Option<AgentSummary>, Fault> {
        let Some(link) = names::next(&self.conn, &self.heads, last)? else { return Ok(None) };
        let name = AgentId::new(&link.name)
            .map_err(|error| damaged("the name of an agent", error.to_string()))?;
        if let Some(agent) = self.peek(&name) {
            return Ok(Some(agent.summary(name)));
        }
        Ok(Some(Agent::load(&self.conn, link.agent)?.summary(name)))
    }
}
