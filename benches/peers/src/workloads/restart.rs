//! From a panic to the next message handled.

use std::time::Instant;

use super::roles::{Countdown, Member, Msg};
use crate::cpu::{self, Stopwatch};
use crate::framework::Restarts;
use crate::line::Measured;
use crate::stats;

pub(crate) async fn restart<F: Restarts>(f: F, n: u64) -> Measured {
    let handled = Countdown::new(1);
    let factory = handled.clone();
    let mut phoenix = f.phoenix(move || Member::new(&factory)).await;
    let mut samples_ns = Vec::new();
    let watch = Stopwatch::start();
    for i in 0..n {
        handled.reset(1);
        let poisoned_at = Instant::now();
        F::crash(&mut phoenix, Msg::Poison, Msg::Number(i)).await;
        handled.over().await;
        samples_ns.push(cpu::per(poisoned_at.elapsed(), 1));
    }
    let measured = watch.stop(n);
    let median = stats::quantile(&mut samples_ns, 0.5).unwrap_or(0.0);
    let p99 = stats::quantile(&mut samples_ns, 0.99).unwrap_or(0.0);
    measured.with("median_ns", median).with("p99_ns", p99)
}
