//! `demo --durable`: killed at any moment, and started again.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use super::{ggml_agent, run};

/// A document of some sections, each with a text of its own.
fn document() -> String {
    let section =
        |n| format!("## Part {n}\n\nPart {n} says something. It is number {n} of many.\n\n");
    format!("# A book\n\nWhat it is about.\n\n{}", (1..=30).map(section).collect::<String>())
}

/// How far a demo may get: this many lines of its output.
fn killed_after(arguments: &[&str], n_lines: usize) {
    let mut child =
        ggml_agent(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.take(n_lines).count(), n_lines, "it ended before it could be killed");
    child.kill().unwrap();
    child.wait().unwrap();
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn q01_d11_a_demo_that_is_killed_ten_times_ends_as_one_that_never_was() {
    let folder = tempfile::tempdir().unwrap();
    let [input, state, out, expected] =
        ["in.md", "state", "out.md", "expected.md"].map(|name| folder.path().join(name));
    fs::write(&input, document()).unwrap();
    let (code, _, error) =
        run(&["demo", "-q", "--document", text(&input), "--out", text(&expected)]);
    assert_eq!(code, 0, "{error}");

    let arguments = ["demo", "--durable", "--state", text(&state), "--document", text(&input)];
    let arguments = [&arguments[..], &["--out", text(&out), "--output", "json"]].concat();
    // From the first line, when there is no store yet, to the middle of the work.
    for n_lines in [1, 2, 40, 17, 3, 31, 8, 24, 12, 35] {
        killed_after(&arguments, n_lines);
    }
    let (code, said, error) = run(&arguments);
    assert_eq!(code, 0, "{error}");
    let last = said.lines().last().unwrap();
    assert!(last.contains("\"ok\":true") && last.contains("\"edits_lost\":0"), "{last}");
    assert!(last.contains("\"sections_done\":31"), "{last}");
    assert_eq!(fs::read_to_string(&out).unwrap(), fs::read_to_string(&expected).unwrap());

    // It is complete: once more it has nothing to do, and says the same.
    let again = [&arguments[..], &["--force"]].concat();
    assert_eq!(run(&again).0, 0);
    assert_eq!(fs::read_to_string(&out).unwrap(), fs::read_to_string(&expected).unwrap());

    let other = ["demo", "--durable", "--state", text(&state), "--seed", "9"];
    let (code, _, error) = run(&other);
    assert_eq!(code, 10, "{error}");
    assert!(error.contains("belongs to a demo with another document or seed"), "{error}");
    assert!(error.contains("name another folder with --state DIR"), "{error}");
}
