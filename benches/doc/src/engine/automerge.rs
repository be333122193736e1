//! automerge: a change for each edit, saved incrementally.

use automerge::transaction::Transactable;
use automerge::{AutoCommit, ObjId, ObjType, ROOT, ReadDoc, TextEncoding};

use super::Engine;

pub(super) struct Automerge {
    document: AutoCommit,
    text: ObjId,
}

impl Automerge {
    pub(super) fn new() -> Self {
        let mut document = AutoCommit::new_with_encoding(TextEncoding::Utf8CodeUnit);
        let text = document
            .put_object(ROOT, "text", ObjType::Text)
            .expect("invariant: an empty document takes a text");
        document.save_incremental();
        Self { document, text }
    }
}

impl Engine for Automerge {
    fn apply(&mut self, at: usize, del: usize, insert: &str) -> usize {
        let del = isize::try_from(del).expect("invariant: a trace is shorter than memory");
        self.document
            .splice_text(&self.text, at, del, insert)
            .expect("invariant: the trace fits its text");
        self.document.commit();
        self.document.save_incremental().len()
    }

    fn text(&mut self) -> String {
        self.document.text(&self.text).expect("invariant: it was put there")
    }
}
