//! Rules for the manifests: which crate may use which, and what each must say.

use std::path::Path;

use serde_json::Value;

use super::Finding;
use crate::process::{cargo, command, stdout_of};
use crate::{Error, source};

/// The crates of the project, each with those of the project that it may use. Dependencies point
/// down only; siblings never see each other and meet in `node`.
const MAY_USE: [(&str, &[&str]); 13] = [
    ("ggml-agent-core", &[]),
    ("ggml-agent", &["ggml-agent-core"]),
    ("ggml-agent-store", &["ggml-agent-core"]),
    ("ggml-agent-doc", &LIBRARY),
    ("ggml-agent-live", &["ggml-agent-core", "ggml-agent", "ggml-agent-doc"]),
    ("ggml-agent-llama", &LIBRARY),
    ("ggml-agent-cluster", &LIBRARY),
    ("ggml-agent-a2a", &LIBRARY),
    ("ggml-agent-node", &BELOW_NODE),
    ("ggml-agent-cli", &BELOW_CLI),
    ("ggml-agent-ffi", &["ggml-agent-core", "ggml-agent", "ggml-agent-doc"]),
    ("ggml-agent-sim", &BELOW_CLI),
    ("ggml-agent-xtask", &[]),
];
const LIBRARY: [&str; 2] = ["ggml-agent-core", "ggml-agent"];
const BELOW_NODE: [&str; 8] = [
    "ggml-agent-core",
    "ggml-agent",
    "ggml-agent-store",
    "ggml-agent-doc",
    "ggml-agent-live",
    "ggml-agent-llama",
    "ggml-agent-cluster",
    "ggml-agent-a2a",
];
const BELOW_CLI: [&str; 9] = [
    "ggml-agent-core",
    "ggml-agent",
    "ggml-agent-store",
    "ggml-agent-doc",
    "ggml-agent-live",
    "ggml-agent-llama",
    "ggml-agent-cluster",
    "ggml-agent-a2a",
    "ggml-agent-node",
];

/// What the rules may use beside std; `loom` only under its own cfg.
const CORE_MAY_USE: [&str; 4] = ["bytes", "thiserror", "serde", "loom"];

/// Who knows JSON; to everybody else it is a development dependency at most.
const JSON_KNOWN_TO: [&str; 6] = [
    "ggml-agent-a2a",
    "ggml-agent-live",
    "ggml-agent-node",
    "ggml-agent-cli",
    "ggml-agent-sim",
    "ggml-agent-xtask",
];

pub(super) fn check(root: &Path) -> Result<Vec<Finding>, Error> {
    let mut ask = command(cargo(), root);
    ask.args(["metadata", "--no-deps", "--format-version", "1"]);
    let answer = stdout_of(&mut ask)?;
    let metadata: Value = serde_json::from_slice(&answer).map_err(|error| Error::Form {
        path: "the answer of cargo metadata".into(),
        why: error.to_string(),
    })?;
    let mut findings = Vec::new();
    let base = metadata["workspace_root"].as_str().unwrap_or_default();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
        let file = manifest.strip_prefix(base).unwrap_or(manifest);
        findings.extend(package_rules(file, package));
        if let Some(text) = source::text(root, file)? {
            findings.extend(lints(file, &text));
        }
    }
    Ok(findings)
}

