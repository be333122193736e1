//! Sockets of editors: what they are told, and how they end.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use ggml_agent_core::lease::OnBusy;
use ggml_agent_doc::{Client, Edit, Lock};
use ggml_agent_live::limits::FRAME_LEN_MAX;
use ggml_agent_live::mirror::ClientId;
use ggml_agent_live::protocol::{Message, Presence};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};
use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;
use yrs::{Doc, GetString, OffsetKind, Options, ReadTxn, StateVector, Text, Transact, Update};

use super::client::{As, Up, agent, token};

/// An editor: a copy of the document, and a socket.
pub(super) struct Editor {
    socket: WebSocketStream<TcpStream>,
    doc: Doc,
}

async fn connect(up: &Up, room: &str, user: &str, heads: &str) -> WebSocketStream<TcpStream> {
    let url = format!("ws://{}/api/v1/docs/report/ws/{room}?user={user}&notices=1", up.addr);
    let mut request = url.into_client_request().unwrap();
    for head in heads.lines().filter(|head| !head.starts_with("Host")) {
        let (name, value) = head.split_once(": ").unwrap();
        let name: tokio_tungstenite::tungstenite::http::HeaderName = name.parse().unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let stream = TcpStream::connect(up.addr).await.unwrap();
    client_async(request, stream).await.unwrap().0
}

/// The close code that the server gives.
async fn close_code(socket: &mut WebSocketStream<TcpStream>) -> u16 {
    let mut code = 0;
    // To the end: the peer is answered, and hangs up.
    while let Some(frame) = socket.next().await {
        if let Ok(Frame::Close(Some(close))) = frame {
            code = close.code.into();
        }
    }
    code
}

impl Editor {
    /// In the room, and in sync.
    pub(super) async fn join(up: &Up, user: &str, client: u64) -> Self {
        let room = up.get("").await["room"].as_str().unwrap().to_owned();
        let socket = connect(up, &room, user, &up.heads(As::Page)).await;
        let options = Options::with_client_id(yrs::ClientID::new(client));
        let doc = Doc::with_options(Options { offset_kind: OffsetKind::Utf16, ..options });
        let mut editor = Self { socket, doc };
        let ours = editor.doc.transact().state_vector().encode_v1();
        editor.send(&Message::SyncStep1(&ours)).await;
        let state = format!("{{\"user\":{{\"name\":\"{user}\"}}}}");
        let me = Presence { client: ClientId::new(client).unwrap(), clock: 1, state: &state };
        editor.send(&Message::Awareness(vec![me])).await;
        editor.until(|editor, _| !editor.text("s2").is_empty()).await;
        editor
    }

    async fn send(&mut self, message: &Message<'_>) {
        self.socket.send(Frame::Binary(message.encode())).await.unwrap();
    }

    /// Reads frames, and does what an editor does, until `is_done` of one.
    pub(super) async fn until(&mut self, mut is_done: impl FnMut(&Self, &[u8]) -> bool) {
        loop {
            let Frame::Binary(frame) = self.socket.next().await.unwrap().unwrap() else { continue };
            match Message::decode(&frame) {
                Ok(Message::SyncStep1(theirs)) => {
                    let theirs = StateVector::decode_v1(theirs).unwrap();
                    let diff = self.doc.transact().encode_diff_v1(&theirs);
                    self.send(&Message::SyncStep2(&diff)).await;
                }
                Ok(Message::SyncStep2(update) | Message::Update(update)) => {
                    let update = Update::decode_v1(update).unwrap();
                    self.doc.transact_mut().apply_update(update).unwrap();
                }
                _ => {}
            }
            if is_done(self, &frame) {
                return;
            }
        }
    }

    pub(super) fn text(&self, section: &str) -> String {
        let text = self.doc.get_or_insert_text(format!("s/{section}"));
        text.get_string(&self.doc.transact())
    }

    /// Types at the end of a section.
    async fn type_in(&mut self, section: &str, what: &str) {
        let text = self.doc.get_or_insert_text(format!("s/{section}"));
        let update = {
            let mut txn = self.doc.transact_mut();
            let end = text.len(&txn);
            text.insert(&mut txn, end, what);
            txn.encode_update_v1()
        };
        self.send(&Message::Update(&update)).await;
    }
}

/// Whether a frame has the presence of `client`, and what it says.
fn presence_of(client: u64, frame: &[u8]) -> Option<Value> {
    let Ok(Message::Awareness(all)) = Message::decode(frame) else { return None };
    let one = all.iter().find(|presence| presence.client.get() == client)?;
    serde_json::from_str(one.state).ok()
}

#[tokio::test]
async fn editors_and_agents_see_what_the_others_write_and_each_other() {
    let up = Up::new().await;
    let section = "s2".parse().unwrap();
    let mut ana = Editor::join(&up, "Ana", 101).await;
    let mut ben = Editor::join(&up, "Ben", 102).await;
    assert_eq!(ana.text("s2"), "## Plan\n\nTwo.\n\n");
    ana.until(|_, frame| presence_of(102, frame).is_some_and(|it| it["user"]["name"] == "Ben"))
        .await;

    let edit = Edit::optimistic(section, 0, "## Plan\n\nTwo, by an agent.\n\n");
    up.document.edit(&agent("writer"), edit).await.unwrap();
    ana.until(|it, _| it.text("s2").contains("by an agent")).await;
    ana.type_in("s2", "By Ana. 😀").await;
    ben.until(|it, _| it.text("s2").contains("By Ana. 😀")).await;
    let kept = up.get("/sections/s2").await;
    assert_eq!(kept["text"], "## Plan\n\nTwo, by an agent.\n\nBy Ana. 😀\n");
    assert_eq!(up.get("/log").await["entries"][0]["author"]["id"], "@Ana");

    drop(ana);
    ben.until(|_, frame| presence_of(101, frame).is_some_and(|it| it.is_null())).await;
}

#[tokio::test]
async fn an_edit_of_a_locked_section_comes_back_with_a_notice() {
    let up = Up::new().await;
    let section = "s2".parse().unwrap();
    let mut ana = Editor::join(&up, "Ana", 101).await;
    let writer = Client::unwatched(agent("writer"));
    let lock = Lock::one(section, Duration::from_secs(60), OnBusy::Deny);
    up.document.lock(&writer, lock).await.unwrap();
    let server = up.get("").await["server_client"].as_u64().unwrap();
    let holder = |frame: &[u8]| {
        presence_of(server, frame)?["server"]["sections"]["s2"]["lock"]["holder"]
            .as_str()
            .map(str::to_owned)
    };
    ana.until(|_, frame| holder(frame).as_deref() == Some("writer")).await;

    ana.type_in("s2", "REFUSED").await;
    let mut notice = Value::Null;
    ana.until(|it, frame| {
        if frame[0] == 100 {
            let json = &frame[frame.iter().position(|byte| *byte == b'{').unwrap()..];
            notice = serde_json::from_slice(json).unwrap();
        }
        !notice.is_null() && !it.text("s2").contains("REFUSED")
    })
    .await;
    assert_eq!((&notice["kind"], &notice["section"]), (&"refused".into(), &"s2".into()));
    assert_eq!((&notice["by"]["name"], &notice["by"]["kind"]), (&"writer".into(), &"agent".into()));
    assert_eq!(notice["text"], "REFUSED");
    assert_eq!(up.get("/sections/s2").await["version"], 0);
    // Other sections are free, and the socket is not stuck.
    ana.type_in("s3", "Accepted.").await;
    let mut ben = Editor::join(&up, "Ben", 102).await;
    ben.until(|it, _| it.text("s3").contains("Accepted.")).await;
}

#[tokio::test]
async fn a_socket_that_cannot_stay_is_told_why() {
    let mut up = Up::new().await;
    let page = up.heads(As::Page);
    let room = up.get("").await["room"].as_str().unwrap().to_owned();
    assert_eq!(close_code(&mut connect(&up, "report@77", "Ana", &page).await).await, 4001);
    assert_eq!(close_code(&mut connect(&up, "nonsense", "Ana", &page).await).await, 4001);
    let stranger = format!("Origin: http://{}\r\n", up.addr);
    assert_eq!(close_code(&mut connect(&up, &room, "Ana", &stranger).await).await, 4401);
    let wrong = page.replace(token().expose(), "0");
    assert_eq!(close_code(&mut connect(&up, &room, "Ana", &wrong).await).await, 4401);

    let long = Frame::Binary(vec![0; FRAME_LEN_MAX + 1].into());
    let nonsense = Frame::Binary(vec![77].into());
    for (frame, expected) in [(Frame::Text("hello".into()), 1003), (long, 1009), (nonsense, 4002)] {
        let mut socket = connect(&up, &room, "Ana", &page).await;
        // The server may hang up before it has read all.
        drop(socket.send(frame).await);
        assert_eq!(close_code(&mut socket).await, expected);
    }

    let mut ana = Editor::join(&up, "Ana", 101).await;
    up.stop();
    assert_eq!(close_code(&mut ana.socket).await, 1001);
    up.ended().await;
}

#[tokio::test]
async fn a_document_that_has_ended_closes_its_sockets() {
    let up = Up::new().await;
    let mut ana = Editor::join(&up, "Ana", 101).await;
    up.document.addr().stop();
    up.document.addr().ended().await;
    // Maybe it is only started again: the next one learns that it is not.
    assert_eq!(close_code(&mut ana.socket).await, 1012);
    let mut late = connect(&up, "report@1", "Ana", &up.heads(As::Page)).await;
    assert_eq!(close_code(&mut late).await, 4404);
}
