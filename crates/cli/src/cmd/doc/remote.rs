//! Requests to a server that runs: found by its note, asked with its token.

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::note::Note;
use crate::args::ServerArgs;
use crate::failure::{Code, Failure};
use crate::output::plain;

/// Longest answer that is read (64 MiB).
// The longest document is 16 MiB; escaped as JSON it may be some times that.
const ANSWER_LEN_MAX: usize = 64 * 1024 * 1024;

/// A server that runs, and its document.
pub(super) struct Remote {
    note: Note,
    person: String,
    runtime: Runtime,
}

impl Remote {
    /// The server that was named, or the only one that runs.
    pub(super) fn find(args: &ServerArgs) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the runtime")?;
        let wanted = args.url.as_deref().map(|url| url.trim_end_matches('/'));
        let mut notes = Note::all()?;
        notes.retain(|note| wanted.is_none_or(|url| note.url == url));
        // A server that was killed leaves its note behind.
        notes.retain(|note| runtime.block_on(TcpStream::connect(authority(&note.url))).is_ok());
        let note = match (notes.pop(), notes.is_empty()) {
            (Some(note), true) => note,
            (Some(last), false) => {
                let urls = notes.iter().chain([&last]).map(|note| {
                    format!("{} ({})", note.url, plain(&note.file.display().to_string()))
                });
                let urls = urls.collect::<Vec<_>>().join(", ");
                return Err(Failure::msg(Code::Usage, format!("several servers run: {urls}"))
                    .next("choose one by --url"));
            }
            (None, _) => {
                let text = match wanted {
                    Some(url) => format!("no server of this user runs at {}", plain(url)),
                    None => "no server of this user runs".to_owned(),
                };
                return Err(Failure::msg(Code::Unreachable, text)
                    .next("start one by `ggml-agent doc serve FILE.md`"));
            }
        };
        let user = || std::env::var_os("USER").and_then(|user| user.into_string().ok());
        let named = args.person.clone().or_else(user).filter(|name| !name.is_empty());
        Ok(Self { note, person: named.unwrap_or_else(|| "operator".to_owned()), runtime })
    }

    pub(super) fn url(&self) -> &str {
        &self.note.url
    }

    /// Asks about the document.
    pub(super) fn get(&self, path: &str) -> Result<Value, Failure> {
        self.of_document("GET", path, None)
    }

    /// Asks about the document, or changes it.
    pub(super) fn of_document(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        self.request(method, &format!("/api/v1/docs/{}{path}", self.note.id), body)
    }

    /// The answer's JSON; a text that is none as a JSON string, and null without one.
    pub(super) fn request(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        self.runtime.block_on(self.ask(method, path, body))
    }

    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let host = authority(&self.note.url);
        let cannot = || format!("cannot ask the server at {}", self.note.url);
        let unreachable = |error: anyhow::Error| {
            Failure::new(Code::Unreachable, error.context(cannot()))
                .next("see whether it still runs; what was asked may have been done")
        };
        let stream = TcpStream::connect(host).await.map_err(|error| unreachable(error.into()))?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| unreachable(error.into()))?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", host)
            .header("authorization", format!("Bearer {}", self.note.token))
            .header("x-doc-user", escape(&self.person))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body.map(Value::to_string).unwrap_or_default())))
            .context("the request")?;
        let answer = async {
            let response = sender.send_request(request).await?;
            let (head, body) = response.into_parts();
            let bytes = Limited::new(body, ANSWER_LEN_MAX).collect().await;
            let bytes = bytes.map_err(anyhow::Error::from_boxed)?.to_bytes();
            Ok::<_, anyhow::Error>((head, bytes))
        };
        let answer = tokio::select! {
            answer = answer => answer,
            // It only ends first when the server hung up.
            ended = connection => Err(match ended {
                Ok(()) => anyhow::Error::msg("the server hung up"),
                Err(error) => error.into(),
            }),
        };
        let (head, bytes) = answer.map_err(unreachable)?;
        let text = String::from_utf8_lossy(&bytes);
        let value = serde_json::from_str(&text);
        if head.status.is_success() {
            let is_text = !bytes.is_empty() && value.is_err();
            return Ok(value.unwrap_or(if is_text { text.into() } else { Value::Null }));
        }
        Err(refused(head.status.as_u16(), &value.unwrap_or_default()))
    }
}

/// What a problem is to this command.
fn refused(status: u16, problem: &Value) -> Failure {
    let code = match status {
        404 => Code::NotFound,
        409 | 412 | 422 => Code::Conflict,
        400 => Code::Usage,
        408 => Code::Timeout,
        _ => Code::Failure,
    };
    let said = |field: &str| problem.get(field).and_then(Value::as_str).map(plain);
    let title = said("title").unwrap_or_else(|| format!("the server answered {status}"));
    let failure = Failure::msg(code, title);
    match said("detail") {
        Some(detail) => failure.next(detail),
        None => failure,
    }
}

/// `http://HOST:PORT` without its scheme.
fn authority(url: &str) -> &str {
    url.strip_prefix("http://").unwrap_or(url)
}

/// Any text as a part of an address.
pub(super) fn escape(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
