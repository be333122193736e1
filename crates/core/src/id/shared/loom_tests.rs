//! Every interleaving of threads on one generator, by a model checker.

use std::sync::Arc;

use loom::thread;

use super::*;

/// Threads whose clocks show these times, one id for each of them.
fn race(clocks: &'static [&'static [u64]]) {
    loom::model(move || {
        let ids = Arc::new(SharedMessageIds::new(1));
        let make = |ids: &SharedMessageIds, clock: &[u64]| {
            clock.iter().map(|now_ms| ids.next(*now_ms)).collect::<Vec<_>>()
        };
        let (here, there) = clocks.split_first().expect("at least one");
        let jobs: Vec<_> = there
            .iter()
            .map(|clock| {
                let ids = ids.clone();
                thread::spawn(move || make(&ids, clock))
            })
            .collect();
        let mut all = vec![make(&ids, here)];
        all.extend(jobs.into_iter().map(|job| job.join().expect("it has not panicked")));
        assert!(all.iter().all(|made| made.is_sorted_by(|a, b| a < b)), "in order: {all:?}");
        let mut all: Vec<_> = all.into_iter().flatten().collect();
        all.sort_unstable();
        assert!(all.is_sorted_by(|a, b| a < b), "made twice: {all:?}");
        assert!(ids.next(0) > all[all.len() - 1], "larger than all before");
    });
}

#[test]
fn loom_two_that_begin_a_millisecond_get_different_ids() {
    race(&[&[5, 5], &[5, 6]]);
}

#[test]
fn loom_one_whose_clock_is_behind_counts_on() {
    race(&[&[7, 3], &[3], &[7]]);
}
