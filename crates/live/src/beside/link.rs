//! The ways to the sockets: bounded, so that a slow one waits in the room, where what it misses is made up for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::sync::mpsc;

use crate::limits::LINK_FRAMES_MAX;
use crate::mirror::Mirror;
use crate::room::{Close, ConnId, Room};

/// What a socket is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing {
    /// Write a binary frame.
    Frame(Bytes),
    /// Close, and say why.
    Close(Close),
}

/// The way to one socket.
#[derive(Debug)]
pub struct Link {
    frames: mpsc::Sender<Outgoing>,
    is_full: Arc<AtomicBool>,
}

impl Link {
    /// A link, and what its socket reads from. The flag is set while frames wait that found no room: a socket that
    /// has emptied its queue takes it back and says [`Tell::Ready`](super::Tell::Ready).
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Outgoing>, Arc<AtomicBool>) {
        let (frames, receiver) = mpsc::channel(LINK_FRAMES_MAX);
        let is_full = Arc::new(AtomicBool::new(false));
        (Self { frames, is_full: Arc::clone(&is_full) }, receiver, is_full)
    }
}

/// The links of a room.
#[derive(Debug, Default)]
pub struct Links(BTreeMap<ConnId, Link>);

impl Links {
    pub(super) fn add(&mut self, conn: ConnId, link: Link) {
        self.0.insert(conn, link);
    }

    pub(super) fn remove(&mut self, conn: ConnId) {
        self.0.remove(&conn);
    }

    /// Closes a socket, once it has read what is on its way. One that reads nothing more is closed by its edge when
    /// the link is gone.
    pub(super) fn close(&mut self, conn: ConnId, close: Close) {
        if let Some(link) = self.0.get(&conn) {
            drop(link.frames.try_send(Outgoing::Close(close)));
        }
    }

    /// A message that only our own page knows; one that finds no room is not worth waiting for.
    pub(super) fn notice(&mut self, conn: ConnId, json: &str) {
        if let Some(link) = self.0.get(&conn) {
            drop(link.frames.try_send(Outgoing::Frame(notice(json))));
        }
    }

    /// Moves frames from the room to the sockets, as many as they take.
    pub(super) fn send<M: Mirror>(&mut self, room: &mut Room<M>, now: Duration) {
        let outgoing: Vec<ConnId> = room.outgoing(now).collect();
        for conn in outgoing {
            let Some(link) = self.0.get(&conn) else { continue };
            loop {
                let Ok(permit) = link.frames.try_reserve() else {
                    link.is_full.store(true, Ordering::Release);
                    // It may have emptied its queue in between, and would never ask.
                    if link.frames.capacity() == 0 || link.frames.is_closed() {
                        break;
                    }
                    continue;
                };
                let Some(frame) = room.take(conn, now) else { break };
                permit.send(Outgoing::Frame(frame));
            }
        }
    }
}

/// Type 100: a text for our own page.
fn notice(json: &str) -> Bytes {
    let mut frame = BytesMut::with_capacity(json.len() + 8);
    frame.put_u8(100);
    let mut len = json.len();
    while len >= 0x80 {
        frame.put_u8(u8::try_from(len & 0x7f).unwrap_or(0) | 0x80);
        len >>= 7;
    }
    frame.put_u8(u8::try_from(len).unwrap_or(0));
    frame.put_slice(json.as_bytes());
    frame.freeze()
}
