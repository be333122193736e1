//! The sabotage tool on a small project of its own, through real builds.

use std::fs;
use std::path::{Path, PathBuf};

use ggml_agent_xtask::{Error, sabotage};

const LIB: &str = r#"
pub fn next(x: u32) -> u32 { x + 1 }
pub fn untested(x: u32) -> u32 { x * 2 }
pub fn done(x: u32) -> bool { x >= 3 }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s01_next_is_one_more() { assert_eq!(next(1), 2) }

    #[test]
    fn s01_next_of_zero_is_one() { assert_eq!(next(0), 1) }

    #[test]
    fn s02_counting_ends() {
        let mut x = 0;
        while !done(x) { x = next(x).min(5); }
    }

    #[test]
    fn s03_is_wrong() { assert_eq!(next(1), 3) }
}
"#;

const PLAN: &str = r##"
[[bug]]
name = "caught"
what = "The next number is the number before."
promise = "S1"
file = "src/lib.rs"
find = "x + 1 }"
replace = "x.wrapping_sub(1) }"
package = "fixture"
filter = "s01_"
args = ["--lib"]

[[bug]]
name = "survives"
what = "No test looks at it."
promise = "S1"
file = "src/lib.rs"
find = "x * 2"
replace = "x * 3"
package = "fixture"
filter = "s01_"
args = ["--lib"]

[[bug]]
name = "does-not-compile"
what = "A compiler error is not a test."
promise = "S1"
file = "src/lib.rs"
find = "x * 2"
replace = "x * \"2\""
package = "fixture"
filter = "s01_"
args = ["--lib"]

[[bug]]
name = "takes-the-tests-away"
what = "No test is left to fail."
promise = "S1"
file = "src/lib.rs"
find = "#[cfg(test)]"
replace = "#[cfg(any())]"
package = "fixture"
filter = "s01_"
args = ["--lib"]

[[bug]]
name = "hangs"
what = "Counting never ends."
promise = "S2"
file = "src/lib.rs"
find = "x >= 3"
replace = "x >= 9"
package = "fixture"
filter = "s02_"
args = ["--lib"]
timeout_s = 3

[[bug]]
name = "dies"
what = "The test process is gone before it has said anything."
promise = "S2"
file = "src/lib.rs"
find = "x >= 3"
replace = "std::process::abort()"
package = "fixture"
filter = "s02_"
args = ["--lib"]
timeout_s = 30

[[bug]]
name = "no-such-test"
what = "Its filter selects nothing."
promise = "S9"
file = "src/lib.rs"
find = "x * 2"
replace = "x * 3"
package = "fixture"
filter = "s09_"
args = ["--lib"]

[[bug]]
name = "fails-without-it"
what = "Its test fails anyway."
promise = "S3"
file = "src/lib.rs"
find = "x * 2"
replace = "x * 3"
package = "fixture"
filter = "s03_"
args = ["--lib"]
"##;

const MANIFEST: &str = "[package]\nname = \"fixture\"\nedition = \"2024\"\n[workspace]\n";

/// A project in a folder of its own, with the tool's copy and builds below it.
fn project(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sabotage").join(name);
    drop(fs::remove_dir_all(&root));
    fs::create_dir_all(root.join("src")).expect("the fixture can be written");
    fs::write(root.join("Cargo.toml"), MANIFEST).expect("the fixture can be written");
    fs::write(root.join("src/lib.rs"), LIB).expect("the fixture can be written");
    fs::write(root.join("sabotage.toml"), PLAN).expect("the fixture can be written");
    root
}

fn run(root: &Path, names: &[&str]) -> (Result<bool, Error>, String) {
    let mut out = Vec::new();
    let all_caught = sabotage::run(root, &root.join("target/sabotage"), names, &mut out);
    (all_caught, String::from_utf8(out).expect("the tool writes text"))
}

#[test]
fn only_a_failing_test_is_a_catch() {
    let root = project("verdicts");
    let names = ["caught", "survives", "does-not-compile", "takes-the-tests-away", "hangs", "dies"];
    let (all_caught, out) = run(&root, &names);
    assert!(matches!(all_caught, Ok(false)), "{all_caught:?}");
    let lines: Vec<&str> = out.lines().collect();
    let expected = [
        "caught                S1   caught by tests::s01_next_is_one_more",
        "                                     tests::s01_next_of_zero_is_one",
        "survives              S1   NOT CAUGHT: all 2 tests passed",
        "does-not-compile      S1   NOT CAUGHT: it does not compile",
        "takes-the-tests-away  S1   NOT CAUGHT: the filter selects no test",
        "hangs                 S2   NOT CAUGHT: it did not end within 3 s",
        "dies                  S2   NOT CAUGHT: a test process died without a verdict",
        "1 of 6 planted bugs caught",
    ];
    assert_eq!(lines[..expected.len()], expected, "\n{out}");

    // What was planted is taken out again, and the project itself was never touched.
    assert_eq!(fs::read_to_string(root.join("src/lib.rs")).unwrap(), LIB);
    let (all_caught, out) = run(&root, &["caught"]);
    assert!(matches!(all_caught, Ok(true)), "{out}");
}

#[test]
fn a_filter_must_pass_without_the_bug() {
    let root = project("clean");
    for (name, why) in [
        ("no-such-test", "cargo test -p fixture --lib s09_`: the filter selects no test"),
        ("fails-without-it", "cargo test -p fixture --lib s03_`: failed: tests::s03_is_wrong"),
    ] {
        let (all_caught, out) = run(&root, &[name]);
        assert!(matches!(all_caught, Ok(false)), "{all_caught:?}");
        assert!(out.contains(why), "{out}");
    }
}

#[test]
fn a_bug_whose_place_is_gone_is_not_tried() {
    let root = project("misfit");
    fs::write(root.join("src/lib.rs"), LIB.replace("x + 1 }", "1 + x }")).unwrap();
    let (all_caught, out) = run(&root, &["caught"]);
    assert!(matches!(all_caught, Ok(false)), "{all_caught:?}");
    assert_eq!(out, "error: caught: its text stands 0 times in src/lib.rs, not once\n");
}
