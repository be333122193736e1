//! Many agents who write and many people who watch: `GGML_AGENT_SOAK=1` makes it a thousand agents, a hundred people
//! and a minute (`just soak-doc`), else it is a small one.

use std::sync::Arc;
use std::time::Duration;

use ggml_agent_doc::coordinator::{Command, Op};
use ggml_agent_doc::{Holder, SectionId};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at, timeout};

use super::client::{Up, agent};
use super::socket::Editor;

const N_SECTIONS: usize = 20;

/// How much there is to do.
#[derive(Clone, Copy)]
struct Size {
    n_agents: usize,
    n_people: u64,
    /// Between two edits of an agent.
    every: Duration,
    in_all: Duration,
}

impl Size {
    fn of_this_run() -> Self {
        let secs = Duration::from_secs;
        if std::env::var_os("GGML_AGENT_SOAK").is_some() {
            Self { n_agents: 1_000, n_people: 100, every: secs(5), in_all: secs(60) }
        } else {
            Self { n_agents: 60, n_people: 8, every: secs(1) / 2, in_all: secs(2) }
        }
    }
}

/// What an agent's line says after `n` edits.
fn line(agent: usize, n: usize) -> String {
    format!("a{agent}: edit {n}.\n")
}

fn text(size: Size) -> String {
    let section = |n: usize| {
        let lines =
            (0..size.n_agents).filter(|agent| agent % N_SECTIONS == n).map(|agent| line(agent, 0));
        format!("# Section {n}\n\n{}\n", lines.collect::<String>())
    };
    (0..N_SECTIONS).map(section).collect()
}

/// Edits its line again and again; answers how often it was told that it is done.
async fn write(up: Arc<Up>, n: usize, section: SectionId, size: Size) -> usize {
    let me: Holder = agent(&format!("a{n}"));
    let until = Instant::now() + size.in_all;
    let share = u32::try_from(n * 1_000 / size.n_agents).unwrap();
    let mut ticks = interval_at(Instant::now() + size.every * share / 1_000, size.every);
    let mut done = 0;
    loop {
        if ticks.tick().await >= until {
            return done;
        }
        let op = Op::StrReplace { old: line(n, done), new: line(n, done + 1), expect: 1 };
        up.document.command(&me, Command::new(section, op)).await.unwrap();
        done += 1;
    }
}

/// Seconds of CPU, and MiB in memory, of this process: all of it, the clients as well.
fn used() -> (f64, u64) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let ticks = stat.rsplit(") ").next().unwrap().split(' ').skip(11).take(2);
    let ticks: f64 = ticks.map(|n| n.parse::<f64>().unwrap()).sum();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let resident = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    (ticks / 100.0, resident.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d07_d08_d17_many_agents_and_many_people_lose_nothing() {
    let size = Size::of_this_run();
    let up = Arc::new(Up::with(&text(size)).await);
    let ids: Vec<SectionId> =
        up.document.snapshot().await.unwrap().sections.iter().map(|view| view.id).collect();
    let mut people = Vec::new();
    for n in 0..size.n_people {
        people.push(Editor::join(&up, &format!("P{n}"), 1_000 + n).await);
    }
    let (cpu, memory) = used();
    println!("{} agents, {} people: {memory} MiB", size.n_agents, size.n_people);
    let mut agents = JoinSet::new();
    for n in 0..size.n_agents {
        let (up, section) = (Arc::clone(&up), ids[n % N_SECTIONS]);
        agents.spawn(async move { (n, write(up, n, section, size).await) });
    }
    let mut watching = JoinSet::new();
    for mut person in people {
        // Reads until nothing has come for a while.
        watching.spawn(async move {
            while timeout(3 * size.every, person.until(|_, frame| frame[0] == 0)).await.is_ok() {}
            person
        });
    }
    let mut done = vec![0; size.n_agents];
    while let Some(agent) = agents.join_next().await {
        let (n, edits) = agent.unwrap();
        done[n] = edits;
    }
    let (cpu_after, memory_after) = used();
    let edits: usize = done.iter().sum();
    let snapshot = up.document.snapshot().await.unwrap();
    assert_eq!(snapshot.seq, edits as u64, "each edit is one update");
    let text = snapshot.to_markdown();
    for (n, edits) in done.iter().enumerate() {
        assert_eq!(text.matches(&line(n, *edits)).count(), 1, "the last edit of a{n}");
    }
    let seqs = |document: &ggml_agent_doc::Coordinator, _| -> Vec<u64> {
        document.history().iter().map(|update| update.seq).collect()
    };
    let seqs = up.document.look(seqs).await.unwrap();
    assert_eq!(seqs, (1..=edits as u64).collect::<Vec<_>>(), "no gap");
    while let Some(person) = watching.join_next().await {
        let person = person.unwrap();
        for view in &snapshot.sections {
            assert!(view.text == *person.text(&view.id.to_string()), "everybody has the text");
        }
    }
    println!(
        "{edits} edits, none lost; {:.2} cores, of which the clients are a part; {memory_after} MiB",
        (cpu_after - cpu) / size.in_all.as_secs_f64(),
    );
}
