//! Histories of locks and edits, judged for linearizability.
//!
//! A failure names its seed; `GGML_AGENT_SEED=N cargo test -p ggml-agent-sim --test lock_histories`
//! repeats it.

#![expect(clippy::panic, reason = "a failing seed tells how to repeat it")]

use ggml_agent_sim::locks::{Fencing, N_SECTIONS, Outcome, Violation, run};

/// Each world has one history per section.
const N_WORLDS: u64 = 100_000 / N_SECTIONS as u64;

/// The seed to run alone, if somebody repeats a failure.
fn one_seed() -> Option<u64> {
    std::env::var_os("GGML_AGENT_SEED")?.to_str()?.parse().ok()
}

fn must_hold(seed: u64) -> Outcome {
    let outcome = run(seed, Fencing::On);
    if let Some(violation) = &outcome.violation {
        panic!(
            "seed {seed}: {violation}\nrepeat with: GGML_AGENT_SEED={seed} cargo test \
             -p ggml-agent-sim --test lock_histories d02_"
        );
    }
    outcome
}

#[test]
fn d01_d02_d03_100_000_histories_of_locks_and_edits_are_linearizable() {
    if let Some(seed) = one_seed() {
        println!("{:?}", must_hold(seed));
        return;
    }
    let mut total = Outcome::default();
    (0..N_WORLDS).for_each(|seed| total.add(&must_hold(seed)));
    println!("{N_WORLDS} worlds, {N_SECTIONS} histories each: {total:?}");
    // The run is worth something only if everything happened often.
    let Outcome {
        appended,
        unknown,
        fenced,
        reads,
        expired,
        revoked,
        crashes,
        restarts,
        duplicates,
        ..
    } = total;
    assert!(appended > 3 * N_WORLDS && reads > 3 * N_WORLDS, "{appended} appends, {reads} reads");
    for n in [unknown, fenced, expired, revoked, crashes, restarts, duplicates] {
        assert!(n > N_WORLDS / 20, "something hardly ever happened");
    }
}

#[test]
fn d02_without_fencing_the_same_worlds_lose_updates_and_it_is_seen() {
    let lost = (0..1_000).filter(|seed| {
        let violation = run(*seed, Fencing::Off).violation;
        matches!(violation, Some(Violation::NotLinearizable { .. }))
    });
    let n_lost = lost.count();
    println!("{n_lost} of 1,000 worlds lose an update without fencing");
    assert!(n_lost > 50, "{n_lost} of 1,000 worlds lose an update: pauses are too short");
}

#[test]
fn d02_one_seed_is_one_history() {
    for seed in 0..200 {
        assert_eq!(run(seed, Fencing::On), run(seed, Fencing::On), "seed {seed}");
    }
}
