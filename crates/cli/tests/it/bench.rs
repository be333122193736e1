//! The form of what `bench` says; never its figures.

use serde_json::Value;

use super::run;

/// The lines of a run, its exit code and what it says on the standard error.
fn bench(arguments: &[&str]) -> (Vec<Value>, i32, String) {
    let (code, out, err) = run(&[&["bench"], arguments, &["--workers", "2", "--json"]].concat());
    (out.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), code, err)
}

/// What holds for the lines of every benchmark; its measurements and checks.
fn names(lines: &[Value], code: i32, err: &str) -> Vec<String> {
    let head = &lines[0];
    assert_eq!((&head["schema"], &head["event"]), (&"ggml-agent.bench/1".into(), &"bench".into()));
    for field in ["version", "tokio", "bench"] {
        assert!(head[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {head}");
    }
    assert!(head["tokio"].as_str().unwrap().starts_with("1."), "{head}");
    assert!(head["cores"].as_u64().unwrap() >= 1 && head["workers"] == 2, "{head}");
    let of = |event: &str| lines.iter().filter(|line| line["event"] == event).collect::<Vec<_>>();
    let (measured, checks) = (of("bench.measurement"), of("bench.check"));
    let n_skipped = of("bench.skipped").len();
    assert_eq!(lines.len(), measured.len() + checks.len() + n_skipped + 2);
    let summary = lines.last().unwrap();
    assert_eq!(summary["event"], "bench.summary");
    assert_eq!(summary["measurements"], measured.len());
    assert_eq!(summary["checks"], checks.len());
    let n_broken = checks.iter().filter(|check| check["ok"] == false).count();
    assert_eq!((&summary["broken"], &summary["ok"]), (&n_broken.into(), &(n_broken == 0).into()));
    assert_eq!(code, i32::from(n_broken > 0), "{err}");
    assert_eq!(err.is_empty(), n_broken == 0, "{err}");
    let named = measured.into_iter().chain(checks);
    named.map(|line| line["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn each_figure_stands_beside_tokios_of_the_same_rounds() {
    let (lines, code, err) = bench(&["--seconds", "2"]);
    let names = names(&lines, code, &err);
    assert!(names.len() >= 16, "{names:?}");
    for line in lines.iter().filter(|line| line["event"] == "bench.measurement") {
        for field in ["value", "tokio", "ratio"] {
            assert!(line[field].as_f64().is_some_and(|figure| figure >= 0.0), "{field}: {line}");
        }
        for field in ["rounds", "tokio_rounds"] {
            assert_eq!(line[field].as_array().unwrap().len(), 5, "{line}");
        }
        assert!(line["unit"].is_string() && line["text"].is_string(), "{line}");
        assert!(line["better"] == "less" || line["better"] == "more", "{line}");
    }
}

#[test]
fn fairness_says_what_it_saw_and_whether_it_holds() {
    let (lines, code, err) = bench(&["fairness", "--seconds", "2", "--brief"]);
    let names = names(&lines, code, &err);
    let expected = [
        "unloaded",
        "flooded",
        "flood",
        "blocked",
        "flooded_p99_ratio",
        "delayed_agents",
        "blocks_reported",
    ];
    assert_eq!(names, expected);
    for line in lines.iter().filter(|line| line["p50"].is_number()) {
        let order = ["p50", "p90", "p99", "p999", "max"].map(|name| line[name].as_f64().unwrap());
        assert!(order.is_sorted() && line["messages"].as_u64().unwrap() > 0, "{line}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn memory_says_what_agents_weigh() {
    let (lines, code, err) = bench(&["memory", "--agents", "1000", "--brief"]);
    let names = names(&lines, code, &err);
    let expected = [
        "idle_bytes",
        "start",
        "idle_cpu",
        "burst_peak_bytes",
        "burst_after_bytes",
        "burst_again_bytes",
        "burst_given_back",
        "burst_used_again",
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_table_is_for_people_unless_told_otherwise() {
    let (code, out, err) = run(&["bench", "--seconds", "2", "--workers", "1"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("ggml-agent ") && out.contains("ratio"), "{out}");
    let (_, out, _) = run(&["-q", "bench", "-o", "json", "--seconds", "2", "--workers", "1"]);
    let first: Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
    assert_eq!(first["schema"], "ggml-agent.bench/1", "also when there is no header");
}
