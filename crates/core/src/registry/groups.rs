//! Who is in which group, and whose turn it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Bound;

use super::{AgentState, Named, Tag};
use crate::id::AgentId;
use crate::limits::TAGS_PER_AGENT_MAX;

/// Tags and their members, in both directions (G5). Changed through a
/// [`Registry`](super::Registry), which knows who is registered; agents without tags are not in it.
pub struct Groups<H> {
    members: BTreeMap<Tag, Members<H>>,
    carriers: BTreeMap<AgentId, Carrier>,
}

struct Members<H> {
    handles: BTreeMap<AgentId, H>,
    /// Who was picked last. The next one is the first after it, so turns stay fair when members
    /// come and go.
    picked: Option<AgentId>,
}

/// An agent with at least one tag.
struct Carrier {
    tags: BTreeSet<Tag>,
    state: AgentState,
}

impl<H: Named> Groups<H> {
    /// No groups.
    #[must_use]
    pub fn new() -> Self {
        Self { members: BTreeMap::new(), carriers: BTreeMap::new() }
    }

    /// All agents with this tag, in the order of their ids (G5).
    pub fn members(&self, tag: &Tag) -> impl Iterator<Item = &H> + use<'_, H> {
        self.members.get(tag).into_iter().flat_map(|members| members.handles.values())
    }

    /// The agent with this tag whose turn it is (G5): round robin over the live ones, and over all when
    /// each of them restarts. `None` when nobody has the tag.
    pub fn pick(&mut self, tag: &Tag) -> Option<&H> {
        let Members { handles, picked } = self.members.get_mut(tag)?;
        let carriers = &self.carriers;
        let is_live = |id: &AgentId| {
            carriers.get(id).is_some_and(|carrier| carrier.state == AgentState::Live)
        };
        let after = picked.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let until = picked.as_ref().map_or(Bound::Unbounded, Bound::Included);
        // Unbounded twice only before the first pick; the chain then walks the members twice.
        let mut turn = handles
            .range::<AgentId, _>((after, Bound::Unbounded))
            .chain(handles.range::<AgentId, _>((Bound::Unbounded, until)));
        let next = turn.clone().next();
        let (id, handle) = turn.find(|(id, _)| is_live(id)).or(next)?;
        *picked = Some(id.clone());
        Some(handle)
    }

    /// The tags of an agent, in order.
    pub fn tags_of(&self, id: &AgentId) -> impl Iterator<Item = &Tag> {
        self.carriers.get(id).into_iter().flat_map(|carrier| &carrier.tags)
    }

    /// Whether the agent did not carry the tag before.
    pub(super) fn add(
        &mut self,
        handle: &H,
        state: AgentState,
        tag: &Tag,
    ) -> Result<bool, TooManyTags> {
        let id = handle.id();
        if let Some(carrier) = self.carriers.get(id) {
            if carrier.tags.contains(tag) {
                return Ok(false);
            }
            if carrier.tags.len() >= TAGS_PER_AGENT_MAX {
                return Err(TooManyTags);
            }
        }
        let fresh = || Carrier { tags: BTreeSet::new(), state };
        self.carriers.entry(id.clone()).or_insert_with(fresh).tags.insert(tag.clone());
        let fresh = || Members { handles: BTreeMap::new(), picked: None };
        let members = self.members.entry(tag.clone()).or_insert_with(fresh);
        members.handles.insert(id.clone(), handle.clone());
        Ok(true)
    }

    /// Whether the agent did carry the tag.
    pub(super) fn remove(&mut self, id: &AgentId, tag: &Tag) -> bool {
        let Some(carrier) = self.carriers.get_mut(id) else { return false };
        let was_there = carrier.tags.remove(tag);
        if carrier.tags.is_empty() {
            self.carriers.remove(id);
        }
        if was_there {
            self.drop_member(id, tag);
        }
        was_there
    }

    /// Removes all tags of the agent; they come back in order.
    pub(super) fn remove_all(&mut self, id: &AgentId) -> BTreeSet<Tag> {
        let tags = self.carriers.remove(id).map(|carrier| carrier.tags).unwrap_or_default();
        for tag in &tags {
            self.drop_member(id, tag);
        }
        tags
    }

    pub(super) fn set_state(&mut self, id: &AgentId, state: AgentState) {
        if let Some(carrier) = self.carriers.get_mut(id) {
            carrier.state = state;
        }
    }

    fn drop_member(&mut self, id: &AgentId, tag: &Tag) {
        if let Some(members) = self.members.get_mut(tag) {
            members.handles.remove(id);
            // A tag without members is forgotten, so that memory follows the agents that live.
            if members.handles.is_empty() {
                self.members.remove(tag);
            }
        }
    }
}

/// The agent has [`TAGS_PER_AGENT_MAX`] tags.
pub(super) struct TooManyTags;

impl<H: Named> Default for Groups<H> {
    fn default() -> Self {
        Self::new()
    }
}

impl<H> fmt::Debug for Groups<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tags = self.carriers.iter().map(|(id, carrier)| (id, &carrier.tags));
        f.debug_map().entries(tags).finish()
    }
}
