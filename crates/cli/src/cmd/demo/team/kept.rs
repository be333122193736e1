//! The demo that goes on where it was killed: its document and its run are in a store.

use std::path::Path;

use anyhow::Context;
use ggml_agent::core::store::StoreRef;
use ggml_agent::{ChildSpec, Flow, Report, RunContext, RunStatus, Runs, System};
use ggml_agent_doc::Document;
use ggml_agent_store::Sqlite;
use serde::{Deserialize, Serialize};

use super::job::Job;
use crate::failure::{Code, Failure};
use crate::state;

/// Name of the demo's run.
const RUN: &str = "demo";

/// The signal that ends it.
const FINISHED: &str = "finished";

/// What the demo in a folder was begun with: another one must not go on there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Task {
    /// The document, by its text.
    document: String,
    /// All that decides what the model says.
    seed: u64,
}

/// A run that lasts until the document is complete, over as many processes as that takes.
struct Demo;

impl Flow for Demo {
    type Input = Task;
    type Output = ();

    async fn run(&self, _: Task, ctx: &mut RunContext<'_, Self>) -> Result<(), Report> {
        Ok(ctx.wait_for(FINISHED).await?)
    }
}

/// Opens the store of the demo, which is made if it is not there.
pub(super) fn open(folder: &Path) -> Result<StoreRef, Failure> {
    // On a file system in memory it survives a kill, which is what the demo shows.
    let opened = Sqlite::open(folder, state::options());
    opened.map(StoreRef::new).map_err(|error| state::refused(&error))
}

/// Begins the run of the demo, or goes on with it.
pub(super) async fn begin(system: &System, job: &Job, folder: &Path) -> Result<(), Failure> {
    let Some(store) = system.store() else { return Ok(()) };
    let task = Task { document: job.document.to_markdown(), seed: job.seed };
    let found = Runs::of(store).show(RUN).await.context("the demo's run cannot be read")?;
    if let Some(record) = found {
        let begun = record.input::<Task>().context("the demo's run is of another version")?;
        if begun != task {
            let folder = folder.display();
            let text =
                format!("the state in {folder} belongs to a demo with another document or seed");
            return Err(Failure::msg(Code::Conflict, text)
                .next("go on with those, or name another folder with --state DIR"));
        }
        if record.status == RunStatus::Completed {
            return Ok(());
        }
    }
    let run = system.start(ChildSpec::run(RUN, || Demo, task).temporary()).await;
    run.context("the demo's run did not start")?;
    Ok(())
}

/// Notes that the document is complete.
pub(super) async fn finish(system: &System) -> Result<(), Failure> {
    let Some(run) = system.lookup_any(&format!("run/{RUN}")) else { return Ok(()) };
    system.signal(RUN, FINISHED, &()).await.context("the end cannot be kept")?;
    run.ended().await;
    Ok(())
}

/// How many sections with a heading somebody has edited.
pub(super) fn n_done(
    snapshot: &ggml_agent_doc::coordinator::Snapshot,
    original: &Document,
) -> usize {
    let is_headed = |id| original.section(id).is_some_and(|section| section.heading().is_some());
    snapshot.sections.iter().filter(|section| section.version > 0 && is_headed(section.id)).count()
}
