//! Drives [`ggml_agent_core::registry`]: who is reachable under which id, in which groups.
//!
//! The ids are spread over shards by their hashes, each a registry behind a lock of its own; the
//! groups have one lock. What is said about an agent is decided under the lock of its shard, the
//! tags included, so for one agent all calls have one order: an incarnation that is paused has left
//! its groups before the next one, which must pass the same shard, can begin (M13).
//!
//! Locks are taken in this order, and given back before anything else happens: shards by their
//! numbers (more than one only to read), then the groups, then the stream of changes. No code of
//! others runs under them.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use ggml_agent_core::AgentId;
use ggml_agent_core::limits::AGENTS_MAX;
use ggml_agent_core::registry::{
    Change, Changes, Groups, JoinError, Key, Named, Places, RegisterError, Registry, Tag,
    is_reached,
};

use crate::cell::handle::CellRef;
use crate::observe::WatchError;
use crate::stream::{Source, Watcher};

type Handle = CellRef;

/// Two to the power of this are the shards: 32 x 128 B = 4 KiB per system, and with 16 threads that
/// register at once a third of them meets another one.
const SHARD_BITS: u32 = 5;

impl Named for CellRef {
    fn id(&self) -> &AgentId {
        &self.header().id
    }

    fn is(&self, other: &Self) -> bool {
        self == other
    }
}

/// The names of a system. Read by every message that is sent by name, written by starts and ends.
pub(crate) struct Names {
    shards: Box<[Shard]>,
    /// Of those agents only that have tags.
    groups: RwLock<Groups<CellRef>>,
    /// Published under the lock of the shard, so in the order of the changes for each agent; one
    /// order for all.
    changes: Source<Change>,
}

/// Two cache lines, so that neighbours do not meet (and the prefetcher does not join them).
#[repr(align(128))]
struct Shard(RwLock<Registry<CellRef>>);

impl Shard {
    fn read(&self) -> RwLockReadGuard<'_, Registry<CellRef>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Registry<CellRef>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Publishes changes if somebody watches. They are heard of when this is dropped: after the locks.
struct Told<'a> {
    changes: &'a Source<Change>,
    has_told: bool,
}

impl Changes for Told<'_> {
    fn tell(&mut self, change: impl FnOnce() -> Change) {
        // Looked up under the lock of the shard: see `Source::is_watched`.
        if self.changes.is_watched() {
            self.changes.push(|_| change());
            self.has_told = true;
        }
    }
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if self.has_told {
            self.changes.wake();
        }
    }
}

impl Names {
    pub(crate) fn new() -> Self {
        Self::with_agents_max(AGENTS_MAX)
    }

    fn with_agents_max(agents_max: usize) -> Self {
        let places = Arc::new(Places::new(agents_max));
        let shard = |_| Shard(RwLock::new(Registry::sharing(places.clone())));
        Self {
            shards: (0..1 << SHARD_BITS).map(shard).collect(),
            groups: RwLock::new(Groups::new()),
            changes: Source::new(),
        }
    }

    fn shard(&self, key: Key<'_>) -> &Shard {
        &self.shards[key.shard(SHARD_BITS)]
    }

    fn groups(&self) -> RwLockWriteGuard<'_, Groups<CellRef>> {
        self.groups.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn groups_read(&self) -> RwLockReadGuard<'_, Groups<CellRef>> {
        self.groups.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on the shard of `cell`. What changes is heard of after its lock.
    fn change<R>(
        &self,
        cell: &Handle,
        f: impl FnOnce(&mut Registry<CellRef>, Key<'_>, &mut Told<'_>) -> R,
    ) -> R {
        let key = Key::from(cell.id());
        let mut told = Told { changes: &self.changes, has_told: false };
        // Dropped first, as the later one.
        let mut shard = self.shard(key).write();
        f(&mut shard, key, &mut told)
    }

    /// Makes `cell` reachable: new, or again after a restart (G1, G2).
    pub(crate) fn begin(&self, cell: &Handle) -> Result<(), RegisterError> {
        self.change(cell, |shard, key, told| {
            if shard.restarted(key, cell, || self.groups(), told) {
                return Ok(());
            }
            shard.register(key, cell.clone(), told)
        })
    }

    /// As [`Names::begin`], for a cell that never lived.
    pub(crate) fn register(&self, cell: &Handle) -> Result<(), RegisterError> {
        self.change(cell, |shard, key, told| shard.register(key, cell.clone(), told))
    }

