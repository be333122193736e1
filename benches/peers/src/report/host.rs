//! Where and with what a run was made.

use std::fmt::Write;
use std::process::Command;

use crate::frameworks::beam;

/// The crates whose versions matter.
const CRATES: [&str; 9] =
    ["ggml-agent", "tokio", "kanal", "flume", "actix", "ractor", "kameo", "xtra", "dashmap"];

/// A list of date, machine, toolchain and versions.
pub(super) fn describe() -> String {
    let mut text = String::new();
    let mut item = |what: &str, value: &str| {
        writeln!(text, "- {what}: {value}").expect("a string takes all");
    };
    item("Date", &output("date", &["-u", "+%F"]));
    item("Processor", &format!("{}, {} cores", processor(), cores()));
    item("Kernel", &read("/proc/sys/kernel/osrelease"));
    item("Compiler", &output("rustc", &["--version"]));
    let locked = include_str!("../../Cargo.lock");
    let versions: Vec<_> = CRATES
        .iter()
        .filter_map(|name| Some(format!("{name} {}", version(locked, name)?)))
        .collect();
    item("Versions", &versions.join(", "));
    item("BEAM", &beam::version().unwrap_or_else(|| "not installed, not measured".to_owned()));
    text
}

fn output(program: &str, arguments: &[&str]) -> String {
    match Command::new(program).args(arguments).output() {
        Ok(output) => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Err(_) => "unknown".to_owned(),
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path)
        .map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

fn processor() -> String {
    let info = read("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name"));
    model.map_or_else(
        || "unknown".to_owned(),
        |model| model.trim_start_matches([' ', '\t', ':']).to_owned(),
    )
}

fn cores() -> String {
    std::thread::available_parallelism().map_or_else(|_| "?".to_owned(), |n| n.to_string())
}

/// The version of a package in a lock file.
fn version<'a>(locked: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = locked.lines();
    lines
        .find(|line| line.strip_prefix("name = ").is_some_and(|it| it.trim_matches('"') == name))?;
    lines.next()?.strip_prefix("version = ").map(|version| version.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_is_in_the_lock_file() {
        for name in CRATES {
            assert!(version(include_str!("../../Cargo.lock"), name).is_some(), "{name}");
        }
        assert_eq!(version("name = \"a\"\nversion = \"1.2.3\"\n", "a"), Some("1.2.3"));
        assert_eq!(version("name = \"a\"\nversion = \"1.2.3\"\n", "b"), None);
    }
}
