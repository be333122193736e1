//! `ggml-agent demo breaker`: a circuit breaker goes CLOSED, OPEN, HALF_OPEN, CLOSED.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use ggml_agent::core::breaker::{Breaker, Options, State, Transition};
use ggml_agent::core::retry::{Options as RetryOptions, Policy};
use ggml_agent::{Agent, AskError, ChildSpec, Context, EventKind, Guarded, Reply, Report, System};

use super::narrate::{Narrator, line, missed};
use super::{Checks, head, pause};
use crate::failure::Failure;
use crate::output::Screen;

/// How long OPEN refuses every call here; 30 s by default.
const OPEN_TIMEOUT: Duration = Duration::from_millis(300);

/// A model server that can be out of order.
struct Backend {
    is_up: bool,
    n_calls: u64,
}

enum Msg {
    /// A call; while the backend is down it gets no answer.
    Call(Reply<u64>),
    /// Repairs or breaks it.
    SetUp(bool),
    /// How many calls have reached it.
    Calls(Reply<u64>),
}

impl Agent for Backend {
    type Msg = Msg;
    type Error = Report;

    async fn handle(&mut self, msg: Msg, _ctx: &mut Context<Self>) -> Result<(), Report> {
        match msg {
            Msg::Call(reply) => {
                self.n_calls += 1;
                if self.is_up {
                    reply.send(self.n_calls);
                }
            }
            Msg::SetUp(is_up) => self.is_up = is_up,
            Msg::Calls(reply) => reply.send(self.n_calls),
        }
        Ok(())
    }
}

/// The demo's script.
struct Script<'a> {
    system: &'a System,
    narrator: Narrator<'a>,
    breaker: Arc<Breaker>,
    guarded: Guarded<Backend>,
    n_ok: u64,
    n_failed: u64,
    n_refused: u64,
    transitions: Vec<Transition>,
}

impl Script<'_> {
    /// Makes calls through the breaker, and says how each ended.
    async fn call(&mut self, times: u32) -> Result<(), Failure> {
        for _ in 0..times {
            let answer = self.guarded.ask(Msg::Call).await;
            self.drain()?;
            let text = match &answer {
                Ok(_) => {
                    self.n_ok += 1;
                    "call answered".to_owned()
                }
                Err(error) => match error.failure() {
                    Some(cause @ AskError::NoReply) => {
                        self.n_failed += 1;
                        format!("call FAILED: {cause}")
                    }
                    Some(cause) => format!("call FAILED in another way: {cause}"),
                    None => {
                        self.n_refused += 1;
                        let left = self.breaker.snapshot(self.system.clock().now()).time_left;
                        let left = crate::period::say(left);
                        format!("call REFUSED at once, the breaker is OPEN for another {left}")
                    }
                },
            };
            self.say("caller", &text);
        }
        Ok(())
    }

    /// Prints what the stream has, and keeps the breaker's transitions.
    fn drain(&mut self) -> Result<(), Failure> {
        while let Some(event) = self.narrator.events.try_next().map_err(missed)? {
            if let EventKind::Breaker { transition, .. } = &event.kind {
                self.transitions.push(*transition);
            }
            if let Some(line) = line(&event) {
                self.narrator.screen.line(&line);
            }
        }
        Ok(())
    }

    fn say(&mut self, who: &str, text: &str) {
        self.narrator.say(self.system.clock().now(), who, text);
    }

    fn verdict(self, n_reached: u64) -> Result<(), Failure> {
        let mut checks = Checks::default();
        let steps: Vec<State> = self.transitions.iter().map(|step| step.to).collect();
        let expected = [State::Open, State::HalfOpen, State::Closed];
        checks.hold(steps == expected, "the states follow each other", &format!("{steps:?}"));
        let numbers: Vec<u32> = self.transitions.iter().map(|step| step.number).collect();
        checks.hold(numbers == [1, 2, 3], "each transition is made once", &format!("{numbers:?}"));
        let calls = (self.n_ok, self.n_failed, self.n_refused);
        checks.hold(calls == (5, 5, 3), "calls end as expected", &format!("{calls:?}"));
        checks.hold(n_reached == 10, "no refused call reached the backend", &n_reached.to_string());
        let statement = "CLOSED, OPEN after 5 failures, HALF_OPEN after its timeout, CLOSED after 2 \
                         successes; 13 calls: 5 answered, 5 failed, 3 refused without touching the \
                         backend";
        checks.conclude(self.system.clock().now(), statement, self.narrator.screen)
    }
}

pub(super) async fn run(system: &System, screen: &mut Screen) -> Result<(), Failure> {
    screen.line(&head("breaker", 0, "demo breaker: a backend fails, is spared, and comes back"));
    let mut narrator = Narrator { events: system.events(), screen };
    let at = |system: &System| system.clock().now();
    let backend = ChildSpec::new("backend", || Backend { is_up: true, n_calls: 0 });
    let backend = system.start(backend).await.context("the backend did not start")?;
    let options = Options { open_timeout: OPEN_TIMEOUT, ..Options::DEFAULT };
    let breaker = Arc::new(Breaker::new(options).context("the breaker's options")?);
    // No retries here: each call shows what the breaker does with it.
    let policy = RetryOptions { max_attempts: 1, ..RetryOptions::DEFAULT };
    let policy = Policy::new(policy).context("the retry policy")?;
    let guarded = backend.guarded(breaker.clone(), policy);
    narrator.say(at(system), "demo", "breaker CLOSED: 5 failures in a row would open it");
    let (n_ok, n_failed, n_refused, transitions) = (0, 0, 0, Vec::new());
    let mut script =
        Script { system, narrator, breaker, guarded, n_ok, n_failed, n_refused, transitions };
    script.call(2).await?;
    script.say("demo", "the backend goes DOWN");
    backend.send(Msg::SetUp(false)).await.context("the backend has ended")?;
    script.call(5).await?;
    script.say("demo", "now calls are refused at once");
    script.call(3).await?;
    script.say("demo", "the backend is UP again; the breaker does not know yet");
    backend.send(Msg::SetUp(true)).await.context("the backend has ended")?;
    let timeout = crate::period::say(OPEN_TIMEOUT);
    script.say("demo", &format!("waiting {timeout}, the breaker's open_timeout (30 s by default)"));
    // One millisecond more than the timeout: tokio's timers have that resolution.
    pause(OPEN_TIMEOUT + Duration::from_millis(1)).await;
    script.say("demo", "the next calls are let through as probes; 2 successes close the breaker");
    script.call(2).await?;
    script.say("demo", "back to normal");
    script.call(1).await?;
    let n_reached = backend.ask(Msg::Calls).await.context("the backend has ended")?;
    script.verdict(n_reached)
}
