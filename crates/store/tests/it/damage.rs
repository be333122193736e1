//! Flipped bits: what is read is what was stored, or it is refused by name.

use std::fs;
use std::path::Path;

use ggml_agent_core::store::{
    Bounds, Commit, Epoch, OnFull, Once, Open, Position, Read, Revision, Snapshot, StoreError,
    Tables, Timer, Watermarks, Write, Written,
};
use ggml_agent_core::{Envelope, Priority};
use ggml_agent_store::{FILE, OpenError, Options, Release, Sqlite};

use crate::common::{Folder, Waiter, begin, id, letter, letter_of, number, open, options};

const NAMES: [&str; 3] = ["alpha", "beta", "gamma"];

/// Something of everything, a transaction for each.
pub(crate) fn writes() -> Vec<Write> {
    let mut all = Vec::new();
    for (agent, name) in (0..).zip(NAMES) {
        all.push(begin(name));
        for n in 0..6 {
            let lane = if n % 3 == 0 { Priority::High } else { Priority::Normal };
            let mail = letter(name, agent * 100 + n).with_priority(lane);
            all.push(Write::Append(mail));
        }
        let applied = Watermarks { high: Position(1), normal: Position(2) };
        let mut commit = Commit::new(id(name), Epoch(1), Revision(0), applied);
        commit.dead.push((Position(2), format!("{name} would not have it")));
        commit.snapshot = Some(Snapshot { version: 3, bytes: format!("state of {name}").into() });
        commit.journal = (0..3).map(|n| format!("{name} did {n}").into()).collect();
        commit.outbox = (0..2).map(|n| letter("elsewhere", 50 + agent * 10 + n)).collect();
        for key in ["wake", "sleep"] {
            let envelope = letter(name, 90 + agent);
            commit.set.push(Timer { key: key.into(), due_ms: 1_700_000_000_000, envelope });
        }
        commit.once.push(Once { key: "call".into(), result: format!("{name} paid").into() });
        all.push(Write::Commit(Box::new(commit)));
    }
    all
}

/// And what format 1 had not: runs of messages that came together, one of which is partly done with.
pub(crate) fn writes_of_format_2() -> Vec<Write> {
    let mut all = writes();
    for (agent, name) in (0..).zip(NAMES) {
        let mail = |n: u64| letter(name, 300 + agent * 10 + n);
        let lane = |n: u64| if n == 2 { Priority::High } else { Priority::Normal };
        all.push(Write::AppendAll((0..6).map(|n| mail(n).with_priority(lane(n))).collect()));
        // Position 7 is the first of the run in the user lane, 9 the one in the priority lane.
        let applied = Watermarks { high: Position(4), normal: Position(8) };
        let mut commit = Commit::new(id(name), Epoch(1), Revision(1), applied);
        commit.begun = vec![Position(9), Position(10), Position(12)];
        all.push(Write::Commit(Box::new(commit)));
    }
    all
}

/// Everything that can be asked.
pub(crate) fn reads() -> Vec<Read> {
    let limit = usize::MAX;
    let mut all = Vec::new();
    for name in NAMES {
        for lane in [Priority::High, Priority::Normal] {
            all.push(Read::Messages { mailbox: id(name), lane, after: Position(0), limit });
        }
        all.push(Read::Journal { agent: id(name), after: 0, limit });
    }
    all.push(Read::DeadLetters { after: 0, limit });
    all.push(Read::Agents { after: None, limit });
    all
}

/// What is asked by changing something.
fn probes() -> Vec<Write> {
    let mut all = Vec::new();
    for (agent, name) in (0..).zip(NAMES) {
        // Known since long, and new.
        all.push(Write::Append(letter(name, agent * 100 + 5)));
        all.push(begin(name));
        all.push(Write::Append(letter(name, 1000)));
    }
    all.push(Write::Append(letter("never", 1)));
    all.push(Write::Discard { number: 2 });
    all.push(Write::Discard { number: 7 });
    all
}

/// What became of a store with a flipped bit.
#[derive(Debug, Default)]
struct Outcomes {
    exact: u32,
    quarantined: u32,
    refused: u32,
}

