//! Instructions per operation of the runtime's hot paths: what does not depend on a busy machine.
//!
//! Each path runs twice under valgrind's callgrind, with N and with 2N operations after the same
//! preparation; the difference divided by N is exact, and equal from run to run, because the
//! measured program has one thread and a clock of its own (`clock.c`).

mod profile;
mod report;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::process::{cargo, command, stdout_of};
use crate::{Error, source};
use profile::Profile;
use report::{Counted, Report};

/// Where the counts stand, below the root.
pub const REPORT: &str = "benches/instructions.md";

/// The clock of the measured program, below the root.
const CLOCK: &str = "crates/xtask/src/instructions/clock.c";

/// A path of `crates/runtime/benches/instructions.rs`.
struct HotPath {
    name: &'static str,
    /// What one operation is.
    what: &'static str,
    n: u64,
}

const fn path(name: &'static str, n: u64, what: &'static str) -> HotPath {
    HotPath { name, what, n }
}

// Powers of two, so that what is done once per batch is done as often in both halves; with so many
// operations what is left of the beginning is less than one instruction of each.
const PATHS: [HotPath; 14] = [
    path("tell", 8_192, "a job sends to an agent, `send().await`, default mailbox"),
    path("hop", 8_192, "an agent sends to another, which sends back; one way"),
    path("ring", 8_000, "the same among 1,000 agents in a ring"),
    path("ask", 8_192, "a job asks an agent at rest"),
    path("ask-from-agent", 8_192, "a handler asks an agent at rest"),
    path("tell-by-name", 8_192, "`system.tell` to one of 1,000 agents"),
    path("route", 8_192, "an envelope is made and routed by id, 64 bytes of payload"),
    path("spawn", 4_096, "`system.spawn`, until started"),
    path("start-child", 4_096, "`start_child` of a dynamic supervisor"),
    path("stop", 4_096, "`stop`, until gone for good"),
    path("restart", 512, "from a panic to the next message handled"),
    path("mpsc-tell", 8_192, "yardstick: tokio's unbounded channel to a job"),
    path("mpsc-tell-bounded", 8_192, "yardstick: tokio's channel of 1,024 to a job"),
    path("oneshot-ask", 8_192, "yardstick: the same channel and a oneshot back"),
];

/// What [`run`] does with the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Writes [`REPORT`].
    Write,
    /// Compares with [`REPORT`] and writes nothing.
    Check,
}

/// Counts all paths of the project at `root` and says whether all is well: always after writing; when
/// checking, if no path has changed by more than 2 %. Builds and profiles go to `base`.
///
/// # Errors
/// [`Error::Missing`] without valgrind; other [`Error`]s when something cannot be built, run or read.
pub fn run(root: &Path, base: &Path, mode: Mode, out: &mut impl Write) -> Result<bool, Error> {
    let valgrind = version_of_valgrind(root)?;
    let before = match mode {
        Mode::Write => None,
        Mode::Check => Some(committed(root)?),
    };
    fs::create_dir_all(base).map_err(Error::io(base))?;
    let program = Program::build(root, base)?;
    let mut paths = Vec::new();
    for path in &PATHS {
        let counted = program.count(path)?;
        say(out, format_args!("{:<18} {:>7}", path.name, counted.instructions))?;
        paths.push(counted);
    }
    let after = Report { made_with: made_with(root, valgrind)?, paths };
    let Some(before) = before else {
        let file = root.join(REPORT);
        fs::write(&file, after.to_string()).map_err(Error::io(&file))?;
        say(out, format_args!("written to {REPORT}"))?;
        return Ok(true);
    };
    for (key, was, is) in before.differently_made(&after) {
        say(out, format_args!("note: {key} was {was}, is {is}"))?;
    }
    let changes = before.changes(&after);
    for change in &changes {
        say(out, format_args!("changed: {change}"))?;
    }
    if changes.is_empty() {
        say(out, format_args!("no path has changed by more than 2 %"))?;
    }
    Ok(changes.is_empty())
}

