//! The commands of `ggml-agent doc` that ask a server.

use serde_json::Value;

use super::remote::{Remote, escape};
use super::{change, past};
use crate::args::DocVerb;
use crate::cmd::result;
use crate::failure::Failure;
use crate::moment;
use crate::output::{Line, Screen, plain};

pub(super) fn run(verb: &DocVerb, remote: &Remote, screen: &mut Screen) -> Result<(), Failure> {
    match verb {
        DocVerb::Serve(_) => unreachable!("`serve` asks nobody"),
        DocVerb::Link => link(remote, screen),
        DocVerb::Ls => ls(remote, screen),
        DocVerb::Show { section, version } => show(section.as_deref(), *version, remote, screen),
        DocVerb::Log { section, limit, before } => {
            log(section.as_deref(), *limit, *before, remote, screen)
        }
        DocVerb::Locks => locks(remote, screen),
        DocVerb::Unlock { section } => unlock(section, remote, screen),
        DocVerb::Diff { section, from, to } => diff(section, *from, *to, remote, screen),
        DocVerb::Blame { section } => past::blame(section, remote, screen),
        DocVerb::Edit(edit) => change::edit(edit, remote, screen),
        DocVerb::Revert(revert) => change::revert(revert, remote, screen),
        DocVerb::Suggestions { verb } => past::suggestions(*verb, remote, screen),
    }
}

fn link(remote: &Remote, screen: &mut Screen) -> Result<(), Failure> {
    let answer = remote.request("POST", "/api/v1/links", None)?;
    let link = format!("{}{}", remote.url(), text(&answer, "path"));
    screen.line(&result("doc.link", link.clone()).with("link", link));
    Ok(())
}

fn ls(remote: &Remote, screen: &mut Screen) -> Result<(), Failure> {
    let base = remote.get("")?;
    let sections = list(&base, "sections");
    screen.note(&row(["SECTION", "VERSION", "BYTES", "MODE", "HELD BY", "TITLE"]));
    for section in sections.iter().filter(|section| section["archived"] != true) {
        let holder = section["lock"]["name"].as_str().unwrap_or("-");
        let title = plain(text(section, "title"));
        let cells = row([
            text(section, "id"),
            &section["version"].to_string(),
            &section["bytes"].to_string(),
            text(section, "mode"),
            &plain(holder),
            &title,
        ]);
        screen.line(&with_all(result("doc.section", cells), section));
    }
    let n = sections.len();
    let words = format!("{}: {n} sections, change {}", plain(text(&base, "title")), base["seq"]);
    screen.line(&result("doc", words).with("seq", base["seq"].clone()).with("n", n));
    Ok(())
}

fn show(
    section: Option<&str>,
    version: Option<u64>,
    remote: &Remote,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let Some(section) = section else {
        let Value::String(text) = remote.get("/text")? else { return Ok(()) };
        screen.line(&result("doc.text", text.trim_end_matches('\n').to_owned()));
        return Ok(());
    };
    let query = version.map(|version| format!("?version={version}")).unwrap_or_default();
    let answer = remote.get(&format!("/sections/{}{query}", escape(section)))?;
    let line = result("doc.text", text(&answer, "text").trim_end_matches('\n').to_owned());
    screen.line(
        &line.with("section", answer["id"].clone()).with("version", answer["version"].clone()),
    );
    Ok(())
}

fn log(
    section: Option<&str>,
    limit: u16,
    before: Option<u64>,
    remote: &Remote,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let mut query = format!("?limit={limit}");
    if let Some(section) = section {
        query.push_str(&format!("&section={}", escape(section)));
    }
    if let Some(before) = before {
        query.push_str(&format!("&before={before}"));
    }
    let answer = remote.get(&format!("/log{query}"))?;
    let entries = list(&answer, "entries");
    if !entries.is_empty() {
        screen.note(&row(["CHANGE", "SECTION", "VERSION", "WHAT", "+/- UNITS", "WHO AND WHEN"]));
    }
    for entry in entries {
        let when = moment::say(entry["at"].as_u64().unwrap_or(0));
        let version = entry["version"].as_u64().map_or_else(|| "-".into(), |n| n.to_string());
        let cells = row([
            &entry["seq"].to_string(),
            text(entry, "section"),
            &version,
            text(entry, "what"),
            &format!("+{}/-{}", entry["added"], entry["removed"]),
            &format!("{}, {when}", plain(text(&entry["author"], "name"))),
        ]);
        screen.line(&with_all(result("doc.change", cells), entry));
    }
    let words = match (entries.last(), answer["more"] == true) {
        (Some(last), true) => format!("older ones: --before {}", last["seq"]),
        (Some(_), false) => "no older ones are remembered".to_owned(),
        (None, _) => "no changes".to_owned(),
    };
    screen.line(
        &result("doc.log", words).with("n", entries.len()).with("more", answer["more"].clone()),
    );
    Ok(())
}

