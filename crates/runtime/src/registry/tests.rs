use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use ggml_agent_core::registry::AgentState;

use super::*;
use crate::{Agent, ChildSpec, Context, Report, System};

struct Idle;

impl Agent for Idle {
    type Msg = ();
    type Error = Report;
    async fn handle(&mut self, (): (), _: &mut Context<Self>) -> Result<(), Report> {
        Ok(())
    }
}

/// A cell that never runs.
fn cell(system: &System, id: &str) -> Handle {
    let id: AgentId = id.parse().unwrap();
    ChildSpec::new(id.as_str(), || Idle).build(id, system, None, 0).untyped().clone()
}

fn tag(name: &str) -> Tag {
    Tag::group(name).unwrap()
}

fn ids(cells: &[Handle]) -> Vec<&str> {
    cells.iter().map(|cell| cell.id().as_str()).collect()
}

/// splitmix64.
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % n as u64).unwrap()
    }
}

#[expect(clippy::disallowed_methods, reason = "the seed of a test")]
fn first_seed() -> u64 {
    let given = std::env::var("GGML_AGENT_SEED").ok();
    given.map_or(1, |text| text.parse().expect("GGML_AGENT_SEED is a number"))
}

/// What can be known of the registry from its changes.
#[derive(Debug, Clone, Default, PartialEq)]
struct Books {
    agents: BTreeMap<AgentId, (AgentState, BTreeSet<Tag>)>,
}

impl Books {
    /// Notes a change; it must be one.
    fn note(&mut self, change: &Change) {
        let missing = |id: &AgentId| -> ! { panic!("{change:?}: {id} is not there") };
        match change {
            Change::Registered { id } => {
                let fresh = (AgentState::Live, BTreeSet::new());
                assert!(self.agents.insert(id.clone(), fresh).is_none(), "{change:?}");
            }
            Change::Ended { id } => {
                let Some((_, tags)) = self.agents.remove(id) else { missing(id) };
                assert!(tags.is_empty(), "{change:?}, and it still has {tags:?}");
            }
            Change::Restarting { id } | Change::Restarted { id } => {
                let Some((state, tags)) = self.agents.get_mut(id) else { missing(id) };
                let (from, to) = match change {
                    Change::Restarted { .. } => (AgentState::Restarting, AgentState::Live),
                    _ => (AgentState::Live, AgentState::Restarting),
                };
                assert_eq!(std::mem::replace(state, to), from, "{change:?}");
                assert!(to == AgentState::Live || tags.is_empty(), "M13: {change:?}, {tags:?}");
            }
            Change::Joined { id, tag } => {
                let Some((_, tags)) = self.agents.get_mut(id) else { missing(id) };
                assert!(tags.insert(tag.clone()), "{change:?}");
            }
            Change::Left { id, tag } => {
                let Some((_, tags)) = self.agents.get_mut(id) else { missing(id) };
                assert!(tags.remove(tag), "{change:?}");
            }
            _ => unreachable!("a new kind of change"),
        }
    }

    fn members(&self, tag: &Tag) -> Vec<&str> {
        let members = self.agents.iter().filter(|(_, (_, tags))| tags.contains(tag));
        members.map(|(id, _)| id.as_str()).collect()
    }

    /// The registry says the same.
    fn agree_with(&self, names: &Names, tags: &[Tag]) {
        let listed = names.list();
        assert_eq!(ids(&listed), self.agents.keys().map(AgentId::as_str).collect::<Vec<_>>());
        assert_eq!(
            names.shards.iter().map(|shard| shard.read().len()).sum::<usize>(),
            listed.len()
        );
        for tag in tags {
            assert_eq!(ids(&names.members(tag)), self.members(tag));
        }
        for (id, (state, _)) in &self.agents {
            let key = Key::from(id);
            assert_eq!(names.shard(key).read().lookup(key).map(|entry| entry.state), Some(*state));
        }
    }
}

fn drain(watcher: &mut RegistryChanges) -> Vec<Change> {
    std::iter::from_fn(|| watcher.watcher.try_next().expect("nobody is slow here")).collect()
}

