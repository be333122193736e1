//! Mail and state: what was acknowledged is handled, and takes effect once.

use std::time::Duration;

use ggml_agent::core::store::{Bounds, MemoryStore, OnFull, StoreError, StoreRef};
use ggml_agent::{
    ChildSpec, DurableAgent, DurableContext, DurableOptions, DurableSendError, MessageType,
    Options, Report, Saved, StartError, System,
};
use serde::{Deserialize, Serialize};

use crate::support::until;

use super::{Around, Order, Process, book, memory, summary};

#[tokio::test(start_paused = true)]
async fn q01_state_and_mail_survive_the_system() {
    let (store, around) = (memory(), Around::default());
    let first = Process::start(&store, &["book"], &around).await;
    let addr = first.book("book");
    addr.send(&Order::Note(1)).await.unwrap();
    addr.send(&Order::Note(2)).await.unwrap();
    assert_eq!(first.numbers("book").await, [1, 2]);
    addr.send(&Order::Hang).await.unwrap();
    addr.send(&Order::Note(3)).await.unwrap();
    first.kill().await;
    // A mailbox on disk takes mail while nobody runs.
    let system = System::with(Options { store: Some(store.clone()), ..Options::default() });
    let addr = system.durable::<super::Book>("book").unwrap();
    addr.send(&Order::Note(4)).await.unwrap();
    assert_eq!(summary(&store, "book").await.queued, 3);
    drop(system);
    // Five deliveries of what hangs; then the rest has its turn.
    for _ in 0..4 {
        Process::start(&store, &["book"], &around).await.kill().await;
    }
    let last = Process::start(&store, &["book"], &around).await;
    assert_eq!(last.numbers("book").await, [1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn q02_a_message_whose_handler_panics_is_handled_again_from_the_state_before() {
    let (store, around) = (memory(), Around::default());
    let process = Process::start(&store, &["book"], &around).await;
    let addr = process.book("book");
    addr.send(&Order::Note(1)).await.unwrap();
    addr.send(&Order::PanicUntil(3)).await.unwrap();
    addr.send(&Order::Note(2)).await.unwrap();
    assert_eq!(process.numbers("book").await, [1, 1_003, 2]);
    assert!(store.dead_letters(0, 9).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn q03_a_message_that_never_succeeds_is_a_durable_dead_letter_and_can_be_sent_again() {
    let (store, around) = (memory(), Around::default());
    let options = DurableOptions { deliveries_max: 2, ..DurableOptions::default() };
    let process = Process::start_with(&store, &["book"], &around, options).await;
    let addr = process.book("book");
    let id = addr.send(&Order::PanicUntil(2)).await.unwrap();
    addr.send(&Order::Fail).await.unwrap();
    addr.send(&Order::Note(1)).await.unwrap();
    assert_eq!(process.numbers("book").await, [1]);
    let dead = store.dead_letters(0, 9).await.unwrap();
    assert_eq!(dead.len(), 2);
    assert_eq!((dead[0].envelope.id, dead[0].attempts), (id, 2));
    assert_eq!(dead[0].reason, "delivered 2 times without success");
    // A dead letter that is sent again has all its deliveries before it.
    process.system.resend_dead_letter(1).await.unwrap();
    assert_eq!(process.numbers("book").await, [1]);
    let dead = store.dead_letters(0, 9).await.unwrap();
    assert_eq!((dead[0].number, dead[1].number, dead[1].envelope.id), (2, 3, id));
}

#[tokio::test(start_paused = true)]
async fn q04_the_same_envelope_delivered_twice_is_handled_once() {
    let (store, around) = (memory(), Around::default());
    let process = Process::start(&store, &["book"], &around).await;
    let envelope = process.book("book").envelope(&Order::Note(7)).unwrap();
    for _ in 0..3 {
        assert_eq!(process.system.deliver(envelope.clone()).await, Ok(envelope.id));
    }
    assert_eq!(process.numbers("book").await, [7]);
}

#[tokio::test(start_paused = true)]
async fn q05_a_full_mailbox_refuses_and_a_sender_that_waits_gets_the_room() {
    let (store, around) = (memory(), Around::default());
    let bounds = Bounds { messages_max: 2, bytes_max: 1_000, on_full: OnFull::Refuse };
    let options = DurableOptions { bounds, ..DurableOptions::default() };
    let process = Process::start_with(&store, &["book"], &around, options).await;
    let addr = process.book("book");
    addr.send(&Order::Hang).await.unwrap();
    addr.send(&Order::Note(1)).await.unwrap();
    // Nobody makes room: after 5 s it comes back.
    match addr.send(&Order::Note(2)).await {
        Err(DurableSendError::Refused { envelope, cause }) => {
            assert!(matches!(cause, StoreError::Full { messages: 2, .. }), "{cause}");
            assert_eq!(envelope.to.as_str(), "book");
        }
        other => panic!("{other:?}"),
    }
    let book = process.system.lookup_any("book").unwrap();
    let make_room = async {
        for incarnation in 2..=6 {
            book.kill();
            until("it is begun again", || book.incarnation() == incarnation).await;
        }
    };
    let (sent, ()) = tokio::join!(addr.send(&Order::Note(3)), make_room);
    sent.unwrap();
    assert_eq!(process.numbers("book").await, [1, 3]);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_ended_in_order_counts_no_delivery() {
    let (store, around) = (memory(), Around::default());
    let process = Process::start(&store, &["book"], &around).await;
    process.book("book").send(&Order::Note(1)).await.unwrap();
    assert_eq!(process.numbers("book").await, [1]);
    process.stop().await;
    let system = System::with(Options { store: Some(store.clone()), ..Options::default() });
    let addr = system.durable::<super::Book>("book").unwrap();
    addr.send(&Order::PanicUntil(0)).await.unwrap();
    drop(system);
    let process = Process::start(&store, &["book"], &around).await;
    // Attempt 0: nobody had it in hand.
    assert_eq!(process.numbers("book").await, [1, 1_000]);
    assert_eq!(process.system.dead_letter_counts().values().sum::<u64>(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_envelope_by_the_untyped_road_becomes_durable() {
    let (store, around) = (memory(), Around::default());
    let process = Process::start(&store, &["book"], &around).await;
    let envelope = process.book("book").envelope(&Order::Note(5)).unwrap();
    process.system.route(envelope).unwrap();
    let nonsense = process.system.envelope("book".parse().unwrap(), MessageType::User, "nonsense");
    process.system.route(nonsense).unwrap();
    process.book("book").send(&Order::Note(6)).await.unwrap();
    process.has("book", &[6, 5]).await;
    let dead = store.dead_letters(0, 9).await.unwrap();
    assert!(dead[0].reason.starts_with("not understood: "), "{}", dead[0].reason);
}

#[tokio::test(start_paused = true)]
async fn without_a_store_a_durable_agent_says_what_is_missing() {
    let system = System::new();
    let spec = book("book", DurableOptions::default(), &Around::default());
    match system.start(spec).await {
        Err(StartError::Failed { reason, .. }) => {
            assert!(reason.to_string().contains("set `Options::store`"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(system.durable::<super::Book>("book"), Err(DurableSendError::NoStore)));
}

/// The second version of a state that was a number.
#[derive(Serialize, Deserialize)]
struct Named {
    name: String,
}

impl DurableAgent for Named {
    type Msg = ();
    type Error = Report;
    const VERSION: u32 = 2;

    async fn handle(&mut self, (): (), ctx: &mut DurableContext<'_, Self>) -> Result<(), Report> {
        ctx.reply(&self.name)?;
        Ok(())
    }

    fn upgrade(version: u32, saved: &Saved) -> Result<Self, Report> {
        assert_eq!(version, 1);
        let old: Numbered = saved.read()?;
        Ok(Self { name: format!("number {}", old.number) })
    }
}

#[derive(Serialize, Deserialize)]
struct Numbered {
    number: u32,
}

impl DurableAgent for Numbered {
    type Msg = u32;
    type Error = Report;

    async fn handle(
        &mut self,
        number: u32,
        ctx: &mut DurableContext<'_, Self>,
    ) -> Result<(), Report> {
        self.number = number;
        ctx.reply(&())?;
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn q06_an_old_state_is_upgraded_and_a_newer_one_is_left_alone() {
    let store = StoreRef::new(MemoryStore::new());
    let begin = || System::with(Options { store: Some(store.clone()), ..Options::default() });
    let system = begin();
    system.start(ChildSpec::durable("a", || Numbered { number: 0 })).await.unwrap();
    system.durable::<Numbered>("a").unwrap().ask::<()>(&7).await.unwrap();
    system.shutdown(Duration::from_secs(5)).await;

    let system = begin();
    system.start(ChildSpec::durable("a", || Named { name: String::new() })).await.unwrap();
    let name = system.durable::<Named>("a").unwrap().ask::<String>(&()).await.unwrap();
    assert_eq!(name, "number 7");
    system.shutdown(Duration::from_secs(5)).await;

    let system = begin();
    match system.start(ChildSpec::durable("a", || Numbered { number: 0 })).await {
        Err(StartError::Failed { reason, .. }) => {
            assert!(reason.to_string().contains("version 2, this agent reads 1"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    system.start(ChildSpec::durable("a", || Named { name: String::new() })).await.unwrap();
    let name = system.durable::<Named>("a").unwrap().ask::<String>(&()).await.unwrap();
    assert_eq!(name, "number 7");
}
