//! A binary of its own, because counting allocations replaces the allocator of the whole program.

use std::sync::Arc;
use std::time::Duration;

use ggml_agent_core::breaker::{Breaker, Options, State};

#[test]
fn b09_admitting_a_call_and_reading_the_state_allocate_nothing() {
    let breaker = Arc::new(Breaker::new(Options::DEFAULT).unwrap());
    let mut state = State::Open;
    let counted = allocation_counter::measure(|| {
        // CLOSED, refused while OPEN, probed, and CLOSED again.
        for round in 0..1_000 {
            let now = Duration::from_secs(60 * round);
            for _ in 0..5 {
                breaker.admit(now).unwrap().failure(now);
            }
            assert!(breaker.admit(now).is_err());
            let later = now + Duration::from_secs(30);
            for _ in 0..2 {
                breaker.admit_owned(later).unwrap().success(later);
            }
            drop(breaker.admit(later).unwrap());
            breaker.reset(later);
            state = breaker.state(later);
            assert_eq!(breaker.snapshot(later).n_probes, 0);
        }
    });
    assert_eq!((counted.count_total, state), (0, State::Closed));
}
