//! The socket of one editor: frames to the room, frames from it, in batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::SinkExt;
use ggml_agent_doc::{DocumentRef, Holder};
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::document::{bad_query, place};
use super::gate::Shown;
use super::problem::Problem;
use super::server::stopped;
use super::{Here, Site, who};
use crate::beside::{Connect, Link, Outgoing, Tell};
use crate::limits::{
    BURST_FRAMES_MAX, DRAIN_TIME_MAX, FRAME_LEN_MAX, LINK_FRAMES_MAX, PING_EVERY, WRITE_TIME_MAX,
};
use crate::room::{ConnId, RoomName};

/// Pings without an answer before a peer is given up.
const SILENT_PINGS_MAX: u32 = 3;

/// What a client says of itself.
#[derive(Debug, Deserialize)]
pub(super) struct Hello {
    user: Option<String>,
    notices: Option<u8>,
}

/// Why a socket is closed by us: RFC 6455 §7.4.1, and 4000 to 4999 of our own (API.md).
#[derive(Debug, Clone, Copy)]
struct End {
    code: u16,
    reason: &'static str,
}

const NO_TOKEN: End = End { code: 4401, reason: "the token is no longer good: open a new link" };
const NO_DOCUMENT: End = End { code: 4404, reason: "there is no such document any more" };
const LEAVING: End = End { code: 1001, reason: "the server ends" };
/// Whether it is only started again is learned by who comes back.
const RESTARTED: End = End { code: 1012, reason: "the document's agent has ended: come again" };
const SILENT: End = End { code: 1001, reason: "no word for a minute" };
const NOT_BINARY: End = End { code: 1003, reason: "frames are binary" };
const UNREADABLE: End = End { code: 1009, reason: "a frame is longer than 1 MiB, or none at all" };

/// `GET /ws/{room}`.
pub(super) async fn open(
    State(site): Here,
    Path((id, room)): Path<(String, String)>,
    Extension(shown): Extension<Shown>,
    query: Result<Query<Hello>, QueryRejection>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|error| {
        let title = format!("this is no WebSocket: {}", error.body_text());
        Problem::new(StatusCode::UPGRADE_REQUIRED, "socket", title, "connect by a WebSocket")
    })?;
    let upgrade = upgrade.max_message_size(FRAME_LEN_MAX).max_frame_size(FRAME_LEN_MAX);
    if shown == Shown::Nothing {
        return Ok(upgrade.on_upgrade(|socket| close(socket, NO_TOKEN)));
    }
    if site.doc(&id).is_err() {
        return Ok(upgrade.on_upgrade(|socket| close(socket, NO_DOCUMENT)));
    }
    let Query(Hello { user, notices }) = query.map_err(|error| bad_query(&error))?;
    let holder = who::person(user.as_deref().unwrap_or("somebody"))?;
    // A room that has no such name has none of ours: the page asks for the name again.
    let room = room.parse().unwrap_or_else(|_| RoomName::new(&id, 0));
    let notices = notices == Some(1);
    let stopping = site.stopping.subscribe();
    Ok(upgrade.on_upgrade(move |socket| run(socket, site, stopping, room, holder, notices)))
}

/// Closes a socket and waits for the peer to have heard it.
async fn close(mut socket: WebSocket, end: End) {
    let frame = CloseFrame { code: end.code, reason: end.reason.into() };
    // What the peer still sends is read: a connection that is closed with bytes unread is reset, and takes the reason
    // with it.
    let heard = async {
        socket.send(Message::Close(Some(frame))).await?;
        while let Some(message) = socket.recv().await {
            message?;
        }
        Ok::<(), axum::Error>(())
    };
    // A peer that is gone does not need to know.
    drop(timeout(DRAIN_TIME_MAX, heard).await);
}

/// A connection of the room, which is told of its end whatever happens.
struct Membership {
    document: DocumentRef,
    conn: ConnId,
    is_over: bool,
}

impl Membership {
    async fn leave(mut self) {
        let gone = Tell::Gone { conn: self.conn };
        // A document that has ended has no members; one that takes no messages is told once more.
        self.is_over = self.document.send_companion(gone).await.is_ok();
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        if !self.is_over {
            drop(self.document.tell_companion(Tell::Gone { conn: self.conn }));
        }
    }
}

