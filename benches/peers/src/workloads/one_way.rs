//! One-way messages: from a task, from a plain thread, from many, to many.

use super::roles::{Countdown, Msg, Sink};
use crate::cpu::{STEPS_PER_US, Stopwatch};
use crate::framework::Framework;
use crate::line::Measured;

pub(super) async fn tell<F: Framework>(f: F, n: u64) -> Measured {
    let done = Countdown::new(1);
    let sink = done.clone();
    let addr = f.spawn(move || Sink::new(n, &sink, 0)).await;
    let watch = Stopwatch::start();
    for i in 0..n {
        F::send(&addr, Msg::Number(i)).await;
    }
    done.over().await;
    watch.stop(n)
}

pub(super) async fn tell_ext<F: Framework>(f: F, n: u64) -> Measured {
    let done = Countdown::new(1);
    let sink = done.clone();
    let addr = f.spawn(move || Sink::new(n, &sink, 0)).await;
    let watch = Stopwatch::start();
    let outside = std::thread::spawn(move || {
        for i in 0..n {
            f.send_outside(&addr, Msg::Number(i));
        }
    });
    done.over().await;
    let measured = watch.stop(n);
    outside.join().expect("the sender does not panic");
    measured
}

/// 8 tasks to one actor, which works for so many steps per message.
pub(super) async fn fan_in<F: Framework>(f: F, n: u64, steps: u32) -> Measured {
    const N_SENDERS: u64 = 8;
    let per_sender = n / N_SENDERS;
    let n = per_sender * N_SENDERS;
    let done = Countdown::new(1);
    let sink = done.clone();
    let addr = f.spawn(move || Sink::new(n, &sink, steps)).await;
    let watch = Stopwatch::start();
    for _ in 0..N_SENDERS {
        let addr = addr.clone();
        f.job(async move {
            for i in 0..per_sender {
                F::send(&addr, Msg::Number(i)).await;
            }
        });
    }
    done.over().await;
    watch.stop(n)
}

/// One task to 64 actors in turn, with work worth sharing between cores.
pub(super) async fn fan_out<F: Framework>(f: F, n: u64) -> Measured {
    const N_ACTORS: u64 = 64;
    let per_actor = n / N_ACTORS;
    let done = Countdown::new(N_ACTORS);
    let mut addrs = Vec::new();
    for _ in 0..N_ACTORS {
        let done = done.clone();
        addrs.push(f.spawn(move || Sink::new(per_actor, &done, 2 * STEPS_PER_US)).await);
    }
    let watch = Stopwatch::start();
    for i in 0..per_actor {
        for addr in &addrs {
            F::send(addr, Msg::Number(i)).await;
        }
    }
    done.over().await;
    watch.stop(per_actor * N_ACTORS)
}
