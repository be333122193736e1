//! The supervisor as an agent: turns reports into events of the machine, and does its commands.

use std::collections::VecDeque;
use std::sync::Arc;

use ggml_agent_core::supervise::{
    Answer, CallError, CallId, ChildKey, ChildState, Command, Event, Machine, Shutdown,
};
use ggml_agent_core::{ExitReason, Report};

use super::alarms::Alarms;
use super::calls::{Batch, Call, Calls};
use super::link::{Shared, Static};
use super::place::{Slot, Slots};
use crate::address::request_kill;
use crate::agent::Agent;
use crate::cell::header::{Start, control};
use crate::context::Context;
use crate::dead_letter::Reason;
use crate::observe::EventKind;

/// What a supervisor is told; small, because a crowd that ends at once sends one each.
pub(crate) enum Msg {
    Started {
        slot: Slot,
        incarnation: u64,
        start: Start,
    },
    Exited {
        slot: Slot,
        incarnation: u64,
        reason: ExitReason,
    },
    /// Some timer may be due.
    Wake,
    Call(Box<Call>),
    StartAll(Box<Batch>),
}

/// See the module. What it keeps of each child is in the machine's table and in the link.
pub(crate) struct SupervisorAgent {
    shared: Arc<Shared>,
    machine: Option<Machine>,
    slots: Slots,
    calls: Calls,
    alarms: Alarms,
    events: VecDeque<Event>,
    /// Room for the commands of one event.
    commands: Vec<Command>,
    ready: bool,
    start_failure: Option<Report>,
    exit: Option<ExitReason>,
}

/// Commands whose room is kept from one event to the next: 128 of some 90 B are 12 KB.
const COMMANDS_KEPT: usize = 128;

