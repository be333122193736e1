//! The lines of a benchmark: header, measurements, checks, summary.

use std::time::Instant;

use serde_json::Value;

use super::say::{self, Unit};
use super::{clock, machine, stats};
use crate::failure::{Code, Failure};
use crate::output::{Level, Line, Screen, Tone};

/// Where the lines go, and which checks did not hold.
pub(super) struct Report {
    screen: Screen,
    began_at: Instant,
    n_workers: usize,
    n_measurements: usize,
    n_checks: usize,
    broken: Vec<String>,
}

/// Which way of a figure is the good one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Better {
    Less,
    More,
}

/// What a measurement is called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name {
    /// For programs.
    pub(super) name: &'static str,
    /// For people.
    pub(super) says: &'static str,
    pub(super) unit: Unit,
    pub(super) better: Better,
}

impl Report {
    pub(super) fn new(screen: Screen, n_workers: usize) -> Self {
        let began_at = clock::now();
        Self { screen, began_at, n_workers, n_measurements: 0, n_checks: 0, broken: Vec::new() }
    }

    pub(super) fn n_workers(&self) -> usize {
        self.n_workers
    }

    fn line(&self, event: &'static str, text: String) -> Line {
        Line::new(clock::now() - self.began_at, "", event, text)
    }

    /// The header: what was measured, where, and what it is worth.
    pub(super) fn head(&mut self, bench: &str, about: &str, fields: &[(&'static str, Value)]) {
        let (version, tokio) = (env!("CARGO_PKG_VERSION"), env!("GGML_AGENT_TOKIO_VERSION"));
        let (n_cores, n_workers) = (machine::n_cores(), self.n_workers);
        let cpu = machine::cpu_model();
        let on = cpu.as_deref().unwrap_or("unknown processor");
        let text = format!(
            "ggml-agent {version} {bench}, tokio {tokio}; {n_workers} workers on {n_cores} cores, {on}\n\
             {about}\n\
             Each figure is of this run alone: load, clock and kernel of the moment are in it.{}",
            if cfg!(debug_assertions) {
                "\nThis is a debug build: its figures mean nothing."
            } else {
                ""
            },
        );
        let mut line = self
            .line("bench", text)
            .with("version", version)
            .with("bench", bench)
            .with("tokio", tokio)
            .with("cores", n_cores)
            .with("cpu", cpu)
            .with("workers", n_workers)
            .with("debug", cfg!(debug_assertions));
        for (name, value) in fields {
            line = line.with(name, value.clone());
        }
        self.screen.line(&line);
    }

    /// Words for people.
    pub(super) fn note(&mut self, text: &str) {
        self.screen.note(text);
    }

    /// The heading of the table of [`Report::versus`].
    pub(super) fn versus_heading(&mut self) {
        let heading = row("", "ggml-agent", "tokio", "ratio", "better");
        self.note(&format!("\n{heading}"));
    }

    /// A measurement beside tokio's, with a figure of each round.
    pub(super) fn versus(&mut self, name: Name, ours: &[f64], tokio: &[f64]) {
        let (our, their) = (stats::median(ours), stats::median(tokio));
        let ratio = stats::median_ratio(ours, tokio);
        let said = ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{}x", say::digits(ratio)));
        let better = if name.better == Better::Less { "less" } else { "more" };
        let figure = |value| say::figure(value, name.unit);
        let text = row(name.says, &figure(our), &figure(their), &said, better);
        let line = self
            .line("bench.measurement", text)
            .with("name", name.name)
            .with("unit", name.unit.name())
            .with("better", better)
            .with("value", say::json(our))
            .with("tokio", say::json(their))
            .with("ratio", ratio.map(say::json))
            .with("rounds", each(ours))
            .with("tokio_rounds", each(tokio));
        self.measured(&line);
    }

    /// A measurement by itself.
    pub(super) fn measurement(
        &mut self,
        name: &'static str,
        text: String,
        fields: impl IntoIterator<Item = (&'static str, Value)>,
    ) {
        let mut line = self.line("bench.measurement", text).with("name", name);
        line.fields.extend(fields);
        self.measured(&line);
    }

    fn measured(&mut self, line: &Line) {
        self.n_measurements += 1;
        self.screen.line(&line.clone().level(Level::Result));
    }

    /// What is promised, and whether it was found so.
    pub(super) fn check(
        &mut self,
        name: &'static str,
        holds: bool,
        statement: &str,
        fields: impl IntoIterator<Item = (&'static str, Value)>,
    ) {
        self.n_checks += 1;
        let word = if holds { "HOLDS " } else { "BROKEN" };
        let mut line = self
            .line("bench.check", format!("{word}  {statement}"))
            .level(Level::Result)
            .tone(if holds { Tone::Good } else { Tone::Bad })
            .with("name", name)
            .with("ok", holds);
        line.fields.extend(fields);
        self.screen.line(&line);
        if !holds {
            self.broken.push(statement.to_owned());
        }
    }

    /// Something that this machine cannot show.
    pub(super) fn skip(&mut self, name: &'static str, why: &str) {
        let line = self.line("bench.skipped", format!("SKIPPED {why}")).tone(Tone::Warning);
        self.screen.line(&line.level(Level::Result).with("name", name).with("why", why));
    }

    /// The last line, and the verdict.
    pub(super) fn conclude(&mut self) -> Result<(), Failure> {
        let ok = self.broken.is_empty();
        let secs = clock::now().duration_since(self.began_at).as_secs_f64();
        let checks = match (self.n_checks, self.broken.len()) {
            (0, _) => String::new(),
            (n, broken) => format!(", {} of {n} checks hold", n - broken),
        };
        let text = format!("{} measurements{checks}, in {secs:.1} s", self.n_measurements);
        let line = self
            .line("bench.summary", text)
            .tone(if ok { Tone::Plain } else { Tone::Bad })
            .with("ok", ok)
            .with("measurements", self.n_measurements)
            .with("checks", self.n_checks)
            .with("broken", self.broken.len())
            .with("seconds", say::json(secs));
        self.screen.line(&line.level(Level::Result));
        if ok {
            return Ok(());
        }
        let text = format!("what was promised was not found: {}", self.broken.join("; "));
        Err(Failure::msg(Code::Failure, text).next(
            "run it again on a machine with nothing else to do; if it stays, please report it",
        ))
    }
}

fn each(rounds: &[f64]) -> Vec<Value> {
    rounds.iter().map(|figure| say::json(*figure)).collect()
}

fn row(name: &str, ours: &str, tokio: &str, ratio: &str, better: &str) -> String {
    format!("{name:<34}{ours:>12}{tokio:>12}{ratio:>9}  {better}").trim_end().to_owned()
}
