//! A system with a document, and agents that work on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use ggml_agent::{Addr, Agent, AgentId, ChildSpec, Context, Reply, Report, System};
use ggml_agent_doc::{Client, DocNote, Document, DocumentRef, LoadError};

/// A document of `n_sections` sections with a heading and `len` characters of text each.
pub(super) fn document(n_sections: usize, len: usize) -> Result<Document, LoadError> {
    let text: String = (1..=n_sections).map(|nth| section(nth, len, 0)).collect();
    Document::parse(&text)
}

/// Section `nth` in its version `version`; each is as long as the others.
pub(super) fn section(nth: usize, len: usize, version: usize) -> String {
    let words = "Words of a section that somebody works on. ".chars().cycle().take(len);
    format!("# Section {nth}\n\n{version:08} {}\n\n", words.collect::<String>())
}

/// Names an agent.
pub(super) fn id(name: &str) -> AgentId {
    name.parse().expect("invariant: names here are valid ids")
}

/// An agent in whose name calls are made.
pub(super) struct Writer;

/// Asks a writer who it is.
pub(super) struct WhoAreYou(Reply<Client>);

impl Agent for Writer {
    type Msg = WhoAreYou;
    type Error = Report;

    async fn handle(&mut self, ask: WhoAreYou, ctx: &mut Context<Self>) -> Result<(), Report> {
        ask.0.send(Client::of(ctx));
        Ok(())
    }
}

/// Starts `n` writers. Their addresses keep nothing alive; the system does.
pub(super) async fn writers(system: &System, n: usize) -> Result<Vec<Client>, Report> {
    let mut clients = Vec::with_capacity(n);
    for nth in 0..n {
        let writer = system.start(ChildSpec::new(format!("writer-{nth}"), || Writer)).await?;
        clients.push(writer.ask(WhoAreYou).await?);
    }
    Ok(clients)
}

/// What subscribers have seen, all together.
pub(super) struct Seen {
    started_at: Instant,
    n_subscribers: usize,
    pub(super) n_updates: AtomicUsize,
    pub(super) n_resyncs: AtomicUsize,
    /// Of each edit, how many have it, and when the last one got it in nanoseconds since the start.
    edits: Vec<(AtomicUsize, AtomicU64)>,
}

impl Seen {
    /// For `n_edits` edits numbered from 1.
    pub(super) fn new(n_subscribers: usize, n_edits: usize) -> Arc<Self> {
        let edits = (0..n_edits).map(|_| (AtomicUsize::new(0), AtomicU64::new(0))).collect();
        Arc::new(Self {
            started_at: Instant::now(),
            n_subscribers,
            n_updates: AtomicUsize::new(0),
            n_resyncs: AtomicUsize::new(0),
            edits,
        })
    }

    fn note(&self, note: &DocNote) {
        match note {
            DocNote::Updated(update) => {
                self.n_updates.fetch_add(1, Ordering::Relaxed);
                let index = usize::try_from(update.seq - 1).unwrap_or(usize::MAX);
                if let Some((n, at)) = self.edits.get(index)
                    && n.fetch_add(1, Ordering::AcqRel) + 1 == self.n_subscribers
                {
                    let now = self.started_at.elapsed().as_nanos();
                    at.store(u64::try_from(now).unwrap_or(u64::MAX), Ordering::Release);
                }
            }
            DocNote::Resync { .. } => {
                self.n_resyncs.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    /// When the last subscriber got edit `seq`; `None` if one has not yet.
    pub(super) fn last_at(&self, seq: u64) -> Option<Instant> {
        let (_, at) = self.edits.get(usize::try_from(seq).ok()?.checked_sub(1)?)?;
        let nanos = at.load(Ordering::Acquire);
        (nanos > 0).then(|| self.started_at + std::time::Duration::from_nanos(nanos))
    }
}

/// An agent that follows a document.
pub(super) struct Follower {
    document: DocumentRef,
    seen: Arc<Seen>,
}

/// What a follower is sent.
pub(super) enum Follow {
    Subscribe(Reply<bool>),
    Note(DocNote),
}

impl From<DocNote> for Follow {
    fn from(note: DocNote) -> Self {
        Self::Note(note)
    }
}

impl Agent for Follower {
    type Msg = Follow;
    type Error = Report;

    async fn handle(&mut self, message: Follow, ctx: &mut Context<Self>) -> Result<(), Report> {
        match message {
            Follow::Subscribe(reply) => {
                reply.send(self.document.subscribe(&Client::with_notes(ctx)).await.is_ok());
            }
            Follow::Note(note) => self.seen.note(&note),
        }
        Ok(())
    }
}

/// Starts followers of `document`, each of which has subscribed.
pub(super) async fn followers(
    system: &System,
    document: &DocumentRef,
    seen: &Arc<Seen>,
) -> Result<Vec<Addr<Follower>>, Report> {
    let mut all = Vec::with_capacity(seen.n_subscribers);
    for nth in 0..seen.n_subscribers {
        let (document, seen) = (document.clone(), Arc::clone(seen));
        let make = move || Follower { document: document.clone(), seen: Arc::clone(&seen) };
        let follower = system.start(ChildSpec::new(format!("follower-{nth}"), make)).await?;
        if !follower.ask(Follow::Subscribe).await? {
            return Err(Report::msg("a follower could not subscribe"));
        }
        all.push(follower);
    }
    Ok(all)
}
