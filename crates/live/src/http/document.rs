//! What a document is: its outline, its texts, and how they differ.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use ggml_agent_doc::text::{Granularity, Span, diff, spans};
use ggml_agent_doc::{About, Coordinator, SectionId, Text};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::problem::Problem;
use super::{Doc, Here, Site, who};
use crate::beside::{Tell, author, lock_of, mode, order};
use crate::mirror::ClientId;
use crate::room::RoomName;

/// How long the room may take to say its name.
const WHERE_TIME_MAX: Duration = Duration::from_secs(5);

/// What comes out of one look at the document.
struct Outline {
    seq: u64,
    sections: Vec<About>,
    /// Locks and reservations, where there are any.
    held: BTreeMap<SectionId, (Value, Vec<String>)>,
}

/// `GET /doc/{id}`.
pub(super) async fn page(
    State(site): Here,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    site.doc(&id)?;
    Ok(super::assets::page(&headers))
}

/// `GET /api/v1/docs`.
pub(super) async fn list(State(site): Here) -> Json<Value> {
    let Doc { id, title, .. } = &site.doc;
    Json(json!([{ "id": id, "title": title }]))
}

/// `GET` of the base.
pub(super) async fn base(
    State(site): Here,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let doc = site.doc(&id)?;
    let you = who::of(&headers)?;
    let (room, client) = place(doc).await?;
    let outline = doc.look(outline).await?;
    let sections: Vec<Value> = outline
        .sections
        .iter()
        .map(|about| {
            let (lock, reserved) = outline.held.get(&about.id).cloned().unwrap_or_default();
            json!({
                "id": about.id.to_string(),
                "title": about.title,
                "level": about.level,
                "order": order(about),
                "version": about.version,
                "mode": mode(about.mode),
                "archived": about.place.is_none(),
                "bytes": about.len,
                "lock": lock,
                "reserved": reserved,
            })
        })
        .collect();
    Ok(Json(json!({
        "id": doc.id,
        "epoch": room.epoch(),
        "room": room.to_string(),
        "server_client": client.get(),
        "seq": outline.seq,
        "title": doc.title,
        "you": author(&you),
        "sections": sections,
    })))
}

/// In which room the document is, and who the server is there.
pub(super) async fn place(doc: &Doc) -> Result<(RoomName, ClientId), Problem> {
    let (reply, answer) = oneshot::channel();
    doc.document
        .send_companion(Tell::Where(reply))
        .await
        .map_err(|error| Problem::unreachable(&error.map(|_| ())))?;
    match tokio::time::timeout(WHERE_TIME_MAX, answer).await {
        Ok(Ok(place)) => Ok(place),
        Ok(Err(error)) => Err(Problem::unreachable(&error)),
        Err(error) => Err(Problem::unreachable(&error)),
    }
}

fn outline(document: &Coordinator, now: Duration) -> Outline {
    let held = document
        .lock_rows()
        .map(|row| {
            let reserved = row.reservations.iter();
            let reserved = reserved.map(|(holder, _)| holder.agent().to_string()).collect();
            (*row.section, (lock_of(&row, now), reserved))
        })
        .collect();
    Outline { seq: document.seq(), sections: document.about().collect(), held }
}

/// `GET /text`.
pub(super) async fn whole(State(site): Here, Path(id): Path<String>) -> Result<Response, Problem> {
    let doc = site.doc(&id)?;
    let snapshot = doc.look(|document, _| document.snapshot()).await?;
    let kind = [(axum::http::header::CONTENT_TYPE, "text/markdown; charset=utf-8")];
    Ok((kind, snapshot.to_markdown()).into_response())
}

/// A version of a text.
#[derive(Debug, Deserialize)]
pub(super) struct Version {
    version: Option<u64>,
}

/// `GET /sections/{sid}`.
pub(super) async fn section(
    State(site): Here,
    Path((id, section)): Path<(String, String)>,
    query: Result<Query<Version>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let doc = site.doc(&id)?;
    let section = section_id(&section)?;
    let Query(Version { version }) = query.map_err(|error| bad_query(&error))?;
    let (version, text) = doc.text(section, version).await?;
    Ok(Json(json!({ "id": section.to_string(), "version": version, "text": text.to_string() })))
}

/// Two versions of a text.
#[derive(Debug, Deserialize)]
pub(super) struct Between {
    section: String,
    from: u64,
    to: u64,
}

/// `GET /diff`.
pub(super) async fn difference(
    State(site): Here,
    Path(id): Path<String>,
    query: Result<Query<Between>, QueryRejection>,
) -> Result<Response, Problem> {
    let doc = site.doc(&id)?;
    let Query(Between { section, from, to }) = query.map_err(|error| bad_query(&error))?;
    let section = section_id(&section)?;
    let (_, old) = doc.text(section, Some(from)).await?;
    let (_, new) = doc.text(section, Some(to)).await?;
    // Up to 0.1 s of work.
    let runs = tokio::task::spawn_blocking(move || runs(&old.to_string(), &new.to_string())).await;
    let runs = runs.map_err(|error| Problem::unreachable(&error))?;
    let answer = json!({ "section": section.to_string(), "from": from, "to": to, "runs": runs });
    Ok(Json(answer).into_response())
}

/// What was kept, inserted and deleted, as the page shows it.
pub(super) fn runs(old: &str, new: &str) -> Vec<Value> {
    let changes = diff(old, new, Granularity::Words);
    let runs = spans(old, &changes).map(|span| match span {
        Span::Keep(text) => json!({ "op": "keep", "text": text }),
        Span::Delete(text) => json!({ "op": "delete", "text": text }),
        Span::Insert(text) => json!({ "op": "insert", "text": text }),
    });
    runs.collect()
}

pub(super) fn section_id(section: &str) -> Result<SectionId, Problem> {
    section.parse().map_err(|_| Problem::no_section(section))
}

pub(super) fn bad_query(error: &QueryRejection) -> Problem {
    Problem::bad(format!("the query is not understood: {}", error.body_text()), "see API.md")
}

impl Site {
    /// The document of this id, if it is the one that is served.
    pub(super) fn doc(&self, id: &str) -> Result<&Doc, Problem> {
        if id == self.doc.id { Ok(&self.doc) } else { Err(Problem::no_document()) }
    }
}

impl Doc {
    /// Asks the document; answers what it says.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Coordinator, Duration) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        self.document.look(question).await.map_err(|error| Problem::unreachable(&error))
    }

    /// The text of a section at a version, the newest if none is given.
    pub(super) async fn text(
        &self,
        section: SectionId,
        version: Option<u64>,
    ) -> Result<(u64, Text), Problem> {
        let found = self.look(move |document, _| {
            let view = document.read(section)?;
            let version = version.unwrap_or(view.version);
            let history = document.history();
            let text = history.text_at(section, version, (view.version, &view.text));
            Some((version, view.version, text))
        });
        match found.await? {
            None => Err(Problem::no_section(&section.to_string())),
            Some((version, _, Some(text))) => Ok((version, text)),
            Some((version, newest, None)) => Err(Problem::new(
                axum::http::StatusCode::NOT_FOUND,
                "no-version",
                format!("section {section} has no version {version}, or it is not remembered"),
                format!("ask for a version up to {newest}; the log says which are remembered"),
            )),
        }
    }
}
