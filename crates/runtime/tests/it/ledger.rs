//! P1: nothing is lost and nothing is counted twice, while everything dies at random.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ggml_agent::{
    Addr, Agent, ChildSpec, Context, Ledger, MailboxOptions, Overflow, Report, SendError,
    Supervisor, System,
};

use crate::support::in_time;

const N_AGENTS: usize = 6;
const N_SENDERS: usize = 4;
const N_MESSAGES: u64 = 1_200_000;

/// splitmix64: quick, and any seed is good.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }
}

/// What the agents noted, over all their incarnations.
#[derive(Default)]
struct Book {
    handled: AtomicU64,
    /// By agent: the serial number that each sender's next message must reach at least.
    next: Vec<Mutex<BTreeMap<usize, u64>>>,
    out_of_order: Mutex<Vec<String>>,
}

impl Book {
    fn note(&self, agent: usize, message: &Numbered) {
        self.handled.fetch_add(1, Ordering::Relaxed);
        let mut next = self.next[agent].lock().unwrap();
        let expected = next.entry(message.sender).or_default();
        if message.serial < *expected {
            let Numbered { sender, serial, .. } = message;
            let line = format!("agent {agent}: {serial} of {sender} after {}", *expected - 1);
            self.out_of_order.lock().unwrap().push(line);
        }
        *expected = message.serial + 1;
    }
}

/// A message with a number of its own; its end is counted, wherever that is.
struct Numbered {
    sender: usize,
    serial: u64,
    fate: Fate,
    live: Arc<AtomicU64>,
}

