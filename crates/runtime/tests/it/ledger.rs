//! P1: nothing is lost and nothing is counted twice, while everything dies at random.
//!
//! Tasks and a thread outside of the pool send, wait for room and ask; agents ask each other and pass
//! mail on, so that handlers also run on the stacks of those who ask, one within another.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ggml_agent::{
    Addr, Agent, AskError, ChildSpec, Context, Lane, Ledger, MailboxOptions, Overflow, Reason,
    Reply, Report, SendError, Supervisor, System,
};

use crate::support::in_time;

const N_AGENTS: usize = 6;
/// The last of them is a thread of its own.
const N_SENDERS: usize = 4;
/// What the senders send unless `GGML_AGENT_LEDGER_MESSAGES` says another number; agents send more.
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
}

/// What happened, over all incarnations.
#[derive(Default)]
struct Book {
    handled: AtomicU64,
    /// Those of them that a thread handled while it asked.
    handled_by_askers: AtomicU64,
    /// By agent: the serial number that the next message of each sender and lane must reach at least.
    next: [Mutex<BTreeMap<(usize, bool), u64>>; N_AGENTS],
    /// By agent: how many messages it has sent itself.
    sent: [AtomicU64; N_AGENTS],
    wrong: Mutex<Vec<String>>,
    /// Messages made and not yet dropped.
    live: AtomicU64,
    /// Messages made.
    made: AtomicU64,
    accepted: AtomicU64,
    returned: AtomicU64,
    /// Questions whose asker cannot know whether they were accepted: it was killed while it waited,
    /// or was told that the agent has ended, which it can before and after.
    unsure: AtomicU64,
    answered: AtomicU64,
    /// Sends that did not find room at once.
    waited: AtomicU64,
}

impl Book {
    fn note(&self, agent: usize, message: &Numbered) {
        self.handled.fetch_add(1, Ordering::Relaxed);
        if ASKING.get() {
            self.handled_by_askers.fetch_add(1, Ordering::Relaxed);
        }
        let &Numbered { sender, serial, urgent, .. } = message;
        let mut next = self.next[agent].lock().unwrap();
        let expected = next.entry((sender, urgent)).or_default();
        if serial < *expected {
            let last = *expected - 1;
            self.wrong
                .lock()
                .unwrap()
                .push(format!("M2: agent {agent}: {serial} of {sender} after {last}"));
        }
        *expected = serial + 1;
    }

    fn message(self: &Arc<Self>, sender: usize, serial: u64, fate: Fate) -> Numbered {
        self.live.fetch_add(1, Ordering::Relaxed);
        self.made.fetch_add(1, Ordering::Relaxed);
        Numbered { sender, serial, urgent: false, fate, reply: None, book: self.clone() }
    }

    /// Notes what came of a send; true when the mailbox was full.
    fn sent(&self, serial: u64, result: Result<(), SendError<Numbered>>) -> bool {
        let Err(error) = result else {
            self.accepted.fetch_add(1, Ordering::Relaxed);
            return false;
        };
        self.returned.fetch_add(1, Ordering::Relaxed);
        let is_full = matches!(error, SendError::Full(_));
        if error.into_inner().serial != serial {
            self.wrong.lock().unwrap().push(format!("another message than {serial} comes back"));
        }
        is_full
    }

    /// Sends, waits for room and notes what came of it; true when there was none.
    async fn send(&self, to: &Addr<Clerk>, mail: Numbered) -> bool {
        let serial = mail.serial;
        // Not accepted if the sender is killed while it waits: returned, to nobody.
        self.returned.fetch_add(1, Ordering::Relaxed);
        let mut sending = pin!(to.send(mail));
        let mut n_polls = 0;
        let result = poll_fn(|cx| {
            n_polls += 1;
            sending.as_mut().poll(cx)
        })
        .await;
        self.returned.fetch_sub(1, Ordering::Relaxed);
        self.waited.fetch_add(u64::from(n_polls > 1), Ordering::Relaxed);
        self.sent(serial, result)
    }

    /// Asks and notes what came of it.
    async fn ask(self: &Arc<Self>, to: &Addr<Clerk>, message: Numbered) {
        let serial = message.serial;
        // Taken back once the asker knows better; a killed one never does.
        self.unsure.fetch_add(1, Ordering::Relaxed);
        let mut asked = pin!(to.ask(|reply| message.with(reply)));
        let result = poll_fn(|cx| {
            let before = ASKING.replace(true);
            let polled = asked.as_mut().poll(cx);
            ASKING.set(before);
            polled
        })
        .await;
        let known = match result {
            Ok(answer) => {
                self.answered.fetch_add(1, Ordering::Relaxed);
                if answer != serial {
                    let line = format!("{answer} is the answer to {serial}");
                    self.wrong.lock().unwrap().push(line);
                }
                &self.accepted
            }
            Err(AskError::Restarting | AskError::NoReply | AskError::Dropped) => &self.accepted,
            Err(AskError::Full | AskError::Fenced) => &self.returned,
            Err(_) => return,
        };
        known.fetch_add(1, Ordering::Relaxed);
        self.unsure.fetch_sub(1, Ordering::Relaxed);
    }
}

