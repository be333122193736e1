//! A writer that does what a test tells it, one step at a time.

use std::sync::Arc;
use std::time::Duration;

use ggml_agent::{Addr, Agent, AgentId, ChildSpec, Context, Reply, Report, System};
use ggml_agent_core::lease::{Grant, OnBusy, Token};
use ggml_agent_doc::coordinator::Accepted;
use ggml_agent_doc::{
    CallError, Client, DocNote, Document, DocumentRef, Edit, EditError, Lock, LockDenied,
    SectionId, StreamError, StreamId, StreamOpen,
};

pub(crate) const LEASE: Duration = Duration::from_secs(30);

pub(crate) const TEXT: &str = "# One\n\nfirst\n\n# Two\n\nsecond\n";

pub(crate) type Locked = Result<Vec<Grant<SectionId>>, LockDenied>;
pub(crate) type Opened = Result<StreamId, CallError<StreamError>>;
pub(crate) type Edited = Result<Accepted, CallError<EditError>>;

pub(crate) struct Writer {
    document: DocumentRef,
    notes: Vec<DocNote>,
}

pub(crate) enum Do {
    Lock(Lock, Reply<Locked>),
    Edit(Edit, Reply<Edited>),
    Release(SectionId, Token, Reply<bool>),
    Renew(SectionId, Token, Reply<bool>),
    Subscribe(Reply<u64>),
    Open(StreamOpen, Reply<Opened>),
    Note(DocNote),
    Notes(Reply<Vec<DocNote>>),
    /// Handles nothing else until the sender is used.
    Hold(tokio::sync::oneshot::Receiver<()>),
    Fail,
}

impl From<DocNote> for Do {
    fn from(note: DocNote) -> Self {
        Self::Note(note)
    }
}

impl Agent for Writer {
    type Msg = Do;
    type Error = Report;

    async fn handle(&mut self, message: Do, ctx: &mut Context<Self>) -> Result<(), Report> {
        let me = Client::with_notes(ctx);
        match message {
            // Waiting for a lock must not keep the writer from its other messages.
            Do::Lock(lock, reply) => {
                let document = self.document.clone();
                ctx.spawn(async move { reply.send(document.lock(&me, lock).await) });
            }
            Do::Edit(edit, reply) => reply.send(self.document.edit(me.holder(), edit).await),
            Do::Release(section, token, reply) => {
                reply.send(self.document.release(&me, section, token).await.is_ok());
            }
            Do::Renew(section, token, reply) => {
                reply.send(self.document.renew(&me, section, token, LEASE).await.is_ok());
            }
            Do::Open(open, reply) => reply.send(self.document.stream_open(&me, open).await),
            Do::Subscribe(reply) => reply.send(self.document.subscribe(&me).await?.seq),
            Do::Note(note) => self.notes.push(note),
            Do::Notes(reply) => reply.send(self.notes.clone()),
            Do::Hold(until) => until.await?,
            Do::Fail => return Err(Report::msg("asked to fail")),
        }
        Ok(())
    }
}

impl Writer {
    pub(crate) fn spec(name: &str, document: &DocumentRef) -> ChildSpec<Self> {
        let document = document.clone();
        ChildSpec::new(name, move || Self { document: document.clone(), notes: Vec::new() })
    }
}

/// A system with one document.
pub(crate) struct House {
    pub(crate) system: System,
    pub(crate) document: DocumentRef,
    pub(crate) sections: Arc<[SectionId]>,
}

impl House {
    pub(crate) async fn new() -> Self {
        let system = System::new();
        let text = Document::parse(TEXT).unwrap();
        let sections = text.sections().iter().map(|section| section.id()).collect();
        let document = DocumentRef::start(&system, &id("doc"), text).await.unwrap();
        Self { system, document, sections }
    }

    pub(crate) fn spec(&self, name: &str) -> ChildSpec<Writer> {
        Writer::spec(name, &self.document)
    }

    pub(crate) async fn writer(&self, name: &str) -> Addr<Writer> {
        self.system.start(self.spec(name)).await.unwrap()
    }

    pub(crate) fn deny(&self, section: usize) -> Lock {
        Lock::one(self.sections[section], LEASE, OnBusy::Deny)
    }

    pub(crate) fn queue(&self, section: usize) -> Lock {
        Lock::one(self.sections[section], LEASE, OnBusy::Queue { until: None })
    }

    pub(crate) async fn text(&self) -> String {
        self.document.snapshot().await.unwrap().to_markdown()
    }
}

pub(crate) fn id(id: &str) -> AgentId {
    id.parse().unwrap()
}

pub(crate) async fn lock(writer: &Addr<Writer>, lock: Lock) -> Locked {
    writer.ask(|reply| Do::Lock(lock, reply)).await.unwrap()
}

pub(crate) async fn edit(writer: &Addr<Writer>, edit: Edit) -> Edited {
    writer.ask(|reply| Do::Edit(edit, reply)).await.unwrap()
}