impl SupervisorAgent {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            machine: None,
            slots: Slots::default(),
            calls: Calls::default(),
            alarms: Alarms::default(),
            events: VecDeque::new(),
            commands: Vec::new(),
            ready: false,
            start_failure: None,
            exit: None,
        }
    }

    /// Makes the machine and the cells of the static children.
    fn assemble(&mut self, ctx: &Context<Self>) -> Result<(), Report> {
        let shared = self.shared.clone();
        let mut statics = shared.statics();
        let mut specs = Vec::with_capacity(statics.len());
        // The machine's keys begin with those of the static children, in order.
        let slots = Slots::new(statics.len(), 0);
        for (key, child) in (0..).map(ChildKey::new).zip(statics.iter_mut()) {
            if let Static::Spec(spec) = child {
                let spec = spec.take().expect("invariant: a spec is taken once");
                let core = spec.core()?;
                let (id, link) = (core.id.clone(), shared.link.clone());
                let cell = spec.build(id, ctx.system(), link, slots.of(key));
                *child = Static::Cell(core, cell);
            }
            if let Static::Cell(core, _) = child {
                specs.push(core.clone());
            }
        }
        let machine = Machine::new(shared.spec, specs, ctx.system().next_seed())?;
        for (key, child) in (0..).map(ChildKey::new).zip(statics.iter()) {
            if let Static::Cell(_, cell) = child {
                shared.link.insert(slots.of(key), cell.clone());
            }
        }
        self.slots = Slots::new(statics.len(), shared.link.last_slot());
        self.machine = Some(machine);
        Ok(())
    }

    /// Takes a message, as events; none when it is of a life that is over.
    fn take(&mut self, message: Msg, ctx: &mut Context<Self>) {
        match message {
            Msg::Started { slot, incarnation, start } => {
                if let Some(event) = self.started(slot, incarnation, start) {
                    self.events.push_back(event);
                }
            }
            Msg::Exited { slot, incarnation, reason } => {
                if let Some(event) = self.exited(slot, incarnation, reason) {
                    self.events.push_back(event);
                }
            }
            Msg::Wake => {
                let timers = self.alarms.ring(ctx).into_iter();
                self.events.extend(timers.map(|timer| Event::TimerFired { timer }));
            }
            Msg::Call(call) => self.events.push_back(self.calls.ask(*call)),
            Msg::StartAll(batch) => self.events.extend(self.calls.ask_next(batch)),
        }
        self.converse(ctx);
    }

    fn started(&self, slot: Slot, cell_incarnation: u64, start: Start) -> Option<Event> {
        let key = self.slots.key(slot)?;
        let incarnation = self.machine.as_ref()?.child_incarnation(key)?;
        let link = &self.shared.link;
        match start {
            Start::Running => link
                .comes_up(slot, cell_incarnation)
                .then_some(Event::ChildStarted { key, incarnation }),
            Start::Ignored => link
                .had_come_up(slot, cell_incarnation)
                .map(|_| Event::ChildIgnored { key, incarnation }),
        }
    }

    fn exited(&self, slot: Slot, cell_incarnation: u64, reason: ExitReason) -> Option<Event> {
        let key = self.slots.key(slot)?;
        let incarnation = self.machine.as_ref()?.child_incarnation(key)?;
        Some(if self.shared.link.had_come_up(slot, cell_incarnation)? {
            Event::ChildExited { key, incarnation, reason }
        } else {
            Event::ChildStartFailed { key, incarnation, reason }
        })
    }

    /// Lets the machine decide about each event, and about what its commands bring up at once.
    fn converse(&mut self, ctx: &mut Context<Self>) {
        while let Some(event) = self.events.pop_front() {
            let ended = ended_child(&event);
            let mut commands = std::mem::take(&mut self.commands);
            if let Some(machine) = &mut self.machine {
                machine.handle(event, ctx.system().clock().now(), &mut commands);
            }
            self.obey_all(commands, ctx);
            if let Some(key) = ended {
                self.retire_if_stopped(key, ctx);
            }
        }
    }

    fn obey_all(&mut self, mut commands: Vec<Command>, ctx: &mut Context<Self>) {
        let mut more = Vec::new();
        while !commands.is_empty() {
            for command in commands.drain(..) {
                if let Command::CheckHealth = command {
                    self.check_health(&mut more, ctx);
                } else {
                    self.obey(command, ctx);
                }
            }
            commands.append(&mut more);
        }
        if commands.capacity() <= COMMANDS_KEPT {
            self.commands = commands;
        }
    }

    fn obey(&mut self, command: Command, ctx: &mut Context<Self>) {
        match command {
            Command::ChildAdded { call, key } => self.add(call, key, ctx),
            Command::StartChild { key, incarnation } => self.start_child(key, incarnation, ctx),
            Command::StopChild { key, shutdown, .. } => self.stop_child(key, shutdown),
            Command::KillChild { key, .. } => self.stop_child(key, Shutdown::Kill),
            Command::ForgetChild { key } => {
                if let Some(cell) = self.shared.link.remove(self.slots.of(key)) {
                    ctx.system().retire(&cell, Reason::Ended);
                }
            }
            Command::ArmTimer { timer, after } => self.alarms.arm(timer, after, ctx),
            Command::CancelTimer { timer } => self.alarms.cancel(timer),
            Command::Answer { call, answer } => self.answer(call, answer, ctx),
            Command::Observe(decision) => {
                ctx.system()
                    .emit(|| EventKind::Supervision { supervisor: ctx.id().clone(), decision });
            }
            Command::Ready => self.ready = true,
            Command::StartFailed { child, reason } => {
                self.start_failure = Some(Report::msg(format_args!("{child}: {reason}")));
            }
            Command::Exit { reason } => self.exit = Some(reason),
            _ => {}
        }
    }

    fn add(&mut self, call: CallId, key: ChildKey, ctx: &Context<Self>) {
        let Some(child) = self.calls.take_child(call) else { return };
        let id = self.machine.as_ref().and_then(|machine| machine.child_id(key)).cloned();
        let Some(id) = id else { return };
        let (slot, link) = (self.slots.of(key), &self.shared.link);
        let cell = child.build(id, ctx.system(), link.clone(), slot);
        link.insert(slot, cell.clone());
        self.calls.note_cell(call, cell);
    }

    fn start_child(&mut self, key: ChildKey, incarnation: u64, ctx: &Context<Self>) {
        let slot = self.slots.of(key);
        let Some(cell) = self.shared.link.begins(slot) else { return };
        if let Err(error) = ctx.system().begin(&cell) {
            self.shared.link.is_over(slot);
            let reason = ExitReason::StartFailed(error.into());
            self.events.push_back(Event::ChildStartFailed { key, incarnation, reason });
        }
    }

    fn stop_child(&self, key: ChildKey, shutdown: Shutdown) {
        let Some(cell) = self.shared.link.cell(self.slots.of(key)) else { return };
        if shutdown == Shutdown::Kill {
            request_kill(&cell);
        } else {
            cell.header().raise(control::SHUTDOWN);
            cell.wake();
        }
    }

    fn answer(&mut self, call: CallId, answer: Result<Answer, CallError>, ctx: &Context<Self>) {
        // No event of a child says so when the stop called off a restart.
        let stopped = self.calls.stops(call).zip(self.machine.as_ref());
        if let Some(key) = stopped.and_then(|(id, machine)| machine.key_of(id.as_str())) {
            self.retire_if_stopped(key, ctx);
        }
        self.events.extend(self.calls.answer(call, answer));
    }

    /// A child that ended and is not to be started again is gone for good: its id is free (G2), what
    /// is queued becomes dead letters.
    fn retire_if_stopped(&self, key: ChildKey, ctx: &Context<Self>) {
        let state = self.machine.as_ref().and_then(|machine| machine.child_state(key));
        if state == Some(ChildState::Stopped)
            && let Some(cell) = self.shared.link.cell(self.slots.of(key))
        {
            ctx.system().retire(&cell, Reason::Ended);
        }
    }

    fn check_health(&mut self, commands: &mut Vec<Command>, ctx: &Context<Self>) {
        let at_work = self.shared.link.check_suspects();
        let slots = self.slots;
        let mut busy =
            at_work.into_iter().filter_map(|(slot, vital)| Some((slots.key(slot)?, vital)));
        if let Some(machine) = &mut self.machine {
            machine.check_health(ctx.system().clock().now(), &mut busy, commands);
        }
    }

    /// Converses with the machine until it has ended.
    async fn wind_down(&mut self, reason: ExitReason, ctx: &mut Context<Self>) {
        self.events.push_back(Event::Stop { reason });
        self.converse(ctx);
        while self.exit.is_none() {
            let Some(message) = ctx.inbox(false).await else { break };
            self.take(message, ctx);
        }
    }
}

