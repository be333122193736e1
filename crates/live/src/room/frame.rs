//! A frame of a connection.

use super::{Close, ConnId, Room, Step, ask};
use crate::{
    limits,
    mirror::{self, Mirror, ReceiveError, Received, SectionId, Verdict},
    protocol::Message,
};
use bytes::Bytes;
use std::time::Duration;

/// How a change came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// As an answer to our question: it may hold nothing new.
    Answer,
    /// As a change just made.
    Change,
}

/// Why a connection cannot go on.
struct Broken(Close);

impl From<ReceiveError> for Broken {
    fn from(_: ReceiveError) -> Self {
        Self(Close::Unfit)
    }
}

impl<M: Mirror> Room<M> {
    /// Takes a frame of a connection. `judge` is asked about each section that it changes.
    ///
    /// What was refused is undone before this returns, and the undoing waits for the connection at once; to all
    /// others it goes with the next tick, in one frame with what it undoes.
    ///
    /// A frame of a connection that the room does not know comes to nothing.
    pub fn frame(
        &mut self,
        conn: ConnId,
        frame: &[u8],
        now: Duration,
        judge: &mut dyn FnMut(&SectionId) -> Verdict,
    ) -> Step {
        let mut step = Step::default();
        if let Err(Broken(close)) = self.message(conn, frame, now, judge, &mut step) {
            self.disconnect(conn, now);
            step.close = Some(close);
        }
        step
    }

    fn message(
        &mut self,
        id: ConnId,
        frame: &[u8],
        now: Duration,
        judge: &mut dyn FnMut(&SectionId) -> Verdict,
        step: &mut Step,
    ) -> Result<(), Broken> {
        let Some(conn) = self.conns.get_mut(&id) else { return Ok(()) };
        match Message::decode(frame).map_err(|_| Broken(Close::Protocol))? {
            Message::SyncStep1(theirs) => {
                mirror::check_state_vector(theirs).map_err(|_| Broken(Close::Protocol))?;
                conn.outbox.begin(Bytes::copy_from_slice(theirs));
            }
            Message::SyncStep2(update) => self.write(id, update, How::Answer, now, judge, step)?,
            Message::Update(update) => self.write(id, update, How::Change, now, judge, step)?,
            Message::Awareness(said) => self.presences.hear(id, &conn.user, &said, now),
            Message::QueryAwareness => self.presences.owe_all(id),
            Message::AuthDenied(_) => return Err(Broken(Close::Protocol)),
        }
        Ok(())
    }

    fn write(
        &mut self,
        id: ConnId,
        update: &[u8],
        how: How,
        now: Duration,
        judge: &mut dyn FnMut(&SectionId) -> Verdict,
        step: &mut Step,
    ) -> Result<(), Broken> {
        let authors = self.mirror.authors(update)?;
        let Some(conn) = self.conns.get_mut(&id) else { return Ok(()) };
        if !conn.user.may_write {
            if how == How::Change || !authors.is_empty() {
                conn.tell_read_only(now);
            }
            return Ok(());
        }
        // Changes of somebody who is here come from that one: from another, refused, they would be lost to it.
        if authors.iter().any(|author| self.presences.is_anothers(*author, id)) {
            conn.ask = true;
            return Ok(());
        }
        let Received { changes, refused, update, undo, missing } =
            self.mirror.receive(update, judge)?;
        if missing {
            conn.ask = true;
            if conn.asked_at + conn.ask_after <= now {
                ask(conn, &self.mirror, now);
            }
        } else {
            conn.ask_after = limits::RESYNC_AFTER;
        }
        if let Some(undo) = &undo {
            conn.outbox.push_update(Message::Update(undo).encode(), None);
        }
        step.updates.extend(update.into_iter().chain(undo));
        (step.changes, step.refused) = (changes, refused);
        self.collect(step.updates.iter().cloned(), now);
        Ok(())
    }
}
