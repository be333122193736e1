//! Questions: one after another, from many askers, and many in flight.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::roles::{Countdown, Sink};
use crate::cpu::Stopwatch;
use crate::framework::Framework;
use crate::line::Measured;

pub(super) async fn ask<F: Framework>(f: F, n: u64) -> Measured {
    let never = Countdown::new(1);
    let addr = f.spawn(move || Sink::new(1, &never, 0)).await;
    let watch = Stopwatch::start();
    for _ in 0..n {
        F::ask(&addr).await;
    }
    watch.stop(n)
}

pub(super) async fn ask_many<F: Framework>(f: F, n: u64) -> Measured {
    const N_ASKERS: u64 = 64;
    let per_asker = n / N_ASKERS;
    let never = Countdown::new(1);
    let addr = f.spawn(move || Sink::new(1, &never, 0)).await;
    let done = Countdown::new(N_ASKERS);
    let watch = Stopwatch::start();
    for _ in 0..N_ASKERS {
        let (addr, done) = (addr.clone(), done.clone());
        f.job(async move {
            for _ in 0..per_asker {
                F::ask(&addr).await;
            }
            done.count();
        });
    }
    done.over().await;
    watch.stop(per_asker * N_ASKERS)
}

pub(super) async fn pipeline<F: Framework>(f: F, n: u64) -> Measured {
    const IN_FLIGHT: u64 = 50;
    let never = Countdown::new(1);
    let addr = f.spawn(move || Sink::new(1, &never, 0)).await;
    let watch = Stopwatch::start();
    let mut in_flight = FuturesUnordered::new();
    for _ in 0..IN_FLIGHT.min(n) {
        in_flight.push(F::ask(&addr));
    }
    let mut n_asked = IN_FLIGHT.min(n);
    while in_flight.next().await.is_some() {
        if n_asked < n {
            n_asked += 1;
            in_flight.push(F::ask(&addr));
        }
    }
    watch.stop(n)
}
