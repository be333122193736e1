//! A document's way to its store: one commit under way, and what was decided since for the next one.

use std::future::Future;

use bytes::Bytes;
use ggml_agent_core::AgentId;
use ggml_agent_core::store::{
    Bounds, Commit, Epoch, OnFull, Open, Revision, Snapshot, StoreError, StoreRef, Watermarks,
    Write,
};
use tokio::sync::oneshot;

use crate::coordinator::Coordinator;
use crate::limits::{ENTRIES_BYTES_MIN, ENTRIES_PAGE, UNSAVED_BYTES_MAX, UNSAVED_LEN_MAX};
use crate::record::{Entry, FORMAT, Record, RecordError};

/// One incarnation's way to its store.
pub(super) struct Keeper {
    store: StoreRef,
    agent: AgentId,
    epoch: Epoch,
    revision: Revision,
    applied: Watermarks,
    under_way: Option<UnderWay>,
    /// Entries for the next commit.
    waiting: Vec<Bytes>,
    waiting_bytes: usize,
    /// Bytes of the newest snapshot, and of the entries behind it.
    snapshot_bytes: usize,
    entries_bytes: usize,
    /// The store has no snapshot yet.
    is_new: bool,
}

struct UnderWay {
    /// Kept until it was answered, since one that was refused for want of room is tried again.
    commit: Commit,
    /// Entries that are kept with it.
    n_entries: usize,
    /// `None` while it waits to be tried again.
    answer: Option<oneshot::Receiver<Answer>>,
}

type Answer = Result<Revision, StoreError>;

/// What became of the commit under way.
pub(super) enum Outcome {
    /// So many entries are kept.
    Kept(usize),
    /// Nothing was changed: try again later.
    NotNow(StoreError),
}