impl Outcomes {
    /// Asks everything of the store in `folder`; each answer is that of one of `truths`, or a refusal.
    fn add(&mut self, waiter: &Waiter, folder: &Path, truths: &[Tables], what: &str) {
        let store = match Sqlite::open(folder, options()) {
            Ok(store) => store,
            Err(
                OpenError::Damaged { .. }
                | OpenError::NotAStore { .. }
                | OpenError::Newer { .. }
                | OpenError::Setting { .. }
                | OpenError::Sqlite { .. },
            ) => {
                self.refused += 1;
                return;
            }
            Err(error) => panic!("{what}: {error:?}"),
        };
        let mut truths: Vec<Tables> = truths.to_vec();
        let mut is_exact = true;
        for read in reads() {
            match waiter.read(&store, read.clone()) {
                Err(StoreError::Quarantined { .. }) => is_exact = false,
                found => {
                    truths.retain(|tables| tables.read(&read) == found);
                    assert!(!truths.is_empty(), "{what}: {read:?} found {found:?}");
                }
            }
        }
        for write in probes() {
            match waiter.write(&store, write.clone()) {
                Err(StoreError::Quarantined { .. }) => is_exact = false,
                // An agent that was set aside is no more than that; the others go on.
                written => {
                    truths.retain_mut(|tables| tables.write(write.clone()) == written);
                    assert!(!truths.is_empty(), "{what}: {write:?} gave {written:?}");
                }
            }
        }
        *(if is_exact { &mut self.exact } else { &mut self.quarantined }) += 1;
    }
}

pub(crate) fn truth(writes: &[Write]) -> Tables {
    let mut tables = Tables::new();
    for write in writes {
        tables.write(write.clone()).expect("a good write");
    }
    tables
}

pub(crate) fn carried_out(folder: &Folder, waiter: &Waiter, writes: &[Write]) -> Sqlite {
    let store = open(&folder.0);
    for write in writes {
        waiter.write(&store, write.clone()).expect("a good write");
    }
    store
}

/// Every so many bytes, so that the test takes some seconds; `GGML_AGENT_STORE_FLIP_STEP=1` takes all.
fn flips(len: usize, samples: usize) -> impl Iterator<Item = usize> {
    // Odd, so that all places within a page and within a record have their turn.
    let step = usize::try_from(number("GGML_AGENT_STORE_FLIP_STEP", 0)).expect("small");
    (0..len).step_by(if step > 0 { step } else { (len / samples) | 1 })
}

#[test]
fn q14_a_flipped_bit_in_the_file_is_noticed_or_harmless() {
    let (folder, image, waiter) = (Folder::new("flip"), Folder::new("flip-image"), Waiter::new());
    let writes = writes_of_format_2();
    drop(carried_out(&folder, &waiter, &writes));
    let whole = fs::read(folder.file(FILE)).expect("the file");
    let truths = [truth(&writes)];
    let mut outcomes = Outcomes::default();
    for at in flips(whole.len(), 700) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at / 7 % 8);
        drop(fs::remove_dir_all(&image.0));
        fs::create_dir(&image.0).expect("a folder");
        fs::write(image.file(FILE), bytes).expect("a file");
        outcomes.add(&waiter, &image.0, &truths, &format!("byte {at} of {}", whole.len()));
    }
    println!("{outcomes:?}");
    assert!(outcomes.exact > 0 && outcomes.quarantined > 0 && outcomes.refused > 0, "{outcomes:?}");
}

#[test]
fn a_flipped_bit_in_the_log_is_noticed_unless_it_looks_like_the_last_write_torn() {
    let (folder, image, waiter) = (Folder::new("log"), Folder::new("log-image"), Waiter::new());
    let writes = writes_of_format_2();
    let store = carried_out(&folder, &waiter, &writes);
    let log = format!("{FILE}-wal");
    let (file, whole) = (
        fs::read(folder.file(FILE)).expect("the file"),
        fs::read(folder.file(&log)).expect("the log"),
    );
    drop(store);
    // The last write may be lost, since a power cut before it was acknowledged looks the same.
    let truths = [truth(&writes), truth(&writes[..writes.len() - 1])];
    let mut outcomes = Outcomes::default();
    for at in flips(whole.len(), 300) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at / 7 % 8);
        drop(fs::remove_dir_all(&image.0));
        fs::create_dir(&image.0).expect("a folder");
        fs::write(image.file(FILE), &file).expect("a file");
        fs::write(image.file(&log), bytes).expect("a file");
        outcomes.add(
            &waiter,
            &image.0,
            &truths,
            &format!("byte {at} of the log's {}", whole.len()),
        );
    }
    println!("{outcomes:?}");
    assert!(outcomes.exact > 0 && outcomes.refused > 0, "{outcomes:?}");
}

