//! A process that is killed at any moment loses nothing that it acknowledged.
//!
//! This cannot show a missing flush, since the system's cache outlives the process; it shows that what
//! was flushed is whole and found again.

use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use ggml_agent_core::Priority;
use ggml_agent_core::store::{
    Accepted, Bounds, Commit, Found, OnFull, Open, Opened, Position, Read, Snapshot, Store,
    StoreError, Watermarks, Write, Written,
};
use ggml_agent_store::{Medium, OpenError, Options, Sqlite};

use crate::common::{Folder, Rng, Waiter, id, letter, number, options};

/// The folder that a child works in; without it, it is no child.
const CHILD: &str = "GGML_AGENT_STORE_CHILD";

/// Messages that a child has on their way at once.
const ON_THE_WAY: &str = "GGML_AGENT_STORE_ON_THE_WAY";

fn begin(waiter: &Waiter, store: &Sqlite) -> Opened {
    let bounds = Bounds { messages_max: 5000, bytes_max: u64::MAX, on_full: OnFull::Refuse };
    let open = Open { agent: id("a"), bounds, in_hand: None };
    match waiter.write(store, Write::Open(open)) {
        Ok(Written::Opened(opened)) => *opened,
        answer => panic!("{answer:?}"),
    }
}

/// The newest message, and those that wait. Each has its number as position and text.
fn newest(waiter: &Waiter, store: &Sqlite, opened: &Opened) -> u64 {
    let lane = Priority::Normal;
    let read = Read::Messages { mailbox: id("a"), lane, after: Position(0), limit: usize::MAX };
    let Ok(Found::Messages(all)) = waiter.read(store, read) else { panic!("a mailbox") };
    let mut newest = opened.applied.normal.0;
    for message in all {
        newest += 1;
        assert_eq!(message.position, Position(newest), "one is missing");
        assert_eq!(message.envelope, letter("a", newest), "nobody sent this");
    }
    newest
}

/// What the child is: it appends, applies now and then, and says what was acknowledged.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let waiter = Waiter::new();
    let store = Sqlite::open(&folder, Options { medium: Medium::Any, ..options() }).expect("opens");
    let opened = begin(&waiter, &store);
    let mut said = std::io::stdout();
    let (mut next, mut applied) = (newest(&waiter, &store, &opened) + 1, opened.applied.normal);
    let mut revision = opened.revision;
    let many = number(ON_THE_WAY, 8);
    let mut on_the_way = std::collections::VecDeque::new();
    loop {
        on_the_way.push_back((next, store.write(Write::Append(letter("a", next)))));
        next += 1;
        if (on_the_way.len() as u64) < many {
            continue;
        }
        let Some((number, answer)) = on_the_way.pop_front() else { return };
        match waiter.on(answer) {
            Ok(Written::Accepted(Accepted::At(at))) => assert_eq!(at, Position(number)),
            Err(error) => {
                writeln!(said, "error {error:?}").expect("the parent listens");
                return;
            }
            answer => panic!("{answer:?}"),
        }
        writeln!(said, "acknowledged {number}").expect("the parent listens");
        if number % 16 == 0 {
            applied = Position(number - 4).max(applied);
            let watermarks = Watermarks { high: Position(0), normal: applied };
            let mut commit = Commit::new(id("a"), opened.epoch, revision, watermarks);
            let bytes = applied.0.to_string().into();
            commit.snapshot = Some(Snapshot { version: 1, bytes });
            match waiter.write(&store, Write::Commit(Box::new(commit))) {
                Ok(Written::Committed(now)) => revision = now,
                Err(error) => {
                    writeln!(said, "error {error:?}").expect("the parent listens");
                    return;
                }
                answer => panic!("{answer:?}"),
            }
            writeln!(said, "applied {}", applied.0).expect("the parent listens");
        }
    }
}

fn start(folder: &Path, mut command: Command) -> Child {
    command.args(["--exact", "kill::child", "--nocapture"]);
    command.env(CHILD, folder).stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().expect("this very program runs")
}

fn itself() -> PathBuf {
    std::env::current_exe().expect("it runs")
}

#[derive(Debug, Default, Clone)]
struct Said {
    acknowledged: u64,
    applied: u64,
    error: Option<String>,
}

impl Said {
    fn hear(&mut self, line: &str) {
        if let Some(number) = line.strip_prefix("acknowledged ") {
            // The last line may be cut short by the kill; then the parent knows of less than was said.
            self.acknowledged =
                number.parse().map_or(self.acknowledged, |n| self.acknowledged.max(n));
        } else if let Some(number) = line.strip_prefix("applied ") {
            self.applied = number.parse().map_or(self.applied, |n| self.applied.max(n));
        } else if let Some(error) = line.strip_prefix("error ") {
            self.error = Some(error.to_owned());
        }
    }
}

