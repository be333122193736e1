//! A process with durable agents, to be killed by a test: `durable_node DIR`.
//!
//! It reads lines `SENDER SEQUENCE` and answers `ok SENDER SEQUENCE` when that message is durable; `state` is
//! answered by what the agents have committed, as `SENDER LAST N_HANDLED N_DISORDERED` of the first and then the
//! same of the second, which gets everything passed on; `end` ends it.

use std::collections::BTreeMap;
use std::io::{BufRead, Write, stdin, stdout};

use ggml_agent::core::MessageId;
use ggml_agent::core::store::StoreRef;
use ggml_agent::{
    AgentId, ChildSpec, DurableAddr, DurableAgent, DurableContext, DurableOptions, Options, Report,
    Supervisor, System,
};
use ggml_agent_store::{Medium, Sqlite};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Counts what it was sent, and passes it on.
#[derive(Serialize, Deserialize)]
struct Counter {
    senders: BTreeMap<u32, Seen>,
    next: Option<AgentId>,
}

#[derive(Default, Serialize, Deserialize)]
struct Seen {
    last: u64,
    n_handled: u64,
    n_disordered: u64,
}

#[derive(Serialize, Deserialize)]
enum Msg {
    Count { sender: u32, sequence: u64 },
    State,
}

impl DurableAgent for Counter {
    type Msg = Msg;
    type Error = Report;

    async fn handle(&mut self, msg: Msg, ctx: &mut DurableContext<'_, Self>) -> Result<(), Report> {
        match msg {
            Msg::Count { sender, sequence } => {
                let seen = self.senders.entry(sender).or_default();
                seen.n_handled += 1;
                seen.n_disordered += u64::from(sequence != seen.last + 1);
                seen.last = sequence;
                if let Some(next) = self.next.clone() {
                    ctx.send::<Self>(&next, &Msg::Count { sender, sequence })?;
                }
            }
            Msg::State => {
                let senders = self.senders.iter();
                let lines: Vec<_> = senders
                    .map(|(sender, Seen { last, n_handled, n_disordered })| {
                        format!("{sender} {last} {n_handled} {n_disordered}")
                    })
                    .collect();
                ctx.reply(&lines)?;
            }
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os().nth(1).ok_or("usage: durable_node DIR")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // A folder of a test may lie in memory: a killed process loses nothing there.
    let options = ggml_agent_store::Options { medium: Medium::Any, ..Default::default() };
    let store = StoreRef::new(Sqlite::open(folder, options)?);
    runtime.block_on(run(store))
}

async fn run(store: StoreRef) -> Result<(), Box<dyn std::error::Error>> {
    let system = System::with(Options { store: Some(store), ..Options::default() });
    let counter = |next: Option<&str>| {
        let next = next.map(|next| next.parse().expect("an id"));
        move || Counter { senders: BTreeMap::new(), next: next.clone() }
    };
    // No message is at fault for the end of its process, however often it was in hand then.
    let options = DurableOptions { deliveries_max: u32::MAX, ..DurableOptions::default() };
    let tree = Supervisor::new("tree")
        .child(ChildSpec::durable_with("second", options, counter(None)))
        .child(ChildSpec::durable_with("first", options, counter(Some("second"))));
    let tree = system.supervise(tree).await?;
    say("ready");
    let mut lines = lines();
    while let Some(line) = lines.recv().await {
        match line.as_str() {
            "state" => {
                for id in ["first", "second"] {
                    let counter = system.durable::<Counter>(id)?;
                    let state: Vec<String> = counter.ask(&Msg::State).await?;
                    state.iter().for_each(|line| say(&format!("{id} {line}")));
                }
                say("end of state");
            }
            "end" => break,
            line => {
                let (sender, sequence) = line.split_once(' ').ok_or("SENDER SEQUENCE")?;
                let (sender, sequence) = (sender.parse()?, sequence.parse()?);
                let first = system.durable::<Counter>("first")?;
                let system = system.clone();
                #[expect(
                    clippy::disallowed_methods,
                    reason = "it ends with the process, by a kill"
                )]
                tokio::spawn(async move { count(&system, &first, sender, sequence).await });
            }
        }
    }
    tree.stop().await;
    Ok(())
}

async fn count(
    system: &ggml_agent::SystemRef,
    first: &DurableAddr<Counter>,
    sender: u32,
    sequence: u64,
) {
    let message = first.envelope(&Msg::Count { sender, sequence });
    let mut message = message.expect("it can be written");
    // The same id for the same message, also in the next process: so it is known.
    message.id = MessageId::from_u128(u128::from(sender) << 64 | u128::from(sequence));
    if system.deliver(message).await.is_ok() {
        say(&format!("ok {sender} {sequence}"));
    }
}

/// Lines of the standard input, read by a thread of their own.
fn lines() -> UnboundedReceiver<String> {
    let (line, lines) = unbounded_channel();
    std::thread::spawn(move || {
        for read in stdin().lock().lines().map_while(Result::ok) {
            if line.send(read).is_err() {
                break;
            }
        }
    });
    lines
}

fn say(line: &str) {
    let mut out = stdout().lock();
    // Who does not listen any more is going to kill this process.
    drop(writeln!(out, "{line}").and_then(|()| out.flush()));
}
