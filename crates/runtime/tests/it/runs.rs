//! Runs: work in steps that goes on where it stopped.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ggml_agent::core::store::{
    Answer, Found, Level, MemoryStore, Read, Store, StoreRef, Write, Written,
};
use ggml_agent::{
    ChildSpec, DurableSendError, Flow, IdempotencyKey, Options, Report, RunContext, RunMail,
    RunStatus, Runs, Supervisor, System, TokioClock,
};
use ggml_agent_store::{Medium, Sqlite};
use tokio::sync::Notify;

use crate::support::until;

/// What is outside of the process, and outlives it.
#[derive(Clone, Default)]
struct World {
    /// Calls of the model by step: each costs money.
    paid: Arc<Mutex<BTreeMap<u32, u32>>>,
    /// What the tool did, by key: it knows a key that it has seen.
    effects: Arc<Mutex<BTreeMap<String, u32>>>,
    clock: Arc<TokioClock>,
}

/// Writes a document of 30 paragraphs: most by a model, some by a tool, one after a wait, one after an
/// approval.
struct Author(World);

const N_STEPS: u32 = 30;

impl Flow for Author {
    type Input = String;
    type Output = String;

    async fn run(&self, title: String, ctx: &mut RunContext<'_, Self>) -> Result<String, Report> {
        let mut document = title;
        for n in 0..N_STEPS {
            let paragraph = match n {
                10 => {
                    ctx.sleep("ink dries", Duration::from_secs(60)).await?;
                    "dry".to_owned()
                }
                20 => ctx.wait_for::<String>("approval").await?,
                n if n % 5 == 4 => {
                    let world = self.0.clone();
                    ctx.step("tool", async |key: IdempotencyKey| world.act(&key, n)).await?
                }
                n => {
                    let world = self.0.clone();
                    ctx.step("model", async |_| world.complete(n)).await?
                }
            };
            document = format!("{document}\n{n} {paragraph}");
        }
        Ok(document)
    }
}

impl World {
    fn complete(&self, n: u32) -> Result<String, Report> {
        *self.paid.lock().unwrap().entry(n).or_default() += 1;
        Ok(format!("thought {n}"))
    }

    fn act(&self, key: &IdempotencyKey, n: u32) -> Result<String, Report> {
        let mut effects = self.effects.lock().unwrap();
        effects.entry(key.to_string()).or_insert(n);
        Ok(format!("effect {n}"))
    }
}

/// A store whose process is dead from some write on: nothing is answered any more.
struct Mortal {
    inner: StoreRef,
    /// Writes until then.
    left: AtomicI64,
    /// The last write happens, and nobody hears of it.
    dies_after: bool,
    died: Arc<Notify>,
}

impl Store for Mortal {
    fn level(&self) -> Level {
        self.inner.level()
    }

    fn write(&self, write: Write) -> Answer<Written> {
        match self.left.fetch_sub(1, Ordering::SeqCst) {
            1.. => self.inner.write(write),
            left => {
                if left == 0 && self.dies_after {
                    drop(self.inner.write(write));
                }
                self.died.notify_one();
                Box::pin(pending())
            }
        }
    }

    fn read(&self, read: Read) -> Answer<Found> {
        match self.left.load(Ordering::SeqCst) {
            0.. => self.inner.read(read),
            _ => Box::pin(pending()),
        }
    }
}

/// Lets the run go on in a process that lives for `n_writes`; true if it completed.
async fn process(store: &StoreRef, world: &World, n_writes: i64, dies_after: bool) -> bool {
    let died = Arc::new(Notify::new());
    let left = AtomicI64::new(n_writes);
    let mortal = Mortal { inner: store.clone(), left, dies_after, died: died.clone() };
    let clock = Some(world.clock.clone() as Arc<_>);
    let system =
        System::with(Options { store: Some(StoreRef::new(mortal)), clock, ..Options::default() });
    let world = world.clone();
    let author = move || Author(world.clone());
    let spec = ChildSpec::run("author", author, "On Ink".to_owned());
    let work = async {
        let tree = Supervisor::new("tree").child(spec);
        let tree = system.supervise(tree).await.unwrap();
        loop {
            let runs = Runs::of(system.store().unwrap());
            let record = runs.show("author").await.unwrap().unwrap();
            let is_asked = record.status == RunStatus::Waiting { signal: "approval".into() };
            let queued = store.agents(None, 9).await.unwrap()[0].queued;
            if is_asked && queued == 0 {
                system.signal("author", "approval", "granted").await.unwrap();
            }
            if record.status.is_over() {
                tree.stop().await;
                break;
            }
            tokio::time::advance(Duration::from_millis(500)).await;
        }
    };
    tokio::select! {
        biased;
        () = died.notified() => false,
        () = work => true,
    }
}

