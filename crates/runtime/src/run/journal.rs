//! What is on disk of a run, and what it says.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::durable::{CodecError, codec};

/// Version of the entries; a later one is refused.
pub(super) const FORMAT: u32 = 1;

/// One thing that happened. Its form on disk is CBOR; entries are added, never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Entry {
    /// The first one.
    Begun { format: u32, flow: String, input: Bytes, at_ms: u64 },
    /// A step was begun, perhaps not for the first time.
    Step { key: String, at_ms: u64 },
    /// A step was done.
    Done { key: String, result: Bytes, at_ms: u64 },
    /// A wait until a time was begun.
    Sleep { key: String, until_ms: u64 },
    /// A wait for a signal was begun.
    Waits { signal: String, at_ms: u64 },
    /// A signal came.
    Signal { name: String, payload: Bytes, at_ms: u64 },
    /// The flow failed, for now.
    Failed { report: String, at_ms: u64 },
    /// It was cancelled.
    Cancelled { at_ms: u64 },
    /// It is over.
    Completed { output: Bytes, at_ms: u64 },
}

impl Entry {
    pub(super) fn encode(&self) -> Result<Bytes, CodecError> {
        codec::encode(self)
    }
}

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunStatus {
    /// It goes on with the next step, if somebody runs it.
    Running,
    /// It waits until a time: milliseconds since the Unix epoch, UTC.
    Sleeping {
        /// Until when.
        until_ms: u64,
    },
    /// It waits for a signal.
    Waiting {
        /// For which.
        signal: String,
    },
    /// A step failed: it goes on there when it is begun again.
    Failed {
        /// Why.
        report: String,
    },
    /// Somebody cancelled it.
    Cancelled,
    /// It is done.
    Completed,
}

impl RunStatus {
    /// Whether nothing more will happen.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Cancelled | Self::Completed)
    }

    /// The name in lists.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Sleeping { .. } => "sleeping",
            Self::Waiting { .. } => "waiting",
            Self::Failed { .. } => "failed",
            Self::Cancelled => "cancelled",
            Self::Completed => "completed",
        }
    }
}

/// A step of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRecord {
    /// Its name, with a number behind it from the second of a name on.
    pub key: String,
    /// How often it was begun: more than once if a crash came between its effect and its record.
    pub attempts: u32,
    /// When it was last begun, in milliseconds since the Unix epoch.
    pub begun_ms: u64,
    /// When it was done.
    pub done_ms: Option<u64>,
    /// Its result, in CBOR.
    pub result: Option<Bytes>,
}

/// A signal that a run has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalRecord {
    /// Its name.
    pub name: String,
    /// What came with it, in CBOR.
    pub payload: Bytes,
    /// When it was taken, in milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// Everything that is known of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRecord {
    /// The flow, by the name of its type.
    pub flow: String,
    /// What it was given, in CBOR.
    pub input: Bytes,
    /// When it first began, in milliseconds since the Unix epoch.
    pub begun_ms: u64,
    /// When something last happened.
    pub latest_ms: u64,
    /// Where it stands.
    pub status: RunStatus,
    /// Its steps, in the order in which they were first begun.
    pub steps: Vec<StepRecord>,
    /// Its signals, in order.
    pub signals: Vec<SignalRecord>,
    /// How it ended, in CBOR.
    pub output: Option<Bytes>,
    /// Where each step is in `steps`.
    index: BTreeMap<String, usize>,
    /// Until when each wait lasts.
    sleeps: BTreeMap<String, u64>,
}

/// Why a journal is not that of a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// It was written by a later version: use that one.
    #[error("the run has format {found}, this program reads {FORMAT}: use a later version")]
    Newer {
        /// Its format.
        found: u32,
    },
    /// It does not begin as a run does: something else has this name.
    #[error("the journal does not begin as that of a run")]
    NoRun,
    /// The store has found it damaged, and has set it aside.
    #[error("{what} is damaged and was set aside: {why}")]
    SetAside {
        /// What the store has set aside.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// An entry is damaged.
    #[error("entry {number} of the run is damaged")]
    Entry {
        /// Its number.
        number: u64,
        /// What is wrong.
        #[source]
        cause: CodecError,
    },
}

impl RunRecord {
    /// What it was given, as a `T`.
    ///
    /// # Errors
    /// [`CodecError`]: it is no `T`.
    pub fn input<T: DeserializeOwned>(&self) -> Result<T, CodecError> {
        codec::decode(&self.input)
    }

    /// How it ended, as a `T`; `None` if it is not completed.
    ///
    /// # Errors
    /// [`CodecError`]: it is no `T`.
    pub fn output<T: DeserializeOwned>(&self) -> Result<Option<T>, CodecError> {
        self.output.as_deref().map(codec::decode).transpose()
    }