#[test]
fn q14_a_damaged_message_sets_its_mailbox_aside_and_nothing_else() {
    let (folder, waiter) = (Folder::new("aside"), Waiter::new());
    drop(carried_out(&folder, &waiter, &writes()));
    let mut bytes = fs::read(folder.file(FILE)).expect("the file");
    let text = b"message 105";
    let at = bytes.windows(text.len()).position(|window| window == text).expect("in the file");
    bytes[at] ^= 1;
    fs::write(folder.file(FILE), &bytes).expect("a file");
    let mailbox = |name: &str| Read::Messages {
        mailbox: id(name),
        lane: Priority::Normal,
        after: Position(0),
        limit: 9,
    };
    // It is found again after each start, whatever is asked first.
    for round in 0..3 {
        let store = open(&folder.0);
        let checked = waiter.on(store.check()).expect("can be read");
        assert!(checked.damaged.iter().any(|damage| damage.what.contains("beta")), "{checked:?}");
        let refused = |answer| match answer {
            Err(StoreError::Quarantined { what, why }) => {
                assert!(what.contains("beta") && why.contains("checksum"), "{what}: {why}");
            }
            answer => panic!("round {round}: {answer:?}"),
        };
        refused(waiter.read(&store, mailbox("beta")).map(|_| ()));
        refused(waiter.write(&store, begin("beta")).map(|_| ()));
        refused(waiter.write(&store, Write::Append(letter("beta", 2000))).map(|_| ()));
        refused(waiter.write(&store, Write::Remove { agent: id("beta") }).map(|_| ()));
        waiter.read(&store, mailbox("alpha")).expect("whole");
        waiter.write(&store, Write::Append(letter("gamma", 2000 + round))).expect("whole");
        assert_eq!(waiter.on(store.stats()).expect("open").quarantined, 1);
    }
    let left = fs::read(folder.file(FILE)).expect("the file");
    assert!(
        left.windows(text.len()).any(|window| window == &bytes[at..at + text.len()]),
        "deleted"
    );
}

#[test]
fn q14_an_agent_that_was_set_aside_is_used_again_when_it_is_whole_or_forgotten() {
    let (folder, waiter) = (Folder::new("lifted"), Waiter::new());
    let mut writes = writes();
    // Large contents, of which one is the damaged agent's alone.
    for (name, fill) in [("alpha", b'y'), ("beta", b'y'), ("beta", b'z')] {
        let mail = letter_of(name, 500 + u64::from(fill), vec![fill; 256 * 1024 + 1]);
        writes.push(Write::Append(mail));
    }
    drop(carried_out(&folder, &waiter, &writes));
    let text = b"message 105";
    let flip = || {
        let mut bytes = fs::read(folder.file(FILE)).expect("the file");
        let is_there = |window: &[u8]| window[..9] == text[..9] && window[10] == text[10];
        let at = bytes.windows(text.len()).position(is_there).expect("in the file");
        bytes[at + 9] ^= 1;
        fs::write(folder.file(FILE), &bytes).expect("a file");
    };
    let release = |store: &Sqlite, name| waiter.on(store.release(id(name))).expect("open");
    flip();
    let store = open(&folder.0);
    assert_eq!(release(&store, "beta"), Release::NotSetAside, "nobody has met the damage");
    waiter.write(&store, begin("beta")).expect("its user lane is not read for that");
    let read = reads().into_iter().nth(4).expect("that of beta");
    assert!(matches!(waiter.read(&store, read.clone()), Err(StoreError::Quarantined { .. })));
    assert!(
        matches!(release(&store, "beta"), Release::Damaged(damage) if damage.why.contains("checksum"))
    );
    assert!(!waiter.on(store.discard(id("alpha"))).expect("open"), "only what was set aside");
    drop(store);
    // Repaired: it goes on where it stood, also after the next start.
    flip();
    let store = open(&folder.0);
    assert_eq!(release(&store, "beta"), Release::Released);
    drop(store);
    let store = open(&folder.0);
    let mut tables = truth(&writes);
    tables.write(begin("beta")).expect("as above");
    assert_eq!(waiter.read(&store, read.clone()), tables.read(&read));
    assert_eq!(waiter.on(store.stats()).expect("open").quarantined, 0);
    drop(store);
    // Damaged for good: it is forgotten, and nothing else is.
    flip();
    let store = open(&folder.0);
    assert!(waiter.read(&store, read.clone()).is_err());
    assert!(waiter.on(store.discard(id("beta"))).expect("open"));
    let checked = waiter.on(store.check()).expect("open");
    assert!(checked.is_whole(), "{checked:?}");
    assert_eq!(waiter.on(store.stats()).expect("open").blobs, 1, "the one that alpha has too");
    assert!(matches!(waiter.read(&store, read), Err(StoreError::UnknownMailbox { .. })));
    let mine = reads().into_iter().next().expect("that of alpha");
    assert_eq!(waiter.read(&store, mine.clone()), tables.read(&mine));
    // Who begins under its name is another: the old one's commits stay refused.
    match waiter.write(&store, begin("beta")) {
        Ok(Written::Opened(opened)) => assert_eq!(opened.epoch, Epoch(3)),
        answer => panic!("{answer:?}"),
    }
}

