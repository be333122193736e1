//! The owner of agents without a supervisor: the system itself. It restarts nobody.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use ggml_agent_core::registry::RegisterError;
use ggml_agent_core::{AgentId, ExitReason};
use tokio::sync::oneshot;

use crate::address::Addr;
use crate::agent::Agent;
use crate::cell::AnyCell;
use crate::cell::header::{Owner, Start};
use crate::dead_letter::Reason;
use crate::error::StartError;
use crate::spec::ChildSpec;
use crate::system::SystemRef;

/// The key of a cell that the system owns; supervisors count theirs from 1.
pub(crate) const ROOT_KEY: u64 = 0;

type Started = Result<(), StartError>;

/// See the module; one per agent.
pub(crate) struct Root {
    id: AgentId,
    cell: OnceLock<Weak<dyn AnyCell>>,
    started: Mutex<Option<oneshot::Sender<Started>>>,
}

impl Root {
    /// Registers and starts an agent; the receiver learns how its `on_start` ended.
    pub(crate) fn launch<A: Agent>(
        system: &SystemRef,
        spec: ChildSpec<A>,
    ) -> Result<(Addr<A>, oneshot::Receiver<Started>), StartError> {
        let id = spec.core()?.id;
        let (started, receiver) = oneshot::channel();
        let root = Arc::new(Self {
            id: id.clone(),
            cell: OnceLock::new(),
            started: Mutex::new(Some(started)),
        });
        let cell = spec.build(id.clone(), system, root.clone(), ROOT_KEY, false);
        let untyped: Arc<dyn AnyCell> = cell.clone();
        root.cell.get_or_init(|| Arc::downgrade(&untyped));
        system.begin(&untyped).map_err(|error| match error {
            RegisterError::Taken { id, .. } => StartError::IdTaken { id },
            other => StartError::Unregistered(other),
        })?;
        Ok((Addr::from_cell(cell), receiver))
    }

    fn report(&self, started: Started) {
        let sender = self.started.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            // Whoever does not wait for the start does not want to know.
            drop(sender.send(started));
        }
    }

    fn retire(&self) {
        if let Some(cell) = self.cell.get().and_then(Weak::upgrade) {
            let system = cell.header().system.clone();
            system.retire(&cell, Reason::Ended);
        }
    }
}

impl Owner for Root {
    fn started(&self, _key: u64, _incarnation: u64, start: Start) {
        match start {
            Start::Running => self.report(Ok(())),
            Start::Ignored => {
                self.retire();
                self.report(Err(StartError::Ignored { id: self.id.clone() }));
            }
        }
    }

    fn exited(&self, _key: u64, _incarnation: u64, reason: ExitReason) {
        self.retire();
        self.report(Err(StartError::Failed { id: self.id.clone(), reason }));
    }

    fn suspect(&self, _key: u64) {}
}
