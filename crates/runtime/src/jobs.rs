//! Spawned work with an owner: what is spawned here ends with the value that holds it.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

/// Jobs of one owner. Dropping it aborts those that still run, at their next await point.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    running: Mutex<Vec<AbortHandle>>,
}

impl Jobs {
    /// Runs `job` on the runtime of `handle` until it ends or its owner does.
    pub(crate) fn spawn(
        &self,
        handle: &Handle,
        job: impl Future<Output = ()> + Send + 'static,
    ) -> AbortHandle {
        let abort = handle.spawn(job).abort_handle();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        // Forget the finished ones whenever the list would have to grow: amortised constant.
        if running.len() == running.capacity() {
            running.retain(|job| !job.is_finished());
        }
        running.push(abort.clone());
        abort
    }

    /// Aborts all.
    pub(crate) fn abort_all(&self) {
        for job in self.running.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            job.abort();
        }
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        self.abort_all();
    }
}
