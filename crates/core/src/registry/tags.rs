//! Who carries which tag, and whose turn it is.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::Tag;
use crate::id::AgentId;

/// Tags and their members, in both directions. Knows nothing of who is registered.
#[derive(Debug, Clone, Default)]
pub(super) struct Tags {
    members: BTreeMap<Tag, Members>,
    of_agent: BTreeMap<AgentId, BTreeSet<Tag>>,
}

#[derive(Debug, Clone, Default)]
struct Members {
    ids: BTreeSet<AgentId>,
    /// Who was picked last. The next one is the first after it, so turns stay fair when members
    /// come and go.
    picked: Option<AgentId>,
}

impl Tags {
    /// Whether the agent did not carry the tag before.
    pub(super) fn add(&mut self, id: &AgentId, tag: &Tag) -> bool {
        let is_new = self.members.entry(tag.clone()).or_default().ids.insert(id.clone());
        if is_new {
            self.of_agent.entry(id.clone()).or_default().insert(tag.clone());
        }
        is_new
    }

    /// Whether the agent did carry the tag.
    pub(super) fn remove(&mut self, id: &AgentId, tag: &Tag) -> bool {
        let Some(tags) = self.of_agent.get_mut(id) else { return false };
        let was_there = tags.remove(tag);
        if tags.is_empty() {
            self.of_agent.remove(id);
        }
        if was_there {
            self.drop_member(id, tag);
        }
        was_there
    }

    /// Removes all tags of the agent; they come back in order.
    pub(super) fn remove_all(&mut self, id: &AgentId) -> BTreeSet<Tag> {
        let tags = self.of_agent.remove(id).unwrap_or_default();
        for tag in &tags {
            self.drop_member(id, tag);
        }
        tags
    }

    fn drop_member(&mut self, id: &AgentId, tag: &Tag) {
        if let Some(members) = self.members.get_mut(tag) {
            members.ids.remove(id);
            // A tag without members is forgotten, so that memory follows the agents that live.
            if members.ids.is_empty() {
                self.members.remove(tag);
            }
        }
    }

    pub(super) fn members(&self, tag: &Tag) -> impl Iterator<Item = &AgentId> {
        self.members.get(tag).into_iter().flat_map(|members| &members.ids)
    }

    pub(super) fn of_agent(&self, id: &AgentId) -> impl Iterator<Item = &Tag> {
        self.of_agent.get(id).into_iter().flatten()
    }

    pub(super) fn n_of_agent(&self, id: &AgentId) -> usize {
        self.of_agent.get(id).map_or(0, BTreeSet::len)
    }

    /// The next member in turn of which `is_ready` holds, or the next in turn if it holds of none.
    pub(super) fn pick(
        &mut self,
        tag: &Tag,
        is_ready: impl Fn(&AgentId) -> bool,
    ) -> Option<AgentId> {
        let members = self.members.get_mut(tag)?;
        let after = members.picked.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let until = members.picked.as_ref().map_or(Bound::Unbounded, Bound::Included);
        // Unbounded twice only before the first pick; the chain then walks the members twice.
        let mut turn = members
            .ids
            .range::<AgentId, _>((after, Bound::Unbounded))
            .chain(members.ids.range::<AgentId, _>((Bound::Unbounded, until)));
        let next = turn.clone().next().cloned();
        let picked = turn.find(|id| is_ready(id)).cloned().or(next)?;
        members.picked = Some(picked.clone());
        Some(picked)
    }
}
