//! `ggml-agent` in its defaults: mailboxes of 1,024 whose senders wait, supervised where the workload
//! says so.

mod own;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ggml_agent::{
    Addr, Agent, AgentId, ChildSpec, Context, MailboxOptions, Overflow, Reply, Report, SendError,
    Supervisor, SupervisorRef, System,
};

use super::on_tokio;
use crate::framework::{Flow, Framework, MailboxKind, Names, Restarts, Role, Stops, Supervises};
use crate::line::Measured;
use crate::workload::Workload;
use crate::workloads;

/// A system, and the names of the agents that need one only because each agent has.
#[derive(Clone)]
pub(crate) struct GgmlAgent {
    shared: Arc<Shared>,
}

struct Shared {
    system: System,
    n_named: AtomicU64,
    mailbox: MailboxOptions,
}

impl GgmlAgent {
    fn spec<R: Role<Self>>(
        &self,
        mut make: impl FnMut() -> R + Send + 'static,
    ) -> ChildSpec<Host<R>> {
        let n = self.shared.n_named.fetch_add(1, Ordering::Relaxed);
        ChildSpec::new(format!("a{n}"), move || Host(make())).mailbox(self.shared.mailbox)
    }
}

/// A role as an agent.
pub(crate) struct Host<R>(R);

pub(crate) enum Mail<M> {
    Tell(M),
    Ask(Reply<u64>),
}

impl<R: Role<GgmlAgent>> Agent for Host<R> {
    type Msg = Mail<R::Msg>;
    type Error = Report;

    async fn on_start(&mut self, _: &mut Context<Self>) -> Result<(), Report> {
        self.0.started();
        Ok(())
    }

    async fn handle(&mut self, mail: Self::Msg, ctx: &mut Context<Self>) -> Result<(), Report> {
        match mail {
            Mail::Tell(msg) => {
                if self.0.handle(msg).await == Flow::Stop {
                    ctx.stop();
                }
            }
            Mail::Ask(reply) => reply.send(self.0.answer()),
        }
        Ok(())
    }
}

impl Framework for GgmlAgent {
    type Addr<R: Role<Self>> = Addr<Host<R>>;

    fn not_applicable(_: Workload) -> Option<&'static str> {
        None
    }

    fn run<T, M>(workers: usize, mailbox: MailboxKind, main: impl FnOnce(Self) -> M + Send) -> T
    where
        T: Send + 'static,
        M: Future<Output = T> + Send + 'static,
    {
        let mailbox = match mailbox {
            MailboxKind::Default => MailboxOptions::DEFAULT,
            MailboxKind::Bounded(len_max) => {
                MailboxOptions { len_max, overflow: Overflow::Wait(Duration::from_secs(5)) }
            }
            MailboxKind::Unbounded => MailboxOptions::UNBOUNDED,
        };
        on_tokio::run(workers, || {
            let (system, n_named) = (System::new(), AtomicU64::new(0));
            main(Self { shared: Arc::new(Shared { system, n_named, mailbox }) })
        })
    }

    fn job(&self, job: impl Future<Output = ()> + Send + 'static) {
        drop(tokio::spawn(job));
    }

    async fn spawn<R: Role<Self>>(
        &self,
        make: impl FnMut() -> R + Send + 'static,
    ) -> Self::Addr<R> {
        self.shared.system.spawn(self.spec(make)).expect("the name is free")
    }

    async fn send<R: Role<Self>>(addr: &Self::Addr<R>, msg: R::Msg) {
        addr.send(Mail::Tell(msg)).await.expect("the agent takes it");
    }

    fn send_outside<R: Role<Self>>(&self, addr: &Self::Addr<R>, msg: R::Msg) {
        match addr.tell(Mail::Tell(msg)) {
            Ok(()) => {}
            Err(SendError::Full(mail)) => {
                let sent = self.shared.system.runtime().block_on(addr.send(mail));
                sent.expect("the agent takes it");
            }
            Err(error) => unreachable!("{error}"),
        }
    }

    async fn ask<R: Role<Self>>(addr: &Self::Addr<R>) -> u64 {
        addr.ask(Mail::Ask).await.expect("the agent answers")
    }

    async fn special(self, workload: Workload, n: u64) -> Option<Measured> {
        Some(match workload {
            Workload::NamedSend => workloads::names::named_send(self, n).await,
            Workload::Restart => workloads::restart::restart(self, n).await,
            Workload::SpawnSupervised => workloads::spawning::spawn_supervised(self, n).await,
            Workload::SystemBehind => workloads::stopping::system_behind(self, n).await,
            Workload::Envelope => own::envelope(&self.shared.system, n).await,
            Workload::IdleSupervised => own::idle_supervised(&self.shared.system, n).await,
            _ => return None,
        })
    }
}

impl Restarts for GgmlAgent {
    /// The address survives restarts.
    type Phoenix<R: Role<Self>> = Addr<Host<R>>;

    async fn phoenix<R: Role<Self>>(
        &self,
        make: impl FnMut() -> R + Send + 'static,
    ) -> Self::Phoenix<R> {
        let n = self.shared.n_named.fetch_add(1, Ordering::Relaxed);
        // Never gives up: 100,000 restarts, the most there may be, within a millisecond.
        let tree = Supervisor::new(format!("tree{n}"))
            .intensity(ggml_agent::core::supervise::RESTARTS_MAX_LIMIT, Duration::from_millis(1))
            .child(self.spec(make));
        let id = format!("a{}", n + 1);
        let tree = self.shared.system.supervise(tree).await.expect("the tree starts");
        drop(tree);
        self.shared.system.lookup(&id).expect("the child has started")
    }

    async fn crash<R: Role<Self>>(addr: &mut Self::Phoenix<R>, poison: R::Msg, next: R::Msg) {
        Self::send(addr, poison).await;
        Self::send(addr, next).await;
    }
}

impl Supervises for GgmlAgent {
    type Supervisor = SupervisorRef;

    async fn supervisor(&self) -> SupervisorRef {
        let n = self.shared.n_named.fetch_add(1, Ordering::Relaxed);
        let tree = Supervisor::dynamic(format!("crowd{n}"));
        self.shared.system.supervise(tree).await.expect("the supervisor starts")
    }

    async fn spawn_under<R: Role<Self>>(
        &self,
        supervisor: &SupervisorRef,
        make: impl FnMut() -> R + Send + 'static,
    ) -> Self::Addr<R> {
        supervisor.start_child(self.spec(make)).await.expect("the child starts")
    }
}

impl Names for GgmlAgent {
    type Name = AgentId;
    /// The system knows all names.
    type Directory<R: Role<Self>> = ();

    fn directory<R: Role<Self>>(&self) {}

    async fn spawn_named<R: Role<Self>>(
        &self,
        (): &(),
        name: &str,
        mut make: impl FnMut() -> R + Send + 'static,
    ) -> AgentId {
        let spec = ChildSpec::new(name, move || Host(make()));
        self.shared.system.spawn(spec).expect("the name is free").id().clone()
    }

    async fn send_named<R: Role<Self>>(&self, (): &(), name: &AgentId, msg: R::Msg) {
        match self.shared.system.tell(name, Mail::Tell(msg)) {
            Ok(()) => {}
            Err(SendError::Full(mail)) => {
                let addr = self.shared.system.lookup::<Host<R>>(name.as_str());
                addr.expect("it lives").send(mail).await.expect("the agent takes it");
            }
            Err(error) => unreachable!("{error}"),
        }
    }
}

impl Stops for GgmlAgent {
    fn stop<R: Role<Self>>(addr: &Self::Addr<R>) {
        addr.shutdown();
    }
}
