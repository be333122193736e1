//! Breaker and retry around a call: by themselves ([`Guard`]), and around an ask ([`Guarded`]).
//!
//! What may pass and what is tried again is decided in [`ggml_agent_core::guard`]; here are the
//! clock, the waiting and the events.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ggml_agent_core::breaker::{Breaker, Transition};
use ggml_agent_core::guard::{self, Classify, Fault, Step};
use ggml_agent_core::retry::{Policy, Retry, Verdict, Why};

use crate::address::{ASK_DEADLINE_DEFAULT, Addr};
use crate::agent::Agent;
use crate::error::AskError;
use crate::observe::EventKind;
use crate::reply::Reply;
use crate::system::SystemRef;
use crate::time;

/// A breaker and a retry policy around calls to one target.
///
/// Clones share the breaker: it guards the target, not the caller (B7).
#[derive(Clone)]
pub struct Guard {
    system: SystemRef,
    name: Arc<str>,
    breaker: Arc<Breaker>,
    policy: Policy,
}

/// Why a guarded call failed for good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError<E> {
    /// The call failed and is not tried again.
    #[error("{why}")]
    Failed {
        /// Why it is not tried again.
        why: Why,
        /// How it failed last.
        source: E,
    },
    /// The breaker let no attempt through at all.
    #[error("{why}")]
    Refused {
        /// Why nobody waits for it any longer.
        why: Why,
    },
}

impl<E> GuardError<E> {
    /// The last failure of the call itself, if it was ever made.
    pub fn failure(&self) -> Option<&E> {
        match self {
            Self::Failed { source, .. } => Some(source),
            Self::Refused { .. } => None,
        }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Failed { why, .. } | Self::Refused { why } => why.is_retryable(),
        }
    }
}

impl Guard {
    /// A guard for the target called `name`; the name is for events and metrics.
    #[must_use]
    pub fn new(
        system: &SystemRef,
        name: impl Into<Arc<str>>,
        breaker: Arc<Breaker>,
        policy: Policy,
    ) -> Self {
        Self { system: system.clone(), name: name.into(), breaker, policy }
    }

    /// The breaker.
    #[must_use]
    pub fn breaker(&self) -> &Arc<Breaker> {
        &self.breaker
    }

    /// Calls until it succeeds, or until breaker and policy say that it is enough.
    ///
    /// # Errors
    /// [`GuardError`] with the last failure.
    ///
    /// # Cancel safety
    /// Retries stop at once when the future is dropped (R6). An attempt under way then counts as a
    /// failure of the target (B6).
    pub async fn call<T, E, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T, GuardError<E>>
    where
        F: Future<Output = Result<T, E>>,
        E: Classify,
    {
        let now = || self.system.clock().now();
        let retry = Retry::new(self.policy, now(), self.system.next_seed());
        let mut guarded = guard::Guarded::new(self.breaker.clone(), retry);
        let mut last = None;
        loop {
            let permit = match guarded.attempt(now()) {
                Step::Call(permit) => permit,
                Step::Wait(wait) => {
                    time::wait(wait).await;
                    continue;
                }
                Step::GiveUp(why) => return Err(give_up(why, last)),
            };
            self.publish(permit.transition());
            match attempt().await {
                Ok(value) => {
                    self.publish(guarded.succeed(permit, now()));
                    return Ok(value);
                }
                Err(error) => {
                    let reported = guarded.report(permit, error.fault(), now());
                    self.publish(reported.transition);
                    last = Some(error);
                    match reported.verdict {
                        Verdict::Wait(wait) => time::wait(wait).await,
                        Verdict::GiveUp(why) => return Err(give_up(why, last)),
                    }
                }
            }
        }
    }

    fn publish(&self, transition: Option<Transition>) {
        if let Some(transition) = transition {
            self.system.emit(|| EventKind::Breaker { name: self.name.clone(), transition });
        }
    }
}

fn give_up<E>(why: Why, last: Option<E>) -> GuardError<E> {
    match last {
        Some(source) => GuardError::Failed { why, source },
        None => GuardError::Refused { why },
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("name", &self.name)
            .field("breaker", &self.breaker)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl Classify for AskError {
    /// A failing or silent agent is the target's failure; a full mailbox is back-pressure; an agent
    /// that is gone will not come back under this address.
    fn fault(&self) -> Fault {
        match self {
            Self::Restarting | Self::Deadline(_) => Fault::Transient { retry_after: None },
            Self::Full | Self::Dropped => Fault::Busy { retry_after: None },
            Self::Ended | Self::NoReply => Fault::Broken,
            Self::Fenced => Fault::Rejected,
        }
    }
}

/// An address whose asks go through a breaker and are retried.
pub struct Guarded<A: Agent> {
    addr: Addr<A>,
    guard: Guard,
    deadline: Duration,
}

impl<A: Agent> Addr<A> {
    /// Asks through this address go through `breaker`, which all callers share (B7), and are retried
    /// as `policy` says.
    #[must_use]
    pub fn guarded(&self, breaker: Arc<Breaker>, policy: Policy) -> Guarded<A> {
        let system = &self.cell().header().system;
        let guard = Guard::new(system, self.id().as_str(), breaker, policy);
        Guarded { addr: self.clone(), guard, deadline: ASK_DEADLINE_DEFAULT }
    }
}

impl<A: Agent> Guarded<A> {
    /// The deadline of each attempt; [`ASK_DEADLINE_DEFAULT`] unless said otherwise.
    #[must_use]
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Asks; `question` makes the message anew for each attempt.
    ///
    /// # Errors
    /// [`GuardError`] with the last [`AskError`].
    ///
    /// # Cancel safety
    /// As [`Guard::call`].
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl Fn(Reply<T>) -> A::Msg,
    ) -> Result<T, GuardError<AskError>> {
        self.guard.call(|| self.addr.ask_within(self.deadline, &question)).await
    }
}

impl<A: Agent> fmt::Debug for Guarded<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded").field("addr", &self.addr).field("guard", &self.guard).finish()
    }
}
