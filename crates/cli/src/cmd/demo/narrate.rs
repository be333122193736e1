//! The event stream as lines.

use std::time::Duration;

use ggml_agent::core::supervise::Decision;
use ggml_agent::{Event, EventKind, Events, ExitReason, StoreDelay, WatchError};
use ggml_agent_doc::{DocEvent, DocEventKind, EditError, SectionId};

use super::team::event::TeamEvent;
use crate::failure::{Code, Failure};
use crate::output::{Level, Line, Screen, Tone};

/// Longest that a demo waits for the next step of its script.
const STEP_DEADLINE: Duration = Duration::from_secs(10);

/// Prints the stream while a demo waits for what comes next in its script.
pub(super) struct Narrator<'a> {
    pub(super) events: Events,
    pub(super) screen: &'a mut Screen,
}

impl Narrator<'_> {
    /// Prints events until `wanted` maps one to a value.
    pub(super) async fn until<T>(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(&EventKind) -> Option<T>,
    ) -> Result<T, Failure> {
        let (events, screen) = (&mut self.events, &mut *self.screen);
        let found = async {
            loop {
                let event = events.next().await.map_err(missed)?;
                if let Some(line) = line(&event) {
                    screen.line(&line);
                }
                if let Some(found) = wanted(&event.kind) {
                    return Ok(found);
                }
            }
        };
        tokio::time::timeout(STEP_DEADLINE, found).await.unwrap_or_else(|_| {
            let text = format!("{what} did not happen within {STEP_DEADLINE:?}");
            Err(Failure::msg(Code::Failure, text).next("run it again with -v"))
        })
    }

    /// As [`Self::until`], for what happens to a document.
    pub(super) async fn until_doc<T>(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(&DocEvent) -> Option<T>,
    ) -> Result<T, Failure> {
        self.until(what, |kind| wanted(doc_event(kind)?)).await
    }

    /// Says something of the demo's own.
    pub(super) fn say(&mut self, at: Duration, who: &str, text: &str) {
        self.screen.line(&Line::new(at, who, "demo.note", text.to_owned()));
    }
}

/// A stream with a gap cannot be accounted for.
pub(super) fn missed(error: WatchError) -> Failure {
    Failure::new(Code::Failure, error)
}

/// The document's event, if it is one.
pub(super) fn doc_event(kind: &EventKind) -> Option<&DocEvent> {
    match kind {
        EventKind::Custom(event) => event.as_any().downcast_ref(),
        _ => None,
    }
}

/// The team's event, if it is one.
pub(super) fn team_event(kind: &EventKind) -> Option<&TeamEvent> {
    match kind {
        EventKind::Custom(event) => event.as_any().downcast_ref(),
        _ => None,
    }
}

/// A section as people read it.
pub(super) fn sign(section: SectionId) -> String {
    section.to_string().replacen('s', "§", 1)
}

/// The line of an event; none for those that only repeat another.
pub(super) fn line(event: &Event) -> Option<Line> {
    let at = event.at;
    let line = match &event.kind {
        EventKind::AgentStarted { agent, incarnation } => {
            let text = format!("started, incarnation {incarnation}");
            Line::new(at, agent.as_str(), "agent.started", text)
                .level(Level::Detail)
                .with("incarnation", *incarnation)
        }
        EventKind::AgentExited { agent, incarnation, reason, .. } => {
            let text = format!("incarnation {incarnation} ended: {reason}");
            Line::new(at, agent.as_str(), "agent.exited", text)
                .level(Level::Detail)
                .with("incarnation", *incarnation)
                .with("abnormal", reason.is_abnormal())
        }
        EventKind::Supervision { supervisor, decision } => {
            supervision(at, supervisor.as_str(), decision)
        }
        EventKind::Breaker { name, transition } => {
            let text = format!("breaker {transition} (transition {})", transition.number);
            Line::new(at, name, "breaker", text)
                .tone(Tone::Warning)
                .with("from", transition.from.to_string())
                .with("to", transition.to.to_string())
        }
        EventKind::DeadLetter(letter) => {
            let text = format!("dead letter: {}", letter.reason);
            Line::new(at, letter.to.as_str(), "dead_letter", text).level(Level::Detail)
        }
        EventKind::Custom(_) => match (doc_event(&event.kind), team_event(&event.kind)) {
            (Some(doc), _) => document(at, doc),
            (_, Some(team)) => team.line(at),
            _ => delay(at, &event.kind)?,
        },
        _ => return None,
    };
    Some(line.with("seq", event.seq).with("unix_ms", event.unix_ms))
}

