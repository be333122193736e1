//! ractor: actors after Erlang's model, on tokio; mailboxes are unbounded.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};
use tokio::sync::mpsc;

use super::on_tokio;
use crate::framework::{Flow, Framework, MailboxKind, Names, Restarts, Role, Stops, Supervises};
use crate::line::Measured;
use crate::workload::Workload;
use crate::workloads;

#[derive(Clone)]
pub(crate) struct Ractor;

/// The handlers of a role, which is the state of the actor.
pub(crate) struct Host<R>(PhantomData<fn() -> R>);

pub(crate) enum Mail<M> {
    Tell(M),
    Ask(RpcReplyPort<u64>),
}

impl<R: Role<Ractor>> Actor for Host<R> {
    type Msg = Mail<R::Msg>;
    type State = R;
    type Arguments = R;

    async fn pre_start(
        &self,
        _: ActorRef<Self::Msg>,
        mut role: R,
    ) -> Result<R, ActorProcessingErr> {
        role.started();
        Ok(role)
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        mail: Self::Msg,
        role: &mut R,
    ) -> Result<(), ActorProcessingErr> {
        match mail {
            Mail::Tell(msg) => {
                if role.handle(msg).await == Flow::Stop {
                    myself.stop(None);
                }
            }
            // An asker that has left needs no answer.
            Mail::Ask(reply) => drop(reply.send(role.answer())),
        }
        Ok(())
    }
}

fn send<M: Send + 'static>(addr: &ActorRef<Mail<M>>, msg: M) {
    addr.send_message(Mail::Tell(msg)).expect("the actor lives");
}

impl Framework for Ractor {
    type Addr<R: Role<Self>> = ActorRef<Mail<R::Msg>>;

    fn not_applicable(workload: Workload) -> Option<&'static str> {
        match workload {
            Workload::BoundedSlow => Some("mailboxes are unbounded"),
            Workload::IdleSupervised | Workload::Envelope => Some("only ggml-agent has such"),
            _ => None,
        }
    }

    fn run<T, M>(workers: usize, _: MailboxKind, main: impl FnOnce(Self) -> M + Send) -> T
    where
        T: Send + 'static,
        M: Future<Output = T> + Send + 'static,
    {
        on_tokio::run(workers, || main(Self))
    }

    fn job(&self, job: impl Future<Output = ()> + Send + 'static) {
        drop(tokio::spawn(job));
    }

    async fn spawn<R: Role<Self>>(
        &self,
        mut make: impl FnMut() -> R + Send + 'static,
    ) -> Self::Addr<R> {
        Actor::spawn(None, Host(PhantomData), make()).await.expect("the actor starts").0
    }

    async fn send<R: Role<Self>>(addr: &Self::Addr<R>, msg: R::Msg) {
        send(addr, msg);
    }

    fn send_outside<R: Role<Self>>(&self, addr: &Self::Addr<R>, msg: R::Msg) {
        send(addr, msg);
    }

    async fn ask<R: Role<Self>>(addr: &Self::Addr<R>) -> u64 {
        ractor::call!(addr, Mail::Ask).expect("the actor answers")
    }

    async fn special(self, workload: Workload, n: u64) -> Option<Measured> {
        Some(match workload {
            Workload::NamedSend => workloads::names::named_send(self, n).await,
            Workload::Restart => workloads::restart::restart(self, n).await,
            Workload::SpawnSupervised => workloads::spawning::spawn_supervised(self, n).await,
            Workload::SystemBehind => workloads::stopping::system_behind(self, n).await,
            _ => return None,
        })
    }
}

/// Watches children whose failure it only counts.
pub(crate) struct Watcher;

impl Actor for Watcher {
    type Msg = ();
    type State = Arc<AtomicUsize>;
    type Arguments = Arc<AtomicUsize>;

