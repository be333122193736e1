//! What to start and how: an agent's factory with its supervision, mailbox and placement.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ggml_agent_core::registry::Tag;
use ggml_agent_core::supervise::{self, Backoff, Restart, Shutdown};
use ggml_agent_core::{AgentId, ParseAgentIdError};

use crate::address::Addr;
use crate::agent::Agent;
use crate::cell::Cell;
use crate::cell::handle::{CellRef, TypedRef};
use crate::cell::header::{Extras, Header};
use crate::cell::life;
use crate::cell::mailbox::{Mailbox, MailboxOptions};
use crate::envelope_agent::{EnvelopeAgent, Enveloped};
use crate::error::StartError;
use crate::placement::Placement;
use crate::supervisor::link::Link;
use crate::system::SystemRef;

type Factory<A> = Box<dyn FnMut() -> A + Send>;

/// How to start an agent, and what its supervisor does when it ends. Plain data and a factory.
///
/// # Example
/// ```
/// use std::time::Duration;
/// use ggml_agent::{ChildSpec, MailboxOptions, Overflow, Shutdown};
/// # use ggml_agent::{Agent, Context, Report};
/// # struct Writer;
/// # impl Agent for Writer {
/// #     type Msg = (); type Error = Report;
/// #     async fn handle(&mut self, (): (), _: &mut Context<Self>) -> Result<(), Report> { Ok(()) }
/// # }
/// let spec = ChildSpec::new("writer-1", || Writer)
///     .transient()
///     .shutdown(Shutdown::Timeout(Duration::from_secs(2)))
///     .mailbox(MailboxOptions { len_max: 64, overflow: Overflow::Reject });
/// # let _ = spec;
/// ```
pub struct ChildSpec<A: Agent> {
    id: Result<AgentId, ParseAgentIdError>,
    restart: Restart,
    rules: Option<Box<Rules>>,
    factory: Factory<A>,
}

/// What most specs leave as it is, apart so that a spec stays small on its way.
#[derive(Default)]
struct Rules {
    shutdown: Option<Shutdown>,
    significant: bool,
    backoff: Option<Backoff>,
    heartbeat_timeout: Option<Duration>,
    supervisor: bool,
    /// Why a supervisor's children cannot be supervised so; told when the spec is used.
    refused: Option<StartError>,
    mailbox: MailboxOptions,
    placement: Placement,
    tags: Vec<Tag>,
}

impl<A: Agent> ChildSpec<A> {
    /// A permanent child with the defaults: 5 s to shut down, a mailbox of 1,024, the shared pool.
    ///
    /// `factory` makes the value of each incarnation, on the thread that will run it. A wrong id
    /// shows as an error when the spec is used.
    #[must_use]
    pub fn new(id: impl AsRef<str>, factory: impl FnMut() -> A + Send + 'static) -> Self {
        let restart = Restart::default();
        Self { id: AgentId::new(id), restart, rules: None, factory: Box::new(factory) }
    }

    fn rules_mut(&mut self) -> &mut Rules {
        self.rules.get_or_insert_default()
    }

    /// When it is restarted: [`Restart::Permanent`] by default (S5 to S7).
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// Restarted only after an abnormal exit (S6).
    #[must_use]
    pub fn transient(self) -> Self {
        self.restart(Restart::Transient)
    }

    /// Never restarted (S7).
    #[must_use]
    pub fn temporary(self) -> Self {
        self.restart(Restart::Temporary)
    }

