//! A message comes.

use ggml_agent_core::store::{Accepted, Bounds, DROPPED, EVICTED, OnFull, Position, StoreError};
use ggml_agent_core::{Envelope, Priority};

use crate::engine::Parts;
use crate::error::Fault;
use crate::{dead, mail};

pub(super) fn append(mut parts: Parts<'_>, envelope: &Envelope) -> Result<Accepted, Fault> {
    let id = envelope.id.to_u128();
    if parts.ids()?.contains(id) {
        return Ok(Accepted::Duplicate);
    }
    let bytes = envelope.payload.len() as u64;
    let Bounds { messages_max, bytes_max, on_full } = parts.agent.bounds;
    if !parts.agent.has_room_for(bytes) {
        let is_for_nobody = messages_max == 0 || bytes > bytes_max;
        match on_full {
            OnFull::Refuse => {
                return Err(StoreError::Full {
                    agent: envelope.to.clone(),
                    messages: parts.agent.queued(),
                    bytes: parts.agent.queued_bytes,
                }
                .into());
            }
            OnFull::DropOldest if !is_for_nobody => make_room(&mut parts, envelope)?,
            OnFull::DropNewest | OnFull::DropOldest => {
                dead::bury(parts.conn, parts.heads, 0, envelope, DROPPED)?;
                parts.ids()?.remember(id);
                parts.agent.must_save_ids = true;
                parts.agent.is_dirty = true;
                return Ok(Accepted::Dropped);
            }
        }
    }
    let position = accept(&mut parts, envelope)?;
    Ok(Accepted::At(position))
}

/// Puts a message behind all others, and remembers its id. Whatever is refused is refused before.
pub(super) fn accept(parts: &mut Parts<'_>, envelope: &Envelope) -> Result<Position, Fault> {
    let (id, ids) = (envelope.id.to_u128(), parts.ids()?);
    // The id of a timer's message may be known, and keeps its place then.
    let arrival = if ids.contains(id) { 0 } else { ids.arrivals() + 1 };
    let position = mail::push(parts.conn, parts.agent, envelope, arrival)?;
    parts.ids()?.remember(id);
    Ok(position)
}

/// The eldest of the lane, or else of the other, become dead letters until there is room.
fn make_room(parts: &mut Parts<'_>, envelope: &Envelope) -> Result<(), Fault> {
    // Before the first is driven out, so that a message which cannot be stored drives out none.
    if envelope.payload.len() > ggml_agent_core::limits::PAYLOAD_LEN_MAX {
        let why = "the payload of a message is longer than an envelope may be";
        return Err(StoreError::Malformed { agent: envelope.to.clone(), why }.into());
    }
    let other = match envelope.priority {
        Priority::High => Priority::Normal,
        Priority::Normal => Priority::High,
    };
    let Parts { conn, heads, agent, .. } = parts;
    mail::write_out(conn, agent)?;
    for lane in [envelope.priority, other] {
        while !agent.has_room_for(envelope.payload.len() as u64) && agent.lane(lane).count > 0 {
            let eldest = mail::behind(conn, agent, lane, 0, 1)?;
            let Some(eldest) = eldest.first() else { break };
            let stored = eldest.unpack(conn)?;
            dead::bury(conn, heads, stored.attempts, &stored.envelope, EVICTED)?;
            mail::drop_front(conn, agent, lane, eldest.position)?;
        }
    }
    Ok(())
}
