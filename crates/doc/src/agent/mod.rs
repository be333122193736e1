//! The coordinator as an agent: who asks is watched, and whoever dies gives his locks back.
//!
//! Everything is decided by the pure [`Coordinator`]; here are mailboxes, timers and events. What was decided
//! goes through a gate (`gate`): of a durable document nothing is seen, by anybody, before it is kept
//! (`keeper`), and while the store works on one commit the agent decides what the next one holds.

mod book;
mod client;
mod command;
mod companion;
mod durable;
mod effect;
mod event;
mod gate;
mod keeper;
mod locks;
mod streams;
mod wire;
mod work;

use std::any::Any;
use std::collections::BTreeMap;
use std::time::Duration;

use ggml_agent::{
    Agent, AnyAddr, Context, DelayTeller, Envelope, Lane, MessageType, Reply, Report, Timer,
};
use ggml_agent_core::ExitReason;

use self::book::{Book, Way};
pub use self::client::{CallError, Client, DocNote, DocumentRef, LockDenied};
pub use self::command::CommandMsg;
pub use self::companion::{Companion, Host};
use self::effect::Effect;
pub use self::event::{DocEvent, DocEventKind};
use self::gate::Gate;
use self::keeper::Keeper;
pub use self::locks::LockMsg;
use self::locks::Waiting;
use self::streams::Pieces;
pub use self::work::Work;
use crate::coordinator::{
    Accepted, BaseText, Coordinator, Edit, EditError, Holder, ImportError, Imported, SectionView,
    Snapshot, Splices, Step, SubscribeError,
};
use crate::section::{Document, SectionId};
use crate::sheet::Sheet;

/// How soon a subscriber whose mailbox was full is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// What a document agent is sent; use [`DocumentRef`] instead of these.
#[derive(Debug)]
#[non_exhaustive]
pub enum DocMsg {
    #[doc(hidden)]
    Lock(LockMsg),
    #[doc(hidden)]
    Edit { holder: Holder, edit: Edit, reply: Reply<Result<Accepted, EditError>> },
    #[doc(hidden)]
    Splice { holder: Holder, splices: Splices, reply: Reply<Result<Accepted, EditError>> },
    #[doc(hidden)]
    Import {
        author: Holder,
        base: BaseText,
        file: String,
        reply: Reply<Result<Imported, ImportError>>,
    },
    #[doc(hidden)]
    Command(CommandMsg),
    #[doc(hidden)]
    Subscribe { client: Client, reply: Reply<Result<Snapshot, SubscribeError>> },
    #[doc(hidden)]
    Unsubscribe { holder: Holder },
    #[doc(hidden)]
    Read { section: SectionId, reply: Reply<Option<SectionView>> },
    #[doc(hidden)]
    Snapshot { reply: Reply<Snapshot> },
    /// To be asked about itself.
    #[doc(hidden)]
    Look(Look),
    /// For the companion.
    #[doc(hidden)]
    Companion(Box<dyn Any + Send>),
    /// The companion has something to do.
    #[doc(hidden)]
    Tick,
    #[doc(hidden)]
    HolderGone(Holder),
    #[doc(hidden)]
    Due,
    #[doc(hidden)]
    RetryNotes,
    /// The store has answered.
    #[doc(hidden)]
    Kept,
    #[doc(hidden)]
    KeepAgain,
    #[doc(hidden)]
    Work(Work),
    /// Pieces of streams have waited long enough.
    #[doc(hidden)]
    WritePieces,
    #[doc(hidden)]
    Envelope(Envelope),
}

/// A question about a document: see [`DocumentRef::look`].
#[doc(hidden)]
pub struct Look(Question);

type Question = Box<dyn FnOnce(&Coordinator, Duration) + Send>;

impl std::fmt::Debug for Look {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Look")
    }
}

/// The agent of one document.
///
/// Messages are delivered at most once; an edit that was acknowledged is in the document (D7), and in the store
/// if the document is [durable](DocumentAgent::durable) (D11).
pub struct DocumentAgent {
    coordinator: Coordinator,
    /// What readers find of a durable document: its text without what is not kept yet.
    shown: Option<Sheet>,
    /// Likewise who holds a lock.
    shown_holders: BTreeMap<SectionId, Holder>,
    gate: Gate<Effect>,
    delays: DelayTeller,
    is_durable: bool,
    keeper: Option<Keeper>,
    is_retry_armed: bool,
    book: Book,
    /// Requests in a lock's queue, answered when their turn comes.
    waiting: BTreeMap<Holder, Waiting>,
    /// Subscribers whose mailbox was full, and up to where they must read anew.
    behind: BTreeMap<Holder, u64>,
    due: Option<(Duration, Timer)>,
    companion: Option<Box<dyn Companion>>,
    /// The newest update that the companion was told of.
    companion_told: u64,
    tick: Option<(Duration, Timer)>,
    /// Up to this update everybody sees what was written, or will.
    told: u64,
    pieces: Pieces,
}

