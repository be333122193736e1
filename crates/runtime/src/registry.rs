//! Drives [`ggml_agent_core::registry`]: who is reachable under which id, in which groups.

use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use ggml_agent_core::AgentId;
use ggml_agent_core::limits;
use ggml_agent_core::registry::{Change, JoinError, RegisterError, Registration, Registry, Tag};
use tokio::sync::broadcast;

use crate::cell::handle::CellRef;
use crate::observe::WatchError;

type Handle = CellRef;

/// The names of a system. Read by every message that is sent by name, written by starts and ends.
pub(crate) struct Names {
    rules: RwLock<Registry<Handle>>,
    /// Published in the order of the changes.
    changes: Mutex<broadcast::Sender<Change>>,
}

impl Names {
    pub(crate) fn new() -> Self {
        let changes = Mutex::new(broadcast::channel(limits::EVENT_RING_LEN).0);
        Self { rules: RwLock::new(Registry::new()), changes }
    }

    fn read(&self) -> RwLockReadGuard<'_, Registry<Handle>> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the registry, and publishes the changes before anybody else changes it.
    fn change<R>(
        &self,
        f: impl FnOnce(&mut RwLockWriteGuard<'_, Registry<Handle>>) -> (R, Vec<Change>),
    ) -> R {
        let mut rules = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        let (result, changes) = f(&mut rules);
        let sender = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            // Nobody watching is no failure.
            drop(sender.send(change));
        }
        result
    }

    /// Makes `cell` reachable: new, or again after a restart (G1, G2).
    pub(crate) fn begin(&self, cell: &Handle) -> Result<(), RegisterError> {
        let id = &cell.header().id;
        self.change(|rules| match registration(rules, cell) {
            Some(registration) => (Ok(()), rules.restarted(id, registration).into_iter().collect()),
            None => match rules.register(id, cell.clone()) {
                Ok((_, change)) => (Ok(()), vec![change]),
                Err(error) => (Err(error), Vec::new()),
            },
        })
    }

    /// The incarnation is over: its groups are left, its id stays taken (G2, M13).
    pub(crate) fn pause(&self, cell: &Handle) {
        self.change(|rules| match registration(rules, cell) {
            Some(registration) => ((), rules.restarting(&cell.header().id, registration)),
            None => ((), Vec::new()),
        });
    }

    /// The agent is gone: its id is free.
    pub(crate) fn end(&self, cell: &Handle) {
        self.change(|rules| {
            let ended = registration(rules, cell)
                .and_then(|registration| rules.ended(&cell.header().id, registration));
            ((), ended.map(|ended| ended.changes).unwrap_or_default())
        });
    }

    pub(crate) fn lookup(&self, id: &AgentId) -> Option<Handle> {
        self.read().lookup(id).map(|entry| entry.handle.clone())
    }

    pub(crate) fn list(&self) -> Vec<Handle> {
        self.read().list().map(|entry| entry.handle.clone()).collect()
    }

    pub(crate) fn broadcast(
        &self,
        sender: Option<&AgentId>,
        also_except: Option<&AgentId>,
    ) -> Vec<Handle> {
        self.read().broadcast(sender, also_except).map(|entry| entry.handle.clone()).collect()
    }

    pub(crate) fn join(&self, cell: &Handle, tag: &Tag) -> Result<(), JoinError> {
        let id = &cell.header().id;
        self.change(|rules| match registration(rules, cell) {
            None => (Err(JoinError::UnknownAgent { id: id.clone() }), Vec::new()),
            Some(registration) => match rules.join(id, registration, tag) {
                Ok(change) => (Ok(()), change.into_iter().collect()),
                Err(error) => (Err(error), Vec::new()),
            },
        })
    }

    pub(crate) fn leave(&self, cell: &Handle, tag: &Tag) {
        self.change(|rules| match registration(rules, cell) {
            None => ((), Vec::new()),
            Some(registration) => {
                let change = rules.leave(&cell.header().id, registration, tag);
                ((), change.into_iter().collect())
            }
        });
    }

    pub(crate) fn members(&self, tag: &Tag) -> Vec<Handle> {
        self.read().members(tag).map(|entry| entry.handle.clone()).collect()
    }

    /// One living member, in turn.
    pub(crate) fn pick(&self, tag: &Tag) -> Option<Handle> {
        self.change(|rules| (rules.pick(tag).map(|entry| entry.handle.clone()), Vec::new()))
    }

    pub(crate) fn watch(&self) -> broadcast::Receiver<Change> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).subscribe()
    }
}

/// The registration of this very cell, if its id is not another's.
fn registration(rules: &Registry<Handle>, cell: &Handle) -> Option<Registration> {
    let entry = rules.lookup(&cell.header().id)?;
    (entry.handle == cell).then_some(entry.registration)
}

/// Changes of the registry, in order.
#[derive(Debug)]
pub struct RegistryChanges {
    receiver: broadcast::Receiver<Change>,
}

impl RegistryChanges {
    pub(crate) fn new(receiver: broadcast::Receiver<Change>) -> Self {
        Self { receiver }
    }

    /// The next change.
    ///
    /// # Errors
    /// [`crate::WatchError`].
    ///
    /// # Cancel safety
    /// No change is lost when the future is dropped.
    pub async fn next(&mut self) -> Result<Change, WatchError> {
        self.receiver.recv().await.map_err(|error| match error {
            broadcast::error::RecvError::Lagged(n) => WatchError::Missed(n),
            broadcast::error::RecvError::Closed => WatchError::Ended,
        })
    }
}
