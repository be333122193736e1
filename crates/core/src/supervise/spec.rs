//! What a supervisor is told: child specs and its own spec, as data that is checked once.

use std::sync::Arc;
use std::time::Duration;

use super::backoff::Backoff;
use super::intensity::RESTARTS_MAX_LIMIT;
use super::strategy::{AutoShutdown, Strategy};
use crate::{AgentId, ExitReason};

/// Most children of one supervisor; 16,777,216. With 64 B for each child and some 16 B for its id in
/// the index, that is 1.3 GB: a bound on nonsense, not a target.
pub const CHILDREN_MAX: usize = 1 << 24;

/// How long a worker may take to stop before it is killed, unless its spec says otherwise (S23).
pub const SHUTDOWN_DEFAULT: Duration = Duration::from_secs(5);

/// When a child is started again after its own exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Restart {
    /// After every exit. Holds S5.
    #[default]
    Permanent,
    /// Only after an abnormal exit ([`ExitReason::is_abnormal`]). Holds S6.
    Transient,
    /// Never, not even as a bystander of a group restart; its spec is freed when it ends. Holds S7.
    Temporary,
}

impl Restart {
    /// Whether a child of this kind is restarted after it exited by itself for `reason`.
    ///
    /// Holds S5, S6 and S7.
    #[must_use]
    pub fn applies_to(self, reason: &ExitReason) -> bool {
        match self {
            Self::Permanent => true,
            // OTP: a transient child that ends with normal, shutdown or {shutdown, _} is not
            // restarted (supervisor.erl, do_restart/3).
            Self::Transient => reason.is_abnormal(),
            Self::Temporary => false,
        }
    }
}

/// How a child is stopped. Holds S23.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Shutdown {
    /// It is killed at once.
    Kill,
    /// It is asked to stop, and killed after this long.
    Timeout(Duration),
    /// It is asked to stop and waited for, however long that takes.
    Forever,
}

/// Whether a child is itself a supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum ChildKind {
    /// An agent that does work.
    #[default]
    Worker,
    /// A supervisor, which needs time to stop its own children.
    Supervisor,
}

/// Everything a supervisor has to know about a child; plain data.
///
/// # Example
/// ```
/// use ggml_agent_core::supervise::{ChildSpec, Restart, Shutdown};
/// use std::time::Duration;
/// let spec = ChildSpec::worker("writer-1".parse()?).transient().shutdown(Shutdown::Forever);
/// assert_eq!(spec.restart, Restart::Transient);
/// # Ok::<(), ggml_agent_core::ParseAgentIdError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ChildSpec {
    /// Its name, unique among the supervisor's children.
    pub id: AgentId,
    /// Worker or supervisor.
    pub kind: ChildKind,
    /// When it is restarted; [`Restart::Permanent`] unless said otherwise.
    pub restart: Restart,
    /// How it is stopped; 5 s for a worker, for ever for a supervisor.
    pub shutdown: Shutdown,
    /// Whether its own, final exit counts for [`AutoShutdown`]; false unless said otherwise.
    pub significant: bool,
    /// How long to wait between restarts; `None`: restart at once.
    pub backoff: Option<Arc<Backoff>>,
    /// How long it may make no progress while it has something to do; `None`: the supervisor's.
    pub heartbeat_timeout: Option<Duration>,
}

impl ChildSpec {
    /// A permanent worker that gets 5 s to stop.
    #[must_use]
    pub fn worker(id: AgentId) -> Self {
        Self {
            id,
            kind: ChildKind::Worker,
            restart: Restart::Permanent,
            shutdown: Shutdown::Timeout(SHUTDOWN_DEFAULT),
            significant: false,
            backoff: None,
            heartbeat_timeout: None,
        }
    }

    /// A permanent supervisor, whose stop is waited for.
    #[must_use]
    pub fn supervisor(id: AgentId) -> Self {
        Self { kind: ChildKind::Supervisor, shutdown: Shutdown::Forever, ..Self::worker(id) }
    }

    /// With this restart kind.
    #[must_use]
    pub fn restart(self, restart: Restart) -> Self {
        Self { restart, ..self }
    }

    /// Restarted only after an abnormal exit.
    #[must_use]
    pub fn transient(self) -> Self {
        self.restart(Restart::Transient)
    }

    /// Never restarted.
    #[must_use]
    pub fn temporary(self) -> Self {
        self.restart(Restart::Temporary)
    }

    /// Stopped in this way.
    #[must_use]
    pub fn shutdown(self, shutdown: Shutdown) -> Self {
        Self { shutdown, ..self }
    }

    /// Its own, final exit counts for the supervisor's [`AutoShutdown`].
    #[must_use]
    pub fn significant(self) -> Self {
        Self { significant: true, ..self }
    }

    /// Waits between restarts.
    #[must_use]
    pub fn backoff(self, backoff: Backoff) -> Self {
        Self { backoff: Some(Arc::new(backoff)), ..self }
    }

