//! Agents whose mail and state survive their process: here, the system.

mod effects;
mod faults;
mod mail;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ggml_agent::core::store::{AgentSummary, MemoryStore, StoreRef};
use ggml_agent::{
    AgentId, ChildSpec, Durable, DurableAddr, DurableAgent, DurableContext, DurableOptions,
    Options, Report, Supervisor, SupervisorRef, System, TokioClock,
};
use serde::{Deserialize, Serialize};

use crate::support::Log;

/// Keeps the numbers that it was sent, and does what it is told.
#[derive(Serialize, Deserialize)]
pub(super) struct Book {
    numbers: Vec<u32>,
    #[serde(skip)]
    around: Around,
}

/// What is not state: where a book's world notes what it saw.
#[derive(Clone, Default)]
pub(super) struct Around {
    pub(super) log: Log,
    /// How often each effect happened, by its key.
    pub(super) effects: Arc<Mutex<BTreeMap<String, u32>>>,
    /// One clock for all processes, as on one machine.
    clock: Arc<TokioClock>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Order {
    Note(u32),
    Numbers,
    /// Panics before its `n`th delivery succeeds, counted from 0.
    PanicUntil(u32),
    Fail,
    Hang,
    /// Passes a number on to another book.
    Pass(AgentId, u32),
    /// Passes it on, and panics the first time.
    PassLater(AgentId, u32),
    /// Lets an effect happen once, panics the first time, and notes the result.
    Charge(u32),
    /// Notes a number after that many milliseconds, by a timer of this key.
    Remind(String, u64, u32),
    Forget(String),
}

impl DurableAgent for Book {
    type Msg = Order;
    type Error = Report;

    async fn handle(
        &mut self,
        order: Order,
        ctx: &mut DurableContext<'_, Self>,
    ) -> Result<(), Report> {
        self.around.log.note(format!("{order:?}"));
        match order {
            Order::Note(number) => self.numbers.push(number),
            Order::Numbers => ctx.reply(&self.numbers)?,
            Order::PanicUntil(n) => {
                assert!(ctx.attempts() >= n, "asked to panic");
                self.numbers.push(1_000 + ctx.attempts());
            }
            Order::Fail => {
                self.numbers.push(666);
                return Err(Report::msg("asked to fail"));
            }
            Order::Hang => std::future::pending().await,
            Order::Pass(to, number) => ctx.send::<Self>(&to, &Order::Note(number))?,
            Order::PassLater(to, number) => {
                ctx.send::<Self>(&to, &Order::Note(number))?;
                assert!(ctx.attempts() > 0, "asked to panic");
            }
            Order::Charge(number) => {
                let effects = self.around.effects.clone();
                let charge = async |key: String| {
                    *effects.lock().unwrap().entry(key).or_default() += 1;
                    Ok::<_, Report>(number * 2)
                };
                let result = ctx.once("charge", |key| charge(key.to_string())).await;
                assert!(ctx.attempts() > 0, "asked to panic");
                self.numbers.push(result.map_err(|error| Report::msg(error.to_string()))?);
            }
            Order::Remind(key, delay_ms, number) => {
                ctx.send_after(key, Duration::from_millis(delay_ms), &Order::Note(number))?;
            }
            Order::Forget(key) => ctx.cancel(key),
        }
        Ok(())
    }

    fn adopt(&mut self, fresh: Self) {
        self.around = fresh.around;
    }
}

/// A process: a system on a store that outlives it.
pub(super) struct Process {
    pub(super) system: System,
    pub(super) tree: SupervisorRef,
}

pub(super) fn memory() -> StoreRef {
    StoreRef::new(MemoryStore::new())
}

pub(super) fn book(id: &str, options: DurableOptions, around: &Around) -> ChildSpec<Durable<Book>> {
    let around = around.clone();
    ChildSpec::durable_with(id, options, move || Book {
        numbers: Vec::new(),
        around: around.clone(),
    })
}

impl Process {
    /// Starts books of these ids under a supervisor that restarts them for ever.
    pub(super) async fn start(store: &StoreRef, ids: &[&str], around: &Around) -> Self {
        Self::start_with(store, ids, around, DurableOptions::default()).await
    }

    pub(super) async fn start_with(
        store: &StoreRef,
        ids: &[&str],
        around: &Around,
        options: DurableOptions,
    ) -> Self {
        let clock = around.clock.clone();
        let system = System::with(Options {
            store: Some(store.clone()),
            clock: Some(clock),
            ..Options::default()
        });
        let mut tree = Supervisor::new("tree").intensity(1_000, Duration::from_secs(1));
        for id in ids {
            tree = tree.child(book(id, options, around));
        }
        let tree = system.supervise(tree).await.unwrap();
        Self { system, tree }
    }

    pub(super) fn book(&self, id: &str) -> DurableAddr<Book> {
        self.system.durable(id).unwrap()
    }

    pub(super) async fn numbers(&self, id: &str) -> Vec<u32> {
        self.book(id).ask(&Order::Numbers).await.unwrap()
    }

    /// Returns when a book has these numbers, which are on their way.
    pub(super) async fn has(&self, id: &str, expected: &[u32]) {
        for _ in 0..1_000 {
            if self.numbers(id).await == expected {
                return;
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(self.numbers(id).await, expected);
    }

    /// Ends as a process does that is killed: nobody is told.
    pub(super) async fn kill(self) {
        let ended = self.system.lookup_any("tree").unwrap();
        drop(self.system);
        ended.ended().await;
    }

    /// Ends in order.
    pub(super) async fn stop(self) {
        self.tree.stop().await;
        self.system.shutdown(Duration::from_secs(5)).await;
    }
}

pub(super) async fn summary(store: &StoreRef, id: &str) -> AgentSummary {
    let agents = store.agents(None, 100).await.unwrap();
    agents.into_iter().find(|agent| agent.agent.as_str() == id).unwrap()
}
