//! `ggml-agent demo`: the whole pitch, and three rules one at a time.

mod breaker;
mod document;
mod narrate;
mod supervisor;
mod team;

use std::time::Duration;

use ggml_agent::{Options, System};

use crate::args::{DemoArgs, Global, Rule};
use crate::failure::{Code, Failure};
use crate::output::{Level, Line, Screen, Tone};
use crate::signal::{self, Stop};

/// How long the agents have to end before they are killed.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(3);

/// The schema of the JSON lines of all demos.
const SCHEMA: &str = "ggml-agent.demo/1";

pub(crate) fn run(args: &DemoArgs, global: &Global) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Code::Failure, error))?;
    let mut screen = Screen::stdout(global, None, SCHEMA);
    runtime.block_on(async {
        let stop = signal::listen().map_err(|error| Failure::new(Code::Failure, error))?;
        match args.rule {
            None => team::run(args, &mut screen, stop).await,
            Some(rule) => run_rule(rule, args.seed, &mut screen, stop).await,
        }
    })
}

async fn run_rule(rule: Rule, seed: u64, screen: &mut Screen, stop: Stop) -> Result<(), Failure> {
    let options = Options { seed: Some(seed), ..Options::default() };
    within_system(options, stop, async |system| match rule {
        Rule::Supervisor => supervisor::run(system, screen).await,
        Rule::Document => document::run(system, screen).await,
        Rule::Breaker => breaker::run(system, screen).await,
    })
    .await
}

/// Runs `body` with a system that is shut down in order afterwards, also when a signal ends it.
async fn within_system<T>(
    options: Options,
    stop: Stop,
    body: impl AsyncFnOnce(&System) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let system = System::with(options);
    let done = tokio::select! {
        biased;
        done = body(&system) => done,
        signal = stop => Err(signal.failure()),
    };
    system.shutdown(SHUTDOWN_DEADLINE).await;
    done
}

/// Lets time pass.
async fn pause(time: Duration) {
    #[expect(
        clippy::disallowed_methods,
        reason = "the edge: demos wait on tokio's clock, as tests can"
    )]
    tokio::time::sleep(time).await;
}

/// Statements that were checked.
#[derive(Debug, Default)]
struct Checks {
    failed: Vec<String>,
    n: usize,
}

impl Checks {
    /// Notes whether `statement` holds, with what was found.
    fn hold(&mut self, holds: bool, statement: &str, found: &str) {
        self.n += 1;
        if !holds {
            self.failed.push(format!("{statement}: found {found}"));
        }
    }

    /// The failure that says what does not hold, if anything does not.
    fn verdict(self) -> Result<(), Failure> {
        if self.failed.is_empty() {
            return Ok(());
        }
        let text = format!("what the demo claims does not hold: {}", self.failed.join("; "));
        Err(Failure::msg(Code::Failure, text)
            .next("this is a defect: please report it with `--output json -v` of the same seed"))
    }

    /// Prints the last line of a rule's demo and gives the verdict.
    fn conclude(self, at: Duration, statement: &str, screen: &mut Screen) -> Result<(), Failure> {
        let (n, ok) = (self.n, self.failed.is_empty());
        let word = if ok { "CHECKED" } else { "DOES NOT HOLD" };
        let line = Line::new(at, "ledger", "ledger", format!("{word}: {statement}"))
            .level(Level::Result)
            .tone(if ok { Tone::Good } else { Tone::Bad })
            .with("ok", ok)
            .with("checks", n);
        screen.line(&line);
        self.verdict()
    }
}

/// The line that a demo begins with.
fn head(demo: &str, seed: u64, text: &str) -> Line {
    let version = env!("CARGO_PKG_VERSION");
    Line::new(Duration::ZERO, "", "demo", format!("ggml-agent {version}  {text}"))
        .with("version", version)
        .with("demo", demo)
        .with("seed", seed)
}

#[cfg(test)]
mod tests;
