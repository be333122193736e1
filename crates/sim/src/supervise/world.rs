//! A world of children that start, fail, hang, end, and cross messages with their supervisor.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use ggml_agent_core::supervise::{
    AutoShutdown, Backoff, CallId, ChildKey, ChildSpec, Children, Command, Decision, Event,
    Machine, Request, Restart, Shutdown, Strategy, SupervisorSpec, TimerId, Vital,
};
use ggml_agent_core::{AgentId, ExitReason, Report};

use super::model::Model;
use super::order::{Order, order};
use crate::rng::Rng;

/// What one run did.
#[derive(Debug)]
pub struct Outcome {
    /// Events and health checks that the machine handled.
    pub n_events: u64,
    /// Everything that went in and came out, in order.
    pub trace: String,
    /// The first disagreement or broken invariant.
    pub failure: Option<String>,
}

/// Whether a run keeps its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trace {
    /// Only that it happened.
    Drop,
    /// All of it.
    Keep,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Life {
    Beginning,
    Running,
    Told,
    Killed,
}

struct World {
    rng: Rng,
    spec: SupervisorSpec,
    machine: Machine,
    model: Model,
    now: Duration,
    live: BTreeMap<ChildKey, (u64, Life)>,
    timers: BTreeMap<TimerId, Duration>,
    /// Cancelled timers and ended incarnations, whose messages may still arrive.
    late: Vec<Event>,
    open: BTreeSet<CallId>,
    restarts: Vec<Duration>,
    ended: bool,
    check_due: bool,
    n_calls: u64,
    n_events: u64,
    trace: Option<String>,
    failure: Option<String>,
}

/// One supervisor's whole life from `seed`: about `n_steps` random events, then its stop.
///
/// Holds S1 to S34 against the naive model, and each of the world's own invariants.
#[must_use]
pub fn run(seed: u64, n_steps: u32, trace: Trace) -> Outcome {
    let mut world = World::new(seed, trace);
    if world.rng.chance(98) {
        world.event(Event::Start);
    }
    let mut left = n_steps;
    while left > 0 && !world.ended && world.failure.is_none() {
        left -= 1;
        world.random_step();
    }
    world.wind_down();
    Outcome {
        n_events: world.n_events,
        trace: world.trace.unwrap_or_default(),
        failure: world.failure,
    }
}

fn ms(n: usize) -> Duration {
    Duration::from_millis(u64::try_from(n).unwrap_or(0))
}

fn random_child(rng: &mut Rng, spec: &SupervisorSpec, name: usize) -> ChildSpec {
    let id = AgentId::new(format!("c{name}")).expect("invariant: a short name is an id");
    let make = if rng.chance(80) { ChildSpec::worker } else { ChildSpec::supervisor };
    let kinds = [Restart::Permanent, Restart::Permanent, Restart::Transient, Restart::Temporary];
    let mut child = make(id).restart(rng.pick(&kinds));
    match rng.below(6) {
        0 => child.shutdown = Shutdown::Kill,
        1 => child.shutdown = Shutdown::Forever,
        2 | 3 => child.shutdown = Shutdown::Timeout(ms(rng.below(4_000))),
        _ => {}
    }
    let may = child.restart != Restart::Permanent && spec.auto_shutdown != AutoShutdown::Never;
    child.significant = may && rng.chance(60);
    if rng.chance(25) {
        child = child.backoff(Backoff {
            initial: ms(rng.below(500)),
            multiplier: 2.0,
            max: ms(3_000),
            jitter: 0.0,
            healthy_for: ms(5_000),
        });
    }
    if rng.chance(10) {
        child = child.heartbeat_timeout(ms(1_500));
    }
    child
}

fn random_reason(rng: &mut Rng) -> ExitReason {
    let report = || Report::msg("boom");
    match rng.below(10) {
        0 | 1 => ExitReason::Normal,
        2 => ExitReason::Shutdown,
        3 => ExitReason::ShutdownWith(report()),
        4 => ExitReason::Panic(report()),
        5 => ExitReason::Killed,
        _ => ExitReason::Error(report()),
    }
}

