//! Which incarnations may still act.

use std::collections::{BTreeMap, VecDeque};

use ggml_agent_core::AgentId;

use crate::limits::DEAD_MAX;

/// The lowest incarnation of each agent that may still act. Agents beyond [`DEAD_MAX`] are forgotten, those
/// first that came first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lives {
    alive_from: BTreeMap<AgentId, u64>,
    /// Its keys in the order in which they came.
    seen: VecDeque<AgentId>,
}

impl Lives {
    /// The lowest incarnation of `agent` that may act, if it is known.
    pub(crate) fn alive_from(&self, agent: &AgentId) -> Option<u64> {
        self.alive_from.get(agent).copied()
    }

    /// Ends every incarnation of `agent` before `from`; true if that says something new.
    pub(crate) fn end_before(&mut self, agent: &AgentId, from: u64) -> bool {
        if let Some(known) = self.alive_from.get_mut(agent) {
            let is_new = from > *known;
            *known = from.max(*known);
            return is_new;
        }
        if self.seen.len() >= DEAD_MAX
            && let Some(oldest) = self.seen.pop_front()
        {
            self.alive_from.remove(&oldest);
        }
        self.seen.push_back(agent.clone());
        self.alive_from.insert(agent.clone(), from);
        true
    }

    /// All that is known, in the order in which it came.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&AgentId, u64)> {
        self.seen.iter().filter_map(|agent| Some((agent, self.alive_from(agent)?)))
    }
}