    async fn pre_start(
        &self,
        _: ActorRef<()>,
        n_failed: Arc<AtomicUsize>,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(n_failed)
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<()>,
        event: SupervisionEvent,
        n_failed: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorFailed(..) = event {
            n_failed.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Supervises for Ractor {
    type Supervisor = ActorRef<()>;

    async fn supervisor(&self) -> ActorRef<()> {
        Actor::spawn(None, Watcher, Arc::default()).await.expect("the supervisor starts").0
    }

    async fn spawn_under<R: Role<Self>>(
        &self,
        supervisor: &ActorRef<()>,
        mut make: impl FnMut() -> R + Send + 'static,
    ) -> Self::Addr<R> {
        let host = Host(PhantomData);
        let started = Actor::spawn_linked(None, host, make(), supervisor.get_cell()).await;
        started.expect("the child starts").0
    }
}

type Make<R> = Box<dyn FnMut() -> R + Send>;
type Announce<M> = mpsc::UnboundedSender<ActorRef<Mail<M>>>;

/// Starts its child again when it fails, and announces the new one: ractor leaves both to its users.
struct Reviver<R>(PhantomData<fn() -> R>);

impl<R: Role<Ractor>> Reviver<R> {
    async fn revive(
        myself: &ActorRef<()>,
        (make, announce): &mut (Make<R>, Announce<R::Msg>),
    ) -> Result<(), ActorProcessingErr> {
        let host = Host::<R>(PhantomData);
        let (child, _) = Actor::spawn_linked(None, host, make(), myself.get_cell()).await?;
        Ok(announce.send(child)?)
    }
}

impl<R: Role<Ractor>> Actor for Reviver<R> {
    type Msg = ();
    type State = (Make<R>, Announce<R::Msg>);
    type Arguments = Self::State;

    async fn pre_start(
        &self,
        myself: ActorRef<()>,
        mut state: Self::State,
    ) -> Result<Self::State, ActorProcessingErr> {
        Self::revive(&myself, &mut state).await?;
        Ok(state)
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<()>,
        event: SupervisionEvent,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(..) => Self::revive(&myself, state).await,
            _ => Ok(()),
        }
    }
}

/// The child that lives now, and where its successors arrive.
pub(crate) struct Phoenix<M> {
    child: ActorRef<Mail<M>>,
    successors: mpsc::UnboundedReceiver<ActorRef<Mail<M>>>,
}

impl Restarts for Ractor {
    type Phoenix<R: Role<Self>> = Phoenix<R::Msg>;

    async fn phoenix<R: Role<Self>>(
        &self,
        make: impl FnMut() -> R + Send + 'static,
    ) -> Self::Phoenix<R> {
        let (announce, mut successors) = mpsc::unbounded_channel();
        let state = (Box::new(make) as Make<R>, announce);
        let started = Actor::spawn(None, Reviver::<R>(PhantomData), state).await;
        drop(started.expect("the supervisor starts"));
        let child = successors.recv().await.expect("the first child starts");
        Phoenix { child, successors }
    }

    async fn crash<R: Role<Self>>(phoenix: &mut Self::Phoenix<R>, poison: R::Msg, next: R::Msg) {
        send(&phoenix.child, poison);
        phoenix.child = phoenix.successors.recv().await.expect("a successor starts");
        send(&phoenix.child, next);
    }
}

impl Names for Ractor {
    type Name = String;
    /// Its registry is that of the process.
    type Directory<R: Role<Self>> = ();

    fn directory<R: Role<Self>>(&self) {}

    async fn spawn_named<R: Role<Self>>(
        &self,
        (): &(),
        name: &str,
        mut make: impl FnMut() -> R + Send + 'static,
    ) -> String {
        let started = Actor::spawn(Some(name.to_owned()), Host(PhantomData), make()).await;
        drop(started.expect("the name is free"));
        name.to_owned()
    }

    async fn send_named<R: Role<Self>>(&self, (): &(), name: &String, msg: R::Msg) {
        let addr = ActorRef::<Mail<R::Msg>>::where_is(name).expect("it was registered");
        send(&addr, msg);
    }
}

impl Stops for Ractor {
    fn stop<R: Role<Self>>(addr: &Self::Addr<R>) {
        addr.stop(None);
    }
}
