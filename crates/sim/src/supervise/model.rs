//! A supervisor written a second time, naively: lists, linear searches, and a to-do list.
//!
//! A straight reading of the semantics: whatever must be done one after the other (start, group
//! restart, end) is written down in full as a to-do list; what comes meanwhile goes to the mail; all
//! restarts ever made are kept and counted anew each time. Slow, and hard to get wrong.

mod calls;

use std::collections::VecDeque;
use std::time::Duration;

use ggml_agent_core::ExitReason;
use ggml_agent_core::supervise::{
    AutoShutdown, CallError, CallId, ChildSpec, Children, Event, Request, Restart, Shutdown,
    Strategy, SupervisorSpec, TimerId, Vital,
};

use super::order::{Order, Reply, Timer};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Why {
    Boot,
    Alone,
    Group,
    Call(CallId, bool),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Life {
    Down,
    Held,
    Retry { timer: bool },
    Dead,
    Begin(Why),
    Up(Duration),
    Told { killed: bool, timer: bool, sick: bool },
}

#[derive(Debug)]
struct Kid {
    key: u64,
    spec: ChildSpec,
    inc: u64,
    fails: i32,
    life: Life,
    calls: Vec<CallId>,
}

impl Kid {
    fn live(&self) -> bool {
        matches!(self.life, Life::Begin(_) | Life::Up(_) | Life::Told { .. })
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Todo {
    Down(u64),
    Up(u64),
    Ready,
    Finish,
}

#[derive(Debug)]
enum Mail {
    Exit(u64, u64, ExitReason),
    Again(u64, u64),
    Attempt(u64, u64),
    Call(CallId, Request),
}

#[derive(Debug, Clone, PartialEq)]
enum Mode {
    New,
    Boot,
    Up,
    Down(Order),
    Gone,
}

#[derive(Debug)]
pub(super) struct Model {
    spec: SupervisorSpec,
    kids: Vec<Kid>,
    next: u64,
    restarts: Vec<Duration>,
    todo: VecDeque<Todo>,
    mail: VecDeque<Mail>,
    mode: Mode,
    now: Duration,
    seen: Vec<(u64, u64, u64, Duration)>,
    out: Vec<Order>,
}

impl Model {
    pub(super) fn new(spec: SupervisorSpec, children: &[ChildSpec]) -> Self {
        let mut model = Self {
            spec,
            kids: vec![],
            next: 0,
            restarts: vec![],
            todo: VecDeque::new(),
            mail: VecDeque::new(),
            mode: Mode::New,
            now: Duration::ZERO,
            seen: vec![],
            out: vec![],
        };
        for child in children {
            model.add(child.clone());
        }
        model
    }

    fn add(&mut self, spec: ChildSpec) -> u64 {
        let key = self.next;
        self.next += 1;
        self.kids.push(Kid { key, spec, inc: 0, fails: 0, life: Life::Down, calls: vec![] });
        key
    }

    fn at(&mut self, key: u64) -> Option<&mut Kid> {
        self.kids.iter_mut().find(|kid| kid.key == key)
    }

    fn life(&self, key: u64, inc: u64) -> Option<Life> {
        self.kids.iter().find(|kid| kid.key == key && kid.inc == inc).map(|kid| kid.life)
    }

    fn set(&mut self, key: u64, life: Life) {
        if let Some(kid) = self.at(key) {
            kid.life = life;
        }
    }

    pub(super) fn handle(&mut self, event: Event, now: Duration) -> Vec<Order> {
        self.now = now;
        match event {
            Event::Start if self.mode == Mode::New => {
                self.mode = Mode::Boot;
                self.todo = self.kids.iter().map(|kid| Todo::Up(kid.key)).collect();
                self.todo.push_back(Todo::Ready);
            }
            Event::Start => {}
            Event::ChildStarted { key, incarnation } => self.started(key.get(), incarnation),
            Event::ChildIgnored { key, incarnation } => self.ignored(key.get(), incarnation),
            Event::ChildStartFailed { key, incarnation, reason } => {
                self.failed(key.get(), incarnation, reason);
            }
            Event::ChildExited { key, incarnation, reason } => {
                self.exited(key.get(), incarnation, reason);
            }
            Event::TimerFired { timer } => self.timer(timer),
            Event::Call { call, request } => self.call(call, request),
            Event::Stop { reason } => self.stop(reason),
        }
        self.work();
        std::mem::take(&mut self.out)
    }

    /// Does the to-do list as far as it goes, then the mail.
    fn work(&mut self) {
        loop {
            while let Some(todo) = self.todo.front().copied() {
                if !self.step(todo) {
                    return;
                }
                self.todo.pop_front();
            }
            if self.mode != Mode::Up {
                return;
            }
            match self.mail.pop_front() {
                None => return,
                Some(Mail::Exit(key, inc, reason)) if self.life(key, inc) == Some(Life::Dead) => {
                    self.decide(key, &reason);
                }
                Some(Mail::Again(key, inc))
                    if self.life(key, inc) == Some(Life::Retry { timer: false }) =>
                {
                    self.restart(key);
                }
                Some(Mail::Attempt(key, inc))
                    if self.life(key, inc) == Some(Life::Retry { timer: true }) =>
                {
                    self.attempt(key);
                }
                Some(Mail::Call(call, request)) => self.perform(call, request),
                Some(_) => {}
            }
        }
    }

    /// Whether this point of the list is done.
    fn step(&mut self, todo: Todo) -> bool {
        match todo {
            Todo::Ready => {
                self.mode = Mode::Up;
                self.out.push(Order::Ready);
                true
            }
            Todo::Finish => {
                if self.kids.iter().any(Kid::live) {
                    return false;
                }
                if let Mode::Down(last) = std::mem::replace(&mut self.mode, Mode::Gone) {
                    self.out.push(last);
                }
                self.kids.iter_mut().for_each(|kid| kid.life = Life::Down);
                true
            }
            Todo::Down(key) => {
                let Some(kid) = self.at(key) else { return true };
                match kid.life {
                    Life::Told { sick: false, .. } => false,
                    _ if kid.live() => {
                        self.tell(key, None);
                        false
                    }
                    _ => {
                        self.lay(key);
                        true
                    }
                }
            }
            Todo::Up(key) => {
                let boot = self.mode == Mode::Boot;
                let Some(kid) = self.at(key) else { return true };
                match kid.life {
                    Life::Held => self.begin(key, Why::Group),
                    Life::Down if boot && kid.inc == 0 => self.begin(key, Why::Boot),
                    Life::Begin(Why::Boot | Why::Group) => {}
                    _ => return true,
                }
                false
            }
        }
    }

    /// A child that is down while all or its group are taken down.
    fn lay(&mut self, key: u64) {
        if matches!(self.mode, Mode::Down(_)) {
            self.set(key, Life::Down);
        } else if self.at(key).is_some_and(|kid| kid.spec.restart == Restart::Temporary) {
            self.forget(key);
        } else {
            self.set(key, Life::Held);
        }
    }

    fn begin(&mut self, key: u64, why: Why) {
        let Some(kid) = self.at(key) else { return };
        kid.inc += 1;
        kid.life = Life::Begin(why);
        let inc = kid.inc;
        self.out.push(Order::Start(key, inc));
    }

    fn forget(&mut self, key: u64) {
        self.kids.retain(|kid| kid.key != key);
        self.out.push(Order::Forget(key));
    }

    fn settle(&mut self, key: u64) {
        let dynamic = self.spec.children == Children::Dynamic;
        match self.at(key) {
            Some(kid) if dynamic || kid.spec.restart == Restart::Temporary => self.forget(key),
            Some(kid) => kid.life = Life::Down,
            None => {}
        }
    }

    fn started(&mut self, key: u64, inc: u64) {
        if let Some(Life::Begin(why)) = self.life(key, inc) {
            self.set(key, Life::Up(self.now));
            if let Why::Call(call, _) = why {
                self.out.push(Order::Answer(call, Reply::Started(key, inc)));
            }
        }
    }

    fn ignored(&mut self, key: u64, inc: u64) {
        match self.life(key, inc) {
            Some(Life::Begin(why)) => {
                self.settle(key);
                if let Why::Call(call, _) = why {
                    self.out.push(Order::Answer(call, Reply::Ignored(key)));
                }
            }
            Some(Life::Told { .. }) => self.gone(key),
            _ => {}
        }
    }

    fn failed(&mut self, key: u64, inc: u64, reason: ExitReason) {
        let why = match self.life(key, inc) {
            Some(Life::Begin(why)) => why,
            Some(Life::Told { .. }) => return self.gone(key),
            _ => return,
        };
        let Some(id) = self.at(key).map(|kid| kid.spec.id.clone()) else { return };
        if let Why::Call(call, fresh) = why {
            if fresh {
                self.forget(key);
            } else {
                self.settle(key);
            }
            let error = CallError::StartFailed { id, reason };
            self.out.push(Order::Answer(call, Reply::Refused(error)));
        } else if matches!(self.mode, Mode::Down(_)) {
            self.set(key, Life::Down);
        } else if why == Why::Boot {
            self.set(key, Life::Down);
            self.end(Order::StartFailed(id.to_string()));
        } else {
            self.set(key, Life::Retry { timer: false });
            if why == Why::Group {
                self.todo.clear();
            }
            self.mail.push_back(Mail::Again(key, inc));
        }
    }

    fn exited(&mut self, key: u64, inc: u64, reason: ExitReason) {
        match self.life(key, inc) {
            Some(Life::Begin(_)) => self.failed(key, inc, reason),
            Some(Life::Told { sick: false, .. }) => self.gone(key),
            Some(Life::Told { .. }) => self.died(key, inc, ExitReason::Unresponsive),
            Some(Life::Up(since)) => {
                self.forgive(key, since);
                self.died(key, inc, reason);
            }
            _ => {}
        }
    }

    fn forgive(&mut self, key: u64, since: Duration) {
        let now = self.now;
        if let Some(kid) = self.at(key)
            && kid.spec.backoff.as_ref().is_some_and(|b| now >= since + b.healthy_for)
        {
            kid.fails = 0;
        }
    }

    fn died(&mut self, key: u64, inc: u64, reason: ExitReason) {
        self.set(key, Life::Dead);
        if self.todo.contains(&Todo::Down(key)) {
            self.lay(key);
        } else if matches!(self.mode, Mode::Down(_)) {
            self.set(key, Life::Down);
        } else if self.todo.is_empty() {
            self.decide(key, &reason);
        } else {
            self.mail.push_back(Mail::Exit(key, inc, reason));
        }
    }

    /// A child that was told to stop is gone.
    fn gone(&mut self, key: u64) {
        let calls = self.at(key).map(|kid| std::mem::take(&mut kid.calls)).unwrap_or_default();
        for call in calls {
            self.out.push(Order::Answer(call, Reply::Stopped));
        }
        if self.todo.contains(&Todo::Down(key)) || matches!(self.mode, Mode::Down(_)) {
            self.lay(key);
        } else {
            self.settle(key);
        }
    }

    fn decide(&mut self, key: u64, reason: &ExitReason) {
        let Some(kid) = self.at(key) else { return };
        let clean = matches!(
            reason,
            ExitReason::Normal | ExitReason::Shutdown | ExitReason::ShutdownWith(_)
        );
        match kid.spec.restart {
            Restart::Permanent => return self.restart(key),
            Restart::Transient if !clean => return self.restart(key),
            Restart::Transient | Restart::Temporary => {}
        }
        let significant = kid.spec.significant;
        self.settle(key);
        let left = self.kids.iter().any(|k| k.spec.significant && k.life != Life::Down);
        let ends = match self.spec.auto_shutdown {
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => significant,
            AutoShutdown::AllSignificant => significant && !left,
        };
        if ends {
            self.end(Order::Exit(ExitReason::Shutdown));
        }
    }

    fn restart(&mut self, key: u64) {
        let (now, period) = (self.now, self.spec.period);
        self.restarts.push(now);
        let recent = self.restarts.iter().filter(|at| **at + period > now).count();
        if recent > self.spec.restarts_max as usize {
            return self.end(Order::Exit(ExitReason::Shutdown));
        }
        let Some(kid) = self.at(key) else { return };
        let Some(backoff) = kid.spec.backoff.clone() else { return self.attempt(key) };
        // The world gives no jitter, so that the wait can be told without the machine's own seed.
        let mut wait = backoff.initial;
        for _ in 0..kid.fails {
            wait = wait.mul_f64(backoff.multiplier).min(backoff.max);
        }
        kid.fails += 1;
        kid.life = Life::Retry { timer: true };
        let timer = Timer::Backoff(key, kid.inc);
        self.out.push(Order::Arm(timer, wait.min(backoff.max)));
    }

    fn attempt(&mut self, key: u64) {
        let from = match self.spec.strategy {
            Strategy::OneForOne => return self.begin(key, Why::Alone),
            Strategy::OneForAll => 0,
            Strategy::RestForOne => key,
        };
        self.set(key, Life::Held);
        let group: Vec<u64> = self.kids.iter().map(|k| k.key).filter(|k| *k >= from).collect();
        let down = group.iter().rev().map(|k| Todo::Down(*k));
        self.todo = down.chain(group.iter().map(|k| Todo::Up(*k))).collect();
    }

    fn tell(&mut self, key: u64, shutdown: Option<Shutdown>) {
        let Some(kid) = self.at(key) else { return };
        let inc = kid.inc;
        let how = shutdown.unwrap_or(kid.spec.shutdown);
        match kid.life {
            Life::Told { killed, timer, .. } => {
                let kill = shutdown == Some(Shutdown::Kill) && !killed;
                kid.life =
                    Life::Told { killed: killed || kill, timer: timer && !kill, sick: false };
                if kill {
                    self.out.push(Order::Kill(key, inc));
                }
                return;
            }
            Life::Begin(Why::Call(call, _)) => {
                let error = CallError::Interrupted { id: kid.spec.id.clone() };
                self.out.push(Order::Answer(call, Reply::Refused(error)));
            }
            _ => {}
        }
        let (timer, killed) = (matches!(how, Shutdown::Timeout(_)), how == Shutdown::Kill);
        self.set(key, Life::Told { killed, timer, sick: false });
        if killed {
            self.out.push(Order::Kill(key, inc));
            return;
        }
        self.out.push(Order::Stop(key, inc));
        if let Shutdown::Timeout(time) = how {
            self.out.push(Order::Arm(Timer::Kill(key, inc), time));
        }
    }

    fn end(&mut self, last: Order) {
        for mail in std::mem::take(&mut self.mail) {
            if let Mail::Call(call, _) = mail {
                self.out.push(Order::Answer(call, Reply::Refused(CallError::Stopping)));
            }
        }
        self.mode = Mode::Down(last);
        self.todo.clear();
        if self.spec.children == Children::Static {
            self.todo = self.kids.iter().rev().map(|kid| Todo::Down(kid.key)).collect();
        } else {
            self.tell_crowd();
        }
        self.todo.push_back(Todo::Finish);
    }

    fn tell_crowd(&mut self) {
        let mut deadline = None;
        for key in self.kids.iter().map(|kid| kid.key).collect::<Vec<_>>() {
            let Some(kid) = self.at(key) else { continue };
            match (kid.live(), kid.life, kid.spec.shutdown) {
                (false, ..) => kid.life = Life::Down,
                (true, Life::Up(_) | Life::Begin(_), Shutdown::Timeout(time)) => {
                    deadline = deadline.max(Some(time));
                    // For ever, as far as its own clock goes: the deadline is shared.
                    self.tell(key, Some(Shutdown::Forever));
                }
                (true, ..) => self.tell(key, None),
            }
        }
        if let Some(deadline) = deadline {
            self.out.push(Order::Arm(Timer::Deadline, deadline));
        }
    }

    fn stop(&mut self, reason: ExitReason) {
        let killed = reason == ExitReason::Killed;
        if self.mode == Mode::Gone {
            return;
        }
        if !matches!(self.mode, Mode::Down(_)) {
            if !killed {
                return self.end(Order::Exit(reason));
            }
            for mail in std::mem::take(&mut self.mail) {
                if let Mail::Call(call, _) = mail {
                    self.out.push(Order::Answer(call, Reply::Refused(CallError::Stopping)));
                }
            }
            self.mode = Mode::Down(Order::Exit(reason));
        }
        if killed {
            self.todo = [Todo::Finish].into();
            for key in self.kids.iter().map(|kid| kid.key).collect::<Vec<_>>() {
                if self.at(key).is_some_and(|kid| kid.live()) {
                    self.tell(key, Some(Shutdown::Kill));
                } else {
                    self.set(key, Life::Down);
                }
            }
        }
    }

    fn timer(&mut self, timer: TimerId) {
        match timer {
            TimerId::Health => {}
            TimerId::Deadline => {
                for kid in &mut self.kids {
                    if let (Life::Told { killed: false, .. }, Shutdown::Timeout(_)) =
                        (kid.life, kid.spec.shutdown)
                    {
                        kid.life = Life::Told { killed: true, timer: false, sick: false };
                        self.out.push(Order::Kill(kid.key, kid.inc));
                    }
                }
            }
            TimerId::Kill(key, inc) => {
                let key = key.get();
                if let Some(Life::Told { timer: true, .. }) = self.life(key, inc) {
                    self.set(key, Life::Told { killed: true, timer: false, sick: false });
                    self.out.push(Order::Kill(key, inc));
                }
            }
            TimerId::Backoff(key, inc) => {
                let key = key.get();
                if self.life(key, inc) == Some(Life::Retry { timer: true }) {
                    self.mail.push_back(Mail::Attempt(key, inc));
                }
            }
        }
    }

    pub(super) fn check(&mut self, now: Duration, busy: &[(u64, Vital)]) -> Vec<Order> {
        self.now = now;
        // Checks begin when the supervisor's start has returned, and stop when it ends.
        if self.mode != Mode::Up {
            return vec![];
        }
        let before = std::mem::take(&mut self.seen);
        for (key, vital) in busy {
            let default = self.spec.heartbeat_timeout;
            let Some(kid) = self.at(*key) else { continue };
            let Life::Up(up) = kid.life else { continue };
            if vital.protected {
                continue;
            }
            let (inc, timeout) = (kid.inc, kid.spec.heartbeat_timeout.unwrap_or(default));
            let same = before.iter().find(|s| (s.0, s.1, s.2) == (*key, inc, vital.progress));
            let since = same.map_or(now, |s| s.3);
            if now > since && now >= since + timeout {
                self.forgive(*key, up);
                self.set(*key, Life::Told { killed: true, timer: false, sick: true });
                self.out.push(Order::Kill(*key, inc));
            } else {
                self.seen.push((*key, inc, vital.progress, since));
            }
        }
        std::mem::take(&mut self.out)
    }
}
