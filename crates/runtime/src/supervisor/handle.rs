//! A running supervisor, seen from outside: administration at run time (S30).

use std::fmt;
use std::time::Duration;

use ggml_agent_core::supervise::{Answer, CallError, ChildInfo, Counts, Request};
use ggml_agent_core::{AgentId, ExitReason};

use super::Supervisor;
use super::calls::{Batch, Call, Done, started};
use super::driver::{Msg, SupervisorAgent};
use crate::address::Addr;
use crate::agent::Agent;
use crate::error::{AskError, StartError};
use crate::reply::Reply;
use crate::spec::{Child, ChildSpec, typed};

/// A running supervisor.
#[derive(Debug, Clone)]
pub struct SupervisorRef {
    addr: Addr<SupervisorAgent>,
}

impl SupervisorRef {
    pub(crate) fn new(addr: Addr<SupervisorAgent>) -> Self {
        Self { addr }
    }

    /// The supervisor's name.
    #[must_use]
    pub fn id(&self) -> &AgentId {
        self.addr.id()
    }

    /// Adds a child and starts it (S30).
    ///
    /// # Errors
    /// [`StartError`]; after a failed start the child is gone again.
    pub async fn start_child<A: Agent>(&self, spec: ChildSpec<A>) -> Result<Addr<A>, StartError> {
        let core = spec.core()?;
        let Done { answer, cell } = self.call(Request::Start(core), Some(spec.into())).await?;
        typed(&started(Ok(answer), cell)?).ok_or(StartError::Ended)
    }

    /// Adds children and starts them in this order, each after the previous one's start returned, as
    /// [`SupervisorRef::start_child`] would, at a fraction of its cost. Gives their addresses in the
    /// same order.
    ///
    /// # Errors
    /// [`StartChildrenError`] at the first child that does not start: those before it run, those
    /// after it are not started.
    ///
    /// # Cancel safety
    /// When the future is dropped, those that were started stay, at most one more is being started,
    /// and the others are not.
    pub async fn start_children<A: Agent>(
        &self,
        specs: impl IntoIterator<Item = ChildSpec<A>>,
    ) -> Result<Vec<Addr<A>>, StartChildrenError<A>> {
        let mut specs = specs.into_iter();
        let mut addrs = Vec::with_capacity(specs.size_hint().0.min(START_AT_ONCE));
        loop {
            let some: Vec<Child> = specs.by_ref().take(START_AT_ONCE).map(Child::from).collect();
            if some.is_empty() {
                return Ok(addrs);
            }
            let question = |reply| {
                let (rest, started) = (some.into_iter(), Vec::new());
                Msg::StartAll(Box::new(Batch { rest, started, reply }))
            };
            let error = match self.ask(question).await {
                Ok(done) => {
                    addrs.extend(done.started.iter().filter_map(typed));
                    done.error
                }
                Err(error) => Some(error),
            };
            if let Some(error) = error {
                return Err(StartChildrenError { started: addrs, error });
            }
        }
    }

    /// Adds a supervisor as a child and starts it with its children (S30).
    ///
    /// # Errors
    /// As [`SupervisorRef::start_child`].
    pub async fn start_supervisor(&self, tree: Supervisor) -> Result<Self, StartError> {
        self.start_child(tree.into_spec()).await.map(Self::new)
    }

    /// Stops a child; its spec is kept unless it is temporary. A pending restart is called off (S21).
    ///
    /// # Errors
    /// [`CallError`] in [`StartError::Refused`].
    pub async fn stop_child(&self, id: &AgentId) -> Result<(), StartError> {
        self.call(Request::Stop(id.clone()), None).await.map(drop)
    }

    /// Starts a stopped child again.
    ///
    /// # Errors
    /// [`CallError`] in [`StartError::Refused`].
    pub async fn restart_child(&self, id: &AgentId) -> Result<(), StartError> {
        self.call(Request::Restart(id.clone()), None).await.map(drop)
    }

    /// Deletes the spec of a stopped child.
    ///
    /// # Errors
    /// [`CallError`] in [`StartError::Refused`].
    pub async fn delete_child(&self, id: &AgentId) -> Result<(), StartError> {
        self.call(Request::Delete(id.clone()), None).await.map(drop)
    }

    /// The children in start order.
    ///
    /// # Errors
    /// [`StartError::Ended`].
    pub async fn children(&self) -> Result<Vec<ChildInfo>, StartError> {
        match self.call(Request::List, None).await?.answer {
            Answer::List(children) => Ok(children),
            _ => Err(StartError::Ended),
        }
    }

    /// How many children are in which state.
    ///
    /// # Errors
    /// [`StartError::Ended`].
    pub async fn counts(&self) -> Result<Counts, StartError> {
        match self.call(Request::Count, None).await?.answer {
            Answer::Count(counts) => Ok(counts),
            _ => Err(StartError::Ended),
        }
    }

    /// Stops the children, then itself. Returns when nothing of it runs any more.
    pub async fn stop(&self) -> ExitReason {
        self.addr.shutdown();
        self.ended().await
    }

    /// Ends it at once; its children are killed (S25).
    pub fn kill(&self) {
        self.addr.kill();
    }

    /// Waits until it is gone for good and says how it ended: `Shutdown` also when it gave up (S28).
    pub async fn ended(&self) -> ExitReason {
        self.addr.ended().await
    }

    /// Its untyped address.
    #[must_use]
    pub fn untyped(&self) -> crate::address::AnyAddr {
        self.addr.untyped()
    }

    async fn call(&self, request: Request, child: Option<Child>) -> Result<Done, StartError> {
        let question = |reply| Msg::Call(Box::new(Call { request, child, reply }));
        Ok(self.ask(question).await??)
    }

    /// Calls wait for as long as starts and stops of children take: those have their own limits.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(Reply<T>) -> Msg,
    ) -> Result<T, StartError> {
        self.addr.ask_within(CALL_DEADLINE, question).await.map_err(|error| match error {
            AskError::Ended | AskError::NoReply | AskError::Restarting => StartError::Ended,
            _ => CallError::Busy.into(),
        })
    }
}

/// Longest that an administrative call waits for its answer.
const CALL_DEADLINE: Duration = Duration::from_secs(24 * 60 * 60);

/// Children that are handed to the supervisor at once.
// 256 x some 300 B of a spec = 77 KB on their way; a 256th of a conversation costs nothing that shows.
const START_AT_ONCE: usize = 256;

/// Why [`SupervisorRef::start_children`] did not start them all.
#[derive(thiserror::Error)]
#[error("{} children were started, the next one was not", started.len())]
#[non_exhaustive]
pub struct StartChildrenError<A: Agent> {
    /// Those that were started, in order. When the supervisor itself has ended, they have too.
    pub started: Vec<Addr<A>>,
    /// Why the next one was not; those after it were not tried.
    #[source]
    pub error: StartError,
}

impl<A: Agent> fmt::Debug for StartChildrenError<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartChildrenError")
            .field("started", &self.started)
            .field("error", &self.error)
            .finish()
    }
}
