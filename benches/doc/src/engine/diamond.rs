//! diamond-types: a text and its operations, encoded since the version before each edit.

use diamond_types::list::ListCRDT;
use diamond_types::list::encoding::ENCODE_PATCH;

use super::Engine;

pub(super) struct Diamond {
    document: ListCRDT,
    agent: u32,
}

impl Diamond {
    pub(super) fn new() -> Self {
        let mut document = ListCRDT::new();
        let agent = document.get_or_create_agent_id("writer");
        Self { document, agent }
    }
}

impl Engine for Diamond {
    fn apply(&mut self, at: usize, del: usize, insert: &str) -> usize {
        let before = self.document.oplog.local_version();
        if del > 0 {
            self.document.delete_without_content(self.agent, at..at + del);
        }
        if !insert.is_empty() {
            self.document.insert(self.agent, at, insert);
        }
        self.document.oplog.encode_from(ENCODE_PATCH, &before).len()
    }

    fn text(&mut self) -> String {
        self.document.branch.content().to_string()
    }
}
