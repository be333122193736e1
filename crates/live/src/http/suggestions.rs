//! What somebody proposes, and what becomes of it.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use ggml_agent_core::lease::Token;
use ggml_agent_doc::{
    CallError, Coordinator, DiffSpan, Holder, SectionId, StaleReason, SuggestError, Suggestion,
    SuggestionId,
};
use serde_json::{Value, json};

use super::problem::Problem;
use super::{Doc, Here, who};
use crate::beside::author;

/// `GET /suggestions`.
pub(super) async fn list(
    State(site): Here,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let doc = site.doc(&id)?;
    let zero = site.unix_ms_at_zero;
    let list = doc.look(move |document, _| -> Vec<Value> {
        document.open_suggestions().map(|one| shown(one, document, zero)).collect()
    });
    Ok(Json(list.await?.into()))
}

fn shown(one: &Suggestion, document: &Coordinator, unix_ms_at_zero: u64) -> Value {
    let at = u64::try_from(one.at.as_millis()).unwrap_or(0);
    let runs = document.preview(one.id).unwrap_or_default();
    let runs: Vec<Value> = runs
        .iter()
        .map(|run| match run {
            DiffSpan::Keep(text) => json!({ "op": "keep", "text": text }),
            DiffSpan::Delete(text) => json!({ "op": "delete", "text": text }),
            DiffSpan::Insert(text) => json!({ "op": "insert", "text": text }),
        })
        .collect();
    let stale = one.stale.map(|stale| match stale {
        StaleReason::Changed { .. } => "changed",
        StaleReason::Archived { .. } => "archived",
    });
    json!({
        "id": one.id.as_u64(),
        "section": one.section.to_string(),
        "author": author(&one.author),
        "base": document.about_section(one.section).map(|about| about.version),
        "at": unix_ms_at_zero.saturating_add(at),
        "note": one.note,
        "stale": stale,
        "runs": runs,
    })
}

/// `POST /suggestions/{n}/accept`.
pub(super) async fn accept(
    State(site): Here,
    Path((id, n)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let doc = site.doc(&id)?;
    let holder = who::of(&headers)?;
    let id = number(&n)?;
    let section = doc.look(move |document, _| document.suggestion(id).map(|one| one.section));
    let token = match section.await? {
        Some(section) => doc.token(&holder, section).await?,
        None => None,
    };
    match doc.document.accept(&holder, id, token).await {
        Ok(done) => Ok(Json(json!({ "seq": done.seq, "version": done.version }))),
        Err(error) => Err(doc.not_answered(error).await),
    }
}

/// `POST /suggestions/{n}/reject`.
pub(super) async fn reject(
    State(site): Here,
    Path((id, n)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let doc = site.doc(&id)?;
    let holder = who::of(&headers)?;
    match doc.document.reject(&holder, number(&n)?).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error) => Err(doc.not_answered(error).await),
    }
}

fn number(n: &str) -> Result<SuggestionId, Problem> {
    n.parse().map(SuggestionId::from_u64).map_err(|_| {
        let title = format!("{n:?} is not the number of a suggestion");
        Problem::bad(title, "read the list of suggestions again")
    })
}

impl Doc {
    /// The token of a lock that somebody has.
    pub(super) async fn token(
        &self,
        holder: &Holder,
        section: SectionId,
    ) -> Result<Option<Token>, Problem> {
        let holder = holder.clone();
        let token = self.look(move |document, now| {
            let lease = document.lease(section, now)?;
            (lease.holder == holder).then_some(lease.token)
        });
        token.await
    }

    /// Why a suggestion was not made, or not answered.
    pub(super) async fn not_answered(&self, error: CallError<SuggestError>) -> Problem {
        let error = match error {
            CallError::Refused(error) => error,
            CallError::Unreachable(error) => return Problem::unreachable(&error),
        };
        let of = |status, kind| Problem::of(status, kind, &error);
        match &error {
            SuggestError::Edit(error) => self.no_edit(error).await,
            SuggestError::Unknown { .. } => of(StatusCode::NOT_FOUND, "no-suggestion"),
            SuggestError::Stale { id, .. } => Problem::new(
                StatusCode::CONFLICT,
                "stale-suggestion",
                format!("{id} is for a text that is not there any more"),
                "copy from it what you need, then reject it",
            ),
            SuggestError::Overtaken { .. } => of(StatusCode::CONFLICT, "stale"),
            SuggestError::TooMany { .. } => of(StatusCode::TOO_MANY_REQUESTS, "crowded"),
            _ => of(StatusCode::UNPROCESSABLE_ENTITY, "refused"),
        }
    }
}
