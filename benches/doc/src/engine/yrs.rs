//! yrs: a transaction for each edit, encoded as its version 1 update. With a small client id, which makes updates half
//! as large and is what a server of ours would hand out.

use yrs::{Doc, GetString, Text, TextRef, Transact};

use super::Engine;

pub(super) struct Yrs {
    document: Doc,
    text: TextRef,
}

impl Yrs {
    pub(super) fn new() -> Self {
        let document = Doc::with_client_id(1);
        let text = document.get_or_insert_text("text");
        Self { document, text }
    }
}

impl Engine for Yrs {
    fn apply(&mut self, at: usize, del: usize, insert: &str) -> usize {
        let count = |n: usize| u32::try_from(n).expect("invariant: a trace is shorter than 4 GiB");
        let mut transaction = self.document.transact_mut();
        if del > 0 {
            self.text.remove_range(&mut transaction, count(at), count(del));
        }
        if !insert.is_empty() {
            self.text.insert(&mut transaction, count(at), insert);
        }
        transaction.encode_update_v1().len()
    }

    fn text(&mut self) -> String {
        self.text.get_string(&self.document.transact())
    }
}
