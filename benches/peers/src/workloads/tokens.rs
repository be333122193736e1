//! One message at a time between actors: two of them, and a ring of a thousand.

use std::sync::Arc;

use super::roles::Countdown;
use crate::cpu::Stopwatch;
use crate::framework::{Flow, Framework, Role};
use crate::line::Measured;

/// Passes the token on until no hop is left.
struct Station<F: Framework> {
    next: Option<F::Addr<Self>>,
    done: Arc<Countdown>,
}

enum Token<F: Framework> {
    /// Who comes next; boxed, so that the message stays small whatever an address is.
    Link(Box<F::Addr<Station<F>>>),
    HopsLeft(u64),
}

impl<F: Framework> Role<F> for Station<F> {
    type Msg = Token<F>;

    async fn handle(&mut self, msg: Token<F>) -> Flow {
        match (msg, &self.next) {
            (Token::Link(next), _) => self.next = Some(*next),
            (Token::HopsLeft(0), _) => self.done.count(),
            (Token::HopsLeft(n), Some(next)) => F::send(next, Token::HopsLeft(n - 1)).await,
            (Token::HopsLeft(_), None) => unreachable!("links are sent before the token"),
        }
        Flow::Go
    }
}

pub(super) async fn ping_pong<F: Framework>(f: F, n: u64) -> Measured {
    round_trip(f, 2, n).await
}

pub(super) async fn ring<F: Framework>(f: F, n: u64) -> Measured {
    round_trip(f, 1_000, n).await
}

async fn round_trip<F: Framework>(f: F, n_stations: usize, n: u64) -> Measured {
    let done = Countdown::new(1);
    let mut stations = Vec::new();
    for _ in 0..n_stations {
        let done = done.clone();
        stations.push(f.spawn(move || Station::<F> { next: None, done: done.clone() }).await);
    }
    for (i, station) in stations.iter().enumerate() {
        let next = stations[(i + 1) % n_stations].clone();
        F::send(station, Token::Link(Box::new(next))).await;
    }
    let watch = Stopwatch::start();
    F::send(&stations[0], Token::HopsLeft(n)).await;
    done.over().await;
    watch.stop(n)
}
