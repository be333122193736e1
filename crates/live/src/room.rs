//! All connections of one document: what each is told, and when.
//!
//! A room is a state machine: connections, frames and a time go in, and a [`Step`] comes out. Frames to a
//! connection wait in the room until its socket takes them ([`Room::take`]), so that a slow reader costs a bounded
//! queue and then one message that makes up for all it missed.
//!
//! # Ordering
//! Edits of ours go to the mirror when the document takes them ([`Room::apply`]), and to the editors when they are
//! durable ([`Room::changed`]). In between, nobody is given the mirror's state either: an editor that saw an edit
//! which a crash then loses would bring it back as its own.

mod frame;
mod outbox;
mod presence;
mod user;

pub use user::{Close, ConnId, ConnectError, ParseRoomNameError, RoomName, User, UserKind};

use self::{outbox::Outbox, presence::Presences};
use crate::{
    limits,
    mirror::{ApplyError, Mirror, Refused, SectionId, Splice},
    protocol::Message,
};
use bytes::Bytes;
use std::{collections::BTreeMap, time::Duration};
use thiserror::Error;

/// What a frame came to, for the document and for the socket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// What changed in the texts: per section, splices to be applied to the document one after the other.
    pub changes: Vec<(SectionId, Vec<Splice>)>,
    /// What was undone.
    pub refused: Vec<Refused>,
    /// The updates behind it, for the log: what came, then what undid a part of it.
    pub updates: Vec<Bytes>,
    /// Close the connection of the frame; the room has forgotten it.
    pub close: Option<Close>,
}

/// Why facts were not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FactsError {
    /// They are longer than [`FACTS_LEN_MAX`](limits::FACTS_LEN_MAX).
    #[error("the facts have {len} bytes, and {max} is the most; leave out what few need", max = limits::FACTS_LEN_MAX)]
    TooLong {
        /// Their length.
        len: usize,
    },
    /// They are not JSON, which every editor would stumble over.
    #[error("the facts are not JSON")]
    NotJson,
}

/// One connection.
#[derive(Debug)]
struct Conn {
    user: User,
    outbox: Outbox,
    /// When it was last asked for its state, and how soon it may be again: twice as late each time in vain.
    asked_at: Duration,
    ask_after: Duration,
    /// It has something that the mirror lacks: to be asked for, but not at once again.
    ask: bool,
    /// When it was last told that it may not write.
    told_at: Option<Duration>,
}

/// The room of one document in one epoch.
#[derive(Debug)]
pub struct Room<M> {
    name: RoomName,
    mirror: M,
    conns: BTreeMap<ConnId, Conn>,
    presences: Presences,
    /// Updates for everyone, and when they go out.
    collected: Vec<Bytes>,
    collected_len: usize,
    update_at: Option<Duration>,
    /// Edits of ours that are in the mirror and not durable yet.
    in_doubt: usize,
    heartbeat_at: Duration,
    ticked_at: Duration,
}

impl<M: Mirror> Room<M> {
    /// The room of the document that `mirror` mirrors, in the mirror's epoch.
    #[must_use]
    pub fn new(document: &str, mirror: M, now: Duration) -> Self {
        let name = RoomName::new(document, mirror.epoch());
        let presences = Presences::new(mirror.client());
        let heartbeat_at = now + limits::HEARTBEAT;
        Self {
            name,
            mirror,
            conns: BTreeMap::new(),
            presences,
            collected: Vec::new(),
            collected_len: 0,
            update_at: None,
            in_doubt: 0,
            heartbeat_at,
            ticked_at: now,
        }
    }

    /// Name of the room: document and epoch.
    #[must_use]
    pub fn name(&self) -> &RoomName {
        &self.name
    }

    /// The mirror.
    #[must_use]
    pub fn mirror(&self) -> &M {
        &self.mirror
    }

    /// How many connections there are.
    #[must_use]
    pub fn n_connections(&self) -> usize {
        self.conns.len()
    }

