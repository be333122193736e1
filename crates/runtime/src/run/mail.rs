//! What is sent to runs: signals, and the wish that one ends.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use bytes::Bytes;
use ggml_agent_core::envelope::{EncodeError, Envelope, MessageType, Priority};
use ggml_agent_core::id::{MessageId, MessageIds};
use ggml_agent_core::limits::PAYLOAD_LEN_MAX;
use ggml_agent_core::seam::Clock;
use ggml_agent_core::store::{Position, StoreError};
use serde::{Deserialize, Serialize};

use super::shelf::{PAGE_LEN, Runs, agent_of};
use crate::durable::{CodecError, DurableSendError, accepted, codec};
use crate::system::SystemRef;
use crate::time::TokioClock;

/// What is sent to a run. Its form on disk is CBOR; kinds are added, never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum RunMail {
    /// A signal, for which its flow waits now or later.
    Signal {
        /// Its name.
        name: String,
        /// What comes with it, in CBOR.
        payload: Bytes,
    },
    /// It is to end.
    Cancel,
}

impl RunMail {
    fn signal<T: Serialize + ?Sized>(name: &str, payload: &T) -> Result<Self, CodecError> {
        Ok(Self::Signal { name: name.to_owned(), payload: codec::encode(payload)? })
    }
}

/// A message to a run that it has not taken yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untaken {
    /// When it was sent, in milliseconds since the Unix epoch.
    pub sent_ms: u64,
    /// What it says.
    pub mail: Result<RunMail, CodecError>,
}

impl Runs {
    /// Sends a signal to a run that nobody runs in this process: it is taken when the run goes on. `Ok` means
    /// that it is in the store. Where a system may have the run, use [`SystemRef::signal`], which wakes it.
    ///
    /// # Errors
    /// [`DurableSendError`].
    pub async fn signal<T: Serialize + ?Sized>(
        &self,
        run: &str,
        name: &str,
        payload: &T,
    ) -> Result<MessageId, DurableSendError> {
        self.tell(run, &RunMail::signal(name, payload)?).await
    }

    /// Cancels a run that nobody runs in this process: when it is begun again, none of its steps is. `Ok`
    /// means that the wish is in the store. Where a system may have the run, use [`SystemRef::cancel_run`],
    /// which wakes it.
    ///
    /// # Errors
    /// [`DurableSendError`].
    pub async fn cancel(&self, run: &str) -> Result<MessageId, DurableSendError> {
        self.tell(run, &RunMail::Cancel).await
    }

    /// What was sent to a run that it has not taken yet, in order: the first 256 of each lane.
    ///
    /// # Errors
    /// That of the store; nothing is there if there is no run of this name.
    pub async fn untaken(&self, run: &str) -> Result<Vec<Untaken>, StoreError> {
        let Ok(agent) = agent_of(run) else { return Ok(Vec::new()) };
        let mut untaken = Vec::new();
        for lane in [Priority::High, Priority::Normal] {
            let page = self.store.messages(agent.clone(), lane, Position(0), PAGE_LEN).await;
            let page = match page {
                Err(StoreError::UnknownMailbox { .. }) => return Ok(untaken),
                page => page?,
            };
            untaken.extend(page.into_iter().map(|message| Untaken {
                sent_ms: message.envelope.timestamp_ms,
                mail: read(&message.envelope.payload),
            }));
        }
        Ok(untaken)
    }

    async fn tell(&self, run: &str, mail: &RunMail) -> Result<MessageId, DurableSendError> {
        let payload = codec::encode(mail)?;
        let len = payload.len();
        if len > PAYLOAD_LEN_MAX {
            return Err(EncodeError::PayloadTooLong { len }.into());
        }
        let now_ms = TokioClock::new().unix_ms();
        // Another process may send in the same millisecond: its ids must be others.
        let id = MessageIds::new(RandomState::new().hash_one(now_ms)).next(now_ms);
        let envelope = Envelope::new(id, now_ms, agent_of(run)?, MessageType::User, payload);
        accepted(self.store.append(envelope.clone()).await, envelope)
    }
}

impl SystemRef {
    /// Sends a signal to a run, for which its flow waits now or later. `Ok` means that it is on disk.
    ///
    /// # Errors
    /// [`DurableSendError`].
    pub async fn signal<T: Serialize + ?Sized>(
        &self,
        run: &str,
        name: &str,
        payload: &T,
    ) -> Result<MessageId, DurableSendError> {
        self.tell_run(run, &RunMail::signal(name, payload)?).await
    }

    /// Cancels a run: the step in hand is dropped at its next await point, and nothing follows. `Ok` means
    /// that the wish is on disk.
    ///
    /// # Errors
    /// [`DurableSendError`].
    pub async fn cancel_run(&self, run: &str) -> Result<MessageId, DurableSendError> {
        self.tell_run(run, &RunMail::Cancel).await
    }

    async fn tell_run(&self, run: &str, mail: &RunMail) -> Result<MessageId, DurableSendError> {
        let payload = codec::encode(mail)?;
        self.deliver(self.envelope(agent_of(run)?, MessageType::User, payload)).await
    }
}

/// What a message to a run says.
pub(super) fn read(payload: &[u8]) -> Result<RunMail, CodecError> {
    codec::decode(payload)
}
