//! The editor: hands out sections, notices the end of writers, and writes the table of contents.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ggml_agent::{Addr, Agent, AgentId, Context, Reply, Report};
use ggml_agent_core::lease::OnBusy;
use ggml_agent_doc::coordinator::SectionView;
use ggml_agent_doc::history::Update;
use ggml_agent_doc::{CallError, Client, DocNote, Edit, Lock, SectionId};

use super::document;
use super::event::TeamEvent;
use super::model::Model;
use super::writer::{self, Writer};

/// How long the editor holds the section with the table of contents.
const LEASE: Duration = Duration::from_secs(30);

pub(crate) struct Editor {
    model: Model,
    batch_len: usize,
    told: Told,
    n_sections: usize,
    queue: VecDeque<SectionId>,
    given: BTreeMap<AgentId, Given>,
    idle: Vec<(Addr<Writer>, u64)>,
    done: BTreeSet<SectionId>,
    is_over: bool,
}

/// What the document told its subscriber.
#[derive(Clone, Default)]
pub(crate) struct Told {
    /// How the sections stood when it subscribed.
    pub(crate) begun: Vec<SectionView>,
    /// Every edit since, in order.
    pub(crate) updates: Vec<Arc<Update>>,
}

/// What one incarnation of a writer is working on.
struct Given {
    incarnation: u64,
    sections: Vec<SectionId>,
}

pub(crate) enum Msg {
    /// An incarnation of a writer has nothing to do.
    Ready { writer: Addr<Writer>, incarnation: u64 },
    /// A section has its abstract.
    Done { section: SectionId },
    /// The document refuses what a writer wants to write.
    Stuck { section: SectionId, why: String },
    /// An incarnation of a writer has ended.
    Gone { writer: AgentId, incarnation: u64 },
    /// What the document tells its subscribers.
    Note(DocNote),
    /// Asks for what it was told by the document.
    Told(Reply<Told>),
}

impl From<DocNote> for Msg {
    fn from(note: DocNote) -> Self {
        Self::Note(note)
    }
}

impl Editor {
    pub(crate) fn new(model: Model, batch_len: usize) -> Self {
        Self {
            model,
            batch_len,
            told: Told::default(),
            n_sections: 0,
            queue: VecDeque::new(),
            given: BTreeMap::new(),
            idle: Vec::new(),
            done: BTreeSet::new(),
            is_over: false,
        }
    }
}

impl Agent for Editor {
    type Msg = Msg;
    type Error = Report;

    /// The document is the truth: what has no edit yet is still to do, also after a restart.
    async fn on_start(&mut self, ctx: &mut Context<Self>) -> Result<(), Report> {
        let snapshot = document(ctx)?.subscribe(&Client::with_notes(ctx)).await?;
        let headed = self.model.sections();
        self.n_sections = headed.len();
        let edited = snapshot.sections.iter().filter(|section| section.version > 0);
        self.done = edited.map(|section| section.id).filter(|id| headed.contains(id)).collect();
        self.queue = headed.into_iter().filter(|id| !self.done.contains(id)).collect();
        self.told.begun = snapshot.sections;
        self.conclude_if_done(ctx).await
    }

    async fn handle(&mut self, msg: Msg, ctx: &mut Context<Self>) -> Result<(), Report> {
        match msg {
            Msg::Ready { writer, incarnation } => {
                self.take_back(writer.id(), incarnation.saturating_sub(1), ctx);
                self.idle.push((writer, incarnation));
                self.hand_out(ctx);
            }
            Msg::Done { section } => {
                if self.done.insert(section) {
                    let (n_done, n_sections) = (self.done.len(), self.n_sections);
                    let event = TeamEvent::SectionDone { section, n_done, n_sections };
                    ctx.system().publish(event);
                }
                for given in self.given.values_mut() {
                    given.sections.retain(|id| *id != section);
                }
                self.conclude_if_done(ctx).await?;
            }
            Msg::Stuck { section, why } => ctx.system().publish(TeamEvent::Stuck { section, why }),
            Msg::Gone { writer, incarnation } => {
                self.take_back(&writer, incarnation, ctx);
                self.hand_out(ctx);
            }
            Msg::Note(DocNote::Updated(update)) => self.told.updates.push(update),
            // Missed updates show in the ledger; locks are not held across messages here.
            Msg::Note(_) => {}
            Msg::Told(reply) => reply.send(self.told.clone()),
        }
        Ok(())
    }
}

impl Editor {
    /// Puts the sections of incarnations up to `incarnation` back to the front of the queue.
    fn take_back(&mut self, writer: &AgentId, incarnation: u64, ctx: &Context<Self>) {
        self.idle.retain(|(idle, of)| idle.id() != writer || *of > incarnation);
        if self.given.get(writer).is_none_or(|given| given.incarnation > incarnation) {
            return;
        }
        let given = self.given.remove(writer).map(|given| given.sections).unwrap_or_default();
        for section in given.into_iter().rev() {
            self.queue.push_front(section);
            ctx.system().publish(TeamEvent::Requeued { section, writer: writer.clone() });
        }
    }

    /// Gives each idle writer sections in a row, for as long as there are any.
    fn hand_out(&mut self, ctx: &Context<Self>) {
        while !self.queue.is_empty() && !self.idle.is_empty() {
            let (writer, incarnation) = self.idle.remove(0);
            let id = writer.id().clone();
            let me = ctx.addr();
            let hooked = writer.on_exit(move |id, incarnation, _| {
                drop(me.tell(Msg::Gone { writer: id.clone(), incarnation }));
            });
            if !hooked || writer.incarnation() != incarnation {
                continue; // Its next incarnation asks by itself.
            }
            let n = self.batch_len.min(self.queue.len());
            let sections: Vec<SectionId> = self.queue.drain(..n).collect();
            for section in &sections {
                let event = TeamEvent::Assigned { section: *section, writer: id.clone() };
                ctx.system().publish(event);
            }
            self.given.insert(id, Given { incarnation, sections: sections.clone() });
            // A writer that ends before it gets this is noticed by the hook.
            drop(writer.tell(writer::Msg::Work { incarnation, sections }));
        }
    }

    async fn conclude_if_done(&mut self, ctx: &Context<Self>) -> Result<(), Report> {
        if self.is_over || self.done.len() < self.n_sections {
            return Ok(());
        }
        self.is_over = true;
        if let Some(section) = self.model.contents_in() {
            let (document, me) = (document(ctx)?, Client::of(ctx));
            let lock = Lock::one(section, LEASE, OnBusy::Queue { until: None });
            let grant = ctx.protect(document.lock(&me, lock)).await?.remove(0);
            let found = document.read(section).await?;
            let found = found.ok_or_else(|| Report::msg("the document has no such section"))?;
            if self.model.is_complete(section, &found.text.to_string()) {
                document.release(&me, section, grant.token).await?;
                ctx.system().publish(TeamEvent::Finished);
                return Ok(());
            }
            let text = self.model.with_contents(&found.text.to_string());
            let edit = Edit { section, token: Some(grant.token), base: Some(found.version), text };
            if let Err(error) = document.edit(me.holder(), edit).await {
                let why = match error {
                    CallError::Refused(error) => error.to_string(),
                    CallError::Unreachable(error) => error.to_string(),
                };
                ctx.system().publish(TeamEvent::Stuck { section, why });
                return Ok(());
            }
            document.release(&me, section, grant.token).await?;
        }
        ctx.system().publish(TeamEvent::Finished);
        Ok(())
    }
}
