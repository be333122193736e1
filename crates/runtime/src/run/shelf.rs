//! The runs of a store: to list, to read, to remove.

use ggml_agent_core::AgentId;
use ggml_agent_core::store::{StoreError, StoreRef, Write};

use super::journal::{JournalError, RunRecord, RunStatus};

/// What the name of a run's agent begins with.
pub(super) const PREFIX: &str = "run/";

/// Entries of a journal that are read at once.
pub(super) const PAGE_LEN: usize = 256;

/// The runs of a store, whether anybody lets them run or not.
#[derive(Debug, Clone)]
pub struct Runs {
    pub(super) store: StoreRef,
}

/// A run in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSummary {
    /// Its name.
    pub name: String,
    /// What is known of it, or why nothing is.
    pub record: Result<RunRecord, JournalError>,
}

impl RunSummary {
    /// Where it stands; `None` if its journal cannot be read.
    #[must_use]
    pub fn status(&self) -> Option<&RunStatus> {
        self.record.as_ref().ok().map(|record| &record.status)
    }
}

impl Runs {
    /// Those of `store`.
    #[must_use]
    pub fn of(store: &StoreRef) -> Self {
        Self { store: store.clone() }
    }

    /// All runs, by name.
    ///
    /// # Errors
    /// That of the store. A run that cannot be read is in the list, with the reason.
    pub async fn list(&self) -> Result<Vec<RunSummary>, StoreError> {
        let mut runs = Vec::new();
        let mut after = None;
        loop {
            let page = self.store.agents(after.clone(), PAGE_LEN).await?;
            let Some(last) = page.last() else { return Ok(runs) };
            after = Some(last.agent.clone());
            for agent in page {
                let Some(name) = agent.agent.as_str().strip_prefix(PREFIX) else { continue };
                let name = name.to_owned();
                match read(&self.store, &agent.agent).await {
                    Ok(None) => {}
                    Ok(Some(record)) => runs.push(RunSummary { name, record }),
                    // One that is damaged does not hide the others.
                    Err(StoreError::Quarantined { what, why }) => {
                        let record = Err(JournalError::SetAside { what, why });
                        runs.push(RunSummary { name, record });
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// What is known of one; `None` if there is none of this name.
    ///
    /// # Errors
    /// That of the store; a journal that cannot be read is [`StoreError::Quarantined`].
    pub async fn show(&self, name: &str) -> Result<Option<RunRecord>, StoreError> {
        let Ok(agent) = agent_of(name) else { return Ok(None) };
        match read(&self.store, &agent).await {
            Ok(None) | Err(StoreError::UnknownMailbox { .. }) => Ok(None),
            Ok(Some(Ok(record))) => Ok(Some(record)),
            Ok(Some(Err(error))) => Err(StoreError::Quarantined {
                what: format!("the run \"{name}\""),
                why: error.to_string(),
            }),
            Err(error) => Err(error),
        }
    }

    /// The agent of the run of this name, as the store has it; `None` if no run can have this name.
    #[must_use]
    pub fn agent(name: &str) -> Option<AgentId> {
        agent_of(name).ok()
    }

    /// Forgets a run with all that it has; false if there is none of this name.
    ///
    /// # Errors
    /// That of the store.
    pub async fn remove(&self, name: &str) -> Result<bool, StoreError> {
        let Ok(agent) = agent_of(name) else { return Ok(false) };
        match self.store.settle(Write::Remove { agent }).await {
            Ok(()) => Ok(true),
            Err(StoreError::UnknownMailbox { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The agent that lets the run of this name run.
pub(super) fn agent_of(name: &str) -> Result<AgentId, ggml_agent_core::ParseAgentIdError> {
    format!("{PREFIX}{name}").parse()
}

/// Reads a run; `None` if its journal is empty.
pub(super) async fn read(
    store: &StoreRef,
    agent: &AgentId,
) -> Result<Option<Result<RunRecord, JournalError>>, StoreError> {
    let mut record: Option<RunRecord> = None;
    let mut after = 0;
    loop {
        let page = store.journal(agent.clone(), after, PAGE_LEN).await?;
        let is_last = page.len() < PAGE_LEN;
        for entry in page {
            after = entry.number;
            let applied = match &mut record {
                Some(record) => record.decode_and_apply(entry.number, &entry.bytes),
                None => {
                    RunRecord::first(entry.number, &entry.bytes).map(|first| record = Some(first))
                }
            };
            if let Err(error) = applied {
                return Ok(Some(Err(error)));
            }
        }
        if is_last {
            return Ok(record.map(Ok));
        }
    }
}
