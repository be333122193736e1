//! A request to end that overtakes what is queued.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

use super::roles::Countdown;
use crate::cpu::{self, Stopwatch};
use crate::framework::{Flow, Role, Stops};
use crate::line::Measured;

/// Waits in the handler of its first message until the gate opens, then counts.
struct Gated {
    gate: Option<Arc<Notify>>,
    entered: Arc<Countdown>,
    n_handled: Arc<AtomicU64>,
    _ended: Ended,
}

/// Signals when the actor is dropped.
struct Ended(Arc<Countdown>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.count();
    }
}

impl<F: Stops> Role<F> for Gated {
    type Msg = u64;

    async fn handle(&mut self, _: u64) -> Flow {
        if let Some(gate) = self.gate.take() {
            self.entered.count();
            gate.notified().await;
        } else {
            self.n_handled.fetch_add(1, Ordering::Relaxed);
        }
        Flow::Go
    }
}

/// `n` messages are queued behind a handler that waits; then the actor is told to end, and only then
/// the handler goes on. `handled` are the messages handled in spite of the request.
pub(crate) async fn system_behind<F: Stops>(f: F, n: u64) -> Measured {
    let gate = Arc::new(Notify::new());
    let (entered, ended) = (Countdown::new(1), Countdown::new(1));
    let n_handled = Arc::new(AtomicU64::new(0));
    let role = (gate.clone(), entered.clone(), n_handled.clone(), ended.clone());
    let make = move || {
        let (gate, entered, n_handled, ended) = role.clone();
        Gated { gate: Some(gate), entered, n_handled, _ended: Ended(ended) }
    };
    let addr = f.spawn(make).await;
    F::send(&addr, 0).await;
    entered.over().await;
    for i in 0..n {
        F::send(&addr, i).await;
    }
    let watch = Stopwatch::start();
    F::stop(&addr);
    gate.notify_one();
    ended.over().await;
    let mut measured = watch.stop(1);
    measured.n = n;
    measured.with("handled", cpu::real(n_handled.load(Ordering::Relaxed)))
}