/// Opens what the child left, and holds it against what it said.
fn examine(folder: &Path, said: &Said, what: &str) {
    let waiter = Waiter::new();
    let store = Sqlite::open(folder, options()).expect("what a kill leaves can be opened");
    let opened = begin(&waiter, &store);
    let newest = newest(&waiter, &store, &opened);
    assert!(newest >= said.acknowledged, "{what}: {newest} is the newest, said was {said:?}");
    assert!(opened.applied.normal.0 >= said.applied, "{what}: {opened:?}, said was {said:?}");
    // The state never without its acknowledgement, nor the reverse.
    let state = opened.snapshot.map(|snapshot| snapshot.bytes);
    let state = state.map_or("0".into(), |bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert_eq!(state, opened.applied.normal.0.to_string(), "{what}");
    let checked = waiter.on(store.check()).expect("can be read");
    assert!(checked.is_whole(), "{what}: {:?}", checked.damaged);
}

#[test]
fn q01_a_process_that_is_killed_loses_nothing_that_it_acknowledged() {
    let seed = number("GGML_AGENT_SEED", 1);
    let cycles = number("GGML_AGENT_STORE_KILLS", 200);
    println!("repeat with: GGML_AGENT_SEED={seed} cargo test -p ggml-agent-store a_process_that");
    let folder = Folder::new("kill");
    let (mut rng, mut said) = (Rng(seed), Said::default());
    let mut cycles_with_news = 0;
    for cycle in 0..cycles {
        let mut child = start(&folder.0, Command::new(itself()));
        let output = child.stdout.take().expect("piped");
        let (lines, heard) = mpsc::channel();
        let listener = std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                if lines.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
            }
        });
        let before = said.clone();
        // Half of them in the opening, too; the others while messages are on their way.
        if rng.one_in(2) {
            while said.acknowledged == before.acknowledged {
                said.hear(&heard.recv().expect("the child works"));
            }
        }
        // Nothing ever comes from here: it is a clock.
        let (_never, moment) = mpsc::channel::<()>();
        let after = Duration::from_micros(500 + rng.below(49_500));
        assert!(moment.recv_timeout(after).is_err());
        child.kill().expect("it runs");
        child.wait().expect("it ran");
        listener.join().expect("it listens");
        heard.try_iter().for_each(|line| said.hear(&line));
        assert_eq!(said.error, None, "cycle {cycle}");
        cycles_with_news += u64::from(said.acknowledged > before.acknowledged);
        examine(&folder.0, &said, &format!("cycle {cycle}"));
    }
    println!(
        "{cycles} kills, {cycles_with_news} of them after news, {} messages",
        said.acknowledged
    );
    assert!(cycles_with_news >= cycles / 4);
}

#[test]
fn the_lock_of_a_process_names_it_and_ends_with_it() {
    let folder = Folder::new("lock");
    let mut child = start(&folder.0, Command::new(itself()));
    let mut lines =
        BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with("acknowledged ")));
    let error = Sqlite::open(&folder.0, options()).expect_err("it is in use");
    assert!(
        matches!(error, OpenError::Locked { pid: Some(pid), .. } if pid == child.id()),
        "{error:?}"
    );
    child.kill().expect("it runs");
    child.wait().expect("it ran");
    Sqlite::open(&folder.0, options()).expect("nobody has it any more");
}

/// No file of the process may grow beyond 300 KiB: its writes fail with EFBIG, which SQLite takes for a
/// failing device.
#[cfg(target_os = "linux")]
#[test]
fn q10_a_device_that_fails_is_an_error_and_loses_nothing_that_was_acknowledged() {
    let folder = Folder::new("device");
    let mut shell = Command::new("sh");
    // POSIX: `ulimit -f` counts blocks of 512 bytes; where it counts KiB, the file is larger.
    shell.args(["-c", "trap '' XFSZ; ulimit -f 600; exec \"$0\" \"$@\""]).arg(itself());
    // One by one: else those behind the one that failed would be stored without it.
    shell.env(ON_THE_WAY, "1");
    let mut child = start(&folder.0, shell);
    let output = child.stdout.take().expect("piped");
    let mut said = Said::default();
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        said.hear(&line);
    }
    assert!(child.wait().expect("it ran").success(), "{said:?}");
    let error = said.error.clone().expect("its files could not grow");
    let kind = |error: &StoreError| format!("{error:?}").split(' ').next().map(str::to_owned);
    let indeterminate = kind(&StoreError::Indeterminate { why: String::new() });
    let unavailable = kind(&StoreError::Unavailable { why: String::new() });
    let found = error.split(' ').next().map(str::to_owned);
    assert!(found == indeterminate || found == unavailable, "{error}");
    assert!(said.acknowledged > 0, "{said:?}");
    println!("{said:?}");
    examine(&folder.0, &said, "after the failure");
}
