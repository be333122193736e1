//! Why an incarnation ended.

use std::fmt;
use std::sync::Arc;

/// Why an incarnation of an agent ended.
///
/// The last five are *abnormal*: a transient child is restarted after them (S6).
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum ExitReason {
    /// The agent ended by its own decision.
    Normal,
    /// The agent was asked to stop and did.
    Shutdown,
    /// The agent was asked to stop, or stopped itself, and says why; not abnormal.
    ShutdownWith(Report),
    /// A callback returned an error.
    Error(Report),
    /// A callback panicked.
    Panic(Report),
    /// The incarnation was killed: its handler was dropped at an await point, or fenced.
    Killed,
    /// The agent made no progress for the heartbeat timeout while it had something to do (S33).
    Unresponsive,
    /// `on_start` failed.
    StartFailed(Report),
}

impl ExitReason {
    /// Whether this is a failure, after which a transient child is restarted (S6).
    #[must_use]
    pub fn is_abnormal(&self) -> bool {
        match self {
            Self::Normal | Self::Shutdown | Self::ShutdownWith(_) => false,
            Self::Error(_)
            | Self::Panic(_)
            | Self::Killed
            | Self::Unresponsive
            | Self::StartFailed(_) => true,
        }
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("normal"),
            Self::Shutdown => f.write_str("shutdown"),
            Self::ShutdownWith(report) => write!(f, "shutdown: {report}"),
            Self::Error(report) => write!(f, "error: {report}"),
            Self::Panic(report) => write!(f, "panic: {report}"),
            Self::Killed => f.write_str("killed"),
            Self::Unresponsive => f.write_str("unresponsive"),
            Self::StartFailed(report) => write!(f, "start failed: {report}"),
        }
    }
}

/// A failure in words, with its chain of causes; cheap to clone.
///
/// Any [`std::error::Error`] converts into it, so `?` works in handlers whose error type is `Report`.
///
/// # Example
/// ```
/// use ggml_agent_core::Report;
/// let report: Report = "x".parse::<u32>().unwrap_err().into();
/// assert_eq!(report.to_string(), "invalid digit found in string");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct Report(Arc<str>);

impl Report {
    /// A report with this text.
    #[must_use]
    pub fn msg(text: impl fmt::Display) -> Self {
        Self(text.to_string().into())
    }

    /// The text: the error and its causes, joined by `": "`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<E: std::error::Error> From<E> for Report {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        Self(text.into())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Report({:?})", &self.0)
    }
}
