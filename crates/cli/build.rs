//! Which tokio is built in: `bench` says so beside its figures, and tokio itself does not.

use std::path::{Path, PathBuf};

fn main() {
    // A package that was published brings its own lock file, a checkout has one further up.
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lock = here.ancestors().map(|folder| folder.join("Cargo.lock")).find(|path| path.exists());
    let version = lock.and_then(version_of_tokio).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=GGML_AGENT_TOKIO_VERSION={version}");
}

fn version_of_tokio(lock: PathBuf) -> Option<String> {
    println!("cargo::rerun-if-changed={}", lock.display());
    let text = std::fs::read_to_string(lock).ok()?;
    let (_, after) = text.split_once("name = \"tokio\"\nversion = \"")?;
    Some(after.split_once('"')?.0.to_owned())
}
