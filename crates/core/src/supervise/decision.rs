//! Every decision of a supervisor, as data with words (S34).

use std::fmt;
use std::time::Duration;

use super::event::Incarnation;
use super::strategy::Strategy;
use crate::{AgentId, ExitReason};

/// What a supervisor decided or saw. Holds S34.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are the words of the sentence that Display makes")]
pub enum Decision {
    /// A child was added at run time.
    Added { id: AgentId },
    /// A start was ordered.
    Starting { id: AgentId, incarnation: Incarnation },
    /// A start returned.
    Started { id: AgentId, incarnation: Incarnation },
    /// A start answered *ignore*.
    Ignored { id: AgentId, incarnation: Incarnation },
    /// A start failed.
    StartFailed { id: AgentId, incarnation: Incarnation, reason: ExitReason },
    /// An incarnation ended.
    Exited { id: AgentId, incarnation: Incarnation, reason: ExitReason },
    /// A restart was allowed: number `in_window` of at most `restarts_max` in `period`.
    Restarting { id: AgentId, in_window: u32, restarts_max: u32, period: Duration },
    /// A restart waits.
    BackingOff { id: AgentId, wait: Duration },
    /// A group restart began with the failure of `id`.
    GroupRestart { id: AgentId, strategy: Strategy },
    /// A pending restart was called off.
    RestartCancelled { id: AgentId },
    /// A stop was ordered.
    Stopping { id: AgentId, incarnation: Incarnation },
    /// A kill was ordered.
    Killing { id: AgentId, incarnation: Incarnation },
    /// A child made no progress for `silent_for` while it had something to do.
    Unresponsive { id: AgentId, incarnation: Incarnation, silent_for: Duration },
    /// A child's spec was freed.
    Forgotten { id: AgentId },
    /// All static children have started.
    Ready,
    /// The restart of `id` would be one more than `restarts_max` in `period`.
    GaveUp { id: AgentId, restarts_max: u32, period: Duration },
    /// The end of the significant child `id` ends the supervisor.
    AutoShutdown { id: AgentId },
    /// The supervisor stops its children.
    Ending { reason: ExitReason },
    /// Nothing below runs.
    Ended { reason: ExitReason },
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { id } => write!(f, "{id} added"),
            Self::Starting { id, incarnation } => {
                write!(f, "starting {id} (incarnation {incarnation})")
            }
            Self::Started { id, incarnation } => {
                write!(f, "{id} started (incarnation {incarnation})")
            }
            Self::Ignored { id, .. } => write!(f, "{id} has nothing to do and was not started"),
            Self::StartFailed { id, incarnation, reason } => {
                write!(f, "{id} did not start (incarnation {incarnation}): {reason}")
            }
            Self::Exited { id, incarnation, reason } => {
                write!(f, "{id} ended (incarnation {incarnation}): {reason}")
            }
            Self::Restarting { id, in_window, restarts_max, period } => {
                write!(f, "restart {id} ({in_window} of {restarts_max} in {period:?})")
            }
            Self::BackingOff { id, wait } => write!(f, "{id} waits {wait:?} before its restart"),
            Self::GroupRestart { id, strategy } => write!(f, "{strategy} restart because of {id}"),
            Self::RestartCancelled { id } => write!(f, "restart of {id} called off"),
            Self::Stopping { id, incarnation } => {
                write!(f, "stopping {id} (incarnation {incarnation})")
            }
            Self::Killing { id, incarnation } => {
                write!(f, "killing {id} (incarnation {incarnation})")
            }
            Self::Unresponsive { id, silent_for, .. } => {
                write!(f, "{id} is unresponsive: no progress for {silent_for:?}")
            }
            Self::Forgotten { id } => write!(f, "{id} forgotten"),
            Self::Ready => f.write_str("all children have started"),
            Self::GaveUp { id, restarts_max, period } => {
                write!(f, "gave up: {id} needs more than {restarts_max} restarts in {period:?}")
            }
            Self::AutoShutdown { id } => write!(f, "ending because {id} has ended"),
            Self::Ending { reason } => write!(f, "stopping all children: {reason}"),
            Self::Ended { reason } => write!(f, "ended: {reason}"),
        }
    }
}
