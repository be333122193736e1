//! kameo: actors on tokio in its defaults, with mailboxes of 64 whose senders wait.
//!
//! Requests are sent with `send()`; awaiting them directly boxes the future once more.

use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;

use kameo::actor::{Actor, ActorRef, Spawn};
use kameo::error::{Infallible, SendError};
use kameo::mailbox;
use kameo::message::{Context, Message};

use super::on_tokio;
use crate::framework::{Flow, Framework, MailboxKind, Names, Restarts, Role, Stops, Supervises};
use crate::line::Measured;
use crate::workload::Workload;
use crate::workloads;

#[derive(Clone)]
pub(crate) struct Kameo {
    mailbox: MailboxKind,
}

/// A role as an actor.
pub(crate) struct Host<R>(R);

pub(crate) struct Tell<M>(M);

pub(crate) struct Question;

impl<R: Role<Kameo>> Actor for Host<R> {
    type Args = R;
    type Error = Infallible;

    async fn on_start(mut role: R, _: ActorRef<Self>) -> Result<Self, Infallible> {
        role.started();
        Ok(Self(role))
    }
}

impl<R: Role<Kameo>> Message<Tell<R::Msg>> for Host<R> {
    type Reply = ();

    async fn handle(&mut self, Tell(msg): Tell<R::Msg>, ctx: &mut Context<Self, ()>) {
        if self.0.handle(msg).await == Flow::Stop {
            ctx.stop();
        }
    }
}

impl<R: Role<Kameo>> Message<Question> for Host<R> {
    type Reply = u64;

    async fn handle(&mut self, _: Question, _: &mut Context<Self, u64>) -> u64 {
        self.0.answer()
    }
}

async fn send<R: Role<Kameo>>(addr: &ActorRef<Host<R>>, msg: R::Msg) {
    if addr.tell(Tell(msg)).send().await.is_err() {
        unreachable!("the actor lives");
    }
}

impl Framework for Kameo {
    type Addr<R: Role<Self>> = ActorRef<Host<R>>;

    fn not_applicable(workload: Workload) -> Option<&'static str> {
        match workload {
            Workload::IdleSupervised | Workload::Envelope => Some("only ggml-agent has such"),
            _ => None,
        }
    }

    fn run<T, M>(workers: usize, mailbox: MailboxKind, main: impl FnOnce(Self) -> M + Send) -> T
    where
        T: Send + 'static,
        M: Future<Output = T> + Send + 'static,
    {
        on_tokio::run(workers, || main(Self { mailbox }))
    }

    fn job(&self, job: impl Future<Output = ()> + Send + 'static) {
        drop(tokio::spawn(job));
    }

    async fn spawn<R: Role<Self>>(
        &self,
        mut make: impl FnMut() -> R + Send + 'static,
    ) -> Self::Addr<R> {
        match self.mailbox {
            MailboxKind::Default => Host::spawn(make()),
            MailboxKind::Bounded(len_max) => {
                Host::spawn_with_mailbox(make(), mailbox::bounded(len_max))
            }
            MailboxKind::Unbounded => Host::spawn_with_mailbox(make(), mailbox::unbounded()),
        }
    }

    async fn send<R: Role<Self>>(addr: &Self::Addr<R>, msg: R::Msg) {
        send(addr, msg).await;
    }

    fn send_outside<R: Role<Self>>(&self, addr: &Self::Addr<R>, msg: R::Msg) {
        if addr.tell(Tell(msg)).blocking_send().is_err() {
            unreachable!("the actor lives");
        }
    }

    async fn ask<R: Role<Self>>(addr: &Self::Addr<R>) -> u64 {
        let answer: Result<u64, SendError<Question>> = addr.ask(Question).send().await;
        answer.expect("the actor answers")
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

/// Has children and does nothing else.
pub(crate) struct Parent;

impl Actor for Parent {
    type Args = ();
    type Error = Infallible;

    async fn on_start((): (), _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(Self)
    }
}

impl Supervises for Kameo {
    type Supervisor = ActorRef<Parent>;

    async fn supervisor(&self) -> ActorRef<Parent> {
        Parent::spawn(())
    }

    async fn spawn_under<R: Role<Self>>(
        &self,
        supervisor: &ActorRef<Parent>,
        make: impl FnMut() -> R + Send + 'static,
    ) -> Self::Addr<R> {
        let child = supervise(supervisor, make).await;
        child.wait_for_startup().await;
        child
    }
}

async fn supervise<R: Role<Kameo>>(
    supervisor: &ActorRef<Parent>,
    make: impl FnMut() -> R + Send + 'static,
) -> ActorRef<Host<R>> {
    // kameo's factory is called by reference.
    let make = Mutex::new(make);
    let factory = move || (make.lock().expect("a factory does not panic"))();
    // Never gives up.
    let builder = Host::supervise_with(supervisor, factory);
    builder.restart_limit(u32::MAX, Duration::from_millis(1)).spawn().await
}

/// The address survives restarts; the supervisor lives as long as this.
pub(crate) struct Phoenix<R: Role<Kameo>> {
    child: ActorRef<Host<R>>,
    _supervisor: ActorRef<Parent>,
}

impl Restarts for Kameo {
    type Phoenix<R: Role<Self>> = Phoenix<R>;

    async fn phoenix<R: Role<Self>>(
        &self,
        make: impl FnMut() -> R + Send + 'static,
    ) -> Self::Phoenix<R> {
        let supervisor = Parent::spawn(());
        let child = supervise(&supervisor, make).await;
        // Messages that arrive before it has started are lost if one of them makes it panic.
        child.wait_for_startup().await;
        Phoenix { child, _supervisor: supervisor }
    }

    async fn crash<R: Role<Self>>(phoenix: &mut Self::Phoenix<R>, poison: R::Msg, next: R::Msg) {
        send(&phoenix.child, poison).await;
        send(&phoenix.child, next).await;
    }
}

impl Names for Kameo {
    type Name = String;
    /// Its registry is that of the process.
    type Directory<R: Role<Self>> = ();

    fn directory<R: Role<Self>>(&self) {}

    async fn spawn_named<R: Role<Self>>(
        &self,
        (): &(),
        name: &str,
        make: impl FnMut() -> R + Send + 'static,
    ) -> String {
        let addr = self.spawn(make).await;
        addr.register(name.to_owned()).expect("the name is free");
        name.to_owned()
    }

    async fn send_named<R: Role<Self>>(&self, (): &(), name: &String, msg: R::Msg) {
        let addr = ActorRef::<Host<R>>::lookup(name.as_str()).expect("it has this type");
        send(&addr.expect("it was registered"), msg).await;
    }
}

impl Stops for Kameo {
    /// `stop_gracefully` is a message like any other; what overtakes is `kill`.
    fn stop<R: Role<Self>>(addr: &Self::Addr<R>) {
        addr.kill();
    }
}
