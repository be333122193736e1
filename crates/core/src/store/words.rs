//! What a store is asked, and what it answers.

use super::record::{
    Accepted, AgentSummary, Commit, DeadRecord, Entry, Epoch, Open, Opened, Position, Revision,
    Stored, Taken,
};
use crate::envelope::{Envelope, Priority};
use crate::id::AgentId;

/// One atomic change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Begins an incarnation; answers [`Written::Opened`].
    Open(Open),
    /// Puts an envelope into the mailbox of its receiver; answers [`Written::Accepted`].
    Append(Envelope),
    /// Puts envelopes into the mailboxes of their receivers, in order, until one is refused: what was taken
    /// before it stays, and nothing behind it is looked at. Answers [`Written::Taken`].
    AppendAll(Vec<Envelope>),
    /// What one agent did; answers [`Written::Committed`]. Boxed, since it is much larger than the others.
    Commit(Box<Commit>),
    /// An incarnation ended in order, with nothing in hand; answers [`Written::Done`].
    Close {
        /// Whose.
        agent: AgentId,
        /// Which.
        epoch: Epoch,
    },
    /// Puts a dead letter back into the mailbox that it came from, behind all others, as if it had never
    /// been delivered; answers [`Written::Done`].
    Resend {
        /// Its number.
        number: u64,
    },
    /// Forgets a dead letter; answers [`Written::Done`].
    Discard {
        /// Its number.
        number: u64,
    },
    /// Forgets an agent with all that it has, but not its dead letters; answers [`Written::Done`].
    Remove {
        /// Which.
        agent: AgentId,
    },
}

/// What a [`Write`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// An incarnation began.
    Opened(Box<Opened>),
    /// What became of an envelope.
    Accepted(Accepted),
    /// What became of many.
    Taken(Taken),
    /// The revision after a commit.
    Committed(Revision),
    /// It is done.
    Done,
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// Messages of one lane of a mailbox behind `after`, in order; answers [`Found::Messages`].
    Messages {
        /// Whose mailbox.
        mailbox: AgentId,
        /// Which lane.
        lane: Priority,
        /// The last position that is not wanted.
        after: Position,
        /// Most that are wanted.
        limit: usize,
    },
    /// Entries of a journal behind `after`, in order; answers [`Found::Journal`].
    Journal {
        /// Whose journal.
        agent: AgentId,
        /// The last number that is not wanted.
        after: u64,
        /// Most that are wanted.
        limit: usize,
    },
    /// Dead letters behind number `after`, in order; answers [`Found::DeadLetters`].
    DeadLetters {
        /// The last number that is not wanted.
        after: u64,
        /// Most that are wanted.
        limit: usize,
    },
    /// Agents behind `after` by name; answers [`Found::Agents`].
    Agents {
        /// The last name that is not wanted.
        after: Option<AgentId>,
        /// Most that are wanted.
        limit: usize,
    },
}

/// What a [`Read`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Messages, in order.
    Messages(Vec<Stored>),
    /// Entries, in order.
    Journal(Vec<Entry>),
    /// Dead letters, in order.
    DeadLetters(Vec<DeadRecord>),
    /// Agents, by name.
    Agents(Vec<AgentSummary>),
}

impl Written {
    pub(super) fn into_opened(self) -> Option<Opened> {
        if let Self::Opened(opened) = self { Some(*opened) } else { None }
    }

    pub(super) fn into_accepted(self) -> Option<Accepted> {
        if let Self::Accepted(accepted) = self { Some(accepted) } else { None }
    }

    pub(super) fn into_taken(self) -> Option<Taken> {
        if let Self::Taken(taken) = self { Some(taken) } else { None }
    }

    pub(super) fn into_revision(self) -> Option<Revision> {
        if let Self::Committed(revision) = self { Some(revision) } else { None }
    }
}

impl Found {
    pub(super) fn into_messages(self) -> Option<Vec<Stored>> {
        if let Self::Messages(messages) = self { Some(messages) } else { None }
    }

    pub(super) fn into_journal(self) -> Option<Vec<Entry>> {
        if let Self::Journal(entries) = self { Some(entries) } else { None }
    }

    pub(super) fn into_dead(self) -> Option<Vec<DeadRecord>> {
        if let Self::DeadLetters(letters) = self { Some(letters) } else { None }
    }

    pub(super) fn into_agents(self) -> Option<Vec<AgentSummary>> {
        if let Self::Agents(agents) = self { Some(agents) } else { None }
    }
}