impl World {
    fn new(seed: u64, trace: Trace) -> Self {
        let mut rng = Rng::new(seed);
        let strategies = [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne];
        let autos =
            [AutoShutdown::Never, AutoShutdown::AnySignificant, AutoShutdown::AllSignificant];
        let mut spec = SupervisorSpec {
            strategy: rng.pick(&strategies),
            restarts_max: rng.pick(&[0, 1, 3, 10, 100, 100, 1_000]),
            period: ms(rng.pick(&[1, 100, 1_000, 5_000, 60_000])),
            auto_shutdown: rng.pick(&autos),
            ..SupervisorSpec::DEFAULT
        };
        if spec.strategy == Strategy::OneForOne && rng.chance(30) {
            spec.children = Children::Dynamic;
        }
        let n_children = rng.below(7);
        let children: Vec<_> = (0..n_children).map(|n| random_child(&mut rng, &spec, n)).collect();
        let model = Model::new(spec, &children);
        let machine =
            Machine::new(spec, children, seed).expect("invariant: the world makes good specs");
        let trace = (trace == Trace::Keep).then(|| format!("{spec:?}\n"));
        Self {
            rng,
            spec,
            machine,
            model,
            now: Duration::ZERO,
            live: BTreeMap::new(),
            timers: BTreeMap::new(),
            late: Vec::new(),
            open: BTreeSet::new(),
            restarts: Vec::new(),
            ended: false,
            check_due: false,
            n_calls: 0,
            n_events: 0,
            trace,
            failure: None,
        }
    }

    fn random_step(&mut self) {
        if self.rng.chance(30) {
            self.now += ms(self.rng.below(300));
        }
        match self.rng.below(1_000) {
            0..350 => self.settle_one(),
            350..550 => self.end_one(),
            550..720 => self.fire_timer(),
            720..890 => self.random_call(),
            890..940 => self.check_health(),
            940..998 => self.late_message(),
            998 => self.event(Event::Stop { reason: ExitReason::Shutdown }),
            _ => self.event(Event::Stop { reason: ExitReason::Killed }),
        }
    }

    /// Some child in one of these lives.
    fn some(&mut self, lives: &[Life]) -> Option<(ChildKey, u64, Life)> {
        let fit = self.live.iter().filter(|(_, (_, life))| lives.contains(life));
        let fit: Vec<_> = fit.map(|(key, (n, life))| (*key, *n, *life)).collect();
        if fit.is_empty() { None } else { Some(self.rng.pick(&fit)) }
    }

    /// A start or a stop that was ordered comes to its end.
    fn settle_one(&mut self) {
        let open = [Life::Beginning, Life::Told, Life::Killed];
        let Some((key, incarnation, life)) = self.some(&open) else { return };
        if life != Life::Beginning {
            // A child that was told to stop may answer its start first: the two cross.
            if life == Life::Told && self.rng.chance(10) {
                self.event(Event::ChildStarted { key, incarnation });
                return;
            }
            self.live.remove(&key);
            let reason =
                if life == Life::Killed { ExitReason::Killed } else { ExitReason::Shutdown };
            let event = match self.rng.below(20) {
                0 => Event::ChildIgnored { key, incarnation },
                1 => Event::ChildStartFailed { key, incarnation, reason },
                _ => Event::ChildExited { key, incarnation, reason },
            };
            self.event(event);
            return;
        }
        let reason = ExitReason::StartFailed(Report::msg("no"));
        match self.rng.below(20) {
            0 => {
                self.live.remove(&key);
                self.event(Event::ChildIgnored { key, incarnation });
            }
            1..=3 => {
                self.live.remove(&key);
                self.event(Event::ChildStartFailed { key, incarnation, reason });
            }
            4 => {
                self.live.remove(&key);
                self.event(Event::ChildExited { key, incarnation, reason });
            }
            _ => {
                self.live.insert(key, (incarnation, Life::Running));
                self.event(Event::ChildStarted { key, incarnation });
            }
        }
    }

    fn end_one(&mut self) {
        let Some((key, incarnation, _)) = self.some(&[Life::Running]) else { return };
        self.live.remove(&key);
        let reason = random_reason(&mut self.rng);
        let event = Event::ChildExited { key, incarnation, reason };
        if self.rng.chance(20) {
            self.late.push(event.clone());
        }
        self.event(event);
    }

    fn fire_timer(&mut self) {
        let Some((&timer, &at)) = self.timers.iter().min_by_key(|(_, at)| **at) else { return };
        self.timers.remove(&timer);
        self.now = self.now.max(at);
        self.event(Event::TimerFired { timer });
        if self.check_due && !self.ended {
            self.check_due = false;
            self.check_health();
        }
    }

    fn late_message(&mut self) {
        if self.late.is_empty() {
            return;
        }
        let at = self.rng.below(self.late.len());
        let event = self.late.swap_remove(at);
        self.event(event);
    }

    fn random_call(&mut self) {
        let name = self.rng.below(9);
        let id = AgentId::new(format!("c{name}")).expect("invariant: a short name is an id");
        let request = match self.rng.below(12) {
            0..=3 => {
                let mut child = random_child(&mut self.rng, &self.spec, name);
                child.significant |= self.rng.chance(5);
                Request::Start(child)
            }
            4..=6 => Request::Stop(id),
            7 | 8 => Request::Restart(id),
            9 => Request::Delete(id),
            10 => Request::List,
            _ => Request::Count,
        };
        self.n_calls += 1;
        let call = CallId(self.n_calls);
        self.open.insert(call);
        self.event(Event::Call { call, request });
    }

