//! Agents without a supervisor: the system itself owns them. It restarts nobody.

use std::future::poll_fn;
use std::task::Poll;

use ggml_agent_core::ExitReason;
use ggml_agent_core::registry::RegisterError;

use crate::address::Addr;
use crate::agent::Agent;
use crate::cell::handle::{CellRef, TypedRef};
use crate::cell::header::{Start, control};
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
    let cell = build(system, spec)?;
    system.begin(cell.untyped()).map_err(refusal)?;
    Ok(Addr::from_cell(cell))
}

/// As [`spawn`], and waits until its `on_start` has returned.
pub(crate) async fn start<A: Agent>(
    system: &SystemRef,
    spec: ChildSpec<A>,
) -> Result<Addr<A>, StartError> {
    let cell = build(system, spec)?;
    // We wait for it in any case, so it may as well start here.
    system.begin_here(cell.untyped()).map_err(refusal)?;
    if cell.header().control() & control::STARTED == 0 {
        wait_for_start(cell.untyped()).await?;
    }
    Ok(Addr::from_cell(cell))
}

fn build<A: Agent>(system: &SystemRef, spec: ChildSpec<A>) -> Result<TypedRef<A::Msg>, StartError> {
    let id = spec.checked_id()?;
    Ok(spec.build(id, system, None, ROOT_KEY))
}

fn refusal(error: RegisterError) -> StartError {
    match error {
        RegisterError::Taken { id, .. } => StartError::IdTaken { id },
        other => StartError::Unregistered(other),
    }
}

/// Waits until the first start of a cell is over.
async fn wait_for_start(cell: &CellRef) -> Result<(), StartError> {
    let header = cell.header();
    poll_fn(|cx| {
        header.with_cold(|cold| cold.start_watcher = Some(cx.waker().clone()));
        // First the note, then the look: whoever ends the start later finds the note.
        header.raise(control::AWAITED);
        outcome(cell).map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

/// How the start ended, if it did. The last exit is noted before the agent is retired.
fn outcome(cell: &CellRef) -> Option<Result<(), StartError>> {
    let header = cell.header();
    if header.control() & control::STARTED != 0 {
        return Some(Ok(()));
    }
    if !header.is_retired() {
        return None;
    }
    let id = header.id.clone();
    let reason = header.last_exit().map(|exit| exit.reason);
    Some(Err(match reason {
        Some(ExitReason::Normal) | None => StartError::Ignored { id },
        Some(reason) => StartError::Failed { id, reason },
    }))
}

/// Its `on_start` is over.
pub(crate) fn started(cell: &CellRef, start: Start) {
    match start {
        // STARTED was raised before: whoever notes itself after that sees it, whoever did so before
        // is seen here.
        Start::Running if cell.header().control() & control::AWAITED == 0 => {}
        Start::Running => tell(cell),
        Start::Ignored => {
            retire(cell);
            tell(cell);
        }
    }
}

/// Its only incarnation is over.
pub(crate) fn exited(cell: &CellRef) {
    retire(cell);
    tell(cell);
}

/// Wakes whoever waits for the start.
fn tell(cell: &CellRef) {
    // A read-modify-write, as the note is: the second of the two sees the other side.
    let header = cell.header();
    if header.lower(control::AWAITED) & control::AWAITED != 0
        && let Some(waker) = header.if_cold(|cold| cold.start_watcher.take()).flatten()
    {
        waker.wake();
    }
}

fn retire(cell: &CellRef) {
    cell.header().system.retire(cell, Reason::Ended);
}
