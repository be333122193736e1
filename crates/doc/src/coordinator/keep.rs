//! What of a coordinator is kept, and how it goes on from that.

use std::time::Duration;

use ggml_agent_core::lease::{Change, Limits, Locks};

use super::stream::Streams;
use super::{Coordinator, Holder, Lives, Out, Seen, Step, tell};
use crate::record::{Entry, Record};
use crate::section::SectionId;
use crate::subscribers::Subscribers;

impl Coordinator {
    /// From now on changes are kept for [`Self::take_entries`].
    pub fn keep_entries(&mut self) {
        self.locks.keep_changes();
        self.entries.get_or_insert_default();
    }

    /// What changed since the last call, in order: with the record of then, these make the
    /// [record](Self::record) of now. Holds D11.
    pub fn take_entries(&mut self) -> Vec<Entry> {
        let Some(entries) = &mut self.entries else { return Vec::new() };
        take_leases(&mut self.locks, entries);
        std::mem::take(entries)
    }

    /// What of it survives.
    #[must_use]
    pub fn record(&self) -> Record {
        Record {
            sheet: self.sheet.clone(),
            history: self.history.clone(),
            past: self.past.clone(),
            streams: self.streams.kept(),
            last_stream: self.streams.last(),
            last_token: self.locks.last_token(),
            leases: self.locks.leases().map(|lease| (lease.section, lease)).collect(),
            reservations: self.locks.reserved().collect(),
            lives: self.lives.clone(),
        }
    }

    /// The coordinator that goes on from `record` at `now`, on a clock of its own: every lock is held by
    /// whom it was, with its token, and has its full time to live again (D3, D12). Nobody waits, and nobody
    /// follows.
    ///
    /// The streams of the life before are to be [ended](Self::end_left_streams), and nobody writes to them.
    /// Who held a lock and is known to be gone is to be [dropped](Self::drop_holder) next, or
    /// [all of them](Self::end_all_lives).
    #[must_use]
    pub fn resume(record: Record, limits: Limits, now: Duration) -> Self {
        let Record {
            sheet,
            history,
            past,
            streams,
            last_stream,
            last_token,
            leases,
            reservations,
            lives,
        } = record;
        let mut locks = Locks::restore(limits, last_token, leases.into_values(), now);
        locks.restore_reserved(reservations, now);
        Self {
            seen: Seen::of(&history),
            sheet,
            past,
            streams: Streams::restore(streams, last_stream),
            locks,
            history,
            subscribers: Subscribers::default(),
            lives,
            entries: None,
        }
    }

    /// Every section that is locked, and by whom.
    pub(crate) fn locked(&self) -> impl Iterator<Item = (SectionId, Holder)> {
        self.locks.leases().map(|lease| (lease.section, lease.holder))
    }

    /// Adds an entry behind those of what was decided before.
    pub(super) fn note_entry(&mut self, entry: Entry) {
        if let Some(entries) = &mut self.entries {
            take_leases(&mut self.locks, entries);
            entries.push(entry);
        }
    }

    /// Every holder and waiter, in order.
    pub(crate) fn lock_holders(&self) -> Vec<Holder> {
        self.locks.holders().into_iter().cloned().collect()
    }

    /// The process of all holders is gone: their locks are free, and what was known of their lives is
    /// forgotten, since those of the next process are numbered from 1 again. What they still knew is refused
    /// by its token. Holds D3 and D12.
    pub fn end_all_lives(&mut self, now: Duration) -> Step<()> {
        let mut outs: Vec<Out> = Vec::new();
        self.end_streams(|_| true, now, &mut outs);
        for holder in self.lock_holders() {
            tell(self.locks.drop_holder(&holder, now), &mut outs);
        }
        self.subscribers = Subscribers::default();
        if self.lives != Lives::default() {
            self.lives = Lives::default();
            if let Some(entries) = &mut self.entries {
                take_leases(&mut self.locks, entries);
                entries.push(Entry::LivesOver);
            }
        }
        Step { answer: (), outs }
    }
}

/// Changes of leases, in their place among the entries.
pub(super) fn take_leases(locks: &mut Locks<SectionId, Holder>, entries: &mut Vec<Entry>) {
    entries.extend(locks.take_changes().into_iter().map(|change| match change {
        Change::Held(lease) => Entry::Held(lease),
        Change::Free { section } => Entry::Free { section },
        Change::Reserved { section, holder, length } => Entry::Reserved { section, holder, length },
        Change::Unreserved { section, holder } => Entry::Unreserved { section, holder },
    }));
}
