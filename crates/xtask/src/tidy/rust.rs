//! Rules for the Rust files of the crates.

use std::path::Path;

use super::{Finding, Findings};
use crate::source;

/// A file under `crates/*/src` may not be longer.
const LINES_MAX: usize = 700;
/// From here on a file is asked to be split.
const LINES_WARN: usize = 400;

/// Where `unsafe` may stand: the queue and slot of a cell, which loom checks.
const UNSAFE_ALLOWED: [&str; 1] = ["crates/runtime/src/cell"];

pub(super) fn check(file: &Path, text: &str, found: &mut Findings) {
    length(file, text, found);
    let code = source::code_only(text);
    found.problems.extend(unsafe_places(file, &code));
    found.problems.extend(test_manners(file, &code));
    found.problems.extend(unfinished_macros(file, &code));
}

fn length(file: &Path, text: &str, found: &mut Findings) {
    if file.iter().nth(2).is_none_or(|part| part != "src") {
        return;
    }
    let n_lines = text.lines().count();
    if n_lines > LINES_MAX {
        let what = format!("{n_lines} lines, at most {LINES_MAX} are allowed: split it by concept");
        found.problems.push(Finding::in_file(file, what));
    } else if n_lines > LINES_WARN {
        let what = format!("{n_lines} lines: beyond {LINES_WARN}, look for a second concept");
        found.warnings.push(Finding::in_file(file, what));
    }
}

fn unsafe_places(file: &Path, code: &str) -> Vec<Finding> {
    if UNSAFE_ALLOWED.iter().any(|allowed| file.starts_with(allowed)) {
        return Vec::new();
    }
    let lines = code.lines().enumerate();
    let unsafe_lines = lines.filter(|(_, line)| source::has_word(line, "unsafe"));
    let what = format!("unsafe code is allowed only in {}", UNSAFE_ALLOWED.join(", "));
    unsafe_lines.map(|(at, _)| Finding::at(file, at, what.as_str())).collect()
}

/// Tests run on virtual time, and every test runs and asserts.
fn test_manners(file: &Path, code: &str) -> Vec<Finding> {
    let Some(first) = source::first_test_line(file, code) else { return Vec::new() };
    let mut findings = Vec::new();
    for (at, line) in code.lines().enumerate().skip(first) {
        for (sign, what) in [
            ("thread::sleep", "a sleep in a test: synchronise, or use virtual time"),
            ("time::sleep", "a sleep in a test: advance the paused clock, or wait for the event"),
            ("#[ignore", "an ignored test: make it run or delete it"),
            ("#[should_panic", "assert the error instead of a panic"),
        ] {
            if line.contains(sign) {
                findings.push(Finding::at(file, at, what));
            }
        }
    }
    findings
}

fn unfinished_macros(file: &Path, code: &str) -> Vec<Finding> {
    let lines = code.lines().enumerate();
    let signs = ["todo", "unimplemented"];
    let unfinished = lines.filter(|(_, line)| {
        signs.iter().any(|sign| source::has_word(line, sign) && line.contains(&format!("{sign}!")))
    });
    unfinished.map(|(at, _)| Finding::at(file, at, "unfinished: no stub lands")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(file: &str, text: &str) -> Vec<String> {
        let mut found = Findings::default();
        check(Path::new(file), text, &mut found);
        found.problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_long_file_warns_and_a_longer_one_fails() {
        for (n_lines, n_warnings, n_problems) in
            [(400, 0, 0), (401, 1, 0), (700, 1, 0), (701, 0, 1)]
        {
            let mut found = Findings::default();
            length(Path::new("crates/a/src/b.rs"), &"x\n".repeat(n_lines), &mut found);
            let counts = (found.warnings.len(), found.problems.len());
            assert_eq!(counts, (n_warnings, n_problems), "for {n_lines} lines");
        }
        assert_eq!(problems("crates/a/tests/b.rs", &"x\n".repeat(900)), [""; 0]);
    }

    #[test]
    fn unsafe_stands_in_the_cell_only() {
        let text = "// unsafe\n#![forbid(unsafe_code)]\nfn f() { unsafe { g() } }\n";
        assert_eq!(problems("crates/runtime/src/cell/queue.rs", text), [""; 0]);
        for file in ["crates/runtime/src/system.rs", "crates/runtime/src/cellar.rs"] {
            let found = problems(file, text);
            assert_eq!(found.len(), 1);
            assert!(found[0].starts_with(&format!("{file}:3: unsafe code")));
        }
    }

    #[test]
    fn a_test_neither_sleeps_nor_looks_away() {
        let tests = "#[test]\n#[ignore]\nfn a() { std::thread::sleep(d); }\n\
                     #[should_panic]\nasync fn b() { tokio::time::sleep(d).await }\n";
        assert_eq!(problems("crates/a/tests/it/b.rs", tests).len(), 4);
        let inline = format!("fn f() {{ thread::sleep(d) }}\n#[cfg(test)]\nmod t {{\n{tests}}}\n");
        assert_eq!(problems("crates/a/src/b.rs", &inline).len(), 4);
    }

    #[test]
    fn unfinished_macros_are_found_in_code_only() {
        let text = format!("fn a() {{ {}!() }}\n// {0}!\nfn todos() {{}}\n", "todo");
        assert_eq!(problems("crates/a/src/b.rs", &text).len(), 1);
    }
}
