//! Signals and closed pipes.

#![cfg(unix)]

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use super::{ggml_agent, said};

#[test]
fn a_signal_stops_the_tree_in_order_and_writes_nothing() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out.md");
        let mut child = ggml_agent(&["demo", "--out", out.to_str().unwrap()])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // The team is at work when the first lock is granted.
        let at_work = lines.find(|line| line.as_ref().unwrap().contains("doc.lock_granted"));
        assert!(at_work.is_some());
        #[expect(clippy::disallowed_methods, reason = "a signal without unsafe code")]
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        for line in lines {
            assert!(!line.unwrap().contains("\"ledger\""));
        }
        let (found, _, err) = said(&child.wait_with_output().unwrap());
        assert_eq!(found, code, "{err}");
        assert!(err.contains("nothing was written"), "{err}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_reader_that_goes_away_does_not_stop_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (folder.path().join("in.md"), folder.path().join("out.md"));
    std::fs::write(&input, "# One\n\nText.\n\n# Two\n\nText.\n").unwrap();
    let paths = [input.to_str().unwrap(), out.to_str().unwrap()];
    let mut child = ggml_agent(&["demo", "--document", paths[0], "--out", paths[1]])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let (code, _, err) = said(&child.wait_with_output().unwrap());
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.exists());
}
