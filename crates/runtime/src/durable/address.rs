//! How a durable agent is sent to.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use ggml_agent_core::AgentId;
use ggml_agent_core::envelope::{Envelope, MessageType};
use ggml_agent_core::id::MessageId;
use ggml_agent_core::limits::PAYLOAD_LEN_MAX;
use ggml_agent_core::store::{Accepted, StoreError};
use serde::de::DeserializeOwned;

use super::DurableAgent;
use super::codec;
use super::error::{DurableAskError, DurableSendError};
use super::hub::Hub;
use crate::address::ASK_DEADLINE_DEFAULT;
use crate::system::SystemRef;
use crate::time;

/// How long a send waits for room in a full mailbox.
const SEND_WAIT_DEFAULT: Duration = Duration::from_secs(5);

/// The address of a durable agent: of its mailbox on disk, which is there whether the agent runs or not.
pub struct DurableAddr<D> {
    system: SystemRef,
    id: AgentId,
    /// An address is no agent: it may be sent to other threads whatever the agent is.
    agent: PhantomData<fn() -> D>,
}

impl<D: DurableAgent> DurableAddr<D> {
    pub(crate) fn new(system: SystemRef, id: AgentId) -> Self {
        Self { system, id, agent: PhantomData }
    }

    /// The agent's name.
    #[must_use]
    pub fn id(&self) -> &AgentId {
        &self.id
    }

    /// The envelope of a message, with its id: for who wants to be able to
    /// [deliver](SystemRef::deliver) the same one again.
    ///
    /// # Errors
    /// [`DurableSendError::Codec`].
    pub fn envelope(&self, message: &D::Msg) -> Result<Envelope, DurableSendError> {
        let payload = codec::encode(message)?;
        Ok(self.system.envelope(self.id.clone(), MessageType::User, payload))
    }

    /// Sends a message. `Ok`, with its id, means that it is on disk, and will be handled whatever happens.
    /// Waits for up to 5 s for room in a full mailbox.
    ///
    /// # Errors
    /// [`DurableSendError`] has the message.
    ///
    /// # Cancel safety
    /// If the future is dropped, the message may be sent or not.
    pub async fn send(&self, message: &D::Msg) -> Result<MessageId, DurableSendError> {
        self.system.deliver(self.envelope(message)?).await
    }

    /// Asks, and waits for up to 5 s for an answer of type `R`.
    ///
    /// # Errors
    /// [`DurableAskError`].
    pub async fn ask<R: DeserializeOwned>(&self, message: &D::Msg) -> Result<R, DurableAskError> {
        self.ask_within(ASK_DEADLINE_DEFAULT, message).await
    }

    /// As [`ask`](Self::ask), with a deadline of your choice.
    ///
    /// # Errors
    /// [`DurableAskError`].
    pub async fn ask_within<R: DeserializeOwned>(
        &self,
        deadline: Duration,
        message: &D::Msg,
    ) -> Result<R, DurableAskError> {
        let question = self.envelope(message)?;
        let id = question.id;
        let hub = self.system.durable_hub().ok_or(DurableSendError::NoStore)?;
        let answer = hub.await_answer(id);
        let _asker = Asker { hub: &hub, id };
        let asked = async {
            self.system.deliver(question).await?;
            match answer.await {
                Ok(Some(answer)) => Ok(codec::decode(&answer)?),
                Ok(None) | Err(_) => Err(DurableAskError::NoReply),
            }
        };
        match time::within(deadline, asked).await {
            Some(answer) => answer,
            None => Err(DurableAskError::Indeterminate { id, after: deadline }),
        }
    }
}

/// Forgets an asker that has left.
struct Asker<'a> {
    hub: &'a Hub,
    id: MessageId,
}

impl Drop for Asker<'_> {
    fn drop(&mut self) {
        self.hub.forget_asker(self.id);
    }
}

/// Puts `envelope` into the durable mailbox of its receiver, and waits for room if it has to.
pub(crate) async fn deliver(
    system: &SystemRef,
    envelope: Envelope,
) -> Result<MessageId, DurableSendError> {
    let len = envelope.payload.len();
    if len > PAYLOAD_LEN_MAX {
        return Err(ggml_agent_core::envelope::EncodeError::PayloadTooLong { len }.into());
    }
    let hub = system.durable_hub().ok_or(DurableSendError::NoStore)?;
    let mut refused = match hub.append(system, envelope.clone()).await {
        Err(cause @ StoreError::Full { .. }) => cause,
        other => return accepted(other, envelope),
    };
    let retried = async {
        loop {
            let Some(link) = hub.known_link(&envelope.to) else { return Err(refused.clone()) };
            // Registered before the mailbox is tried again, so that room in between is heard of.
            let mut room = std::pin::pin!(link.room.notified());
            room.as_mut().enable();
            match hub.append(system, envelope.clone()).await {
                Err(cause @ StoreError::Full { .. }) => refused = cause,
                other => return other,
            }
            room.await;
        }
    };
    match time::within(SEND_WAIT_DEFAULT, retried).await {
        Some(other) => accepted(other, envelope),
        None => Err(DurableSendError::Refused { envelope: Box::new(envelope), cause: refused }),
    }
}

/// The id of `envelope`, or what the store has against it.
pub(crate) fn accepted(
    answer: Result<Accepted, StoreError>,
    envelope: Envelope,
) -> Result<MessageId, DurableSendError> {
    match answer {
        // What is there twice is there.
        Ok(Accepted::At(_) | Accepted::Duplicate) => Ok(envelope.id),
        Ok(Accepted::Dropped) => {
            Err(DurableSendError::Dropped { to: envelope.to, id: envelope.id })
        }
        Err(cause) => Err(DurableSendError::Refused { envelope: Box::new(envelope), cause }),
    }
}

impl<D> Clone for DurableAddr<D> {
    fn clone(&self) -> Self {
        Self { system: self.system.clone(), id: self.id.clone(), agent: PhantomData }
    }
}

impl<D> fmt::Debug for DurableAddr<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DurableAddr").field(&self.id).finish()
    }
}
