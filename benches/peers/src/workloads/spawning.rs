//! Starting actors, and having many of them.

use super::roles::{Countdown, Member, Msg};
use crate::cpu::{self, Stopwatch};
use crate::framework::{Framework, Supervises};
use crate::line::Measured;

pub(super) async fn spawn<F: Framework>(f: F, n: u64) -> Measured {
    let (started, handled) = (Countdown::new(n), Countdown::new(n));
    let mut addrs = Vec::with_capacity(capacity(n));
    let watch = Stopwatch::start();
    for _ in 0..n {
        let (started, handled) = (started.clone(), handled.clone());
        addrs.push(f.spawn(move || Member::new(&handled).starting(&started)).await);
    }
    started.over().await;
    watch.stop(n)
}

pub(crate) async fn spawn_supervised<F: Supervises>(f: F, n: u64) -> Measured {
    let (started, handled) = (Countdown::new(n), Countdown::new(n));
    let supervisor = f.supervisor().await;
    let mut addrs = Vec::with_capacity(capacity(n));
    let watch = Stopwatch::start();
    for _ in 0..n {
        let (started, handled) = (started.clone(), handled.clone());
        let make = move || Member::new(&handled).starting(&started);
        addrs.push(f.spawn_under(&supervisor, make).await);
    }
    started.over().await;
    watch.stop(n)
}

/// The address that each actor's owner holds belongs to the memory of the actor.
pub(super) async fn many_idle<F: Framework>(f: F, n: u64) -> Measured {
    let (started, handled) = (Countdown::new(n), Countdown::new(n));
    let mut addrs = Vec::with_capacity(capacity(n));
    let before = cpu::resident_bytes();
    let watch = Stopwatch::start();
    for _ in 0..n {
        let (started, handled) = (started.clone(), handled.clone());
        addrs.push(f.spawn(move || Member::new(&handled).starting(&started)).await);
    }
    started.over().await;
    let idle = cpu::resident_bytes();
    for (i, addr) in (0..).zip(&addrs) {
        F::send(addr, Msg::Number(i)).await;
    }
    handled.over().await;
    let measured = watch.stop(n);
    let each = |bytes: f64| (bytes - before) / cpu::real(n);
    measured.with_bytes(each(idle)).with("bytes_after", each(cpu::resident_bytes()))
}

pub(crate) fn capacity(n: u64) -> usize {
    usize::try_from(n).expect("n actors fit into memory")
}
