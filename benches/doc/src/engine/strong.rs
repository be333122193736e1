//! Our strong mode: every edit goes through the coordinator under a lock. A durable document keeps an entry of it, too.

use std::time::Duration;

use ggml_agent_core::lease::{OnBusy, Outcome, Token};
use ggml_agent_doc::record::Entry;
use ggml_agent_doc::text::Change;
use ggml_agent_doc::{Coordinator, Document, Holder, Lock, SectionId, Splices};

use super::Engine;

/// A lease is renewed by a real holder; here one is taken for all edits.
const LEASE: Duration = Duration::from_secs(60);

pub(super) struct Strong {
    coordinator: Coordinator,
    holder: Holder,
    section: SectionId,
    token: Token,
}

impl Strong {
    /// One whose document is in memory only: nothing is encoded.
    pub(super) fn new() -> Self {
        let document = Document::parse("").expect("invariant: an empty document is in all limits");
        let section = document.sections()[0].id();
        let mut coordinator = Coordinator::new(&document);
        let holder = Holder::new("writer".parse().expect("invariant: a valid id"), 1);
        let lock = Lock::one(section, LEASE, OnBusy::Deny);
        let Ok(Outcome::Granted(grants)) = coordinator.lock(&holder, lock, Duration::ZERO).answer
        else {
            unreachable!("nobody else has a lock")
        };
        let token = grants[0].token;
        Self { coordinator, holder, section, token }
    }

    /// One that makes the bytes, too, which a durable document keeps.
    pub(super) fn durable() -> Self {
        let mut engine = Self::new();
        engine.coordinator.keep_entries();
        engine
    }
}

impl Engine for Strong {
    fn apply(&mut self, at: usize, del: usize, insert: &str) -> usize {
        let change = Change { at, del, insert: insert.to_owned() };
        let splices = Splices {
            section: self.section,
            token: Some(self.token),
            base: None,
            changes: [change].into_iter().collect(),
        };
        let step = self.coordinator.splice(&self.holder, splices, Duration::ZERO);
        step.answer.expect("invariant: the holder of the lock edits within all limits");
        self.coordinator.take_entries().iter().map(Entry::encode).map(|entry| entry.len()).sum()
    }

    fn text(&mut self) -> String {
        self.coordinator.to_markdown()
    }
}