/// The line of a store that cannot keep anything.
fn delay(at: Duration, kind: &EventKind) -> Option<Line> {
    let EventKind::Custom(event) = kind else { return None };
    let delay = event.as_any().downcast_ref::<StoreDelay>()?;
    let text = format!("waits for the store, and tries again: {}", delay.error);
    Some(Line::new(at, delay.agent.as_str(), "store.delayed", text).tone(Tone::Bad))
}

fn supervision(at: Duration, supervisor: &str, decision: &Decision) -> Line {
    let line = Line::new(at, supervisor, "supervision", decision.to_string());
    match decision {
        Decision::Restarting { id, in_window, restarts_max, .. } => line
            .tone(Tone::Warning)
            .with("restart", id.as_str())
            .with("in_window", *in_window)
            .with("restarts_max", *restarts_max),
        Decision::GaveUp { .. } => line.tone(Tone::Bad),
        // An exit that calls for nothing is a detail; a failure is what demos are about.
        Decision::Exited { reason, .. } if is_failure(reason) => line.tone(Tone::Bad),
        _ => line.level(Level::Detail),
    }
}

/// A kill is announced by whoever did it.
fn is_failure(reason: &ExitReason) -> bool {
    reason.is_abnormal() && *reason != ExitReason::Killed
}

fn document(at: Duration, event: &DocEvent) -> Line {
    let who = event.holder.agent().as_str();
    let document = event.document.as_str();
    let name = ggml_agent::CustomEvent::name(event);
    let holder = event.holder.to_string();
    let holder = holder.as_str();
    match &event.kind {
        DocEventKind::Granted { section, token, .. } => {
            let text = format!("{} LOCK_ACQUIRED fence={token}", sign(*section));
            Line::new(at, who, name, text)
                .with("section", section.to_string())
                .with("fence", token.as_u64())
        }
        DocEventKind::Queued { section, position } => {
            let text = format!("{} LOCK_REQUEST queued at position {position}", sign(*section));
            Line::new(at, who, name, text).with("section", section.to_string())
        }
        DocEventKind::Denied { section, by, until } => {
            let until = until.map_or(String::new(), |until| {
                format!(" until {}.{:03}", until.as_secs(), until.subsec_millis())
            });
            let text = format!("{} LOCK_DENIED: held by {by}{until}", sign(*section));
            Line::new(at, who, name, text).tone(Tone::Warning).with("section", section.to_string())
        }
        DocEventKind::Released { section, .. } => {
            Line::new(at, who, name, format!("{} LOCK_RELEASE", sign(*section)))
                .level(Level::Detail)
                .with("section", section.to_string())
        }
        DocEventKind::Expired { section, token } | DocEventKind::TakenBack { section, token } => {
            let text =
                format!("{} lease of {holder} taken back: fence {token} is void", sign(*section));
            Line::new(at, document, name, text)
                .with("section", section.to_string())
                .with("holder", holder)
                .with("fence", token.as_u64())
        }
        DocEventKind::EditAccepted { section, seq, version } => {
            let text =
                format!("{} DOC_EDIT accepted: version {version}, edit {seq}", sign(*section));
            Line::new(at, who, name, text)
                .tone(Tone::Good)
                .with("section", section.to_string())
                .with("version", *version)
                .with("edit", *seq)
        }
        DocEventKind::EditRefused { section, error } => {
            let fenced = matches!(error, EditError::Stale(_) | EditError::Gone(_));
            let word = if fenced { "REFUSED by fence" } else { "REFUSED" };
            let text = format!("{} DOC_EDIT of {holder} {word}: {error}", sign(*section));
            Line::new(at, document, name, text)
                .tone(Tone::Warning)
                .with("section", section.to_string())
                .with("holder", holder)
                .with("fenced", fenced)
        }
        _ => Line::new(at, document, name, event.to_string()),
    }
}
