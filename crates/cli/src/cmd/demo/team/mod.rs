//! `ggml-agent demo`: one editor and some writers give a document abstracts and a table of contents,
//! while writers are killed. Nothing may be lost.

mod chaos;
mod editor;
pub(crate) mod event;
mod job;
mod kept;
mod ledger;
mod model;
mod writer;

use std::time::Duration;

use ggml_agent::core::supervise::AutoShutdown;
use ggml_agent::{
    Agent, AgentId, ChildSpec, Context, Event, MailboxOptions, Options, Report, Supervisor,
    SupervisorRef, System, WatchError,
};
use ggml_agent_doc::{DocumentAgent, DocumentRef};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::chaos::Chaos;
use self::editor::Editor;
use self::event::TeamEvent;
use self::job::Job;
use self::ledger::Ledger;
use self::writer::Writer;
use super::narrate::{line, missed, team_event};
use super::within_system;
use crate::args::DemoArgs;
use crate::failure::{Code, Failure};
use crate::output::Screen;
use crate::signal::Stop;

/// Runs the demo from the arguments to the written file.
pub(super) async fn run(args: &DemoArgs, screen: &mut Screen, stop: Stop) -> Result<(), Failure> {
    let job = Job::prepare(args)?;
    job.introduce(screen);
    let work = work_on(&job, screen, stop).await?;
    job.conclude(&work, screen)
}

/// What the team has done.
pub(super) struct Work {
    /// The document as its coordinator has it at the end.
    text: String,
    /// Every edit that the coordinator told of.
    told: editor::Told,
    /// What the event stream adds up to.
    ledger: Ledger,
    /// When it was over.
    at: Duration,
}

/// Lets the team work, and ends it in order whatever happens.
async fn work_on(job: &Job, screen: &mut Screen, stop: Stop) -> Result<Work, Failure> {
    let store = job.state.as_deref().map(kept::open).transpose()?;
    let options = Options { seed: Some(job.seed), store, ..Options::default() };
    within_system(options, stop, async |system| {
        let work = work(system, job, screen);
        tokio::time::timeout(job.duration, work).await.unwrap_or_else(|_| {
            let text = format!("the work took longer than {}", crate::period::say(job.duration));
            Err(Failure::msg(Code::Timeout, text)
                .next("nothing was written: give it more time with --duration"))
        })
    })
    .await
}

async fn work(system: &System, job: &Job, screen: &mut Screen) -> Result<Work, Failure> {
    let mut watch = Watch::new(system);
    let mut ledger = Ledger::new(job.n_sections);
    let refused = |error| Failure::new(Code::Failure, error);
    if let Some(folder) = &job.state {
        kept::begin(system, job, folder).await?;
    }
    let team = system.supervise(tree(job).map_err(refused)?).await;
    let team = team.map_err(|error| Failure::new(Code::Failure, error))?;
    watch.until_finished(&team, &mut ledger, screen).await?;

    let lost = |error| Failure::new(Code::Failure, error);
    let document = system.lookup::<DocumentAgent>("document").map(DocumentRef::new);
    let document = document.ok_or_else(|| Failure::msg(Code::Failure, "the document has ended"))?;
    let snapshot = document.snapshot().await.map_err(lost)?;
    let text = snapshot.to_markdown();
    if job.state.is_some() {
        // Some were done by processes before this one.
        ledger.n_done = kept::n_done(&snapshot, &job.document);
    }
    let editor = system.lookup::<Editor>("editor");
    let editor = editor.ok_or_else(|| Failure::msg(Code::Failure, "the editor has ended"))?;
    let told = editor.ask(editor::Msg::Told).await.map_err(lost)?;

    kept::finish(system).await?;
    team.stop().await;
    system.publish(TeamEvent::Stopped);
    let at = watch.until_stopped(&mut ledger, screen).await?;
    Ok(Work { text, told, ledger, at })
}

