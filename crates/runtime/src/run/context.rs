//! What a flow does with the outside world: steps, waits, signals.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ggml_agent_core::envelope::Priority;
use ggml_agent_core::store::{
    Commit, Epoch, Opened, Position, Revision, StoreError, StoreRef, Watermarks,
};
use ggml_agent_core::{AgentId, Report};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Flow;
use super::agent::RunAgent;
use super::journal::{Entry, RunRecord, RunStatus};
use super::mail::{self, RunMail};
use super::shelf::PAGE_LEN;
use crate::context::Context;
use crate::durable::hub::Link;
use crate::durable::{CodecError, DelayTeller, IdempotencyKey, codec};
use crate::system::SystemRef;
use crate::time;

/// How long a write waits that the disk had no room for, until it is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// The longest wait without a look at the wall clock, which may have been stepped.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(10);

/// What a flow has at hand.
pub struct RunContext<'a, F: Flow> {
    ctx: &'a mut Context<RunAgent<F>>,
    road: &'a mut Road,
    /// How often each name was used so far, for steps, sleeps and signals apart.
    uses: BTreeMap<(Use, String), usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    Step,
    Signal,
}

/// Why a flow cannot go on. It may pass it on with `?`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A step failed; it is tried again when the run is begun again.
    #[error("step {key} failed: {report}")]
    Step {
        /// Which.
        key: String,
        /// How.
        report: Report,
    },
    /// Somebody cancelled the run.
    #[error("the run was cancelled")]
    Cancelled,
    /// The run's agent is asked to end: what it waits for will be waited for by the next one.
    #[error("the run is asked to rest")]
    Resting,
    /// What happened could not be kept.
    #[error("the store failed")]
    Store(#[source] StoreError),
    /// The result of a step cannot be written, or the one that was kept is of another type: the flow is not
    /// the one that the run was begun with.
    #[error("the result of step {key} cannot be kept or read")]
    Codec {
        /// Which.
        key: String,
        /// What is wrong.
        #[source]
        cause: CodecError,
    },
}

impl<'a, F: Flow> RunContext<'a, F> {
    pub(super) fn new(ctx: &'a mut Context<RunAgent<F>>, road: &'a mut Road) -> Self {
        Self { ctx, road, uses: BTreeMap::new() }
    }

    /// The system that it runs in.
    #[must_use]
    pub fn system(&self) -> &SystemRef {
        &self.road.system
    }

    /// What is known of the run so far.
    #[must_use]
    pub fn record(&self) -> &RunRecord {
        &self.road.record
    }

    /// The name of a step that may be used more than once: `name`, `name#2`, ...
    fn key(&mut self, name: &str) -> String {
        match self.count(Use::Step, name) {
            0 => name.to_owned(),
            n => format!("{name}#{}", n + 1),
        }
    }

    /// How often `name` was used before.
    fn count(&mut self, of: Use, name: &str) -> usize {
        let n = self.uses.entry((of, name.to_owned())).or_default();
        *n += 1;
        *n - 1
    }

