//! tokio's own channels: the yardstick.

use tokio::sync::mpsc;

use super::raw::{Channel, Raw};
use crate::framework::MailboxKind;

/// `tokio::sync::mpsc`, unbounded.
pub(crate) type TokioMpsc = Raw<Unbounded>;

/// `tokio::sync::mpsc`, bounded.
pub(crate) type TokioMpscBounded = Raw<Bounded>;

pub(crate) struct Unbounded;

impl Channel for Unbounded {
    type Sender<M: Send + 'static> = mpsc::UnboundedSender<M>;
    type Receiver<M: Send + 'static> = mpsc::UnboundedReceiver<M>;

    fn pair<M: Send + 'static>(_: MailboxKind) -> (Self::Sender<M>, Self::Receiver<M>) {
        mpsc::unbounded_channel()
    }

    async fn send<M: Send + 'static>(sender: &Self::Sender<M>, msg: M) {
        Self::send_blocking(sender, msg);
    }

    fn send_blocking<M: Send + 'static>(sender: &Self::Sender<M>, msg: M) {
        sender.send(msg).expect("the actor lives");
    }

    async fn receive<M: Send + 'static>(receiver: &mut Self::Receiver<M>) -> Option<M> {
        receiver.recv().await
    }
}

pub(crate) struct Bounded;

impl Channel for Bounded {
    type Sender<M: Send + 'static> = mpsc::Sender<M>;
    type Receiver<M: Send + 'static> = mpsc::Receiver<M>;

    fn pair<M: Send + 'static>(mailbox: MailboxKind) -> (Self::Sender<M>, Self::Receiver<M>) {
        match mailbox {
            MailboxKind::Bounded(len_max) => mpsc::channel(len_max),
            MailboxKind::Default | MailboxKind::Unbounded => {
                unreachable!("`Unbounded` is there for these")
            }
        }
    }

    async fn send<M: Send + 'static>(sender: &Self::Sender<M>, msg: M) {
        sender.send(msg).await.expect("the actor lives");
    }

    fn send_blocking<M: Send + 'static>(sender: &Self::Sender<M>, msg: M) {
        sender.blocking_send(msg).expect("the actor lives");
    }

    async fn receive<M: Send + 'static>(receiver: &mut Self::Receiver<M>) -> Option<M> {
        receiver.recv().await
    }
}