/// The tree: a document that is not kept cannot be restarted (its text would be the old one), so its end is
/// the end.
fn tree(job: &Job) -> Result<Supervisor, ggml_agent::core::ParseAgentIdError> {
    let document = job.document.clone();
    let (model, batch_len) = (job.model(), job.sections_per_writer);
    let ids: Vec<AgentId> = (1..=job.n_writers)
        .map(|n| AgentId::new(format!("writer-{n}")))
        .collect::<Result<_, _>>()?;
    let writers = Supervisor::new("writers")
        .one_for_one()
        .intensity(job.restarts_max(), job::WINDOW)
        .children(ids.iter().map(|id| {
            let model = model.clone();
            ChildSpec::new(id, move || Writer { model: model.clone() })
        }));
    let (seed, first, every) = (job.seed, job.first_kill_after(), job.kill_every);
    Ok(Supervisor::new("demo")
        .one_for_one()
        .auto_shutdown(AutoShutdown::AnySignificant)
        .child(if job.state.is_some() {
            DocumentAgent::durable("document", document)
        } else {
            ChildSpec::new("document", move || DocumentAgent::new(&document))
                .temporary()
                .significant()
        })
        .child(
            ChildSpec::new("editor", move || Editor::new(model.clone(), batch_len))
                // It must hear of every edit: the ledger is checked against them.
                .mailbox(MailboxOptions::UNBOUNDED),
        )
        // Before the writers, who tell it what they hold.
        .child(ChildSpec::new("chaos", move || Chaos::new(seed, ids.clone(), first, every)))
        .child(writers))
}

/// The document, as its users find it.
fn document<A: Agent>(ctx: &Context<A>) -> Result<DocumentRef, Report> {
    let found = ctx.system().lookup::<DocumentAgent>("document");
    found.map(DocumentRef::new).ok_or_else(|| Report::msg("there is no document"))
}

/// The event stream without a gap: a job takes it from the ring, however slow the terminal is.
struct Watch {
    events: mpsc::UnboundedReceiver<Result<Event, WatchError>>,
    _job: JoinSet<()>,
}

impl Watch {
    fn new(system: &System) -> Self {
        let mut stream = system.events();
        let (sender, events) = mpsc::unbounded_channel();
        let mut job = JoinSet::new();
        job.spawn(async move {
            loop {
                let event = stream.next().await;
                let is_over = matches!(event, Err(WatchError::Ended));
                if sender.send(event).is_err() || is_over {
                    break;
                }
            }
        });
        Self { events, _job: job }
    }

    /// Takes the next event into account and prints it.
    async fn next(&mut self, ledger: &mut Ledger, screen: &mut Screen) -> Result<Event, Failure> {
        let event = self.events.recv().await.unwrap_or(Err(WatchError::Ended)).map_err(missed)?;
        ledger.note(&event.kind);
        if let Some(line) = line(&event) {
            screen.line(&line);
        }
        Ok(event)
    }

    async fn until_finished(
        &mut self,
        team: &SupervisorRef,
        ledger: &mut Ledger,
        screen: &mut Screen,
    ) -> Result<(), Failure> {
        let mut ended = std::pin::pin!(team.ended());
        loop {
            let event = tokio::select! {
                biased;
                event = self.next(ledger, screen) => event?,
                reason = &mut ended => {
                    let text = format!("the team gave up: {reason}");
                    return Err(Failure::msg(Code::Failure, text)
                        .next("nothing was written: see why with -v"));
                }
            };
            match team_event(&event.kind) {
                Some(TeamEvent::Finished) => return Ok(()),
                Some(stuck @ TeamEvent::Stuck { .. }) => {
                    return Err(Failure::msg(Code::Failure, stuck.to_string())
                        .next("nothing was written; please report the document's section"));
                }
                _ => {}
            }
        }
    }

    async fn until_stopped(
        &mut self,
        ledger: &mut Ledger,
        screen: &mut Screen,
    ) -> Result<Duration, Failure> {
        loop {
            let event = self.next(ledger, screen).await?;
            if let Some(TeamEvent::Stopped) = team_event(&event.kind) {
                return Ok(event.at);
            }
        }
    }
}
