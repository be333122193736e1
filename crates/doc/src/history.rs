//! What was changed, by whom, from which version.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::coordinator::Holder;
use crate::limits::{HISTORY_BYTES_MAX, HISTORY_LEN_MAX};
use crate::section::SectionId;

/// One accepted edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Its number in the document: 1, 2, 3, ... without a gap (D7).
    pub seq: u64,
    /// The section that it replaced.
    pub section: SectionId,
    /// The version of the section that it made: 1, 2, 3, ... without a gap (D7).
    pub version: u64,
    /// The version that it replaced.
    pub base: u64,
    /// Who wrote it.
    pub author: Holder,
    /// When, on the clock of the coordinator that accepted it; each process has its own.
    pub at: Duration,
    /// [`text_hash`] of what it replaced.
    pub hash_before: u64,
    /// The whole text of the section since then.
    pub text: Arc<str>,
}

/// The accepted edits of a document in order; the oldest are forgotten when a limit is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    updates: VecDeque<Arc<Update>>,
    bytes: usize,
}

impl History {
    /// The edit with this number, if it is still remembered.
    #[must_use]
    pub fn get(&self, seq: u64) -> Option<&Arc<Update>> {
        let first = self.updates.front()?.seq;
        self.updates.get(usize::try_from(seq.checked_sub(first)?).ok()?)
    }

    /// The remembered edits, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Update>> {
        self.updates.iter()
    }

    /// How many edits are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.updates.len()
    }

    /// Whether no edit is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.updates.is_empty()
    }

    pub(crate) fn push(&mut self, update: Arc<Update>) {
        self.bytes += update.text.len();
        self.updates.push_back(update);
        while self.updates.len() > 1
            && (self.updates.len() > HISTORY_LEN_MAX || self.bytes > HISTORY_BYTES_MAX)
        {
            if let Some(oldest) = self.updates.pop_front() {
                self.bytes -= oldest.text.len();
            }
        }
    }
}

/// FNV-1a, 64 bits: to notice that two texts differ by accident, not to protect against malice.
#[must_use]
pub fn text_hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