impl Drop for Numbered {
    fn drop(&mut self) {
        self.live.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What the handler of a message does.
#[derive(Clone, Copy)]
enum Fate {
    Ok,
    Yield,
    Err,
    Panic,
    Stop,
}

struct Clerk {
    number: usize,
    book: Arc<Book>,
}

impl Agent for Clerk {
    type Msg = Numbered;
    type Error = Report;

    async fn handle(&mut self, message: Numbered, ctx: &mut Context<Self>) -> Result<(), Report> {
        self.book.note(self.number, &message);
        match message.fate {
            Fate::Ok => {}
            Fate::Yield => ctx.yield_now().await,
            Fate::Err => return Err(Report::msg("by fate")),
            // Without the hook, which would print each of them.
            Fate::Panic => std::panic::resume_unwind(Box::new("by fate")),
            Fate::Stop => ctx.stop(),
        }
        Ok(())
    }
}

/// What one sender knows of what it sent.
#[derive(Default, Debug, Clone, Copy)]
struct Sent {
    accepted: u64,
    returned: u64,
}

async fn send_all(
    sender: usize,
    addrs: Vec<Addr<Clerk>>,
    mut rng: Rng,
    live: Arc<AtomicU64>,
) -> Sent {
    let mut sent = Sent::default();
    for serial in 0..N_MESSAGES / N_SENDERS as u64 {
        let fate = match rng.next() % 4_000 {
            0 => Fate::Panic,
            1 => Fate::Err,
            2 => Fate::Stop,
            3..400 => Fate::Yield,
            _ => Fate::Ok,
        };
        live.fetch_add(1, Ordering::Relaxed);
        let message = Numbered { sender, serial, fate, live: live.clone() };
        let addr = &addrs[usize::try_from(rng.next() % N_AGENTS as u64).unwrap()];
        let result = if rng.one_in(4) { addr.send(message).await } else { addr.tell(message) };
        match result {
            Ok(()) => sent.accepted += 1,
            Err(error) => {
                let is_full = matches!(error, SendError::Full(_));
                let Numbered { serial: back, .. } = &error.into_inner();
                assert_eq!(*back, serial, "the very message comes back");
                sent.returned += 1;
                if is_full {
                    tokio::task::yield_now().await;
                }
            }
        }
        match rng.next() % 40_000 {
            0..4 => addr.kill(),
            4 => addr.shutdown(),
            5 => addr.stop(),
            _ => {}
        }
        if serial.is_multiple_of(256) {
            tokio::task::yield_now().await;
        }
    }
    sent
}

fn sum(ledgers: impl Iterator<Item = Ledger>) -> Ledger {
    ledgers.fold(Ledger::default(), |sum, ledger| Ledger {
        accepted: sum.accepted + ledger.accepted,
        handled: sum.handled + ledger.handled,
        dead: sum.dead + ledger.dead,
        queued: sum.queued + ledger.queued,
    })
}

fn seed() -> u64 {
    let given = std::env::var_os("GGML_AGENT_SEED");
    let number = given.map(|text| text.to_str().and_then(|text| text.parse().ok()));
    number.map_or(1, |number| number.expect("GGML_AGENT_SEED is a number from 0 to 2^64 - 1"))
}

/// All clerks under one supervisor, with every overflow policy.
async fn start(system: &System, book: &Arc<Book>) -> Vec<Addr<Clerk>> {
    let policies = [
        Overflow::Wait(Duration::from_secs(60)),
        Overflow::Reject,
        Overflow::DropNewest,
        Overflow::DropOldest,
    ];
    // A health check of zero never comes: deaths here are by fate alone.
    let tree = Supervisor::new("tree")
        .intensity(10_000, Duration::from_millis(1))
        .health(Duration::ZERO, Duration::from_secs(5))
        .children((0..N_AGENTS).map(|number| {
            let book = book.clone();
            let overflow = policies[number % policies.len()];
            ChildSpec::new(format!("clerk-{number}"), move || Clerk { number, book: book.clone() })
                .mailbox(MailboxOptions { len_max: 4 << number, overflow })
        }));
    system.supervise(tree).await.unwrap();
    let clerk = |number| system.lookup(&format!("clerk-{number}")).unwrap();
    (0..N_AGENTS).map(clerk).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m04_a_million_messages_are_all_accounted_for() {
    let seed = seed();
    let repeat = format!("repeat with: GGML_AGENT_SEED={seed} cargo test -p ggml-agent a_million");
    let system = System::new();
    let book = Arc::new(Book {
        next: (0..N_AGENTS).map(|_| Mutex::default()).collect(),
        ..Book::default()
    });
    let addrs = start(&system, &book).await;
    let live = Arc::new(AtomicU64::new(0));
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..N_SENDERS {
        let rng = Rng(seed.wrapping_mul(31).wrapping_add(sender as u64));
        senders.spawn(send_all(sender, addrs.clone(), rng, live.clone()));
    }
    let sent = in_time(senders.join_all()).await;
    let accepted: u64 = sent.iter().map(|sent| sent.accepted).sum();
    let returned: u64 = sent.iter().map(|sent| sent.returned).sum();
    assert_eq!(accepted + returned, N_MESSAGES, "{repeat}");

    // Half of them end with what is queued, so that retirement has letters to record.
    for addr in &addrs[N_AGENTS / 2..] {
        addr.stop();
    }
    let restarts: u64 = addrs.iter().map(|addr| addr.incarnation() - 1).sum();
    in_time(system.shutdown(Duration::from_secs(30))).await;
    let books = sum(addrs.iter().map(Addr::ledger));
    let detail = format!("{books:?}, {sent:?}, {restarts} restarts; {repeat}");
    assert_eq!(books.accepted, accepted, "what senders and mailboxes call accepted: {detail}");
    assert_eq!(books.handled, book.handled.load(Ordering::Relaxed), "{detail}");
    assert_eq!(books.queued, 0, "{detail}");
    for addr in &addrs {
        assert!(addr.ledger().is_balanced(), "{:?} of {addr:?}: {detail}", addr.ledger());
    }
    assert_eq!(live.load(Ordering::Relaxed), 0, "each message was dropped once: {detail}");
    assert_eq!(*book.out_of_order.lock().unwrap(), [""; 0], "M2: {detail}");
    assert!(restarts > 100 && books.dead > 100 && returned > 100, "too quiet: {detail}");
}