async fn run(
    socket: WebSocket,
    site: Arc<Site>,
    stopping: watch::Receiver<bool>,
    room: RoomName,
    holder: Holder,
    notices: bool,
) {
    let conn = ConnId(site.next_conn.fetch_add(1, Ordering::Relaxed));
    let document = site.doc.document.clone();
    let (link, frames, is_full) = Link::new();
    let (reply, answer) = oneshot::channel();
    let user = who::user(&holder);
    let connect = Connect { conn, room, user, holder, notices, link, reply };
    if document.send_companion(Tell::Connect(Box::new(connect))).await.is_err() {
        return close(socket, NO_DOCUMENT).await;
    }
    let member = Membership { document, conn, is_over: false };
    let end = match answer.await {
        Ok(Ok(())) => {
            let mut line = Line { socket, frames, is_full, site, conn, n_frames: 0 };
            let end = line.talk(stopping).await;
            member.leave().await;
            let Line { socket, .. } = line;
            return if let Some(end) = end {
                close(socket, end).await
            };
        }
        Ok(Err(error)) => of(error.close()),
        Err(_) => RESTARTED,
    };
    member.leave().await;
    close(socket, end).await;
}

fn of(close: crate::room::Close) -> End {
    use crate::room::Close;
    let reason = match close {
        Close::OldEpoch => "the document is in another room: ask where",
        Close::Protocol => "a frame is none of y-protocols",
        Close::Unfit => "an update that this document cannot take: load it anew",
        Close::Full => "the room is full: try again later",
        Close::Twice => "a mistake of the server",
    };
    End { code: close.code(), reason }
}

/// One socket and its way to the room.
struct Line {
    socket: WebSocket,
    frames: mpsc::Receiver<Outgoing>,
    is_full: Arc<AtomicBool>,
    site: Arc<Site>,
    conn: ConnId,
    n_frames: usize,
}

impl Line {
    /// Moves frames both ways until one side ends it; answers how to close, if the peer can still be told.
    async fn talk(&mut self, mut stopping: watch::Receiver<bool>) -> Option<End> {
        let mut beat = tokio::time::interval(PING_EVERY);
        beat.reset();
        let mut silent = 0;
        loop {
            tokio::select! {
                outgoing = self.frames.recv() => {
                    let Some(first) = outgoing else { return Some(RESTARTED) };
                    match timeout(WRITE_TIME_MAX, self.write(first)).await {
                        Ok(Ok(None)) => {}
                        Ok(Ok(Some(end))) => return Some(end),
                        Ok(Err(_)) | Err(_) => return None,
                    }
                }
                message = self.socket.recv() => {
                    silent = 0;
                    match message {
                        Some(Ok(Message::Binary(frame))) => {
                            if let Err(end) = self.take(frame).await {
                                return Some(end);
                            }
                        }
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                        Some(Ok(Message::Text(_))) => return Some(NOT_BINARY),
                        Some(Ok(Message::Close(_))) | None => return None,
                        Some(Err(_)) => return Some(UNREADABLE),
                    }
                }
                () = stopped(&mut stopping) => return Some(LEAVING),
                _ = beat.tick() => {
                    silent += 1;
                    if silent > SILENT_PINGS_MAX {
                        return Some(SILENT);
                    }
                    let ping = self.socket.send(Message::Ping(bytes::Bytes::new()));
                    if !matches!(timeout(WRITE_TIME_MAX, ping).await, Ok(Ok(()))) {
                        return None;
                    }
                }
            }
        }
    }

    /// Writes a frame and what waits behind it, at once.
    async fn write(&mut self, first: Outgoing) -> Result<Option<End>, axum::Error> {
        let mut next = Some(first);
        for _ in 0..LINK_FRAMES_MAX {
            match next.take().or_else(|| self.frames.try_recv().ok()) {
                Some(Outgoing::Frame(frame)) => self.socket.feed(Message::Binary(frame)).await?,
                Some(Outgoing::Close(close)) => {
                    self.socket.flush().await?;
                    return Ok(Some(of(close)));
                }
                None => break,
            }
        }
        self.socket.flush().await?;
        if self.is_full.swap(false, Ordering::AcqRel) {
            let ready = Tell::Ready { conn: self.conn };
            // A document that has ended says so by the end of the link.
            drop(self.site.doc.document.send_companion(ready).await);
        }
        Ok(None)
    }

    /// Hands a frame to the room. One socket never fills the document's mailbox: every few frames it waits until they
    /// have been read.
    async fn take(&mut self, frame: bytes::Bytes) -> Result<(), End> {
        let tell = Tell::Frame { conn: self.conn, frame };
        if self.site.doc.document.send_companion(tell).await.is_err() {
            return Err(RESTARTED);
        }
        self.n_frames += 1;
        if self.n_frames.is_multiple_of(BURST_FRAMES_MAX) {
            place(&self.site.doc).await.map_err(|_| RESTARTED)?;
        }
        Ok(())
    }
}