fn locks(remote: &Remote, screen: &mut Screen) -> Result<(), Failure> {
    let base = remote.get("")?;
    let is_held =
        |section: &&Value| !section["lock"].is_null() || !list(section, "reserved").is_empty();
    let held: Vec<&Value> = list(&base, "sections").iter().filter(is_held).collect();
    if !held.is_empty() {
        screen.note(&row([
            "SECTION",
            "KIND",
            "TOKEN",
            "WAITING",
            "SECONDS",
            "HELD BY; RESERVED BY",
        ]));
    }
    for section in &held {
        let lock = &section["lock"];
        let number =
            |field: &str| lock[field].as_u64().map_or_else(|| "-".into(), |n| n.to_string());
        let left =
            lock["until_ms"].as_u64().map_or_else(|| "-".into(), |ms| (ms / 1000).to_string());
        let reserved: Vec<&str> =
            list(section, "reserved").iter().filter_map(Value::as_str).collect();
        let names = format!("{}; {}", lock["name"].as_str().unwrap_or("-"), reserved.join(", "));
        let cells = row([
            text(section, "id"),
            lock["kind"].as_str().unwrap_or("-"),
            &number("token"),
            &number("waiting"),
            &left,
            plain(&names).trim_end_matches("; "),
        ]);
        let line = result("doc.lock", cells).with("section", section["id"].clone());
        screen.line(&line.with("lock", lock.clone()).with("reserved", section["reserved"].clone()));
    }
    let words = match held.len() {
        0 => "nobody holds or has reserved a section".to_owned(),
        1 => "1 section".to_owned(),
        n => format!("{n} sections"),
    };
    screen.line(&result("doc.locks", words).with("n", held.len()));
    Ok(())
}

fn unlock(section: &str, remote: &Remote, screen: &mut Screen) -> Result<(), Failure> {
    remote.of_document("DELETE", &format!("/locks/{}?force=1", escape(section)), None)?;
    let words = format!("nobody holds {} any more; old tokens are refused", plain(section));
    screen.line(&result("doc.unlocked", words).with("section", section));
    Ok(())
}

fn diff(
    section: &str,
    from: u64,
    to: Option<u64>,
    remote: &Remote,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let id = escape(section);
    let to = match to {
        Some(to) => to,
        None => remote.get(&format!("/sections/{id}"))?["version"].as_u64().unwrap_or(0),
    };
    let answer = remote.get(&format!("/diff?section={id}&from={from}&to={to}"))?;
    let line = result("doc.diff", marked(&answer));
    screen.line(&with_all(line, &answer));
    Ok(())
}

/// The runs of a difference, as `git diff --word-diff` writes them.
pub(super) fn marked(answer: &Value) -> String {
    let mut words = String::new();
    for run in list(answer, "runs") {
        let text = text(run, "text");
        match run["op"].as_str() {
            Some("insert") => words.push_str(&format!("{{+{text}+}}")),
            Some("delete") => words.push_str(&format!("[-{text}-]")),
            _ => words.push_str(text),
        }
    }
    words.trim_end_matches('\n').to_owned()
}

/// A line with the fields of an answer, as the server named them.
pub(super) fn with_all(line: Line, answer: &Value) -> Line {
    const NAMES: [&str; 24] = [
        "id",
        "section",
        "seq",
        "version",
        "title",
        "level",
        "mode",
        "bytes",
        "lock",
        "reserved",
        "author",
        "at",
        "added",
        "removed",
        "what",
        "runs",
        "base",
        "note",
        "stale",
        "reverted",
        "conflicts",
        "base_moved",
        "repeated",
        "suggestion",
    ];
    NAMES.into_iter().fold(line, |line, name| match answer.get(name) {
        Some(value) => line.with(name, value.clone()),
        None => line,
    })
}

pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

pub(super) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn row([a, b, c, d, e, f]: [&str; 6]) -> String {
    format!("{a:<8}  {b:>7}  {c:>8}  {d:<12}  {e:<10}  {f}")
}
