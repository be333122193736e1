//! Where an agent runs: the shared pool, a thread of its own, or a shard with a `LocalSet`.

use std::fmt;
use std::sync::Arc;

use ggml_agent_core::AgentId;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use crate::pool::solo::{Solo, SoloJob};
use crate::system::SystemRef;

/// Where an agent runs.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Placement {
    /// The runners of the system, with all others. Handlers must not block.
    #[default]
    Shared,
    /// A thread of its own: handlers may block for as long as they like.
    Thread,
    /// A shard: a thread with a tokio `LocalSet`, so that handlers may use `spawn_local`.
    Shard(Shard),
}

impl Placement {
    /// What gives the agent's cell its turns, unless the shared pool does.
    pub(crate) fn driver(self, system: &SystemRef, id: &AgentId) -> Option<Arc<Solo>> {
        let solo = match self {
            Self::Shared => return None,
            Self::Thread => {
                let runtime = system.runtime().clone();
                let name = format!("agent {id}");
                Solo::new(Box::new(move |job| {
                    let runtime = runtime.clone();
                    spawn_thread(&name, move || runtime.block_on(job));
                }))
            }
            Self::Shard(shard) => Solo::new(Box::new(move |job| shard.host(job))),
        };
        system.note_solo(&solo);
        Some(solo)
    }
}

/// A thread with a tokio runtime and a `LocalSet`, shared by the agents placed on it. It ends when
/// the last handle and the last of its agents are gone.
#[derive(Clone)]
pub struct Shard {
    jobs: mpsc::UnboundedSender<SoloJob>,
}

impl Shard {
    /// Starts a shard whose thread has this name.
    ///
    /// # Errors
    /// The operating system's, when no runtime can be made.
    pub fn start(name: &str) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (jobs, mut queue) = mpsc::unbounded_channel::<SoloJob>();
        spawn_thread(name, move || {
            let local = LocalSet::new();
            local.block_on(&runtime, async {
                while let Some(job) = queue.recv().await {
                    // The set owns the job and is dropped with the thread.
                    drop(tokio::task::spawn_local(job));
                }
            });
            // The last handle is gone; what still runs here ends with its agent.
            runtime.block_on(local);
        });
        Ok(Self { jobs })
    }

    fn host(&self, job: SoloJob) {
        // Refused only if the thread died, which takes the process's end.
        drop(self.jobs.send(job));
    }
}

impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard").finish_non_exhaustive()
    }
}

fn spawn_thread(name: &str, body: impl FnOnce() + Send + 'static) {
    // The job that the thread runs ends when its agent does; nobody needs to join it. A thread that
    // a handler holds for ever could not be joined.
    let spawned = std::thread::Builder::new().name(name.chars().take(15).collect()).spawn(body);
    drop(spawned.expect("invariant: the process can start a thread"));
}