    /// How long its end may take: 5 s by default (S23).
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.rules_mut().shutdown = Some(shutdown);
        self
    }

    /// Its own exit may end the supervisor (S29).
    #[must_use]
    pub fn significant(mut self) -> Self {
        self.rules_mut().significant = true;
        self
    }

    /// Waits before restarts (S32).
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.rules_mut().backoff = Some(backoff);
        self
    }

    /// How long a handler may show no progress, in place of the supervisor's value (S33).
    #[must_use]
    pub fn heartbeat_timeout(mut self, timeout: Duration) -> Self {
        self.rules_mut().heartbeat_timeout = Some(timeout);
        self
    }

    /// Size and overflow policy of the mailbox (M4).
    #[must_use]
    pub fn mailbox(mut self, options: MailboxOptions) -> Self {
        self.rules_mut().mailbox = options;
        self
    }

    /// Where it runs.
    #[must_use]
    pub fn placement(mut self, placement: Placement) -> Self {
        self.rules_mut().placement = placement;
        self
    }

    /// A group or capability that each incarnation is in from its start (G5).
    #[must_use]
    pub fn tag(mut self, tag: Tag) -> Self {
        self.rules_mut().tags.push(tag);
        self
    }

    pub(crate) fn of_supervisor(mut self, refused: Option<StartError>) -> Self {
        self.rules_mut().supervisor = true;
        self.rules_mut().refused = refused;
        self
    }

    /// The id, if the spec can be used.
    ///
    /// # Errors
    /// As [`ChildSpec::core`].
    pub(crate) fn checked_id(&self) -> Result<AgentId, StartError> {
        let id = self.id.clone()?;
        match self.rules.as_ref().and_then(|rules| rules.refused.as_ref()) {
            Some(error) => Err(error.clone()),
            None => Ok(id),
        }
    }

    /// The rules as the supervisor's machine takes them.
    ///
    /// # Errors
    /// [`StartError::Id`], and [`StartError::Spec`] for a supervisor whose own spec is refused (S4).
    pub(crate) fn core(&self) -> Result<supervise::ChildSpec, StartError> {
        let id = self.checked_id()?;
        let Some(rules) = self.rules.as_deref() else {
            let mut core = supervise::ChildSpec::worker(id);
            core.restart = self.restart;
            return Ok(core);
        };
        let mut core = if rules.supervisor {
            supervise::ChildSpec::supervisor(id)
        } else {
            supervise::ChildSpec::worker(id)
        };
        core.restart = self.restart;
        core.shutdown = rules.shutdown.unwrap_or(core.shutdown);
        core.significant = rules.significant;
        core.backoff = rules.backoff.map(Arc::new);
        core.heartbeat_timeout = rules.heartbeat_timeout;
        Ok(core)
    }

    /// Makes the cell; nothing of it runs yet.
    pub(crate) fn build(
        self,
        id: AgentId,
        system: &SystemRef,
        owner: Option<Arc<Link>>,
        key: u64,
    ) -> TypedRef<A::Msg> {
        let restarts = owner.is_some() && self.restart != Restart::Temporary;
        let mut options = MailboxOptions::DEFAULT;
        let mut extras = None;
        if let Some(rules) = self.rules {
            let Rules { mailbox, placement, tags, .. } = *rules;
            options = mailbox;
            extras = Extras::new(tags, placement.driver(system, &id));
        }
        let header = Header::new(id, system.clone(), owner, key, restarts, extras);
        let mut factory = self.factory;
        Cell::<A, _, _>::make(header, Mailbox::new(options, system.has_barrier()), move |context| {
            life::live(factory(), context)
        })
    }
}

impl<E: EnvelopeAgent> ChildSpec<Enveloped<E>> {
    /// As [`ChildSpec::new`], for an agent with handlers by message type.
    #[must_use]
    pub fn envelope(id: impl AsRef<str>, mut factory: impl FnMut() -> E + Send + 'static) -> Self {
        Self::new(id, move || Enveloped::new(factory()))
    }
}

impl<A: Agent> fmt::Debug for ChildSpec<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildSpec").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A child of any type.
pub struct Child {
    inner: Box<dyn Build>,
}

impl Child {
    pub(crate) fn core(&self) -> Result<supervise::ChildSpec, StartError> {
        self.inner.core()
    }

    pub(crate) fn build(
        self,
        id: AgentId,
        system: &SystemRef,
        owner: Arc<Link>,
        key: u64,
    ) -> CellRef {
        self.inner.build(id, system, owner, key)
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child").finish_non_exhaustive()
    }
}

impl<A: Agent> From<ChildSpec<A>> for Child {
    fn from(spec: ChildSpec<A>) -> Self {
        Self { inner: Box::new(spec) }
    }
}

/// [`ChildSpec`] without its type.
trait Build: Send {
    fn core(&self) -> Result<supervise::ChildSpec, StartError>;
    fn build(
        self: Box<Self>,
        id: AgentId,
        system: &SystemRef,
        owner: Arc<Link>,
        key: u64,
    ) -> CellRef;
}

impl<A: Agent> Build for ChildSpec<A> {
    fn core(&self) -> Result<supervise::ChildSpec, StartError> {
        Self::core(self)
    }

    fn build(
        self: Box<Self>,
        id: AgentId,
        system: &SystemRef,
        owner: Arc<Link>,
        key: u64,
    ) -> CellRef {
        Self::build(*self, id, system, Some(owner), key).untyped().clone()
    }
}

/// The typed address of a cell that was built for an `A`.
pub(crate) fn typed<A: Agent>(cell: &CellRef) -> Option<Addr<A>> {
    cell.boxed_addr().downcast::<Addr<A>>().ok().map(|addr| *addr)
}
