//! What goes into the machine and what comes out of it.

use std::fmt;
use std::time::Duration;

use super::child::{ChildInfo, ChildState, Counts};
use super::decision::Decision;
use super::spec::{ChildSpec, Shutdown, SpecError};
use crate::{AgentId, ExitReason};

/// Names one child of one machine; given by the machine and never used again for another child.
///
/// Keys grow in start order, so they are also the order of the children.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChildKey(u64);

impl ChildKey {
    /// The key of the first child; no other is smaller.
    pub(crate) const FIRST: Self = Self(0);

    /// The key with this number, as [`ChildKey::get`] told it.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    pub(crate) const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The key as a number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ChildKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Number of a start of one child: 1 for the first, one more with each [`Command::StartChild`].
///
/// 0 stands for "never started".
pub type Incarnation = u64;

/// Names one call; given by the driver, answered once by [`Command::Answer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// Names one timer. At most one with a given name is armed at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimerId {
    /// The next health check.
    Health,
    /// The end of a dynamic supervisor's shared stop deadline.
    Deadline,
    /// The end of the time that this incarnation has to stop.
    Kill(ChildKey, Incarnation),
    /// The end of the wait after this incarnation.
    Backoff(ChildKey, Incarnation),
}

/// Something that happened to a supervisor.
///
/// Child events with an old incarnation, late timers and anything that does not fit the state are
/// ignored: they are normal when messages cross.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The supervisor shall start its children. Once; later ones are ignored.
    Start,
    /// A child's `on_start` returned.
    ChildStarted {
        /// Which child.
        key: ChildKey,
        /// Which start.
        incarnation: Incarnation,
    },
    /// A child's start answered *ignore*: nothing runs, and that is no error (S3).
    ChildIgnored {
        /// Which child.
        key: ChildKey,
        /// Which start.
        incarnation: Incarnation,
    },
    /// A child's start failed; nothing of it runs.
    ChildStartFailed {
        /// Which child.
        key: ChildKey,
        /// Which start.
        incarnation: Incarnation,
        /// Why.
        reason: ExitReason,
    },
    /// An incarnation is gone: it ended, or was killed, or was fenced for ever.
    ChildExited {
        /// Which child.
        key: ChildKey,
        /// Which incarnation.
        incarnation: Incarnation,
        /// Why.
        reason: ExitReason,
    },
    /// A timer that was armed has run out.
    TimerFired {
        /// Which.
        timer: TimerId,
    },
    /// Somebody asks for something (S30).
    Call {
        /// The driver's name for it.
        call: CallId,
        /// What is asked for.
        request: Request,
    },
    /// The parent stops the supervisor.
    ///
    /// With [`ExitReason::Killed`] there is no grace and no order: every child is killed at once,
    /// also when the supervisor is stopping already (S25).
    Stop {
        /// Why; it becomes the supervisor's exit reason.
        reason: ExitReason,
    },
}

/// What can be asked of a running supervisor. Holds S30.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Add a child at the end and start it.
    Start(ChildSpec),
    /// Stop a child and keep its spec (a temporary or dynamic child's spec is freed).
    Stop(AgentId),
    /// Start a stopped child again.
    Restart(AgentId),
    /// Free the spec of a stopped child.
    Delete(AgentId),
    /// Tell about all children, in start order. Answered at once in every state.
    List,
    /// Count the children. Answered at once in every state.
    Count,
}

/// A successful answer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Answer {
    /// To `Start` and `Restart`: the child's start returned.
    Started {
        /// The child.
        key: ChildKey,
        /// Its incarnation.
        incarnation: Incarnation,
    },
    /// To `Start` and `Restart`: the child's start answered *ignore*.
    Ignored {
        /// The child; already freed if it is temporary or dynamic.
        key: ChildKey,
    },
    /// To `Stop`: nothing of the child runs, and no restart is pending.
    Stopped,
    /// To `Delete`.
    Deleted,
    /// To `List`.
    List(Vec<ChildInfo>),
    /// To `Count`.
    Count(Counts),
}