fn package_rules(file: &Path, package: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    let name = package["name"].as_str().unwrap_or_default();
    let described = package["description"].as_str().is_some_and(|text| !text.trim().is_empty());
    // `publish = false` is an empty list of registries.
    let public = package["publish"].as_array().is_none_or(|registries| !registries.is_empty());
    if public && !described {
        findings.push(Finding::in_file(file, "a public crate needs a description"));
    }
    let Some((_, may_use)) = MAY_USE.iter().find(|(known, _)| *known == name) else {
        let what = format!("{name} has no place yet: say in tidy's table what it may use");
        findings.push(Finding::in_file(file, what));
        return findings;
    };
    for dependency in package["dependencies"].as_array().into_iter().flatten() {
        let uses = dependency["name"].as_str().unwrap_or_default();
        let for_development = dependency["kind"].as_str() == Some("dev");
        let ours = MAY_USE.iter().any(|(known, _)| *known == uses);
        // What a test stands on is no part of the product; those of the rules stand alone all the same.
        let for_tests = for_development && name != "ggml-agent-core";
        let what = if ours && !for_tests && !may_use.contains(&uses) {
            format!("{name} may not use {uses}: dependencies point down, siblings meet in node")
        } else if !for_development && name == "ggml-agent-core" && !CORE_MAY_USE.contains(&uses) {
            format!("the rules use nothing but {}, not {uses}", CORE_MAY_USE.join(", "))
        } else if !for_development && uses == "serde_json" && !JSON_KNOWN_TO.contains(&name) {
            format!("{name} may not know JSON: convert at the edge")
        } else {
            continue;
        };
        findings.push(Finding::in_file(file, what));
    }
    findings
}

fn lints(file: &Path, manifest: &str) -> Option<Finding> {
    let inherits = toml::from_str::<toml::Table>(manifest).is_ok_and(|manifest| {
        manifest.get("lints").and_then(|lints| lints.get("workspace")?.as_bool()) == Some(true)
    });
    (!inherits).then(|| Finding::in_file(file, "needs `[lints] workspace = true`"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(package: &Value) -> Vec<String> {
        let findings = package_rules(Path::new("Cargo.toml"), package);
        findings.into_iter().map(|finding| finding.what).collect()
    }

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Value {
        let one = |(name, kind): &(&str, Option<&str>)| json!({ "name": name, "kind": kind });
        let dependencies: Vec<Value> = dependencies.iter().map(one).collect();
        json!({ "name": name, "description": "x", "publish": null, "dependencies": dependencies })
    }

    #[test]
    fn dependencies_point_down_and_siblings_do_not_meet() {
        for (name, uses, allowed) in [
            ("ggml-agent", "ggml-agent-core", true),
            ("ggml-agent-core", "ggml-agent", false),
            ("ggml-agent-doc", "ggml-agent", true),
            ("ggml-agent-doc", "ggml-agent-llama", false),
            ("ggml-agent-node", "ggml-agent-doc", true),
            ("ggml-agent-doc", "ggml-agent-node", false),
            ("ggml-agent-cli", "ggml-agent-doc", true),
            ("ggml-agent", "ggml-agent-sim", false),
            ("ggml-agent", "tokio", true),
            ("ggml-agent-core", "tokio", false),
            ("ggml-agent-doc", "serde_json", false),
            ("ggml-agent-cli", "serde_json", true),
        ] {
            let found = problems(&package(name, &[(uses, None)]));
            assert_eq!(found.is_empty(), allowed, "{name} uses {uses}: {found:?}");
        }
        let tests_may = [("proptest", Some("dev")), ("serde_json", Some("dev"))];
        assert_eq!(problems(&package("ggml-agent-core", &tests_may)), [""; 0]);
        let tests_may = [("ggml-agent-store", Some("dev"))];
        assert_eq!(problems(&package("ggml-agent", &tests_may)), [""; 0]);
        let tests_may_not = [("ggml-agent", Some("dev"))];
        assert_eq!(problems(&package("ggml-agent-core", &tests_may_not)).len(), 1);
    }

    #[test]
    fn a_new_crate_is_given_its_place() {
        assert_eq!(problems(&package("ggml-agent-new", &[])).len(), 1);
    }

    #[test]
    fn a_public_crate_is_described() {
        let mut package = package("ggml-agent", &[]);
        package["description"] = Value::Null;
        assert_eq!(problems(&package), ["a public crate needs a description"]);
        package["publish"] = json!([]);
        assert_eq!(problems(&package), [""; 0]);
    }

    #[test]
    fn lints_are_inherited() {
        let file = Path::new("Cargo.toml");
        assert_eq!(lints(file, "[lints]\nworkspace = true\n"), None);
        assert!(lints(file, "[package]\nname = \"x\"\n").is_some());
        assert!(lints(file, "[lints]\nworkspace = false\n").is_some());
    }
}