    /// Lets a connection in that asked for `room`; it is asked at once what it has.
    ///
    /// # Errors
    /// [`ConnectError`] says how to close the socket.
    pub fn connect(
        &mut self,
        conn: ConnId,
        room: &RoomName,
        user: User,
        now: Duration,
    ) -> Result<(), ConnectError> {
        if *room != self.name {
            return Err(ConnectError::OtherRoom { now: self.name.clone() });
        }
        if self.conns.len() >= limits::CONNECTIONS_MAX {
            return Err(ConnectError::Full);
        }
        if self.conns.contains_key(&conn) {
            return Err(ConnectError::Twice);
        }
        let mut outbox = Outbox::default();
        outbox.push(Message::SyncStep1(&self.mirror.state_vector()).encode());
        outbox.push(self.presences.of_server());
        self.presences.enter(conn, &user, now);
        let (asked_at, ask_after, ask, told_at) = (now, limits::RESYNC_AFTER, false, None);
        self.conns.insert(conn, Conn { user, outbox, asked_at, ask_after, ask, told_at });
        Ok(())
    }

    /// Forgets a connection, and tells the others that its client has left.
    pub fn disconnect(&mut self, conn: ConnId, now: Duration) {
        self.conns.remove(&conn);
        self.presences.leave(conn, now);
    }

    /// Applies an edit of ours to the mirror, and tells nobody yet: give the update to [`changed`](Self::changed)
    /// once it is durable.
    ///
    /// # Errors
    /// [`ApplyError`] if it does not fit; nothing is changed then.
    pub fn apply(&mut self, section: &SectionId, splices: &[Splice]) -> Result<Bytes, ApplyError> {
        self.ours(|mirror| mirror.apply(section, splices))
    }

    /// As [`apply`](Self::apply), for what else the document does: [`Mirror::add`], [`Mirror::outline`].
    ///
    /// # Errors
    /// What `edit` says.
    pub fn ours(
        &mut self,
        edit: impl FnOnce(&mut M) -> Result<Bytes, ApplyError>,
    ) -> Result<Bytes, ApplyError> {
        let update = edit(&mut self.mirror)?;
        self.in_doubt += 1;
        Ok(update)
    }

    /// An edit of ours is durable: it goes to everyone with the next tick.
    ///
    /// To be called once for every update that [`apply`](Self::apply) or [`ours`](Self::ours) gave, in their order.
    /// Until then nobody is given the mirror's state. An edit that cannot be made durable ends the room: load the
    /// mirror from what is durable.
    ///
    /// # Panics
    /// At the next tick, if `update` is none that the mirror gave.
    pub fn changed(&mut self, update: Bytes, now: Duration) {
        self.in_doubt = self.in_doubt.saturating_sub(1);
        self.collect([update], now);
    }

    /// Puts lock table and other facts of the document into the server's own presence.
    ///
    /// An editor finds them in the awareness state of the server's client, under `server`.
    ///
    /// # Errors
    /// [`FactsError`] if they are not JSON or too long; the former stay.
    pub fn locks(&mut self, json: &str, now: Duration) -> Result<(), FactsError> {
        if json.len() > limits::FACTS_LEN_MAX {
            return Err(FactsError::TooLong { len: json.len() });
        }
        let facts: serde_json::Value =
            serde_json::from_str(json).map_err(|_| FactsError::NotJson)?;
        self.presences.set_facts(&facts, now);
        Ok(())
    }

    /// When [`tick`](Self::tick) has something to do; `None` if nobody is there.
    #[must_use]
    pub fn next_tick(&self) -> Option<Duration> {
        if self.conns.is_empty() {
            return None;
        }
        let asks = self.conns.values().filter(|conn| conn.ask);
        let ask_at = asks.map(|conn| conn.asked_at + conn.ask_after).min();
        let greet_at = self.presences.greet_at(self.ticked_at);
        let due =
            [self.update_at, self.presences.due_at(), ask_at, greet_at, Some(self.heartbeat_at)];
        due.into_iter().flatten().min()
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Duration) {
        self.ticked_at = now;
        if self.update_at.is_some_and(|at| at <= now) {
            self.send_updates();
        }
        if self.heartbeat_at <= now {
            // Counted from now: a room that slept does not beat several times at once.
            self.heartbeat_at = now + limits::HEARTBEAT;
            self.presences.renew(now);
        }
        if self.presences.due_at().is_some_and(|at| at <= now) {
            self.send_presences(now);
        }
        for conn in self.conns.values_mut() {
            if conn.ask && conn.asked_at + conn.ask_after <= now {
                ask(conn, &self.mirror, now);
            }
        }
    }

