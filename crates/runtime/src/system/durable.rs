//! A system's side of what is durable.

use std::sync::Arc;

use ggml_agent_core::envelope::Envelope;
use ggml_agent_core::id::MessageId;
use ggml_agent_core::store::{StoreError, StoreRef};

use super::SystemRef;
use crate::durable::hub::Hub;
use crate::durable::{DurableAddr, DurableAgent, DurableSendError, deliver};

impl SystemRef {
    /// The address of a durable agent, whether it runs or not.
    ///
    /// # Errors
    /// [`DurableSendError::NoStore`] and [`DurableSendError::Id`].
    pub fn durable<D: DurableAgent>(&self, id: &str) -> Result<DurableAddr<D>, DurableSendError> {
        if self.core.durable.is_none() {
            return Err(DurableSendError::NoStore);
        }
        Ok(DurableAddr::new(self.clone(), id.parse()?))
    }

    /// Puts an envelope into the durable mailbox of its receiver. `Ok` means that it is on disk, now or since
    /// an earlier call with the same id. Waits for up to 5 s for room.
    ///
    /// # Errors
    /// [`DurableSendError`] has the envelope.
    ///
    /// # Cancel safety
    /// If the future is dropped, the envelope may be delivered or not: deliver it again, by its id it is known.
    pub async fn deliver(&self, envelope: Envelope) -> Result<MessageId, DurableSendError> {
        deliver(self, envelope).await
    }

    /// Puts a durable dead letter back into the mailbox that it came from, and lets its agent know.
    ///
    /// # Errors
    /// [`StoreError::UnknownDeadLetter`], or that of the engine; [`StoreError::Closed`] without a store.
    pub async fn resend_dead_letter(&self, number: u64) -> Result<(), StoreError> {
        match &self.core.durable {
            Some(hub) => hub.resend(self, number).await,
            None => Err(StoreError::Closed),
        }
    }

    /// Where durable agents are kept.
    #[must_use]
    pub fn store(&self) -> Option<&StoreRef> {
        self.core.durable.as_deref().map(Hub::store)
    }

    pub(crate) fn durable_hub(&self) -> Option<Arc<Hub>> {
        self.core.durable.clone()
    }
}
