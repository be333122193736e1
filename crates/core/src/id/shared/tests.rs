use std::sync::Barrier;
use std::thread;

use super::*;

#[test]
fn shared_ids_increase_strictly_whatever_the_clock_does() {
    let times = [5, 5, 5, 4, 0, 6, u64::MAX, 7, 1 << 48, u64::MAX, 0];
    for seed in 0..1_000 {
        let ids = SharedMessageIds::new(seed);
        let made = times.map(|now_ms| ids.next(now_ms));
        assert!(made.is_sorted_by(|a, b| a < b), "seed {seed}: {made:?}");
        assert_eq!((made[0].time_ms(), made[5].time_ms()), (5, 6), "seed {seed}");
    }
}

#[test]
fn shared_ids_repeat_by_seed_and_never_meet_those_of_another() {
    let run = |seed| {
        let ids = SharedMessageIds::new(seed);
        (0..64).map(|now_ms| ids.next(now_ms / 4)).collect::<Vec<_>>()
    };
    let mut all: Vec<_> = (0..1_000).flat_map(run).collect();
    assert_eq!(run(7), run(7));
    let n_made = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), n_made);
}

#[test]
fn a_full_millisecond_goes_on_in_the_next() {
    let ids = SharedMessageIds::new(1);
    let made: Vec<_> = (0..(1 << COUNT_BITS) + 2).map(|_| ids.next(9)).collect();
    assert!(made.is_sorted_by(|a, b| a < b));
    let times = [made[0], made[(1 << COUNT_BITS) - 1], made[1 << COUNT_BITS]];
    assert_eq!(times.map(MessageId::time_ms), [9, 9, 10]);
    // The clock has caught up.
    assert!(ids.next(10) > made[made.len() - 1]);
    assert_eq!(ids.next(11).time_ms(), 11);
}

#[test]
fn a_clock_at_the_end_of_time_still_gives_ids() {
    let ids = SharedMessageIds::new(1);
    let first = ids.next(u64::MAX);
    let later: Vec<_> = (0..100_000).map(|_| ids.next(u64::MAX)).collect();
    assert!(first < later[0] && later.is_sorted_by(|a, b| a < b));
}

/// Each thread has a clock of its own, so that some begin milliseconds and others count on.
#[test]
fn ids_of_many_threads_are_in_order_for_each_and_never_the_same() {
    const THREADS: u64 = 4;
    const EACH: u64 = 100_000;
    let ids = SharedMessageIds::new(3);
    // All at once: alone, a thread would be done before the next begins.
    let all_here = Barrier::new(4);
    let mut all = Vec::new();
    thread::scope(|scope| {
        let run = |thread| {
            let (ids, all_here) = (&ids, &all_here);
            scope.spawn(move || {
                let clock = |n| n / (3 + thread);
                all_here.wait();
                (0..EACH).map(|n| ids.next(clock(n))).collect::<Vec<_>>()
            })
        };
        for job in (0..THREADS).map(run).collect::<Vec<_>>() {
            let made = job.join().unwrap();
            assert!(made.is_sorted_by(|a, b| a < b), "in order within a thread");
            all.extend(made);
        }
    });
    all.sort_unstable();
    assert!(all.is_sorted_by(|a, b| a < b), "no id was made twice");
}
