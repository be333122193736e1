//! Kills at random moments: no acknowledged edit is lost, and tokens only grow.

use std::collections::BTreeMap;

use ggml_agent::Addr;
use ggml_agent_core::lease::Token;
use ggml_agent_doc::{Edit, SectionId};

use super::rig::{Process, Rig};
use crate::support::{Writer, edit, lock};

/// `splitmix64` (Steele, Lea, Flood 2014).
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// What the world was told, which must stay true.
#[derive(Default)]
struct Told {
    /// The line of each acknowledged edit, by its number in the document.
    lines: BTreeMap<u64, String>,
    /// The newest token of each section, and the newest of all processes before this one.
    tokens: BTreeMap<SectionId, Token>,
    floor: Option<Token>,
}

impl Told {
    /// A writer has locked its section. If it held it already, with the lock of an edit that failed, the
    /// token is the same.
    fn token(&mut self, section: SectionId, token: Token) {
        assert!(self.floor.is_none_or(|floor| token > floor), "{token} after {:?}", self.floor);
        let newest = self.tokens.insert(section, token);
        assert!(newest.is_none_or(|newest| token >= newest), "{token} after {newest:?}");
    }

    async fn holds_in(&self, process: &Process) {
        let snapshot = process.document.snapshot().await.unwrap();
        let text = snapshot.to_markdown();
        for (seq, line) in &self.lines {
            assert_eq!(text.matches(line.as_str()).count(), 1, "{line} of edit {seq} in {text}");
        }
        let versions: u64 = snapshot.sections.iter().map(|view| view.version).sum();
        assert_eq!(snapshot.seq, versions);
        assert!(snapshot.seq >= self.lines.keys().next_back().copied().unwrap_or(0));
    }
}

/// Appends a line under a lock; `None` if something was in the way.
async fn append(
    process: &Process,
    writer: &Addr<Writer>,
    section: SectionId,
    line: &str,
) -> Option<(Token, Option<u64>)> {
    let wish = ggml_agent_doc::Lock { sections: [section].into(), ..process.deny(0) };
    let grant = lock(writer, wish).await.ok()?.remove(0);
    let Ok(Some(old)) = process.document.read(section).await else {
        return Some((grant.token, None));
    };
    // A line in the middle: the end of a section belongs to the next heading.
    let text = old.text.to_string().replacen("\n\n", &format!("\n\n{line}"), 1);
    let done = edit(writer, Edit::locked(section, grant.token, text)).await.ok();
    let release = |reply| crate::support::Do::Release(section, grant.token, reply);
    if done.is_some() {
        let _is_released = writer.ask(release).await;
    }
    Some((grant.token, done.map(|done| done.seq)))
}

async fn round(seed: u64) {
    let mut rng = Rng(seed);
    let rig = Rig::new();
    let mut told = Told::default();
    let mut line = 0;
    for _ in 0..1 + rng.below(4) {
        let process = Process::start(&rig).await;
        told.holds_in(&process).await;
        told.floor = told.tokens.values().max().copied();
        let writers = [process.writer("a").await, process.writer("b").await];
        for _ in 0..rng.below(6) {
            match rng.below(5) {
                0 => process.restart_document().await,
                1 => rig.hold(),
                _ => {}
            }
            let tasks = writers.iter().enumerate().map(|(n, writer)| {
                line += 1;
                let (section, line) = (process.sections[n], format!("line {line}.\n"));
                let process = &process;
                async move { (append(process, writer, section, &line).await, line) }
            });
            let tasks: Vec<_> = tasks.collect();
            let mut tasks = tasks.into_iter();
            let (a, b) = (tasks.next().unwrap(), tasks.next().unwrap());
            let work = async { tokio::join!(a, b) };
            let steps = rng.below(30);
            let (kills, frees) = (rng.below(3) == 0, rng.below(2) == 0);
            let meddle = async {
                for _ in 0..steps {
                    tokio::task::yield_now().await;
                }
                if kills {
                    process.document.addr().kill();
                }
                if frees {
                    rig.release();
                }
                for _ in 0..steps {
                    tokio::task::yield_now().await;
                }
                rig.release();
            };
            let ((a, b), ()) = tokio::join!(work, meddle);
            for ((appended, line), section) in [a, b].into_iter().zip(&process.sections) {
                let Some((token, seq)) = appended else { continue };
                told.token(*section, token);
                if let Some(seq) = seq {
                    assert!(told.lines.insert(seq, line).is_none(), "edit {seq} twice");
                }
            }
        }
        rig.release();
        told.holds_in(&process).await;
        if rng.below(3) == 0 { process.stop().await } else { process.kill().await }
    }
    let process = Process::start(&rig).await;
    told.holds_in(&process).await;
}

#[tokio::test(start_paused = true)]
async fn d11_d12_kills_at_random_moments_lose_no_acknowledged_edit_and_no_token() {
    let seeds = match std::env::var("GGML_AGENT_SEED") {
        Ok(seed) => {
            let seed: u64 = seed.parse().unwrap();
            seed..seed + 1
        }
        Err(_) => 0..300,
    };
    for seed in seeds {
        let repeat = Repeat(seed);
        Box::pin(round(seed)).await;
        drop(repeat);
    }
}

/// Prints how to repeat the round when it panics.
struct Repeat(u64);

impl Drop for Repeat {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!(
                "repeat: GGML_AGENT_SEED={} cargo test -p ggml-agent-doc kills_at_random",
                self.0
            );
        }
    }
}
