//! Durable agents on a disk that loses what was not synced, over many schedules; and the bugs that the
//! oracle must see.

#![expect(clippy::print_stdout, clippy::panic, reason = "a failing seed tells how to repeat it")]

use ggml_agent_sim::store::driver::{Bug, Driver, Minimal, Ruled};
use ggml_agent_sim::store::oracle::Violation;
use ggml_agent_sim::store::schedules::{
    Counts, Failed, Failure, Plan, Scenario, Weather, explore, run,
};
use ggml_agent_sim::store::{Fencing, Honesty};

/// The seed to run alone, if somebody repeats a failure.
fn one_seed() -> Option<u64> {
    std::env::var_os("GGML_AGENT_SEED")?.to_str()?.parse().ok()
}

/// Runs at least so many schedules in this weather.
fn must_hold<D: Driver>(weather: Weather, n_schedules: u64) -> Counts
where
    D::Options: Default,
{
    let mut total = Counts::default();
    let first = one_seed().unwrap_or(0);
    for seed in first.. {
        match explore::<D>(seed..seed + 1, weather, &Scenario::honest(D::Options::default())) {
            Ok(counts) => total.add(&counts),
            Err(failed) => panic!(
                "{failed}\nrepeat with: GGML_AGENT_SEED={seed} cargo test -p ggml-agent-sim \
                 --test store_schedules"
            ),
        }
        if total.n_schedules >= n_schedules {
            break;
        }
    }
    println!("{weather:?}: {total:?}");
    total
}

#[test]
fn q01_q02_q07_nothing_is_lost_under_power_cuts() {
    for counts in
        [must_hold::<Minimal>(Weather::Calm, 10_000), must_hold::<Ruled>(Weather::Calm, 15_000)]
    {
        assert!(counts.n_cuts > 10_000 && counts.n_crashed > 1_000 && counts.n_dead > 1_000);
    }
}

#[test]
fn nothing_is_lost_when_writes_fail_and_a_mailbox_is_full() {
    for counts in
        [must_hold::<Minimal>(Weather::Faulty, 10_000), must_hold::<Ruled>(Weather::Faulty, 15_000)]
    {
        assert!(counts.n_cuts > 10_000 && counts.n_crashed > 1_000 && counts.n_dead > 1_000);
    }
}

#[test]
fn nothing_is_lost_when_an_agent_is_begun_twice() {
    for counts in [
        must_hold::<Minimal>(Weather::Crowded, 10_000),
        must_hold::<Ruled>(Weather::Crowded, 15_000),
    ] {
        assert!(counts.n_cuts > 10_000 && counts.n_usurped > 10_000 && counts.n_fenced > 1_000);
    }
}

#[test]
fn one_seed_is_one_schedule() {
    for weather in [Weather::Calm, Weather::Faulty, Weather::Crowded] {
        for seed in 0..100 {
            let plan = Plan { seed, weather, cut: None, cuts_per_mille: 30 };
            let scenario = Scenario { is_traced: true, ..Scenario::honest(None) };
            let [first, again] = [(); 2].map(|()| run::<Minimal>(plan, &scenario));
            assert!(first.trace == again.trace, "{plan:?} gives two traces");
            assert_eq!(first.counts, again.counts, "{plan:?}");
        }
    }
}

/// What the oracle says of a scenario that is broken, first of all.
fn caught(weather: Weather, scenario: &Scenario<Option<Bug>>) -> Vec<Violation> {
    match explore::<Minimal>(0..100, weather, scenario) {
        Err(failed) => match *failed {
            Failed { failure: Failure::Violated(violations), .. } => violations,
            stuck => panic!("{stuck}"),
        },
        Ok(counts) => panic!("not caught in {} schedules", counts.n_schedules),
    }
}

fn caught_bug(bug: Bug) -> Vec<Violation> {
    caught(Weather::Calm, &Scenario::honest(Some(bug)))
}

#[test]
fn acknowledging_before_the_commit_is_caught() {
    let violations = caught_bug(Bug::AcknowledgeBeforeCommit);
    let lost = |violation: &Violation| {
        matches!(violation, Violation::AcknowledgedWithoutState { .. } | Violation::Lost { .. })
    };
    assert!(violations.iter().any(lost), "{violations:?}");
}

#[test]
fn acknowledging_after_the_commit_is_caught() {
    let violations = caught_bug(Bug::AcknowledgeAfterCommit);
    let ahead =
        |violation: &Violation| matches!(violation, Violation::StateWithoutAcknowledgement { .. });
    assert!(violations.iter().any(ahead), "{violations:?}");
}

#[test]
fn sending_before_the_commit_is_caught() {
    let violations = caught_bug(Bug::OutboxBeforeCommit);
    let invented = |violation: &Violation| {
        matches!(violation, Violation::Invented { .. } | Violation::Lost { .. })
    };
    assert!(violations.iter().any(invented), "{violations:?}");
}

#[test]
fn sending_out_of_order_is_caught() {
    let violations = caught_bug(Bug::OutboxOutOfOrder);
    let reordered = |violation: &Violation| matches!(violation, Violation::Reordered { .. });
    assert!(violations.iter().any(reordered), "{violations:?}");
}

#[test]
fn an_outbox_that_only_grows_is_caught() {
    let scenario = Scenario::honest(Some(Bug::SentIsNotReported));
    let failed = explore::<Minimal>(0..1, Weather::Calm, &scenario).expect_err("it is a bug");
    assert!(matches!(failed.failure, Failure::LeftOver(_)), "{failed}");
}

#[test]
fn fresh_ids_after_a_restart_are_caught() {
    let violations = caught_bug(Bug::FreshIds);
    let twice = |violation: &Violation| {
        matches!(
            violation,
            Violation::AppliedTwice { .. }
                | Violation::WaitsTwice { .. }
                | Violation::StateWithoutAcknowledgement { .. }
        )
    };
    assert!(violations.iter().any(twice), "{violations:?}");
}

#[test]
fn trimming_too_early_is_caught() {
    let violations = caught_bug(Bug::TrimTooEarly);
    let lost = |violation: &Violation| {
        matches!(violation, Violation::AcknowledgedWithoutState { .. } | Violation::Lost { .. })
    };
    assert!(violations.iter().any(lost), "{violations:?}");
}

#[test]
fn a_store_that_accepts_an_old_epoch_is_caught() {
    for fencing in [Fencing::NoEpoch, Fencing::Nothing] {
        let scenario = Scenario { fencing, ..Scenario::honest(None) };
        let violations = caught(Weather::Crowded, &scenario);
        let unfenced = |violation: &Violation| matches!(violation, Violation::Unfenced { .. });
        assert!(violations.iter().any(unfenced), "{violations:?}");
    }
}

#[test]
fn a_store_that_answers_before_the_sync_is_caught() {
    let scenario = Scenario { honesty: Honesty::Lying, ..Scenario::honest(None) };
    let violations = caught(Weather::Calm, &scenario);
    let lost = |violation: &Violation| matches!(violation, Violation::Lost { .. });
    assert!(violations.iter().any(lost), "{violations:?}");
}

#[test]
fn q05_a_message_that_is_evicted_while_it_is_in_hand_is_dead_and_not_applied() {
    let scenario = Scenario::honest(());
    if let Err(failed) = explore::<Ruled>(0..200, Weather::Evicting, &scenario) {
        panic!("{failed}");
    }
}
