//! `doc serve`, and the commands that ask it.

#![cfg(unix)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::{ggml_agent, said};

const TEXT: &str = "# Report\n\nOne.\n\n## Plan\n\nTwo.\n";

/// Runs a command whose server leaves its note in `folder`.
fn ask(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = ggml_agent(arguments);
    said(&command.env("XDG_RUNTIME_DIR", folder).env("USER", "tester").output().unwrap())
}

/// A server that is up, and its first line.
fn serve(folder: &Path, file: &Path) -> (Child, Value) {
    let mut child =
        ggml_agent(&["doc", "serve", file.to_str().unwrap(), "--listen", "127.0.0.1:0"])
            .env("XDG_RUNTIME_DIR", folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
    let mut line = String::new();
    let stdout = child.stdout.as_mut().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    (child, serde_json::from_str(&line).unwrap())
}

#[test]
fn a_served_document_is_asked_and_ends_in_order() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (run, file) = (folder.path(), folder.path().join("My report.md"));
    std::fs::write(&file, TEXT).unwrap();
    let (code, _, err) = ask(run, &["doc", "ls"]);
    assert_eq!(code, 5, "{err}");
    assert!(err.contains("doc serve"), "it says what to do: {err}");

    let (child, ready) = serve(run, &file);
    assert_eq!((&ready["event"], &ready["id"]), (&"doc.ready".into(), &"My-report".into()));
    let url = ready["url"].as_str().unwrap();
    assert!(ready["link"].as_str().unwrap().starts_with(&format!("{url}/open/")));
    let notes: Vec<_> = std::fs::read_dir(run.join("ggml-agent")).unwrap().collect();
    let note = notes[0].as_ref().unwrap();
    assert_eq!(note.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    let json = |arguments: &[&str]| -> Value {
        let (code, out, err) = ask(run, arguments);
        assert_eq!(code, 0, "{arguments:?}: {err}");
        serde_json::from_str(out.lines().next().unwrap()).unwrap()
    };
    assert_eq!(json(&["doc", "ls"])["title"], "Report");
    assert_eq!(json(&["doc", "show", "s2"])["text"], "## Plan\n\nTwo.");
    assert_eq!(json(&["doc", "show"])["text"], TEXT.trim_end());
    assert_eq!(json(&["doc", "log"])["n"], 0);
    assert_eq!(json(&["doc", "locks"])["n"], 0);
    assert_eq!(json(&["doc", "diff", "s2", "0"])["text"], "## Plan\n\nTwo.");
    assert_eq!(json(&["doc", "unlock", "s1", "--url", url])["section"], "s1");
    assert_ne!(json(&["doc", "link"])["link"], ready["link"]);
    for (arguments, expected) in [
        (&["doc", "show", "s9"][..], 4),
        (&["doc", "show", "s1", "--version", "7"], 4),
        (&["doc", "unlock", "s9"], 4),
        (&["doc", "ls", "--url", "http://127.0.0.1:1"], 5),
        (&["doc", "ls", "--as", "\u{7}"], 2),
    ] {
        let (code, _, err) = ask(run, arguments);
        assert_eq!(code, expected, "{arguments:?}: {err}");
        assert!(err.contains("next:"), "{arguments:?}: {err}");
    }

    let out = end(child);
    assert!(out.contains("doc.ended"), "{out}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), TEXT);
    assert_eq!(std::fs::read_dir(run.join("ggml-agent")).unwrap().count(), 0, "no note is left");
}

#[test]
fn a_server_says_why_it_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let (run, file) = (folder.path(), folder.path().join("report.md"));
    std::fs::write(&file, TEXT).unwrap();
    let file = file.to_str().unwrap();
    let (code, _, err) = ask(run, &["doc", "serve", file, "--listen", "0.0.0.0:0"]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("--allow-remote"), "{err}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, _, err) = ask(run, &["doc", "serve", file, "--listen", &address]);
    assert_eq!(code, 10, "{err}");
    let (code, _, err) = ask(run, &["doc", "serve", "missing.md"]);
    assert_eq!(code, 1, "{err}");
}

#[test]
fn a_served_document_is_changed_blamed_and_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let (run, file) = (folder.path(), folder.path().join("report.md"));
    std::fs::write(&file, TEXT).unwrap();
    let (child, _) = serve(run, &file);
    let lines = |arguments: &str| -> Vec<Value> {
        let arguments: Vec<&str> = ["doc"].into_iter().chain(arguments.split(' ')).collect();
        let (code, out, err) = ask(run, &arguments);
        assert_eq!(code, 0, "{arguments:?}: {err}");
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let text = |section: &str| lines(&format!("show {section}"))[0]["text"].clone();
    let new = folder.path().join("new.md");
    let new = new.to_str().unwrap();
    std::fs::write(new, "## Plan\n\nThree.\n- four\n").unwrap();

    assert_eq!(lines("edit s2 --old Two --new Drei")[0]["version"], 1);
    assert_eq!(lines("edit s2 --append -five --as Ana")[0]["seq"], 2);
    assert_eq!(text("s2"), "## Plan\n\nDrei.\n-five");
    let blame = lines("blame s2");
    let words: String = blame.iter().filter_map(|run| run["words"].as_str()).collect();
    assert_eq!(words, "## Plan\n\nDrei.\n-five\n");
    let last = blame.last().unwrap();
    assert_eq!((&last["seq"], &last["author"]["id"]), (&2.into(), &"@Ana".into()));
    assert_eq!(lines("revert --author @Ana --section s2")[0]["seq"], 3);
    assert_eq!(text("s2"), "## Plan\n\nDrei.");
    assert_eq!(lines(&format!("edit s2 --file {new}"))[0]["version"], 4);
    assert_eq!(text("s2"), "## Plan\n\nThree.\n- four");
    assert_eq!(lines("revert 4")[0]["reverted"], serde_json::json!([4]));
    assert_eq!(text("s2"), "## Plan\n\nDrei.");
    assert_eq!(lines("revert --section s2 --to 0")[0]["event"], "doc.reverted");
    assert_eq!(text("s2"), "## Plan\n\nTwo.");
    assert_eq!(lines("suggestions")[0]["n"], 0);
    assert_eq!(lines("suggestions ls")[0]["event"], "doc.suggestions");
    let stale = format!("edit s2 --base 1 --file {new}");
    for (arguments, expected) in [
        ("edit s9 --append x", 4),
        ("edit s2 --old nowhere --new x", 10),
        (stale.as_str(), 10),
        ("edit s2 --file missing.md", 1),
        ("edit s2", 2),
        ("edit s2 --old x", 2),
        ("edit s2 --append x --file y", 2),
        ("blame s9", 4),
        ("revert 4", 10),
        ("revert", 2),
        ("revert --to 1", 2),
        ("suggestions accept 1", 4),
        ("suggestions reject 1", 4),
    ] {
        let all: Vec<&str> = ["doc"].into_iter().chain(arguments.split(' ')).collect();
        let (code, out, err) = ask(run, &all);
        assert_eq!(code, expected, "{arguments}: {out}{err}");
    }
    end(child);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), TEXT);
}

/// Ends a server as Ctrl-C does; answers what it said.
fn end(child: Child) -> String {
    #[expect(clippy::disallowed_methods, reason = "a signal without unsafe code")]
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let (code, out, err) = said(&child.wait_with_output().unwrap());
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    out
}
