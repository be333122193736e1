//! The repository is tidy; `cargo xtask tidy` prints the same.

use ggml_agent_xtask::{process, tidy};

#[test]
fn the_repository_is_tidy() {
    let found = tidy::check(&process::root()).unwrap();
    let problems: Vec<String> = found.problems.iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