/// One random call on both.
fn step(
    rng: &mut Rng,
    names: &Names,
    cells: &[Handle],
    owns: &mut BTreeMap<AgentId, usize>,
    books: &mut Books,
) {
    let n = rng.below(cells.len());
    let (cell, tag) = (&cells[n], &tag(["x", "y"][rng.below(2)]));
    let id = cell.id();
    let is_its_own = owns.get(id) == Some(&n);
    let agent = books.agents.get_mut(id).filter(|_| is_its_own);
    match (rng.below(8), agent) {
        (0 | 1, Some((state, _))) => {
            assert_eq!(names.begin(cell), Ok(()));
            *state = AgentState::Live;
        }
        (0 | 1, None) => {
            let is_free = !books.agents.contains_key(id);
            assert_eq!(names.begin(cell).is_ok(), is_free);
            if is_free {
                owns.insert(id.clone(), n);
                books.agents.insert(id.clone(), (AgentState::Live, BTreeSet::new()));
            }
        }
        (2, agent) => {
            names.pause(cell);
            if let Some(agent) = agent {
                *agent = (AgentState::Restarting, BTreeSet::new());
            }
        }
        (3, agent) => {
            names.end(cell);
            if agent.is_some() {
                books.agents.remove(id);
            }
        }
        (4 | 5, agent) => {
            assert_eq!(names.join(cell, tag).is_ok(), agent.is_some());
            agent.map(|(_, tags)| tags.insert(tag.clone()));
        }
        (6, agent) => {
            names.leave(cell, tag);
            agent.map(|(_, tags)| tags.remove(tag));
        }
        (_, _) => {
            let picked = names.pick(tag);
            let members = books.members(tag);
            assert_eq!(picked.is_none(), members.is_empty());
            assert!(picked.is_none_or(|picked| members.contains(&picked.id().as_str())));
        }
    }
    let found = names.lookup(id).map(|found| found.address());
    let expected = books.agents.get(id).map(|_| cells[owns[id]].address());
    assert_eq!(found, expected);
}

#[tokio::test(start_paused = true)]
async fn g01_g05_sharded_names_and_their_watchers_agree_with_ordered_books() {
    let system = System::new();
    // Each id twice: two cells compete for it.
    let cells: Vec<_> = (0..24).map(|n| cell(&system, &format!("agent-{}", n / 2))).collect();
    let (n_runs, first_seed) = (100, first_seed());
    for seed in (0..n_runs).map(|n| first_seed.wrapping_add(n)) {
        eprintln!("repeat with: GGML_AGENT_SEED={seed} cargo test -p ggml-agent --lib g01_g05");
        let mut rng = Rng(seed);
        let (names, mut books, mut owns) = (Names::new(), Books::default(), BTreeMap::new());
        let mut watchers: Vec<(RegistryChanges, Books)> = Vec::new();
        for _ in 0..400 {
            match rng.below(20) {
                0 if watchers.len() < 4 => watchers.push((names.watch().0, books.clone())),
                1 if !watchers.is_empty() => drop(watchers.remove(0)),
                _ => step(&mut rng, &names, &cells, &mut owns, &mut books),
            }
            for (watcher, heard) in &mut watchers {
                drain(watcher).iter().for_each(|change| heard.note(change));
                assert_eq!(*heard, books);
            }
        }
        books.agree_with(&names, &[tag("x"), tag("y")]);
    }
}

