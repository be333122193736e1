//! What the handler of a durable agent has at hand.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use ggml_agent_core::AgentId;
use ggml_agent_core::durable::{Effects, once_key, sent_id};
use ggml_agent_core::envelope::{Envelope, MessageType, Priority};
use ggml_agent_core::id::MessageId;
use ggml_agent_core::store::{Stored, Timer};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::DurableAgent;
use super::agent::Durable;
use super::codec::{self, CodecError};
use super::engine::Engine;
use super::error::OnceError;
use crate::context::Context;
use crate::system::SystemRef;

/// One message's view of its agent.
///
/// What is sent, set and answered through it becomes durable together with the state and the
/// acknowledgement of the message, and leaves after that. If the handler fails, none of it happened.
pub struct DurableContext<'a, D: DurableAgent> {
    around: Surroundings<'a, D>,
    message: &'a Stored,
    effects: Effects,
    n_sent: u32,
}

/// What a handler runs within.
pub(super) struct Surroundings<'a, D: DurableAgent> {
    pub(super) ctx: &'a mut Context<Durable<D>>,
    pub(super) engine: &'a mut Engine,
}

impl<'a, D: DurableAgent> DurableContext<'a, D> {
    pub(super) fn new(around: Surroundings<'a, D>, message: &'a Stored) -> Self {
        let effects = Effects { is_state_dirty: true, ..Effects::default() };
        Self { around, message, effects, n_sent: 0 }
    }

    pub(super) fn into_effects(self) -> Effects {
        self.effects
    }

    /// The agent's name.
    #[must_use]
    pub fn id(&self) -> &AgentId {
        self.around.ctx.id()
    }

    /// The system it lives in.
    #[must_use]
    pub fn system(&self) -> &SystemRef {
        self.around.ctx.system()
    }

    /// The message as it was sent.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.message.envelope
    }

    /// How often the delivery of this message began before, as far as is known: 0 for the first time.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.message.attempts
    }

    fn next_id(&mut self) -> MessageId {
        let id = sent_id(self.around.ctx.id(), self.message.envelope.id, self.n_sent);
        self.n_sent += 1;
        id
    }

    fn letter(&mut self, to: AgentId, kind: MessageType, payload: Bytes) -> Envelope {
        let now_ms = self.system().clock().unix_ms();
        let from = self.id().clone();
        Envelope::new(self.next_id(), now_ms, to, kind, payload).sent_by(from)
    }

    /// Sends a message to another durable agent, after this one's commit. Its id follows from the message
    /// in hand, so that a handler that runs again sends the same one.
    ///
    /// # Errors
    /// [`CodecError`]: the message cannot be written.
    pub fn send<T: DurableAgent>(
        &mut self,
        to: &AgentId,
        message: &T::Msg,
    ) -> Result<(), CodecError> {
        let payload = codec::encode(message)?;
        self.send_envelope(to.clone(), MessageType::User, payload);
        Ok(())
    }

    /// Sends an envelope to any agent, after this message's commit. One that is not durable gets it at least
    /// once while it runs, and may get it again after a crash.
    pub fn send_envelope(&mut self, to: AgentId, kind: MessageType, payload: impl Into<Bytes>) {
        let envelope = self.letter(to, kind, payload.into());
        self.effects.outbox.push(envelope);
    }

    /// Answers whoever asks and still waits, after this message's commit.
    ///
    /// # Errors
    /// [`CodecError`]: the answer cannot be written.
    pub fn reply<R: Serialize + ?Sized>(&mut self, answer: &R) -> Result<(), CodecError> {
        let answer = codec::encode(answer)?;
        self.around.engine.reply(self.message.envelope.id, answer);
        Ok(())
    }

    /// Sends `message` to the agent itself after `delay`, by the wall clock and whatever happens until then:
    /// it fires at once after a restart that came too late. A timer of the same key is replaced.
    ///
    /// # Errors
    /// [`CodecError`]: the message cannot be written.
    pub fn send_after(
        &mut self,
        key: impl Into<String>,
        delay: Duration,
        message: &D::Msg,
    ) -> Result<(), CodecError> {
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        let due_ms = self.system().clock().unix_ms().saturating_add(delay_ms);
        self.send_at(key, due_ms, message)
    }

    /// As [`send_after`](Self::send_after), at a time: milliseconds since the Unix epoch, UTC.
    ///
    /// # Errors
    /// [`CodecError`]: the message cannot be written.
    pub fn send_at(
        &mut self,
        key: impl Into<String>,
        due_ms: u64,
        message: &D::Msg,
    ) -> Result<(), CodecError> {
        let (to, payload) = (self.id().clone(), codec::encode(message)?);
        let envelope = self.letter(to, MessageType::User, payload);
        let key = key.into();
        self.cancel(key.clone());
        self.effects.set.push(Timer { key, due_ms, envelope });
        Ok(())
    }

    /// Forgets the timer of this key, if there is one. One that has fired already has.
    pub fn cancel(&mut self, key: impl Into<String>) {
        let key = key.into();
        self.effects.set.retain(|timer| timer.key != key);
        self.effects.cancel.push(key);
    }

    /// Lets an effect outside happen once for this message: if it succeeded before, in whichever incarnation,
    /// its result is what it was. `name` tells the effects of one handler apart.
    ///
    /// The result is on disk before it is returned. A crash between the effect and that makes it happen again:
    /// give the key to whoever carries it out, so that they know.
    ///
    /// # Errors
    /// [`OnceError`].
    pub async fn once<T, E, F>(
        &mut self,
        name: &str,
        effect: impl FnOnce(IdempotencyKey) -> F,
    ) -> Result<T, OnceError<E>>
    where
        T: Serialize + DeserializeOwned,
        F: Future<Output = Result<T, E>>,
    {
        let key = once_key(self.message.envelope.id, name);
        if let Some(result) = self.around.engine.machine.result(&key) {
            return codec::decode(result).map_err(OnceError::Codec);
        }
        let result = effect(IdempotencyKey(key.clone())).await.map_err(OnceError::Effect)?;
        let bytes = codec::encode(&result).map_err(OnceError::Codec)?;
        let Surroundings { ctx, engine } = &mut self.around;
        ctx.protect(engine.record(key, bytes)).await.map_err(OnceError::Store)?;
        Ok(result)
    }

    /// Awaits something long that is no missed heartbeat: a model's answer, a person's (S33).
    pub async fn protect<T>(&self, future: impl Future<Output = T>) -> T {
        self.around.ctx.protect(future).await
    }

    /// Ends the incarnation after this message, normally. What waits stays on disk.
    pub fn stop(&mut self) {
        self.around.ctx.stop();
    }

    /// The lane that the message came by.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.message.envelope.priority
    }
}

impl<D: DurableAgent> fmt::Debug for DurableContext<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DurableContext")
            .field("id", self.id())
            .field("message", &self.message.envelope.id)
            .finish_non_exhaustive()
    }
}

/// The same text for the same effect of the same message, however often it is tried: for an
/// `Idempotency-Key` header or the like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    pub(crate) fn new(key: String) -> Self {
        Self(key)
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
