//! The store held against the plain tables of the core, step by step.

use std::collections::BTreeMap;

use ggml_agent_core::store::{
    Accepted, Bounds, Commit, Epoch, Found, OnFull, Once, Open, Position, Read, Revision, Snapshot,
    Store, Tables, Timer, Watermarks, Write, Written,
};
use ggml_agent_core::{AgentId, Envelope, Priority};
use ggml_agent_store::{Options, Sqlite};

use crate::common::{Folder, Rng, Waiter, id, letter_of, number, options};

const NAMES: [&str; 6] = ["a", "aa", "b", "zoë", "writer-1", "Z"];
const WINDOW: u64 = 60;

/// What a maker of writes knows of an agent, so that most of them are sensible.
#[derive(Clone, Copy, Default)]
struct Known {
    epoch: Epoch,
    revision: Revision,
    applied: Watermarks,
    tail: u64,
}

struct Maker {
    rng: Rng,
    known: BTreeMap<&'static str, Known>,
    newest_id: u64,
    newest_dead: u64,
}

impl Maker {
    fn name(&mut self) -> &'static str {
        NAMES[usize::try_from(self.rng.below(NAMES.len() as u64)).expect("small")]
    }

    fn bytes(&mut self) -> Vec<u8> {
        let len = match self.rng.below(400) {
            0 => 300_000,
            1..4 => 5_000,
            _ => self.rng.below(60),
        };
        // Few different ones, so that large ones are stored more than once.
        let fill = self.rng.below(3).to_le_bytes()[0];
        vec![fill; usize::try_from(len).expect("small")]
    }

    fn envelope(&mut self, to: &str) -> Envelope {
        let number = if self.rng.one_in(5) {
            self.newest_id.saturating_sub(self.rng.below(3 * WINDOW))
        } else {
            self.newest_id += 1;
            self.newest_id
        };
        let payload = self.bytes();
        let lane = if self.rng.one_in(3) { Priority::High } else { Priority::Normal };
        let envelope = letter_of(to, number, payload).with_priority(lane);
        if self.rng.one_in(2) { envelope.sent_by(id("someone")) } else { envelope }
    }

    fn key(&mut self) -> String {
        format!("key {}", self.rng.below(6))
    }

    fn bounds(&mut self) -> Bounds {
        let on_full = match self.rng.below(3) {
            0 => OnFull::Refuse,
            1 => OnFull::DropNewest,
            _ => OnFull::DropOldest,
        };
        let messages_max = if self.rng.one_in(30) { 0 } else { 1 + self.rng.below(30) };
        let bytes_max = if self.rng.one_in(3) { 300 } else { u64::MAX };
        Bounds { messages_max, bytes_max, on_full }
    }

    fn position(&mut self, known: Known) -> Position {
        Position((known.tail + 1).saturating_sub(self.rng.below(20)))
    }

    fn open(&mut self) -> Write {
        let name = self.name();
        let known = self.known.get(name).copied().unwrap_or_default();
        let in_hand = self.rng.one_in(2).then(|| (0..3).map(|_| self.position(known)).collect());
        Write::Open(Open { agent: id(name), bounds: self.bounds(), in_hand })
    }

    fn commit(&mut self) -> Write {
        let name = self.name();
        let known = self.known.get(name).copied().unwrap_or_default();
        let stale = u64::from(self.rng.one_in(20));
        let (epoch, expected) = match self.rng.below(20) {
            0 => (Epoch(known.epoch.0.saturating_sub(1)), known.revision),
            _ => (known.epoch, Revision(known.revision.0 + stale)),
        };
        let mut commit = Commit::new(id(name), epoch, expected, known.applied);
        if self.rng.one_in(2) {
            let (high, normal) = (self.position(known), self.position(known));
            commit.applied.high = high.max(known.applied.high);
            commit.applied.normal = normal.max(known.applied.normal);
            for n in 0..self.rng.below(3) {
                commit.dead.push((self.position(known), format!("reason {n}")));
            }
        }
        if self.rng.one_in(8) {
            commit.snapshot = Some(Snapshot { version: 7, bytes: self.bytes().into() });
        }
        commit.journal = (0..self.rng.below(3)).map(|_| self.bytes().into()).collect();
        commit.outbox = (0..self.rng.below(3)).map(|_| self.envelope("someone")).collect();
        commit.sent = commit.outbox.iter().take(1).map(|envelope| envelope.id).collect();
        let eldest = self.newest_id.saturating_sub(self.rng.below(40));
        commit.sent.push(letter_of("x", eldest, Vec::new()).id);
        if self.rng.one_in(3) {
            let to = if self.rng.one_in(20) { "someone" } else { name };
            let envelope = self.envelope(to);
            commit.set.push(Timer { key: self.key(), due_ms: self.rng.next(), envelope });
        }
        if self.rng.one_in(4) {
            commit.fire.push(self.key());
            commit.fire.extend(commit.fire.first().filter(|_| self.rng.one_in(2)).cloned());
        }
        if self.rng.one_in(4) {
            commit.cancel.push(self.key());
            commit.forget.push(self.key());
        }
        if self.rng.one_in(3) {
            commit.once.push(Once { key: self.key(), result: self.bytes().into() });
        }
        Write::Commit(Box::new(commit))
    }

    fn write(&mut self) -> Write {
        match self.rng.below(100) {
            0..8 => self.open(),
            8..60 => {
                let to = self.name();
                Write::Append(self.envelope(to))
            }
            60..88 => self.commit(),
            88..90 => {
                let name = self.name();
                let known = self.known.get(name).copied().unwrap_or_default();
                Write::Close { agent: id(name), epoch: known.epoch }
            }
            90..94 => Write::Resend { number: self.dead_number() },
            94..99 => Write::Discard { number: self.dead_number() },
            _ => Write::Remove { agent: id(self.name()) },
        }
    }

    fn dead_number(&mut self) -> u64 {
        self.newest_dead.saturating_sub(self.rng.below(30))
    }

    fn read(&mut self) -> Read {
        let name = self.name();
        let limit =
            if self.rng.one_in(2) { usize::MAX } else { 1 + usize::from(self.rng.one_in(2)) };
        let known = self.known.get(name).copied().unwrap_or_default();
        let after = if self.rng.one_in(2) { 0 } else { self.position(known).0 };
        match self.rng.below(5) {
            0 => Read::Messages {
                mailbox: id(name),
                lane: Priority::High,
                after: Position(after),
                limit,
            },
            1 => Read::Messages {
                mailbox: id(name),
                lane: Priority::Normal,
                after: Position(after),
                limit,
            },
            2 => Read::Journal { agent: id(name), after, limit },
            3 => Read::DeadLetters { after: self.dead_number(), limit },
            _ => Read::Agents { after: self.rng.one_in(2).then(|| id(name)), limit },
        }
    }

    fn learn(&mut self, write: &Write, written: &Written) {
        let name = |agent: &AgentId| NAMES.into_iter().find(|name| *name == agent.as_str());
        match (write, written) {
            (Write::Open(open), Written::Opened(opened)) => {
                let known = self.known.entry(name(&open.agent).expect("one of them")).or_default();
                *known = Known {
                    epoch: opened.epoch,
                    revision: opened.revision,
                    applied: opened.applied,
                    tail: if opened.epoch.0 == 1 { 0 } else { known.tail },
                };
            }
            (Write::Append(envelope), Written::Accepted(Accepted::At(at))) => {
                let known = self.known.entry(name(&envelope.to).expect("one of them"));
                known.or_default().tail = at.0;
            }
            (Write::Commit(commit), Written::Committed(revision)) => {
                let known =
                    self.known.entry(name(&commit.agent).expect("one of them")).or_default();
                known.revision = *revision;
                known.applied = commit.applied;
            }
            _ => {}
        }
    }
}

