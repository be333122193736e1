//! Planted bugs: each is put into a copy of the project, and a test must notice it.
//!
//! What a suite of tests is worth shows in the bugs that it catches. The bugs are data
//! (`sabotage.toml`), so a new one is a few lines and no build has switches for them.

mod tree;
mod trial;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use crate::promises::PromiseId;
use crate::{Error, source};
use tree::Tree;
use trial::Verdict;

/// Where the bugs stand, below the root.
pub const PLAN: &str = "sabotage.toml";

/// The planted bugs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// In the order in which they are tried.
    #[serde(default, rename = "bug")]
    pub bugs: Vec<Bug>,
}

/// One planted bug and the tests that must catch it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bug {
    /// Its name, such as `accept-old-fence`.
    pub name: String,
    /// What is broken, in one sentence.
    pub what: String,
    /// The promise that it breaks, such as `D2`.
    #[serde(deserialize_with = "promise_id")]
    pub promise: PromiseId,
    /// The file that it is planted in, below the root.
    pub file: PathBuf,
    /// The text that is replaced; it stands in the file exactly once.
    pub find: String,
    /// What is put in its place; it still compiles.
    pub replace: String,
    /// How its tests are run.
    #[serde(flatten)]
    pub test: TestCommand,
}

/// `cargo test -p PACKAGE ARGS FILTER`, with some environment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct TestCommand {
    /// The package whose tests are run.
    pub package: String,
    /// The part of a test's name that selects it.
    pub filter: String,
    /// Further arguments of `cargo test`, such as `--lib` or `--release`.
    #[serde(default)]
    pub args: Vec<String>,
    /// Further environment, such as `RUSTFLAGS = "--cfg loom"`.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// A run that takes longer, once built, is ended and has caught nothing; in seconds.
    #[serde(default = "default_timeout_s")]
    pub timeout_s: u64,
}

// Twice what the longest seeded test may take in a debug build on two busy cores.
fn default_timeout_s() -> u64 {
    300
}

fn promise_id<'de, D: serde::Deserializer<'de>>(from: D) -> Result<PromiseId, D::Error> {
    String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
}

impl Plan {
    /// Reads [`PLAN`] below `root`.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read, [`Error::Form`] when it is not a plan: a key is missing
    /// or unknown, or two bugs have one name.
    pub fn read(root: &Path) -> Result<Self, Error> {
        let path = Path::new(PLAN);
        let form = |why: String| Error::Form { path: path.to_path_buf(), why };
        let text = source::text(root, path)?.ok_or_else(|| form("not UTF-8".to_owned()))?;
        let plan: Self = toml::from_str(&text).map_err(|error| form(error.to_string()))?;
        let mut names = BTreeSet::new();
        match plan.bugs.iter().find(|bug| !names.insert(bug.name.as_str())) {
            Some(twice) => Err(form(format!("two bugs are named {}", twice.name))),
            None => Ok(plan),
        }
    }

    /// The bugs of these names, or all of them when no name is given.
    ///
    /// # Errors
    /// [`Error::Usage`] when a name is unknown, or when there is no bug at all: a run that tries
    /// nothing must not look like a success.
    fn select(self, names: &[&str]) -> Result<Self, Error> {
        let known: Vec<&str> = self.bugs.iter().map(|bug| bug.name.as_str()).collect();
        if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
            let known = known.join(", ");
            return Err(Error::Usage(format!("no bug is named {unknown}; there are: {known}")));
        }
        if known.is_empty() {
            return Err(Error::Usage(format!("{PLAN} has no [[bug]] to plant")));
        }
        let mut bugs = self.bugs;
        bugs.retain(|bug| names.is_empty() || names.contains(&bug.name.as_str()));
        Ok(Self { bugs })
    }

    /// The bugs that cannot be planted below `root`, one sentence each: the text to replace must
    /// stand in its file exactly once.
    #[must_use]
    pub fn misfits(&self, root: &Path) -> Vec<String> {
        let misfit = |bug: &Bug| {
            let (name, file) = (&bug.name, bug.file.display());
            if !bug.file.components().all(|part| matches!(part, Component::Normal(_))) {
                return Some(format!("{name}: {file} is not a path below the root"));
            }
            let Ok(Some(text)) = source::text(root, &bug.file) else {
                return Some(format!("{name}: {file} cannot be read"));
            };
            match text.matches(&bug.find).count() {
                _ if bug.find.is_empty() || bug.find == bug.replace => {
                    Some(format!("{name}: it changes nothing"))
                }
                1 => None,
                n => Some(format!("{name}: its text stands {n} times in {file}, not once")),
            }
        };
        self.bugs.iter().filter_map(misfit).collect()
    }
}

