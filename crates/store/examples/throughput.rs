//! How quick the store is, next to bare SQLite with the same group commit in the same run.
//!
//! `cargo run --release -p ggml-agent-store --example throughput -- [SECONDS] [QUEUED] [FOLDER]`:
//! seconds per measurement (0.1 by default), messages that are queued and read back (20,000 by default),
//! and a folder on the disk that is meant (a temporary one by default).
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark measures real time and says what it measured"
)]

#[path = "throughput/bare.rs"]
mod bare;

use std::error::Error;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ggml_agent_core::store::{Bounds, OnFull, Open, Position, StoreRef, Write};
use ggml_agent_core::{AgentId, Envelope, MessageIds, MessageType, Priority};
use ggml_agent_store::{Medium, Options, Sqlite};

use crate::bare::Bare;

type Failure = Box<dyn Error + Send + Sync>;

const SENDERS: u64 = 64;
const PAYLOAD: [u8; 128] = [7; 128];
/// Each measurement is repeated, and the other one done in between: the machine's mood is shared.
const ROUNDS: usize = 5;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let seconds: f64 = arguments.next().map_or(Ok(0.1), |text| text.parse())?;
    let queued: u64 = arguments.next().map_or(Ok(20_000), |text| text.parse())?;
    let given = arguments.next().map(PathBuf::from);
    let temporary =
        std::env::temp_dir().join(format!("ggml-agent-throughput-{}", std::process::id()));
    let folder = given.unwrap_or(temporary);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    let measured = runtime.block_on(measure(&folder, Duration::from_secs_f64(seconds), queued));
    std::fs::remove_dir_all(&folder)?;
    measured
}

async fn measure(folder: &Path, time: Duration, queued: u64) -> Result<(), Failure> {
    let options = Options { medium: Medium::Any, ..Options::DEFAULT };
    let store = StoreRef::new(Sqlite::open(folder.join("ours"), options.clone())?);
    for agent in (0..SENDERS).map(agent) {
        store.open(Open { agent, bounds: UNBOUNDED, in_hand: None }).await?;
    }
    let bare = Bare::open(&folder.join("bare.db"))?;
    let (mut plain, mut one, mut many) = (Vec::new(), Vec::new(), Vec::new());
    let (mut plain_alone, mut alone_one) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS as u64 {
        let rows = |_| {
            let bare = bare.clone();
            move |_| bare.insert(PAYLOAD.to_vec())
        };
        let seed = |sender| (round + 1) * 1000 + sender;
        plain.push(together(time, rows).await?);
        one.push(together(time, |sender| senders(&store, 0, seed(sender))).await?);
        many.push(together(time, |sender| senders(&store, sender, seed(sender + 100))).await?);
        plain_alone.push(alone(time, |_| bare.insert(PAYLOAD.to_vec())).await?);
        alone_one.push(alone(time, senders(&store, 0, seed(200))).await?);
    }
    say("bare SQLite, 64 senders, rows/s", &plain, &plain);
    say("append, 64 senders to 1 mailbox, messages/s", &one, &plain);
    say("append, 64 senders to 64 mailboxes, messages/s", &many, &plain);
    say("bare SQLite, a commit of one row, p50 in us", &plain_alone, &plain_alone);
    say("append alone, p50 in us", &alone_one, &plain_alone);
    drop(store);
    recover(&folder.join("recovery"), options, queued).await
}

/// The middle of all rounds, and the middle of the ratios within each of them.
fn say(what: &str, measured: &[f64], bare: &[f64]) {
    let ratios = measured.iter().zip(bare).map(|(ours, bare)| ours / bare);
    let (value, ratio) = (middle(measured.to_vec()), middle(ratios.collect()));
    println!("{what:<48} {value:>9.0}   {ratio:.2} of bare");
}

const UNBOUNDED: Bounds =
    Bounds { messages_max: u64::MAX, bytes_max: u64::MAX, on_full: OnFull::Refuse };

fn agent(number: u64) -> AgentId {
    format!("agent-{number}").parse().expect("invariant: a name")
}

/// Sends to one agent, with ids as one sender makes them.
fn senders(store: &StoreRef, to: u64, seed: u64) -> impl FnMut(u64) -> Sending + use<> {
    let (store, to, mut ids) = (store.clone(), agent(to), MessageIds::new(seed));
    move |now_ms| {
        let id = ids.next(now_ms);
        let envelope = Envelope::new(id, now_ms, to.clone(), MessageType::User, &PAYLOAD[..]);
        let sent = store.write(Write::Append(envelope));
        Box::pin(async move { sent.await.map(drop).map_err(Into::into) })
    }
}

type Sending = std::pin::Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

/// Rows per second of all senders together.
async fn together<S, F>(time: Duration, mut sender: impl FnMut(u64) -> S) -> Result<f64, Failure>
where
    S: FnMut(u64) -> F + Send + 'static,
    F: Future<Output = Result<(), Failure>> + Send,
{
    let begin = Instant::now();
    let mut jobs = Vec::new();
    for number in 0..SENDERS {
        let mut send = sender(number);
        jobs.push(tokio::spawn(async move {
            let mut sent = 0_u32;
            while begin.elapsed() < time {
                send(u64::try_from(begin.elapsed().as_millis())?).await?;
                sent += 1;
            }
            Ok::<_, Failure>(sent)
        }));
    }
    let mut sent = 0.0;
    for job in jobs {
        sent += f64::from(job.await??);
    }
    Ok(sent / begin.elapsed().as_secs_f64())
}

/// The middle of the times of one sender, in microseconds.
async fn alone<F>(time: Duration, mut send: impl FnMut(u64) -> F) -> Result<f64, Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    let begin = Instant::now();
    let mut times = Vec::new();
    while begin.elapsed() < time {
        let sent = Instant::now();
        send(u64::try_from(begin.elapsed().as_millis())?).await?;
        times.push(sent.elapsed().as_secs_f64() * 1e6);
    }
    Ok(middle(times))
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

async fn recover(folder: &Path, options: Options, queued: u64) -> Result<(), Failure> {
    let store = StoreRef::new(Sqlite::open(folder, options.clone())?);
    store.open(Open { agent: agent(0), bounds: UNBOUNDED, in_hand: None }).await?;
    let mut ids = MessageIds::new(9);
    let mut waiting = std::collections::VecDeque::new();
    let begin = Instant::now();
    for number in 0..queued {
        let envelope =
            Envelope::new(ids.next(number), number, agent(0), MessageType::User, &PAYLOAD[..]);
        waiting.push_back(store.write(Write::Append(envelope)));
        if waiting.len() > 4096
            && let Some(first) = waiting.pop_front()
        {
            first.await?;
        }
    }
    for sent in waiting {
        sent.await?;
    }
    let each = f64::from(u32::try_from(queued)?) / begin.elapsed().as_secs_f64();
    println!("append, one sender that does not wait      {each:>9.0} /s");
    drop(store);
    let begin = Instant::now();
    let store = StoreRef::new(Sqlite::open(folder, options)?);
    let opened = begin.elapsed();
    let agent = agent(0);
    let state = store.open(Open { agent: agent.clone(), bounds: UNBOUNDED, in_hand: None }).await?;
    let (mut after, mut read) = (Position(0), 0_u64);
    loop {
        let page = store.messages(agent.clone(), Priority::Normal, after, 4096).await?;
        let Some(last) = page.last() else { break };
        after = last.position;
        read += page.len() as u64;
    }
    let all = begin.elapsed();
    println!(
        "recovery: {read} of {} queued messages in {all:.2?}, {opened:.2?} of it to open",
        state.queued
    );
    Ok(())
}
