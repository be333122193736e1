//! The conservation of messages: the runtime's own cells under supervision, driven by a seed.
//!
//! The seed decides who sends what to whom, whose turn is next and how long it is, and who is killed,
//! stopped, fails or panics. After every step the account of the agent that was touched is checked:
//! `accepted = handled + dead + queued`, and `accepted` is what its senders counted. At the end every
//! single message must have been noted by a handler or be among the dead (P1), in the order in which
//! its sender sent it (M2).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use ggml_agent::{
    Addr, Agent, ChildSpec, Context, Dispatch, MailboxOptions, Options, Overflow, Report, Runnable,
    SendError, Supervisor, System,
};

use crate::rng::Rng;

/// What a run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Messages that senders tried to send.
    pub sent: u64,
    /// Those that were accepted.
    pub accepted: u64,
    /// Those that came back in an error.
    pub returned: u64,
    /// Those that a handler noted.
    pub handled: u64,
    /// Those that became dead letters.
    pub dead: u64,
    /// Incarnations after the first, over all agents.
    pub restarts: u64,
    /// A digest of who handled what in which order.
    pub trace: u64,
}

/// Runs a world until `n_messages` were sent, then lets it come to rest.
///
/// # Panics
/// When a message is lost, handled twice, out of order, or an account does not balance.
#[must_use]
pub fn run(seed: u64, n_messages: u64) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("invariant: a runtime without I/O can be made");
    runtime.block_on(async {
        let mut world = World::new(seed).await;
        while world.outcome.sent < n_messages {
            world.step().await;
        }
        world.rest().await
    })
}

const N_SENDERS: usize = 5;

/// Cells that wait for their turn.
#[derive(Default)]
struct Waiting(Mutex<Vec<Runnable>>);

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Vec<Runnable>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives one of them, by chance, a turn by chance; false when none waits.
    fn turn(&self, rng: &mut Rng) -> bool {
        let cell = {
            let mut waiting = self.lock();
            if waiting.is_empty() {
                return false;
            }
            let chosen = rng.below(waiting.len());
            waiting.swap_remove(chosen)
        };
        let budget = u32::try_from(rng.below(32)).unwrap_or(0) + 1;
        cell.run(budget);
        true
    }
}

impl Dispatch for Waiting {
    fn dispatch(&self, cell: Runnable) {
        self.lock().push(cell);
    }
}

/// What handlers noted: for each agent, the sender and serial of each message in turn.
type Book = Arc<Mutex<Vec<(usize, usize, u64)>>>;

struct Clerk {
    number: usize,
    book: Book,
}

/// A message, with what its handler is to do after it noted it.
struct Letter {
    sender: usize,
    serial: u64,
    then: Then,
}

#[derive(Clone, Copy)]
enum Then {
    Return,
    Suspend,
    Fail,
    Panic,
}

impl Agent for Clerk {
    type Msg = Letter;
    type Error = Report;

    async fn handle(&mut self, letter: Letter, ctx: &mut Context<Self>) -> Result<(), Report> {
        let note = (self.number, letter.sender, letter.serial);
        self.book.lock().unwrap_or_else(PoisonError::into_inner).push(note);
        match letter.then {
            Then::Return => Ok(()),
            Then::Suspend => {
                ctx.yield_now().await;
                Ok(())
            }
            Then::Fail => Err(Report::msg("scripted")),
            // Unwinds as a panic does, without the report that a panic prints.
            Then::Panic => std::panic::resume_unwind(Box::new("scripted")),
        }
    }
}

struct World {
    rng: Rng,
    waiting: Arc<Waiting>,
    system: System,
    clerks: Vec<Addr<Clerk>>,
    /// Accepted, as the senders of each clerk count it.
    accepted: Vec<u64>,
    serials: u64,
    book: Book,
    outcome: Outcome,
}

