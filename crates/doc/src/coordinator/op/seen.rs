//! Which named commands were carried out.

use std::collections::{BTreeMap, VecDeque};

use ggml_agent_core::AgentId;

use crate::coordinator::OpId;
use crate::history::{History, Update};
use crate::limits::OPS_REMEMBERED_MAX;

/// The newest [`OPS_REMEMBERED_MAX`] names in the history, and which updates they made. It follows from the
/// history, so nothing of it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    seqs: BTreeMap<AgentId, BTreeMap<OpId, u64>>,
    /// The same, oldest first.
    order: VecDeque<(u64, AgentId, OpId)>,
}

impl Seen {
    pub(crate) fn of(history: &History) -> Self {
        let mut seen = Self::default();
        history.iter().for_each(|update| seen.add(update));
        seen
    }

    /// The update that this agent's command of this name made.
    pub(super) fn seq_of(&self, agent: &AgentId, op: &OpId) -> Option<u64> {
        self.seqs.get(agent)?.get(op).copied()
    }

    /// An update was added to the history.
    pub(crate) fn add(&mut self, update: &Update) {
        let Some(op) = &update.op else { return };
        let agent = update.author.agent();
        self.seqs.entry(agent.clone()).or_default().insert(op.clone(), update.seq);
        self.order.push_back((update.seq, agent.clone(), op.clone()));
        if self.order.len() > OPS_REMEMBERED_MAX {
            self.drop_oldest();
        }
    }

    /// An update, the oldest, is not in the history any more.
    pub(crate) fn forget(&mut self, update: &Update) {
        if self.order.front().is_some_and(|(seq, ..)| *seq <= update.seq) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some((seq, agent, op)) = self.order.pop_front() else { return };
        let Some(ops) = self.seqs.get_mut(&agent) else { return };
        // A name that was forgotten and used again stands for the later command.
        if ops.get(&op) == Some(&seq) {
            ops.remove(&op);
        }
        if ops.is_empty() {
            self.seqs.remove(&agent);
        }
    }
}
