//! Who wrote what, and how it is taken back.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use ggml_agent_core::AgentId;
use ggml_agent_core::lease::Token;
use ggml_agent_doc::history::Cause;
use ggml_agent_doc::{
    BlameRun, CallError, Conflict, Coordinator, Edit, Holder, Revert, RevertError, Reverted,
    SectionId, Selection,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::document::section_id;
use super::problem::Problem;
use super::{Doc, Here, body, who};
use crate::beside::author;

/// `GET /blame/{sid}`.
pub(super) async fn blame(
    State(site): Here,
    Path((id, section)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let doc = site.doc(&id)?;
    let id = section_id(&section)?;
    // Both of one moment: the lengths are those of the text.
    let found = doc.look(move |document, _| Some((document.blame(id)?, document.read(id)?)));
    let Some((runs, view)) = found.await? else { return Err(Problem::no_section(&section)) };
    let runs = in_units(&runs, &view.text.to_string());
    Ok(Json(json!({ "version": view.version, "runs": runs })))
}

/// The runs of a text with their lengths in UTF-16 units.
fn in_units(runs: &[BlameRun], text: &str) -> Vec<Value> {
    // A character may be of two updates, of which one wrote its first bytes: it is counted where it begins.
    let mut begins = text.char_indices().peekable();
    let mut end = 0;
    let mut units = Vec::with_capacity(runs.len());
    for run in runs {
        end += run.len;
        let mut len = 0;
        while let Some((_, c)) = begins.next_if(|(at, _)| *at < end) {
            len += c.len_utf16();
        }
        if len > 0 {
            let author = run.author.as_ref().map_or_else(first_author, author);
            units.push(json!({ "len": len, "author": author, "seq": run.seq }));
        }
    }
    units
}

/// Whose the text is that the document began with.
fn first_author() -> Value {
    json!({ "id": "server", "name": "import", "kind": "server" })
}

/// What is to be taken back.
#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Wish {
    Updates { seqs: BTreeSet<u64> },
    Version { section: String, to_version: u64 },
    Author { author: String, section: Option<String> },
}

/// `POST /revert`.
pub(super) async fn revert(
    State(site): Here,
    Path(id): Path<String>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    let doc = site.doc(&id)?;
    let holder = who::of(&headers)?;
    let by = match body(bytes)? {
        Wish::Updates { seqs } => Selection::Listed(seqs),
        Wish::Version { section, to_version } => {
            return restore(doc, &holder, section_id(&section)?, to_version).await;
        }
        Wish::Author { author, section } => {
            let author = author.parse::<AgentId>().map_err(|_| {
                Problem::bad(format!("{author:?} is nobody's id"), "send an id as the log has it")
            })?;
            match section {
                None => Selection::Author(author),
                Some(section) => doc.written_by(author, section_id(&section)?).await?,
            }
        }
    };
    let tokens = doc.tokens(&holder).await?;
    let reverted = match doc.document.revert(&holder, Revert { by, tokens }).await {
        Ok(reverted) => reverted,
        Err(CallError::Unreachable(error)) => return Err(Problem::unreachable(&error)),
        Err(CallError::Refused(error)) => return Err(doc.not_reverted(&error).await),
    };
    let seqs = match reverted.seq {
        Some(seq) => doc.look(move |document, _| taken_back_by(document, seq)).await?,
        None => Vec::new(),
    };
    let conflicts = left_alone(&reverted);
    Ok(Json(json!({ "seq": reverted.seq, "reverted": seqs, "conflicts": conflicts })))
}

/// Makes an earlier version of a section the newest one.
async fn restore(
    doc: &Doc,
    holder: &Holder,
    section: SectionId,
    version: u64,
) -> Result<Json<Value>, Problem> {
    let (newest, _) = doc.text(section, None).await?;
    let (_, text) = doc.text(section, Some(version)).await?;
    let token = doc.token(holder, section).await?;
    let edit = Edit { token, ..Edit::optimistic(section, newest, text.to_string()) };
    let done = match doc.document.edit(holder, edit).await {
        Ok(done) => done,
        Err(CallError::Unreachable(error)) => return Err(Problem::unreachable(&error)),
        Err(CallError::Refused(error)) => return Err(doc.no_edit(&error).await),
    };
    let newer = doc.look(move |document, _| -> Vec<u64> {
        let updates = document.history().iter().filter(|update| {
            let made = update.edit(section).map(|edit| edit.version);
            made.is_some_and(|made| made > version && made < done.version)
        });
        updates.map(|update| update.seq).collect()
    });
    Ok(Json(json!({ "seq": done.seq, "reverted": newer.await?, "conflicts": [] })))
}

/// The updates that an update took back.
fn taken_back_by(document: &Coordinator, seq: u64) -> Vec<u64> {
    let update = document.history().get(seq);
    let Some(Cause::Revert { of }) = update.map(|update| &update.cause) else { return Vec::new() };
    let remembered = document.history().iter().map(|update| update.seq);
    remembered.filter(|seq| of.iter().any(|(from, to)| (*from..=*to).contains(seq))).collect()
}

/// What was not taken back, and why.
fn left_alone(reverted: &Reverted) -> Vec<Value> {
    let conflicts = reverted.conflicts.iter().map(|conflict| match conflict {
        Conflict::Overwritten { section, seq, by, .. } => {
            let name = by.agent().as_str().trim_start_matches('@');
            let why = format!("{name} has changed these words since");
            json!({ "seq": seq, "section": section.to_string(), "why": why })
        }
        Conflict::Outline { seq, change } => {
            let section = change.section().map(|section| section.to_string());
            let why = "sections were added, moved or taken out: to be undone by itself";
            json!({ "seq": seq, "section": section, "why": why })
        }
    });
    let refused = reverted.refused.iter().map(|(section, error)| {
        json!({ "seq": null, "section": section.to_string(), "why": error.to_string() })
    });
    conflicts.chain(refused).collect()
}

impl Doc {
    /// The updates of an author that changed a section.
    async fn written_by(&self, author: AgentId, section: SectionId) -> Result<Selection, Problem> {
        let seqs = self.look(move |document, _| {
            document.about_section(section)?;
            let updates = document.history().iter().filter(|update| {
                update.writer().agent() == &author && update.edit(section).is_some()
            });
            Some(updates.map(|update| update.seq).collect())
        });
        let seqs = seqs.await?.ok_or_else(|| Problem::no_section(&section.to_string()))?;
        Ok(Selection::Listed(seqs))
    }

    /// The locks that somebody has.
    async fn tokens(&self, holder: &Holder) -> Result<BTreeMap<SectionId, Token>, Problem> {
        let holder = holder.clone();
        let tokens = self.look(move |document, _| {
            let held = document.lock_rows().filter_map(|row| {
                let lease = row.lease.filter(|lease| lease.holder == holder)?;
                Some((*row.section, lease.token))
            });
            held.collect()
        });
        tokens.await
    }

    async fn not_reverted(&self, error: &RevertError) -> Problem {
        let of = |kind| Problem::of(StatusCode::CONFLICT, kind, error);
        match error {
            RevertError::Edit(error) => self.no_edit(error).await,
            RevertError::Nothing { .. } => of("nothing"),
            RevertError::Forgotten { .. } => of("forgotten"),
            error => Problem::of(StatusCode::UNPROCESSABLE_ENTITY, "refused", error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_javascript() {
        let run = |len, seq| BlameRun { len, author: None, seq };
        let units = |runs: &[BlameRun], text: &str| -> Vec<(u64, u64)> {
            let runs = in_units(runs, text);
            let number = |run: &Value, name: &str| run[name].as_u64().unwrap();
            runs.iter().map(|run| (number(run, "len"), number(run, "seq"))).collect()
        };
        // é is 2 bytes and 1 unit, the smile 4 bytes and 2 units.
        assert_eq!(units(&[run(3, 0), run(4, 1), run(1, 2)], "aé😀b"), [(2, 0), (2, 1), (1, 2)]);
        // é became è: their first byte is one, and stays of whoever wrote it.
        assert_eq!(units(&[run(2, 0), run(1, 1)], "aè"), [(2, 0)]);
        assert_eq!(units(&[], ""), []);
    }
}