#[tokio::test(start_paused = true)]
async fn q11_a_run_that_is_killed_anywhere_ends_as_one_that_never_was() {
    let (mut n_writes, mut expected) = (1, None);
    // First without a death, which says what is expected and how many writes there are.
    for dies_after in [true, false] {
        loop {
            let (store, world) = (StoreRef::new(MemoryStore::new()), World::default());
            let first = if expected.is_none() { i64::MAX } else { n_writes };
            let was_killed = !process(&store, &world, first, dies_after).await;
            if was_killed {
                assert!(process(&store, &world, i64::MAX, dies_after).await, "at {n_writes}");
            }
            let record = Runs::of(&store).show("author").await.unwrap().unwrap();
            let document = record.output::<String>().unwrap().unwrap();
            assert_eq!(*expected.get_or_insert(document.clone()), document, "at {n_writes}");
            assert!(document.contains("20 granted"));
            let paid = world.paid.lock().unwrap().clone();
            let n_paid: u32 = paid.values().sum();
            let n_models = 22;
            assert_eq!(paid.len(), n_models, "at {n_writes}");
            // One in flight may be paid for again, and the record says so.
            assert!(n_paid - 22 <= record.n_repeated(), "at {n_writes}: {n_paid}");
            assert!(record.n_repeated() <= 1, "at {n_writes}");
            assert_eq!(world.effects.lock().unwrap().len(), 6, "at {n_writes}");
            if first < i64::MAX {
                if !was_killed {
                    break;
                }
                n_writes += 1;
            }
        }
        assert!(n_writes > 60, "{n_writes}");
        n_writes = 1;
    }
}

/// Every so many writes, since each process waits for the disk; above, it is every one in memory.
const KILLS_APART: usize = 9;

#[tokio::test(start_paused = true)]
async fn q11_a_run_that_is_killed_goes_on_from_its_file() {
    let (mut kills, mut expected) = (0, None);
    for (n_writes, dies_after) in (1..).step_by(KILLS_APART).zip([true, false].into_iter().cycle())
    {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            let options = ggml_agent_store::Options { medium: Medium::Any, ..Default::default() };
            Sqlite::open(folder.path(), options).unwrap()
        };
        let world = World::default();
        let mut was_killed = false;
        // The first process knows what is expected.
        let lives = if expected.is_none() { vec![i64::MAX] } else { vec![n_writes, i64::MAX] };
        for life in lives {
            let sqlite = open();
            let completed = process(&StoreRef::new(sqlite.clone()), &world, life, dies_after).await;
            // What the process still has in hand gets no answer from a file that is closed.
            sqlite.close().await.unwrap();
            if completed {
                break;
            }
            was_killed = true;
        }
        let sqlite = open();
        let checked = sqlite.check().await.unwrap();
        assert!(checked.is_whole(), "at {n_writes}: {checked:?}");
        let record = Runs::of(&StoreRef::new(sqlite)).show("author").await.unwrap().unwrap();
        let document = record.output::<String>().unwrap().unwrap();
        let is_first = expected.is_none();
        assert_eq!(*expected.get_or_insert(document.clone()), document, "at {n_writes}");
        let n_paid: u32 = world.paid.lock().unwrap().values().sum();
        assert!(n_paid - 22 <= record.n_repeated(), "at {n_writes}: {n_paid}");
        assert!(record.n_repeated() <= 1, "at {n_writes}");
        assert_eq!(world.effects.lock().unwrap().len(), 6, "at {n_writes}");
        if !was_killed && !is_first {
            break;
        }
        kills += u32::from(was_killed);
    }
    assert!(kills >= 6, "{kills}");
}

/// Fails at its second step until it may go on; then waits for ever in its third.
struct Stubborn(Arc<Mutex<Vec<String>>>);

impl Flow for Stubborn {
    type Input = ();
    type Output = ();

