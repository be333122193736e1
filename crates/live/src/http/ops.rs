//! Commands of scripts: by what stands in the text, never by its offsets.

use axum::Json;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use ggml_agent_core::lease::Token;
use ggml_agent_doc::text::{Anchor, Side};
use ggml_agent_doc::{CallError, Command, EditError, OnStale, Op, OpError};
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
    let command = Command {
        op_id,
        token: fence.map(Token::from_u64),
        base: base_ver,
        ..Command::new(section, op.into())
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
        Err(CallError::Refused(error)) => Err(refused(doc, error).await),
    }
}

impl From<What> for Op {
    fn from(what: What) -> Self {
        match what {
            What::StrReplace { old, new, expect } => Self::StrReplace { old, new, expect },
            What::Append { text } => Self::Append { text },
            What::Insert { anchor, side, text } => {
                let anchor = match anchor {
                    Where::Start => Anchor::Start,
                    Where::End => Anchor::End,
                    Where::Heading => Anchor::Heading,
                    Where::Quote { text, nth } => Anchor::Quote { text, nth },
                };
                let side = match side {
                    OnSide::Before => Side::Before,
                    OnSide::After => Side::After,
                };
                Self::Insert { anchor, side, text }
            }
            What::ReplaceSection { text, on_stale } => {
                let on_stale = match on_stale {
                    Stale::Refuse => OnStale::Refuse,
                    Stale::Merge => OnStale::Merge,
                    Stale::Suggest => OnStale::Suggest,
                };
                Self::Replace { text, on_stale }
            }
        }
    }
}

async fn refused(doc: &Doc, error: OpError) -> Problem {
    let of = |status, kind| Problem::of(status, kind, &error);
    let unfit = StatusCode::UNPROCESSABLE_ENTITY;
    match &error {
        OpError::Edit(EditError::Locked { section, holder, until }) => {
            doc.busy(*section, holder, Some(*until)).await
        }
        OpError::Edit(EditError::UnknownSection { section }) => {
            Problem::no_section(&section.to_string())
        }
        OpError::Edit(EditError::Stale(_)) => of(StatusCode::CONFLICT, "fenced"),
        OpError::Edit(EditError::Outdated { current, .. })
        | OpError::Outdated { current, .. }
        | OpError::Conflict { current, .. }
        | OpError::BaseUnknown { current, .. } => {
            of(StatusCode::CONFLICT, "stale").with("version", *current)
        }
        OpError::Edit(EditError::Unsaved) => of(StatusCode::SERVICE_UNAVAILABLE, "unsaved"),
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
