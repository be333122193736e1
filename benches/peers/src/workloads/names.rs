//! Sending by name.

use super::roles::{Countdown, Msg, Sink};
use super::spawning::capacity;
use crate::cpu::Stopwatch;
use crate::framework::Names;
use crate::line::Measured;

const N_ACTORS: u64 = 1_000;

pub(crate) async fn named_send<F: Names>(f: F, n: u64) -> Measured {
    // 7,919 is prime to 1,000: a fixed order that is none for the caches, and each name in turn.
    let per_actor = n / N_ACTORS;
    let order: Vec<usize> = (0..N_ACTORS).map(|i| capacity(i * 7_919 % N_ACTORS)).collect();
    let done = Countdown::new(N_ACTORS);
    let directory = f.directory::<Sink>();
    let mut names = Vec::new();
    for i in 0..N_ACTORS {
        let done = done.clone();
        let make = move || Sink::new(per_actor, &done, 0);
        names.push(f.spawn_named(&directory, &unique(i), make).await);
    }
    let watch = Stopwatch::start();
    for i in 0..per_actor {
        for at in &order {
            f.send_named(&directory, &names[*at], Msg::Number(i)).await;
        }
    }
    done.over().await;
    watch.stop(per_actor * N_ACTORS)
}

/// A name that the warm-up has not taken: some registries are those of the whole process.
fn unique(i: u64) -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    format!("worker-{i}-{}", TAKEN.fetch_add(1, Ordering::Relaxed))
}
