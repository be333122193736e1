//! What a durable agent's machine commands, carried out: reads, commits, and what they set free.

use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use ggml_agent_core::durable::{Machine, Released, Rules, Step};
use ggml_agent_core::envelope::{Envelope, Priority};
use ggml_agent_core::id::MessageId;
use ggml_agent_core::store::{Bounds, Commit, Open, Opened, Revision, Snapshot, StoreError};

use super::delay::DelayTeller;
use super::hub::{Hub, Link};
use super::outbox::Outbox;
use crate::dead_letter::{DeadLetter, Reason};
use crate::system::SystemRef;
use crate::time;

/// How long a commit waits that the disk had no room for, until it is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// One incarnation's way to its store.
pub(super) struct Engine {
    pub(super) machine: Machine,
    pub(super) link: Arc<Link>,
    system: SystemRef,
    hub: Arc<Hub>,
    /// Commits that were begun, eldest first. They are kept until they are answered, since one that was
    /// refused for want of room is tried again.
    in_flight: VecDeque<(Commit, Pending)>,
    outbox: Outbox,
    delays: DelayTeller,
    /// Answers to questions, until what they answer is committed.
    replies: BTreeMap<MessageId, Bytes>,
    /// The state as the newest commit has it.
    saved: Option<Bytes>,
    /// A handler has begun and not ended well: the agent's value is in between two states.
    pub(super) is_broken: bool,
}

type Pending = Pin<Box<dyn Future<Output = Result<Revision, StoreError>> + Send>>;

impl Engine {
    /// Begins an incarnation.
    ///
    /// # Errors
    /// That of the store.
    pub(super) async fn open(
        system: &SystemRef,
        hub: Arc<Hub>,
        link: Arc<Link>,
        bounds: Bounds,
        rules: Rules,
        agent: &ggml_agent_core::AgentId,
    ) -> Result<(Self, Opened), StoreError> {
        let open = Open { agent: agent.clone(), bounds, in_hand: link.last_in_hand() };
        let opened = hub.store().open(open).await?;
        link.set_in_hand(None);
        let (machine, unsent) = Machine::new(agent.clone(), &opened, rules);
        let engine = Self {
            machine,
            link,
            system: system.clone(),
            hub,
            in_flight: VecDeque::new(),
            outbox: Outbox::new(unsent),
            delays: DelayTeller::default(),
            replies: BTreeMap::new(),
            saved: opened.snapshot.as_ref().map(|snapshot| snapshot.bytes.clone()),
            is_broken: false,
        };
        Ok((engine, opened))
    }

    /// What to do next, after everything that has been heard of.
    pub(super) fn next(&mut self) -> Step {
        for lane in self.link.take_news() {
            self.machine.arrived(lane);
        }
        self.machine.next(self.system.clock().unix_ms())
    }

    /// Reads a page of a lane.
    ///
    /// # Errors
    /// That of the store.
    pub(super) async fn fetch(
        &mut self,
        agent: &ggml_agent_core::AgentId,
        lane: Priority,
        after: ggml_agent_core::store::Position,
        limit: usize,
    ) -> Result<(), StoreError> {
        let page = self.hub.store().messages(agent.clone(), lane, after, limit).await?;
        self.machine.fetched(lane, page);
        Ok(())
    }

    /// Makes an envelope durable that came by the untyped road. One that the store refuses is a dead letter:
    /// its sender has gone.
    pub(super) async fn take_in(&mut self, envelope: Envelope) {
        let taken = self.hub.append(&self.system, envelope.clone()).await;
        if let Err(error) = taken {
            let reason = match error {
                StoreError::Full { .. } => Reason::Full,
                _ => Reason::Unknown,
            };
            self.system.dead_letter(DeadLetter::of(&envelope.to, &envelope, reason));
        }
    }

    /// Keeps the answer to `question` until it may be given.
    pub(super) fn reply(&mut self, question: MessageId, answer: Bytes) {
        self.replies.insert(question, answer);
    }

    /// Forgets the answers of a handler that failed.
    pub(super) fn take_back(&mut self, question: MessageId) {
        self.replies.remove(&question);
    }

