//! Commands of scripts: by what stands in the text, never by its offsets.

use axum::Json;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use ggml_agent_core::lease::Token;
use ggml_agent_doc::text::{Anchor, Granularity, Side, diff};
use ggml_agent_doc::{
    CallError, Command, EditError, Holder, OnStale, Op, OpError, Proposal, SectionId, Suggest,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::document::section_id;
use super::problem::Problem;
use super::{Doc, Here, body, who};

/// A command, as it is sent.
#[derive(Debug, Deserialize)]
pub(super) struct Order {
    op_id: Option<String>,
    section: String,
    base_ver: Option<u64>,
    fence: Option<u64>,
    op: What,
}

/// What is to be done.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum What {
    StrReplace {
        old: String,
        new: String,
        #[serde(default = "one")]
        expect: usize,
    },
    Append {
        text: String,
    },
    Insert {
        anchor: Where,
        side: OnSide,
        text: String,
    },
    ReplaceSection {
        text: String,
        #[serde(default)]
        on_stale: Stale,
    },
    Suggest {
        text: String,
        #[serde(default)]
        note: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Where {
    Start,
    End,
    Heading,
    Quote { text: String, nth: Option<usize> },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OnSide {
    Before,
    After,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stale {
    #[default]
    Refuse,
    Merge,
    Suggest,
}

fn one() -> usize {
    1
}

/// `POST /ops`.
pub(super) async fn op(
    State(site): Here,
    Path(id): Path<String>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    let doc = site.doc(&id)?;
    let holder = who::of(&headers)?;
    let Order { op_id, section, base_ver, fence, op } = body(bytes)?;
    let section = section_id(&section)?;
    let op_id = op_id.map(|id| id.parse()).transpose();
    let op_id = op_id.map_err(|error: ggml_agent_doc::coordinator::ParseOpIdError| {
        Problem::bad(error.to_string(), "choose another op_id")
    })?;
    let op = match op {
        What::Suggest { text, note } => {
            let suggest = suggestion(doc, section, base_ver, text, note).await?;
            return suggested(doc, &holder, Suggest { op: op_id, ..suggest }).await;
        }
        What::StrReplace { old, new, expect } => Op::StrReplace { old, new, expect },
        What::Append { text } => Op::Append { text },
        What::Insert { anchor, side, text } => {
            Op::Insert { anchor: anchor.into(), side: side.into(), text }
        }
        What::ReplaceSection { text, on_stale } => Op::Replace { text, on_stale: on_stale.into() },
    };
    let command = Command {
        op_id: op_id.clone(),
        token: fence.map(Token::from_u64),
        base: base_ver,
        ..Command::new(section, op)
    };
    match doc.document.command(&holder, command).await {
        Ok(done) => {
            let of = done.sections.iter().find(|(of, _)| *of == section);
            Ok(Json(json!({
                "seq": done.seq,
                "version": of.map(|(_, version)| *version),
                "base_moved": done.base_moved,
                "repeated": done.is_repeat,
            })))
        }
        Err(CallError::Unreachable(error)) => Err(Problem::unreachable(&error)),
        Err(CallError::Refused(OpError::AsSuggestion(proposal))) => {
            let Proposal { section, base, changes } = proposal;
            let suggest = Suggest { section, base, changes, note: String::new(), op: op_id };
            suggested(doc, &holder, suggest).await
        }
        Err(CallError::Refused(error)) => Err(refused(doc, error).await),
    }
}

/// What has to change in a version of a section, the newest if none is given, to make it `text`.
async fn suggestion(
    doc: &Doc,
    section: SectionId,
    base: Option<u64>,
    text: String,
    note: String,
) -> Result<Suggest, Problem> {
    let (base, old) = doc.text(section, base).await?;
    // Up to 0.1 s of work.
    let changes =
        tokio::task::spawn_blocking(move || diff(&old.to_string(), &text, Granularity::Words));
    let changes = changes.await.map_err(|error| Problem::unreachable(&error))?;
    Ok(Suggest { section, base, changes, note, op: None })
}

async fn suggested(doc: &Doc, holder: &Holder, suggest: Suggest) -> Result<Json<Value>, Problem> {
    match doc.document.suggest(holder, suggest).await {
        Ok(id) => Ok(Json(json!({ "suggestion": id.as_u64() }))),
        Err(error) => Err(doc.not_answered(error).await),
    }
}

impl From<Where> for Anchor {
    fn from(place: Where) -> Self {
        match place {
            Where::Start => Self::Start,
            Where::End => Self::End,
            Where::Heading => Self::Heading,
            Where::Quote { text, nth } => Self::Quote { text, nth },
        }
    }
}

impl From<OnSide> for Side {
    fn from(side: OnSide) -> Self {
        match side {
            OnSide::Before => Self::Before,
            OnSide::After => Self::After,
        }
    }
}

impl From<Stale> for OnStale {
    fn from(stale: Stale) -> Self {
        match stale {
            Stale::Refuse => Self::Refuse,
            Stale::Merge => Self::Merge,
            Stale::Suggest => Self::Suggest,
        }
    }
}

async fn refused(doc: &Doc, error: OpError) -> Problem {
    let of = |status, kind| Problem::of(status, kind, &error);
    let unfit = StatusCode::UNPROCESSABLE_ENTITY;
    match &error {
        OpError::Edit(error) => doc.no_edit(error).await,
        OpError::Outdated { current, .. }
        | OpError::Conflict { current, .. }
        | OpError::BaseUnknown { current, .. } => {
            of(StatusCode::CONFLICT, "stale").with("version", *current)
        }
        OpError::NoMatch { version, current, .. } | OpError::NoPlace { version, current, .. } => {
            of(unfit, "no-match").with("version", *version).with("current", current.as_str())
        }
        OpError::Count { version, found, .. } | OpError::Overlapping { version, found, .. } => {
            of(unfit, "count").with("version", *version).with("found", *found)
        }
        OpError::OpIdReused { seq, .. } => of(StatusCode::CONFLICT, "op-id").with("seq", *seq),
        _ => of(unfit, "refused"),
    }
}

impl Doc {
    /// Why a text was not changed.
    pub(super) async fn no_edit(&self, error: &EditError) -> Problem {
        let of = |status, kind| Problem::of(status, kind, error);
        match error {
            EditError::Locked { section, holder, until } => {
                self.busy(*section, holder, Some(*until)).await
            }
            EditError::UnknownSection { section } => Problem::no_section(&section.to_string()),
            EditError::Stale(_) => of(StatusCode::CONFLICT, "fenced"),
            EditError::Outdated { current, .. } => {
                of(StatusCode::CONFLICT, "stale").with("version", *current)
            }
            EditError::Unsaved => of(StatusCode::SERVICE_UNAVAILABLE, "unsaved"),
            _ => of(StatusCode::UNPROCESSABLE_ENTITY, "refused"),
        }
    }
}
