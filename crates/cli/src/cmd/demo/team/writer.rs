//! A writer: locks a section, thinks, edits it, releases it. It may be killed at any moment.

use std::time::Duration;

use ggml_agent::{Addr, Agent, Context, Report};
use ggml_agent_core::lease::OnBusy;
use ggml_agent_doc::{CallError, Client, Edit, EditError, Lock, SectionId};

use super::chaos::{self, Chaos, Draft};
use super::document;
use super::editor::{self, Editor};
use super::model::Model;

/// How long a lock lasts: many times the longest thought.
const LEASE: Duration = Duration::from_secs(30);

pub(crate) struct Writer {
    pub(crate) model: Model,
}

#[derive(Debug)]
pub(crate) enum Msg {
    /// Sections in a row, for one incarnation: a later one gets its own.
    Work { incarnation: u64, sections: Vec<SectionId> },
}

impl Agent for Writer {
    type Msg = Msg;
    type Error = Report;

    async fn on_start(&mut self, ctx: &mut Context<Self>) -> Result<(), Report> {
        ready(ctx)
    }

    async fn handle(&mut self, msg: Msg, ctx: &mut Context<Self>) -> Result<(), Report> {
        let Msg::Work { incarnation, sections } = msg;
        if incarnation != ctx.incarnation() {
            return Ok(());
        }
        for section in sections {
            self.write(section, ctx).await?;
        }
        ready(ctx)
    }
}

impl Writer {
    async fn write(&self, section: SectionId, ctx: &Context<Self>) -> Result<(), Report> {
        let (document, me) = (document(ctx)?, Client::of(ctx));
        let lock = Lock::one(section, LEASE, OnBusy::Queue { until: None });
        let grant = ctx.protect(document.lock(&me, lock)).await?.remove(0);
        let found = document.read(section).await?;
        let found = found.ok_or_else(|| Report::msg("the document has no such section"))?;
        // A writer that was killed after its edit and before its report has done the work already.
        if found.version == 0 {
            let edit = Edit {
                section,
                token: Some(grant.token),
                base: Some(found.version),
                text: self.model.with_abstract(section, &found.text.to_string()),
            };
            let draft = Draft { holder: me.holder().clone(), edit: edit.clone() };
            chaos(ctx)?.tell(chaos::Msg::Holds(draft))?;
            ctx.protect(self.model.think(section, ctx.incarnation())).await;
            match document.edit(me.holder(), edit).await {
                Ok(_) => {}
                Err(CallError::Refused(error)) if !is_fenced(&error) => {
                    editor(ctx)?.tell(editor::Msg::Stuck { section, why: error.to_string() })?;
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
            chaos(ctx)?.tell(chaos::Msg::Frees(me.holder().clone()))?;
        }
        document.release(&me, section, grant.token).await?;
        editor(ctx)?.tell(editor::Msg::Done { section })?;
        Ok(())
    }
}

fn is_fenced(error: &EditError) -> bool {
    matches!(error, EditError::Stale(_) | EditError::Gone(_))
}

/// Tells the editor that this incarnation has nothing to do.
fn ready(ctx: &Context<Writer>) -> Result<(), Report> {
    let (writer, incarnation) = (ctx.addr(), ctx.incarnation());
    Ok(editor(ctx)?.tell(editor::Msg::Ready { writer, incarnation })?)
}

fn editor(ctx: &Context<Writer>) -> Result<Addr<Editor>, Report> {
    ctx.system().lookup("editor").ok_or_else(|| Report::msg("there is no editor"))
}

fn chaos(ctx: &Context<Writer>) -> Result<Addr<Chaos>, Report> {
    ctx.system().lookup("chaos").ok_or_else(|| Report::msg("there is no chaos"))
}