    /// Does a step once: if it was done before, its result is what it was then. Its result is on disk before
    /// it is returned. A crash between the effect and that makes it happen again, with the same key, and is
    /// counted as another attempt. A step may take as long as it likes; a cancellation drops it.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn step<T, E, Fut>(
        &mut self,
        name: &str,
        effect: impl FnOnce(IdempotencyKey) -> Fut,
    ) -> Result<T, RunError>
    where
        T: Serialize + DeserializeOwned,
        E: Into<Report>,
        Fut: Future<Output = Result<T, E>>,
    {
        let key = self.key(name);
        if let Some(result) = self.road.record.result(&key) {
            return codec::decode(result).map_err(|cause| RunError::Codec { key, cause });
        }
        self.check()?;
        let (road, ctx) = (&mut *self.road, &*self.ctx);
        let begun = Entry::Step { key: key.clone(), at_ms: road.now_ms() };
        ctx.protect(road.write(vec![begun])).await.map_err(RunError::Store)?;
        let idempotency = IdempotencyKey::new(format!("{}/{key}", road.agent));
        let done = tokio::select! {
            biased;
            done = ctx.protect(effect(idempotency)) => Some(done),
            cancelled = ctx.protect(road.cancelled()) => {
                cancelled.map_err(RunError::Store)?;
                None
            }
        };
        let Some(done) = done else { return Err(RunError::Cancelled) };
        let result =
            done.map_err(|error| RunError::Step { key: key.clone(), report: error.into() })?;
        let bytes =
            codec::encode(&result).map_err(|cause| RunError::Codec { key: key.clone(), cause })?;
        let done = Entry::Done { key, result: bytes, at_ms: road.now_ms() };
        ctx.protect(road.write(vec![done])).await.map_err(RunError::Store)?;
        Ok(result)
    }

    fn check(&self) -> Result<(), RunError> {
        if self.road.is_cancelled() {
            return Err(RunError::Cancelled);
        }
        if self.ctx.is_stopping() {
            return Err(RunError::Resting);
        }
        Ok(())
    }

    /// Waits for `delay`, counted from when the run first came here, by the wall clock: over at once if that
    /// passed while nobody ran it.
    ///
    /// # Errors
    /// [`RunError`], which no step has caused.
    pub async fn sleep(&mut self, name: &str, delay: Duration) -> Result<(), RunError> {
        let key = self.key(name);
        let (road, ctx) = (&mut *self.road, &*self.ctx);
        let until_ms = match road.record.sleeps_until(&key) {
            Some(until_ms) => until_ms,
            None => {
                let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
                let until_ms = road.now_ms().saturating_add(delay_ms);
                let sleep = Entry::Sleep { key, until_ms };
                ctx.protect(road.write(vec![sleep])).await.map_err(RunError::Store)?;
                until_ms
            }
        };
        while road.now_ms() < until_ms && !road.is_cancelled() {
            let rest = Duration::from_millis(until_ms - road.now_ms()).min(LOOK_AT_CLOCK);
            let rested = time::within(rest, heed(ctx, road)).await;
            rested.transpose()?;
        }
        self.check()
    }

    /// Waits for the next signal of this name, for a person's approval, say; signals that came before count.
    ///
    /// # Errors
    /// [`RunError`], which no step has caused.
    pub async fn wait_for<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, RunError> {
        let nth = self.count(Use::Signal, name);
        loop {
            self.check()?;
            let (road, ctx) = (&mut *self.road, &*self.ctx);
            if let Some(payload) = road.record.signal(name, nth) {
                return codec::decode(payload)
                    .map_err(|cause| RunError::Codec { key: name.to_owned(), cause });
            }
            let waits = Entry::Waits { signal: name.to_owned(), at_ms: road.now_ms() };
            if !road.waits_for(name) {
                ctx.protect(road.write(vec![waits])).await.map_err(RunError::Store)?;
            }
            heed(ctx, road).await?;
        }
    }
}

/// Waits for mail, or until the agent is asked to end.
async fn heed<F: Flow>(ctx: &Context<RunAgent<F>>, road: &mut Road) -> Result<(), RunError> {
    tokio::select! {
        biased;
        () = ctx.stopping() => Err(RunError::Resting),
        news = ctx.protect(road.news()) => news.map_err(RunError::Store),
    }
}

impl<F: Flow> fmt::Debug for RunContext<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunContext").field("road", &self.road).finish_non_exhaustive()
    }
}

/// A run's way to its store.
pub(super) struct Road {
    system: SystemRef,
    store: StoreRef,
    link: Arc<Link>,
    agent: AgentId,
    epoch: Epoch,
    revision: Revision,
    applied: Watermarks,
    record: RunRecord,
    /// A commit that was begun. It stands here, so that nothing is lost if nobody waits for it.
    pending: Option<Pending>,
    delays: DelayTeller,
}

struct Pending {
    commit: Commit,
    entries: Vec<Entry>,
    answer: Pin<Box<dyn Future<Output = Result<Revision, StoreError>> + Send>>,
}

impl Road {
    pub(super) fn new(
        system: SystemRef,
        store: StoreRef,
        link: Arc<Link>,
        agent: AgentId,
        opened: &Opened,
        record: RunRecord,
    ) -> Self {
        let Opened { epoch, revision, applied, .. } = *opened;
        Self {
            system,
            store,
            link,
            agent,
            epoch,
            revision,
            applied,
            record,
            pending: None,
            delays: DelayTeller::default(),
        }
    }

