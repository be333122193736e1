//! loro: a commit for each edit, whose update its subscription hands out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use loro::{LoroDoc, LoroText, Subscription};

use super::Engine;

pub(super) struct Loro {
    document: LoroDoc,
    text: LoroText,
    n_bytes: Arc<AtomicUsize>,
    /// The updates come as long as it lives.
    _updates: Subscription,
}

impl Loro {
    pub(super) fn new() -> Self {
        let document = LoroDoc::new();
        document.set_peer_id(1).expect("invariant: nothing was written yet");
        let n_bytes = Arc::new(AtomicUsize::new(0));
        let sum = Arc::clone(&n_bytes);
        let updates = document.subscribe_local_update(Box::new(move |update| {
            sum.fetch_add(update.len(), Ordering::Relaxed);
            true
        }));
        Self { text: document.get_text("text"), document, n_bytes, _updates: updates }
    }
}

impl Engine for Loro {
    fn apply(&mut self, at: usize, del: usize, insert: &str) -> usize {
        if del > 0 {
            self.text.delete_utf8(at, del).expect("invariant: the trace fits its text");
        }
        if !insert.is_empty() {
            self.text.insert_utf8(at, insert).expect("invariant: the trace fits its text");
        }
        self.document.commit();
        self.n_bytes.swap(0, Ordering::Relaxed)
    }

    fn text(&mut self) -> String {
        self.text.to_string()
    }
}
