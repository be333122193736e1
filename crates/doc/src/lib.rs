//! One Markdown document that many agents edit at once, without losing an edit.
//!
//! The [`Coordinator`] is pure: text, commands and a time go in, answers and notes to others come out. The
//! [`agent`] around it has the mailbox, the clock and, if the document is to survive, the store.
//!
//! # Example
//! ```
//! use ggml_agent_doc::{Coordinator, Document, Edit, Holder, Lock};
//! use ggml_agent_core::lease::{OnBusy, Outcome};
//! use std::time::Duration;
//! let document = Document::parse("# Plan\n\nSoon.\n")?;
//! let mut coordinator = Coordinator::new(&document);
//! let writer = Holder::new("writer-1".parse()?, 1);
//! let section = document.sections()[0].id();
//! let lock = Lock::one(section, Duration::from_secs(30), OnBusy::Deny);
//! let step = coordinator.lock(&writer, lock, Duration::ZERO);
//! let Ok(Outcome::Granted(grants)) = step.answer else { panic!("it is free") };
//! let edit = Edit::locked(section, grants[0].token, "# Plan\n\nNow.\n");
//! let accepted = coordinator.edit(&writer, edit, Duration::ZERO).answer?;
//! assert_eq!((accepted.seq, coordinator.to_markdown().as_str()), (1, "# Plan\n\nNow.\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Reading order: [`markdown`], [`section`], [`coordinator`], [`history`], [`sheet`], [`record`], [`mod@file`], [`abstracts`].

pub mod abstracts;
pub mod agent;
pub mod change;
pub mod coordinator;
pub mod file;
pub mod history;
pub mod limits;
pub mod markdown;
pub mod record;
pub mod rope;
pub mod section;
mod sentence;
pub mod sheet;
mod subscribers;
pub mod text;

pub use agent::{
    CallError, Client, Companion, DocEvent, DocEventKind, DocMsg, DocNote, DocumentAgent,
    DocumentRef, Host, LockDenied,
};
pub use change::Splice;
pub use coordinator::{
    Accepted, Answer, BlameRun, Command, Conflict, Coordinator, Cut, Delivery, DiffSpan, Done,
    Edit, EditError, Holder, Kind, Lock, LockRow, Note, OnExit, OnStale, Op, OpError, OpId, Out,
    OutlineError, OutlineItem, OutlineView, PastError, Proposal, Pushed, Query, Restructure,
    Restructured, Revert, RevertError, Reverted, Selection, Splices, StaleReason, StreamError,
    StreamId, StreamOpen, StreamPlace, Structure, Suggest, SuggestError, Suggestion, SuggestionId,
    View,
};
pub use rope::Text;
pub use section::{Document, LoadError, Section, SectionId};
pub use sheet::{About, Mode};
pub use text::{Change, Changes};

#[cfg(test)]
mod soup;