impl DocumentAgent {
    /// An agent for `document`, which ends with it; see [`DocumentAgent::durable`] for one that survives.
    #[must_use]
    pub fn new(document: &Document) -> Self {
        let coordinator = Coordinator::new(document);
        Self {
            shown: None,
            shown_holders: BTreeMap::new(),
            coordinator,
            gate: Gate::new(),
            delays: DelayTeller::default(),
            is_durable: false,
            keeper: None,
            is_retry_armed: false,
            book: Book::default(),
            waiting: BTreeMap::new(),
            behind: BTreeMap::new(),
            due: None,
            companion: None,
            companion_told: 0,
            tick: None,
            told: 0,
            pieces: Pieces::default(),
        }
    }

    /// What readers find.
    fn sheet(&self) -> &Sheet {
        self.shown.as_ref().unwrap_or(self.coordinator.sheet())
    }

    fn now(ctx: &Context<Self>) -> Duration {
        ctx.system().clock().now()
    }

    /// Watches the incarnation behind `client`: its locks end with it (D3, M13).
    fn meet(&mut self, client: &Client, ctx: &mut Context<Self>) {
        // Who has no address is no agent: its leases end by time, or by whom it is connected to.
        let Some(addr) = &client.addr else { return };
        if self.book.enter(&client.holder, addr, client.way()) {
            self.watch(&client.holder, addr, ctx);
        }
    }

    fn watch(&mut self, holder: &Holder, addr: &AnyAddr, ctx: &mut Context<Self>) {
        let (me, watched) = (ctx.addr(), holder.clone());
        let hooked = addr.on_exit(move |_, _, _| {
            // A document agent that is gone has no locks to give back.
            drop(me.tell_on(Lane::Priority, DocMsg::HolderGone(watched)));
        });
        if !hooked || addr.incarnation() != holder.incarnation() {
            self.holder_gone(holder, ctx);
        }
    }

    fn holder_gone(&mut self, holder: &Holder, ctx: &Context<Self>) {
        self.write_last_pieces(holder, ctx);
        self.book.forget(holder);
        self.waiting.remove(holder);
        self.behind.remove(holder);
        let step = self.coordinator.drop_holder(holder, Self::now(ctx));
        self.carry_out(step.outs);
    }

    fn edit(
        &mut self,
        holder: &Holder,
        edit: Edit,
        ctx: &Context<Self>,
    ) -> Result<Accepted, EditError> {
        let section = edit.section;
        let step = self.coordinator.edit(holder, edit, Self::now(ctx));
        self.edited(holder, section, step)
    }

    fn splice(
        &mut self,
        holder: &Holder,
        splices: Splices,
        ctx: &Context<Self>,
    ) -> Result<Accepted, EditError> {
        let section = splices.section;
        let step = self.coordinator.splice(holder, splices, Self::now(ctx));
        self.edited(holder, section, step)
    }

    fn edited(
        &mut self,
        holder: &Holder,
        section: SectionId,
        step: Step<Result<Accepted, EditError>>,
    ) -> Result<Accepted, EditError> {
        if let Err(error) = &step.answer {
            self.publish(holder, DocEventKind::EditRefused { section, error: error.clone() });
        }
        self.carry_out(step.outs);
        step.answer
    }

    /// Takes in what somebody made of the document's file.
    fn import(
        &mut self,
        author: &Holder,
        base: &BaseText,
        file: &str,
        ctx: &Context<Self>,
    ) -> Result<Imported, ImportError> {
        let step = self.coordinator.import(author, base, file, Self::now(ctx));
        self.carry_out(step.outs);
        step.answer
    }

    fn subscribe(
        &mut self,
        holder: &Holder,
        ctx: &Context<Self>,
    ) -> Result<Snapshot, SubscribeError> {
        let step = self.coordinator.subscribe(holder, Self::now(ctx));
        self.carry_out(step.outs);
        if step.answer.is_ok() {
            self.book.set_follower(holder, true);
        }
        step.answer
    }

    /// Answers at once what nothing can be decided about now; a question without an error of that kind
    /// gets no answer.
    fn turn_away(message: DocMsg) -> Option<DocMsg> {
        match message {
            DocMsg::Edit { reply, .. } | DocMsg::Splice { reply, .. } => {
                reply.send(Err(EditError::Unsaved));
            }
            DocMsg::Import { reply, .. } => reply.send(Err(ImportError::Unsaved)),
            DocMsg::Command(message) => return message.turn_away().map(DocMsg::Command),
            DocMsg::Lock(message) => return message.turn_away().map(DocMsg::Lock),
            DocMsg::Work(work) => work.turn_away(),
            DocMsg::Subscribe { .. } => {}
            other => return Some(other),
        }
        None
    }

