//! The ordered event stream of a system: every effect that matters, once, with a number.
//!
//! The page, the command line, telemetry and tests read the same stream. A watcher that is too slow
//! is told how many events it missed and never slows anybody down.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ggml_agent_core::seam::Clock;
use ggml_agent_core::supervise::Decision;
use ggml_agent_core::{AgentId, ExitReason};

use crate::dead_letter::DeadLetter;
use crate::stream::{Source, Watcher};

/// One event.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its number in the stream, from 1, without gaps.
    pub seq: u64,
    /// When, on the system's monotonic clock.
    pub at: Duration,
    /// When, in milliseconds since the Unix epoch; for people only.
    pub unix_ms: u64,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum EventKind {
    /// An incarnation's `on_start` returned.
    AgentStarted {
        /// Who.
        agent: AgentId,
        /// Which life of it.
        incarnation: u64,
    },
    /// An incarnation ended.
    AgentExited {
        /// Who.
        agent: AgentId,
        /// Which life of it.
        incarnation: u64,
        /// How.
        reason: ExitReason,
        /// Whether it had come up.
        started: bool,
    },
    /// An agent is gone for good, and its id is free.
    AgentEnded {
        /// Who.
        agent: AgentId,
    },
    /// A handler holds its thread; others that wait behind it were given to another thread.
    AgentBlocks {
        /// Who.
        agent: AgentId,
    },
    /// A supervisor decided something (S34).
    Supervision {
        /// Which supervisor.
        supervisor: AgentId,
        /// What it decided.
        decision: Decision,
    },
    /// A message became a dead letter.
    DeadLetter(Arc<DeadLetter>),
    /// A breaker changed its state.
    Breaker {
        /// The name it was given.
        name: Arc<str>,
        /// The change.
        transition: ggml_agent_core::breaker::Transition,
    },
    /// An event of a part that the runtime does not know, such as a document.
    Custom(Arc<dyn CustomEvent>),
}

/// An event of another crate; a watcher that knows its type downcasts [`CustomEvent::as_any`].
pub trait CustomEvent: fmt::Debug + fmt::Display + Send + Sync + 'static {
    /// The event as its own type.
    fn as_any(&self) -> &dyn Any;
    /// Its name, such as `doc.edit_accepted`.
    fn name(&self) -> &'static str;
}

/// The stream's source.
#[derive(Debug)]
pub(crate) struct Observer {
    events: Source<Event>,
}

impl Observer {
    pub(crate) fn new() -> Self {
        Self { events: Source::new() }
    }

    /// Numbers and publishes an event. Without a watcher it is only counted: neither made nor dated.
    pub(crate) fn emit(&self, clock: &dyn Clock, kind: impl FnOnce() -> EventKind) {
        if self.events.pass() {
            return;
        }
        // Before the stream is locked, because kind and clock may be of others.
        let (at, unix_ms, kind) = (clock.now(), clock.unix_ms(), kind());
        self.events.push(|seq| Event { seq, at, unix_ms, kind });
        self.events.wake();
    }

    /// Numbers an event that nobody needs; false when somebody watches, and then it must be emitted.
    pub(crate) fn pass(&self) -> bool {
        self.events.pass()
    }

    /// A watcher, and its relay if that must be run: see [`Source::watch`].
    pub(crate) fn watch(&self) -> (Events, Option<impl Future<Output = ()> + Send + use<>>) {
        let (watcher, relay) = self.events.watch();
        (Events { watcher }, relay)
    }
}

/// A watcher's end of the stream.
#[derive(Debug)]
pub struct Events {
    watcher: Watcher<Event>,
}

/// Why [`Events::next`] has no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WatchError {
    /// The watcher was too slow for the ring; the next call goes on with the oldest event kept.
    #[error("{0} events were missed: read the current state anew, then go on")]
    Missed(u64),
    /// The system is gone.
    #[error("the system has ended")]
    Ended,
}

impl Events {
    /// The next event.
    ///
    /// # Errors
    /// [`WatchError`].
    ///
    /// # Cancel safety
    /// No event is lost when the future is dropped.
    pub async fn next(&mut self) -> Result<Event, WatchError> {
        self.watcher.next().await
    }

    /// The next event if it is there already.
    ///
    /// # Errors
    /// [`WatchError`].
    pub fn try_next(&mut self) -> Result<Option<Event>, WatchError> {
        self.watcher.try_next()
    }

    /// Waits for the first event that `wanted` maps to a value.
    ///
    /// # Errors
    /// [`WatchError::Ended`]; events missed by being slow are passed over.
    pub async fn find<T>(
        &mut self,
        mut wanted: impl FnMut(&EventKind) -> Option<T>,
    ) -> Result<T, WatchError> {
        loop {
            match self.next().await {
                Ok(event) => {
                    if let Some(found) = wanted(&event.kind) {
                        return Ok(found);
                    }
                }
                Err(WatchError::Missed(_)) => {}
                Err(ended) => return Err(ended),
            }
        }
    }
}
