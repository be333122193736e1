//! A process with durable agents is killed again and again, at any moment, while another one sends to it:
//! nothing that was acknowledged is lost, nothing takes effect twice, nothing is out of order.
//!
//! A kill does not show a flush that is missing: what was written lives on in the kernel. That is what the
//! simulated store is for.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests; helpers outside of a test function too"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use ggml_agent_sim::rng::Rng;

const N_SENDERS: u32 = 8;

struct Node {
    process: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Node {
    fn start(folder: &Path) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the process under test")]
        let mut command = Command::new(env!("CARGO_BIN_EXE_durable_node"));
        let mut process =
            command.arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (line, lines) = channel();
        std::thread::spawn(move || {
            // It ends with the process, whose output ends then.
            for read in output.lines().map_while(Result::ok) {
                drop(line.send(read));
            }
        });
        Self { process, input, lines }
    }

    /// Whether the process took the line.
    fn tell(&mut self, line: &str) -> bool {
        writeln!(self.input, "{line}").and_then(|()| self.input.flush()).is_ok()
    }

    fn kill(mut self) -> Vec<String> {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        // What it said before it died was said.
        self.lines.iter().collect()
    }
}

/// The newest sequence number of each sender that was acknowledged; the next one is under way.
#[derive(Default)]
struct Senders(BTreeMap<u32, u64>);

impl Senders {
    fn hear(&mut self, line: &str) -> Option<u32> {
        let mut words = line.split(' ');
        if words.next() != Some("ok") {
            return None;
        }
        let [sender, sequence] =
            [words.next(), words.next()].map(|word| word.unwrap().parse::<u64>().unwrap());
        let sender = u32::try_from(sender).unwrap();
        let acknowledged = self.0.entry(sender).or_default();
        assert_eq!(sequence, *acknowledged + 1, "sender {sender} sends one at a time");
        *acknowledged = sequence;
        Some(sender)
    }

    fn send_next(&self, node: &mut Node, sender: u32) -> bool {
        let next = self.0.get(&sender).copied().unwrap_or_default() + 1;
        node.tell(&format!("{sender} {next}"))
    }
}

/// A cycle: start, send, and kill after `life`.
fn cycle(folder: &Path, senders: &mut Senders, life: Duration) {
    #[expect(clippy::disallowed_methods, reason = "a real process lives in real time")]
    let deadline = Instant::now() + life;
    let mut node = Node::start(folder);
    loop {
        #[expect(clippy::disallowed_methods, reason = "a real process lives in real time")]
        let rest = deadline.saturating_duration_since(Instant::now());
        match node.lines.recv_timeout(rest) {
            Ok(line) if line == "ready" => {
                for sender in 0..N_SENDERS {
                    senders.send_next(&mut node, sender);
                }
            }
            Ok(line) => {
                if let Some(sender) = senders.hear(&line) {
                    senders.send_next(&mut node, sender);
                }
            }
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) => panic!("it died by itself"),
        }
    }
    for line in node.kill() {
        senders.hear(&line);
    }
}

/// What both agents have committed, once the second has heard of everything.
fn final_state(folder: &Path) -> [BTreeMap<u32, [u64; 3]>; 2] {
    let mut node = Node::start(folder);
    loop {
        assert!(node.tell("state"));
        let mut states = [BTreeMap::new(), BTreeMap::new()];
        for line in node.lines.iter().take_while(|line| line != "end of state") {
            let words: Vec<_> = line.split(' ').collect();
            let [id, numbers @ ..] = &words[..] else { panic!("{line}") };
            if numbers.is_empty() {
                continue;
            }
            let numbers: Vec<u64> = numbers.iter().map(|word| word.parse().unwrap()).collect();
            let idx = usize::from(*id == "second");
            let sender = u32::try_from(numbers[0]).unwrap();
            states[idx].insert(sender, [numbers[1], numbers[2], numbers[3]]);
        }
        // The second is told by the first, in its own time.
        if states[0]
            .iter()
            .all(|(sender, first)| states[1].get(sender).is_some_and(|s| s[0] >= first[0]))
        {
            node.tell("end");
            node.process.wait().unwrap();
            return states;
        }
    }
}

#[test]
fn q01_a_process_that_is_killed_at_any_moment_loses_nothing_and_does_nothing_twice() {
    let given = std::env::var_os("GGML_AGENT_KILLS");
    let n_cycles: u32 = given.map_or(1_000, |text| text.to_str().unwrap().parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut senders = Senders::default();
    let mut rng = Rng::new(1);
    for _ in 0..n_cycles {
        let life = Duration::from_micros(500 + rng.bits() % 49_500);
        cycle(folder.path(), &mut senders, life);
    }
    let n_acknowledged: u64 = senders.0.values().sum();
    assert!(n_acknowledged > 0, "no cycle lived long enough");
    let states = final_state(folder.path());
    for (name, state) in ["first", "second"].into_iter().zip(states) {
        for (sender, acknowledged) in &senders.0 {
            let [last, n_handled, n_disordered] = state[sender];
            let who = format!("{name}, sender {sender}: {acknowledged} acknowledged");
            assert!(last >= *acknowledged && last <= acknowledged + 1, "{who}, {last} the last");
            assert_eq!(n_handled, last, "{who}");
            assert_eq!(n_disordered, 0, "{who}");
        }
    }
    println!("{n_cycles} kills, {n_acknowledged} messages acknowledged");
}
