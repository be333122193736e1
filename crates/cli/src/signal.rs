//! Signals that end a command in order.

use std::future::Future;
use std::io;
use std::pin::Pin;

use crate::failure::{Code, Failure};

/// Who asked for the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// SIGINT, such as Ctrl-C.
    Interrupt,
    /// SIGTERM.
    #[cfg_attr(not(unix), expect(dead_code, reason = "only Unix has it"))]
    Terminate,
}

impl Signal {
    /// The failure that a command ends with after this signal.
    pub(crate) fn failure(self) -> Failure {
        match self {
            Self::Interrupt => Failure::msg(Code::Interrupted, "interrupted; nothing was written"),
            Self::Terminate => Failure::msg(Code::Terminated, "terminated; nothing was written"),
        }
    }
}

/// Resolves when the process is asked to end; never otherwise.
pub(crate) type Stop = Pin<Box<dyn Future<Output = Signal>>>;

/// Listens from now on.
#[cfg(unix)]
pub(crate) fn listen() -> io::Result<Stop> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(Box::pin(async move {
        tokio::select! {
            _ = interrupt.recv() => Signal::Interrupt,
            _ = terminate.recv() => Signal::Terminate,
        }
    }))
}

/// Listens from now on.
#[cfg(not(unix))]
pub(crate) fn listen() -> io::Result<Stop> {
    Ok(Box::pin(async {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Signal::Interrupt,
            // Nobody can interrupt it, then.
            Err(_) => std::future::pending().await,
        }
    }))
}