#[test]
fn damage_that_one_write_meets_does_not_harm_those_that_share_its_transaction() {
    let (folder, waiter) = (Folder::new("shared"), Waiter::new());
    let mut writes = writes();
    let bounds = Bounds { messages_max: 5, bytes_max: 1000, on_full: OnFull::DropOldest };
    writes.push(Write::Open(Open { agent: id("beta"), bounds, in_hand: Some(Vec::new()) }));
    drop(carried_out(&folder, &waiter, &writes));
    let mut bytes = fs::read(folder.file(FILE)).expect("the file");
    // The eldest of those that wait: a message that comes would drive it out.
    let text = b"message 102";
    let at = bytes.windows(text.len()).position(|window| window == text).expect("in the file");
    bytes[at + 9] ^= 4;
    fs::write(folder.file(FILE), &bytes).expect("a file");
    let store = open(&folder.0);
    let mail = |name: &str, number| {
        ggml_agent_core::store::Store::write(&store, Write::Append(letter(name, number)))
    };
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for number in 3000..3060 {
        good.push(mail("alpha", number));
        bad.push(mail("beta", number));
        good.push(mail("gamma", number));
    }
    for answer in good {
        waiter.on(answer).expect("it is nobody else's affair");
    }
    for (n, answer) in bad.into_iter().enumerate() {
        match waiter.on(answer) {
            Ok(_) => assert!(n < 2, "there was room for one or two"),
            Err(error) => assert!(matches!(error, StoreError::Quarantined { .. }), "{error:?}"),
        }
    }
}

#[test]
fn a_large_content_that_changed_is_not_handed_out() {
    let (folder, waiter) = (Folder::new("large"), Waiter::new());
    let store = open(&folder.0);
    waiter.write(&store, begin("a")).expect("room");
    let large = |number| -> Envelope { letter_of("a", number, vec![b'y'; 400_000]) };
    for number in 1..4 {
        waiter.write(&store, Write::Append(large(number))).expect("room");
    }
    // Equal ones are stored once.
    let stats = waiter.on(store.stats()).expect("open");
    assert_eq!((stats.messages, stats.blobs, stats.blob_bytes), (3, 1, 400_000));
    drop(store);
    let mut bytes = fs::read(folder.file(FILE)).expect("the file");
    let at = bytes.windows(64).position(|window| window == [b'y'; 64]).expect("in the file");
    bytes[at + 30] ^= 32;
    fs::write(folder.file(FILE), &bytes).expect("a file");
    let store =
        Sqlite::open(&folder.0, Options { check_bytes_max: 0, ..options() }).expect("opens");
    let lane = Priority::Normal;
    let read = Read::Messages { mailbox: id("a"), lane, after: Position(0), limit: 9 };
    let found = waiter.read(&store, read);
    assert!(matches!(found, Err(StoreError::Quarantined { .. })), "{found:?}");
}
