//! An actor by hand: a channel and a spawned task per actor. The same code for each channel.

use std::future::Future;
use std::marker::PhantomData;

use dashmap::DashMap;
use tokio::sync::{mpsc, oneshot};

use super::on_tokio;
use crate::framework::{Flow, Framework, MailboxKind, Names, Restarts, Role};
use crate::line::Measured;
use crate::workload::Workload;
use crate::workloads;

/// A channel for many senders and one receiver.
pub(crate) trait Channel: Send + Sync + Unpin + 'static {
    type Sender<M: Send + 'static>: Clone + Send + Sync + Unpin + 'static;
    type Receiver<M: Send + 'static>: Send + 'static;

    fn pair<M: Send + 'static>(mailbox: MailboxKind) -> (Self::Sender<M>, Self::Receiver<M>);

    fn send<M: Send + 'static>(sender: &Self::Sender<M>, msg: M)
    -> impl Future<Output = ()> + Send;

    fn send_blocking<M: Send + 'static>(sender: &Self::Sender<M>, msg: M);

    /// `None` when all senders are gone.
    fn receive<M: Send + 'static>(
        receiver: &mut Self::Receiver<M>,
    ) -> impl Future<Output = Option<M>> + Send;
}

/// What is in the channel.
pub(crate) enum Mail<M> {
    Tell(M),
    Ask(oneshot::Sender<u64>),
}

/// Actors by hand on channel `C`.
pub(crate) struct Raw<C> {
    mailbox: MailboxKind,
    channel: PhantomData<C>,
}

impl<C> Clone for Raw<C> {
    fn clone(&self) -> Self {
        Self { mailbox: self.mailbox, channel: PhantomData }
    }
}

type Sender<C, M> = <C as Channel>::Sender<Mail<M>>;

/// The life of an actor.
async fn live<C: Channel, R: Role<Raw<C>>>(mut role: R, mut mailbox: C::Receiver<Mail<R::Msg>>) {
    role.started();
    while let Some(mail) = C::receive(&mut mailbox).await {
        match mail {
            Mail::Tell(msg) => {
                if role.handle(msg).await == Flow::Stop {
                    return;
                }
            }
            // An asker that has left needs no answer.
            Mail::Ask(reply) => drop(reply.send(role.answer())),
        }
    }
}

impl<C: Channel> Framework for Raw<C> {
    type Addr<R: Role<Self>> = Sender<C, R::Msg>;

    fn not_applicable(workload: Workload) -> Option<&'static str> {
        match workload {
            Workload::SpawnSupervised => Some("a channel has no supervisors"),
            Workload::SystemBehind => Some("a channel has no stop that overtakes"),
            Workload::IdleSupervised | Workload::Envelope => Some("only ggml-agent has such"),
            _ => None,
        }
    }

    fn run<T, M>(workers: usize, mailbox: MailboxKind, main: impl FnOnce(Self) -> M + Send) -> T
    where
        T: Send + 'static,
        M: Future<Output = T> + Send + 'static,
    {
        on_tokio::run(workers, || main(Self { mailbox, channel: PhantomData }))
    }

    fn job(&self, job: impl Future<Output = ()> + Send + 'static) {
        drop(tokio::spawn(job));
    }

    async fn spawn<R: Role<Self>>(
        &self,
        mut make: impl FnMut() -> R + Send + 'static,
    ) -> Self::Addr<R> {
        let (sender, mailbox) = C::pair(self.mailbox);
        drop(tokio::spawn(live::<C, R>(make(), mailbox)));
        sender
    }

    fn send<R: Role<Self>>(addr: &Self::Addr<R>, msg: R::Msg) -> impl Future<Output = ()> + Send {
        C::send(addr, Mail::Tell(msg))
    }

    fn send_outside<R: Role<Self>>(&self, addr: &Self::Addr<R>, msg: R::Msg) {
        C::send_blocking(addr, Mail::Tell(msg));
    }

    async fn ask<R: Role<Self>>(addr: &Self::Addr<R>) -> u64 {
        let (reply, answer) = oneshot::channel();
        C::send(addr, Mail::Ask(reply)).await;
        answer.await.expect("the actor answers")
    }

    async fn special(self, workload: Workload, n: u64) -> Option<Measured> {
        match workload {
            Workload::NamedSend => Some(workloads::names::named_send(self, n).await),
            Workload::Restart => Some(workloads::restart::restart(self, n).await),
            _ => None,
        }
    }
}

/// The address of the incarnation that lives now, and where those of its successors arrive.
pub(crate) struct Phoenix<A> {
    addr: A,
    successors: mpsc::UnboundedReceiver<A>,
}

impl<C: Channel> Restarts for Raw<C> {
    type Phoenix<R: Role<Self>> = Phoenix<Self::Addr<R>>;

    /// By hand: a task joins the actor's task and spawns the next one, with a channel of its own.
    async fn phoenix<R: Role<Self>>(
        &self,
        mut make: impl FnMut() -> R + Send + 'static,
    ) -> Self::Phoenix<R> {
        let (announce, mut successors) = mpsc::unbounded_channel();
        let mailbox = self.mailbox;
        drop(tokio::spawn(async move {
            loop {
                let (sender, receiver) = C::pair(mailbox);
                let life = tokio::spawn(live::<C, R>(make(), receiver));
                if announce.send(sender).is_err() || life.await.is_ok() {
                    return;
                }
            }
        }));
        let addr = successors.recv().await.expect("the first one starts");
        Phoenix { addr, successors }
    }

    async fn crash<R: Role<Self>>(phoenix: &mut Self::Phoenix<R>, poison: R::Msg, next: R::Msg) {
        C::send(&phoenix.addr, Mail::Tell(poison)).await;
        phoenix.addr = phoenix.successors.recv().await.expect("a successor starts");
        C::send(&phoenix.addr, Mail::Tell(next)).await;
    }
}

impl<C: Channel> Names for Raw<C> {
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
        // Unbounded: it never waits, so the guard of the shard may be held.
        C::send_blocking(&directory.get(name).expect("it was registered"), Mail::Tell(msg));
    }
}

#[cfg(test)]
mod tests {
    use super::Mail;
    use crate::workloads::roles::Msg;

    #[test]
    fn a_message_has_the_16_bytes_that_the_report_speaks_of() {
        assert_eq!(size_of::<Mail<Msg>>(), 16);
    }
}
