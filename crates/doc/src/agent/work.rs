//! The calls that look back or propose: who wrote what, old texts, reverts, suggestions, streams, the outline.
//!
//! Each is a job that the document's agent does in one turn. Its answer goes through the gate as every other: of a
//! durable document nothing is seen that is not kept, old texts and lists of suggestions included.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use ggml_agent::{Context, Reply};
use ggml_agent_core::lease::Token;

use super::client::{CallError, Client, DocumentRef};
use super::effect::Effect;
use super::{DocMsg, DocumentAgent};
use crate::coordinator::{
    Accepted, BlameRun, Coordinator, DiffSpan, EditError, Holder, OutlineError, OutlineView,
    PastError, Pushed, Restructure, Restructured, Revert, RevertError, Reverted, Step, StreamError,
    StreamId, StreamOpen, Suggest, SuggestError, Suggestion, SuggestionId,
};
use crate::rope::Text;
use crate::section::SectionId;

/// What the agent does in its turn; without a turn, since its store does not keep up, it only says so.
type Job = Box<dyn FnOnce(Option<(&mut DocumentAgent, &mut Context<DocumentAgent>)>) + Send>;

/// A job for a document's agent, with its answer.
pub struct Work(Job);

impl Work {
    fn new<T, E>(
        job: impl FnOnce(&mut DocumentAgent, &mut Context<DocumentAgent>) -> Result<T, E>
        + Send
        + 'static,
        reply: Reply<Result<T, E>>,
    ) -> Self
    where
        T: Send + 'static,
        E: Refusal,
    {
        Self(Box::new(move |turn| match turn {
            Some((document, ctx)) => {
                let answer = job(document, ctx);
                document.hold(Effect::answer(reply, answer));
            }
            None => reply.send(Err(E::unsaved())),
        }))
    }

    pub(super) fn carry_out(self, document: &mut DocumentAgent, ctx: &mut Context<DocumentAgent>) {
        (self.0)(Some((document, ctx)));
    }

    /// Nothing can be decided now.
    pub(super) fn turn_away(self) {
        (self.0)(None);
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Work")
    }
}

/// An error that can say that the store has not kept up.
trait Refusal: Send + 'static {
    fn unsaved() -> Self;
}

macro_rules! refused_as_an_edit {
    ($($error:ty),*) => {
        $(impl Refusal for $error {
            fn unsaved() -> Self {
                EditError::Unsaved.into()
            }
        })*
    };
}

refused_as_an_edit!(OutlineError, RevertError, StreamError, SuggestError);

impl Refusal for PastError {
    fn unsaved() -> Self {
        Self::Unsaved
    }
}

impl DocumentAgent {
    /// Lets the coordinator decide, and everybody see what it decided.
    fn decide<T>(
        &mut self,
        ctx: &Context<Self>,
        command: impl FnOnce(&mut Coordinator, Duration) -> Step<T>,
    ) -> T {
        let Step { answer, outs } = command(&mut self.coordinator, Self::now(ctx));
        self.carry_out(outs);
        answer
    }
}

impl DocumentRef {
    async fn work<T, E>(
        &self,
        job: impl FnOnce(&mut DocumentAgent, &mut Context<DocumentAgent>) -> Result<T, E>
        + Send
        + 'static,
    ) -> Result<T, CallError<E>>
    where
        T: Send + 'static,
        E: Refusal,
    {
        self.call(|reply| DocMsg::Work(Work::new(job, reply))).await
    }

    /// What the coordinator decides about `command`.
    async fn decided<T, E>(
        &self,
        holder: &Holder,
        command: impl FnOnce(&mut Coordinator, &Holder, Duration) -> Step<Result<T, E>> + Send + 'static,
    ) -> Result<T, CallError<E>>
    where
        T: Send + 'static,
        E: Refusal,
    {
        let holder = holder.clone();
        self.work(move |document, ctx| {
            document.decide(ctx, |coordinator, now| command(coordinator, &holder, now))
        })
        .await
    }

    /// Who wrote the text of a section, from its first byte to its last (D18).
    ///
    /// # Errors
    /// [`CallError::Refused`] when there is no such section.
    pub async fn blame(&self, section: SectionId) -> Result<Vec<BlameRun>, CallError<PastError>> {
        let unknown = PastError::UnknownSection { section };
        self.work(move |document, _| document.coordinator.blame(section).ok_or(unknown)).await
    }

    /// The text of a section at one of its versions (D10).
    ///
    /// # Errors
    /// [`CallError::Refused`] when that version is not remembered.
    pub async fn text_at(
        &self,
        section: SectionId,
        version: u64,
    ) -> Result<Text, CallError<PastError>> {
        self.work(move |document, _| document.coordinator.text_at(section, version)).await
    }

    /// What differs between two versions of a section (D10).
    ///
    /// # Errors
    /// [`CallError::Refused`] when one of them is not remembered.
    pub async fn diff(
        &self,
        section: SectionId,
        from: u64,
        to: u64,
    ) -> Result<Vec<DiffSpan>, CallError<PastError>> {
        self.work(move |document, _| document.coordinator.diff(section, from, to)).await
    }

    /// The sections without their texts, with the version that [`Self::restructure`] asks for (D22).
    ///
    /// # Errors
    /// [`CallError`] when the document cannot answer now.
    pub async fn outline(&self) -> Result<OutlineView, CallError<PastError>> {
        self.work(|document, _| Ok(document.coordinator.outline())).await
    }

