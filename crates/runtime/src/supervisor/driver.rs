//! The supervisor as an agent: turns reports into events of the machine, and does its commands.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use ggml_agent_core::supervise::{
    Answer, CallError, CallId, ChildKey, ChildState, Command, Event, Machine, Request, Shutdown,
    TimerId,
};
use ggml_agent_core::{AgentId, ExitReason, Report};

use super::link::{Shared, Slot, Static};
use crate::address::request_kill;
use crate::agent::Agent;
use crate::cell::handle::CellRef;
use crate::cell::header::{Start, control};
use crate::cell::mailbox::Lane;
use crate::context::{Context, Timer};
use crate::dead_letter::Reason;
use crate::observe::EventKind;
use crate::reply::Reply;
use crate::spec::Child;

/// What a supervisor is told.
pub(crate) enum Msg {
    Started { slot: Slot, incarnation: u64, start: Start },
    Exited { slot: Slot, incarnation: u64, reason: ExitReason },
    Timer(TimerId),
    Call { request: Request, child: Option<Child>, reply: Reply<Result<Done, CallError>> },
}

/// The answer to a call, with the child's cell where it started one.
pub(crate) struct Done {
    pub(crate) answer: Answer,
    pub(crate) cell: Option<CellRef>,
}

/// A child as the driver knows it.
struct Handle {
    slot: Slot,
    cell: CellRef,
    /// The machine's number of the running incarnation.
    machine_incarnation: u64,
    /// The cell's own number of it: goes on over restarts of the supervisor, so that a report of
    /// an earlier life is never taken for one of this.
    cell_incarnation: u64,
    /// Whether it has come up.
    started: bool,
}

/// A call without an answer so far.
struct Pending {
    reply: Reply<Result<Done, CallError>>,
    /// The child that it asks to stop.
    stops: Option<AgentId>,
}

/// See the module.
pub(crate) struct SupervisorAgent {
    shared: Arc<Shared>,
    machine: Option<Machine>,
    handles: BTreeMap<ChildKey, Handle>,
    keys: BTreeMap<Slot, ChildKey>,
    /// New children whose call the machine has not decided yet.
    newcomers: BTreeMap<CallId, Child>,
    calls: BTreeMap<CallId, Pending>,
    n_calls: u64,
    timers: BTreeMap<TimerId, Timer>,
    events: VecDeque<Event>,
    ready: bool,
    start_failure: Option<Report>,
    exit: Option<ExitReason>,
}

