//! The commands of `ggml-agent doc` that say who wrote what and what is proposed.

use serde_json::Value;

use super::ask::{list, marked, text, with_all};
use super::remote::{Remote, escape};
use crate::args::SuggestionVerb;
use crate::cmd::result;
use crate::failure::Failure;
use crate::moment;
use crate::output::{Screen, plain};

pub(super) fn blame(section: &str, remote: &Remote, screen: &mut Screen) -> Result<(), Failure> {
    let id = escape(section);
    let answer = remote.get(&format!("/blame/{id}"))?;
    let version = &answer["version"];
    let whole = remote.get(&format!("/sections/{id}?version={version}"))?;
    let units: Vec<u16> = text(&whole, "text").encode_utf16().collect();
    let mut left = units.as_slice();
    for run in list(&answer, "runs") {
        let len = run["len"].as_u64().and_then(|len| usize::try_from(len).ok()).unwrap_or(0);
        let (words, rest) = left.split_at(len.min(left.len()));
        left = rest;
        let words = String::from_utf16_lossy(words);
        let name = plain(text(&run["author"], "name"));
        let said = format!("{:>7}  {name:<16}  {}", run["seq"].to_string(), plain(&words));
        let line = with_all(result("doc.blame", said), run).with("section", section);
        screen.line(&line.with("version", version.clone()).with("words", words));
    }
    Ok(())
}

pub(super) fn suggestions(
    verb: Option<SuggestionVerb>,
    remote: &Remote,
    screen: &mut Screen,
) -> Result<(), Failure> {
    match verb {
        None | Some(SuggestionVerb::Ls) => ls(remote, screen),
        Some(SuggestionVerb::Accept { n }) => {
            let done = remote.of_document("POST", &format!("/suggestions/{n}/accept"), None)?;
            let words = format!("suggestion {n} is in the text, by change {}", done["seq"]);
            screen.line(&with_all(result("doc.accepted", words), &done).with("suggestion", n));
            Ok(())
        }
        Some(SuggestionVerb::Reject { n }) => {
            remote.of_document("POST", &format!("/suggestions/{n}/reject"), None)?;
            let words = format!("suggestion {n} is rejected");
            screen.line(&result("doc.rejected", words).with("suggestion", n));
            Ok(())
        }
    }
}

fn ls(remote: &Remote, screen: &mut Screen) -> Result<(), Failure> {
    let answer = remote.get("/suggestions")?;
    let all = answer.as_array().map(Vec::as_slice).unwrap_or_default();
    for one in all {
        screen.line(&with_all(result("doc.suggestion", said(one)), one));
    }
    let words = match all.len() {
        0 => "no suggestions".to_owned(),
        n => format!("{n} to be answered by `doc suggestions accept N` or `reject N`"),
    };
    screen.line(&result("doc.suggestions", words).with("n", all.len()));
    Ok(())
}

/// A suggestion for people: whose it is, why, and what it changes.
fn said(one: &Value) -> String {
    let when = moment::say(one["at"].as_u64().unwrap_or(0));
    let name = plain(text(&one["author"], "name"));
    let mut said = format!("{} for {} by {name}, {when}", one["id"], plain(text(one, "section")));
    let note = text(one, "note");
    if !note.is_empty() {
        said.push_str(": ");
        said.push_str(&plain(note));
    }
    said.push('\n');
    match one["stale"].as_str() {
        Some(_) => said.push_str("(what it is about is not there any more)"),
        None => said.push_str(&marked(one)),
    }
    said
}
