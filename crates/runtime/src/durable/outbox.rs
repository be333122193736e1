//! Messages that a commit has set free, on their way.

use std::collections::{BTreeSet, VecDeque};

use ggml_agent_core::AgentId;
use ggml_agent_core::envelope::Envelope;
use ggml_agent_core::id::MessageId;
use ggml_agent_core::limits;
use ggml_agent_core::store::{StoreError, Taken};

use super::hub::Hub;
use crate::dead_letter::{DeadLetter, Reason};
use crate::error::SendError;
use crate::system::SystemRef;

/// Messages to send, in order; they leave in order, too, per receiver.
pub(super) struct Outbox {
    waiting: VecDeque<Envelope>,
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
        while let Some(first) = self.waiting.pop_front() {
            if without_room.contains(&first.to) {
                kept.push_back(first);
                continue;
            }
            let to = first.to.clone();
            let mut page = vec![first];
            while page.len() < limits::COMMIT_MESSAGES_MAX
                && self.waiting.front().is_some_and(|next| next.to == to)
            {
                page.extend(self.waiting.pop_front());
            }
            let n = send_page(system, hub, &page, &mut sent).await;
            if n < page.len() {
                without_room.insert(to);
                kept.extend(page.drain(n..));
            }
        }
        self.waiting = kept;
    }
}

/// Sends messages to one receiver; how many have left, from the front.
async fn send_page(
    system: &SystemRef,
    hub: &Hub,
    page: &[Envelope],
    sent: &mut impl FnMut(MessageId),
) -> usize {
    let mut n = 0;
    while n < page.len() {
        let taken = hub.append_all(system, page[n..].to_vec()).await;
        let (n_taken, refused) = match taken {
            Ok(Taken { n, refused }) => (n, refused),
            Err(error) => (0, Some(error)),
        };
        page[n..n + n_taken].iter().for_each(|envelope| sent(envelope.id));
        n += n_taken;
        let Some(error) = refused else { return n };
        let has_left = match error {
            // Not a durable agent: it gets the message as any agent does.
            StoreError::UnknownMailbox { .. } => route(system, page[n].clone()),
            error if error.is_retryable() => false,
            // Its mailbox is set aside, or the envelope cannot be written: nobody can deliver it.
            _ => {
                let letter = DeadLetter::of(&page[n].to, &page[n], Reason::NotUnderstood);
                system.dead_letter(letter);
                true
            }
        };
        if !has_left {
            return n;
        }
        sent(page[n].id);
        n += 1;
    }
    n
}

/// Hands a message to an agent that is not durable; whether that is the end of it.
fn route(system: &SystemRef, envelope: Envelope) -> bool {
    match system.route(envelope) {
        // `route` has recorded one whose receiver is unknown.
        Ok(()) | Err(SendError::Unknown(_)) => true,
        Err(SendError::Full(_)) => false,
        Err(error) => {
            let reason = Reason::of_refusal(&error);
            let envelope = error.into_inner();
            system.dead_letter(DeadLetter::of(&envelope.to, &envelope, reason));
            true
        }
    }
}
