//! Agents without a supervisor: the system itself owns them. It restarts nobody.

use std::future::poll_fn;
use std::task::Poll;

use ggml_agent_core::ExitReason;
use ggml_agent_core::registry::RegisterError;

use crate::address::Addr;
use crate::agent::Agent;
use crate::cell::handle::CellRef;
use crate::cell::header::{FirstStart, Start};
use crate::dead_letter::Reason;
use crate::error::StartError;
use crate::spec::ChildSpec;
use crate::system::SystemRef;

/// The key of a cell that the system owns; supervisors count theirs from 1.
pub(crate) const ROOT_KEY: u64 = 0;

/// Registers and starts an agent; does not wait for its `on_start`.
pub(crate) fn spawn<A: Agent>(
    system: &SystemRef,
    spec: ChildSpec<A>,
) -> Result<Addr<A>, StartError> {
    launch(system, spec, false)
}

/// As [`spawn`], and waits until its `on_start` has returned.
pub(crate) async fn start<A: Agent>(
    system: &SystemRef,
    spec: ChildSpec<A>,
) -> Result<Addr<A>, StartError> {
    let addr = launch(system, spec, true)?;
    let header = addr.cell().header();
    poll_fn(|cx| {
        header.with_cold(|cold| match cold.first_start.take() {
            Some(FirstStart::Over(started)) => Poll::Ready(started),
            Some(FirstStart::Awaited(_)) => {
                cold.first_start = Some(FirstStart::Awaited(Some(cx.waker().clone())));
                Poll::Pending
            }
            None => Poll::Ready(Err(StartError::Ended)),
        })
    })
    .await?;
    Ok(addr)
}

fn launch<A: Agent>(
    system: &SystemRef,
    spec: ChildSpec<A>,
    awaited: bool,
) -> Result<Addr<A>, StartError> {
    let id = spec.checked_id()?;
    let cell = spec.build(id, system, None, ROOT_KEY);
    if awaited {
        cell.header().with_cold(|cold| cold.first_start = Some(FirstStart::Awaited(None)));
    }
    system.begin(cell.untyped()).map_err(|error| match error {
        RegisterError::Taken { id, .. } => StartError::IdTaken { id },
        other => StartError::Unregistered(other),
    })?;
    Ok(Addr::from_cell(cell))
}

/// Its `on_start` is over.
pub(crate) fn started(cell: &CellRef, start: Start) {
    match start {
        Start::Running => report(cell, || Ok(())),
        Start::Ignored => {
            retire(cell);
            report(cell, || Err(StartError::Ignored { id: cell.header().id.clone() }));
        }
    }
}

/// Its only incarnation is over.
pub(crate) fn exited(cell: &CellRef, reason: ExitReason) {
    retire(cell);
    report(cell, || Err(StartError::Failed { id: cell.header().id.clone(), reason }));
}

/// Tells whoever waits for the start, once.
fn report(cell: &CellRef, started: impl FnOnce() -> Result<(), StartError>) {
    let waker = cell.header().if_cold(|cold| match cold.first_start.take() {
        Some(FirstStart::Awaited(waker)) => {
            cold.first_start = Some(FirstStart::Over(started()));
            waker
        }
        over => {
            cold.first_start = over;
            None
        }
    });
    if let Some(waker) = waker.flatten() {
        waker.wake();
    }
}

fn retire(cell: &CellRef) {
    cell.header().system.retire(cell, Reason::Ended);
}
