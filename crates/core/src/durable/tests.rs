use super::*;
use crate::envelope::MessageType;
use crate::seeded::{Rng, repeat, seed};
use crate::store::{Bounds, Open, StoreError, Tables, Timer, Write, Written};

fn id(name: &str) -> AgentId {
    name.parse().expect("an id")
}

fn letter(to: &str, number: u128) -> Envelope {
    let payload = number.to_string();
    Envelope::new(MessageId::from_u128(number), 0, id(to), MessageType::User, payload)
}

/// An agent whose state is the numbers that it was sent, on tables that survive it.
struct World {
    tables: Tables,
    machine: Machine,
    state: Vec<u128>,
    begun: VecDeque<Commit>,
    released: Vec<Envelope>,
    rules: Rules,
    now_ms: u64,
}

impl World {
    fn new() -> Self {
        let tables = Tables::new();
        let opened = Opened {
            epoch: Epoch(0),
            revision: Revision(0),
            snapshot: None,
            journal_after: 0,
            journal_last: 0,
            applied: Watermarks::default(),
            queued: 0,
            outbox: vec![],
            timers: vec![],
            once: vec![],
        };
        let (machine, _) = Machine::new(id("a"), &opened, Rules::DEFAULT);
        let (state, begun, released) = (vec![], VecDeque::new(), vec![]);
        let mut world =
            Self { tables, machine, state, begun, released, rules: Rules::DEFAULT, now_ms: 0 };
        world.restart(None);
        world
    }

    /// What was in memory is gone; the store carried out the first `survive` of the commits under way.
    fn restart(&mut self, in_hand: Option<Vec<Position>>) {
        let open = Open { agent: id("a"), bounds: Bounds::DEFAULT, in_hand };
        let Ok(Written::Opened(opened)) = self.tables.write(Write::Open(open)) else {
            panic!("tables always open");
        };
        self.begun.clear();
        let (machine, unsent) = Machine::new(id("a"), &opened, self.rules);
        self.machine = machine;
        self.state = opened.snapshot.map_or_else(Vec::new, |snapshot| numbers(&snapshot.bytes));
        for envelope in unsent {
            self.send(envelope);
        }
    }

    fn append(&mut self, number: u128) {
        self.tables.write(Write::Append(letter("a", number))).expect("room");
        self.machine.arrived(Priority::Normal);
    }

    fn send(&mut self, envelope: Envelope) {
        self.machine.sent(envelope.id);
        self.released.push(envelope);
    }

    fn begin(&mut self) {
        let snapshot = self.machine.is_state_dirty().then(|| Snapshot {
            version: 1,
            bytes: self.state.iter().flat_map(|number| number.to_be_bytes()).collect(),
        });
        self.begun.push_back(self.machine.commit(snapshot));
    }

    /// The store carries out the eldest commit under way and answers.
    fn answer(&mut self) -> Result<Released, StoreError> {
        let commit = self.begun.pop_front().expect("one is under way");
        match self.tables.write(Write::Commit(Box::new(commit)))? {
            Written::Committed(revision) => Ok(self.machine.committed(revision)),
            other => panic!("{other:?}"),
        }
    }

    /// Goes on until a message is handed out, which is not handled then.
    fn until_handed(&mut self) -> Stored {
        for _ in 0..9 {
            if let Step::Hand(message) = self.machine.next(self.now_ms) {
                return message;
            }
            if !self.step() {
                self.answer().expect("its own epoch");
            }
        }
        panic!("nothing is handed out");
    }

    /// Does one step; `false` if there is nothing to do but to wait.
    fn step(&mut self) -> bool {
        match self.machine.next(self.now_ms) {
            Step::Wait { .. } => return false,
            Step::Commit => self.begin(),
            Step::Fetch { lane, after, limit } => {
                // A store sees what was begun before.
                while !self.begun.is_empty() {
                    let released = self.answer().expect("its own epoch");
                    released.outbox.into_iter().for_each(|envelope| self.send(envelope));
                }
                let read = crate::store::Read::Messages { mailbox: id("a"), lane, after, limit };
                let Ok(crate::store::Found::Messages(page)) = self.tables.read(&read) else {
                    panic!("it was opened");
                };
                self.machine.fetched(lane, page);
            }
            Step::Hand(message) => {
                let number = message.envelope.id;
                self.state.push(number.to_u128());
                let mut copy = letter("b", 0);
                copy.id = sent_id(&id("a"), number, 0);
                let effects =
                    Effects { is_state_dirty: true, outbox: vec![copy], ..Effects::default() };
                self.machine.handled(&message, effects);
            }
        }
        true
    }

    fn drain(&mut self) {
        while self.step() || !self.begun.is_empty() {
            if let Some(released) = (!self.begun.is_empty()).then(|| self.answer()) {
                let outbox = released.expect("its own epoch").outbox;
                outbox.into_iter().for_each(|envelope| self.send(envelope));
            }
        }
    }
}

fn numbers(bytes: &[u8]) -> Vec<u128> {
    let (chunks, _) = bytes.as_chunks::<16>();
    chunks.iter().map(|chunk| u128::from_be_bytes(*chunk)).collect()
}

