//! What was changed, by whom, newest first.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use ggml_agent_doc::history::{Cause, Update};
use ggml_agent_doc::sheet::OutlineChange;
use ggml_agent_doc::{Coordinator, Kind, SectionId, Splice};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Here;
use super::document::{bad_query, section_id};
use super::problem::Problem;
use crate::beside::author;
use crate::limits::LOG_ENTRIES_MAX;

/// Entries of a page of the log, unless asked for more.
const LIMIT_DEFAULT: usize = 50;

/// Which entries.
#[derive(Debug, Deserialize)]
pub(super) struct Which {
    before: Option<u64>,
    limit: Option<usize>,
    section: Option<String>,
}

/// `GET /log`.
pub(super) async fn log(
    State(site): Here,
    Path(id): Path<String>,
    query: Result<Query<Which>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let doc = site.doc(&id)?;
    let Query(Which { before, limit, section }) = query.map_err(|error| bad_query(&error))?;
    let section = section.as_deref().map(section_id).transpose()?;
    let limit = limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LOG_ENTRIES_MAX);
    let (updates, more) =
        doc.look(move |document, _| page(document, before, limit, section)).await?;
    let entries = updates.iter().flat_map(|update| entries(update, section, site.unix_ms_at_zero));
    Ok(Json(json!({ "entries": entries.collect::<Vec<_>>(), "more": more })))
}

/// Updates with some `limit` entries, newest first, and whether there are older ones. An update is not parted.
fn page(
    document: &Coordinator,
    before: Option<u64>,
    limit: usize,
    section: Option<SectionId>,
) -> (Vec<Arc<Update>>, bool) {
    let (mut page, mut n) = (Vec::new(), 0);
    let older = document.history().iter().rev().filter(|update| {
        before.is_none_or(|before| update.seq < before)
            && section.is_none_or(|section| touches(update, section))
    });
    for update in older {
        if n >= limit {
            return (page, true);
        }
        n += if section.is_some() { 1 } else { update.edits.len().max(1) };
        page.push(Arc::clone(update));
    }
    (page, false)
}

fn touches(update: &Update, section: SectionId) -> bool {
    update.edit(section).is_some()
        || update.outline.iter().any(|change| of(change) == Some(section))
}

/// One entry for each section that an update changed.
fn entries(update: &Update, only: Option<SectionId>, unix_ms_at_zero: u64) -> Vec<Value> {
    let at = unix_ms_at_zero.saturating_add(u64::try_from(update.at.as_millis()).unwrap_or(0));
    let what = what(update);
    let entry = |section: Option<SectionId>, version: Option<u64>, added: usize, removed: usize| {
        json!({
            "seq": update.seq,
            "section": section.map(|section| section.to_string()),
            "version": version,
            "author": author(&update.author),
            "at": at,
            "added": added,
            "removed": removed,
            "what": what,
        })
    };
    let wanted = |section: &SectionId| only.is_none_or(|only| only == *section);
    let mut found: Vec<Value> = Vec::new();
    for edit in update.edits.iter().filter(|edit| wanted(&edit.section)) {
        let sum = |of: fn(&Splice) -> &str| {
            edit.splices.iter().map(|splice| of(splice).encode_utf16().count()).sum()
        };
        let (added, removed) = (sum(|splice| &splice.inserted), sum(|splice| &splice.removed));
        found.push(entry(Some(edit.section), Some(edit.version), added, removed));
    }
    for section in update.outline.iter().map(of) {
        let is_wanted = section.map_or(only.is_none(), |section| wanted(&section));
        let is_told = section.is_some_and(|section| update.edit(section).is_some());
        if is_wanted && !is_told {
            found.push(entry(section, None, 0, 0));
        }
    }
    found
}

fn what(update: &Update) -> &'static str {
    let restores =
        update.outline.iter().any(|change| matches!(change, OutlineChange::Restored { .. }));
    match &update.cause {
        Cause::Suggestion { .. } => "suggestion",
        Cause::Revert { .. } => "revert",
        _ if update.author.kind() == Kind::File => "import",
        _ if restores => "restore",
        _ if !update.outline.is_empty() => "outline",
        _ => "edit",
    }
}

/// The section that changed; `None` for what stands before all sections.
fn of(change: &OutlineChange) -> Option<SectionId> {
    match change {
        OutlineChange::Added { section, .. }
        | OutlineChange::Merged { section, .. }
        | OutlineChange::Moved { section, .. }
        | OutlineChange::Archived { section }
        | OutlineChange::Restored { section, .. }
        | OutlineChange::Mode { section, .. } => Some(*section),
        OutlineChange::Front { .. } => None,
    }
}