/// Why a document could not be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl Keeper {
    /// Begins an incarnation, and reads what is kept of the document, if anything is.
    pub(super) async fn open(
        store: StoreRef,
        agent: AgentId,
    ) -> Result<(Self, Option<Record>), OpenError> {
        // A document has no durable mailbox: whoever sends to it waits for its answer.
        let bounds = Bounds { messages_max: 0, bytes_max: 0, on_full: OnFull::Refuse };
        let open = Open { agent: agent.clone(), bounds, in_hand: Some(Vec::new()) };
        let opened = store.open(open).await?;
        let mut keeper = Self {
            store,
            agent,
            epoch: opened.epoch,
            revision: opened.revision,
            applied: opened.applied,
            under_way: None,
            waiting: Vec::new(),
            waiting_bytes: 0,
            snapshot_bytes: 0,
            entries_bytes: 0,
            is_new: opened.snapshot.is_none(),
        };
        let Some(Snapshot { version, bytes }) = opened.snapshot else {
            if opened.journal_last > 0 {
                let why = "its entries have no snapshot before them".into();
                return Err(RecordError::Damaged { why }.into());
            }
            return Ok((keeper, None));
        };
        let mut record = Record::decode(version, &bytes)?;
        keeper.snapshot_bytes = bytes.len();
        let mut after = opened.journal_after;
        while after < opened.journal_last {
            let page = keeper.store.journal(keeper.agent.clone(), after, ENTRIES_PAGE).await?;
            for entry in &page {
                if entry.number != after + 1 {
                    return Err(RecordError::Damaged { why: "an entry is missing".into() }.into());
                }
                record.apply(&Entry::decode(&entry.bytes)?)?;
                keeper.entries_bytes += entry.bytes.len();
                after = entry.number;
            }
            if page.is_empty() {
                return Err(RecordError::Damaged { why: "entries are missing".into() }.into());
            }
        }
        Ok((keeper, Some(record)))
    }

    /// Takes what was decided.
    pub(super) fn add(&mut self, entries: &[Entry]) {
        for entry in entries {
            let bytes = entry.encode();
            self.waiting_bytes += bytes.len();
            self.waiting.push(bytes);
        }
    }

    /// Whether so much waits that no more should be decided.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= UNSAVED_LEN_MAX || self.waiting_bytes >= UNSAVED_BYTES_MAX
    }

    /// Whether the store has nothing of the document yet.
    pub(super) fn is_new(&self) -> bool {
        self.is_new
    }

    /// Whether a commit is to be begun.
    pub(super) fn is_idle_with_work(&self) -> bool {
        self.under_way.is_none() && (self.is_new || !self.waiting.is_empty())
    }

    /// Begins the next commit, of all that waits, which is what `coordinator` has. Answers the job
    /// that waits for the store.
    ///
    /// When the entries have become larger than the snapshot, a new one takes their place: so a snapshot
    /// costs no more than the entries since the last one did, and there are never more bytes than twice those
    /// of the document with its history.
    pub(super) fn begin(
        &mut self,
        coordinator: &Coordinator,
    ) -> impl Future<Output = ()> + Send + use<> {
        let mut commit = Commit::new(self.agent.clone(), self.epoch, self.revision, self.applied);
        let n_entries = self.waiting.len();
        let entries_bytes = self.entries_bytes + self.waiting_bytes;
        if self.is_new || entries_bytes > self.snapshot_bytes.max(ENTRIES_BYTES_MIN) {
            let bytes = coordinator.record().encode();
            (self.snapshot_bytes, self.entries_bytes) = (bytes.len(), 0);
            commit.snapshot = Some(Snapshot { version: FORMAT, bytes });
            self.waiting.clear();
            self.is_new = false;
        } else {
            commit.journal = std::mem::take(&mut self.waiting);
            self.entries_bytes = entries_bytes;
        }
        self.waiting_bytes = 0;
        self.under_way = Some(UnderWay { commit, n_entries, answer: None });
        self.send()
    }

    /// Hands the commit under way to the store, first or again.
    pub(super) fn send(&mut self) -> impl Future<Output = ()> + Send + use<> {
        let (asker, answer) = oneshot::channel();
        let begun = self.under_way.as_mut().map(|under_way| {
            under_way.answer = Some(answer);
            self.store.commit(under_way.commit.clone())
        });
        async move {
            if let Some(begun) = begun {
                // Who does not wait any more is a life that is over.
                drop(asker.send(begun.await));
            }
        }
    }

    /// Whether the commit under way waits to be tried again.
    pub(super) fn is_refused(&self) -> bool {
        self.under_way.as_ref().is_some_and(|under_way| under_way.answer.is_none())
    }

    /// What became of the commit under way, if that is known.
    ///
    /// # Errors
    /// That of the store, where trying again does not help: this incarnation is over.
    pub(super) fn outcome(&mut self) -> Result<Option<Outcome>, StoreError> {
        let Some(answer) = self.answer() else { return Ok(None) };
        match answer.try_recv() {
            Ok(answer) => self.take(answer).map(Some),
            // The job that waits is ended with the incarnation, and not before.
            Err(_) => Ok(None),
        }
    }

    /// As [`Self::outcome`], and waits for it; `None` if nothing is under way.
    pub(super) async fn settled(&mut self) -> Result<Option<Outcome>, StoreError> {
        let Some(answer) = self.answer() else { return Ok(None) };
        match answer.await {
            Ok(answer) => self.take(answer).map(Some),
            Err(_) => Ok(None),
        }
    }

    fn answer(&mut self) -> Option<&mut oneshot::Receiver<Answer>> {
        self.under_way.as_mut()?.answer.as_mut()
    }

    fn take(&mut self, answer: Answer) -> Result<Outcome, StoreError> {
        match answer {
            Ok(revision) => {
                self.revision = revision;
                Ok(Outcome::Kept(self.under_way.take().map_or(0, |commit| commit.n_entries)))
            }
            Err(error @ (StoreError::NoSpace | StoreError::Unavailable { .. })) => {
                if let Some(under_way) = &mut self.under_way {
                    under_way.answer = None;
                }
                Ok(Outcome::NotNow(error))
            }
            Err(error) => Err(error),
        }
    }

    /// Says that the incarnation ended in order.
    pub(super) async fn close(self) -> Result<(), StoreError> {
        self.store.settle(Write::Close { agent: self.agent, epoch: self.epoch }).await
    }
}
