//! Which files are read, written, and left alone.

use std::fs;
use std::path::PathBuf;

use ggml_agent_doc::abstracts::strip;
use tempfile::TempDir;

use super::run;

const TEXT: &str = "# One\n\nA first text. It is about one thing.\n\n## Two\n\nA second text.\n";

/// A folder with a document.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap() };
        fs::write(desk.path("in.md"), TEXT).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Runs the demo; names after `@` are files of this folder.
    fn demo(&self, arguments: &[&str]) -> (i32, String, String) {
        let path = |name: &str| self.path(name).to_str().unwrap().to_owned();
        let named = arguments.iter().map(|argument| match argument.strip_prefix('@') {
            Some(name) => path(name),
            None => (*argument).to_owned(),
        });
        let all: Vec<String> = std::iter::once("demo".to_owned()).chain(named).collect();
        run(&all.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The names of all files.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn a_document_is_written_elsewhere_and_the_input_is_left_alone() {
    let desk = Desk::new();
    let (code, _, err) = desk.demo(&["--document", "@in.md", "--out", "@out.md"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(desk.read("in.md"), TEXT);
    let written = desk.read("out.md");
    assert_ne!(written, TEXT);
    assert_eq!(strip(&written), TEXT);
    assert_eq!(desk.names(), ["in.md", "out.md"], "no temporary file is left");
}

#[test]
fn an_existing_file_is_only_replaced_by_force() {
    let desk = Desk::new();
    fs::write(desk.path("out.md"), "mine").unwrap();
    let (code, out, err) = desk.demo(&["--document", "@in.md", "--out", "@out.md"]);
    assert_eq!((code, out.as_str()), (10, ""));
    assert!(err.contains("exists already") && err.contains("--force"), "{err}");
    assert_eq!(desk.read("out.md"), "mine");
    let (code, ..) = desk.demo(&["--document", "@in.md", "--out", "@out.md", "--force"]);
    assert_eq!((code, strip(&desk.read("out.md"))), (0, TEXT.to_owned()));
}

#[test]
fn the_document_itself_is_only_replaced_in_place() {
    let desk = Desk::new();
    for force in [&[][..], &["--force"]] {
        let arguments = [&["--document", "@in.md", "--out", "@in.md"], force].concat();
        let (code, _, err) = desk.demo(&arguments);
        assert_eq!(code, 10);
        assert!(err.contains("--in-place"), "{err}");
        assert_eq!(desk.read("in.md"), TEXT);
    }
    let (code, ..) = desk.demo(&["--document", "@in.md", "--in-place"]);
    assert_eq!((code, strip(&desk.read("in.md"))), (0, TEXT.to_owned()));
    assert_ne!(desk.read("in.md"), TEXT);
    assert_eq!(desk.names(), ["in.md"]);
}

#[cfg(unix)]
#[test]
fn links_to_the_document_are_the_document() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let desk = Desk::new();
    fs::hard_link(desk.path("in.md"), desk.path("hard.md")).unwrap();
    symlink(desk.path("in.md"), desk.path("soft.md")).unwrap();
    for link in ["@hard.md", "@soft.md"] {
        let (code, ..) = desk.demo(&["--document", "@in.md", "--out", link, "--force"]);
        assert_eq!((code, desk.read("in.md").as_str()), (10, TEXT), "{link}");
    }
    fs::remove_file(desk.path("hard.md")).unwrap();
    fs::set_permissions(desk.path("in.md"), fs::Permissions::from_mode(0o640)).unwrap();
    let (code, ..) = desk.demo(&["--document", "@soft.md", "--in-place"]);
    assert_eq!(code, 0);
    assert!(fs::symlink_metadata(desk.path("soft.md")).unwrap().is_symlink());
    assert_ne!(desk.read("in.md"), TEXT, "the file behind the link was replaced");
    assert_eq!(fs::metadata(desk.path("in.md")).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_file_that_cannot_be_read_is_a_failure_with_a_cause_and_a_next_step() {
    let desk = Desk::new();
    let (code, out, err) = desk.demo(&["--document", "@absent.md", "--out", "@out.md"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with("error: cannot read ") && err.contains("\ncause: "), "{err}");
    assert!(err.contains("\nnext:  "), "{err}");

    fs::write(desk.path("latin1.md"), b"# Gr\xf6\xdfe\n").unwrap();
    let (code, _, err) = desk.demo(&["--document", "@latin1.md", "--out", "@out.md"]);
    assert_eq!(code, 1);
    assert!(err.contains("invalid UTF-8 at byte 4 (line 1)"), "{err}");
    assert!(!desk.path("out.md").exists());
}

#[test]
fn a_place_that_cannot_be_written_is_found_before_the_work() {
    let desk = Desk::new();
    let (code, out, err) = desk.demo(&["--document", "@in.md", "--out", "@no/such/out.md"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("there is no folder"), "{err}");
    fs::create_dir(desk.path("folder")).unwrap();
    let (code, _, err) = desk.demo(&["--document", "@in.md", "--out", "@folder"]);
    assert_eq!(code, 1);
    assert!(err.contains("not a regular file"), "{err}");
}

#[test]
fn three_hundred_sections_take_a_few_seconds() {
    let desk = Desk::new();
    let mut text = String::new();
    for n in 1..=320 {
        text.push_str(&format!(
            "## Part {n}\n\nPart {n} says {n}. {}\n\n",
            "And more. ".repeat(25)
        ));
    }
    fs::write(desk.path("long.md"), &text).unwrap();
    let arguments = ["--document", "@long.md", "--out", "@out.md", "--kill-every", "300ms"];
    let (code, out, err) = desk.demo(&[&arguments[..], &["--duration", "30s"]].concat());
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let ledger: serde_json::Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    assert_eq!((&ledger["edits_accepted"], &ledger["edits_lost"]), (&321.into(), &0.into()));
    assert_eq!(strip(&desk.read("out.md")), text);
}
