//! One incarnation of an agent as a future: start, handle mail until the end, stop.

use ggml_agent_core::ExitReason;

use crate::agent::Agent;
use crate::context::{Context, Step};

/// How a life ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// `on_start` asked to be ignored (S3).
    Ignored,
    /// It did not come up.
    NotStarted(ExitReason),
    /// It ran, and ended with this.
    By(ExitReason),
}

/// Lives `agent`'s life. Dropping this future ends it at its await point (M10, `kill`).
pub(crate) async fn live<A: Agent>(mut agent: A, mut ctx: Context<A>) -> Ended {
    if let Err(error) = agent.on_start(&mut ctx).await {
        return Ended::NotStarted(ExitReason::StartFailed(error.into()));
    }
    if ctx.is_ignored() {
        return Ended::Ignored;
    }
    ctx.report_started();
    let reason = loop {
        match ctx.next().await {
            Step::Message(message) => {
                if let Err(error) = agent.handle(message, &mut ctx).await {
                    ctx.step_failed();
                    break ExitReason::Error(error.into());
                }
                if let Some(reason) = ctx.take_stop() {
                    break reason;
                }
            }
            Step::Stop(reason) => break reason,
        }
    };
    ctx.step_over();
    agent.on_stop(&reason, &mut ctx).await;
    Ended::By(reason)
}
