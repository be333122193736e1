//! How a system is set up.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ggml_agent_core::seam::Clock;
use ggml_agent_core::store::StoreRef;

use crate::cell::dispatch::Dispatch;

/// How a system is set up; [`System::new`](crate::System::new) takes the defaults.
pub struct Options {
    /// Runners of the shared pool; `None` for one per worker of the tokio runtime.
    pub n_runners: Option<usize>,
    /// Who gives the cells of the shared pool their turns, in place of the runners.
    pub dispatch: Option<Arc<dyn Dispatch>>,
    /// The clock; tokio's by default.
    pub clock: Option<Arc<dyn Clock>>,
    /// Where durable agents are kept; without one there are none.
    pub store: Option<StoreRef>,
    /// Seed of message ids and of the jitter of backoffs; random by default. Systems with one seed make
    /// the same ids, so with a store those are random whatever it says.
    pub seed: Option<u64>,
    /// How long a killed handler may hold its thread before it is fenced (M10): 1 s.
    pub fence_after: Duration,
    /// How often threads are looked at for handlers that block: 500 ms.
    pub watch_interval: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            n_runners: None,
            dispatch: None,
            clock: None,
            store: None,
            seed: None,
            fence_after: Duration::from_secs(1),
            watch_interval: Duration::from_millis(500),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("n_runners", &self.n_runners)
            .field("store", &self.store)
            .field("seed", &self.seed)
            .field("fence_after", &self.fence_after)
            .finish_non_exhaustive()
    }
}
