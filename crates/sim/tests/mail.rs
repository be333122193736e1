//! Conservation of messages on the simulator.
//!
//! A failure names its seed; `GGML_AGENT_SEED=N cargo test -p ggml-agent-sim --test mail` repeats it.

#![expect(clippy::print_stderr, reason = "a failure says which command repeats it")]

use ggml_agent_sim::mail::{Outcome, run};

fn first_seed() -> u64 {
    std::env::var_os("GGML_AGENT_SEED")
        .and_then(|seed| seed.into_string().ok()?.parse().ok())
        .unwrap_or(1)
}

/// Runs a seed; if it fails, says how to repeat it.
fn run_named(seed: u64, n_messages: u64) -> Outcome {
    struct Name(u64);
    impl Drop for Name {
        fn drop(&mut self) {
            if std::thread::panicking() {
                let seed = self.0;
                eprintln!("GGML_AGENT_SEED={seed} cargo test -p ggml-agent-sim --test mail");
            }
        }
    }
    let _name = Name(seed);
    run(seed, n_messages)
}

#[test]
fn m04_m05_a_million_messages_are_conserved_under_kills_stops_and_full_mailboxes() {
    let mut total = Outcome::default();
    let mut seed = first_seed();
    while total.sent < 1_000_000 {
        let outcome = run_named(seed, 20_000);
        total.sent += outcome.sent;
        total.returned += outcome.returned;
        total.handled += outcome.handled;
        total.dead += outcome.dead;
        total.restarts += outcome.restarts;
        seed += 1;
    }
    // The run is worth something only if everything happened often.
    assert!(total.handled > 100_000, "{total:?}");
    assert!(total.returned > 10_000, "{total:?}");
    assert!(total.dead > 10_000, "{total:?}");
    assert!(total.restarts > 5_000, "{total:?}");
}

#[test]
fn m02_one_seed_is_one_story() {
    for seed in 0..100 {
        let first = run_named(seed, 500);
        assert_eq!(first, run_named(seed, 500), "seed {seed}");
        assert_ne!(first.trace, run_named(seed + 1_000, 500).trace, "seed {seed}");
    }
}
