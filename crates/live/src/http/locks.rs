//! Locks of people: taken, renewed, given back, taken over.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use ggml_agent_core::lease::{Grant, OnBusy, Stale, Token};
use ggml_agent_doc::coordinator::{GRACE, LockError};
use ggml_agent_doc::{CallError, Client, Holder, Lock, LockDenied, SectionId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::document::{bad_query, section_id};
use super::problem::Problem;
use super::{Doc, Here, body, who};
use crate::beside::author;
use crate::limits::LEASE_MAX;

/// Which sections, and for how long.
#[derive(Debug, Deserialize)]
pub(super) struct Wish {
    sections: BTreeSet<String>,
    lease_ms: u64,
    #[serde(default)]
    preempt: bool,
}

/// `POST /locks`.
pub(super) async fn lock(
    State(site): Here,
    Path(id): Path<String>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let doc = site.doc(&id)?;
    let client = Client::unwatched(who::of(&headers)?);
    let Wish { sections, lease_ms, preempt } = body(bytes)?;
    let sections = sections.iter().map(|section| section_id(section)).collect::<Result<_, _>>()?;
    let lock = Lock { sections, lease: lease(lease_ms)?, on_busy: OnBusy::Deny };
    let grants = if preempt {
        match doc.document.preempt(&client, lock).await {
            Ok(Some(grants)) => grants,
            Ok(None) => {
                let grace = json!({ "grace_ms": millis(GRACE) });
                return Ok((StatusCode::ACCEPTED, Json(grace)).into_response());
            }
            Err(CallError::Refused(error)) => return Err(doc.refused(error).await),
            Err(CallError::Unreachable(error)) => return Err(Problem::unreachable(&error)),
        }
    } else {
        match doc.document.lock(&client, lock).await {
            Ok(grants) => grants,
            Err(LockDenied::Busy { section, holder, until }) => {
                return Err(doc.busy(section, &holder, until).await);
            }
            Err(LockDenied::Refused(error)) => return Err(doc.refused(error).await),
            Err(error) => return Err(Problem::unreachable(&error)),
        }
    };
    let now = doc.look(|_, now| now).await?;
    let locks: Vec<Value> = grants
        .iter()
        .map(|Grant { section, token, deadline }| {
            let until_ms = millis(deadline.saturating_sub(now));
            let (section, token) = (section.to_string(), token.as_u64());
            json!({ "section": section, "token": token, "until_ms": until_ms })
        })
        .collect();
    Ok(Json(json!({ "locks": locks })).into_response())
}

/// A lease to be made longer.
#[derive(Debug, Deserialize)]
pub(super) struct Renewal {
    token: u64,
    lease_ms: u64,
}

/// `PUT /locks/{sid}`.
pub(super) async fn renew(
    State(site): Here,
    Path((id, section)): Path<(String, String)>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    let doc = site.doc(&id)?;
    let section = section_id(&section)?;
    let client = Client::unwatched(who::of(&headers)?);
    let Renewal { token, lease_ms } = body(bytes)?;
    let lease = lease(lease_ms)?;
    let until = doc.document.renew(&client, section, Token::from_u64(token), lease).await;
    let until = until.map_err(fenced)?;
    let now = doc.look(|_, now| now).await?;
    Ok(Json(json!({ "token": token, "until_ms": millis(until.saturating_sub(now)) })))
}

/// How a lock ends.
#[derive(Debug, Deserialize)]
pub(super) struct End {
    token: Option<u64>,
    force: Option<u8>,
}

/// `DELETE /locks/{sid}`.
pub(super) async fn unlock(
    State(site): Here,
    Path((id, section)): Path<(String, String)>,
    headers: HeaderMap,
    query: Result<Query<End>, QueryRejection>,
) -> Result<StatusCode, Problem> {
    let doc = site.doc(&id)?;
    let section = section_id(&section)?;
    let who = who::of(&headers)?;
    let Query(End { token, force }) = query.map_err(|error| bad_query(&error))?;
    match (token, force) {
        (_, Some(1)) => {
            if doc.look(move |document, _| document.about_section(section)).await?.is_none() {
                return Err(Problem::no_section(&section.to_string()));
            }
            let forced = doc.document.force_release(&who, section).await;
            forced.map_err(|error| Problem::unreachable(&error))?;
        }
        (Some(token), _) => {
            let client = Client::unwatched(who);
            let token = Token::from_u64(token);
            doc.document.release(&client, section, token).await.map_err(fenced)?;
        }
        (None, _) => {
            return Err(Problem::bad(
                "neither a token nor force=1 was given",
                "send the token of the lock, or force=1 to take it from whoever holds it",
            ));
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

fn lease(lease_ms: u64) -> Result<Duration, Problem> {
    let lease = Duration::from_millis(lease_ms);
    if lease.is_zero() || lease > LEASE_MAX {
        let title = format!("a lock cannot be held for {lease_ms} ms at once");
        let detail = format!("ask for 1 to {} ms, and renew it", LEASE_MAX.as_millis());
        return Err(Problem::bad(title, detail));
    }
    Ok(lease)
}

fn fenced(error: CallError<Stale>) -> Problem {
    match error {
        CallError::Refused(stale) => Problem::of(StatusCode::CONFLICT, "fenced", &stale),
        CallError::Unreachable(error) => Problem::unreachable(&error),
    }
}

impl Doc {
    /// Somebody else holds a section.
    pub(super) async fn busy(
        &self,
        section: SectionId,
        holder: &Holder,
        until: Option<Duration>,
    ) -> Problem {
        let until_ms = match until {
            Some(until) => self.look(|_, now| now).await.ok().map(|now| until.saturating_sub(now)),
            None => None,
        };
        let name = holder.agent().as_str();
        let name = name.strip_prefix('@').unwrap_or(name);
        let title = format!("{name} holds section {section}");
        let detail = "wait for the lock, take it over from an agent, or work on another section";
        Problem::new(StatusCode::CONFLICT, "locked", title, detail)
            .with("section", section.to_string())
            .with("holder", author(holder))
            .with("until_ms", until_ms.map(millis))
    }

    async fn refused(&self, error: LockError) -> Problem {
        match error {
            LockError::UnknownSection { section } => Problem::no_section(&section.to_string()),
            LockError::NoPrecedence { section, holder } => {
                let lease = self.look(move |document, now| {
                    document.lease(section, now).map(|lease| lease.deadline)
                });
                let until = lease.await.ok().flatten();
                self.busy(section, &holder, until).await
            }
            LockError::Unsaved => Problem::of(StatusCode::SERVICE_UNAVAILABLE, "unsaved", &error),
            error if error.is_retryable() => {
                Problem::of(StatusCode::TOO_MANY_REQUESTS, "crowded", &error)
            }
            error => Problem::of(StatusCode::CONFLICT, "refused", &error),
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