impl World {
    async fn new(seed: u64) -> Self {
        let waiting = Arc::<Waiting>::default();
        let dispatch: Arc<dyn Dispatch> = waiting.clone();
        let options = Options { dispatch: Some(dispatch), seed: Some(seed), ..Options::default() };
        let (system, book) = (System::with(options), Book::default());
        let policies = [
            MailboxOptions { len_max: 24, overflow: Overflow::Reject },
            MailboxOptions { len_max: 12, overflow: Overflow::DropNewest },
            MailboxOptions { len_max: 12, overflow: Overflow::DropOldest },
            MailboxOptions { len_max: 1, overflow: Overflow::DropOldest },
            MailboxOptions::UNBOUNDED,
            MailboxOptions::DEFAULT,
        ];
        let children = policies.into_iter().enumerate().map(|(number, mailbox)| {
            let book = book.clone();
            let clerk = move || Clerk { number, book: book.clone() };
            ChildSpec::new(format!("clerk-{number}"), clerk).mailbox(mailbox)
        });
        // No health checks: their timers would make the trace depend on the number of turns.
        let tree = Supervisor::new("office")
            .intensity(10_000, Duration::from_nanos(1))
            .health(Duration::ZERO, Duration::from_secs(5))
            .children(children);
        let mut rng = Rng::new(seed);
        {
            let mut started = std::pin::pin!(system.supervise(tree));
            let turns = std::future::poll_fn(|cx| {
                loop {
                    if let Poll::Ready(started) = started.as_mut().poll(cx) {
                        return Poll::Ready(started);
                    }
                    if !waiting.turn(&mut rng) {
                        return Poll::Pending;
                    }
                }
            });
            turns.await.expect("invariant: a clerk's start cannot fail");
        }
        let find = |number| system.lookup::<Clerk>(&format!("clerk-{number}"));
        let clerks: Vec<_> = (0..policies.len()).filter_map(find).collect();
        Self {
            rng,
            waiting,
            accepted: vec![0; clerks.len()],
            clerks,
            system,
            serials: 0,
            book,
            outcome: Outcome::default(),
        }
    }

    async fn step(&mut self) {
        let clerk = self.rng.below(self.clerks.len());
        match self.rng.below(1_000) {
            0..=699 => self.send(clerk),
            700..=984 => drop(self.waiting.turn(&mut self.rng)),
            985..=989 => self.clerks[clerk].kill(),
            990..=992 => self.clerks[clerk].shutdown(),
            993..=994 => self.clerks[clerk].stop(),
            _ => {
                // Time passes: timers of supervisors, and whatever tokio has to do.
                tokio::time::advance(Duration::from_micros(1)).await;
            }
        }
        self.check(clerk);
    }

    fn send(&mut self, clerk: usize) {
        self.serials += 1;
        let then = match self.rng.below(100) {
            0 => Then::Panic,
            1 => Then::Fail,
            2..=9 => Then::Suspend,
            _ => Then::Return,
        };
        let letter = Letter { sender: self.rng.below(N_SENDERS), serial: self.serials, then };
        self.outcome.sent += 1;
        match self.clerks[clerk].tell(letter) {
            Ok(()) => self.accepted[clerk] += 1,
            Err(SendError::Full(back) | SendError::Closed(back)) => {
                assert_eq!(back.serial, self.serials, "another message came back");
                self.outcome.returned += 1;
            }
            Err(other) => unreachable!("invariant: a clerk is full or closed, not {other:?}"),
        }
    }

    fn check(&self, clerk: usize) {
        let ledger = self.clerks[clerk].ledger();
        assert!(ledger.is_balanced(), "clerk {clerk}: {ledger:?}");
        assert_eq!(ledger.accepted, self.accepted[clerk], "clerk {clerk}: {ledger:?}");
    }

    /// No more faults: everything queued is handled, and the books are compared.
    async fn rest(mut self) -> Outcome {
        loop {
            while self.waiting.turn(&mut self.rng) {}
            tokio::time::advance(Duration::from_millis(1)).await;
            if self.waiting.lock().is_empty() {
                break;
            }
        }
        let book = std::mem::take(&mut *self.book.lock().unwrap_or_else(PoisonError::into_inner));
        let mut newest = BTreeMap::new();
        let mut handled = vec![0; self.clerks.len()];
        for (clerk, sender, serial) in book {
            let before = newest.insert((clerk, sender), serial).unwrap_or(0);
            assert!(before < serial, "clerk {clerk}: {serial} of sender {sender} after {before}");
            handled[clerk] += 1;
            let word = (serial << 8) | (clerk * N_SENDERS + sender) as u64;
            self.outcome.trace =
                (self.outcome.trace.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        for (clerk, addr) in self.clerks.iter().enumerate() {
            let ledger = addr.ledger();
            assert_eq!((ledger.queued, ledger.handled), (0, handled[clerk]), "clerk {clerk}");
            self.check(clerk);
            self.outcome.accepted += ledger.accepted;
            self.outcome.handled += ledger.handled;
            self.outcome.dead += ledger.dead;
            self.outcome.restarts += addr.incarnation() - 1;
        }
        let recorded: u64 = self.system.dead_letter_counts().values().sum();
        assert_eq!(self.outcome.dead, recorded, "a dead letter is counted and not recorded, or so");
        assert_eq!(self.outcome.sent, self.outcome.accepted + self.outcome.returned);
        self.outcome
    }
}
