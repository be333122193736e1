//! One agent whose handler holds its thread.

use std::time::{Duration, Instant};

use ggml_agent::{Agent, ChildSpec, Context, EventKind, Report, SystemRef};
use tokio::sync::oneshot;

use super::super::clock;
use super::super::job::Job;
use super::crowd::{Crowd, Taken};

/// After the block, so that what was held up is seen as well.
const AFTERWARDS: Duration = Duration::from_millis(500);

struct Blocker;

/// Holds the thread for so long, and says when it began.
struct Hold {
    time: Duration,
    began_at: oneshot::Sender<Instant>,
}

impl Agent for Blocker {
    type Msg = Hold;
    type Error = Report;

    async fn handle(&mut self, hold: Hold, _ctx: &mut Context<Self>) -> Result<(), Report> {
        // Whoever waits for it waits until the end of the measurement.
        hold.began_at.send(clock::now()).ok();
        clock::hold_thread(hold.time);
        Ok(())
    }
}

/// What was found.
pub(super) struct Found {
    pub(super) taken: Taken,
    /// From the beginning of the block to its event; `None` if none came.
    pub(super) reported_after: Option<Duration>,
}

pub(super) async fn run(
    system: &SystemRef,
    crowd: &Crowd,
    time: Duration,
) -> anyhow::Result<Found> {
    let blocker = system.start(ChildSpec::new("bench-blocker", || Blocker)).await?;
    let mut events = system.events();
    let blocks = Job::start(async move {
        let is_ours = |kind: &EventKind| match kind {
            EventKind::AgentBlocks { agent } if agent.as_str() == "bench-blocker" => Some(()),
            _ => None,
        };
        events.find(is_ours).await.map(|()| clock::now())
    });
    let (began_at, begins) = oneshot::channel();
    blocker.tell(Hold { time, began_at })?;
    let began_at = begins.await?;
    clock::pause(time + AFTERWARDS).await;
    // What has not come by now does not count.
    let reported = tokio::time::timeout(Duration::ZERO, blocks.done()).await;
    let reported_after = reported.ok().and_then(Result::ok).map(|at: Instant| at - began_at);
    let taken = crowd.take().await?;
    blocker.stop();
    blocker.ended().await;
    Ok(Found { taken, reported_after })
}
