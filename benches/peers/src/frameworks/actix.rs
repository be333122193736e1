//! actix: actors, senders and askers on the one thread of its system, as `#[actix::main]` has it.

use std::future::Future;

use actix::{Actor, ActorContext, Addr, Context, Handler, Message};
use dashmap::DashMap;
use futures_util::FutureExt;

use crate::framework::{Flow, Framework, MailboxKind, Names, Role};
use crate::line::Measured;
use crate::workload::Workload;
use crate::workloads;

/// One-way messages go by `do_send`, which waits for nothing. `AWAITS`: by `send`, the only call that
/// waits for room, and which waits for the message to be handled too.
#[derive(Clone)]
pub(crate) struct Actix<const AWAITS: bool>;

/// A role as an actor.
pub(crate) struct Host<R, const AWAITS: bool>(R);

#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Tell<M>(M);

#[derive(Message)]
#[rtype(result = "u64")]
pub(crate) struct Question;

// With the default of 16 slots more than 16 askers can hang: a `send` that finds the mailbox full may
// never be woken.
const MAILBOX_LEN_MAX: usize = 1024;

impl<R: Role<Actix<AWAITS>>, const AWAITS: bool> Actor for Host<R, AWAITS> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_LEN_MAX);
        self.0.started();
    }
}

impl<R: Role<Actix<AWAITS>>, const AWAITS: bool> Handler<Tell<R::Msg>> for Host<R, AWAITS> {
    type Result = ();

    fn handle(&mut self, Tell(msg): Tell<R::Msg>, ctx: &mut Self::Context) {
        // A handler of actix is a plain function; what these do never waits, since `do_send` does not.
        let flow = self.0.handle(msg).now_or_never().expect("it does not wait");
        if flow == Flow::Stop {
            ctx.stop();
        }
    }
}

impl<R: Role<Actix<AWAITS>>, const AWAITS: bool> Handler<Question> for Host<R, AWAITS> {
    type Result = u64;

    fn handle(&mut self, _: Question, _: &mut Self::Context) -> u64 {
        self.0.answer()
    }
}

impl<const AWAITS: bool> Framework for Actix<AWAITS> {
    type Addr<R: Role<Self>> = Addr<Host<R, AWAITS>>;

    fn not_applicable(workload: Workload) -> Option<&'static str> {
        match workload {
            Workload::Restart => Some("a panic in a handler ends the actor for good"),
            Workload::SpawnSupervised => Some("a supervisor has one actor only"),
            Workload::SystemBehind => Some("an actor is stopped by a message like any other"),
            Workload::IdleSupervised | Workload::Envelope => Some("only ggml-agent has such"),
            _ => None,
        }
    }

    fn run<T, M>(_: usize, _: MailboxKind, main: impl FnOnce(Self) -> M + Send) -> T
    where
        T: Send + 'static,
        M: Future<Output = T> + Send + 'static,
    {
        actix::System::new()
            .block_on(async { actix::spawn(main(Self)).await.expect("the measurement panicked") })
    }

    fn job(&self, job: impl Future<Output = ()> + Send + 'static) {
        drop(actix::spawn(job));
    }

    async fn spawn<R: Role<Self>>(
        &self,
        mut make: impl FnMut() -> R + Send + 'static,
    ) -> Self::Addr<R> {
        Host(make()).start()
    }

    async fn send<R: Role<Self>>(addr: &Self::Addr<R>, msg: R::Msg) {
        if AWAITS {
            addr.send(Tell(msg)).await.expect("the actor lives");
        } else {
            addr.do_send(Tell(msg));
        }
    }

    fn send_outside<R: Role<Self>>(&self, addr: &Self::Addr<R>, msg: R::Msg) {
        addr.do_send(Tell(msg));
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

impl<const AWAITS: bool> Names for Actix<AWAITS> {
    type Name = String;
    /// Its own registry knows one actor per type.
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
        directory.get(name).expect("it was registered").do_send(Tell(msg));
    }
}
