//! Work in steps that goes on where it stopped.
//!
//! Reading order: [`Flow`], `context` (steps, waits, signals), `journal` (what is on disk, and what it says),
//! `agent` (who lets a flow run), `shelf` (the runs of a store), `mail` (what is sent to them).

mod agent;
mod context;
mod journal;
mod mail;
mod retention;
mod shelf;

use std::future::Future;

use ggml_agent_core::Report;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::agent::{RunAgent, RunMsg};
pub use self::context::{RunContext, RunError};
pub use self::journal::{JournalError, RunRecord, RunStatus, SignalRecord, StepRecord};
pub use self::mail::{RunMail, Untaken};
pub use self::retention::{Expired, Retention};
pub use self::shelf::{RunSummary, Runs};

/// Work in steps, each of which is done once: its result is on disk before the next step begins.
///
/// After a crash the flow's function runs from its beginning again, and each step that was done returns what
/// it returned then. So what happens between steps must follow from their results: no clock, no randomness, no
/// effect outside of a step.
///
/// # Example
/// ```
/// use ggml_agent::core::store::{MemoryStore, StoreRef};
/// use ggml_agent::{ChildSpec, Flow, Options, Report, RunContext, Runs, System};
///
/// struct Greet;
///
/// impl Flow for Greet {
///     type Input = String;
///     type Output = String;
///
///     async fn run(&self, name: String, ctx: &mut RunContext<'_, Self>) -> Result<String, Report> {
///         // A model's answer, say: it is paid for once.
///         let greeting = ctx.step("draft", |_key| async { Ok::<_, Report>("Hello".to_owned()) }).await?;
///         Ok(format!("{greeting}, {name}!"))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = StoreRef::new(MemoryStore::new());
/// let system = System::with(Options { store: Some(store.clone()), ..Options::default() });
/// let run = system.start(ChildSpec::run("greet", || Greet, "Ada".to_owned())).await?;
/// run.untyped().ended().await;
/// let record = Runs::of(&store).show("greet").await?.expect("it ran");
/// assert_eq!(record.output::<String>()?, Some("Hello, Ada!".to_owned()));
/// # Ok(())
/// # }
/// ```
pub trait Flow: Sized + Send + Sync + 'static {
    /// What a run is given when it first begins.
    type Input: Serialize + DeserializeOwned + Clone + Send + Sync + 'static;
    /// What it ends with.
    type Output: Serialize + DeserializeOwned + Send + 'static;
    /// Does the work. A run that fails is not over: it goes on at the step that failed when it is begun again,
    /// by its supervisor or by an operator.
    ///
    /// # Errors
    /// A report, which its supervisor and the run's record get.
    fn run(
        &self,
        input: Self::Input,
        ctx: &mut RunContext<'_, Self>,
    ) -> impl Future<Output = Result<Self::Output, Report>> + Send;
}
