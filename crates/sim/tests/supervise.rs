//! The supervisor against its naive model, over many seeds.

#![expect(clippy::print_stdout, clippy::panic, reason = "a failing seed tells how to repeat it")]

use ggml_agent_sim::supervise::{Outcome, Trace, run};

const STEPS: u32 = 400;

/// The seed to run alone, if somebody repeats a failure.
fn one_seed() -> Option<u64> {
    std::env::var_os("GGML_AGENT_SEED")?.to_str()?.parse().ok()
}

fn must_hold(seed: u64) -> Outcome {
    let outcome = run(seed, STEPS, Trace::Drop);
    if outcome.failure.is_some() {
        let told = run(seed, STEPS, Trace::Keep);
        let tail: Vec<_> = told.trace.lines().rev().take(60).collect();
        for line in tail.iter().rev() {
            println!("{line}");
        }
        panic!(
            "seed {seed}: {}\nrepeat with: GGML_AGENT_SEED={seed} cargo test -p ggml-agent-sim \
             --test supervise s_supervisor",
            outcome.failure.unwrap_or_default()
        );
    }
    outcome
}

#[test]
fn s_supervisor_agrees_with_naive_model_over_1_000_000_events() {
    if let Some(seed) = one_seed() {
        must_hold(seed);
        return;
    }
    let (mut n_events, mut seed) = (0, 0);
    while n_events < 1_000_000 {
        n_events += must_hold(seed).n_events;
        seed += 1;
    }
    println!("{n_events} events, {seed} seeds");
}

/// What the runs must have met at least once, so that agreement means something.
const MUST_HAPPEN: [&str; 23] = [
    "Observe(Added",
    "Observe(Ignored",
    "Observe(StartFailed",
    "Observe(Exited",
    "Observe(Restarting",
    "Observe(BackingOff",
    "Observe(GroupRestart",
    "Observe(RestartCancelled",
    "Observe(Killing",
    "Observe(Unresponsive",
    "Observe(Forgotten",
    "Observe(GaveUp",
    "Observe(AutoShutdown",
    "    StartFailed {",
    "Exit { reason: Killed }",
    "TimerFired { timer: Deadline }",
    "TimerFired { timer: Kill",
    "TimerFired { timer: Backoff",
    "Err(Interrupted",
    "Err(Stopping",
    "Err(NotStopped",
    "Err(Exists",
    "Err(Spec",
];

#[test]
fn s_the_same_seed_gives_the_same_trace_byte_for_byte() {
    let mut missing = MUST_HAPPEN.to_vec();
    for seed in 0..100 {
        let traces = [(); 2].map(|()| run(seed, STEPS, Trace::Keep).trace);
        assert!(traces[0] == traces[1], "seed {seed} gives two traces");
        missing.retain(|what| !traces[0].contains(what));
    }
    assert_eq!(missing, [""; 0], "never happened in 100 seeds");
}