/// What one of many threads does to agents of its own, and to some that all fight for.
fn work(names: &Names, own: &[Handle], shared: &[Handle], seed: u64, tags: &[Tag; 2]) {
    let mut rng = Rng(seed);
    // With 4 threads and 3 changes per call at most, fewer changes than the ring keeps.
    for _ in 0..300 {
        let is_own = rng.below(3) != 0;
        let cells = if is_own { own } else { shared };
        let cell = &cells[rng.below(cells.len())];
        let tag = &tags[rng.below(2)];
        match rng.below(9) {
            0 | 1 => drop(names.begin(cell)),
            2 => names.pause(cell),
            3 => names.end(cell),
            4 | 5 => drop(names.join(cell, tag)),
            6 => names.leave(cell, tag),
            7 => drop(names.pick(tag)),
            _ => {
                let found = names.lookup(cell.id()).map(|found| found.id() == cell.id());
                assert_ne!(found, Some(false));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn g01_m13_many_threads_change_the_registry_and_the_books_agree() {
    const THREADS: u64 = 4;
    let system = System::new();
    let names = Names::new();
    let tags = [tag("x"), tag("y")];
    let shared: Vec<_> = (0..6).map(|n| cell(&system, &format!("shared-{n}"))).collect();
    let own: Vec<Vec<_>> = (0..THREADS)
        .map(|t| (0..10).map(|n| cell(&system, &format!("own-{t}-{n}"))).collect())
        .collect();
    let mut first = names.watch().0;
    let mut heard = Books::default();
    for round in 0..15 {
        let (names, shared, tags) = (&names, &shared, &tags);
        let seeds = 1 + round * THREADS..;
        thread::scope(|scope| {
            let working: Vec<_> = own
                .iter()
                .zip(seeds)
                .map(|(own, seed)| scope.spawn(move || work(names, own, shared, seed, tags)))
                .collect();
            // Hears everything, in the one order that there is.
            while !working.iter().all(thread::ScopedJoinHandle::is_finished) {
                drain(&mut first).iter().for_each(|change| heard.note(change));
                // Lists are of one moment, in the order of ids, with each agent once.
                assert!(ids(&names.list()).is_sorted_by(|a, b| a < b));
            }
        });
        drain(&mut first).iter().for_each(|change| heard.note(change));
        heard.agree_with(names, tags);
    }
    for cell in own.iter().flatten().chain(&shared) {
        names.end(cell);
    }
    drain(&mut first).iter().for_each(|change| heard.note(change));
    heard.agree_with(&names, &tags);
    assert!(names.list().is_empty());
}

#[tokio::test(start_paused = true)]
async fn g01_who_watches_and_then_lists_misses_nothing() {
    let system = System::new();
    let names = &Names::new();
    let cells: Vec<_> = (0..40).map(|n| cell(&system, &format!("agent-{n}"))).collect();
    thread::scope(|scope| {
        let working: Vec<_> = cells
            .chunks(20)
            .map(|own| {
                scope.spawn(move || {
                    for round in 0..200 {
                        for cell in own {
                            if round % 2 == 0 {
                                assert_eq!(names.begin(cell), Ok(()));
                            } else {
                                names.end(cell);
                            }
                        }
                    }
                    // In the end all are there.
                    own.iter().for_each(|cell| assert_eq!(names.begin(cell), Ok(())));
                })
            })
            .collect();
        let mut watchers = Vec::new();
        while !working.iter().all(thread::ScopedJoinHandle::is_finished) && watchers.len() < 50 {
            let watcher = names.watch().0;
            let listed: BTreeSet<_> = names.list().iter().map(|cell| cell.id().clone()).collect();
            watchers.push((watcher, listed));
            thread::yield_now();
        }
        for job in working {
            job.join().unwrap();
        }
        for (mut watcher, mut known) in watchers {
            let mut is_whole = true;
            loop {
                match watcher.watcher.try_next() {
                    Ok(Some(Change::Registered { id })) => drop(known.insert(id)),
                    Ok(Some(Change::Ended { id })) => drop(known.remove(&id)),
                    Ok(Some(other)) => panic!("{other:?}"),
                    Ok(None) => break,
                    Err(_) => is_whole = false,
                }
            }
            assert!(!is_whole || known.len() == cells.len());
        }
    });
}

#[tokio::test(start_paused = true)]
async fn limit_of_agents_holds_over_all_shards() {
    let system = System::new();
    let names = Names::with_agents_max(10);
    let cells: Vec<_> = (0..64).map(|n| cell(&system, &format!("agent-{n}"))).collect();
    thread::scope(|scope| {
        for own in cells.chunks(32) {
            let names = &names;
            scope.spawn(move || {
                for _ in 0..100 {
                    let begun: Vec<_> =
                        own.iter().filter(|cell| names.begin(cell).is_ok()).collect();
                    assert!(names.list().len() <= 10);
                    begun.into_iter().for_each(|cell| names.end(cell));
                }
            });
        }
    });
    let n_begun = cells.iter().filter(|cell| names.begin(cell).is_ok()).count();
    assert_eq!(n_begun, 10);
    let full = cells.iter().find_map(|cell| match names.begin(cell) {
        Err(RegisterError::Full { agents_max }) => Some(agents_max),
        _ => None,
    });
    assert_eq!(full, Some(10));
}

#[tokio::test(start_paused = true)]
async fn lists_are_in_the_order_of_ids() {
    let system = System::new();
    let names = Names::new();
    let same_start = "a-name-that-is-longer-than-sixteen-bytes";
    let mut expected: Vec<String> = (0..100).map(|n| format!("{same_start}-{n}")).collect();
    expected.extend((0..100).map(|n| n.to_string()));
    expected.extend(["é", "z", "a", "ab", same_start].map(str::to_owned));
    let cells: Vec<_> = expected.iter().map(|id| cell(&system, id)).collect();
    cells.iter().for_each(|cell| assert_eq!(names.begin(cell), Ok(())));
    expected.sort();
    assert_eq!(ids(&names.list()), expected);
    let (a, b) = (cells[0].id(), cells[1].id());
    expected.retain(|id| id != a.as_str() && id != b.as_str());
    assert_eq!(ids(&names.broadcast(Some(a), Some(b))), expected);
}