/// The child whose end an event is.
fn ended_child(event: &Event) -> Option<ChildKey> {
    match event {
        Event::ChildIgnored { key, .. }
        | Event::ChildStartFailed { key, .. }
        | Event::ChildExited { key, .. } => Some(*key),
        _ => None,
    }
}

impl Agent for SupervisorAgent {
    type Msg = Msg;
    type Error = Report;

    async fn on_start(&mut self, ctx: &mut Context<Self>) -> Result<(), Report> {
        let (link, me) = (self.shared.link.clone(), ctx.addr());
        link.attach(me.cell()).await;
        self.assemble(ctx)?;
        self.events.push_back(Event::Start);
        self.converse(ctx);
        loop {
            if let Some(failure) = self.start_failure.take() {
                return Err(failure);
            }
            if let Some(reason) = &self.exit {
                ctx.stop_as(reason.clone());
                return Ok(());
            }
            if self.ready {
                return Ok(());
            }
            match ctx.inbox(true).await {
                Some(message) => self.take(message, ctx),
                None => {
                    self.wind_down(ExitReason::Shutdown, ctx).await;
                    return Err(Report::msg("stopped while its children were starting"));
                }
            }
        }
    }

    async fn handle(&mut self, message: Msg, ctx: &mut Context<Self>) -> Result<(), Report> {
        self.take(message, ctx);
        if let Some(reason) = &self.exit {
            ctx.stop_as(reason.clone());
        }
        Ok(())
    }

    async fn on_stop(&mut self, reason: &ExitReason, ctx: &mut Context<Self>) {
        if self.exit.is_none() {
            self.wind_down(reason.clone(), ctx).await;
        }
    }
}

impl Drop for SupervisorAgent {
    fn drop(&mut self) {
        // However this incarnation ended: nothing below it goes on (S25).
        self.shared.link.behead();
    }
}
