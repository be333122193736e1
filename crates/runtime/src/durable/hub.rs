//! What the durable agents of a system share: the store, and who waits for what.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;
use ggml_agent_core::AgentId;
use ggml_agent_core::envelope::{Envelope, Priority};
use ggml_agent_core::id::MessageId;
use ggml_agent_core::store::{Accepted, Position, StoreError, StoreRef, Taken, Write};
use tokio::sync::{Notify, oneshot};

use super::agent::Nudge;
use crate::system::SystemRef;

/// What the durable agents of a system share.
pub(crate) struct Hub {
    store: StoreRef,
    /// One per durable agent that was begun here: as many as the store has mailboxes.
    links: RwLock<BTreeMap<AgentId, Arc<Link>>>,
    /// Who waits for an answer, by question.
    askers: Mutex<BTreeMap<MessageId, oneshot::Sender<Option<Bytes>>>>,
}

/// What senders and one durable agent know of each other.
#[derive(Debug, Default)]
pub(crate) struct Link {
    /// Where something has arrived, and whether the agent was told.
    news: AtomicU8,
    /// Told when there may be room in the mailbox again.
    pub(super) room: Notify,
    /// Told with everything that arrives.
    pub(crate) arrived: Notify,
    /// What the newest incarnation has in hand; `None` before there was one in this process.
    in_hand: Mutex<Option<Option<Position>>>,
}

const HIGH: u8 = 1;
const NORMAL: u8 = 2;
const TOLD: u8 = 4;

impl Link {
    /// Where something has arrived since the last call; whatever comes now is told anew.
    pub(crate) fn take_news(&self) -> impl Iterator<Item = Priority> {
        // Acquire: what was appended before the flag was raised is seen by the read that follows.
        let news = self.news.swap(0, Ordering::AcqRel);
        let lanes = [(HIGH, Priority::High), (NORMAL, Priority::Normal)];
        lanes.into_iter().filter(move |(bit, _)| news & bit != 0).map(|(_, lane)| lane)
    }

    /// Notes that something arrived; true if the agent must be told.
    fn note(&self, lane: Priority) -> bool {
        let bit = match lane {
            Priority::High => HIGH,
            Priority::Normal => NORMAL,
        };
        self.news.fetch_or(bit | TOLD, Ordering::AcqRel) & TOLD == 0
    }

    pub(super) fn set_in_hand(&self, position: Option<Position>) {
        *self.in_hand.lock().unwrap_or_else(PoisonError::into_inner) = Some(position);
    }

    /// What was in hand when the last incarnation ended, as [`Open`](ggml_agent_core::store::Open) takes it.
    pub(super) fn last_in_hand(&self) -> Option<Vec<Position>> {
        let in_hand = *self.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        in_hand.map(|position| position.into_iter().collect())
    }
}

impl Hub {
    pub(crate) fn new(store: StoreRef) -> Self {
        Self { store, links: RwLock::default(), askers: Mutex::default() }
    }

    pub(crate) fn store(&self) -> &StoreRef {
        &self.store
    }

    /// The link of an agent that begins.
    pub(crate) fn link(&self, agent: &AgentId) -> Arc<Link> {
        if let Some(link) = self.known_link(agent) {
            return link;
        }
        let mut links = self.links.write().unwrap_or_else(PoisonError::into_inner);
        links.entry(agent.clone()).or_default().clone()
    }

    /// The link of an agent that was begun in this process.
    pub(super) fn known_link(&self, agent: &AgentId) -> Option<Arc<Link>> {
        self.links.read().unwrap_or_else(PoisonError::into_inner).get(agent).cloned()
    }

