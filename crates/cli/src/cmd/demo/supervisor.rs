//! `ggml-agent demo supervisor`: a worker fails and comes back; nobody else notices.

use std::time::Duration;

use anyhow::Context as _;
use ggml_agent::core::supervise::Decision;
use ggml_agent::{
    Addr, Agent, ChildSpec, Context, EventKind, Reply, Report, Supervisor, SupervisorRef, System,
};

use super::narrate::Narrator;
use super::{Checks, head};
use crate::failure::Failure;
use crate::output::Screen;

struct Worker;

enum Msg {
    /// A task, with its answer: the square, and the incarnation that found it.
    Square(u64, Reply<(u64, u64)>),
    /// A task that makes it panic.
    Poison,
    /// A task that never ends; says that it has begun.
    Hang(Reply<()>),
}

impl Agent for Worker {
    type Msg = Msg;
    type Error = Report;

    async fn handle(&mut self, msg: Msg, ctx: &mut Context<Self>) -> Result<(), Report> {
        match msg {
            Msg::Square(n, reply) => reply.send((n * n, ctx.incarnation())),
            #[expect(clippy::panic, reason = "the demo shows what a panic does")]
            Msg::Poison => panic!("this task is poison"),
            Msg::Hang(begun) => {
                begun.send(());
                ctx.protect(std::future::pending::<()>()).await;
            }
        }
        Ok(())
    }
}

const WORKERS: [&str; 3] = ["worker-1", "worker-2", "worker-3"];

/// What the demo found out.
struct Found {
    /// The answer to the task that was queued behind the poison, and who gave it.
    queued: (u64, u64),
    /// The answer after the kill.
    after_kill: (u64, u64),
    incarnations: [u64; 3],
    n_running: usize,
    n_restarts: u64,
    worker: Addr<Worker>,
}

pub(super) async fn run(system: &System, screen: &mut Screen) -> Result<(), Failure> {
    screen.line(&head(
        "supervisor",
        0,
        "demo supervisor: a worker fails; its siblings do not notice",
    ));
    let mut narrator = Narrator { events: system.events(), screen };
    let team = Supervisor::new("team").one_for_one().intensity(3, Duration::from_secs(60));
    let team = team.children(WORKERS.map(|id| ChildSpec::new(id, || Worker)));
    let team = system.supervise(team).await.context("the team did not start")?;
    let now = || system.clock().now();
    narrator.say(now(), "demo", "team: one-for-one, at most 3 restarts in 60 s; 3 workers started");
    let found = fail_twice(system, &team, &mut narrator).await?;
    let statement = "2 failures, 2 restarts, the siblings kept their first incarnation, and the queued \
                     task was done by the second one of worker-2";
    let mut checks = Checks::default();
    checks.hold(
        found.queued == (49, 2),
        "the queued task survives",
        &format!("{:?}", found.queued),
    );
    let after = found.after_kill;
    checks.hold(after == (81, 3), "the killed worker is back", &format!("{after:?}"));
    let lives = found.incarnations;
    checks.hold(lives == [1, 3, 1], "siblings keep their incarnation", &format!("{lives:?}"));
    checks.hold(found.n_running == 3, "3 workers run", &found.n_running.to_string());
    checks.hold(found.n_restarts == 2, "2 restarts are counted", &found.n_restarts.to_string());
    team.stop().await;
    // Exact once it has ended: before, a message could be on its way from one column to another.
    let ledger = found.worker.ledger();
    checks.hold(ledger.is_balanced(), "every message is accounted for", &format!("{ledger:?}"));
    checks.conclude(now(), statement, narrator.screen)
}

async fn fail_twice(
    system: &System,
    team: &SupervisorRef,
    narrator: &mut Narrator<'_>,
) -> Result<Found, Failure> {
    let now = || system.clock().now();
    let worker = |id| system.lookup::<Worker>(id).context("a worker is missing");
    let two = worker("worker-2")?;
    narrator.say(
        now(),
        "demo",
        "worker-2 gets a task that makes it panic, and a task behind it: 7 x 7",
    );
    two.tell(Msg::Poison).context("worker-2 has ended")?;
    let (queued, restarted) = tokio::join!(
        async { two.ask(|reply| Msg::Square(7, reply)).await.context("the queued task was lost") },
        narrator.until("the restart of worker-2", |kind| started(kind, 2)),
    );
    let (queued, ()) = (queued?, restarted?);
    let text = format!("{} (answered by incarnation {})", queued.0, queued.1);
    narrator.say(now(), "worker-2", &format!("the queued task survived the crash: 7 x 7 = {text}"));

    narrator.say(now(), "demo", "worker-2 is killed in the middle of a task");
    two.ask(Msg::Hang).await.context("worker-2 did not begin")?;
    two.kill();
    narrator.until("the second restart", |kind| started(kind, 3)).await?;
    let after_kill = square(&two, 9).await?;
    let text = format!("{} (answered by incarnation {})", after_kill.0, after_kill.1);
    narrator.say(now(), "worker-2", &format!("is back: 9 x 9 = {text}"));

    let mut incarnations = [0; 3];
    for (incarnation, id) in incarnations.iter_mut().zip(WORKERS) {
        let worker = worker(id)?;
        square(&worker, 2).await?;
        *incarnation = worker.incarnation();
        narrator.say(now(), id, &format!("answers; incarnation {incarnation}"));
    }
    let counts = team.counts().await.context("the team has ended")?;
    let children = team.children().await.context("the team has ended")?;
    let n_restarts = children.iter().map(|child| child.restarts).sum();
    let text =
        format!("{} workers, {} running, {n_restarts} restarts", counts.workers, counts.running);
    narrator.say(now(), "team", &text);
    Ok(Found {
        queued,
        after_kill,
        incarnations,
        n_running: counts.running,
        n_restarts,
        worker: two,
    })
}

async fn square(worker: &Addr<Worker>, n: u64) -> Result<(u64, u64), Failure> {
    Ok(worker.ask(|reply| Msg::Square(n, reply)).await.context("a worker does not answer")?)
}

/// Whether worker-2 has come up as this incarnation.
fn started(kind: &EventKind, wanted: u64) -> Option<()> {
    match kind {
        EventKind::Supervision { decision: Decision::Started { id, incarnation }, .. } => {
            (id.as_str() == "worker-2" && *incarnation == wanted).then_some(())
        }
        _ => None,
    }
}
