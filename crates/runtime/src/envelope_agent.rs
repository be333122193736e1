//! The untyped road: agents that handle envelopes by message type, and what the runtime answers
//! itself.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use ggml_agent_core::envelope::{Envelope, MessageType, Priority};
use ggml_agent_core::{ExitReason, Report, limits};

use crate::address::request_shutdown;
use crate::agent::Agent;
use crate::cell::handle::CellRef;
use crate::cell::header::{Header, control};
use crate::cell::mailbox::Lane;
use crate::context::Context;
use crate::dead_letter::{DeadLetter, Reason};
use crate::error::SendError;

/// The context of an [`EnvelopeAgent`].
pub type EnvelopeContext<E> = Context<Enveloped<E>>;

/// What a handler of envelopes returns: a boxed future, since handlers stand in a table.
pub type Handled<'a, E> =
    Pin<Box<dyn Future<Output = Result<(), <E as EnvelopeAgent>::Error>> + Send + 'a>>;

type Handler<E> = for<'a> fn(&'a mut E, Envelope, &'a mut EnvelopeContext<E>) -> Handled<'a, E>;

/// An agent that registers a handler per message type.
///
/// HEARTBEAT is answered and SHUTDOWN obeyed by the runtime (M9). An envelope without a handler
/// becomes a dead letter, and its sender gets an ERROR.
///
/// # Example
/// ```
/// use ggml_agent::{Envelope, EnvelopeAgent, EnvelopeContext, Handlers, MessageType, Report};
///
/// struct Echo;
///
/// impl EnvelopeAgent for Echo {
///     type Error = Report;
///     fn handlers(none: Handlers<Self>) -> Handlers<Self> {
///         none.on(MessageType::Task, |echo, task, ctx| Box::pin(echo.on_task(task, ctx)))
///     }
/// }
///
/// impl Echo {
///     async fn on_task(&mut self, task: Envelope, ctx: &mut EnvelopeContext<Self>) -> Result<(), Report> {
///         ctx.reply_to(&task, MessageType::TaskResult, task.payload.clone())?;
///         Ok(())
///     }
/// }
/// ```
pub trait EnvelopeAgent: Sized + Send + 'static {
    /// What its handlers fail with.
    type Error: Into<Report>;

    /// Adds its handlers to an empty table; asked for once per incarnation.
    fn handlers(none: Handlers<Self>) -> Handlers<Self>;

    /// As [`Agent::on_start`].
    fn on_start(
        &mut self,
        ctx: &mut EnvelopeContext<Self>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        let _ = ctx;
        async { Ok(()) }
    }

    /// As [`Agent::on_stop`].
    fn on_stop(
        &mut self,
        reason: &ExitReason,
        ctx: &mut EnvelopeContext<Self>,
    ) -> impl Future<Output = ()> + Send {
        let _ = (reason, ctx);
        async {}
    }
}

/// Handlers by message type.
pub struct Handlers<E: EnvelopeAgent> {
    table: [Option<Handler<E>>; MessageType::ALL.len()],
}

impl<E: EnvelopeAgent> Handlers<E> {
    /// No handler at all.
    #[must_use]
    pub fn new() -> Self {
        Self { table: [None; MessageType::ALL.len()] }
    }

    /// Handles `kind` by `handler`, in place of an earlier one.
    #[must_use]
    pub fn on(mut self, kind: MessageType, handler: Handler<E>) -> Self {
        self.table[index(kind)] = Some(handler);
        self
    }
}

impl<E: EnvelopeAgent> Default for Handlers<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: EnvelopeAgent> fmt::Debug for Handlers<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let handled = MessageType::ALL.iter().filter(|kind| self.table[index(**kind)].is_some());
        f.debug_set().entries(handled).finish()
    }
}

fn index(kind: MessageType) -> usize {
    MessageType::ALL.iter().position(|other| *other == kind).expect("invariant: ALL has each type")
}

/// An [`EnvelopeAgent`] as an [`Agent`].
#[derive(Debug)]
pub struct Enveloped<E: EnvelopeAgent> {
    agent: E,
    handlers: Handlers<E>,
}

impl<E: EnvelopeAgent> Enveloped<E> {
    /// Wraps `agent`.
    pub fn new(agent: E) -> Self {
        Self { agent, handlers: E::handlers(Handlers::new()) }
    }
}

impl<E: EnvelopeAgent> Agent for Enveloped<E> {
    type Msg = Envelope;
    type Error = E::Error;

    async fn on_start(&mut self, ctx: &mut Context<Self>) -> Result<(), E::Error> {
        self.agent.on_start(ctx).await
    }

    async fn handle(
        &mut self,
        envelope: Envelope,
        ctx: &mut Context<Self>,
    ) -> Result<(), E::Error> {
        let system = ctx.system();
        // Most have no deadline, and the clock costs more than all the rest.
        if envelope.deadline_ms.is_some() && envelope.is_expired(system.clock().unix_ms()) {
            system.dead_letter(DeadLetter::of(ctx.id(), &envelope, Reason::Expired));
            return Ok(());
        }
        if let Some(handler) = self.handlers.table[index(envelope.kind)] {
            return handler(&mut self.agent, envelope, ctx).await;
        }
        system.dead_letter(DeadLetter::of(ctx.id(), &envelope, Reason::NotUnderstood));
        if envelope.kind != MessageType::Error {
            let text = format!("{} has no handler for {}", ctx.id(), envelope.kind);
            // The asker may be gone; then its error is a dead letter of its own.
            drop(ctx.reply_to(&envelope, MessageType::Error, text));
        }
        Ok(())
    }

    async fn on_stop(&mut self, reason: &ExitReason, ctx: &mut Context<Self>) {
        self.agent.on_stop(reason, ctx).await;
    }

    fn from_envelope(envelope: Envelope) -> Result<Envelope, Envelope> {
        Ok(envelope)
    }

    fn into_envelope(message: Envelope) -> Result<Envelope, Envelope> {
        Ok(message)
    }
}

/// The lane of an envelope.
pub(crate) fn lane_of(envelope: &Envelope) -> Lane {
    match envelope.priority {
        Priority::Normal => Lane::User,
        Priority::High => Lane::Priority,
    }
}

/// Hands an envelope to a cell: what belongs to the system lane never waits behind mail (M3).
#[inline]
pub(crate) fn deliver(cell: &CellRef, envelope: Envelope) -> Result<(), SendError<Envelope>> {
    match envelope.kind {
        MessageType::Heartbeat | MessageType::Shutdown => deliver_to_runtime(cell, envelope),
        _ => cell.deliver(envelope),
    }
}

#[cold]
fn deliver_to_runtime(cell: &CellRef, envelope: Envelope) -> Result<(), SendError<Envelope>> {
    let header = cell.header();
    if !header.is_alive() {
        return Err(SendError::Closed(envelope));
    }
    if envelope.kind == MessageType::Shutdown {
        request_shutdown(cell);
        return Ok(());
    }
    header.with_cold(|cold| {
        if cold.system_mail.len() >= limits::SYSTEM_MAIL_MAX {
            return Err(SendError::Full(envelope));
        }
        cold.system_mail.push_back(envelope);
        Ok(())
    })?;
    header.raise(control::MAIL);
    cell.wake();
    Ok(())
}

/// Answers a HEARTBEAT with the payload that it carried (M9).
pub(crate) fn answer_heartbeat(header: &Header, heartbeat: &Envelope) {
    let payload = heartbeat.payload.clone();
    // An asker that is gone is recorded by the system as a dead letter.
    drop(header.system.reply_as(&header.id, heartbeat, MessageType::HeartbeatAck, payload));
}