    fn obey(&mut self, message: DocMsg, ctx: &mut Context<Self>) {
        match message {
            DocMsg::Lock(message) => self.obey_lock(message, ctx),
            DocMsg::Edit { holder, edit, reply } => {
                let answer = self.edit(&holder, edit, ctx);
                self.hold(Effect::Edit(reply, answer));
            }
            DocMsg::Splice { holder, splices, reply } => {
                let answer = self.splice(&holder, splices, ctx);
                self.hold(Effect::Edit(reply, answer));
            }
            DocMsg::Import { author, base, file, reply } => {
                let answer = self.import(&author, &base, &file, ctx);
                self.hold(Effect::answer(reply, answer));
            }
            DocMsg::Command(message) => self.obey_command(message, ctx),
            DocMsg::Subscribe { client, reply } => {
                self.meet(&client, ctx);
                let answer = self.subscribe(&client.holder, ctx);
                self.hold(Effect::Subscribe(reply, answer));
            }
            DocMsg::Unsubscribe { holder } => {
                self.coordinator.unsubscribe(&holder);
                self.book.set_follower(&holder, false);
                self.behind.remove(&holder);
            }
            DocMsg::Read { section, reply } => {
                reply.send(self.sheet().read(section));
            }
            DocMsg::Snapshot { reply } => reply.send(self.sheet().snapshot()),
            DocMsg::Look(look) => {
                // A timer may be late: who asks sees what is due.
                let step = self.coordinator.expire(Self::now(ctx));
                self.carry_out(step.outs);
                self.hold(Effect::Look(look));
            }
            DocMsg::Companion(message) => self.companion_message(message, ctx),
            DocMsg::Tick => {
                self.tick = None;
                let now = Self::now(ctx);
                if let Some(companion) = &mut self.companion {
                    companion.tick(&self.coordinator, now);
                }
            }
            DocMsg::HolderGone(holder) => self.holder_gone(&holder, ctx),
            DocMsg::Due => self.end_what_is_due(ctx),
            DocMsg::RetryNotes => self.retry_notes(ctx),
            // What follows every message is all there is to do.
            DocMsg::Kept => {}
            DocMsg::KeepAgain => self.keep_again(ctx),
            DocMsg::Work(work) => work.carry_out(self, ctx),
            DocMsg::WritePieces => self.write_all_pieces(ctx),
            DocMsg::Envelope(envelope) => wire::obey(self, &envelope, ctx),
        }
    }
}

impl Agent for DocumentAgent {
    type Msg = DocMsg;
    type Error = Report;

    async fn on_start(&mut self, ctx: &mut Context<Self>) -> Result<(), Report> {
        if self.is_durable {
            self.open(ctx).await?;
            self.arm(ctx);
        }
        self.companion_told = self.coordinator.seq();
        self.begin_companion(ctx);
        self.arm_companion(ctx);
        Ok(())
    }

    async fn handle(&mut self, message: DocMsg, ctx: &mut Context<Self>) -> Result<(), Report> {
        let message = if self.is_full() { Self::turn_away(message) } else { Some(message) };
        if let Some(message) = message {
            self.obey(message, ctx);
        }
        self.tell_companion(ctx);
        self.flow(ctx);
        self.keep(ctx)?;
        self.arm(ctx);
        self.arm_companion(ctx);
        Ok(())
    }

    async fn on_stop(&mut self, _reason: &ExitReason, ctx: &mut Context<Self>) {
        self.write_all_pieces(ctx);
        self.close(ctx).await;
        // Waiters learn it from their dropped replies.
        self.waiting.clear();
    }

    fn from_envelope(envelope: Envelope) -> Result<DocMsg, Envelope> {
        match envelope.kind {
            MessageType::LockRequest
            | MessageType::LockRelease
            | MessageType::DocEdit
            | MessageType::DocUpdate => Ok(DocMsg::Envelope(envelope)),
            _ => Err(envelope),
        }
    }

    fn into_envelope(message: DocMsg) -> Result<Envelope, DocMsg> {
        match message {
            DocMsg::Envelope(envelope) => Ok(envelope),
            other => Err(other),
        }
    }
}

impl std::fmt::Debug for DocumentAgent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DocumentAgent")
            .field("seq", &self.coordinator.seq())
            .finish_non_exhaustive()
    }
}