    /// With a heartbeat timeout of its own.
    #[must_use]
    pub fn heartbeat_timeout(self, timeout: Duration) -> Self {
        Self { heartbeat_timeout: Some(timeout), ..self }
    }
}

/// How the children of a supervisor come to be, and how they are stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Children {
    /// A team in an order: stopped one at a time in reverse start order, specs kept.
    #[default]
    Static,
    /// A crowd of equals: all are told to stop at once with one shared deadline (S22), and the spec
    /// of every child that ends for good, or ignores its start, is freed. Only
    /// [`Strategy::OneForOne`].
    Dynamic,
}

/// What a supervisor does; plain data over [`SupervisorSpec::DEFAULT`].
///
/// # Example
/// ```
/// use ggml_agent_core::supervise::{Strategy, SupervisorSpec};
/// let spec = SupervisorSpec { strategy: Strategy::OneForAll, ..SupervisorSpec::DEFAULT };
/// assert_eq!(spec.restarts_max, 3);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SupervisorSpec {
    /// Which children are restarted with one that failed.
    pub strategy: Strategy,
    /// Restarts allowed in any `period`, 0 to [`RESTARTS_MAX_LIMIT`]; 3.
    pub restarts_max: u32,
    /// Length of the sliding window, more than zero; 60 s.
    pub period: Duration,
    /// Whether the end of significant children ends the supervisor.
    pub auto_shutdown: AutoShutdown,
    /// How often children are checked; 1 s. Zero: never.
    pub health_check_interval: Duration,
    /// How long a child may make no progress while it has something to do; 5 s.
    pub heartbeat_timeout: Duration,
    /// A team in an order, or a crowd.
    pub children: Children,
}

impl SupervisorSpec {
    /// One-for-one, 3 restarts per 60 s, a health check every second, 5 s heartbeat timeout.
    pub const DEFAULT: Self = Self {
        strategy: Strategy::OneForOne,
        restarts_max: 3,
        period: Duration::from_secs(60),
        auto_shutdown: AutoShutdown::Never,
        health_check_interval: Duration::from_secs(1),
        heartbeat_timeout: Duration::from_secs(5),
        children: Children::Static,
    };

    /// Checks the supervisor's own part.
    pub(crate) fn check(&self) -> Result<(), SpecError> {
        if self.period.is_zero() {
            return Err(SpecError::PeriodZero);
        }
        if self.restarts_max > RESTARTS_MAX_LIMIT {
            return Err(SpecError::RestartsMaxTooLarge { restarts_max: self.restarts_max });
        }
        if self.children == Children::Dynamic && self.strategy != Strategy::OneForOne {
            return Err(SpecError::DynamicStrategy { strategy: self.strategy });
        }
        Ok(())
    }

    /// Checks one child against the supervisor's rules.
    pub(crate) fn check_child(&self, child: &ChildSpec) -> Result<(), SpecError> {
        if child.significant && child.restart == Restart::Permanent {
            return Err(SpecError::SignificantPermanent { id: child.id.clone() });
        }
        if child.significant && self.auto_shutdown == AutoShutdown::Never {
            return Err(SpecError::SignificantWithoutAutoShutdown { id: child.id.clone() });
        }
        if child.backoff.as_ref().is_some_and(|backoff| !backoff.is_valid()) {
            return Err(SpecError::BadBackoff { id: child.id.clone() });
        }
        Ok(())
    }
}

impl Default for SupervisorSpec {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Why a spec is refused, before anything starts. The caller is at fault: change the spec.
///
/// Holds S4.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// Two children have one id.
    #[error("two children are named {id}; give each its own id")]
    DuplicateId {
        /// The id.
        id: AgentId,
    },
    /// The restart window is empty.
    #[error("the restart period is zero; give it a length, such as 60 s")]
    PeriodZero,
    /// More restarts than the window can remember.
    #[error("restarts_max is {restarts_max}, at most {RESTARTS_MAX_LIMIT} are allowed")]
    RestartsMaxTooLarge {
        /// The number asked for.
        restarts_max: u32,
    },
    /// A permanent child never ends for good, so it cannot be significant.
    #[error("child {id} is significant and permanent; make it transient or temporary")]
    SignificantPermanent {
        /// The child.
        id: AgentId,
    },
    /// A significant child would have no effect.
    #[error("child {id} is significant, but the supervisor's auto_shutdown is never")]
    SignificantWithoutAutoShutdown {
        /// The child.
        id: AgentId,
    },
    /// A dynamic supervisor has no order, so only one-for-one means something.
    #[error("a dynamic supervisor is one_for_one, not {strategy}")]
    DynamicStrategy {
        /// The strategy asked for.
        strategy: Strategy,
    },
    /// A multiplier below 1 or not finite, or a jitter outside 0 to 1.
    #[error(
        "child {id} has a backoff whose multiplier is below 1 or whose jitter is not in 0 to 1"
    )]
    BadBackoff {
        /// The child.
        id: AgentId,
    },
    /// More than [`CHILDREN_MAX`] children.
    #[error("more than {CHILDREN_MAX} children")]
    TooManyChildren,
}
