//! Jobs on the workers of the runtime, ended with whoever waits for them.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// A job on a worker; dropping it ends it at its next await point.
pub(super) struct Job<T> {
    handle: JoinHandle<T>,
}

impl<T: Send + 'static> Job<T> {
    pub(super) fn start(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self { handle: Handle::current().spawn(work) }
    }

    /// Its output; its panic becomes the caller's.
    pub(super) async fn done(mut self) -> T {
        match (&mut self.handle).await {
            Ok(output) => output,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

impl<T> Drop for Job<T> {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

/// Tells when so many things have happened.
#[derive(Debug)]
pub(super) struct Countdown {
    left: AtomicUsize,
    over: Notify,
}

impl Countdown {
    pub(super) fn new(n: usize) -> Self {
        Self { left: AtomicUsize::new(n), over: Notify::new() }
    }

    /// One has happened.
    pub(super) fn one(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Kept for whoever comes later to wait.
            self.over.notify_one();
        }
    }

    /// Waits, once, until all have.
    pub(super) async fn over(&self) {
        self.over.notified().await;
    }
}
