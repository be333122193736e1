//! Chaos: kills writers, by preference one that holds a lock, and then sends the edit that the dead
//! writer still had under way, as a slow network would. The document must refuse it.

use std::collections::BTreeMap;
use std::time::Duration;

use ggml_agent::{Agent, AgentId, Context, Report};
use ggml_agent_core::lease::Token;
use ggml_agent_doc::{Edit, Holder};

use super::document;
use super::event::TeamEvent;
use super::writer::Writer;
use crate::seeded::Rng;

pub(crate) struct Chaos {
    rng: Rng,
    writers: Vec<AgentId>,
    first_after: Duration,
    every: Duration,
    /// What each writer holds and is about to send.
    holding: BTreeMap<AgentId, Draft>,
    /// What each writer held last.
    last: BTreeMap<AgentId, Draft>,
}

/// An edit under way.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) holder: Holder,
    pub(crate) edit: Edit,
}

#[derive(Debug)]
pub(crate) enum Msg {
    /// A writer holds a lock and thinks.
    Holds(Draft),
    /// It has sent its edit.
    Frees(Holder),
    /// Time for the next kill.
    Kill,
    /// A killed writer is gone.
    Gone(AgentId),
}

impl Agent for Chaos {
    type Msg = Msg;
    type Error = Report;

    async fn on_start(&mut self, ctx: &mut Context<Self>) -> Result<(), Report> {
        ctx.send_after(self.first_after, Msg::Kill);
        Ok(())
    }

    async fn handle(&mut self, msg: Msg, ctx: &mut Context<Self>) -> Result<(), Report> {
        match msg {
            Msg::Holds(draft) => {
                self.holding.insert(draft.holder.agent().clone(), draft);
            }
            Msg::Frees(holder) => {
                if let Some(draft) = self.holding.remove(holder.agent()) {
                    self.last.insert(holder.agent().clone(), draft);
                }
            }
            Msg::Kill => {
                self.kill(ctx);
                ctx.send_after(self.every, Msg::Kill);
            }
            Msg::Gone(writer) => self.replay(&writer, ctx).await?,
        }
        Ok(())
    }
}

impl Chaos {
    pub(crate) fn new(seed: u64, writers: Vec<AgentId>, first: Duration, every: Duration) -> Self {
        let (holding, last) = (BTreeMap::new(), BTreeMap::new());
        Self { rng: Rng::new(seed), writers, first_after: first, every, holding, last }
    }

    fn kill(&mut self, ctx: &Context<Self>) {
        let holders: Vec<AgentId> = self.holding.keys().cloned().collect();
        let all = if holders.is_empty() { &self.writers } else { &holders };
        let Some(writer) = self.rng.pick(all).cloned() else { return };
        let Some(addr) = ctx.system().lookup::<Writer>(writer.as_str()) else { return };
        let me = ctx.addr();
        // Registered after the document's own hook, so that this comes after its note of the end.
        let hooked = addr.on_exit(move |id, _, _| drop(me.tell(Msg::Gone(id.clone()))));
        if !hooked {
            return; // It is between two lives already.
        }
        let holds = self.holding.get(&writer).map(|draft| (draft.edit.section, token(&draft.edit)));
        ctx.system().publish(TeamEvent::Kill { writer, holds });
        addr.kill();
    }

    async fn replay(&mut self, writer: &AgentId, ctx: &Context<Self>) -> Result<(), Report> {
        let held = self.holding.remove(writer);
        let Some(Draft { holder, edit }) = held.or_else(|| self.last.remove(writer)) else {
            return Ok(());
        };
        let (section, from) = (edit.section, holder.clone());
        let token = token(&edit);
        ctx.system().publish(TeamEvent::Replay { from, section, token });
        if document(ctx)?.edit(&holder, edit).await.is_ok() {
            ctx.system().publish(TeamEvent::ReplayAccepted { from: holder, section });
        }
        Ok(())
    }
}

fn token(edit: &Edit) -> Token {
    edit.token.unwrap_or(Token::NONE)
}