    /// The next frame for a connection, for its socket to write; `None` if there is none.
    ///
    /// What is taken counts as delivered: a socket that fails is a connection that ends.
    ///
    /// # Panics
    /// Never: the state vectors in it were checked when they came.
    pub fn take(&mut self, conn: ConnId, now: Duration) -> Option<Bytes> {
        let it = self.conns.get_mut(&conn)?;
        if it.outbox.lost() {
            self.presences.owe_all(conn);
            // A question may be among what was dropped.
            ask(it, &self.mirror, now);
        }
        let outbox = &mut it.outbox;
        if let Some(theirs) = outbox.owed().filter(|_| self.in_doubt == 0) {
            let nothing = Bytes::from_static(&[0]);
            let diff = self.mirror.diff(theirs.unwrap_or(&nothing));
            let diff = diff.expect("invariant: the state vector was checked");
            // What was collected since goes out a second time, which does no harm. It is an answer, never a
            // change: only after an answer does a stock editor call itself in sync.
            outbox.catch_up(Message::SyncStep2(&diff).encode(), self.mirror.state_vector());
        }
        outbox.take().or_else(|| self.presences.take_owed(conn, now))
    }

    /// Connections that have something to be [taken](Self::take).
    pub fn outgoing(&self, now: Duration) -> impl Iterator<Item = ConnId> + '_ {
        let waits = move |(id, conn): (&ConnId, &Conn)| {
            let outbox = &conn.outbox;
            let sync = outbox.owed().is_some() && self.in_doubt == 0;
            (!outbox.is_empty() || sync || self.presences.owes(*id, now)).then_some(*id)
        };
        self.conns.iter().filter_map(waits)
    }

    /// The mirror for a new epoch; every connection is to be closed with [`Close::OldEpoch`].
    #[must_use]
    pub fn into_mirror(self) -> (M, Vec<ConnId>) {
        (self.mirror, self.conns.into_keys().collect())
    }

    /// Updates that belong together: a change and its undoing are in one frame.
    fn collect(&mut self, updates: impl IntoIterator<Item = Bytes>, now: Duration) {
        let before = self.collected.len();
        self.collected.extend(updates);
        let new = &self.collected[before..];
        if new.is_empty() {
            return;
        }
        self.collected_len += new.iter().map(Bytes::len).sum::<usize>();
        self.update_at.get_or_insert(now + limits::UPDATE_TICK);
        if self.collected_len > limits::COLLECTED_LEN_MAX {
            self.send_updates();
        }
    }

    /// Encoded once, shared by all outboxes. It goes back to its author too: a duplicate costs that one bytes only.
    fn send_updates(&mut self) {
        (self.update_at, self.collected_len) = (None, 0);
        let updates = std::mem::take(&mut self.collected);
        if updates.is_empty() {
            return;
        }
        let frame = Message::Update(&M::merge(&updates)).encode();
        // What the mirror has beyond it, namely edits in doubt, would be missed by one who falls behind later.
        let reached = (self.in_doubt == 0).then(|| self.mirror.state_vector());
        for conn in self.conns.values_mut() {
            conn.outbox.push_update(frame.clone(), reached.clone());
        }
    }

    fn send_presences(&mut self, now: Duration) {
        let mut frames = Vec::new();
        let keeps_up = |id| self.conns.get(&id).is_some_and(|conn| !conn.outbox.is_behind());
        self.presences.send(now, &mut |id, frame| frames.push((id, frame)), &keeps_up);
        for (id, frame) in frames {
            if let Some(conn) = self.conns.get_mut(&id) {
                conn.outbox.push(frame);
            }
        }
    }
}

impl Conn {
    /// Says that its changes are not taken; not at every keystroke.
    fn tell_read_only(&mut self, now: Duration) {
        if self.told_at.is_none_or(|at| at + limits::RESYNC_AFTER <= now) {
            self.told_at = Some(now);
            self.outbox.push(Message::AuthDenied(READ_ONLY).encode());
        }
    }
}

/// What a connection is told that may not write.
const READ_ONLY: &str = "read-only: your changes are not saved";

/// Asks a connection for all that the mirror lacks.
fn ask(conn: &mut Conn, mirror: &impl Mirror, now: Duration) {
    (conn.ask, conn.asked_at) = (false, now);
    conn.ask_after = (conn.ask_after * 2).min(limits::RESYNC_AFTER_MAX);
    conn.outbox.push(Message::SyncStep1(&mirror.state_vector()).encode());
}

#[cfg(test)]
mod tests;
