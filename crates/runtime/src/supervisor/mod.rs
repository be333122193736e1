//! Supervisors: agents that start, watch and restart others. All rules are in
//! [`ggml_agent_core::supervise`]; this module only does what the machine says.

mod driver;
pub(crate) mod link;

use std::sync::Arc;
use std::time::Duration;

use ggml_agent_core::supervise::{
    Answer, AutoShutdown, Backoff, CallError, ChildInfo, Children, Counts, Machine, Request,
    Restart, Shutdown, Strategy, SupervisorSpec,
};
use ggml_agent_core::{AgentId, ExitReason};

pub(crate) use self::driver::SupervisorAgent;
use self::driver::{Done, Msg};
use self::link::Shared;
use crate::address::Addr;
use crate::agent::Agent;
use crate::cell::mailbox::MailboxOptions;
use crate::error::{AskError, StartError};
use crate::spec::{Child, ChildSpec, typed};

/// A supervisor as data: strategy, intensity, children. Start it with
/// [`SystemRef::supervise`](crate::SystemRef::supervise), or make it a child of another one.
///
/// # Example
/// ```
/// use std::time::Duration;
/// use ggml_agent::{ChildSpec, Supervisor};
/// # use ggml_agent::{Agent, Context, Report};
/// # struct Writer;
/// # impl Agent for Writer {
/// #     type Msg = (); type Error = Report;
/// #     async fn handle(&mut self, (): (), _: &mut Context<Self>) -> Result<(), Report> { Ok(()) }
/// # }
/// let team = Supervisor::new("team")
///     .rest_for_one()
///     .intensity(5, Duration::from_secs(60))
///     .child(ChildSpec::new("editor", || Writer))
///     .child(Supervisor::new("writers").child(ChildSpec::new("writer-1", || Writer)));
/// # let _ = team;
/// ```
#[derive(Debug)]
pub struct Supervisor {
    id: String,
    spec: SupervisorSpec,
    restart: Restart,
    shutdown: Shutdown,
    backoff: Option<Backoff>,
    significant: bool,
    children: Vec<Child>,
}

impl Supervisor {
    /// A supervisor with the defaults: one-for-one, 3 restarts in 60 s, a health check each second.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            spec: SupervisorSpec::DEFAULT,
            restart: Restart::Permanent,
            shutdown: Shutdown::Forever,
            backoff: None,
            significant: false,
            children: Vec::new(),
        }
    }

    /// A dynamic supervisor: children come and go at run time, and stop all at once (S22).
    #[must_use]
    pub fn dynamic(id: impl Into<String>) -> Self {
        let mut supervisor = Self::new(id);
        supervisor.spec.children = Children::Dynamic;
        supervisor
    }

    /// What else restarts when one child does (S15 to S19).
    #[must_use]
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.spec.strategy = strategy;
        self
    }

    /// Siblings keep their incarnation (S15).
    #[must_use]
    pub fn one_for_one(self) -> Self {
        self.strategy(Strategy::OneForOne)
    }

    /// All restart together (S16).
    #[must_use]
    pub fn one_for_all(self) -> Self {
        self.strategy(Strategy::OneForAll)
    }

    /// The failed one and those after it restart (S18).
    #[must_use]
    pub fn rest_for_one(self) -> Self {
        self.strategy(Strategy::RestForOne)
    }

    /// At most `restarts_max` restarts in any `period`; the next one makes it give up (S8).
    #[must_use]
    pub fn intensity(mut self, restarts_max: u32, period: Duration) -> Self {
        self.spec.restarts_max = restarts_max;
        self.spec.period = period;
        self
    }

    /// Whether the end of significant children ends it (S29).
    #[must_use]
    pub fn auto_shutdown(mut self, auto_shutdown: AutoShutdown) -> Self {
        self.spec.auto_shutdown = auto_shutdown;
        self
    }

    /// How often children are checked, and how long one may show no progress (S33). An interval of
    /// zero checks never.
    #[must_use]
    pub fn health(mut self, interval: Duration, timeout: Duration) -> Self {
        self.spec.health_check_interval = interval;
        self.spec.heartbeat_timeout = timeout;
        self
    }

    /// When its own supervisor restarts it: permanent by default.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// How long its end may take: for ever by default, since its children have their own limits.
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = shutdown;
        self
    }

    /// Waits before its own restarts (S32).
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = Some(backoff);
        self
    }

    /// Its own exit may end its supervisor (S29).
    #[must_use]
    pub fn significant(mut self) -> Self {
        self.significant = true;
        self
    }

    /// One more child, started after those before it (S1).
    #[must_use]
    pub fn child(mut self, child: impl Into<Child>) -> Self {
        self.children.push(child.into());
        self
    }

    /// Several more children.
    #[must_use]
    pub fn children<C: Into<Child>>(mut self, children: impl IntoIterator<Item = C>) -> Self {
        self.children.extend(children.into_iter().map(Into::into));
        self
    }

    /// Refuses a wrong spec before anything starts (S4), also that of a supervisor further down.
    fn check(&self) -> Result<(), StartError> {
        let children = self.children.iter().map(Child::core).collect::<Result<_, _>>()?;
        Machine::new(self.spec, children, 0)?;
        Ok(())
    }

    /// The supervisor as the agent that it is.
    pub(crate) fn into_spec(self) -> ChildSpec<SupervisorAgent> {
        let refused = self.check().err();
        let shared = Arc::new(Shared::new(self.spec, self.children));
        let mut spec = ChildSpec::new(self.id, move || SupervisorAgent::new(shared.clone()))
            .restart(self.restart)
            .shutdown(self.shutdown)
            // Its events must never be refused; their number is bounded by that of its children.
            .mailbox(MailboxOptions::UNBOUNDED)
            .of_supervisor(refused);
        if let Some(backoff) = self.backoff {
            spec = spec.backoff(backoff);
        }
        if self.significant { spec.significant() } else { spec }
    }
}

impl From<Supervisor> for Child {
    fn from(supervisor: Supervisor) -> Self {
        supervisor.into_spec().into()
    }
}

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
        let id = core.id.clone();
        let done = self.call(Request::Start(core), Some(spec.into())).await?;
        match done.answer {
            Answer::Started { .. } => done.cell.as_ref().and_then(typed).ok_or(StartError::Ended),
            Answer::Ignored { .. } => Err(StartError::Ignored { id }),
            _ => Err(StartError::Ended),
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

    /// Calls wait for as long as starts and stops of children take: those have their own limits.
    async fn call(&self, request: Request, child: Option<Child>) -> Result<Done, StartError> {
        let question = |reply| Msg::Call { request, child, reply };
        match self.addr.ask_within(CALL_DEADLINE, question).await {
            Ok(answer) => Ok(answer?),
            Err(AskError::Ended | AskError::NoReply | AskError::Restarting) => {
                Err(StartError::Ended)
            }
            Err(_) => Err(CallError::Busy.into()),
        }
    }
}

/// Longest that an administrative call waits for its answer.
const CALL_DEADLINE: Duration = Duration::from_secs(24 * 60 * 60);
