//! The agent that lets a flow run.

use std::fmt;

use ggml_agent_core::Report;
use ggml_agent_core::store::{Bounds, Open};

use super::context::{Road, RunContext};
use super::journal::{Entry, FORMAT, RunRecord};
use super::{Flow, shelf};
use crate::agent::Agent;
use crate::context::Context;
use crate::durable::codec;
use crate::spec::ChildSpec;

/// The agent that the runtime runs for a [`Flow`]. It ends when its run is over.
pub struct RunAgent<F: Flow> {
    flow: F,
    input: F::Input,
    road: Option<Road>,
}

/// What an agent of a run is sent: nothing that users send. Signals are durable messages.
#[derive(Debug)]
pub struct RunMsg(());

impl<F: Flow> ChildSpec<RunAgent<F>> {
    /// A run: it begins with `input`, or goes on where the run of this name stopped. Transient, so that its
    /// supervisor begins it again when a step fails, and lets it rest when it is over. The system needs a
    /// [store](crate::Options::store). The agent's id is `run/` and the name.
    #[must_use]
    pub fn run(
        name: impl AsRef<str>,
        mut flow: impl FnMut() -> F + Send + 'static,
        input: F::Input,
    ) -> Self {
        let id = format!("{}{}", shelf::PREFIX, name.as_ref());
        let make = move || RunAgent { flow: flow(), input: input.clone(), road: None };
        Self::new(id, make).transient()
    }
}

impl<F: Flow> Agent for RunAgent<F> {
    type Msg = RunMsg;
    type Error = Report;

    async fn on_start(&mut self, ctx: &mut Context<Self>) -> Result<(), Report> {
        let system = ctx.system().clone();
        let hub = system.durable_hub().ok_or_else(|| {
            Report::msg("a run needs a store: set `Options::store` of the system")
        })?;
        let link = hub.link(ctx.id());
        let open = Open { agent: ctx.id().clone(), bounds: Bounds::DEFAULT, in_hand: Some(vec![]) };
        let opened = ctx.protect(hub.store().open(open)).await?;
        let found = ctx.protect(shelf::read(hub.store(), ctx.id())).await?;
        let at_ms = system.clock().unix_ms();
        let (record, first) = match found {
            Some(record) => (record?, None),
            None => {
                let (flow, input) =
                    (std::any::type_name::<F>().to_owned(), codec::encode(&self.input)?);
                let first = Entry::Begun {
                    format: FORMAT,
                    flow: flow.clone(),
                    input: input.clone(),
                    at_ms,
                };
                (RunRecord::begun(flow, input, at_ms), Some(first))
            }
        };
        self.input = record.input().map_err(|error| {
            Report::msg(format!("the run was begun with another type of input: {error}"))
        })?;
        let mut road =
            Road::new(system.clone(), hub.store().clone(), link, ctx.id().clone(), &opened, record);
        if let Some(first) = first {
            ctx.protect(road.write(vec![first])).await?;
        }
        // A run that was cancelled while nobody ran it begins no step; one that is over stays as it is.
        if !road.record().status.is_over() {
            ctx.protect(road.take_mail()).await?;
        }
        if road.record().status.is_over() {
            ctx.stop();
        }
        self.road = Some(road);
        // Its own first message: to go on.
        drop(system.tell(ctx.id(), RunMsg(())));
        Ok(())
    }

    async fn handle(&mut self, _: RunMsg, ctx: &mut Context<Self>) -> Result<(), Report> {
        let Some(road) = &mut self.road else {
            return Err(Report::msg("invariant: the road was made by on_start"));
        };
        let mut context = RunContext::new(ctx, road);
        let ran = self.flow.run(self.input.clone(), &mut context).await;
        match ran {
            _ if road.is_cancelled() => {
                ctx.stop();
                Ok(())
            }
            Err(_) if ctx.is_stopping() => Ok(()),
            Ok(output) => {
                let end =
                    Entry::Completed { output: codec::encode(&output)?, at_ms: road.now_ms() };
                ctx.protect(road.write(vec![end])).await?;
                ctx.stop();
                Ok(())
            }
            Err(report) => {
                let failed = Entry::Failed { report: report.to_string(), at_ms: road.now_ms() };
                // If even that cannot be written, the report itself says more than why.
                drop(ctx.protect(road.write(vec![failed])).await);
                Err(report)
            }
        }
    }
}

impl<F: Flow> fmt::Debug for RunAgent<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunAgent").field("road", &self.road).finish_non_exhaustive()
    }
}