    async fn run(&self, (): (), ctx: &mut RunContext<'_, Self>) -> Result<(), Report> {
        let log = self.0.clone();
        let first = log.clone();
        ctx.step("first", async |_| {
            first.lock().unwrap().push("first".into());
            Ok::<_, Report>(())
        })
        .await?;
        let n_failures = log.lock().unwrap().iter().filter(|line| *line == "second").count();
        log.lock().unwrap().push("second".into());
        ctx.step("second", async |_| match n_failures {
            0..3 => Err(Report::msg("not yet")),
            _ => Ok(()),
        })
        .await?;
        ctx.step("third", async |_| {
            log.lock().unwrap().push("third".into());
            pending::<Result<(), Report>>().await
        })
        .await
        .map_err(Report::from)
    }
}

#[tokio::test(start_paused = true)]
async fn q12_a_step_that_fails_is_tried_again_and_a_cancelled_run_ends_in_the_middle_of_one() {
    let store = StoreRef::new(MemoryStore::new());
    let system = System::with(Options { store: Some(store.clone()), ..Options::default() });
    let log = Arc::new(Mutex::new(Vec::new()));
    let flow = {
        let log = log.clone();
        move || Stubborn(log.clone())
    };
    let tree = Supervisor::new("tree").child(ChildSpec::run("stubborn", flow, ()));
    let tree = system.supervise(tree).await.unwrap();
    until("the third step is in hand", || log.lock().unwrap().iter().any(|line| line == "third"))
        .await;
    let runs = Runs::of(&store);
    let record = runs.show("stubborn").await.unwrap().unwrap();
    let attempts: Vec<_> =
        record.steps.iter().map(|step| (step.key.as_str(), step.attempts)).collect();
    assert_eq!(attempts, [("first", 1), ("second", 4), ("third", 1)]);
    assert_eq!(record.status, RunStatus::Running);

    let run = system.lookup_any("run/stubborn").unwrap();
    system.cancel_run("stubborn").await.unwrap();
    until("it has ended", || !run.is_alive()).await;
    assert_eq!(log.lock().unwrap().iter().filter(|line| *line == "third").count(), 1);
    let record = runs.show("stubborn").await.unwrap().unwrap();
    assert_eq!(record.status, RunStatus::Cancelled);
    tree.stop().await;
    // It is over: whoever begins it again does nothing.
    let again = { move || Stubborn(log.clone()) };
    let run = system.start(ChildSpec::run("stubborn", again, ())).await.unwrap();
    run.untyped().ended().await;
    assert_eq!(runs.show("stubborn").await.unwrap().unwrap(), record);
    let names: Vec<_> = runs.list().await.unwrap().into_iter().map(|run| run.name).collect();
    assert_eq!(names, ["stubborn"]);
    assert_eq!(
        (runs.remove("stubborn").await, runs.remove("stubborn").await),
        (Ok(true), Ok(false))
    );
}

/// Notes what it does, and asks a person before the second step, and after it.
struct Careful {
    log: Arc<Mutex<Vec<String>>>,
    /// Its second step takes for ever.
    is_slow: bool,
}

impl Flow for Careful {
    type Input = ();
    type Output = String;

    async fn run(&self, (): (), ctx: &mut RunContext<'_, Self>) -> Result<String, Report> {
        let note = |name: &str| self.log.lock().unwrap().push(name.to_owned());
        ctx.step("first", async |_| {
            note("first");
            Ok::<_, Report>(())
        })
        .await?;
        ctx.wait_for::<()>("go").await?;
        ctx.step("second", async |_| {
            note("second");
            // Else it does not wait, so that nothing interrupts it.
            if self.is_slow { pending().await } else { Ok::<_, Report>(()) }
        })
        .await?;
        Ok(ctx.wait_for("approval").await?)
    }
}

/// Lets the run go on until it waits or is over, or is in its slow step; then its process ends.
async fn go_on(store: &StoreRef, log: &Arc<Mutex<Vec<String>>>, is_slow: bool) -> RunStatus {
    let system = System::with(Options { store: Some(store.clone()), ..Options::default() });
    let flow = {
        let log = log.clone();
        move || Careful { log: log.clone(), is_slow }
    };
    let spec = ChildSpec::run("careful", flow, ());
    let tree = system.supervise(Supervisor::new("tree").child(spec)).await.unwrap();
    let runs = Runs::of(store);
    let status = loop {
        let status = runs.show("careful").await.unwrap().unwrap().status;
        let is_read = runs.untaken("careful").await.unwrap().is_empty();
        let is_in_hand = is_slow && log.lock().unwrap().iter().any(|line| line == "second");
        let rests = status.is_over() || matches!(status, RunStatus::Waiting { .. });
        if is_in_hand || is_read && rests {
            break status;
        }
        tokio::task::yield_now().await;
    };
    tree.stop().await;
    status
}