#[test]
fn an_idle_agent_commits_each_message_and_a_busy_one_in_groups() {
    let mut world = World::new();
    (1..=9).for_each(|number| world.append(number));
    // A page of each lane, the first message, and its commit, since nothing is under way.
    assert!((0..4).all(|_| world.step()));
    assert_eq!((world.begun.len(), world.state.len()), (1, 1));
    // The others are handled meanwhile, and wait for its answer.
    assert!((0..8).all(|_| world.step()));
    assert!(!world.step());
    assert_eq!((world.begun.len(), world.state.len()), (1, 9));
    world.answer().expect("its own epoch");
    assert!(world.step());
    assert_eq!(world.begun[0].applied.normal, Position(9));
    world.drain();
    assert_eq!(world.machine.revision, Revision(2));
}

#[test]
fn nothing_leaves_before_its_commit_is_answered() {
    let mut world = World::new();
    world.append(1);
    while world.begun.is_empty() {
        assert!(world.step());
    }
    assert!(world.released.is_empty());
    let released = world.answer().expect("its own epoch");
    assert_eq!(released.acknowledged, [MessageId::from_u128(1)]);
    assert_eq!(released.outbox[0].id, sent_id(&id("a"), MessageId::from_u128(1), 0));
}

#[test]
fn q03_a_message_that_never_succeeds_becomes_a_dead_letter() {
    let mut world = World::new();
    world.append(1);
    world.append(2);
    // One too few: it may have been in hand when the first of these processes ended.
    for attempt in 1..limits::DELIVERIES_MAX_DEFAULT {
        // Killed before it comes to it, as often as may be: that is not the message's fault.
        (0..9).for_each(|_| world.restart(None));
        let message = world.until_handed();
        assert_eq!((message.position, message.attempts), (Position(1), attempt));
        world.restart(Some(vec![Position(1)]));
    }
    world.drain();
    assert_eq!(world.state, [2]);
    let read = crate::store::Read::DeadLetters { after: 0, limit: 9 };
    let Ok(crate::store::Found::DeadLetters(dead)) = world.tables.read(&read) else {
        panic!("tables know their dead letters");
    };
    assert_eq!((dead.len(), dead[0].attempts), (1, limits::DELIVERIES_MAX_DEFAULT));
    assert_eq!(dead[0].reason, "delivered 5 times without success");
}

#[test]
fn a_timer_fires_once_and_not_before_a_commit_holds_it() {
    let mut world = World::new();
    world.append(1);
    let message = world.until_handed();
    let timer = Timer { key: "t".into(), due_ms: 5, envelope: letter("a", 77) };
    let effects = Effects { set: vec![timer], ..Effects::default() };
    world.machine.handled(&message, effects);
    // Due long ago, but a store that does not hold it cannot let it fire.
    world.now_ms = 9;
    assert_eq!(world.machine.next(9), Step::Commit);
    world.begin();
    assert_eq!(world.begun[0].fire, Vec::<String>::new());
    world.drain();
    assert_eq!(world.state, [77]);
    assert_eq!(world.machine.next(99), Step::Wait { due_ms: None });
}

#[test]
fn a_result_is_found_again_until_its_message_is_applied() {
    let mut world = World::new();
    world.append(1);
    let key = once_key(MessageId::from_u128(1), "charge");
    let record = world.machine.record(key.clone(), Bytes::from_static(b"42"));
    assert_eq!(record.applied, Watermarks::default());
    world.begun.push_back(record);
    world.answer().expect("its own epoch");
    world.restart(None);
    assert_eq!(world.machine.result(&key), Some(&Bytes::from_static(b"42")));
    world.drain();
    assert_eq!(world.machine.result(&key), None);
    world.restart(None);
    assert_eq!(world.machine.result(&key), None);
}

#[test]
fn q02_q07_each_message_takes_effect_once_whatever_is_lost() {
    let seed = seed();
    let mut rng = Rng(seed);
    for round in 0..2_000 {
        let why = || format!("round {round}; {}", repeat("each_message_takes_effect_once", seed));
        let mut world = World::new();
        // No message is at fault for these restarts.
        world.rules.deliveries_max = u32::MAX;
        world.restart(None);
        let mut appended = 0;
        for _ in 0..rng.below(60) {
            match rng.below(8) {
                0..2 => {
                    appended += 1;
                    world.append(appended);
                }
                2 if !world.begun.is_empty() => {
                    let released =
                        world.answer().unwrap_or_else(|error| panic!("{error} {}", why()));
                    // A crash here loses what was not sent; the outbox has it.
                    if rng.below(4) > 0 {
                        released.outbox.into_iter().for_each(|envelope| world.send(envelope));
                    }
                }
                3 => {
                    // The store may have carried out what nobody heard of.
                    for _ in 0..rng.below(world.begun.len() + 1) {
                        world.answer().unwrap_or_else(|error| panic!("{error} {}", why()));
                    }
                    world.restart((rng.below(2) == 0).then(Vec::new));
                }
                _ => {
                    world.step();
                }
            }
        }
        world.drain();
        world.restart(Some(vec![]));
        world.drain();
        assert_eq!(world.state, (1..=appended).collect::<Vec<_>>(), "{}", why());
        let mut sent: Vec<_> = world.released.iter().map(|envelope| envelope.id).collect();
        sent.sort_unstable();
        sent.dedup();
        let expected =
            (1..=appended).map(|number| sent_id(&id("a"), MessageId::from_u128(number), 0));
        let mut expected: Vec<_> = expected.collect();
        expected.sort_unstable();
        assert_eq!(sent, expected, "{}", why());
    }
}
