//! What users implement: one type, one message enum, one handler.

use std::future::Future;

use ggml_agent_core::envelope::Envelope;
use ggml_agent_core::{ExitReason, Report};

use crate::context::Context;

/// An agent: a value that handles one message at a time and that nobody else can reach (M1).
///
/// # Example
/// ```
/// use ggml_agent::{Agent, Context, Reply, Report};
///
/// struct Counter(u64);
///
/// enum Msg {
///     Add(u64),
///     Total(Reply<u64>),
/// }
///
/// impl Agent for Counter {
///     type Msg = Msg;
///     type Error = Report;
///
///     async fn handle(&mut self, msg: Msg, _ctx: &mut Context<Self>) -> Result<(), Report> {
///         match msg {
///             Msg::Add(n) => self.0 += n,
///             Msg::Total(reply) => reply.send(self.0),
///         }
///         Ok(())
///     }
/// }
/// ```
pub trait Agent: Sized + Send + 'static {
    /// What it is sent; held inline in the mailbox, so box large variants.
    type Msg: Send + 'static;
    /// What its callbacks fail with; any [`std::error::Error`] will do, or [`Report`].
    type Error: Into<Report>;

    /// Runs before the first message of each incarnation.
    ///
    /// An error or a panic makes the start fail. [`Context::ignore`] makes it *ignored* (S3).
    fn on_start(
        &mut self,
        ctx: &mut Context<Self>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        let _ = ctx;
        async { Ok(()) }
    }

    /// Handles one message. An error or a panic ends the incarnation (M11).
    ///
    /// # Cancel safety
    /// `kill` drops the future at its next await point.
    fn handle(
        &mut self,
        msg: Self::Msg,
        ctx: &mut Context<Self>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Runs when the incarnation ends by itself, by a stop or by an error; not after a panic or a
    /// kill, when the value can no longer be trusted or is gone.
    fn on_stop(
        &mut self,
        reason: &ExitReason,
        ctx: &mut Context<Self>,
    ) -> impl Future<Output = ()> + Send {
        let _ = (reason, ctx);
        async {}
    }

    /// The message that an envelope stands for: makes the agent reachable by id on the untyped road.
    ///
    /// # Errors
    /// Gives the envelope back when the agent does not understand it; the sender is told.
    fn from_envelope(envelope: Envelope) -> Result<Self::Msg, Envelope> {
        Err(envelope)
    }

    /// The envelope of a message made by [`Agent::from_envelope`], so that a full mailbox can give
    /// it back. Whoever implements the one implements the other.
    ///
    /// # Errors
    /// Gives the message back when it stands for no envelope.
    fn into_envelope(message: Self::Msg) -> Result<Envelope, Self::Msg> {
        Err(message)
    }
}
