//! M: agents and messages.

use std::time::Duration;

use ggml_agent::{Agent, AskError, ChildSpec, Context, Reply, Report, Supervisor, System};

pub(crate) struct Probe {
    seen: Vec<u32>,
}

pub(crate) enum Msg {
    Note(u32),
    Seen(Reply<Vec<u32>>),
    Fail,
    Panic,
    PanicAsked(#[expect(dead_code, reason = "dropped by the panic")] Reply<()>),
    Forget(#[expect(dead_code, reason = "dropped")] Reply<()>),
    Hang,
}

impl Agent for Probe {
    type Msg = Msg;
    type Error = Report;

    async fn handle(&mut self, msg: Msg, _ctx: &mut Context<Self>) -> Result<(), Report> {
        match msg {
            Msg::Note(n) => self.seen.push(n),
            Msg::Seen(reply) => reply.send(self.seen.clone()),
            Msg::Fail => return Err(Report::msg("asked to fail")),
            Msg::Panic => panic!("asked to panic"),
            Msg::PanicAsked(_reply) => panic!("asked to panic"),
            Msg::Forget(_reply) => {}
            Msg::Hang => std::future::pending().await,
        }
        Ok(())
    }
}

fn probe(id: &str) -> ChildSpec<Probe> {
    ChildSpec::new(id, || Probe { seen: Vec::new() })
}

#[tokio::test(start_paused = true)]
async fn m02_messages_of_one_sender_arrive_in_the_order_sent() {
    let system = System::new();
    let addr = system.start(probe("p")).await.unwrap();
    for n in 0..500 {
        addr.tell(Msg::Note(n)).unwrap();
    }
    assert_eq!(addr.ask(Msg::Seen).await.unwrap(), (0..500).collect::<Vec<_>>());
    assert!(addr.ledger().is_balanced(), "{:?}", addr.ledger());
}

#[tokio::test(start_paused = true)]
async fn m12_address_and_queued_messages_survive_a_restart() {
    let system = System::new();
    let tree = system.supervise(Supervisor::new("tree").child(probe("p"))).await.unwrap();
    let addr = system.lookup::<Probe>("p").unwrap();
    addr.tell(Msg::Note(1)).unwrap();
    addr.tell(Msg::Panic).unwrap();
    addr.tell(Msg::Note(2)).unwrap();
    addr.tell(Msg::Fail).unwrap();
    addr.tell(Msg::Note(3)).unwrap();
    assert_eq!(addr.ask(Msg::Seen).await.unwrap(), vec![3]);
    assert_eq!(addr.incarnation(), 3);
    assert_eq!(addr.ask(Msg::PanicAsked).await, Err(AskError::Restarting));
    assert_eq!(addr.ask(Msg::Forget).await, Err(AskError::NoReply));
    addr.tell(Msg::Hang).unwrap();
    addr.kill();
    assert_eq!(addr.ask(Msg::Seen).await, Err(AskError::Ended), "the fourth failure: it gave up");
    tree.ended().await;
    assert!(system.lookup_any("p").is_none());
    assert!(system.lookup_any("tree").is_none());
    system.shutdown(Duration::from_secs(1)).await;
}
