//! What happens to the file of a document, as events of the system's stream.

use std::any::Any;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use ggml_agent::CustomEvent;
use ggml_agent_core::AgentId;

use super::FileFault;

/// One thing that happened to the file of a document.
#[derive(Debug, Clone)]
pub struct FileEvent {
    /// Which document.
    pub document: AgentId,
    /// Its file.
    pub path: PathBuf,
    /// What.
    pub kind: FileEventKind,
}

/// What happened to a file.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum FileEventKind {
    /// The file is the document.
    Written {
        /// As it was after this update.
        seq: u64,
    },
    /// Somebody else changed the file, and the document has it.
    Imported {
        /// The update; `None` if there was nothing in it that the document had not, or did not refuse.
        seq: Option<u64>,
        /// How many parts the document did not take.
        n_conflicts: usize,
    },
    /// What the document did not take is saved.
    ConflictSaved {
        /// Here.
        beside: PathBuf,
    },
    /// The file is gone; it is written again.
    Missing,
    /// The file is left alone as long as it is as it is. The document goes on without it.
    LeftAlone {
        /// Why.
        why: Arc<FileFault>,
    },
    /// Nothing can be written; it is tried again and again, and told once.
    NotWritten {
        /// Why.
        why: Arc<FileFault>,
    },
}

impl fmt::Display for FileEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.kind {
            FileEventKind::Written { seq } => write!(f, "{path} written: document {seq}"),
            FileEventKind::Imported { seq: Some(seq), n_conflicts } => {
                write!(f, "{path} was changed: document {seq}, {n_conflicts} conflicts")
            }
            FileEventKind::Imported { seq: None, n_conflicts } => {
                write!(f, "{path} was changed: nothing for the document, {n_conflicts} conflicts")
            }
            FileEventKind::ConflictSaved { beside } => {
                write!(f, "{path}: what the document did not take is in {}", beside.display())
            }
            FileEventKind::Missing => write!(f, "{path} is gone, and is written again"),
            FileEventKind::LeftAlone { why } => write!(f, "{path} is left alone: {why}"),
            FileEventKind::NotWritten { why } => write!(f, "{path} cannot be written: {why}"),
        }
    }
}

impl CustomEvent for FileEvent {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &'static str {
        match self.kind {
            FileEventKind::Written { .. } => "doc.file_written",
            FileEventKind::Imported { .. } => "doc.file_imported",
            FileEventKind::ConflictSaved { .. } => "doc.file_conflict_saved",
            FileEventKind::Missing => "doc.file_missing",
            FileEventKind::LeftAlone { .. } => "doc.file_left_alone",
            FileEventKind::NotWritten { .. } => "doc.file_not_written",
        }
    }
}
