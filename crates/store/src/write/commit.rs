//! What an agent did, in one step.

use std::collections::{BTreeMap, BTreeSet};

use ggml_agent_core::store::{Commit, Position, Revision, StoreError, Watermarks};
use rusqlite::Connection;

use super::{LANES, append};
use crate::agent::Agent;
use crate::engine::Parts;
use crate::error::Fault;
use crate::{dead, mail, small, state};

pub(super) fn commit(mut parts: Parts<'_>, commit: &Commit) -> Result<Revision, Fault> {
    let Parts { conn, ref mut agent, .. } = parts;
    agent.must_be(&commit.agent, commit.epoch)?;
    if commit.expected.0 != agent.revision {
        let (agent, found) = (commit.agent.clone(), Revision(agent.revision));
        return Err(StoreError::Conflict { agent, found }.into());
    }
    if let Some(why) = contradiction(conn, agent, commit)? {
        return Err(StoreError::Malformed { agent: commit.agent.clone(), why }.into());
    }
    if let Some(n_applied) = commit.n_applied {
        let mut n = 0;
        for lane in LANES {
            n += mail::count_up_to(conn, agent, lane, commit.applied.of(lane).0)?;
        }
        if n != n_applied {
            let (agent, found) = (commit.agent.clone(), Revision(agent.revision));
            return Err(StoreError::Conflict { agent, found }.into());
        }
    }
    agent.revision += 1;
    agent.is_dirty = true;
    if let Some(snapshot) = &commit.snapshot {
        state::set_snapshot(conn, agent, snapshot)?;
    }
    for entry in &commit.journal {
        state::log(conn, agent, entry)?;
    }
    begin(conn, agent, &commit.begun)?;
    apply(&mut parts, commit.applied, &commit.dead)?;
    let Parts { conn, ref mut agent, .. } = parts;
    for id in &commit.sent {
        small::sent(conn, agent, *id)?;
    }
    for envelope in &commit.outbox {
        small::send(conn, agent, envelope)?;
    }
    for key in &commit.fire {
        // One that is named twice fires once.
        if let Some(envelope) = small::timer_message(conn, parts.agent, key)? {
            append::accept(&mut parts, &envelope)?;
            small::cancel_timer(conn, parts.agent, key)?;
        }
    }
    let agent = &mut *parts.agent;
    for key in &commit.cancel {
        small::cancel_timer(conn, agent, key)?;
    }
    for timer in &commit.set {
        small::set_timer(conn, agent, timer)?;
    }
    for once in &commit.once {
        small::keep_once(conn, agent, once)?;
    }
    for key in &commit.forget {
        small::forget_once(conn, agent, key)?;
    }
    Ok(Revision(agent.revision))
}

/// Counts deliveries that begin.
fn begin(conn: &Connection, agent: &Agent, begun: &[Position]) -> Result<(), Fault> {
    let positions: BTreeSet<u64> = begun.iter().map(|position| position.0).collect();
    for position in positions {
        for lane in LANES {
            if let Some(mail) = mail::at(conn, agent, lane, position)? {
                mail::count_attempt(conn, agent, lane, &mail)?;
            }
        }
    }
    Ok(())
}

fn contradiction(
    conn: &Connection,
    agent: &mut Agent,
    commit: &Commit,
) -> Result<Option<&'static str>, Fault> {
    let (old, new) = (agent.applied, commit.applied);
    if new.high < old.high || new.normal < old.normal {
        return Ok(Some("the mailbox would be applied less far than it is"));
    }
    let tail = Position(agent.tail);
    if new.high > tail || new.normal > tail {
        return Ok(Some("more would be applied than there is"));
    }
    for (position, _) in &commit.dead {
        // One that was evicted is dead already, one that never was is told by its place.
        let mut is_new =
            *position > old.high.min(old.normal) && *position <= new.high.max(new.normal);
        for lane in LANES {
            if mail::at(conn, agent, lane, position.0)?.is_some() {
                is_new = *position <= new.of(lane);
            }
        }
        if !is_new {
            return Ok(Some("a dead letter is not among the newly applied messages"));
        }
    }
    if !commit.fire.is_empty() {
        let timers = &small::index(conn, agent)?.timers;
        if !commit.fire.iter().all(|key| timers.contains(key)) {
            return Ok(Some("a timer that fires is not set"));
        }
    }
    if commit.set.iter().any(|timer| timer.envelope.to != commit.agent) {
        return Ok(Some("a timer's message is for somebody else"));
    }
    let timers = commit.set.iter().map(|timer| &timer.envelope);
    let is_too_long = |payload: usize| payload > ggml_agent_core::limits::PAYLOAD_LEN_MAX;
    if commit.outbox.iter().chain(timers).any(|envelope| is_too_long(envelope.payload.len())) {
        return Ok(Some("the payload of a message is longer than an envelope may be"));
    }
    Ok(None)
}

/// Moves the watermarks and forgets what lies behind them; some of it becomes dead letters.
fn apply(
    parts: &mut Parts<'_>,
    applied: Watermarks,
    dead: &[(Position, String)],
) -> Result<(), Fault> {
    let reasons: BTreeMap<u64, &str> =
        dead.iter().map(|(position, reason)| (position.0, reason.as_str())).collect();
    let position = parts.agent.ids_position;
    if applied.high.0 > position || applied.normal.0 > position {
        parts.ids()?;
    }
    let Parts { conn, agent, heads, .. } = parts;
    // In the order of their arrival, whatever the lane.
    let mut letters = BTreeMap::new();
    for lane in LANES {
        for (&position, &reason) in &reasons {
            if position > applied.of(lane).0 {
                break;
            }
            if let Some(mail) = mail::at(conn, agent, lane, position)? {
                letters.insert(position, (mail.unpack(conn)?, reason));
            }
        }
    }
    for (stored, reason) in letters.into_values() {
        dead::bury(conn, heads, stored.attempts, &stored.envelope, reason)?;
    }
    for lane in LANES {
        mail::drop_front(conn, agent, lane, applied.of(lane).0)?;
    }
    agent.applied = applied;
    Ok(())
}