    /// Begins a commit of everything since the last one; `state` is the agent's.
    pub(super) fn commit(&mut self, version: u32, state: Option<Bytes>) {
        // A state that is as it was need not be written.
        let is_new = |bytes: &Bytes| self.saved.as_ref() != Some(bytes);
        let state = state.filter(is_new);
        if let Some(bytes) = &state {
            self.saved = Some(bytes.clone());
        }
        let snapshot = state.map(|bytes| Snapshot { version, bytes });
        let commit = self.machine.commit(snapshot);
        self.begin(commit);
    }

    fn begin(&mut self, commit: Commit) {
        let answer = self.hub.store().commit(commit.clone());
        self.in_flight.push_back((commit, Box::pin(answer)));
    }

    /// Keeps the result of an effect, and returns when it is durable.
    ///
    /// # Errors
    /// That of the store.
    pub(super) async fn record(&mut self, key: String, result: Bytes) -> Result<(), StoreError> {
        let commit = self.machine.record(key, result);
        self.begin(commit);
        self.settle().await
    }

    /// Waits until the eldest commit under way was answered, if there is one.
    ///
    /// # Errors
    /// That of the store, where trying again does not help: this incarnation is over.
    ///
    /// # Cancel safety
    /// Nothing is lost if it is dropped: the answer is waited for again by the next call.
    pub(super) async fn answered(&mut self) -> Result<(), StoreError> {
        let Some((_, answer)) = self.in_flight.front_mut() else { return Ok(()) };
        let answer = answer.await;
        self.take_answer(answer)
    }

    /// Takes the answers that have come, without waiting.
    ///
    /// # Errors
    /// As [`answered`](Self::answered).
    pub(super) async fn take_answers(&mut self) -> Result<(), StoreError> {
        while let Some((_, pending)) = self.in_flight.front_mut() {
            let ready = poll_fn(|cx| Poll::Ready(pending.as_mut().poll(cx))).await;
            let Poll::Ready(answer) = ready else { return Ok(()) };
            self.take_answer(answer)?;
        }
        Ok(())
    }

    fn take_answer(&mut self, answer: Result<Revision, StoreError>) -> Result<(), StoreError> {
        match answer {
            Ok(revision) => {
                self.in_flight.pop_front();
                self.delays.kept();
                let released = self.machine.committed(revision);
                self.release(released);
                Ok(())
            }
            // Nothing was changed, and nothing is lost: the commit waits for better times, and those
            // behind it with it, since they were refused for its sake.
            Err(error @ (StoreError::NoSpace | StoreError::Unavailable { .. })) => {
                if let Some((commit, _)) = self.in_flight.front() {
                    self.delays.delayed(&self.system, &commit.agent, &error);
                }
                let mut delay = Some(RETRY_AFTER);
                for (commit, pending) in &mut self.in_flight {
                    let (store, commit) = (self.hub.store().clone(), commit.clone());
                    let delay = delay.take();
                    // Begun when it is polled, which is after the one before it was answered.
                    *pending = Box::pin(async move {
                        if let Some(delay) = delay {
                            time::wait(delay).await;
                        }
                        store.commit(commit).await
                    });
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn release(&mut self, released: Released) {
        self.outbox.extend(released.outbox);
        for question in released.acknowledged {
            let answer = self.replies.remove(&question);
            self.hub.answer(question, answer);
        }
        self.link.room.notify_waiters();
    }

    /// Waits until all commits under way were answered.
    ///
    /// # Errors
    /// As [`answered`](Self::answered).
    pub(super) async fn settle(&mut self) -> Result<(), StoreError> {
        while !self.in_flight.is_empty() {
            self.answered().await?;
        }
        Ok(())
    }

    /// Sends what commits have set free. Some may stay, for receivers without room.
    pub(super) async fn send(&mut self) {
        let (system, hub, machine) = (&self.system, &self.hub, &mut self.machine);
        self.outbox.send(system, hub, |id| machine.sent(id)).await;
    }

    /// Whether messages wait for room at their receivers.
    pub(super) fn has_unsent(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Whether the outbox takes no more: the agent must wait for its receivers.
    pub(super) fn is_outbox_full(&self) -> bool {
        self.outbox.is_full()
    }

    /// Says that the incarnation ended with nothing in hand.
    ///
    /// # Errors
    /// That of the store.
    pub(super) async fn close(
        &mut self,
        agent: ggml_agent_core::AgentId,
    ) -> Result<(), StoreError> {
        let epoch = self.machine.epoch();
        self.hub.store().settle(ggml_agent_core::store::Write::Close { agent, epoch }).await
    }
}