impl SupervisorAgent {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            machine: None,
            handles: BTreeMap::new(),
            keys: BTreeMap::new(),
            newcomers: BTreeMap::new(),
            calls: BTreeMap::new(),
            n_calls: 0,
            timers: BTreeMap::new(),
            events: VecDeque::new(),
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
        for child in statics.iter_mut() {
            if let Static::Spec(spec) = child {
                let spec = spec.take().expect("invariant: a spec is taken once");
                let core = spec.core()?;
                let slot = shared.link.next_slot();
                let cell = spec.build(core.id.clone(), ctx.system(), shared.link.clone(), slot);
                *child = Static::Cell(core, slot, cell);
            }
            if let Static::Cell(core, ..) = child {
                specs.push(core.clone());
            }
        }
        let machine = Machine::new(shared.spec, specs, ctx.system().next_seed())?;
        let keys: Vec<ChildKey> = machine.children().map(|child| child.key).collect();
        for (key, child) in keys.into_iter().zip(statics.iter()) {
            if let Static::Cell(_, slot, cell) = child {
                self.adopt(key, *slot, cell.clone());
            }
        }
        drop(statics);
        self.machine = Some(machine);
        Ok(())
    }

    fn adopt(&mut self, key: ChildKey, slot: Slot, cell: CellRef) {
        self.shared.link.insert(slot, cell.clone());
        self.keys.insert(slot, key);
        let handle =
            Handle { slot, cell, machine_incarnation: 0, cell_incarnation: 0, started: false };
        self.handles.insert(key, handle);
    }

    /// A message as an event; `None` when it is of a life that is over.
    fn event(&mut self, message: Msg) -> Option<Event> {
        match message {
            Msg::Started { slot, incarnation, start } => {
                let key = *self.keys.get(&slot)?;
                let handle = self.handles.get_mut(&key)?;
                (handle.cell_incarnation == incarnation).then_some(())?;
                let incarnation = handle.machine_incarnation;
                Some(match start {
                    Start::Running => {
                        handle.started = true;
                        Event::ChildStarted { key, incarnation }
                    }
                    Start::Ignored => Event::ChildIgnored { key, incarnation },
                })
            }
            Msg::Exited { slot, incarnation, reason } => {
                let key = *self.keys.get(&slot)?;
                let handle = self.handles.get(&key)?;
                (handle.cell_incarnation == incarnation).then_some(())?;
                let incarnation = handle.machine_incarnation;
                Some(if handle.started {
                    Event::ChildExited { key, incarnation, reason }
                } else {
                    Event::ChildStartFailed { key, incarnation, reason }
                })
            }
            Msg::Timer(timer) => {
                self.timers.remove(&timer);
                Some(Event::TimerFired { timer })
            }
            Msg::Call { request, child, reply } => {
                self.n_calls += 1;
                let call = CallId(self.n_calls);
                let stops = match &request {
                    Request::Stop(id) => Some(id.clone()),
                    _ => None,
                };
                self.calls.insert(call, Pending { reply, stops });
                if let Some(child) = child {
                    self.newcomers.insert(call, child);
                }
                Some(Event::Call { call, request })
            }
        }
    }

    fn take(&mut self, message: Msg, ctx: &mut Context<Self>) {
        if let Some(event) = self.event(message) {
            self.feed(event, ctx);
        }
    }

    /// Lets the machine decide about `event`, and about what its commands bring up at once.
    fn feed(&mut self, event: Event, ctx: &mut Context<Self>) {
        self.events.push_back(event);
        let mut commands = Vec::new();
        while let Some(event) = self.events.pop_front() {
            let touched = child_of(&event);
            if let Some(machine) = &mut self.machine {
                machine.handle(event, ctx.system().clock().now(), &mut commands);
            }
            self.obey_all(&mut commands, ctx);
            if let Some(key) = touched {
                self.retire_if_stopped(key, ctx);
            }
        }
    }

    fn obey_all(&mut self, commands: &mut Vec<Command>, ctx: &mut Context<Self>) {
        let mut index = 0;
        while index < commands.len() {
            let command = commands[index].clone();
            index += 1;
            if let Command::CheckHealth = command {
                self.check_health(commands, ctx);
            } else {
                self.obey(command, ctx);
            }
        }
        commands.clear();
    }

    fn obey(&mut self, command: Command, ctx: &mut Context<Self>) {
        match command {
            Command::ChildAdded { call, key } => {
                if let Some(child) = self.newcomers.remove(&call) {
                    self.add(key, child, ctx);
                }
            }
            Command::StartChild { key, incarnation } => self.start_child(key, incarnation, ctx),
            Command::StopChild { key, shutdown, .. } => self.stop_child(key, shutdown),
            Command::KillChild { key, .. } => {
                if let Some(handle) = self.handles.get(&key) {
                    request_kill(&handle.cell);
                }
            }
            Command::ForgetChild { key } => {
                if let Some(handle) = self.handles.remove(&key) {
                    self.keys.remove(&handle.slot);
                    self.shared.link.remove(handle.slot);
                    ctx.system().retire(&handle.cell, Reason::Ended);
                }
            }
            Command::ArmTimer { timer, after } => {
                let armed = ctx.send_on_lane_after(Lane::Priority, after, Msg::Timer(timer));
                if let Some(earlier) = self.timers.insert(timer, armed) {
                    earlier.cancel();
                }
            }
            Command::CancelTimer { timer } => {
                if let Some(timer) = self.timers.remove(&timer) {
                    timer.cancel();
                }
            }
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

    fn add(&mut self, key: ChildKey, child: Child, ctx: &Context<Self>) {
        let id = self.machine.as_ref().and_then(|machine| machine.child(key)).map(|child| child.id);
        let Some(id) = id else { return };
        let slot = self.shared.link.next_slot();
        let cell = child.build(id, ctx.system(), self.shared.link.clone(), slot);
        self.adopt(key, slot, cell);
    }

    fn start_child(&mut self, key: ChildKey, incarnation: u64, ctx: &Context<Self>) {
        let Some(handle) = self.handles.get_mut(&key) else { return };
        handle.machine_incarnation = incarnation;
        handle.cell_incarnation = handle.cell.header().incarnation() + 1;
        handle.started = false;
        self.shared.link.begins(handle.slot);
        if let Err(error) = ctx.system().begin(&handle.cell) {
            self.shared.link.is_over(handle.slot);
            let reason = ExitReason::StartFailed(error.into());
            self.events.push_back(Event::ChildStartFailed { key, incarnation, reason });
        }
    }

    fn stop_child(&self, key: ChildKey, shutdown: Shutdown) {
        let Some(handle) = self.handles.get(&key) else { return };
        if shutdown == Shutdown::Kill {
            request_kill(&handle.cell);
        } else {
            handle.cell.header().raise(control::SHUTDOWN);
            handle.cell.wake();
        }
    }

    fn answer(&mut self, call: CallId, answer: Result<Answer, CallError>, ctx: &Context<Self>) {
        self.newcomers.remove(&call);
        let Some(Pending { reply, stops }) = self.calls.remove(&call) else { return };
        // No event of a child says so when the stop called off a restart.
        let stopped =
            self.machine.as_ref().zip(stops).and_then(|(machine, id)| machine.by_id(id.as_str()));
        if let Some(child) = stopped {
            self.retire_if_stopped(child.key, ctx);
        }
        reply.send(answer.map(|answer| {
            let cell = match &answer {
                Answer::Started { key, .. } => {
                    self.handles.get(key).map(|handle| handle.cell.clone())
                }
                _ => None,
            };
            Done { answer, cell }
        }));
    }

    /// A child that ended and is not to be started again is gone for good: its id is free (G2), what
    /// is queued becomes dead letters.
    fn retire_if_stopped(&self, key: ChildKey, ctx: &Context<Self>) {
        let Some(handle) = self.handles.get(&key) else { return };
        let child = self.machine.as_ref().and_then(|machine| machine.child(key));
        if child.is_some_and(|child| child.state == ChildState::Stopped) {
            ctx.system().retire(&handle.cell, Reason::Ended);
        }
    }

    fn check_health(&mut self, commands: &mut Vec<Command>, ctx: &Context<Self>) {
        let at_work = self.shared.link.check_suspects();
        let keys = &self.keys;
        let mut busy =
            at_work.into_iter().filter_map(|(slot, vital)| Some((*keys.get(&slot)?, vital)));
        if let Some(machine) = &mut self.machine {
            machine.check_health(ctx.system().clock().now(), &mut busy, commands);
        }
    }

    /// Converses with the machine until it has ended.
    async fn wind_down(&mut self, reason: ExitReason, ctx: &mut Context<Self>) {
        self.feed(Event::Stop { reason }, ctx);
        while self.exit.is_none() {
            let Some(message) = ctx.inbox(false).await else { break };
            self.take(message, ctx);
        }
    }
}

/// The child that an event is about.
fn child_of(event: &Event) -> Option<ChildKey> {
    match event {
        Event::ChildStarted { key, .. }
        | Event::ChildIgnored { key, .. }
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
        self.feed(Event::Start, ctx);
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
