//! What the server's own presence says of the document: versions, modes, and who holds what.

use std::time::Duration;

use ggml_agent_doc::{Coordinator, Holder, Kind, LockRow, Mode, SectionId};
use serde_json::{Map, Value, json};

use crate::limits::{FACTS_LEN_MAX, NOTICE_TEXT_LEN_MAX, UPDATE_TICK};
use crate::mirror::Refused;

/// When the facts are looked at again, and how they were last.
#[derive(Debug, Default)]
pub(super) struct Facts {
    due: Option<Duration>,
    /// With moments of the document's clock, which do not run down.
    told: Option<Value>,
}

impl Facts {
    /// To be looked at with the next tick.
    pub(super) fn mark(&mut self) {
        self.due = Some(Duration::ZERO);
    }

    /// Something was done in the document: to be looked at within a tick.
    pub(super) fn note(&mut self, now: Duration) {
        self.due.get_or_insert(now + UPDATE_TICK);
    }

    pub(super) fn due(&self) -> Option<Duration> {
        self.due
    }

    /// The facts as JSON, if they are due and others than before.
    pub(super) fn take(&mut self, document: &Coordinator, now: Duration) -> Option<String> {
        self.due.take_if(|due| *due <= now)?;
        let facts = facts(document, Duration::ZERO);
        if self.told.as_ref() == Some(&facts) {
            return None;
        }
        self.told = Some(facts);
        let mut facts = self::facts(document, now);
        let mut text = facts.to_string();
        if text.len() > FACTS_LEN_MAX
            && let Some(Value::Object(sections)) = facts.get_mut("sections")
        {
            // Versions can be asked for; who holds what must be known.
            sections.retain(|_, section| section.get("lock").is_some());
            text = facts.to_string();
        }
        (text.len() <= FACTS_LEN_MAX).then_some(text)
    }
}

/// What our own page is told of an edit that was undone.
pub(super) fn refusal(
    Refused { section, inserted }: &Refused,
    document: &Coordinator,
    now: Duration,
) -> String {
    let id = section.as_str().parse::<SectionId>().ok();
    let holder = id.and_then(|id| document.lease(id, now)).map(|lease| author(&lease.holder));
    let mut end = inserted.len().min(NOTICE_TEXT_LEN_MAX);
    while !inserted.is_char_boundary(end) {
        end -= 1;
    }
    let text = &inserted[..end];
    json!({ "kind": "refused", "section": section.as_str(), "by": holder, "text": text })
        .to_string()
}

/// Somebody, as the page is told.
pub(crate) fn author(holder: &Holder) -> Value {
    let kind = match holder.kind() {
        Kind::Agent => "agent",
        Kind::Person => "person",
        Kind::File => "server",
    };
    let id = holder.agent().as_str();
    json!({ "id": id, "name": id.trim_start_matches('@'), "kind": kind })
}

/// A mode, as the page is told.
pub(crate) fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Locked => "locked",
        Mode::Optimistic => "optimistic",
        Mode::Open => "open",
        Mode::SuggestOnly => "suggest_only",
    }
}

/// Who holds a section, as the page is told, with the time that is left; null if nobody does.
pub(crate) fn lock_of(row: &LockRow<'_>, now: Duration) -> Value {
    row_of(row, now).unwrap_or(Value::Null)
}

fn facts(document: &Coordinator, now: Duration) -> Value {
    let mut sections = Map::new();
    for view in document.snapshot().sections {
        if view.version == 0 && view.mode == Mode::default() {
            continue;
        }
        let section = json!({ "ver": view.version, "mode": mode(view.mode) });
        sections.insert(view.id.to_string(), section);
    }
    for row in document.lock_rows() {
        let section = sections.entry(row.section.to_string()).or_insert_with(|| json!({}));
        if let Some(lock) = row_of(&row, now) {
            section["lock"] = lock;
        }
        if !row.reservations.is_empty() {
            let names = row.reservations.iter().map(|(holder, _)| holder.agent().as_str());
            section["reserved"] = names.collect::<Vec<_>>().into();
        }
    }
    let n_suggestions = document.n_suggestions();
    json!({ "seq": document.seq(), "suggestions": n_suggestions, "sections": sections })
}

fn row_of(row: &LockRow<'_>, now: Duration) -> Option<Value> {
    let lease = row.lease?;
    let left = lease.deadline.saturating_sub(now);
    let Value::Object(holder) = author(&lease.holder) else { return None };
    Some(json!({
        "holder": holder.get("id"),
        "name": holder.get("name"),
        "kind": holder.get("kind"),
        "token": lease.token.as_u64(),
        "until_ms": u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
        "depth": lease.depth,
        "waiting": row.waiters.len(),
    }))
}
