//! Erlang's own machine, by `erl`, where it is installed.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::line::Outcome;
use crate::measure::Case;
use crate::workload::Workload;

/// Its release, if it is there.
pub(crate) fn version() -> Option<String> {
    let ask = "io:format(\"Erlang/OTP ~s\", [erlang:system_info(otp_release)]), halt().";
    let output = Command::new("erl").args(["-noshell", "-eval", ask]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Becomes a machine that measures the workload and prints the line; returns only if it cannot.
pub(crate) fn measure(case: Case) -> Outcome {
    if let Some(reason) = not_applicable(case.workload) {
        return Outcome::NotApplicable { not_applicable: reason.to_owned() };
    }
    if version().is_none() {
        return Outcome::NotApplicable { not_applicable: "erl is not installed".to_owned() };
    }
    let failed = match compile() {
        Ok(folder) => format!("erl: {}", become_erl(case, &folder)),
        Err(failed) => failed,
    };
    Outcome::Failed { failed }
}

fn not_applicable(workload: Workload) -> Option<&'static str> {
    match workload {
        Workload::BoundedSlow => Some("mailboxes are unbounded"),
        Workload::TellExt => Some("there are no threads outside of its runtime"),
        Workload::IdleSupervised | Workload::Envelope => Some("only ggml-agent has such"),
        _ => None,
    }
}

/// Compiles the module into the target folder.
fn compile() -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("target/peers/beam");
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let compiled = Command::new("erlc")
        .arg("-o")
        .arg(&folder)
        .arg(root.join("beam/bench.erl"))
        .output()
        .map_err(|error| format!("erlc: {error}"))?;
    if compiled.status.success() {
        return Ok(folder);
    }
    Err(format!("erlc: {}", String::from_utf8_lossy(&compiled.stdout)))
}

/// In place of this process, so that whoever ends this process ends it.
fn become_erl(case: Case, folder: &Path) -> std::io::Error {
    let Case { workload, workers, n, .. } = case;
    Command::new("erl")
        // +P: a million processes at once.
        .args(["-noshell", "+S", &workers.to_string(), "+P", "4000000", "-pa"])
        .arg(folder)
        .args(["-run", "bench", "main", &workload.to_string(), &n.to_string()])
        .exec()
}