thread_local! {
    /// This thread is within the poll of an ask.
    static ASKING: Cell<bool> = const { Cell::new(false) };
}

/// A message with a number of its own; its end is counted, wherever that is.
struct Numbered {
    sender: usize,
    serial: u64,
    /// In the priority lane.
    urgent: bool,
    fate: Fate,
    reply: Option<Reply<u64>>,
    book: Arc<Book>,
}

impl Numbered {
    fn with(mut self, reply: Reply<u64>) -> Self {
        self.reply = Some(reply);
        self
    }

    fn urgent(mut self) -> Self {
        self.urgent = true;
        self
    }
}

impl Drop for Numbered {
    fn drop(&mut self) {
        self.book.live.fetch_sub(1, Ordering::Relaxed);
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
    /// Asks the agent that is so many numbers further on.
    Ask(usize),
    /// Sends to it, and waits for room.
    Pass(usize),
}

impl Fate {
    fn of(rng: &mut Rng) -> Self {
        let further = 1 + usize::try_from(rng.next() % 3).unwrap();
        match rng.next() % 4_000 {
            0 => Self::Panic,
            1 => Self::Err,
            2 => Self::Stop,
            3..400 => Self::Yield,
            400..700 => Self::Ask(further),
            700..800 => Self::Pass(further),
            _ => Self::Ok,
        }
    }
}

struct Clerk {
    number: usize,
    book: Arc<Book>,
}

impl Clerk {
    /// The agent that is so many numbers further on, and a message for it. Nobody asks backwards, so
    /// nobody waits for himself.
    fn next(&self, further: usize, ctx: &Context<Self>) -> Option<(Addr<Self>, Numbered)> {
        let to = ctx.system().lookup(&format!("clerk-{}", self.number + further))?;
        let serial = self.book.sent[self.number].fetch_add(1, Ordering::Relaxed);
        let mut rng = Rng(serial ^ (self.number as u64) << 56);
        Some((to, self.book.message(N_SENDERS + self.number, serial, Fate::of(&mut rng))))
    }
}

impl Agent for Clerk {
    type Msg = Numbered;
    type Error = Report;

