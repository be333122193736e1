//! One message at a time between actors: two of them, and a ring of a thousand.

use std::sync::Arc;

use super::roles::Countdown;
use crate::cpu::Stopwatch;
use crate::framework::{Flow, Framework, Role};
use crate::line::Measured;

/// Passes the token on until no hop is left.
struct Station<F: Framework> {
    next: Option<F::Addr<Self>>,
    linked: Arc<Countdown>,
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
            (Token::Link(next), _) => {
                self.next = Some(*next);
                self.linked.count();
            }
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

async fn round_trip<F: Framework>(f: F, n_stations: u32, n: u64) -> Measured {
    let (linked, done) = (Countdown::new(n_stations.into()), Countdown::new(1));
    let mut stations = Vec::new();
    for _ in 0..n_stations {
        let (linked, done) = (linked.clone(), done.clone());
        let make = move || Station { next: None, linked: linked.clone(), done: done.clone() };
        stations.push(f.spawn::<Station<F>>(make).await);
    }
    for (station, next) in stations.iter().zip(stations.iter().cycle().skip(1)) {
        F::send(station, Token::Link(Box::new(next.clone()))).await;
    }
    // Not every mailbox keeps the order of messages.
    linked.over().await;
    let watch = Stopwatch::start();
    F::send(&stations[0], Token::HopsLeft(n)).await;
    done.over().await;
    watch.stop(n)
}