fn committed(root: &Path) -> Result<Report, Error> {
    let path = Path::new(REPORT);
    let form = |why: String| Error::Form { path: path.to_path_buf(), why };
    let text = source::text(root, path)?.ok_or_else(|| form("not UTF-8".to_owned()))?;
    text.parse().map_err(form)
}

fn version_of_valgrind(root: &Path) -> Result<String, Error> {
    match stdout_of(command("valgrind", root).arg("--version")) {
        Ok(version) => Ok(text(&version)),
        Err(Error::Start { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Err(Error::Missing {
                program: "valgrind",
                how: "`apt-get install valgrind` (Debian, Ubuntu), `dnf install valgrind` (Fedora), \
                      or https://valgrind.org; it runs on Linux",
            })
        }
        Err(error) => Err(error),
    }
}

/// What the counts depend on, and when they were made.
fn made_with(root: &Path, valgrind: String) -> Result<Vec<(String, String)>, Error> {
    let rustc = text(&stdout_of(command("rustc", root).arg("-vV"))?);
    let line = |key: &str| {
        let value = rustc.lines().find_map(|line| line.strip_prefix(key));
        value.unwrap_or("unknown").trim().to_owned()
    };
    let date = text(&stdout_of(command("date", root).args(["-u", "+%F"]))?);
    let facts = [
        ("date", date),
        ("rustc", line("rustc ")),
        ("target", line("host:")),
        ("valgrind", valgrind.trim_start_matches("valgrind-").to_owned()),
    ];
    Ok(facts.map(|(key, value)| (key.to_owned(), value)).to_vec())
}

/// The measured program, built.
struct Program<'a> {
    root: &'a Path,
    base: &'a Path,
    exe: PathBuf,
    clock: PathBuf,
}

impl<'a> Program<'a> {
    fn build(root: &'a Path, base: &'a Path) -> Result<Self, Error> {
        let mut build = command(cargo(), root);
        build.args(["build", "--release", "-p", "ggml-agent", "--bench", "instructions"]);
        let messages = text(&stdout_of(build.arg("--message-format=json"))?);
        let exe = profile::executable(&messages).ok_or_else(|| Error::Form {
            path: "the answer of cargo build".into(),
            why: "names no executable".to_owned(),
        })?;
        let clock = base.join("clock.so");
        let mut compile = command("cc", root);
        compile.args(["-O2", "-shared", "-fPIC", "-o"]).arg(&clock).arg(root.join(CLOCK));
        stdout_of(&mut compile)?;
        Ok(Self { root, base, exe, clock })
    }

    fn count(&self, path: &HotPath) -> Result<Counted, Error> {
        let once = self.profile(path, path.n)?;
        let twice = self.profile(path, 2 * path.n)?;
        Ok(Counted::between(path.name, path.what, path.n, &once, &twice))
    }

    fn profile(&self, path: &HotPath, n: u64) -> Result<Profile, Error> {
        let file = self.base.join(format!("{}-{n}.callgrind", path.name));
        let mut run = command("valgrind", self.root);
        run.env("LD_PRELOAD", &self.clock);
        run.arg("--tool=callgrind").arg(format!("--callgrind-out-file={}", file.display()));
        run.arg(&self.exe).arg(path.name).args([n, 2 * path.n].map(|number| number.to_string()));
        stdout_of(&mut run)?;
        let mut annotate = command("callgrind_annotate", self.root);
        annotate.args(["--threshold=100", "--auto=no"]).arg(&file);
        let listing = text(&stdout_of(&mut annotate)?);
        listing.parse().map_err(|why| Error::Form { path: file, why })
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}

/// Writes a line and shows it at once: a path takes a second.
fn say(out: &mut impl Write, line: std::fmt::Arguments<'_>) -> Result<(), Error> {
    let done: io::Result<()> = writeln!(out, "{line}").and_then(|()| out.flush());
    done.map_err(Error::io(Path::new("standard output")))
}
