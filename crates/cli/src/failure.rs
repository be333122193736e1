//! How a command fails: an exit code, the chain of causes, and what to do next.

use std::any::Any;

/// Exit codes. Most usage errors (2) are said by the parser of the arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// It did not work, or what was claimed does not hold.
    Failure = 1,
    /// Something that only this command can see is missing from the arguments.
    Usage = 2,
    /// What was named is not there.
    NotFound = 4,
    /// What should answer does not run, or cannot be reached.
    Unreachable = 5,
    /// The work was not done in time.
    Timeout = 6,
    /// Some of it was done, and some could not be.
    Partial = 9,
    /// Somebody else changed or made the file, has the store open, or has ended the run.
    Conflict = 10,
    /// SIGINT, such as Ctrl-C.
    Interrupted = 130,
    /// SIGTERM.
    Terminated = 143,
}

/// Why a command failed: cause, evidence, next command.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) error: anyhow::Error,
    pub(crate) next: Option<String>,
}

impl Failure {
    pub(crate) fn new(code: Code, error: impl Into<anyhow::Error>) -> Self {
        Self { code, error: error.into(), next: None }
    }

    /// A failure in words.
    pub(crate) fn msg(code: Code, text: impl Into<String>) -> Self {
        Self::new(code, anyhow::Error::msg(text.into()))
    }

    /// What the user can do.
    pub(crate) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// A panic outside of any agent: our mistake.
    pub(crate) fn internal(panic: &(dyn Any + Send)) -> Self {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        Self::msg(Code::Failure, format!("internal error: {text}"))
            .next("this is a defect of ggml-agent: please report it with this line")
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Code::Failure, error)
    }
}
