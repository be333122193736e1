//! A typed message by id: one lookup and one push, without a reference counted in between.

use ggml_agent_core::AgentId;

use crate::address;
use crate::cell;
use crate::cell::handle::{CellRef, TypedRef};
use crate::cell::mailbox::{Lane, Mail, Overflow};
use crate::error::SendError;
use crate::pool::seat;
use crate::registry::Names;

/// What came of a message under the lock of its receiver's shard.
enum Told<M> {
    Queued,
    /// It is queued, and the cell wants a turn.
    Woken(CellRef),
    /// It may displace another message, so it must be sent without the lock.
    Later(TypedRef<M>, M),
}

/// Sends `message` to the agent of this id.
pub(super) fn tell<M: Send + 'static>(
    names: &Names,
    to: &AgentId,
    message: M,
) -> Result<(), SendError<M>> {
    let told = names.with_given(to, message, under_lock).map_err(SendError::Unknown)??;
    match told {
        Told::Queued => Ok(()),
        Told::Woken(cell) => {
            cell.wake();
            Ok(())
        }
        Told::Later(cell, message) => address::push(&cell, Lane::User, message),
    }
}

/// The shard is locked: neither a destructor of a message nor a dispatch may run in here.
fn under_lock<M: Send + 'static>(cell: &CellRef, message: M) -> Result<Told<M>, SendError<M>> {
    let Some(typed) = cell.typed::<M>() else { return Err(SendError::WrongType(message)) };
    if seat::is_fenced() {
        return Err(SendError::Fenced(message));
    }
    let overflow = typed.mailbox().options().overflow;
    if matches!(overflow, Overflow::DropNewest | Overflow::DropOldest) {
        return Ok(Told::Later(typed.clone(), message));
    }
    match cell::admit(typed, Lane::User, Mail::new(message)) {
        Ok(true) => Ok(Told::Woken(cell.clone())),
        Ok(false) => Ok(Told::Queued),
        Err(refused) => Err(address::refusal(refused).map(|mail| mail.message)),
    }
}
