//! A server that is up, and the smallest client of it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use ggml_agent::{ChildSpec, Options, System};
use ggml_agent_doc::{Document, DocumentAgent, DocumentRef, Holder};
use ggml_agent_live::beside::Beside;
use ggml_agent_live::http::{Secret, ServeError, Server, Settings, serve};
use ggml_agent_live::mirror::{Boot, ClientId};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// The wall clock when the clock of the document began.
pub(super) const UNIX_MS_AT_ZERO: u64 = 1_700_000_000_000;

pub(super) const TEXT: &str = "# Report\n\nOne.\n\n## Plan\n\nTwo.\n\n## Data\n\nThree.\n";

/// A server of the document `report`, until it is dropped.
pub(super) struct Up {
    pub(super) addr: SocketAddr,
    pub(super) server: Server,
    pub(super) document: DocumentRef,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinSet<Result<(), ServeError>>,
    _system: System,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Names in lower case.
    pub(super) head: String,
    pub(super) body: String,
}

/// Whom a request claims to come from.
#[derive(Debug, Clone, Copy)]
pub(super) enum As {
    /// A script that has the token.
    Script,
    /// The page, in a browser that was let in.
    Page,
    /// That browser, showing a page of somebody else.
    OtherPage,
    /// Somebody without a token.
    Nobody,
    /// Somebody with another token.
    Wrong,
}

fn secret() -> Secret {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    Secret::new(bytes)
}

pub(super) fn token() -> Secret {
    Secret::new([1; 32])
}

pub(super) fn agent(name: &str) -> Holder {
    Holder::new(name.parse().unwrap(), 1)
}

impl Up {
    pub(super) async fn new() -> Self {
        Self::with(TEXT).await
    }

    pub(super) async fn with(text: &str) -> Self {
        let system = System::with(Options::default());
        let document = Document::parse(text).unwrap();
        let spec = ChildSpec::new("report", move || {
            let mut epoch = 0;
            let boot = move || {
                epoch += 1;
                Boot { epoch, client: ClientId::small(epoch) }
            };
            DocumentAgent::new(&document).with_companion(Beside::new("report", boot))
        });
        let document = DocumentRef::new(system.start(spec.temporary()).await.unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let server = Server::new(Settings {
            id: "report".to_owned(),
            title: "report.md".to_owned(),
            document: document.clone(),
            listen: addr,
            hosts: Vec::new(),
            token: token(),
            fresh: secret,
            unix_ms_at_zero: UNIX_MS_AT_ZERO,
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let mut serving = JoinSet::new();
        let served = server.clone();
        serving.spawn(async move { serve(listener, &served, async { drop(stopped.await) }).await });
        Self { addr, server, document, stop: Some(stop), serving, _system: system }
    }

    /// Tells the server to end.
    pub(super) fn stop(&mut self) {
        self.stop = None;
    }

    /// Waits until the server has ended.
    pub(super) async fn ended(&mut self) {
        self.serving.join_next().await.unwrap().unwrap().unwrap();
    }

    /// The heads that make a request come from somebody.
    pub(super) fn heads(&self, who: As) -> String {
        let (addr, token) = (self.addr, token());
        let token = token.expose();
        let cookie = format!("Cookie: ggml-agent-{}={token}\r\n", addr.port());
        match who {
            As::Script => format!("Host: {addr}\r\nAuthorization: Bearer {token}\r\n"),
            As::Page => format!("Host: {addr}\r\n{cookie}Origin: http://{addr}\r\n"),
            As::OtherPage => format!("Host: {addr}\r\n{cookie}Origin: http://evil.example\r\n"),
            As::Nobody => format!("Host: {addr}\r\nOrigin: http://{addr}\r\n"),
            As::Wrong => {
                format!("Host: {addr}\r\nAuthorization: Bearer {}\r\n", token.replace('1', "2"))
            }
        }
    }

    /// Sends bytes as they are, and reads until the server hangs up.
    pub(super) async fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        // A server that has answered does not read on.
        drop(stream.write_all(bytes).await);
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer).await);
        let text = String::from_utf8_lossy(&answer);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    pub(super) async fn ask(&self, method: &str, path: &str, heads: &str, body: &str) -> Answer {
        let len = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{heads}Connection: close\r\nContent-Length: {len}\r\n\r\n{body}"
        );
        self.raw(request.as_bytes()).await
    }

    /// Asks about the document, on behalf of a person.
    pub(super) async fn of(&self, person: &str, method: &str, path: &str, body: &Value) -> Answer {
        let heads = format!("{}x-doc-user: {person}\r\n", self.heads(As::Script));
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.ask(method, &format!("/api/v1/docs/report{path}"), &heads, &body).await
    }

    pub(super) async fn get(&self, path: &str) -> Value {
        let answer = self.of("Ana", "GET", path, &Value::Null).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The last word of the type of a problem, which says what to do.
    pub(super) fn problem(&self) -> String {
        assert!(self.head.contains("content-type: application/problem+json"), "{}", self.head);
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        assert_ne!(problem["title"], "");
        assert_ne!(problem["detail"], "");
        let kind = problem["type"].as_str().unwrap();
        kind.strip_prefix("/problems/").unwrap().to_owned()
    }
}
