//! What was accepted and could not be handled, or could not be accepted by anybody: counted, kept
//! for a while, and published. Nothing disappears silently (M4, M5).

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use ggml_agent_core::envelope::Envelope;
use ggml_agent_core::{AgentId, limits};

use crate::error::SendError;
use crate::system::SystemRef;

/// Why a message became a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// No agent of this id is registered.
    Unknown,
    /// The agent ended with the message queued.
    Ended,
    /// The agent was stopped or shut down with the message queued (M10).
    Stopped,
    /// The mailbox was full and its policy drops the newest.
    DroppedNewest,
    /// The mailbox was full and its policy drops the oldest.
    DroppedOldest,
    /// The mailbox was full, and there was nobody to give the message back to.
    Full,
    /// Nobody waits for the answer any more (M6).
    AskerLeft,
    /// The agent has no handler for such a message.
    NotUnderstood,
    /// The envelope's deadline had passed.
    Expired,
    /// The sender's incarnation was fenced (M10).
    Fenced,
}

impl Reason {
    /// The reason that a refusal gives.
    pub(crate) fn of_refusal<M>(error: &SendError<M>) -> Self {
        match error {
            SendError::Full(_) => Self::Full,
            SendError::Closed(_) => Self::Ended,
            SendError::Unknown(_) => Self::Unknown,
            SendError::NotUnderstood(_) | SendError::WrongType(_) => Self::NotUnderstood,
            SendError::Fenced(_) => Self::Fenced,
        }
    }

    /// The name in metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Ended => "ended",
            Self::Stopped => "stopped",
            Self::DroppedNewest => "dropped_newest",
            Self::DroppedOldest => "dropped_oldest",
            Self::Full => "full",
            Self::AskerLeft => "asker_left",
            Self::NotUnderstood => "not_understood",
            Self::Expired => "expired",
            Self::Fenced => "fenced",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A message that nobody handled.
///
/// A typed message itself is dropped, so that a [`Reply`](crate::Reply) in it tells its asker at
/// once; an envelope is kept.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// For whom it was.
    pub to: AgentId,
    /// Why it was not handled.
    pub reason: Reason,
    /// The type of the message.
    pub type_name: &'static str,
    /// The envelope, if it was one and its payload is at most
    /// [`limits::DEAD_LETTER_PAYLOAD_LEN_MAX`] bytes.
    pub envelope: Option<Envelope>,
}

impl DeadLetter {
    pub(crate) fn of<M: Any>(to: &AgentId, message: &M, reason: Reason) -> Self {
        let envelope = (message as &dyn Any).downcast_ref::<Envelope>();
        Self {
            to: to.clone(),
            reason,
            type_name: std::any::type_name::<M>(),
            envelope: envelope
                .filter(|envelope| envelope.payload.len() <= limits::DEAD_LETTER_PAYLOAD_LEN_MAX)
                .cloned(),
        }
    }
}

/// Dead letters that an agent's end makes of its mail, one after the other. Those that are neither
/// kept nor watched are only counted, and all are recorded at once.
pub(crate) struct Burial<'a> {
    system: &'a SystemRef,
    reason: Reason,
    n: u64,
    kept: Vec<Arc<DeadLetter>>,
}

impl<'a> Burial<'a> {
    pub(crate) fn new(system: &'a SystemRef, reason: Reason) -> Self {
        Self { system, reason, n: 0, kept: Vec::new() }
    }

    /// Adds one, which some `n_after` are to follow.
    pub(crate) fn add(&mut self, n_after: usize, make: impl FnOnce() -> DeadLetter) {
        if !self.system.pass_dead_letter() {
            return self.system.dead_letter(make());
        }
        self.n += 1;
        if n_after < limits::DEAD_LETTERS_KEPT_MAX {
            self.kept.push(Arc::new(make()));
        }
    }
}

impl Drop for Burial<'_> {
    fn drop(&mut self) {
        if self.n > 0 {
            let kept = std::mem::take(&mut self.kept);
            self.system.record_dead_letters(self.reason, self.n, kept);
        }
    }
}

/// The dead letters of a system.
#[derive(Debug, Default)]
pub(crate) struct DeadLetters {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    counts: BTreeMap<Reason, u64>,
    kept: VecDeque<Arc<DeadLetter>>,
}

impl DeadLetters {
    /// Counts `n` for this reason, and keeps the last of them.
    pub(crate) fn record(
        &self,
        reason: Reason,
        n: u64,
        last: impl IntoIterator<Item = Arc<DeadLetter>>,
    ) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state.counts.entry(reason).or_default() += n;
        for letter in last {
            if state.kept.len() == limits::DEAD_LETTERS_KEPT_MAX {
                state.kept.pop_front();
            }
            state.kept.push_back(letter);
        }
    }

    pub(crate) fn counts(&self) -> BTreeMap<Reason, u64> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).counts.clone()
    }

    pub(crate) fn kept(&self) -> Vec<Arc<DeadLetter>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.kept.iter().cloned().collect()
    }
}
