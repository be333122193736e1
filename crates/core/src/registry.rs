//! Who is registered under which id, in which groups, and who gets a broadcast. Holds G1 to G6 (rules).
//!
//! Values, not statics (G6): two systems hold two of each. [`Registry`] knows who has which id,
//! [`Groups`] who is in which group. They are two values so that a driver can hold many registries,
//! each for some of the ids ([`Key::shard`]), and one set of groups behind a lock of its own, for
//! which the registry asks only when an agent has tags. Every mutating call tells the [`Change`]s that
//! it makes, in order, to [`Changes`].
//!
//! Nothing depends on the order of hashes: every listing is in the order of ids.

mod change;
mod error;
mod groups;
mod key;
mod table;
mod tag;

use std::fmt;
use std::ops::DerefMut;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::envelope::Envelope;
use crate::id::AgentId;
use crate::limits::AGENTS_MAX;
use table::{Place, Table};

pub use change::{Change, Changes};
pub use error::{JoinError, RegisterError, UnknownAgent};
pub use groups::Groups;
pub use key::Key;
pub use tag::{ParseTagNameError, Tag, TagName};

/// What can be registered: a handle that knows the id of its agent, so that the registry need not.
pub trait Named: Clone {
    /// The id. Always the same one.
    fn id(&self) -> &AgentId;

    /// Whether both are handles of one agent, and of one stay of it under its id.
    fn is(&self, other: &Self) -> bool;
}

/// Agents by id, each with a handle by which it is reached.
///
/// A handle stands for one stay of an agent under its id, over all its incarnations. Calls about an
/// agent carry its handle, so news about an earlier agent of the same id, however late, cannot hit a
/// later one.
///
/// # Example
/// ```
/// use std::sync::Arc;
/// use ggml_agent_core::AgentId;
/// use ggml_agent_core::registry::{Groups, Named, Registry, Tag};
///
/// #[derive(Clone)]
/// struct Writer(Arc<AgentId>);
///
/// impl Named for Writer {
///     fn id(&self) -> &AgentId {
///         &self.0
///     }
///
///     fn is(&self, other: &Self) -> bool {
///         Arc::ptr_eq(&self.0, &other.0)
///     }
/// }
///
/// let (mut registry, mut groups) = (Registry::new(), Groups::new());
/// let writers = Tag::group("writers")?;
/// for name in ["ada", "bob"] {
///     let writer = Writer(Arc::new(name.parse()?));
///     registry.register(writer.id(), writer.clone(), &mut ())?;
///     registry.join(writer.id(), &writer, || &mut groups, &writers, &mut ())?;
/// }
/// let mut turns = String::new();
/// for _ in 0..3 {
///     turns += groups.pick(&writers).expect("has members").id().as_str();
/// }
/// assert_eq!(turns, "adabobada");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Registry<H> {
    agents: Table<H>,
    places: Arc<Places>,
}

/// How many agents there may be in all registries that share this, and how many there are.
#[derive(Debug)]
pub struct Places {
    n_taken: AtomicUsize,
    n_max: usize,
}

impl Places {
    /// Places for `n_max` agents.
    #[must_use]
    pub const fn new(n_max: usize) -> Self {
        Self { n_taken: AtomicUsize::new(0), n_max }
    }

    /// How many are taken.
    #[must_use]
    pub fn n_taken(&self) -> usize {
        self.n_taken.load(Ordering::Relaxed)
    }

    /// Whether there was one more.
    fn take(&self) -> bool {
        // A count that guards no other memory; one more than allowed is never reached, so that a
        // refusal needs no way back that others could see.
        let more = |n_taken| (n_taken < self.n_max).then_some(n_taken + 1);
        self.n_taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn give_back(&self) {
        self.n_taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a registered agent is doing, as far as its id is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AgentState {
    /// An incarnation runs.
    Live,
    /// Between two incarnations: the id stays taken, and messages wait in the mailbox (G2, M12).
    Restarting,
}

impl fmt::Display for AgentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Live => "live",
            Self::Restarting => "restarting",
        })
    }
}

/// A registered agent.
#[non_exhaustive]
pub struct Entry<'a, H> {
    /// Its id.
    pub id: &'a AgentId,
    /// How it is reached.
    pub handle: &'a H,
    /// What it is doing.
    pub state: AgentState,
}

impl<H: Named> Registry<H> {
    /// An empty registry for at most [`AGENTS_MAX`] agents.
    #[must_use]
    pub fn new() -> Self {
        Self::sharing(Arc::new(Places::new(AGENTS_MAX)))
    }

    /// An empty registry whose agents take `places`, which it may share with others.
    #[must_use]
    pub const fn sharing(places: Arc<Places>) -> Self {
        Self { agents: Table::new(), places }
    }

