use std::time::Duration;

use crate::{Addr, Agent, ChildSpec, Context, Reply, Report, System};

struct Sink;

enum Msg {
    Note,
    Done(Reply<()>),
}

impl Agent for Sink {
    type Msg = Msg;
    type Error = Report;

    async fn handle(&mut self, message: Msg, _: &mut Context<Self>) -> Result<(), Report> {
        if let Msg::Done(reply) = message {
            reply.send(());
        }
        Ok(())
    }
}

fn owns_memory(addr: &Addr<Sink>) -> bool {
    addr.cell().mailbox().is_used()
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_rests_gives_its_memory_back_and_takes_mail_again() {
    let system = System::new();
    let addr = system.start(ChildSpec::new("sink", || Sink)).await.unwrap();
    for _ in 0..3 {
        for _ in 0..1_000 {
            addr.send(Msg::Note).await.unwrap();
        }
        addr.ask(Msg::Done).await.unwrap();
        assert!(owns_memory(&addr));
        // Two looks: one that finds it at work since the last, one that does not.
        for _ in 0..15 {
            tokio::time::advance(Duration::from_millis(101)).await;
            tokio::task::yield_now().await;
        }
        assert!(!owns_memory(&addr));
    }
    assert!(addr.ledger().is_balanced());
    assert_eq!(addr.ledger().handled, 3 * 1_001);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_only_asked_owns_none() {
    let system = System::new();
    let addr = system.start(ChildSpec::new("sink", || Sink)).await.unwrap();
    for n in 0..100 {
        addr.ask(Msg::Done).await.unwrap();
        assert!(!owns_memory(&addr), "after {n} questions");
    }
    assert!(addr.ledger().is_balanced());
    assert_eq!(addr.ledger().accepted, 100);
}

#[tokio::test(start_paused = true)]
async fn only_so_many_agents_keep_memory_at_rest() {
    let system = System::new();
    let n = super::CELLS_MAX + 100;
    let mut addrs = Vec::with_capacity(n);
    for n in 0..n {
        let addr = system.start(ChildSpec::new(format!("sink-{n}"), || Sink)).await.unwrap();
        addr.send(Msg::Note).await.unwrap();
        addr.ask(Msg::Done).await.unwrap();
        addrs.push(addr);
    }
    assert_eq!(addrs.iter().filter(|addr| owns_memory(addr)).count(), super::CELLS_MAX);
}
