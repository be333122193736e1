//! Transcripts of help, version and usage errors, and the forms of the output.

use super::run;

#[test]
fn the_transcripts_hold() {
    trycmd::TestCases::new().case("tests/cmd/*.md");
}

#[test]
fn each_rule_holds_on_the_real_runtime() {
    for rule in ["supervisor", "document", "breaker"] {
        let (code, out, err) = run(&["demo", rule]);
        assert_eq!((code, err.as_str()), (0, ""), "{rule}: {out}");
        let first: serde_json::Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
        assert_eq!(first["schema"], "ggml-agent.demo/1", "not a terminal: JSON lines");
        let last: serde_json::Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
        assert_eq!((&last["event"], &last["ok"]), (&"ledger".into(), &true.into()));
    }
}

#[test]
fn the_whole_demo_loses_nothing_and_its_events_have_no_gap() {
    let (code, out, err) = run(&["demo", "--kill-every", "200ms", "-v", "-o", "json"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let lines: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let seqs: Vec<u64> = lines.iter().filter_map(|line| line["seq"].as_u64()).collect();
    assert!(seqs.is_sorted_by(|one, next| one < next), "{seqs:?}");
    let ledger = lines.last().unwrap();
    assert_eq!((&ledger["ok"], &ledger["edits_lost"]), (&true.into(), &0.into()));
    assert!(ledger["crashes"].as_u64().unwrap() >= 1, "{ledger}");
    // One that had held nothing yet had nothing under way, so there may be fewer than kills.
    let n_refused = ledger["edits_refused_by_fence"].as_u64().unwrap();
    assert!((1..=ledger["kills"].as_u64().unwrap()).contains(&n_refused), "{ledger}");
    let n_kills = lines.iter().filter(|line| line["event"] == "team.kill").count();
    assert_eq!(ledger["kills"], n_kills);
}

#[test]
fn quiet_says_only_the_result() {
    let (code, out, err) = run(&["-q", "demo", "document", "--output", "human"]);
    assert_eq!((code, err.as_str(), out.lines().count()), (0, "", 1), "{out}");
    assert!(out.contains("CHECKED"), "{out}");
    let (_, out, _) = run(&["-q", "demo", "document", "--output", "json"]);
    let only: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&only["schema"], &only["ok"]), (&"ggml-agent.demo/1".into(), &true.into()));
}

#[test]
fn each_shell_gets_a_completion_script_that_knows_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, out, _) = run(&["completions", shell]);
        assert_eq!(code, 0);
        assert!(out.contains("kill-every") && out.contains("supervisor"), "{shell}");
    }
}
