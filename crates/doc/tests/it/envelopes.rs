//! The document protocol by envelopes: LOCK_REQUEST to DOC_UPDATE without a type of this crate.

use std::sync::Arc;
use std::sync::Mutex;

use ggml_agent::{
    Addr, ChildSpec, Envelope, EnvelopeAgent, EnvelopeContext, Enveloped, Handlers, MessageType,
    Report,
};
use tokio::sync::mpsc;

use crate::support::{House, id};

/// Passes on whatever the document sends.
struct Outsider(Arc<Mutex<mpsc::UnboundedSender<Envelope>>>);

impl Outsider {
    async fn note(
        &mut self,
        envelope: Envelope,
        _: &mut EnvelopeContext<Self>,
    ) -> Result<(), Report> {
        self.0.lock().unwrap().send(envelope).unwrap();
        Ok(())
    }
}

impl EnvelopeAgent for Outsider {
    type Error = Report;

    fn handlers(none: Handlers<Self>) -> Handlers<Self> {
        let kinds = [
            MessageType::LockAcquired,
            MessageType::LockDenied,
            MessageType::DocUpdate,
            MessageType::Error,
        ];
        kinds.into_iter().fold(none, |handlers, kind| {
            handlers.on(kind, |agent, envelope, ctx| Box::pin(agent.note(envelope, ctx)))
        })
    }
}

struct Client {
    addr: Addr<Enveloped<Outsider>>,
    inbox: mpsc::UnboundedReceiver<Envelope>,
}

impl Client {
    async fn new(house: &House, name: &str) -> Self {
        let (sender, inbox) = mpsc::unbounded_channel();
        let sender = Arc::new(Mutex::new(sender));
        let spec = ChildSpec::envelope(name, move || Outsider(sender.clone()));
        Self { addr: house.system.start(spec).await.unwrap(), inbox }
    }

    fn send(&self, house: &House, kind: MessageType, payload: &str) {
        let envelope = house.system.envelope(id("doc"), kind, payload.to_owned());
        house.system.route(envelope.sent_by(self.addr.id().clone())).unwrap();
    }

    async fn next(&mut self) -> (MessageType, String) {
        let envelope = self.inbox.recv().await.unwrap();
        (envelope.kind, String::from_utf8(envelope.payload.to_vec()).unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn m09_the_document_protocol_works_by_envelopes_alone() {
    let house = House::new().await;
    let (mut one, mut two) = (Client::new(&house, "one").await, Client::new(&house, "two").await);
    two.send(&house, MessageType::DocUpdate, "");
    assert_eq!(two.next().await.0, MessageType::DocUpdate, "subscribed");

    one.send(&house, MessageType::LockRequest, "sections: s1\nlease-ms: 5000\n");
    let (kind, grant) = one.next().await;
    assert_eq!(kind, MessageType::LockAcquired);
    assert!(grant.starts_with("lock: s1 1 "), "{grant}");

    two.send(&house, MessageType::LockRequest, "sections: s1\n");
    let (kind, denied) = two.next().await;
    assert_eq!(kind, MessageType::LockDenied);
    assert!(denied.contains("holder: one#1\nuntil-ms: "), "{denied}");

    two.send(&house, MessageType::LockRequest, "sections: s1\nwait-ms: 0\n");
    one.send(&house, MessageType::DocEdit, "section: s1\ntoken: 1\n\n# One\n\nby envelope\n\n");
    assert_eq!(
        one.next().await,
        (MessageType::DocUpdate, "seq: 1\nsection: s1\nversion: 1\nauthor: one#1\n".into())
    );
    let (kind, update) = two.next().await;
    assert_eq!(kind, MessageType::DocUpdate);
    let places = "edit: s1 1\nsplice: 7 5 11\n\nby envelope";
    assert_eq!(update, format!("seq: 1\nauthor: one#1\n{places}"));
    two.send(&house, MessageType::DocUpdate, "section: s1\n");
    let (_, read) = two.next().await;
    assert_eq!(read, "seq: 1\nsection: s1\nversion: 1\n\n# One\n\nby envelope\n\n");

    one.send(&house, MessageType::LockRelease, "section: s1\ntoken: 1\n");
    assert_eq!(two.next().await.0, MessageType::LockAcquired, "its turn");

    one.send(&house, MessageType::DocEdit, "section: s1\ntoken: 1\n\n# Late\n");
    let (kind, refusal) = one.next().await;
    assert_eq!(kind, MessageType::Error);
    assert!(refusal.contains("stale"), "{refusal}");

    one.send(&house, MessageType::DocEdit, "nonsense");
    assert_eq!(one.next().await.0, MessageType::Error);
}