    /// Appends `envelope`, and tells its agent.
    ///
    /// # Cancel safety
    /// If the future is dropped, the envelope may be in the mailbox or not; its agent looks.
    pub(super) async fn append(
        &self,
        system: &SystemRef,
        envelope: Envelope,
    ) -> Result<Accepted, StoreError> {
        let (to, lane) = (envelope.to.clone(), envelope.priority);
        // The write is begun here, so the read of whoever is told sees it.
        let answer = self.store.append(envelope);
        // Without a link nobody runs; whoever begins reads everything.
        let Some(link) = self.known_link(&to) else { return answer.await };
        let mut news = News { system, link: &link, to: &to, lane, is_some: true };
        let accepted = answer.await;
        news.is_some = matches!(accepted, Ok(Accepted::At(_)));
        accepted
    }

    /// Appends envelopes to one receiver, in order, until one is refused, and tells its agent.
    ///
    /// # Cancel safety
    /// As [`append`](Self::append).
    pub(super) async fn append_all(
        &self,
        system: &SystemRef,
        envelopes: Vec<Envelope>,
    ) -> Result<Taken, StoreError> {
        let to = envelopes.first().map(|first| first.to.clone());
        let lanes: BTreeSet<_> = envelopes.iter().map(|envelope| envelope.priority).collect();
        let answer = self.store.append_all(envelopes);
        let Some(to) = to else { return answer.await };
        let Some(link) = self.known_link(&to) else { return answer.await };
        let news = |lane| News { system, link: &link, to: &to, lane, is_some: true };
        let mut news: Vec<_> = lanes.into_iter().map(news).collect();
        let taken = answer.await;
        let is_some = matches!(taken, Ok(Taken { n: 1.., .. }));
        news.iter_mut().for_each(|news| news.is_some = is_some);
        taken
    }

    /// Sends a dead letter again, and tells its agent.
    pub(crate) async fn resend(&self, system: &SystemRef, number: u64) -> Result<(), StoreError> {
        let letters = self.store.dead_letters(number.saturating_sub(1), 1).await?;
        let letter = letters.into_iter().find(|letter| letter.number == number);
        self.store.settle(Write::Resend { number }).await?;
        if let Some(envelope) = letter.map(|letter| letter.envelope)
            && let Some(link) = self.known_link(&envelope.to)
        {
            tell(system, &link, &envelope.to, envelope.priority);
        }
        Ok(())
    }

    /// Waits for the answer to `question`.
    pub(super) fn await_answer(&self, question: MessageId) -> oneshot::Receiver<Option<Bytes>> {
        let (asker, answer) = oneshot::channel();
        self.askers.lock().unwrap_or_else(PoisonError::into_inner).insert(question, asker);
        answer
    }

    /// Nobody waits any more.
    pub(super) fn forget_asker(&self, question: MessageId) {
        self.askers.lock().unwrap_or_else(PoisonError::into_inner).remove(&question);
    }

    /// Gives the answer to whoever waits, if anybody does.
    pub(super) fn answer(&self, question: MessageId, answer: Option<Bytes>) {
        let asker = self.askers.lock().unwrap_or_else(PoisonError::into_inner).remove(&question);
        if let Some(asker) = asker {
            // Who has left hears nothing.
            drop(asker.send(answer));
        }
    }
}

/// Tells an agent of its mail when it is dropped, be that after the answer or because nobody waits for it.
struct News<'a> {
    system: &'a SystemRef,
    link: &'a Link,
    to: &'a AgentId,
    lane: Priority,
    is_some: bool,
}

impl Drop for News<'_> {
    fn drop(&mut self) {
        if self.is_some {
            tell(self.system, self.link, self.to, self.lane);
        }
    }
}

/// Lets an agent look at a lane.
pub(super) fn tell(system: &SystemRef, link: &Link, to: &AgentId, lane: Priority) {
    let is_untold = link.note(lane);
    link.arrived.notify_one();
    if is_untold {
        // Refused when it does not run: then it looks when it is begun. Its mailbox is never full, since
        // one nudge stands in it at most.
        drop(system.tell(to, Nudge::look()));
    }
}
