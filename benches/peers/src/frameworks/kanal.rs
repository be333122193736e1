//! kanal: a spin lock and a deque, handed straight to a waiting receiver.

use super::raw::{Channel, Raw};
use crate::framework::MailboxKind;

/// kanal, unbounded.
pub(crate) type Kanal = Raw<Pair<false>>;

/// kanal, bounded.
pub(crate) type KanalBounded = Raw<Pair<true>>;

pub(crate) struct Pair<const BOUNDED: bool>;

impl<const BOUNDED: bool> Channel for Pair<BOUNDED> {
    type Sender<M: Send + 'static> = kanal::AsyncSender<M>;
    type Receiver<M: Send + 'static> = kanal::AsyncReceiver<M>;

    fn pair<M: Send + 'static>(mailbox: MailboxKind) -> (Self::Sender<M>, Self::Receiver<M>) {
        match mailbox {
            MailboxKind::Bounded(len_max) => kanal::bounded_async(len_max),
            MailboxKind::Default | MailboxKind::Unbounded => kanal::unbounded_async(),
        }
    }

    async fn send<M: Send + 'static>(sender: &Self::Sender<M>, msg: M) {
        if BOUNDED {
            sender.send(msg).await.expect("the actor lives");
        } else {
            Self::send_blocking(sender, msg);
        }
    }

    fn send_blocking<M: Send + 'static>(sender: &Self::Sender<M>, msg: M) {
        sender.as_sync().send(msg).expect("the actor lives");
    }

    async fn receive<M: Send + 'static>(receiver: &mut Self::Receiver<M>) -> Option<M> {
        receiver.recv().await.ok()
    }
}
