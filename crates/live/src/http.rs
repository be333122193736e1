//! A document over HTTP: the page, requests about it, and the sockets of its editors.
//!
//! What is said on the wire is in `page/API.md`. Here no rule of the document is decided: a request becomes a question
//! to the document's agent, and a socket becomes a connection of the room [beside](crate::beside) it.
//!
//! Reading order: `gate` (who may come in), `routes`, then one module for each kind of request, `socket`, `server`.

mod assets;
mod document;
mod gate;
mod locks;
mod log;
mod ops;
mod past;
mod problem;
mod routes;
mod secret;
mod server;
mod socket;
mod suggestions;
mod who;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use bytes::Bytes;
use ggml_agent_doc::DocumentRef;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

pub use self::routes::{Access, ROUTES, Route};
pub use self::secret::Secret;
pub use self::server::{ServeError, serve};

use self::gate::Rules;
use self::problem::Problem;
use self::secret::Links;

/// What is served, to whom.
pub struct Settings {
    /// What the document is called in addresses.
    pub id: String,
    /// What it is called on the page.
    pub title: String,
    /// The document, with a [`Beside`](crate::beside::Beside) of the same `id`.
    pub document: DocumentRef,
    /// Where the server listens.
    pub listen: SocketAddr,
    /// Further names under which browsers may know it, without a port.
    pub hosts: Vec<String>,
    /// What everybody must show.
    pub token: Secret,
    /// Makes a new secret for a one-time link.
    pub fresh: fn() -> Secret,
    /// The wall clock when the clock of the document's leases began: milliseconds since 1970, UTC.
    pub unix_ms_at_zero: u64,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A document that is served: cheap to clone, all clones are one.
#[derive(Debug, Clone)]
pub struct Server(Arc<Site>);

/// What all requests share.
#[derive(Debug)]
struct Site {
    doc: Doc,
    rules: Rules,
    links: Links,
    fresh: fn() -> Secret,
    unix_ms_at_zero: u64,
    /// The number of the next socket.
    next_conn: AtomicU64,
    /// True when the server ends. Who is at work holds a receiver.
    stopping: watch::Sender<bool>,
}

/// The document.
#[derive(Debug)]
struct Doc {
    id: String,
    title: String,
    document: DocumentRef,
}

/// What a handler is given.
type Here = State<Arc<Site>>;

impl Server {
    /// A server of one document; nothing listens before [`serve`].
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let Settings { id, title, document, listen, hosts, token, fresh, unix_ms_at_zero } =
            settings;
        let ip = match listen {
            SocketAddr::V4(v4) => v4.ip().to_string(),
            SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
        };
        let ours = ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned);
        let further = hosts.into_iter().map(|host| host.to_ascii_lowercase());
        let hosts = ours.into_iter().chain([ip]).chain(further).collect();
        // Cookies belong to a host and all its ports.
        let cookie = format!("ggml-agent-{}", listen.port());
        Self(Arc::new(Site {
            doc: Doc { id, title, document },
            rules: Rules { token, cookie, hosts },
            links: Links::default(),
            fresh,
            unix_ms_at_zero,
            next_conn: AtomicU64::new(1),
            stopping: watch::Sender::new(false),
        }))
    }

    /// The path of a new one-time link: whoever opens it first is let in. It is not for logs.
    #[must_use]
    pub fn link(&self) -> String {
        self.0.link()
    }
}

impl Site {
    fn link(&self) -> String {
        let ticket = (self.fresh)();
        let path = format!("/open/{}", ticket.expose());
        self.links.add(ticket);
        path
    }
}

/// The JSON of a request.
fn body<T: DeserializeOwned>(bytes: Result<Bytes, BytesRejection>) -> Result<T, Problem> {
    let bytes = bytes.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            format!("the body is longer than {} bytes", crate::limits::BODY_LEN_MAX),
            "send less at once",
        ),
        _ => Problem::bad("the body could not be read", "send the request again"),
    })?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Problem::bad(format!("the body is not understood: {error}"), "see API.md"))
}
