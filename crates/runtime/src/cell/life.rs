//! One incarnation of an agent as a future: start, handle mail until the end, stop.

use std::future::{Future, poll_fn};

use ggml_agent_core::{ExitReason, Report};

use super::drop_quietly;
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

/// The agent's value. A handler's panic drops it while the stack unwinds: a second panic, in its
/// destructor, would abort the process if it left this one (M11).
struct Held<A>(Option<A>);

impl<A> Drop for Held<A> {
    fn drop(&mut self) {
        let agent = self.0.take();
        if std::thread::panicking() {
            drop_quietly(|| drop(agent));
        }
    }
}

/// Lives `agent`'s life. Dropping this future ends it at its await point (M10, `kill`).
// Not an `async fn`: that would keep its arguments twice, as it got them and as it uses them.
pub(crate) fn live<A: Agent>(agent: A, mut ctx: Context<A>) -> impl Future<Output = Ended> + Send {
    let mut held = Held(Some(agent));
    async move {
        let agent = held.0.as_mut().expect("invariant: taken by the drop alone");
        let started: Result<(), Report> = agent.on_start(&mut ctx).await.map_err(Into::into);
        ctx.stay_if_live().await;
        if let Err(report) = started {
            return Ended::NotStarted(ExitReason::StartFailed(report));
        }
        if ctx.is_ignored() {
            return Ended::Ignored;
        }
        ctx.report_started();
        let reason = loop {
            // Asked for by the handler, or in `on_start`.
            if let Some(reason) = ctx.take_stop() {
                break reason;
            }
            ctx.handled();
            // Taken in each arm, so that the message is moved from its place to the handler, and no
            // detours.
            let message = match poll_fn(|_| ctx.poll_next()).await {
                Step::Mail(mut next) => {
                    let asker = next.take_asker();
                    if !ctx.opens(asker.as_ref()) {
                        ctx.skip(&next.take_message());
                        continue;
                    }
                    next.take_message()
                }
                Step::Offer(offer) => {
                    let (message, asker) = offer.take().into_parts();
                    if !ctx.opens(asker.as_ref()) {
                        ctx.skip(&message);
                        continue;
                    }
                    message
                }
                Step::Stop(reason) => break reason,
            };
            let handled: Result<(), Report> =
                agent.handle(message, &mut ctx).await.map_err(Into::into);
            if !ctx.is_live() {
                ctx.stay_if_live().await;
            }
            if let Err(report) = handled {
                ctx.step_failed();
                break ExitReason::Error(report);
            }
        };
        ctx.step_over();
        agent.on_stop(&reason, &mut ctx).await;
        Ended::By(reason)
    }
}
