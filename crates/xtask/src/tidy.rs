//! What compiler, rustfmt and clippy cannot check, checked on every file of the project.
//!
//! Each rule is a function from text to findings; this file collects the text.

mod manifests;
mod markdown;
mod rust;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::{Error, sabotage, source};

/// One thing found, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, below the root.
    pub file: PathBuf,
    /// Its line from 1, where one line is at fault.
    pub line: Option<usize>,
    /// What is wrong and what to do.
    pub what: String,
}

impl Finding {
    fn in_file(file: &Path, what: impl Into<String>) -> Self {
        Self { file: file.to_path_buf(), line: None, what: what.into() }
    }

    /// `line_idx` counts from 0.
    fn at(file: &Path, line_idx: usize, what: impl Into<String>) -> Self {
        Self { line: Some(line_idx + 1), ..Self::in_file(file, what) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// Everything found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// What must be put right.
    pub problems: Vec<Finding>,
    /// What is allowed, but asks for a second look.
    pub warnings: Vec<Finding>,
}

/// Checks the repository at `root`.
///
/// # Errors
/// [`Error`] when files, git or cargo cannot be asked; what is found is not an error.
pub fn check(root: &Path) -> Result<Findings, Error> {
    let mut found = Findings::default();
    let files = source::files(root)?;
    let mut pages = Vec::new();
    for file in &files {
        // Golden files hold whatever they hold.
        if file.starts_with("tests/golden") || file.file_name().is_some_and(|n| n == "Cargo.lock") {
            continue;
        }
        let Some(text) = source::text(root, file)? else { continue };
        found.problems.extend(markers(file, &text));
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("rs") if file.starts_with("crates") => rust::check(file, &text, &mut found),
            Some("md") => pages.push((file.clone(), text)),
            _ => {}
        }
    }
    found.problems.extend(markdown::check(&pages, |path| root.join(path).exists()));
    found.problems.extend(changelog(&pages));
    found.problems.extend(manifests::check(root)?);
    found.problems.extend(planted(root));
    found.problems.sort();
    found.warnings.sort();
    Ok(found)
}

/// Unfinished work, and paths that exist on one machine only.
fn markers(file: &Path, text: &str) -> Vec<Finding> {
    // Written in pieces, so that this file does not find itself.
    let unfinished = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let homes = [concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("C:\\Us", "ers\\")];
    let mut findings = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for marker in unfinished.iter().filter(|marker| source::has_word(line, marker)) {
            let what = format!("{marker}: a known gap is an issue and a test, not a remark");
            findings.push(Finding::at(file, at, what));
        }
        if homes.iter().any(|home| line.contains(home)) {
            let what = "a path of one machine: make it relative, or read it from the environment";
            findings.push(Finding::at(file, at, what));
        }
    }
    findings
}

fn changelog(pages: &[(PathBuf, String)]) -> Option<Finding> {
    let path = Path::new("CHANGELOG.md");
    let text = pages.iter().find(|(file, _)| file == path).map_or("", |(_, text)| text.as_str());
    let has = text.lines().any(|line| line.trim_end() == "## [Unreleased]");
    (!has).then(|| Finding::in_file(path, "has no heading `## [Unreleased]` for the next release"))
}

/// A planted bug whose place has changed would be found only when the bugs are run, much later.
fn planted(root: &Path) -> Vec<Finding> {
    let file = Path::new(sabotage::PLAN);
    let plan = match sabotage::Plan::read(root) {
        Ok(plan) => plan,
        Err(error) => return vec![Finding::in_file(file, error.to_string())],
    };
    let misfits = plan.misfits(root);
    misfits.into_iter().map(|misfit| Finding::in_file(file, misfit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_work_is_found_in_any_text() {
        let file = Path::new("a.md");
        let marker = concat!("TO", "DO");
        let found = markers(file, &format!("fine\n<!-- {marker}: more -->\n"));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].line, Some(2));
        assert_eq!(markers(file, concat!("MAS", "TO", "DON and XX", "XX")), []);
    }

    #[test]
    fn a_home_path_is_found() {
        let found = markers(Path::new("a.sh"), concat!("cd /ho", "me/me/x\ncd ./home"));
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().starts_with("a.sh:1: a path of one machine"));
    }

    #[test]
    fn the_changelog_has_a_place_for_the_next_change() {
        let page = |text: &str| vec![(PathBuf::from("CHANGELOG.md"), text.to_owned())];
        assert_eq!(changelog(&page("# Changelog\n\n## [Unreleased]\n")), None);
        assert!(changelog(&page("# Changelog\n\n## [1.0.0]\n")).is_some());
        assert!(changelog(&[]).is_some());
    }
}
