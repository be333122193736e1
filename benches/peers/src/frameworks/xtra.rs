//! xtra: actors on tokio, with the unbounded mailboxes of its examples.

use std::future::Future;

use dashmap::DashMap;
use xtra::{Actor, Address, Context, Handler, Mailbox};

use super::on_tokio;
use crate::framework::{Flow, Framework, MailboxKind, Names, Role};
use crate::line::Measured;
use crate::workload::Workload;
use crate::workloads;

#[derive(Clone)]
pub(crate) struct Xtra {
    mailbox: MailboxKind,
}

/// A role as an actor.
pub(crate) struct Host<R>(R);

pub(crate) struct Tell<M>(M);

pub(crate) struct Question;

impl<R: Role<Xtra>> Actor for Host<R> {
    type Stop = ();

    async fn started(&mut self, _: &Mailbox<Self>) -> Result<(), ()> {
        self.0.started();
        Ok(())
    }

    async fn stopped(self) {}
}

impl<R: Role<Xtra>> Handler<Tell<R::Msg>> for Host<R> {
    type Return = ();

    async fn handle(&mut self, Tell(msg): Tell<R::Msg>, ctx: &mut Context<Self>) {
        if self.0.handle(msg).await == Flow::Stop {
            ctx.stop_self();
        }
    }
}

impl<R: Role<Xtra>> Handler<Question> for Host<R> {
    type Return = u64;

    async fn handle(&mut self, _: Question, _: &mut Context<Self>) -> u64 {
        self.0.answer()
    }
}

impl Framework for Xtra {
    type Addr<R: Role<Self>> = Address<Host<R>>;

    fn not_applicable(workload: Workload) -> Option<&'static str> {
        match workload {
            Workload::Restart | Workload::SpawnSupervised => Some("it has no supervision"),
            Workload::SystemBehind => Some("an actor is stopped by a message like any other"),
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
        let mailbox = match self.mailbox {
            MailboxKind::Bounded(len_max) => Mailbox::bounded(len_max),
            MailboxKind::Default | MailboxKind::Unbounded => Mailbox::unbounded(),
        };
        xtra::spawn_tokio(Host(make()), mailbox)
    }

    async fn send<R: Role<Self>>(addr: &Self::Addr<R>, msg: R::Msg) {
        // Detached: it waits for room only. What it resolves to would wait for the handler.
        drop(addr.send(Tell(msg)).detach().await.expect("the actor lives"));
    }

    fn send_outside<R: Role<Self>>(&self, addr: &Self::Addr<R>, msg: R::Msg) {
        futures_executor::block_on(Self::send(addr, msg));
    }

    async fn ask<R: Role<Self>>(addr: &Self::Addr<R>) -> u64 {
        addr.send(Question).await.expect("the actor answers")
    }

    async fn special(self, workload: Workload, n: u64) -> Option<Measured> {
        match workload {
            Workload::NamedSend => Some(workloads::names::named_send(self, n).await),
            _ => None,
        }
    }
}

impl Names for Xtra {
    type Name = String;
    type Directory<R: Role<Self>> = DashMap<String, Self::Addr<R>>;

    fn directory<R: Role<Self>>(&self) -> Self::Directory<R> {
        DashMap::new()
    }

    async fn spawn_named<R: Role<Self>>(
        &self,
        directory: &Self::Directory<R>,
        name: &str,
        make: impl FnMut() -> R + Send + 'static,
    ) -> String {
        directory.insert(name.to_owned(), self.spawn(make).await);
        name.to_owned()
    }

    async fn send_named<R: Role<Self>>(
        &self,
        directory: &Self::Directory<R>,
        name: &String,
        msg: R::Msg,
    ) {
        // Cloned, since a guard of the map must not be held across an await.
        let addr = directory.get(name).expect("it was registered").clone();
        Self::send(&addr, msg).await;
    }
}