/// Why a request was refused or failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// No child has this id.
    #[error("no child is named {id}")]
    Unknown {
        /// The id.
        id: AgentId,
    },
    /// `Start`: a child with this id is there already; use `Restart` if it is stopped.
    #[error("child {id} is there already ({state})")]
    Exists {
        /// The id.
        id: AgentId,
        /// What it is doing.
        state: ChildState,
    },
    /// `Restart` and `Delete` want a stopped child; stop it first.
    #[error("child {id} is {state}, not stopped")]
    NotStopped {
        /// The id.
        id: AgentId,
        /// What it is doing.
        state: ChildState,
    },
    /// `Start`: the spec is refused.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The child's start failed. A new child's spec is freed; a restarted one stays stopped.
    #[error("child {id} did not start: {reason}")]
    StartFailed {
        /// The id.
        id: AgentId,
        /// Why.
        reason: ExitReason,
    },
    /// The start was cut short by a stop of this child, of its group, or of the supervisor.
    /// After a group restart the child may be running all the same: look before asking again.
    #[error("the start of child {id} was cut short by a stop")]
    Interrupted {
        /// The id.
        id: AgentId,
    },
    /// Too many calls wait already; try again later.
    #[error("more than {CALLS_WAITING_MAX} calls wait for the supervisor; try again later")]
    Busy,
    /// The supervisor is stopping, or has stopped.
    #[error("the supervisor is stopping")]
    Stopping,
}

impl CallError {
    /// Whether the same request may succeed later without a change.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::StartFailed { .. } | Self::Interrupted { .. } | Self::Busy => true,
            Self::Exists { state, .. } | Self::NotStopped { state, .. } => {
                *state == ChildState::Stopping
            }
            Self::Unknown { .. } | Self::Spec(_) | Self::Stopping => false,
        }
    }
}

/// Most calls that wait for a group restart, or for the end of one child; 1,024.
/// A call is about 160 B: 160 KiB.
pub const CALLS_WAITING_MAX: usize = 1_024;

/// Something the driver must do, in the order given.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// The spec of this `Start` call has become the child `key`: keep here what starts it.
    /// Comes before its first `StartChild`. A `Start` that is answered without this is not kept.
    ChildAdded {
        /// The call that brought the spec.
        call: CallId,
        /// The child it became.
        key: ChildKey,
    },
    /// Start an incarnation, then report `ChildStarted`, `ChildIgnored`, `ChildStartFailed` or
    /// `ChildExited`.
    StartChild {
        /// Which child.
        key: ChildKey,
        /// Which incarnation.
        incarnation: Incarnation,
    },
    /// Ask an incarnation to stop, also if its start has not returned; report `ChildExited`. The
    /// machine keeps the time itself.
    StopChild {
        /// Which child.
        key: ChildKey,
        /// Which incarnation.
        incarnation: Incarnation,
        /// How long it has, for information.
        shutdown: Shutdown,
    },
    /// End an incarnation now; report `ChildExited` when it is gone or fenced.
    KillChild {
        /// Which child.
        key: ChildKey,
        /// Which incarnation.
        incarnation: Incarnation,
    },
    /// The spec is freed: drop everything kept for this child.
    ForgetChild {
        /// Which child.
        key: ChildKey,
    },
    /// Report `TimerFired` after this long.
    ArmTimer {
        /// Which timer.
        timer: TimerId,
        /// How long from now.
        after: Duration,
    },
    /// The timer is not wanted any more; if it fires all the same, that is ignored.
    CancelTimer {
        /// Which timer.
        timer: TimerId,
    },
    /// Look at the children and call [`Machine::check_health`](super::Machine::check_health).
    CheckHealth,
    /// Answer a call.
    Answer {
        /// Which call.
        call: CallId,
        /// The answer.
        answer: Result<Answer, CallError>,
    },
    /// Something was decided (S34). Only for eyes: it asks for nothing.
    Observe(Decision),
    /// All static children have started: the supervisor's own start returns.
    Ready,
    /// A child failed its first start and the ones before it have stopped: the supervisor's own
    /// start fails (S2). Nothing comes after it but answers.
    StartFailed {
        /// The child.
        child: AgentId,
        /// Why.
        reason: ExitReason,
    },
    /// Nothing below runs: the supervisor ends. Nothing comes after it but answers.
    Exit {
        /// Why.
        reason: ExitReason,
    },
}
