//! The ordinary agent around a durable one: it opens the store, and lets the machine run.

use std::fmt;
use std::time::Duration;

use ggml_agent_core::durable::{Effects, Rules, Step};
use ggml_agent_core::envelope::Envelope;
use ggml_agent_core::store::{Bounds, Opened, Stored};
use ggml_agent_core::{ExitReason, Report, limits};

use super::codec;
use super::context::{DurableContext, Surroundings};
use super::engine::Engine;
use super::hub;
use super::{DurableAgent, Saved};
use crate::agent::Agent;
use crate::context::{Context, Timer};
use crate::spec::ChildSpec;

/// Messages that are handled before the runtime may look at what else is to do.
const TURN_MESSAGES_MAX: usize = 128;

/// The longest that a timer waits without a look at the wall clock, which may have been stepped.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(10);

/// How long a receiver without room is left alone.
const ROOM_AFTER: Duration = Duration::from_millis(100);

/// How a durable agent treats its mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DurableOptions {
    /// Bounds of the mailbox on disk: 100,000 messages and 256 MiB; more is refused.
    pub bounds: Bounds,
    /// How often the delivery of a message may begin, at least once; then it is a dead letter: 5.
    pub deliveries_max: u32,
}

impl Default for DurableOptions {
    fn default() -> Self {
        Self { bounds: Bounds::DEFAULT, deliveries_max: limits::DELIVERIES_MAX_DEFAULT }
    }
}

/// The agent that the runtime runs for a [`DurableAgent`].
pub struct Durable<D: DurableAgent> {
    /// As the spec made it, or as the store had it.
    agent: D,
    options: DurableOptions,
    engine: Option<Engine>,
    /// The timer that is armed, and for when.
    alarm: Option<(Timer, u64)>,
}

/// What wakes a durable agent: mail on disk, a timer that is due. Its messages are not in it.
pub struct Nudge(Kind);

enum Kind {
    Look,
    /// From the untyped road, to be made durable first.
    Mail(Box<Envelope>),
}

impl Nudge {
    pub(super) fn look() -> Self {
        Self(Kind::Look)
    }
}

impl<D: DurableAgent> ChildSpec<Durable<D>> {
    /// As [`ChildSpec::new`], for an agent that survives. The system needs a
    /// [store](crate::Options::store).
    #[must_use]
    pub fn durable(id: impl AsRef<str>, factory: impl FnMut() -> D + Send + 'static) -> Self {
        Self::durable_with(id, DurableOptions::default(), factory)
    }

    /// As [`ChildSpec::durable`], with options of your choice.
    #[must_use]
    pub fn durable_with(
        id: impl AsRef<str>,
        options: DurableOptions,
        mut factory: impl FnMut() -> D + Send + 'static,
    ) -> Self {
        Self::new(id, move || Durable { agent: factory(), options, engine: None, alarm: None })
    }
}

impl<D: DurableAgent> Agent for Durable<D> {
    type Msg = Nudge;
    type Error = Report;

    async fn on_start(&mut self, ctx: &mut Context<Self>) -> Result<(), Report> {
        let system = ctx.system().clone();
        let hub = system.durable_hub().ok_or_else(|| {
            Report::msg("a durable agent needs a store: set `Options::store` of the system")
        })?;
        let link = hub.link(ctx.id());
        // What was told before this incarnation is read by it.
        link.take_news().for_each(drop);
        let rules = Rules { deliveries_max: self.options.deliveries_max.max(1), ..Rules::DEFAULT };
        let open = Engine::open(&system, hub, link.clone(), self.options.bounds, rules, ctx.id());
        let (engine, opened) = ctx.protect(open).await?;
        self.restore(&opened)?;
        self.engine = Some(engine);
        hub::tell(&system, &link, ctx.id(), ggml_agent_core::Priority::Normal);
        Ok(())
    }

    async fn handle(&mut self, nudge: Nudge, ctx: &mut Context<Self>) -> Result<(), Report> {
        let Some(engine) = &mut self.engine else {
            return Err(Report::msg("invariant: the engine was made by on_start"));
        };
        match nudge.0 {
            Kind::Look => {}
            Kind::Mail(envelope) => ctx.protect(engine.take_in(*envelope)).await,
        }
        let mut is_done = false;
        for _ in 0..TURN_MESSAGES_MAX {
            is_done = self.turn(ctx).await?;
            if is_done || ctx.is_stopping() {
                break;
            }
        }
        if !is_done {
            let (system, id) = (ctx.system(), ctx.id());
            drop(system.tell(id, Nudge::look()));
        }
        Ok(())
    }

    async fn on_stop(&mut self, _: &ExitReason, ctx: &mut Context<Self>) {
        let Some(mut engine) = self.engine.take() else { return };
        // Nudges are not mail: what they are about is on disk.
        while let Some(nudge) = ctx.leftover().await {
            if let Kind::Mail(envelope) = nudge.0 {
                ctx.protect(engine.take_in(*envelope)).await;
            }
        }
        if engine.is_broken {
            return;
        }
        let state = engine.machine.is_state_dirty().then(|| codec::encode(&self.agent));
        let id = ctx.id().clone();
        let finish = async move {
            if engine.machine.has_news() {
                engine.commit(D::VERSION, state.transpose().ok()?);
            }
            engine.settle().await.ok()?;
            engine.send().await;
            if engine.machine.has_news() {
                engine.commit(D::VERSION, None);
                engine.settle().await.ok()?;
            }
            engine.close(id).await.ok()
        };
        // What could not be committed is handled again: it was not acknowledged.
        let _: Option<()> = ctx.protect(finish).await;
    }