/// Plants the bugs of these names, or all of them, one after the other in a copy of the project at
/// `root`, and writes to `out` which tests catch each. Says whether all were caught.
///
/// Copy, builds and logs lie in `base` and are kept, so a second run builds little; one run at a time
/// uses it.
///
/// # Errors
/// [`Error`] when the plan cannot be read, a name is unknown, or cargo cannot be started.
pub fn run(root: &Path, base: &Path, names: &[&str], out: &mut impl Write) -> Result<bool, Error> {
    let plan = Plan::read(root)?.select(names)?;
    let misfits = plan.misfits(root);
    for misfit in &misfits {
        say(out, format_args!("error: {misfit}"))?;
    }
    if !misfits.is_empty() {
        return Ok(false);
    }
    let tree = Tree::copy(root, base)?;

    let commands: BTreeSet<&TestCommand> = plan.bugs.iter().map(|bug| &bug.test).collect();
    let mut sound = true;
    for (idx, command) in commands.into_iter().enumerate() {
        let verdict = trial::run(&tree, command, &format!("clean-{idx}"))?;
        if !matches!(verdict, Verdict::Survived { .. }) {
            let line = trial::line_of(command);
            say(out, format_args!("error: without a bug, `{line}`: {verdict}"))?;
            sound = false;
        }
    }
    if !sound {
        say(out, format_args!("logs: {}", tree.logs().display()))?;
        return Ok(false);
    }
    let n_caught = try_all(&plan, &tree, out)?;
    let n = plan.bugs.len();
    say(out, format_args!("{n_caught} of {n} planted bugs caught"))?;
    if n_caught < n {
        say(out, format_args!("logs: {}", tree.logs().display()))?;
    }
    Ok(n_caught == n)
}

fn try_all(plan: &Plan, tree: &Tree, out: &mut impl Write) -> Result<usize, Error> {
    let width = plan.bugs.iter().map(|bug| bug.name.len()).max().unwrap_or(0);
    let mut n_caught = 0;
    for bug in &plan.bugs {
        let verdict = {
            let _planted = tree.plant(bug)?;
            trial::run(tree, &bug.test, &bug.name)?
        };
        let (name, promise) = (&bug.name, bug.promise);
        let Verdict::Caught { tests } = verdict else {
            say(out, format_args!("{name:width$}  {promise:<4} NOT CAUGHT: {verdict}"))?;
            continue;
        };
        n_caught += 1;
        for (idx, test) in tests.iter().enumerate() {
            let first = idx == 0;
            let name = if first { name } else { "" };
            let promise = if first { promise.to_string() } else { String::new() };
            let caught_by = if first { "caught by" } else { "" };
            say(out, format_args!("{name:width$}  {promise:<4} {caught_by:<9} {test}"))?;
        }
    }
    Ok(n_caught)
}

/// Writes a line and shows it at once: a bug takes a while.
fn say(out: &mut impl Write, line: std::fmt::Arguments<'_>) -> Result<(), Error> {
    let done: io::Result<()> = writeln!(out, "{line}").and_then(|()| out.flush());
    done.map_err(Error::io(Path::new("standard output")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUG: &str = r#"
        [[bug]]
        name = "accept-old-fence"
        what = "An edit with an older token is applied."
        promise = "D2"
        file = "Cargo.toml"
        find = "name = "
        replace = "names = "
        package = "ggml-agent-core"
        filter = "d02_"
    "#;

    fn plan(text: &str) -> Plan {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_bug_is_data() {
        let bug = plan(&format!("{BUG}\nenv = {{ RUSTFLAGS = \"--cfg loom\" }}")).bugs.remove(0);
        assert_eq!(bug.promise.to_string(), "D2");
        assert_eq!(bug.test.timeout_s, 300);
        assert_eq!(bug.test.env["RUSTFLAGS"], "--cfg loom");
        assert_eq!(plan("# nothing yet\n").bugs, []);
    }

    #[test]
    fn a_misspelt_key_or_promise_is_refused() {
        for wrong in [
            BUG.replace("filter", "filtre"),
            BUG.replace("D2", "X2"),
            format!("{BUG}\ntimeout = 3"),
            BUG.replace("[[bug]]", "[[bugs]]"),
        ] {
            assert!(toml::from_str::<Plan>(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_known_names_are_selected_and_nothing_is_no_success() {
        let names = |chosen: &[&str]| plan(BUG).select(chosen).map(|plan| plan.bugs.len());
        assert!(matches!(names(&[]), Ok(1)));
        assert!(matches!(names(&["accept-old-fence"]), Ok(1)));
        assert!(matches!(names(&["accept-old-fense"]), Err(Error::Usage(_))));
        assert!(matches!(Plan::default().select(&[]), Err(Error::Usage(_))));
    }

    #[test]
    fn the_text_to_replace_stands_exactly_once() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let misfit = |find: &str, file: &str| {
            let mut plan = plan(BUG);
            plan.bugs[0].find = find.to_owned();
            plan.bugs[0].file = file.into();
            plan.misfits(root).pop()
        };
        assert_eq!(misfit("publish = false", "Cargo.toml"), None);
        assert!(misfit(".workspace = true", "Cargo.toml").is_some());
        assert!(misfit("nowhere to be found", "Cargo.toml").is_some());
        assert!(misfit("publish = false", "Cargo.tom").is_some());
        assert!(misfit("publish = false", "../xtask/Cargo.toml").is_some());
        assert!(misfit("", "Cargo.toml").is_some());
        assert!(misfit("names = ", "Cargo.toml").is_some());
    }
}
