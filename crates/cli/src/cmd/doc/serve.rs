//! `ggml-agent doc serve`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use ggml_agent::{ChildSpec, EventKind, Events, Options, System, WatchError};
use ggml_agent_core::AgentId;
use ggml_agent_doc::file::{FileEvent, FileEventKind, FollowOptions, Follower};
use ggml_agent_doc::{DocumentAgent, DocumentRef};
use ggml_agent_live::beside::Beside;
use ggml_agent_live::http::{Secret, Server, Settings, serve};
use ggml_agent_live::mirror::{Boot, ClientId};
use tokio::net::TcpListener;

use super::note::Note;
use crate::args::ServeArgs;
use crate::failure::{Code, Failure};
use crate::file::{self, Existing, Source};
use crate::output::{Level, Line, Screen, Tone, plain};
use crate::signal;

/// How long the document's agent has to end.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(3);

pub(super) fn run(args: &ServeArgs, screen: &mut Screen) -> Result<(), Failure> {
    if !args.listen.ip().is_loopback() && !args.allow_remote {
        let text = format!("{} can be reached from other machines", args.listen);
        return Err(Failure::msg(Code::Usage, text)
            .next("choose a loopback address, or add --allow-remote if you mean it"));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Code::Failure, error))?;
    let source = file::read(&args.file)?;
    runtime.block_on(up(args, source, screen))
}

async fn up(args: &ServeArgs, source: Source, screen: &mut Screen) -> Result<(), Failure> {
    let stop = signal::listen().map_err(|error| Failure::new(Code::Failure, error))?;
    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))
        .map_err(|error| {
            Failure::new(Code::Conflict, error)
                .next("another server may be there: end it, or choose a free port by --listen 127.0.0.1:0")
        })?;
    let listen = listener.local_addr().context("the address of the listener")?;
    let id = args.name.clone().unwrap_or_else(|| slug(&args.file));
    let system = System::with(Options::default());
    let document = start(&system, &id, &source).await?;
    let mut events = system.events();
    let follower = Follower::start(&system, document.clone(), &args.file, FollowOptions::default());
    let follower = follower.await.context("the file cannot be followed")?;
    let token = fresh();
    let clock = system.clock();
    let settings = Settings {
        id: id.clone(),
        title: title(&args.file),
        document: document.clone(),
        listen,
        hosts: args.host.clone(),
        token: token.clone(),
        fresh,
        unix_ms_at_zero: clock.unix_ms().saturating_sub(millis(clock.now())),
    };
    let server = Server::new(settings);
    let url = url(listen);
    let file = std::path::absolute(&args.file).unwrap_or_else(|_| args.file.clone());
    let note = Note { url: url.clone(), token: token.expose().to_owned(), id: id.clone(), file };
    let left = note.leave(listen.port())?;
    let link = format!("{url}{}", server.link());
    let text = format!("{} is served; open {link} (good once)", args.file.display());
    let ready = Line::new(Duration::ZERO, "", "doc.ready", text).level(Level::Result);
    screen.line(&ready.with("url", url).with("link", link).with("id", id));

    let served = work(listener, &server, &mut events, stop, screen).await;
    drop(left);
    // Stopped, it writes once more.
    follower.stop();
    follower.ended().await;
    let last = document.snapshot().await;
    system.shutdown(SHUTDOWN_DEADLINE).await;
    let last =
        last.context("the document ended before its server; what was not written is lost")?;
    must_be_written(&args.file, last.to_markdown().as_bytes())?;
    served?;
    let text = format!("the server has ended; {} has everything", args.file.display());
    screen.line(&Line::new(Duration::ZERO, "", "doc.ended", text).with("seq", last.seq));
    Ok(())
}

/// Serves until a signal, and says what happens to the file meanwhile.
async fn work(
    listener: TcpListener,
    server: &Server,
    events: &mut Events,
    stop: signal::Stop,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let serving = serve(listener, server, async {
        // Which signal it was makes no difference: what is served is kept.
        let _: signal::Signal = stop.await;
    });
    let mut serving = std::pin::pin!(serving);
    loop {
        tokio::select! {
            served = &mut serving => return Ok(served.context("the server ended")?),
            event = events.find(of_file) => match event {
                Ok(event) => screen.line(&said(&event)),
                // Some were missed; the next ones are said again.
                Err(WatchError::Missed(_)) => {}
                Err(_) => return Ok(serving.await.context("the server ended")?),
            },
        }
    }
}

