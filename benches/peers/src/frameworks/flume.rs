//! flume: a lock and a deque.

use super::raw::{Channel, Raw};
use crate::framework::MailboxKind;

/// flume, unbounded.
pub(crate) type Flume = Raw<Pair<false>>;

/// flume, bounded.
pub(crate) type FlumeBounded = Raw<Pair<true>>;

pub(crate) struct Pair<const BOUNDED: bool>;

impl<const BOUNDED: bool> Channel for Pair<BOUNDED> {
    type Sender<M: Send + 'static> = flume::Sender<M>;
    type Receiver<M: Send + 'static> = flume::Receiver<M>;

    fn pair<M: Send + 'static>(mailbox: MailboxKind) -> (Self::Sender<M>, Self::Receiver<M>) {
        match mailbox {
            MailboxKind::Bounded(len_max) => flume::bounded(len_max),
            MailboxKind::Default | MailboxKind::Unbounded => flume::unbounded(),
        }
    }

    async fn send<M: Send + 'static>(sender: &Self::Sender<M>, msg: M) {
        if BOUNDED {
            sender.send_async(msg).await.expect("the actor lives");
        } else {
            Self::send_blocking(sender, msg);
        }
    }

    fn send_blocking<M: Send + 'static>(sender: &Self::Sender<M>, msg: M) {
        sender.send(msg).expect("the actor lives");
    }

    async fn receive<M: Send + 'static>(receiver: &mut Self::Receiver<M>) -> Option<M> {
        receiver.recv_async().await.ok()
    }
}