    /// The incarnation is over: its groups are left, its id stays taken (G2, M13).
    pub(crate) fn pause(&self, cell: &Handle) {
        self.change(cell, |shard, key, told| {
            shard.restarting(key, cell, || self.groups(), told);
        });
    }

    /// The agent is gone: its id is free.
    pub(crate) fn end(&self, cell: &Handle) {
        // What comes back is not the last reference: the caller has one.
        drop(self.change(cell, |shard, key, told| shard.ended(key, cell, || self.groups(), told)));
    }

    /// Works on the agent of this id under its shard's lock: `f` must be short, and neither call the
    /// registry nor run code of others (handlers, destructors of messages, wakers, a dispatch).
    ///
    /// `f` takes what is given; it comes back when nobody has the id.
    pub(crate) fn with_given<V, R>(
        &self,
        id: &AgentId,
        given: V,
        f: impl FnOnce(&Handle, V) -> R,
    ) -> Result<R, V> {
        let key = Key::from(id);
        match self.shard(key).read().lookup(key) {
            Some(entry) => Ok(f(entry.handle, given)),
            None => Err(given),
        }
    }

    pub(crate) fn lookup(&self, id: &AgentId) -> Option<Handle> {
        self.with_given(id, (), |handle, ()| handle.clone()).ok()
    }

    pub(crate) fn list(&self) -> Vec<Handle> {
        self.select(|_| true)
    }

    /// Those of all agents that are wanted, as they are at one moment, in the order of their ids.
    pub(crate) fn select(&self, is_wanted: impl Fn(&Handle) -> bool) -> Vec<Handle> {
        let mut cells: Vec<(u128, Handle)> = {
            // All at once: one that came before another is not left out when the other is in.
            let shards: Vec<_> = self.shards.iter().map(Shard::read).collect();
            let handles = shards.iter().flat_map(|shard| shard.entries().map(|entry| entry.handle));
            let wanted = handles.filter(|handle| is_wanted(handle));
            wanted.map(|handle| (prefix(handle.id()), handle.clone())).collect()
        };
        // Most pairs are told apart without a look at two cells.
        cells.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.id().cmp(b.1.id())));
        cells.into_iter().map(|(_, cell)| cell).collect()
    }

    pub(crate) fn broadcast(
        &self,
        sender: Option<&AgentId>,
        also_except: Option<&AgentId>,
    ) -> Vec<Handle> {
        self.select(|cell| is_reached(cell.id(), sender, also_except))
    }

    pub(crate) fn join(&self, cell: &Handle, tag: &Tag) -> Result<(), JoinError> {
        self.change(cell, |shard, key, told| {
            shard.join(key, cell, || self.groups(), tag, told).map(|_is_new| ())
        })
    }

    pub(crate) fn leave(&self, cell: &Handle, tag: &Tag) {
        self.change(cell, |shard, key, told| {
            shard.leave(key, cell, || self.groups(), tag, told);
        });
    }

    pub(crate) fn members(&self, tag: &Tag) -> Vec<Handle> {
        self.groups_read().members(tag).cloned().collect()
    }

    /// One living member, in turn.
    pub(crate) fn pick(&self, tag: &Tag) -> Option<Handle> {
        self.groups().pick(tag).cloned()
    }

    /// A watcher, and its relay if that must be run: see [`Source::watch`].
    pub(crate) fn watch(
        &self,
    ) -> (RegistryChanges, Option<impl Future<Output = ()> + Send + use<>>) {
        let (watcher, relay) = self.changes.watch();
        (RegistryChanges { watcher }, relay)
    }
}

/// The first bytes of an id, in the order of ids as far as they go.
fn prefix(id: &AgentId) -> u128 {
    let mut first = [0; size_of::<u128>()];
    let id = id.as_str().as_bytes();
    let len = id.len().min(first.len());
    first[..len].copy_from_slice(&id[..len]);
    u128::from_be_bytes(first)
}

/// Changes of the registry, in order.
#[derive(Debug)]
pub struct RegistryChanges {
    watcher: Watcher<Change>,
}

impl RegistryChanges {
    /// The next change.
    ///
    /// # Errors
    /// [`crate::WatchError`].
    ///
    /// # Cancel safety
    /// No change is lost when the future is dropped.
    pub async fn next(&mut self) -> Result<Change, WatchError> {
        self.watcher.next().await
    }
}

#[cfg(test)]
mod tests;