    /// Registers a live agent under its id, which is `key`'s. Holds G1 and G2: an id is free unless
    /// its agent lives or restarts.
    ///
    /// # Errors
    /// - [`RegisterError::Taken`]: choose another id, or wait for the agent's end.
    /// - [`RegisterError::Full`]: retry when agents have ended.
    pub fn register<'k>(
        &mut self,
        key: impl Into<Key<'k>>,
        handle: H,
        changes: &mut impl Changes,
    ) -> Result<(), RegisterError> {
        let key = key.into();
        debug_assert_eq!(key.id(), handle.id(), "an agent is registered under its own id");
        if let Some(place) = self.agents.find(key) {
            let state = self.agents.state(place);
            return Err(RegisterError::Taken { id: key.id().clone(), state });
        }
        if !self.places.take() {
            return Err(RegisterError::Full { agents_max: self.places.n_max });
        }
        self.agents.insert(key, handle);
        changes.tell(|| Change::Registered { id: key.id().clone() });
        Ok(())
    }

    /// The agent's incarnation has ended and another follows: its tags go with it (M13), its id stays (G2).
    ///
    /// The changes are `Left` for each tag, then `Restarting`; none when it has ended already, or when a
    /// restart failed and is tried again. The next incarnation joins again. As everywhere, `groups` is
    /// asked for only if there is something in them to change.
    pub fn restarting<'k, G: DerefMut<Target = Groups<H>>>(
        &mut self,
        key: impl Into<Key<'k>>,
        handle: &H,
        groups: impl FnOnce() -> G,
        changes: &mut impl Changes,
    ) {
        let key = key.into();
        let Some(place) = self.place_of(key, handle) else { return };
        self.leave_all(key, place, groups, changes);
        if self.agents.set_state(place, AgentState::Restarting) == AgentState::Live {
            changes.tell(|| Change::Restarting { id: key.id().clone() });
        }
    }

    /// The next incarnation of a restarting agent runs. Whether the agent is registered; there is a
    /// change only if it was restarting.
    pub fn restarted<'k, G: DerefMut<Target = Groups<H>>>(
        &mut self,
        key: impl Into<Key<'k>>,
        handle: &H,
        groups: impl FnOnce() -> G,
        changes: &mut impl Changes,
    ) -> bool {
        let key = key.into();
        let Some(place) = self.place_of(key, handle) else { return false };
        if self.agents.set_state(place, AgentState::Live) == AgentState::Restarting {
            // It may have joined a group for its next incarnation.
            if self.agents.is_tagged(place) {
                groups().set_state(key.id(), AgentState::Live);
            }
            changes.tell(|| Change::Restarted { id: key.id().clone() });
        }
        true
    }

    /// The agent has ended for good: its tags go, its id is free (G2). `None` when it was gone already.
    ///
    /// The changes are `Left` for each tag, then `Ended`.
    pub fn ended<'k, G: DerefMut<Target = Groups<H>>>(
        &mut self,
        key: impl Into<Key<'k>>,
        handle: &H,
        groups: impl FnOnce() -> G,
        changes: &mut impl Changes,
    ) -> Option<H> {
        let key = key.into();
        let place = self.place_of(key, handle)?;
        Some(self.take_out(key, place, groups, changes))
    }

    /// Takes whoever has this id out of the registry (G1), as [`Registry::ended`] does. `None` when
    /// nobody has it.
    pub fn unregister<'k, G: DerefMut<Target = Groups<H>>>(
        &mut self,
        key: impl Into<Key<'k>>,
        groups: impl FnOnce() -> G,
        changes: &mut impl Changes,
    ) -> Option<H> {
        let key = key.into();
        let place = self.agents.find(key)?;
        Some(self.take_out(key, place, groups, changes))
    }

    /// Who has this id (G1).
    #[must_use]
    pub fn lookup<'k>(&self, key: impl Into<Key<'k>>) -> Option<Entry<'_, H>> {
        let place = self.agents.find(key.into())?;
        Some(entry((self.agents.handle(place), self.agents.state(place))))
    }

    /// The handle of the agent that gets this envelope. Holds G3 (the rule): restarting agents get mail.
    ///
    /// # Errors
    /// [`UnknownAgent`]: tell the sender and record a dead letter.
    pub fn route(&self, envelope: &Envelope) -> Result<&H, UnknownAgent> {
        let found = self.lookup(&envelope.to).map(|entry| entry.handle);
        found.ok_or_else(|| UnknownAgent { id: envelope.to.clone() })
    }

    /// All registered agents, in the order of their ids (G1).
    pub fn list(&self) -> impl Iterator<Item = Entry<'_, H>> {
        let mut entries: Vec<_> = self.entries().collect();
        entries.sort_unstable_by_key(|entry| entry.id);
        entries.into_iter()
    }

    /// All registered agents in no order that means anything: to gather what several registries hold.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_, H>> {
        self.agents.iter().map(entry)
    }

    /// How many agents are registered.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.agents.len()
    }

    /// Whether nobody is registered.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.agents.len() == 0
    }

    /// Who gets a broadcast: everybody registered now, except the sender and one more. Holds G4 (the rule).
    pub fn broadcast<'a>(
        &'a self,
        sender: Option<&'a AgentId>,
        also_except: Option<&'a AgentId>,
    ) -> impl Iterator<Item = Entry<'a, H>> {
        self.list().filter(move |entry| is_reached(entry.id, sender, also_except))
    }

    /// Gives the agent a tag (G5), until it leaves, restarts or ends. False when it has it already.
    ///
    /// # Errors
    /// - [`JoinError::UnknownAgent`]: it is not registered any more, or another one is under its id.
    /// - [`JoinError::TooManyTags`]: leave another tag first.
    pub fn join<'k, G: DerefMut<Target = Groups<H>>>(
        &mut self,
        key: impl Into<Key<'k>>,
        handle: &H,
        groups: impl FnOnce() -> G,
        tag: &Tag,
        changes: &mut impl Changes,
    ) -> Result<bool, JoinError> {
        let key = key.into();
        let Some(place) = self.place_of(key, handle) else {
            return Err(JoinError::UnknownAgent { id: key.id().clone() });
        };
        let state = self.agents.state(place);
        let mut groups = groups();
        let is_new = groups
            .add(handle, state, tag)
            .map_err(|groups::TooManyTags| JoinError::TooManyTags { id: key.id().clone() })?;
        if is_new {
            self.agents.set_tagged(place, true);
            changes.tell(|| Change::Joined { id: key.id().clone(), tag: tag.clone() });
        }
        Ok(is_new)
    }

    /// Takes a tag from the agent. False when it did not have it.
    pub fn leave<'k, G: DerefMut<Target = Groups<H>>>(
        &mut self,
        key: impl Into<Key<'k>>,
        handle: &H,
        groups: impl FnOnce() -> G,
        tag: &Tag,
        changes: &mut impl Changes,
    ) -> bool {
        let key = key.into();
        let place = self.place_of(key, handle).filter(|place| self.agents.is_tagged(*place));
        let Some(place) = place else { return false };
        let mut groups = groups();
        let had_it = groups.remove(key.id(), tag);
        if had_it {
            self.agents.set_tagged(place, groups.tags_of(key.id()).next().is_some());
            changes.tell(|| Change::Left { id: key.id().clone(), tag: tag.clone() });
        }
        had_it
    }

    /// Where this very agent stands, unless its id is free or another's.
    fn place_of(&self, key: Key<'_>, handle: &H) -> Option<Place> {
        let is_it = |own: &H| own.is(handle);
        self.agents.find(key).filter(|place| is_it(self.agents.handle(*place)))
    }

    fn leave_all<G: DerefMut<Target = Groups<H>>>(
        &mut self,
        key: Key<'_>,
        place: Place,
        groups: impl FnOnce() -> G,
        changes: &mut impl Changes,
    ) {
        if !self.agents.is_tagged(place) {
            return;
        }
        self.agents.set_tagged(place, false);
        // The groups stay locked until all is told: who sees the agent gone from them can be sure
        // that watchers hear of it before anything else that happens in them.
        let mut groups = groups();
        for tag in groups.remove_all(key.id()) {
            changes.tell(|| Change::Left { id: key.id().clone(), tag });
        }
    }

    fn take_out<G: DerefMut<Target = Groups<H>>>(
        &mut self,
        key: Key<'_>,
        place: Place,
        groups: impl FnOnce() -> G,
        changes: &mut impl Changes,
    ) -> H {
        self.leave_all(key, place, groups, changes);
        let handle = self.agents.remove(place);
        self.places.give_back();
        changes.tell(|| Change::Ended { id: key.id().clone() });
        handle
    }
}

/// Whether a broadcast reaches the agent of this id. Holds G4 (the rule).
#[must_use]
pub fn is_reached(id: &AgentId, sender: Option<&AgentId>, also_except: Option<&AgentId>) -> bool {
    ![sender, also_except].contains(&Some(id))
}

fn entry<H: Named>((handle, state): (&H, AgentState)) -> Entry<'_, H> {
    Entry { id: handle.id(), handle, state }
}

impl<H> Clone for Entry<'_, H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H> Copy for Entry<'_, H> {}

impl<H> fmt::Debug for Entry<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Entry").field(self.id).field(&self.state).finish()
    }
}

impl<H: Named> Default for Registry<H> {
    fn default() -> Self {
        Self::new()
    }
}

impl<H: Named> fmt::Debug for Registry<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let states = self.list().map(|entry| (entry.id, entry.state));
        f.debug_map().entries(states).finish()
    }
}

#[cfg(test)]
mod tests;