    fn check_health(&mut self) {
        let mut busy = Vec::new();
        let keys: Vec<_> = self.live.keys().copied().collect();
        for key in keys {
            // Few values: no progress is common, and so is a key that is busy time after time.
            let progress = u64::from(self.rng.chance(3));
            let protected = self.rng.chance(5);
            if self.rng.chance(80) {
                busy.push((key, Vital { progress, protected }));
            }
        }
        self.n_events += 1;
        self.note(&format!("{:?} check {busy:?}", self.now));
        let mut out = Vec::new();
        self.machine.check_health(self.now, &mut busy.iter().copied(), &mut out);
        let numbers: Vec<_> = busy.iter().map(|(key, vital)| (key.get(), *vital)).collect();
        let expected = self.model.check(self.now, &numbers);
        self.judge(&out, &expected);
        self.obey(out);
    }

    fn event(&mut self, event: Event) {
        self.n_events += 1;
        self.note(&format!("{:?} {event:?}", self.now));
        let mut out = Vec::new();
        self.machine.handle(event.clone(), self.now, &mut out);
        let expected = self.model.handle(event, self.now);
        self.judge(&out, &expected);
        self.obey(out);
    }

    fn note(&mut self, line: &str) {
        if let Some(trace) = &mut self.trace {
            writeln!(trace, "{line}").expect("invariant: a string takes all");
        }
    }

    fn judge(&mut self, out: &[Command], expected: &[Order]) {
        let actual: Vec<Order> = out.iter().filter_map(order).collect();
        if actual != expected {
            self.fail(format!("machine: {actual:?}\n  model: {expected:?}"));
        }
    }

    fn fail(&mut self, what: String) {
        self.note(&format!("FAILED {what}"));
        self.failure.get_or_insert(what);
    }

    fn demand(&mut self, holds: bool, what: &str) {
        if !holds {
            self.fail(what.to_string());
        }
    }

    fn obey(&mut self, out: Vec<Command>) {
        for command in out {
            self.note(&format!("    {command:?}"));
            let answers = matches!(command, Command::Answer { .. });
            self.demand(answers || !self.ended, "an order after the end");
            match command {
                Command::StartChild { key, incarnation } => {
                    let twin = self.live.insert(key, (incarnation, Life::Beginning));
                    self.demand(twin.is_none(), "two live incarnations of one child");
                }
                Command::StopChild { key, incarnation, .. } => {
                    self.mark(key, incarnation, Life::Told);
                }
                Command::KillChild { key, incarnation } => {
                    self.mark(key, incarnation, Life::Killed);
                }
                Command::ForgetChild { key } => {
                    self.demand(!self.live.contains_key(&key), "a live child was forgotten");
                }
                Command::ArmTimer { timer, after } => {
                    self.timers.insert(timer, self.now + after);
                }
                Command::CancelTimer { timer } => {
                    self.timers.remove(&timer);
                    self.late.push(Event::TimerFired { timer });
                }
                Command::CheckHealth => self.check_due = true,
                Command::Answer { call, .. } => {
                    let was_open = self.open.remove(&call);
                    self.demand(was_open, "an answer to no open call");
                }
                Command::Observe(Decision::Restarting { .. }) => self.count_restart(),
                Command::Exit { .. } | Command::StartFailed { .. } => {
                    self.demand(self.live.is_empty(), "a child outlives its supervisor");
                    self.demand(self.timers.is_empty(), "a timer outlives its supervisor");
                    self.ended = true;
                }
                _ => {}
            }
        }
    }

    fn mark(&mut self, key: ChildKey, incarnation: u64, life: Life) {
        let known = self.live.get(&key).is_some_and(|(n, _)| *n == incarnation);
        self.demand(known, "a stop or kill of what is not live");
        self.live.insert(key, (incarnation, life));
    }

    /// At most `restarts_max` restarts in any period, by the world's own count.
    fn count_restart(&mut self) {
        self.restarts.push(self.now);
        let (now, period) = (self.now, self.spec.period);
        let recent = self.restarts.iter().rev().take_while(|at| **at + period > now).count();
        self.demand(recent <= self.spec.restarts_max as usize, "too many restarts in a period");
    }

    /// The parent stops the supervisor: everything must end, whatever it was doing.
    fn wind_down(&mut self) {
        if !self.ended {
            self.event(Event::Stop { reason: ExitReason::Shutdown });
        }
        for _ in 0..10_000 {
            if self.ended || self.failure.is_some() {
                break;
            }
            self.settle_one();
        }
        self.demand(self.ended, "the supervisor never ends");
        for _ in 0..5 {
            self.random_call();
            self.late_message();
        }
        self.event(Event::Start);
        self.demand(self.open.is_empty(), "a call was never answered");
    }
}