    /// Changes the sections (D22).
    ///
    /// # Errors
    /// [`CallError::Refused`] says why, and that nothing was changed.
    pub async fn restructure(
        &self,
        holder: &Holder,
        wish: Restructure,
    ) -> Result<Restructured, CallError<OutlineError>> {
        self.decided(holder, |document, holder, now| document.restructure(holder, wish, now)).await
    }

    /// Takes updates back (D19).
    ///
    /// # Errors
    /// [`CallError::Refused`] says why, and that nothing was changed.
    pub async fn revert(
        &self,
        holder: &Holder,
        revert: Revert,
    ) -> Result<Reverted, CallError<RevertError>> {
        self.decided(holder, |document, holder, now| document.revert(holder, revert, now)).await
    }

    /// Takes back the caller's newest update (D10). `tokens` are the locks that it has.
    ///
    /// # Errors
    /// [`CallError::Refused`] says why, and that nothing was changed.
    pub async fn undo_own(
        &self,
        holder: &Holder,
        tokens: BTreeMap<SectionId, Token>,
    ) -> Result<Reverted, CallError<RevertError>> {
        self.decided(holder, move |document, holder, now| document.undo_own(holder, &tokens, now))
            .await
    }

    /// Proposes a change (D20).
    ///
    /// # Errors
    /// [`CallError::Refused`] says why, and that nothing was changed.
    pub async fn suggest(
        &self,
        holder: &Holder,
        suggest: Suggest,
    ) -> Result<SuggestionId, CallError<SuggestError>> {
        self.decided(holder, |document, holder, now| document.suggest(holder, suggest, now)).await
    }

    /// Makes a suggestion part of the text (D20).
    ///
    /// # Errors
    /// [`CallError::Refused`] says why, and that the suggestion is still there.
    pub async fn accept(
        &self,
        holder: &Holder,
        id: SuggestionId,
        token: Option<Token>,
    ) -> Result<Accepted, CallError<SuggestError>> {
        self.decided(holder, move |document, holder, now| document.accept(holder, id, token, now))
            .await
    }

    /// Says no to a suggestion (D20).
    ///
    /// # Errors
    /// [`CallError::Refused`] says why, and that the suggestion is still there.
    pub async fn reject(
        &self,
        holder: &Holder,
        id: SuggestionId,
    ) -> Result<(), CallError<SuggestError>> {
        self.decided(holder, move |document, holder, now| document.reject(holder, id, now)).await
    }

    /// Takes a suggestion of one's own back (D20).
    ///
    /// # Errors
    /// [`CallError::Refused`] says why, and that the suggestion is still there.
    pub async fn withdraw(
        &self,
        holder: &Holder,
        id: SuggestionId,
    ) -> Result<(), CallError<SuggestError>> {
        self.decided(holder, move |document, holder, now| document.withdraw(holder, id, now)).await
    }

    /// The suggestions for a section, each with what it would change; without that where it is stale (D20).
    ///
    /// # Errors
    /// [`CallError`] when the document cannot answer now.
    pub async fn suggestions(
        &self,
        section: SectionId,
    ) -> Result<Vec<(Suggestion, Option<Vec<DiffSpan>>)>, CallError<PastError>> {
        self.work(move |document, _| {
            let document = &document.coordinator;
            let shown = |one: &Suggestion| (one.clone(), document.preview(one.id));
            Ok(document.suggestions(section).map(shown).collect())
        })
        .await
    }

    /// Opens a stream, which ends with the client (D21).
    ///
    /// # Errors
    /// [`CallError::Refused`] says why.
    pub async fn stream_open(
        &self,
        client: &Client,
        open: StreamOpen,
    ) -> Result<StreamId, CallError<StreamError>> {
        let client = client.clone();
        self.work(move |document, ctx| {
            document.meet(&client, ctx);
            document
                .decide(ctx, |coordinator, now| coordinator.stream_open(&client.holder, open, now))
        })
        .await
    }

    /// Hands over the next piece of a stream. It is written with the others of the same 50 ms; what goes wrong
    /// then is the answer of the next call (D21).
    ///
    /// # Errors
    /// [`CallError::Refused`]: this piece was not taken; those before it were, and are tried again with the next
    /// call.
    pub async fn stream_push(
        &self,
        holder: &Holder,
        stream: StreamId,
        text: impl Into<String>,
    ) -> Result<(), CallError<StreamError>> {
        let (holder, text) = (holder.clone(), text.into());
        self.work(move |document, ctx| document.stream_push(&holder, stream, &text, ctx)).await
    }

    /// Ends a stream; its text is complete (D21).
    ///
    /// # Errors
    /// [`CallError::Refused`]: what waits could not be written, and the stream is still open.
    pub async fn stream_commit(
        &self,
        holder: &Holder,
        stream: StreamId,
    ) -> Result<Pushed, CallError<StreamError>> {
        let holder = holder.clone();
        self.work(move |document, ctx| document.stream_commit(&holder, stream, ctx)).await
    }

    /// Ends a stream and takes its words out again (D21).
    ///
    /// # Errors
    /// [`CallError::Refused`]: the words and the stream are still there.
    pub async fn stream_abort(
        &self,
        holder: &Holder,
        stream: StreamId,
    ) -> Result<Reverted, CallError<StreamError>> {
        let holder = holder.clone();
        self.work(move |document, ctx| document.stream_abort(&holder, stream, ctx)).await
    }
}
