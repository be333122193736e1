//! One shared payload to a thousand actors, again and again.

use std::sync::Arc;

use super::roles::{Countdown, Member, Msg, Payload};
use crate::cpu::Stopwatch;
use crate::framework::Framework;
use crate::line::Measured;

pub(super) async fn broadcast<F: Framework>(f: F, n: u64) -> Measured {
    const N_ACTORS: u64 = 1_000;
    let n_rounds = n / N_ACTORS;
    let handled = Countdown::new(N_ACTORS);
    let mut addrs = Vec::new();
    for _ in 0..N_ACTORS {
        let handled = handled.clone();
        addrs.push(f.spawn(move || Member::new(&handled)).await);
    }
    let watch = Stopwatch::start();
    for _ in 0..n_rounds {
        let payload: Payload = Arc::new([7; 64]);
        handled.reset(N_ACTORS);
        for addr in &addrs {
            F::send(addr, Msg::Shared(payload.clone())).await;
        }
        handled.over().await;
    }
    watch.stop(n_rounds * N_ACTORS)
}
