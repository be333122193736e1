//! Supervisors: agents that start, watch and restart others. All rules are in
//! [`ggml_agent_core::supervise`]; this module only does what the machine says.

mod driver;

mod calls;
mod handle;

mod alarms;
pub(crate) mod link;
mod place;

use std::sync::Arc;
use std::time::Duration;

use ggml_agent_core::supervise::{
    AutoShutdown, Backoff, Children, Machine, Restart, Shutdown, Strategy, SupervisorSpec,
};

pub(crate) use self::driver::SupervisorAgent;
pub use self::handle::{StartChildrenError, SupervisorRef};
use self::link::Shared;
use crate::cell::mailbox::MailboxOptions;
use crate::error::StartError;
use crate::spec::{Child, ChildSpec};

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
