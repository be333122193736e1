//! What most actors of the workloads are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

use crate::cpu;
use crate::framework::{Flow, Framework, Role};

/// A payload that is shared rather than copied.
pub(crate) type Payload = Arc<[u8; 64]>;

/// The message of most workloads: a small enum.
pub(crate) enum Msg {
    Number(u64),
    Shared(Payload),
    /// Makes the handler panic.
    Poison,
}

/// Waits until so many things have happened.
pub(crate) struct Countdown {
    left: AtomicU64,
    done: Notify,
}

impl Countdown {
    pub(crate) fn new(n: u64) -> Arc<Self> {
        Arc::new(Self { left: AtomicU64::new(n), done: Notify::new() })
    }

    /// Starts again; nobody may be counting at this moment.
    pub(crate) fn reset(&self, n: u64) {
        self.left.store(n, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.done.notify_one();
        }
    }

    pub(crate) async fn over(&self) {
        self.done.notified().await;
    }
}

/// Counts its messages by itself and signals the last one; answers with the number of its messages.
pub(crate) struct Sink {
    left: u64,
    done: Arc<Countdown>,
    steps: u32,
}

impl Sink {
    /// Signals `done` at the `n`-th message, and works for so many steps at each.
    pub(crate) fn new(n: u64, done: &Arc<Countdown>, steps: u32) -> Self {
        Self { left: n, done: done.clone(), steps }
    }
}

impl<F: Framework> Role<F> for Sink {
    type Msg = Msg;

    async fn handle(&mut self, msg: Msg) -> Flow {
        std::hint::black_box(&msg);
        if self.steps != 0 {
            cpu::work(self.steps);
        }
        self.left -= 1;
        if self.left == 0 {
            self.done.count();
        }
        Flow::Go
    }

    fn answer(&mut self) -> u64 {
        self.left
    }
}

/// One of many: counts in common that it has started, or that it got a message.
pub(crate) struct Member {
    started: Option<Arc<Countdown>>,
    handled: Arc<Countdown>,
}

impl Member {
    /// Counts each message.
    pub(crate) fn new(handled: &Arc<Countdown>) -> Self {
        Self { started: None, handled: handled.clone() }
    }

    /// Counts its start too.
    pub(crate) fn starting(mut self, started: &Arc<Countdown>) -> Self {
        self.started = Some(started.clone());
        self
    }
}

impl<F: Framework> Role<F> for Member {
    type Msg = Msg;

    fn started(&mut self) {
        if let Some(started) = self.started.take() {
            started.count();
        }
    }

    async fn handle(&mut self, msg: Msg) -> Flow {
        match msg {
            Msg::Number(n) => drop(std::hint::black_box(n)),
            Msg::Shared(payload) => drop(std::hint::black_box(payload)),
            #[expect(clippy::panic, reason = "this is what is measured")]
            Msg::Poison => panic!("poison"),
        }
        self.handled.count();
        Flow::Go
    }
}
