//! A second form of a document's text that is kept in the same turn, such as a CRDT for editors.

use std::any::Any;
use std::time::Duration;

use ggml_agent::Context;

use super::{DocMsg, DocumentAgent};
use crate::coordinator::{Coordinator, Holder, Out};
use crate::history::Update;
use crate::section::SectionId;
use crate::text::Changes;

/// Keeps a second form of the text. It is called by the document's agent, in its turn: between two calls
/// nothing changes, and no other command sees a state in between.
pub trait Companion: Send + 'static {
    /// The document as it is when an incarnation of its agent begins.
    fn begin(&mut self, document: &Coordinator, now: Duration);

    /// An update was decided. Nobody outside may be told before it is [kept](Self::kept).
    fn decided(&mut self, update: &Update, document: &Coordinator, now: Duration);

    /// The update with this number is kept, and so are all before it.
    fn kept(&mut self, seq: u64, now: Duration);

    /// Locks may have changed. Called once at the end of a turn in which they may have.
    fn locks(&mut self, document: &Coordinator, now: Duration);

    /// A message for it, from [`DocumentRef::tell_companion`](super::DocumentRef::tell_companion).
    fn message(&mut self, message: Box<dyn Any + Send>, document: &mut Host<'_>, now: Duration);

    /// When [`tick`](Self::tick) has something to do.
    fn next_tick(&self) -> Option<Duration>;

    /// Its time has come.
    fn tick(&mut self, document: &Coordinator, now: Duration);
}

/// What a companion may do to its document while it handles a message.
#[derive(Debug)]
pub struct Host<'a> {
    coordinator: &'a mut Coordinator,
    outs: Vec<Out>,
}

impl Host<'_> {
    /// The document as it is.
    #[must_use]
    pub fn document(&self) -> &Coordinator {
        self.coordinator
    }

    /// Whether `holder` may type in `section`: see [`Coordinator::may_type`].
    #[must_use]
    pub fn may_type(&self, holder: &Holder, section: SectionId, now: Duration) -> bool {
        self.coordinator.may_type(holder, section, now)
    }

    /// What an editor has made of some sections already: see [`Coordinator::typed`]. The companion is not told
    /// of it by [`Companion::decided`], only when it is kept. Answers its number; `None` if it changed nothing, or
    /// does not fit.
    pub fn typed(
        &mut self,
        holder: &Holder,
        edits: Vec<(SectionId, Changes)>,
        now: Duration,
    ) -> Option<u64> {
        let step = self.coordinator.typed(holder, edits, now);
        self.outs.extend(step.outs);
        step.answer
    }
}

impl DocumentAgent {
    /// Puts a companion beside a document, made anew for each incarnation.
    #[must_use]
    pub fn with_companion(mut self, companion: impl Companion) -> Self {
        self.companion = Some(Box::new(companion));
        self
    }

    /// Lets the companion begin, once the document is what it is.
    pub(super) fn begin_companion(&mut self, ctx: &Context<Self>) {
        if let Some(companion) = &mut self.companion {
            companion.begin(&self.coordinator, Self::now(ctx));
        }
    }

    /// Takes a message for the companion.
    pub(super) fn companion_message(&mut self, message: Box<dyn Any + Send>, ctx: &Context<Self>) {
        let Some(companion) = &mut self.companion else { return };
        let mut host = Host { coordinator: &mut self.coordinator, outs: Vec::new() };
        companion.message(message, &mut host, Self::now(ctx));
        let outs = host.outs;
        // What it made of the document it knows.
        self.companion_told = self.coordinator.seq();
        self.carry_out(outs);
    }

    /// Tells the companion what was decided in this turn.
    pub(super) fn tell_companion(&mut self, ctx: &Context<Self>) {
        let told = std::mem::replace(&mut self.companion_told, self.coordinator.seq());
        let now = Self::now(ctx);
        let Some(companion) = &mut self.companion else { return };
        for seq in told + 1..=self.coordinator.seq() {
            if let Some(update) = self.coordinator.history().get(seq) {
                companion.decided(update, &self.coordinator, now);
            }
        }
        companion.locks(&self.coordinator, now);
    }

    /// Sets the timer of the companion.
    pub(super) fn arm_companion(&mut self, ctx: &mut Context<Self>) {
        let next = self.companion.as_ref().and_then(|companion| companion.next_tick());
        if self.tick.as_ref().map(|(at, _)| *at) == next {
            return;
        }
        if let Some((_, timer)) = self.tick.take() {
            timer.cancel();
        }
        if let Some(at) = next {
            let timer = ctx.send_after(at.saturating_sub(Self::now(ctx)), DocMsg::Tick);
            self.tick = Some((at, timer));
        }
    }
}