#[tokio::test(start_paused = true)]
async fn q12_what_is_sent_to_a_run_that_nobody_runs_is_taken_when_it_goes_on() {
    let (store, log) = (StoreRef::new(MemoryStore::new()), Arc::default());
    let runs = Runs::of(&store);
    assert_eq!(go_on(&store, &log, false).await, RunStatus::Waiting { signal: "go".into() });
    runs.signal("careful", "approval", "granted").await.unwrap();
    runs.signal("careful", "go", &()).await.unwrap();
    let untaken = runs.untaken("careful").await.unwrap();
    let RunMail::Signal { name, .. } = untaken[1].mail.as_ref().unwrap() else { panic!() };
    assert_eq!((untaken.len(), name.as_str()), (2, "go"));
    assert_eq!(go_on(&store, &log, false).await, RunStatus::Completed);
    let record = runs.show("careful").await.unwrap().unwrap();
    assert_eq!(record.output::<String>().unwrap(), Some("granted".to_owned()));
    // Too late: what is completed stays it.
    runs.cancel("careful").await.unwrap();
    let system = System::with(Options { store: Some(store.clone()), ..Options::default() });
    let again = ChildSpec::run("careful", move || Careful { log: log.clone(), is_slow: false }, ());
    system.start(again).await.unwrap().untyped().ended().await;
    assert_eq!(runs.show("careful").await.unwrap().unwrap(), record);
}

#[tokio::test(start_paused = true)]
async fn q12_a_run_that_was_cancelled_while_nobody_ran_it_begins_no_step() {
    let (store, log) = (StoreRef::new(MemoryStore::new()), Arc::default());
    let runs = Runs::of(&store);
    assert_eq!(go_on(&store, &log, false).await, RunStatus::Waiting { signal: "go".into() });
    runs.signal("careful", "go", &()).await.unwrap();
    assert_eq!(go_on(&store, &log, true).await, RunStatus::Running);
    runs.cancel("careful").await.unwrap();
    assert_eq!(go_on(&store, &log, false).await, RunStatus::Cancelled);
    assert_eq!(*log.lock().unwrap(), ["first", "second"]);
    let record = runs.show("careful").await.unwrap().unwrap();
    assert_eq!(record.n_repeated(), 0);
}

#[tokio::test]
async fn a_run_that_is_not_there_cannot_be_sent_to() {
    let runs = Runs::of(&StoreRef::new(MemoryStore::new()));
    assert!(matches!(runs.cancel("nobody").await, Err(DurableSendError::Refused { .. })));
    assert!(matches!(runs.signal("a\nb", "x", &()).await, Err(DurableSendError::Id(_))));
    assert_eq!(runs.untaken("nobody").await, Ok(vec![]));
}

/// Waits for a signal that nobody sends.
struct Patient;

impl Flow for Patient {
    type Input = ();
    type Output = ();

    async fn run(&self, (): (), ctx: &mut RunContext<'_, Self>) -> Result<(), Report> {
        ctx.sleep("a moment", Duration::from_secs(1)).await?;
        Ok(ctx.wait_for("never").await?)
    }
}

#[tokio::test(start_paused = true)]
async fn q12_a_run_that_waits_ends_at_once_when_it_is_asked_to() {
    let store = StoreRef::new(MemoryStore::new());
    let begin = || System::with(Options { store: Some(store.clone()), ..Options::default() });
    for wanted in [Duration::ZERO, Duration::from_secs(2)] {
        let system = begin();
        let tree = Supervisor::new("tree").child(ChildSpec::run("patient", || Patient, ()));
        let tree = system.supervise(tree).await.unwrap();
        tokio::time::advance(wanted).await;
        let runs = Runs::of(&store);
        let is_waiting = async || {
            let status = runs.show("patient").await.unwrap().unwrap().status;
            matches!(status, RunStatus::Sleeping { .. } | RunStatus::Waiting { .. })
        };
        while !is_waiting().await {
            tokio::task::yield_now().await;
        }
        let before = tokio::time::Instant::now();
        tree.stop().await;
        assert_eq!(before.elapsed(), Duration::ZERO, "it was killed after its grace");
        let record = runs.show("patient").await.unwrap().unwrap();
        assert!(!record.status.is_over() && record.status.as_str() != "failed", "{record:?}");
    }
}