/// What the store says of everything there is, in the order of `reads`.
fn everything() -> Vec<Read> {
    let limit = usize::MAX;
    let mut reads =
        vec![Read::Agents { after: None, limit }, Read::DeadLetters { after: 0, limit }];
    for name in NAMES {
        for lane in [Priority::High, Priority::Normal] {
            reads.push(Read::Messages { mailbox: id(name), lane, after: Position(0), limit });
        }
        reads.push(Read::Journal { agent: id(name), after: 0, limit });
    }
    reads
}

#[test]
fn every_write_and_read_means_what_the_tables_say() {
    let seed = number("GGML_AGENT_SEED", 1);
    let steps = number("GGML_AGENT_STORE_STEPS", 3_000);
    println!("repeat with: GGML_AGENT_SEED={seed} cargo test -p ggml-agent-store every_write");
    let folder = Folder::new("conformance");
    let chosen =
        // So little memory that agents are forgotten and read again all the time.
        Options { dedupe_ids_max: WINDOW, cached_max: 100, ..options() };
    let waiter = Waiter::new();
    let mut tables = Tables::with_dedupe_window(usize::try_from(WINDOW).expect("small"));
    let mut maker = Maker { rng: Rng(seed), known: BTreeMap::new(), newest_id: 0, newest_dead: 0 };
    let mut store = Some(Sqlite::open(&folder.0, chosen.clone()).expect("opens"));
    for step in 0..steps {
        let now = store.as_ref().expect("open");
        // Some at a time, so that there are transactions of more than one.
        let writes: Vec<_> = (0..1 + maker.rng.below(4)).map(|_| maker.write()).collect();
        let answers: Vec<_> = writes.iter().map(|write| now.write(write.clone())).collect();
        for (write, answer) in writes.into_iter().zip(answers) {
            let expected = tables.write(write.clone());
            assert_eq!(waiter.on(answer), expected, "step {step}: {write:?}");
            if let Ok(written) = &expected {
                maker.learn(&write, written);
            }
        }
        let read = maker.read();
        assert_eq!(waiter.read(now, read.clone()), tables.read(&read), "step {step}: {read:?}");
        if step % 16 == 0 {
            let read = Read::DeadLetters { after: 0, limit: usize::MAX };
            if let Ok(Found::DeadLetters(all)) = tables.read(&read) {
                maker.newest_dead = all.last().map_or(0, |letter| letter.number);
            }
        }
        if maker.rng.one_in(150) {
            if maker.rng.one_in(2) {
                waiter.on(now.close()).expect("closes");
            }
            drop(store.take());
            let again = Sqlite::open(&folder.0, chosen.clone()).expect("opens again");
            for read in everything() {
                assert_eq!(waiter.read(&again, read.clone()), tables.read(&read), "step {step}");
            }
            let checked = waiter.on(again.check()).expect("can be read");
            assert!(checked.is_whole(), "step {step}: {:?}", checked.damaged);
            store = Some(again);
        }
    }
}