    async fn handle(
        &mut self,
        mut message: Numbered,
        ctx: &mut Context<Self>,
    ) -> Result<(), Report> {
        self.book.note(self.number, &message);
        match message.fate {
            Fate::Ok => {}
            Fate::Yield => ctx.yield_now().await,
            Fate::Err => return Err(Report::msg("by fate")),
            // Without the hook, which would print each of them.
            Fate::Panic => std::panic::resume_unwind(Box::new("by fate")),
            Fate::Stop => ctx.stop(),
            Fate::Ask(further) => {
                if let Some((to, question)) = self.next(further, ctx) {
                    self.book.ask(&to, question).await;
                }
            }
            Fate::Pass(further) => {
                if let Some((to, mail)) = self.next(further, ctx) {
                    self.book.send(&to, mail).await;
                }
            }
        }
        if let Some(reply) = message.reply.take() {
            reply.send(message.serial);
        }
        Ok(())
    }
}

async fn send_all(sender: usize, addrs: Vec<Addr<Clerk>>, n: u64, mut rng: Rng, book: Arc<Book>) {
    for serial in 0..n {
        let message = book.message(sender, serial, Fate::of(&mut rng));
        let addr = &addrs[usize::try_from(rng.next() % N_AGENTS as u64).unwrap()];
        let is_full = match rng.next() % 16 {
            0..4 => book.send(addr, message).await,
            4 => book.sent(serial, addr.tell_on(Lane::Priority, message.urgent())),
            5..7 => {
                book.ask(addr, message).await;
                false
            }
            _ => book.sent(serial, addr.tell(message)),
        };
        if is_full {
            tokio::task::yield_now().await;
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
}

fn sum(ledgers: impl Iterator<Item = Ledger>) -> Ledger {
    ledgers.fold(Ledger::default(), |sum, ledger| Ledger {
        accepted: sum.accepted + ledger.accepted,
        handled: sum.handled + ledger.handled,
        dead: sum.dead + ledger.dead,
        queued: sum.queued + ledger.queued,
    })
}

fn number(variable: &str, default: u64) -> u64 {
    let given = std::env::var_os(variable);
    let number = given.map(|text| text.to_str().and_then(|text| text.parse().ok()));
    number.map_or(default, |number| {
        number.unwrap_or_else(|| panic!("{variable} is a number from 0 to 2^64 - 1"))
    })
}

/// All clerks under one supervisor, with every overflow policy.
async fn start(system: &System, book: &Arc<Book>) -> Vec<Addr<Clerk>> {
    let wait = Overflow::Wait(Duration::from_secs(60));
    let mailboxes: [_; N_AGENTS] = [
        (4, wait),
        (8, Overflow::Reject),
        (16, Overflow::DropNewest),
        (4, Overflow::DropOldest),
        (64, wait),
        (32, Overflow::DropOldest),
    ];
    // A health check of zero never comes: deaths here are by fate alone.
    let tree = Supervisor::new("tree")
        .intensity(10_000, Duration::from_millis(1))
        .health(Duration::ZERO, Duration::from_secs(5))
        .children((0..N_AGENTS).map(|number| {
            let book = book.clone();
            let (len_max, overflow) = mailboxes[number];
            ChildSpec::new(format!("clerk-{number}"), move || Clerk { number, book: book.clone() })
                .mailbox(MailboxOptions { len_max, overflow })
        }));
    system.supervise(tree).await.unwrap();
    let clerk = |number| system.lookup(&format!("clerk-{number}")).unwrap();
    (0..N_AGENTS).map(clerk).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m04_a_million_messages_are_all_accounted_for() {
    let seed = number("GGML_AGENT_SEED", 1);
    let n = number("GGML_AGENT_LEDGER_MESSAGES", N_MESSAGES) / N_SENDERS as u64;
    let repeat = format!(
        "repeat with: GGML_AGENT_LEDGER_MESSAGES={} GGML_AGENT_SEED={seed} \
         cargo test -p ggml-agent a_million",
        n * N_SENDERS as u64
    );
    let system = System::new();
    let book = Arc::new(Book::default());
    let watch = system.clone();
    let addrs = start(&system, &book).await;
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..N_SENDERS {
        let rng = Rng(seed.wrapping_mul(31).wrapping_add(sender as u64));
        let all = send_all(sender, addrs.clone(), n, rng, book.clone());
        if sender + 1 == N_SENDERS {
            let runtime = system.runtime().clone();
            senders.spawn_blocking(move || runtime.block_on(all));
        } else {
            senders.spawn(all);
        }
    }
    let patience = Duration::from_secs(60 + n / 5_000);
    tokio::time::timeout(patience, senders.join_all()).await.expect("it hangs");

    // Half of them end with what is queued, so that retirement has letters to record.
    for addr in &addrs[N_AGENTS / 2..] {
        addr.stop();
    }
    let restarts: u64 = addrs.iter().map(|addr| addr.incarnation() - 1).sum();
    in_time(system.shutdown(Duration::from_secs(30))).await;
    let books = sum(addrs.iter().map(Addr::ledger));
    let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let (accepted, returned, unsure) = (of(&book.accepted), of(&book.returned), of(&book.unsure));
    let (answered, by_askers) = (of(&book.answered), of(&book.handled_by_askers));
    let (waited, dead) = (of(&book.waited), watch.dead_letter_counts());
    let detail = format!(
        "{books:?}, senders: {accepted} accepted, {returned} returned, {unsure} unsure, \
         {answered} answered, {by_askers} handled by askers, {waited} waited for room, {dead:?}, {restarts} restarts; {repeat}"
    );
    println!("{detail}");
    assert_eq!(accepted + returned + unsure, of(&book.made), "senders know of all: {detail}");
    assert!(
        (accepted..=accepted + unsure).contains(&books.accepted),
        "what senders and mailboxes call accepted: {detail}"
    );
    assert_eq!(books.handled, of(&book.handled), "{detail}");
    assert_eq!(books.dead, dead.values().sum::<u64>(), "each has a letter: {detail}");
    assert_eq!(books.queued, 0, "{detail}");
    for addr in &addrs {
        assert!(addr.ledger().is_balanced(), "{:?} of {addr:?}: {detail}", addr.ledger());
    }
    assert_eq!(of(&book.live), 0, "each message was dropped once: {detail}");
    assert_eq!(*book.wrong.lock().unwrap(), [""; 0], "{detail}");

    let few = n / 5_000;
    assert!(restarts > few && books.dead > few && returned > few, "too quiet: {detail}");
    for reason in [Reason::Stopped, Reason::DroppedNewest, Reason::DroppedOldest] {
        assert!(dead.contains_key(&reason), "no letter says {reason:?}: {detail}");
    }
    assert!(waited > few, "too much room: {detail}");
    assert!(unsure < n / 50, "too much is not known: {detail}");
    assert!(answered > n / 5 && by_askers > few, "too few asks: {detail}");
}