    pub(super) fn record(&self) -> &RunRecord {
        &self.record
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.system.clock().unix_ms()
    }

    fn waits_for(&self, name: &str) -> bool {
        matches!(&self.record.status, RunStatus::Waiting { signal } if signal == name)
    }

    /// Adds entries to the journal, and returns when they are durable.
    ///
    /// # Cancel safety
    /// If it is dropped, they are written all the same, and are in the record with the next call.
    pub(super) async fn write(&mut self, entries: Vec<Entry>) -> Result<(), StoreError> {
        self.settle().await?;
        self.begin(entries, self.applied, Vec::new())?;
        self.settle().await
    }

    /// Begins a commit of entries, in one step with the acknowledgement of mail.
    fn begin(
        &mut self,
        entries: Vec<Entry>,
        applied: Watermarks,
        dead: Vec<(Position, String)>,
    ) -> Result<(), StoreError> {
        let mut commit = Commit::new(self.agent.clone(), self.epoch, self.revision, applied);
        commit.dead = dead;
        for entry in &entries {
            let bytes = entry.encode().map_err(|_| StoreError::Malformed {
                agent: self.agent.clone(),
                why: "an entry cannot be written",
            })?;
            commit.journal.push(bytes);
        }
        let answer = Box::pin(self.store.commit(commit.clone()));
        self.pending = Some(Pending { commit, entries, answer });
        Ok(())
    }

    /// Waits for the commit under way, if there is one.
    async fn settle(&mut self) -> Result<(), StoreError> {
        while let Some(pending) = &mut self.pending {
            match pending.answer.as_mut().await {
                Ok(revision) => {
                    self.revision = revision;
                    self.delays.kept();
                    self.applied = pending.commit.applied;
                    let entries = std::mem::take(&mut pending.entries);
                    self.pending = None;
                    entries.into_iter().for_each(|entry| self.record.apply(entry));
                }
                // Nothing was changed: it waits for better times.
                Err(error @ (StoreError::NoSpace | StoreError::Unavailable { .. })) => {
                    self.delays.delayed(&self.system, &self.agent, &error);
                    let (store, commit) = (self.store.clone(), pending.commit.clone());
                    pending.answer = Box::pin(async move {
                        time::wait(RETRY_AFTER).await;
                        store.commit(commit).await
                    });
                }
                Err(error) => {
                    self.pending = None;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Returns when something has come in and is in the record.
    async fn news(&mut self) -> Result<(), StoreError> {
        loop {
            // Before the look, so that what comes in between is heard of.
            let link = self.link.clone();
            let mut arrived = std::pin::pin!(link.arrived.notified());
            arrived.as_mut().enable();
            if self.take_mail().await? {
                return Ok(());
            }
            arrived.await;
        }
    }

    /// Returns when the run is cancelled.
    async fn cancelled(&mut self) -> Result<(), StoreError> {
        while !self.is_cancelled() {
            self.news().await?;
        }
        Ok(())
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.record.status == RunStatus::Cancelled
    }

    /// Takes what is in the mailbox into the journal; true if there was something.
    pub(super) async fn take_mail(&mut self) -> Result<bool, StoreError> {
        self.settle().await?;
        self.link.take_news().for_each(drop);
        let (mut entries, mut dead) = (Vec::new(), Vec::new());
        let mut applied = self.applied;
        let at_ms = self.now_ms();
        for lane in [Priority::High, Priority::Normal] {
            let after = applied.of(lane);
            for message in self.store.messages(self.agent.clone(), lane, after, PAGE_LEN).await? {
                *applied.of_mut(lane) = message.position;
                match mail::read(&message.envelope.payload) {
                    Ok(RunMail::Signal { name, payload }) => {
                        entries.push(Entry::Signal { name, payload, at_ms });
                    }
                    Ok(RunMail::Cancel) => entries.push(Entry::Cancelled { at_ms }),
                    Err(error) => dead.push((message.position, format!("not understood: {error}"))),
                }
            }
        }
        if applied == self.applied {
            return Ok(false);
        }
        self.begin(entries, applied, dead)?;
        self.settle().await?;
        Ok(true)
    }
}

impl fmt::Debug for Road {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Road")
            .field("agent", &self.agent)
            .field("revision", &self.revision)
            .field("status", &self.record.status)
            .finish_non_exhaustive()
    }
}
