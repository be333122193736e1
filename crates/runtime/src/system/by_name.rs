//! A typed message by id: one lookup and one push, without a reference counted in between.

use std::sync::Arc;

use ggml_agent_core::AgentId;

use crate::cell::mailbox::{Lane, Mail, Mailbox, Overflow};
use crate::cell::queue::Refused;
use crate::cell::{self, AnyCell};
use crate::error::SendError;
use crate::pool::seat;
use crate::registry::Names;

/// What came of a message under the lock of its receiver's shard.
enum Told<M> {
    Queued,
    /// It is queued, and the cell wants a turn.
    Woken(Arc<dyn AnyCell>),
    /// It may displace another message, so it must be sent without the lock.
    Later(Arc<dyn AnyCell>, M),
}

/// Sends `message` to the agent of this id.
pub(super) fn tell<M: Send + 'static>(
    names: &Names,
    to: &AgentId,
    message: M,
) -> Result<(), SendError<M>> {
    let told = names.with_given(to, message, under_lock).map_err(SendError::Unknown)??;
    match told {
        Told::Queued => {}
        Told::Woken(cell) => cell.wake(),
        Told::Later(cell, message) => {
            if admit(&*cell, mailbox(&*cell, message)?)? {
                cell.wake();
            }
        }
    }
    Ok(())
}

/// The shard is locked: neither a destructor of a message nor a dispatch may run in here.
fn under_lock<M: Send + 'static>(
    cell: &Arc<dyn AnyCell>,
    message: M,
) -> Result<Told<M>, SendError<M>> {
    let (mailbox, message) = mailbox(&**cell, message)?;
    if matches!(mailbox.options.overflow, Overflow::DropNewest | Overflow::DropOldest) {
        return Ok(Told::Later(cell.clone(), message));
    }
    let wakes = admit(&**cell, (mailbox, message))?;
    Ok(if wakes { Told::Woken(cell.clone()) } else { Told::Queued })
}

/// The mailbox of the cell, if it is for such messages.
fn mailbox<M: Send + 'static>(
    cell: &dyn AnyCell,
    message: M,
) -> Result<(&Mailbox<M>, M), SendError<M>> {
    match cell.mailbox_any().downcast_ref() {
        Some(mailbox) => Ok((mailbox, message)),
        None => Err(SendError::WrongType(message)),
    }
}

/// True when the caller must wake the cell.
fn admit<M: Send + 'static>(
    cell: &dyn AnyCell,
    (mailbox, message): (&Mailbox<M>, M),
) -> Result<bool, SendError<M>> {
    if seat::is_fenced() {
        return Err(SendError::Fenced(message));
    }
    let mail = Mail { message, asker: None };
    cell::admit(cell.header(), mailbox, Lane::User, mail).map_err(|refused| match refused {
        Refused::Full(mail) => SendError::Full(mail.message),
        Refused::Closed(mail) => SendError::Closed(mail.message),
    })
}