    fn from_envelope(envelope: Envelope) -> Result<Nudge, Envelope> {
        Ok(Nudge(Kind::Mail(Box::new(envelope))))
    }

    fn into_envelope(nudge: Nudge) -> Result<Envelope, Nudge> {
        match nudge.0 {
            Kind::Mail(envelope) => Ok(*envelope),
            Kind::Look => Err(nudge),
        }
    }
}

impl<D: DurableAgent> Durable<D> {
    /// Takes the state of the store, if it has one.
    fn restore(&mut self, opened: &Opened) -> Result<(), Report> {
        let Some(snapshot) = &opened.snapshot else { return Ok(()) };
        let saved = Saved(snapshot.bytes.clone());
        let mut agent = if snapshot.version == D::VERSION {
            saved.read::<D>().map_err(|error| {
                Report::msg(format!(
                    "the saved state of version {} is damaged or of another type: {error}",
                    D::VERSION
                ))
            })?
        } else {
            D::upgrade(snapshot.version, &saved)?
        };
        std::mem::swap(&mut self.agent, &mut agent);
        self.agent.adopt(agent);
        Ok(())
    }

    /// One step of the machine; true if there is nothing more to do now.
    async fn turn(&mut self, ctx: &mut Context<Self>) -> Result<bool, Report> {
        let engine = self.engine.as_mut().expect("invariant: made by on_start");
        engine.take_answers().await?;
        if engine.is_outbox_full() {
            ctx.protect(engine.send()).await;
            if engine.is_outbox_full() {
                self.alarm_in(ctx, ROOM_AFTER);
                return Ok(true);
            }
        }
        match engine.next() {
            Step::Hand(message) => self.hand(message, ctx).await?,
            Step::Commit => {
                let state = engine.machine.is_state_dirty().then(|| codec::encode(&self.agent));
                engine.commit(D::VERSION, state.transpose()?);
            }
            Step::Fetch { lane, after, limit } => {
                let id = ctx.id().clone();
                ctx.protect(engine.fetch(&id, lane, after, limit)).await?;
            }
            Step::Wait { due_ms } => return self.rest(due_ms, ctx).await,
        }
        Ok(false)
    }

    /// There is nothing to hand out: waits for commits, sends what they set free, arms the next timer.
    async fn rest(&mut self, due_ms: Option<u64>, ctx: &mut Context<Self>) -> Result<bool, Report> {
        let engine = self.engine.as_mut().expect("invariant: made by on_start");
        if engine.machine.is_committing() {
            ctx.protect(engine.answered()).await?;
            return Ok(false);
        }
        ctx.protect(engine.send()).await;
        if engine.machine.sent_len() >= limits::COMMIT_MESSAGES_MAX {
            engine.commit(D::VERSION, None);
            return Ok(false);
        }
        let has_unsent = engine.has_unsent();
        if let Some(due_ms) = due_ms {
            let now_ms = ctx.system().clock().unix_ms();
            let delay = Duration::from_millis(due_ms.saturating_sub(now_ms)).min(LOOK_AT_CLOCK);
            self.alarm_in(ctx, delay);
        }
        if has_unsent {
            self.alarm_in(ctx, ROOM_AFTER);
        }
        Ok(true)
    }

    /// Lets the agent look again after `delay`, unless it does before that anyway.
    fn alarm_in(&mut self, ctx: &mut Context<Self>, delay: Duration) {
        let now_ms = ctx.system().clock().unix_ms();
        let due_ms = now_ms.saturating_add(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
        if let Some((timer, armed_ms)) = &self.alarm {
            if !timer.is_finished() && *armed_ms <= due_ms {
                return;
            }
            timer.cancel();
        }
        self.alarm = Some((ctx.send_after(delay, Nudge::look()), due_ms));
    }

    async fn hand(&mut self, message: Stored, ctx: &mut Context<Self>) -> Result<(), Report> {
        let engine = self.engine.as_mut().expect("invariant: made by on_start");
        let question = message.envelope.id;
        let decoded = match codec::decode::<D::Msg>(&message.envelope.payload) {
            Ok(decoded) => decoded,
            Err(error) => {
                engine.machine.refused(&message, format!("not understood: {error}"));
                return Ok(());
            }
        };
        engine.link.set_in_hand(Some(message.position));
        engine.is_broken = true;
        let mut context = DurableContext::new(Surroundings { ctx, engine }, &message);
        let handled = self.agent.handle(decoded, &mut context).await.map_err(Into::into);
        let effects: Effects = context.into_effects();
        if let Err(report) = handled {
            engine.take_back(question);
            return Err(report);
        }
        engine.is_broken = false;
        engine.link.set_in_hand(None);
        engine.machine.handled(&message, effects);
        Ok(())
    }
}

impl<D: DurableAgent> fmt::Debug for Durable<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Durable").field("options", &self.options).finish_non_exhaustive()
    }
}

impl fmt::Debug for Nudge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Look => f.write_str("Look"),
            Kind::Mail(envelope) => f.debug_tuple("Mail").field(envelope).finish(),
        }
    }
}
