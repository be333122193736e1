//! One run of the tests, and what it says about the bug.

use std::fmt;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::TestCommand;
use super::tree::Tree;
use crate::Error;
use crate::process::{cargo, command, line_of as command_line, stdout_of};

/// What a run of the tests says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Tests failed: these.
    Caught { tests: Vec<String> },
    /// All tests passed.
    Survived { n_run: usize },
    /// The filter selects no test.
    NoTests,
    /// The build failed, so no test said anything.
    DoesNotCompile,
    /// The run did not end in time.
    TimedOut { timeout_s: u64 },
    /// The run failed, but no test did: a test process died.
    Died,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caught { tests } => write!(f, "failed: {}", tests.join(", ")),
            Self::Survived { n_run } => write!(f, "all {n_run} tests passed"),
            Self::NoTests => f.write_str("the filter selects no test"),
            Self::DoesNotCompile => f.write_str("it does not compile"),
            Self::TimedOut { timeout_s } => write!(f, "it did not end within {timeout_s} s"),
            Self::Died => f.write_str("a test process died without a verdict"),
        }
    }
}

/// Builds the tests of `test` in `tree`, runs them, and keeps their output in the log `name`.
pub(super) fn run(tree: &Tree, test: &TestCommand, name: &str) -> Result<Verdict, Error> {
    let log = tree.logs().join(format!("{name}.log"));
    let mut build = cargo_test(tree, test);
    build.arg("--no-run");
    let built = logged(&mut build, &log, None)?;
    if !built.is_some_and(|status| status.success()) {
        return Ok(Verdict::DoesNotCompile);
    }
    let mut run = cargo_test(tree, test);
    run.args(["--no-fail-fast", &test.filter]);
    let ended = logged(&mut run, &log, Some(Duration::from_secs(test.timeout_s)))?;
    let output = fs::read(&log).map_err(Error::io(&log))?;
    Ok(verdict(ended, &String::from_utf8_lossy(&output), test.timeout_s))
}

/// The command as a person would type it.
pub(super) fn line_of(test: &TestCommand) -> String {
    let env: String = test.env.iter().map(|(name, value)| format!("{name}={value:?} ")).collect();
    let args: String = test.args.iter().map(|arg| format!("{arg} ")).collect();
    format!("{env}cargo test -p {} {args}{}", test.package, test.filter)
}

fn cargo_test(tree: &Tree, test: &TestCommand) -> Command {
    let flags: String = test.env.iter().map(|(name, value)| format!("{name}{value}")).collect();
    let mut cargo = command(cargo(), &tree.dir());
    cargo.arg("test").args(["-p", &test.package]).args(&test.args);
    cargo.arg("--target-dir").arg(tree.target_dir(&flags));
    cargo.envs(&test.env).env_remove("CARGO_TARGET_DIR").env("CARGO_TERM_COLOR", "never");
    cargo
}

/// Runs `command` with its output in `log`; `None` when it was ended after `timeout`.
fn logged(
    command: &mut Command,
    log: &Path,
    timeout: Option<Duration>,
) -> Result<Option<ExitStatus>, Error> {
    let line = command_line(command);
    let failed = |source| Error::Start { command: line.clone(), source };
    let file = File::create(log).map_err(Error::io(log))?;
    command.stderr(file.try_clone().map_err(Error::io(log))?).stdout(file);
    let Some(timeout) = timeout else {
        return command.status().map(Some).map_err(failed);
    };
    // A group of its own, so that ending cargo ends the tests that it started.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    let mut child = command.spawn().map_err(failed)?;
    let group = child.id();
    let (tell, hear) = mpsc::channel();
    let waiter = thread::spawn(move || tell.send(child.wait()).is_ok());
    let status = match hear.recv_timeout(timeout) {
        Ok(status) => Some(status.map_err(failed)?),
        Err(RecvTimeoutError::Timeout) => {
            end_group(group)?;
            None
        }
        Err(RecvTimeoutError::Disconnected) => unreachable!("invariant: the waiter always tells"),
    };
    waiter.join().expect("invariant: the waiter does not panic");
    Ok(status)
}

fn end_group(group: u32) -> Result<(), Error> {
    let mut kill = command("kill", Path::new("."));
    kill.args(["-KILL", "--", &format!("-{group}")]);
    stdout_of(&mut kill).map(drop)
}

fn verdict(ended: Option<ExitStatus>, output: &str, timeout_s: u64) -> Verdict {
    let tally = Tally::of(output);
    match ended {
        None => Verdict::TimedOut { timeout_s },
        Some(_) if !tally.failed.is_empty() => Verdict::Caught { tests: tally.failed },
        Some(status) if !status.success() => Verdict::Died,
        Some(_) if tally.n_run == 0 => Verdict::NoTests,
        Some(_) => Verdict::Survived { n_run: tally.n_run },
    }
}

/// What the test harness printed, over all test binaries of a run.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    n_run: usize,
    failed: Vec<String>,
}

impl Tally {
    fn of(output: &str) -> Self {
        let mut tally = Self::default();
        let mut listed = Vec::new();
        for line in output.lines() {
            if line == "failures:" {
                // Said twice: before what the tests printed, and before their names.
                listed.clear();
            } else if let Some(counts) = line.strip_prefix("test result: ") {
                let failed = count(counts, "failed");
                tally.n_run += count(counts, "passed") + failed;
                if failed > 0 {
                    tally.failed.append(&mut listed);
                }
                listed.clear();
            } else if let Some(name) = line.strip_prefix("    ") {
                listed.push(name.trim_end().to_owned());
            }
        }
        tally
    }
}

/// The number before `word` in `FAILED. 3 passed; 1 failed; ...`.
fn count(counts: &str, word: &str) -> usize {
    let words: Vec<&str> = counts.split([' ', ';']).filter(|part| !part.is_empty()).collect();
    let at = words.iter().position(|part| *part == word);
    at.and_then(|at| words.get(at.checked_sub(1)?)?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failing_tests_are_counted_and_named_over_all_binaries() {
        let output = "\
   Compiling x v0.1.0
     Running unittests src/lib.rs
running 3 tests
test a::s01_x ... FAILED
test a::s02_y ... ok

failures:

---- a::s01_x stdout ----
    not a name

failures:
    a::s01_x

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 4 filtered out; finished in 0.00s

     Running tests/it/main.rs
running 1 test
test result: FAILED. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out
failures:
    b::s03_z

test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 9 filtered out
   Doc-tests x
running 0 tests
test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out
";
        let failed = vec!["a::s01_x".to_owned(), "b::s03_z".to_owned()];
        assert_eq!(Tally::of(output), Tally { n_run: 3, failed });
    }

    #[test]
    fn an_empty_output_has_no_tests() {
        assert_eq!(Tally::of(""), Tally::default());
        assert_eq!(Tally::of("test result: ok. x passed;"), Tally::default());
    }
}