fn of_file(event: &EventKind) -> Option<FileEvent> {
    let EventKind::Custom(event) = event else { return None };
    event.as_any().downcast_ref::<FileEvent>().cloned()
}

/// What people are told of the file; that it was written is for those who want to know all.
fn said(event: &FileEvent) -> Line {
    let (name, level, tone) = match &event.kind {
        FileEventKind::Written { .. } => ("doc.written", Level::Detail, Tone::Plain),
        FileEventKind::Imported { .. } => ("doc.imported", Level::Event, Tone::Plain),
        FileEventKind::ConflictSaved { .. } => ("doc.conflict", Level::Result, Tone::Warning),
        FileEventKind::Missing => ("doc.missing", Level::Event, Tone::Warning),
        _ => ("doc.file", Level::Result, Tone::Bad),
    };
    Line::new(Duration::ZERO, "", name, plain(&event.to_string())).level(level).tone(tone)
}

/// What the file does not have, another one gets: nothing that was typed is lost.
fn must_be_written(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if std::fs::read(path).is_ok_and(|found| found == bytes) {
        return Ok(());
    }
    let beside = path.with_extension(format!("unsaved-{}.md", std::process::id()));
    file::write(&beside, bytes, Existing::Keep)?;
    let text =
        format!("{} could not be written, or was changed at the last moment", path.display());
    Err(Failure::msg(Code::Conflict, text)
        .next(format!("the document as it was served is in {}", beside.display())))
}

/// Starts the document's agent with a room beside it.
async fn start(system: &System, id: &str, source: &Source) -> Result<DocumentRef, Failure> {
    let agent: AgentId = id.parse().context("the document's name")?;
    // Never one that was before: the wall clock of this boot, and one more for each incarnation.
    let epoch = Arc::new(AtomicU64::new(system.clock().unix_ms()));
    let (name, document) = (id.to_owned(), source.document.clone());
    let spec = ChildSpec::new(&agent, move || {
        let epoch = Arc::clone(&epoch);
        let boot = move || Boot {
            epoch: epoch.fetch_add(1, Ordering::Relaxed),
            client: ClientId::small(random_number()),
        };
        DocumentAgent::new(&document).with_companion(Beside::new(name.clone(), boot))
    });
    // A document that failed is lost: a restart must not begin with the old text.
    let addr = system.start(spec.temporary()).await.context("the document did not start")?;
    Ok(DocumentRef::new(addr))
}

fn url(listen: SocketAddr) -> String {
    // An address that means all of them is none to open.
    let ip = listen.ip();
    let host = if ip.is_unspecified() { "localhost".to_owned() } else { ip.to_string() };
    if ip.is_ipv6() && !ip.is_unspecified() {
        return format!("http://[{host}]:{}", listen.port());
    }
    format!("http://{host}:{}", listen.port())
}

fn title(file: &Path) -> String {
    file.file_name().map_or_else(|| "document".into(), |name| name.to_string_lossy().into_owned())
}

/// What a file is called in addresses: its name without its ending, with what does not belong there as `-`.
fn slug(file: &Path) -> String {
    let stem = file.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
    let slug: String = stem
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' })
        .take(64)
        .collect();
    let slug = slug.trim_matches('-');
    if slug.is_empty() { "document".to_owned() } else { slug.to_owned() }
}

fn fresh() -> Secret {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the operating system has randomness");
    Secret::new(bytes)
}

fn random_number() -> u64 {
    getrandom::u64().expect("the operating system has randomness")
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_a_name_that_can_stand_in_an_address() {
        let table = [
            ("report.md", "report"),
            ("/tmp/My Report (2).md", "My-Report--2"),
            ("../x/élan.md", "lan"),
            ("..md", "document"),
            ("日本.md", "document"),
        ];
        for (file, expected) in table {
            assert_eq!(slug(Path::new(file)), expected, "{file}");
        }
    }
}