    /// Steps that were begun more often than once, and how often in excess: what was, at the most, paid for
    /// twice.
    #[must_use]
    pub fn n_repeated(&self) -> u32 {
        self.steps.iter().map(|step| step.attempts.saturating_sub(1)).sum()
    }

    pub(super) fn first(number: u64, bytes: &[u8]) -> Result<Self, JournalError> {
        match codec::decode(bytes) {
            Ok(Entry::Begun { format, .. }) if format != FORMAT => {
                Err(JournalError::Newer { found: format })
            }
            Ok(Entry::Begun { flow, input, at_ms, .. }) => Ok(Self::begun(flow, input, at_ms)),
            Ok(_) => Err(JournalError::NoRun),
            // A later format may begin in a way that this one cannot read.
            Err(_) if number == 1 => Err(JournalError::NoRun),
            Err(cause) => Err(JournalError::Entry { number, cause }),
        }
    }

    pub(super) fn begun(flow: String, input: Bytes, at_ms: u64) -> Self {
        Self {
            flow,
            input,
            begun_ms: at_ms,
            latest_ms: at_ms,
            status: RunStatus::Running,
            steps: Vec::new(),
            signals: Vec::new(),
            output: None,
            index: BTreeMap::new(),
            sleeps: BTreeMap::new(),
        }
    }

    pub(super) fn decode_and_apply(
        &mut self,
        number: u64,
        bytes: &[u8],
    ) -> Result<(), JournalError> {
        let entry = codec::decode(bytes).map_err(|cause| JournalError::Entry { number, cause })?;
        self.apply(entry);
        Ok(())
    }

    /// What one more entry changes.
    pub(super) fn apply(&mut self, entry: Entry) {
        let at_ms = match &entry {
            Entry::Begun { at_ms, .. }
            | Entry::Step { at_ms, .. }
            | Entry::Done { at_ms, .. }
            | Entry::Waits { at_ms, .. }
            | Entry::Signal { at_ms, .. }
            | Entry::Failed { at_ms, .. }
            | Entry::Cancelled { at_ms }
            | Entry::Completed { at_ms, .. } => *at_ms,
            Entry::Sleep { .. } => self.latest_ms,
        };
        self.latest_ms = self.latest_ms.max(at_ms);
        match entry {
            // A second beginning says nothing new.
            Entry::Begun { .. } => {}
            Entry::Step { key, at_ms } => {
                let step = self.step_mut(key);
                step.attempts += 1;
                step.begun_ms = at_ms;
                self.status = RunStatus::Running;
            }
            Entry::Done { key, result, at_ms } => {
                let step = self.step_mut(key);
                step.done_ms = Some(at_ms);
                step.result = Some(result);
                self.status = RunStatus::Running;
            }
            Entry::Sleep { key, until_ms } => {
                self.sleeps.insert(key, until_ms);
                self.status = RunStatus::Sleeping { until_ms };
            }
            Entry::Waits { signal, .. } => self.status = RunStatus::Waiting { signal },
            Entry::Signal { name, payload, at_ms } => {
                if self.status == (RunStatus::Waiting { signal: name.clone() }) {
                    self.status = RunStatus::Running;
                }
                self.signals.push(SignalRecord { name, payload, at_ms });
            }
            Entry::Failed { report, .. } => self.status = RunStatus::Failed { report },
            Entry::Cancelled { .. } => self.status = RunStatus::Cancelled,
            Entry::Completed { output, .. } => {
                self.output = Some(output);
                self.status = RunStatus::Completed;
            }
        }
    }

    fn step_mut(&mut self, key: String) -> &mut StepRecord {
        let idx = *self.index.entry(key.clone()).or_insert(self.steps.len());
        if idx == self.steps.len() {
            self.steps.push(StepRecord {
                key,
                attempts: 0,
                begun_ms: 0,
                done_ms: None,
                result: None,
            });
        }
        &mut self.steps[idx]
    }

    pub(super) fn result(&self, key: &str) -> Option<&Bytes> {
        self.steps[*self.index.get(key)?].result.as_ref()
    }

    pub(super) fn sleeps_until(&self, key: &str) -> Option<u64> {
        self.sleeps.get(key).copied()
    }

    /// The `nth` signal of this name, from 0.
    pub(super) fn signal(&self, name: &str, nth: usize) -> Option<&Bytes> {
        let mut of_name = self.signals.iter().filter(|signal| signal.name == name);
        of_name.nth(nth).map(|signal| &signal.payload)
    }
}
