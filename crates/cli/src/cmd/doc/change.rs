//! The commands of `ggml-agent doc` that change the text.

use anyhow::Context;
use serde_json::{Value, json};

use super::ask::{list, text, with_all};
use super::remote::{Remote, escape};
use crate::args::{EditArgs, RevertArgs};
use crate::cmd::result;
use crate::failure::{Code, Failure};
use crate::output::{Screen, plain};

pub(super) fn edit(edit: &EditArgs, remote: &Remote, screen: &mut Screen) -> Result<(), Failure> {
    let EditArgs { section, old, new, append, file, base } = edit;
    let mut order = json!({ "section": section });
    order["op"] = match (old, append, file) {
        (Some(old), ..) => json!({ "kind": "str_replace", "old": old, "new": new }),
        (_, Some(text), _) => {
            // Shells make it hard to say a line break, without which the next heading would join in.
            let end = if text.ends_with('\n') { "" } else { "\n" };
            json!({ "kind": "append", "text": format!("{text}{end}") })
        }
        (_, _, Some(file)) => {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            order["base_ver"] = match base {
                Some(base) => (*base).into(),
                None => remote.get(&format!("/sections/{}", escape(section)))?["version"].clone(),
            };
            json!({ "kind": "replace_section", "text": text })
        }
        (None, None, None) => unreachable!("one of them is required"),
    };
    let done = remote.of_document("POST", "/ops", Some(&order))?;
    let words = format!("{} is at version {}", plain(section), done["version"]);
    screen.line(&with_all(result("doc.edited", words), &done).with("section", section.as_str()));
    Ok(())
}

pub(super) fn revert(
    revert: &RevertArgs,
    remote: &Remote,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let RevertArgs { changes, author, section, to } = revert;
    let body = match (author, to) {
        (_, Some(version)) => json!({ "section": section, "to_version": version }),
        (Some(author), None) => json!({ "author": author, "section": section }),
        (None, None) => json!({ "seqs": changes }),
    };
    let done = remote.of_document("POST", "/revert", Some(&body))?;
    let conflicts = list(&done, "conflicts");
    for conflict in conflicts {
        let (section, why) = (plain(text(conflict, "section")), plain(text(conflict, "why")));
        let words = match conflict["seq"].as_u64() {
            Some(seq) => format!("left alone: {section}, change {seq}: {why}"),
            None => format!("left alone: {section}: {why}"),
        };
        let line = with_all(result("doc.left", words), conflict);
        screen.line(&line.with("why", conflict["why"].clone()));
    }
    let seqs: Vec<String> = list(&done, "reverted").iter().map(Value::to_string).collect();
    let Some(seq) = done["seq"].as_u64() else {
        return Err(Failure::msg(Code::Conflict, "nothing was taken back")
            .next("read the section, and change by `doc edit` what is to be other"));
    };
    let words = format!("taken back by change {seq}: {}", seqs.join(", "));
    screen.line(&with_all(result("doc.reverted", words), &done));
    Ok(())
}
