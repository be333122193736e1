//! A document that survives: how its agent begins, keeps what it decides, and ends.

use std::time::Duration;

use ggml_agent::{ChildSpec, Context, Lane, Report};
use ggml_agent_core::lease::Limits;

use super::book::{Book, Known};
use super::effect::Effect;
use super::keeper::{Keeper, Outcome};
use super::{DocMsg, DocumentAgent};
use crate::coordinator::{Coordinator, Delivery, Holder};
use crate::limits::HELD_LEN_MAX;
use crate::record::Entry;
use crate::section::Document;

/// How long a commit waits that the store had no room for, until it is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(250);

impl DocumentAgent {
    /// A document that survives its process: text, history, versions, locks and tokens are kept in the
    /// system's [store](ggml_agent::Options::store) under the agent's id. Holds D11 to D13.
    ///
    /// `initial` is the text of a document that the store does not have yet. A permanent child: a restart
    /// begins with the stored text.
    ///
    /// # Example
    /// ```
    /// use ggml_agent::core::store::{MemoryStore, StoreRef};
    /// use ggml_agent::{Options, System};
    /// use ggml_agent_doc::{Document, DocumentAgent, DocumentRef};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // `ggml_agent_store::Sqlite` keeps it on disk.
    /// let store = StoreRef::new(MemoryStore::new());
    /// let system = System::with(Options { store: Some(store), ..Options::default() });
    /// let spec = DocumentAgent::durable("plan", Document::parse("# Plan\n")?);
    /// let document = DocumentRef::new(system.start(spec).await?);
    /// assert_eq!(document.snapshot().await?.to_markdown(), "# Plan\n");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn durable(id: impl AsRef<str>, initial: Document) -> ChildSpec<Self> {
        Self::durable_with(id, initial, |agent| agent)
    }

    /// As [`DocumentAgent::durable`]; `with` gives each incarnation what goes with it, such as a
    /// [companion](DocumentAgent::with_companion).
    #[must_use]
    pub fn durable_with(
        id: impl AsRef<str>,
        initial: Document,
        with: impl Fn(Self) -> Self + Send + 'static,
    ) -> ChildSpec<Self> {
        let book = Book::default();
        ChildSpec::new(id, move || {
            let (is_durable, book) = (true, book.clone());
            with(Self { is_durable, book, ..Self::new(&initial) })
        })
    }

    /// Goes on from what the store has.
    pub(super) async fn open(&mut self, ctx: &mut Context<Self>) -> Result<(), Report> {
        let store = ctx.system().store().cloned().ok_or_else(|| {
            Report::msg("a durable document needs a store: set `Options::store` of the system")
        })?;
        let opening = Keeper::open(store, ctx.id().clone());
        let (mut keeper, record) = ctx.protect(opening).await?;
        if let Some(record) = record {
            self.coordinator = Coordinator::resume(record, Limits::DEFAULT, Self::now(ctx));
        }
        self.shown = Some(self.coordinator.sheet().clone());
        self.shown_holders = self.coordinator.locked().collect();
        self.told = self.coordinator.seq();
        self.coordinator.keep_entries();
        if keeper.is_new() {
            // Once it has started, the store has it.
            let begun = keeper.begin(&self.coordinator);
            ctx.protect(begun).await;
            match keeper.settled().await? {
                Some(Outcome::Kept(_)) => {}
                _ => return Err(Report::msg("the store has no room for the document")),
            }
        }
        self.keeper = Some(keeper);
        self.meet_again(ctx);
        self.flow(ctx);
        self.keep(ctx)
    }

    /// Takes back the locks of all who are gone, and watches the others.
    ///
    /// Lives are numbered within a process: after its end the holders of all locks are gone, whatever their
    /// numbers, and one that comes back under its old name and number is another. Within the process the book
    /// knows who lives.
    fn meet_again(&mut self, ctx: &mut Context<Self>) {
        let step = self.coordinator.end_left_streams(Self::now(ctx));
        self.carry_out(step.outs);
        let was_open = std::mem::replace(&mut self.book.open().was_open, true);
        if !was_open {
            let step = self.coordinator.end_all_lives(Self::now(ctx));
            self.carry_out(step.outs);
        }
        let known: Vec<(Holder, Known)> = {
            let pages = self.book.open();
            pages.known.iter().map(|(holder, known)| (holder.clone(), known.clone())).collect()
        };
        for holder in self.coordinator.lock_holders() {
            if !known.iter().any(|(known, _)| *known == holder) {
                self.holder_gone(&holder, ctx);
            }
        }
        for (holder, known) in known {
            self.watch(&holder, &known.addr, ctx);
            if !known.is_follower || self.book.way(&holder).is_none() {
                continue;
            }
            // What it had not been told when the incarnation before ended, nobody knows.
            let step = self.coordinator.subscribe(&holder, Self::now(ctx));
            self.carry_out(step.outs);
            if let Ok(snapshot) = step.answer {
                self.hold(Effect::Deliver(holder, Delivery::Resync { seq: snapshot.seq }));
            }
        }
    }

    /// Whether so much is not kept yet that nothing more should be decided.
    pub(super) fn is_full(&self) -> bool {
        let is_behind = |keeper: &Keeper| keeper.is_full() || self.gate.len() >= HELD_LEN_MAX;
        self.keeper.as_ref().is_some_and(is_behind)
    }

    /// Puts what the coordinator decided among what is to be kept.
    pub(super) fn note_entries(&mut self) {
        let Some(keeper) = &mut self.keeper else { return };
        let entries = self.coordinator.take_entries();
        keeper.add(&entries);
        self.gate.decided(entries.len());
        for entry in entries {
            match entry {
                Entry::Held(lease) => {
                    self.gate.hold(Effect::ShowHolder(lease.section, Some(lease.holder)));
                }
                Entry::Free { section } => self.gate.hold(Effect::ShowHolder(section, None)),
                _ => {}
            }
        }
    }

    /// Begins the next commit, if none is under way and there is something to keep.
    pub(super) fn keep(&mut self, ctx: &mut Context<Self>) -> Result<(), Report> {
        self.hear(ctx)?;
        self.flow(ctx);
        self.note_entries();
        let Some(keeper) = &mut self.keeper else { return Ok(()) };
        if keeper.is_idle_with_work() {
            let job = keeper.begin(&self.coordinator);
            send(job, ctx);
        }
        if keeper.is_refused() && !self.is_retry_armed {
            self.is_retry_armed = true;
            ctx.send_after(AGAIN_AFTER, DocMsg::KeepAgain);
        }
        Ok(())
    }

    /// Takes the answer of the store, if there is one.
    fn hear(&mut self, ctx: &Context<Self>) -> Result<(), Report> {
        let Some(keeper) = &mut self.keeper else { return Ok(()) };
        match keeper.outcome() {
            Ok(Some(Outcome::Kept(n_entries))) => {
                self.delays.kept();
                self.gate.kept(n_entries);
                let step = self.coordinator.resume_leases(Self::now(ctx));
                self.carry_out(step.outs);
            }
            Ok(Some(Outcome::NotNow(error))) => {
                self.delays.delayed(ctx.system(), ctx.id(), &error);
                // A renewal could not be answered, so nobody may lose a lock for want of one.
                let step = self.coordinator.pause_leases(Self::now(ctx));
                self.carry_out(step.outs);
            }
            Ok(None) => {}
            Err(error) => {
                // The next incarnation finds out what is kept and what is not.
                self.keeper = None;
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// Tries a commit again that the store had no room for.
    pub(super) fn keep_again(&mut self, ctx: &mut Context<Self>) {
        self.is_retry_armed = false;
        if let Some(keeper) = self.keeper.as_mut().filter(|keeper| keeper.is_refused()) {
            let job = keeper.send();
            send(job, ctx);
        }
    }

    /// Keeps what was decided, and lets it be seen. What cannot be kept was never acknowledged.
    pub(super) async fn close(&mut self, ctx: &mut Context<Self>) {
        while self.keeper.is_some() {
            self.note_entries();
            let Some(keeper) = &mut self.keeper else { return };
            if keeper.is_idle_with_work() {
                let begun = keeper.begin(&self.coordinator);
                ctx.protect(begun).await;
            }
            match ctx.protect(keeper.settled()).await {
                Ok(Some(Outcome::Kept(n_entries))) => self.gate.kept(n_entries),
                Ok(Some(Outcome::NotNow(_))) | Err(_) => return,
                Ok(None) => break,
            }
            self.flow(ctx);
        }
        if let Some(keeper) = self.keeper.take().filter(|keeper| !keeper.is_refused()) {
            // Nothing depends on it.
            drop(ctx.protect(keeper.close()).await);
        }
    }
}

/// Lets a job wait for the store and wake the agent. If its mailbox is full, it is awake, and finds the answer
/// with any message.
fn send(job: impl Future<Output = ()> + Send + 'static, ctx: &mut Context<DocumentAgent>) {
    let me = ctx.addr();
    ctx.spawn(async move {
        job.await;
        drop(me.tell_on(Lane::Priority, DocMsg::Kept));
    });
}
