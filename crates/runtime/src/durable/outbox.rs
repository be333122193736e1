//! Messages that a commit has set free, on their way.

use std::collections::{BTreeSet, VecDeque};

use ggml_agent_core::AgentId;
use ggml_agent_core::envelope::Envelope;
use ggml_agent_core::id::MessageId;
use ggml_agent_core::limits;
use ggml_agent_core::store::StoreError;

use super::hub::Hub;
use crate::dead_letter::{DeadLetter, Reason};
use crate::error::SendError;
use crate::system::SystemRef;

/// Messages to send, in order; they leave in order, too, per receiver.
pub(super) struct Outbox {
    waiting: VecDeque<Envelope>,
}

/// What became of one.
enum Sent {
    Yes,
    /// Its receiver has no room now.
    Later(Envelope),
}

impl Outbox {
    pub(super) fn new(unsent: Vec<Envelope>) -> Self {
        Self { waiting: unsent.into() }
    }

    pub(super) fn extend(&mut self, envelopes: Vec<Envelope>) {
        self.waiting.extend(envelopes);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= limits::OUTBOX_LEN_MAX
    }

    /// Sends what can be sent. A receiver without room keeps back what is for it, and nothing else.
    ///
    /// # Cancel safety
    /// What was not reported as sent is sent again by the next incarnation, with the same ids.
    pub(super) async fn send(
        &mut self,
        system: &SystemRef,
        hub: &Hub,
        mut sent: impl FnMut(MessageId),
    ) {
        let mut without_room = BTreeSet::<AgentId>::new();
        let mut kept = VecDeque::new();
        while let Some(envelope) = self.waiting.pop_front() {
            if without_room.contains(&envelope.to) {
                kept.push_back(envelope);
                continue;
            }
            let id = envelope.id;
            match send_one(system, hub, envelope).await {
                Sent::Yes => sent(id),
                Sent::Later(envelope) => {
                    without_room.insert(envelope.to.clone());
                    kept.push_back(envelope);
                }
            }
        }
        self.waiting = kept;
    }
}

async fn send_one(system: &SystemRef, hub: &Hub, envelope: Envelope) -> Sent {
    match hub.append(system, envelope.clone()).await {
        Ok(_) => Sent::Yes,
        // Not a durable agent: it gets the message as any agent does.
        Err(StoreError::UnknownMailbox { .. }) => route(system, envelope),
        Err(error) if error.is_retryable() => Sent::Later(envelope),
        // Its mailbox is set aside, or the envelope cannot be written: nobody can deliver it.
        Err(_) => {
            let letter = DeadLetter::of(&envelope.to, &envelope, Reason::NotUnderstood);
            system.dead_letter(letter);
            Sent::Yes
        }
    }
}

fn route(system: &SystemRef, envelope: Envelope) -> Sent {
    match system.route(envelope) {
        Ok(()) => Sent::Yes,
        Err(SendError::Full(envelope)) => Sent::Later(envelope),
        // `route` has recorded it.
        Err(SendError::Unknown(_)) => Sent::Yes,
        Err(error) => {
            let reason = Reason::of_refusal(&error);
            let envelope = error.into_inner();
            system.dead_letter(DeadLetter::of(&envelope.to, &envelope, reason));
            Sent::Yes
        }
    }
}
