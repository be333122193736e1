//! The envelope form of the document protocol, beside its only codec.
//!
//! A payload is a block of `name: value` lines; the text of an edit or update follows after a blank
//! line. It is for agents that know the protocol and not this crate:
//!
//! | type | from | fields |
//! |---|---|---|
//! | LOCK_REQUEST | client | `sections: s1 s2`, `lease-ms`, and `wait-ms` to queue (0: without end) |
//! | LOCK_ACQUIRED | document | one `lock: SECTION TOKEN UNTIL_MS` per section |
//! | LOCK_DENIED | document | `reason`, and `section`, `holder`, `until-ms` where they are known |
//! | LOCK_RELEASE | client | `section`, `token` |
//! | DOC_EDIT | client | `section`, `token` or `base`; blank line; the whole new text |
//! | DOC_UPDATE | client | `section` reads one; without it: subscribes, and is answered with the document as it is |
//! | DOC_UPDATE | document | `seq` and what it says below; blank line; text |
//! | ERROR | document | why an edit or release was refused, in words |
//!
//! A DOC_UPDATE that answers has the text that was asked for behind its blank line, and for one section
//! its `section` and `version`. To a subscriber it says what changed: `author`, one `edit: SECTION VERSION` for
//! each section, each followed by its places, `splice: AT REMOVED INSERTED`, in order, in bytes of the text
//! before; behind the blank line stand all the inserted texts, one after the other. `outline: yes` says that
//! sections came, went or moved: read the document anew.
//!
//! Moments are milliseconds on the document's own monotonic clock.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use ggml_agent::{Context, Envelope, MessageType};
use ggml_agent_core::AgentId;
use ggml_agent_core::lease::{Grant, OnBusy, Token};

use super::effect::Effect;
use super::{DocumentAgent, LockDenied, Waiting, Way};
use crate::change::Splice;
use crate::coordinator::{Accepted, Delivery, Edit, EditError, Holder, Lock};
use crate::history::Update;
use crate::section::SectionId;

/// The lease of a request that names none.
const LEASE_DEFAULT: Duration = Duration::from_secs(30);

/// Does what an envelope asks for; what is wrong with it goes back as an ERROR.
pub(super) fn obey(
    document: &mut DocumentAgent,
    envelope: &Envelope,
    ctx: &mut Context<DocumentAgent>,
) {
    if document.is_full() && envelope.kind != MessageType::LockRelease {
        answer(ctx, envelope, MessageType::Error, EditError::Unsaved.to_string());
    } else if let Err(reason) = try_obey(document, envelope, ctx) {
        hold_answer(document, envelope, MessageType::Error, reason);
    }
}

fn hold_answer(
    document: &mut DocumentAgent,
    envelope: &Envelope,
    kind: MessageType,
    payload: impl Into<ggml_agent::Bytes>,
) {
    let (question, payload) = (envelope.clone(), payload.into());
    document.hold(Effect::Envelope { question, kind, payload });
}

fn try_obey(
    document: &mut DocumentAgent,
    envelope: &Envelope,
    ctx: &mut Context<DocumentAgent>,
) -> Result<(), String> {
    let from = envelope.from.as_ref().ok_or("an envelope from outside cannot hold a lock")?;
    let holder = meet(document, from, ctx)?;
    let payload = std::str::from_utf8(&envelope.payload)
        .map_err(|error| format!("the payload is not UTF-8: {error}"))?;
    let fields = Fields::parse(payload)?;
    match envelope.kind {
        MessageType::LockRequest => {
            let lock = fields.lock(ctx.system().clock().now())?;
            document.lock(&holder, lock, Waiting::Envelope(envelope.clone()), ctx);
        }
        MessageType::LockRelease => {
            let (section, token) = (fields.section()?, fields.required("token")?);
            let token = Token::from_u64(token);
            document.release(&holder, section, token, ctx).map_err(|error| error.to_string())?;
        }
        MessageType::DocEdit => {
            let edit = fields.edit()?;
            let section = edit.section;
            let Accepted { seq, version, .. } =
                document.edit(&holder, edit, ctx).map_err(|error| error.to_string())?;
            let payload =
                format!("seq: {seq}\nsection: {section}\nversion: {version}\nauthor: {holder}\n");
            hold_answer(document, envelope, MessageType::DocUpdate, payload);
        }
        _ if fields.get("section").is_some() => {
            let section = fields.section()?;
            let view = document.sheet().read(section);
            let view = view.ok_or_else(|| format!("the document has no section {section}"))?;
            let (seq, version) = (document.sheet().seq, view.version);
            let payload =
                format!("seq: {seq}\nsection: {section}\nversion: {version}\n\n{}", view.text);
            hold_answer(document, envelope, MessageType::DocUpdate, payload);
        }
        _ => {
            let answer = document.subscribe(&holder, ctx);
            let snapshot = answer.map_err(|error| error.to_string())?;
            let payload = format!("seq: {}\n\n{}", snapshot.seq, snapshot.to_markdown());
            hold_answer(document, envelope, MessageType::DocUpdate, payload);
        }
    }
    Ok(())
}

/// The present incarnation of the sender, watched from now on.
fn meet(
    document: &mut DocumentAgent,
    from: &AgentId,
    ctx: &mut Context<DocumentAgent>,
) -> Result<Holder, String> {
    let addr = ctx
        .system()
        .lookup_any(from.as_str())
        .ok_or_else(|| format!("{from} is not registered: only a registered agent can edit"))?;
    let holder = Holder::new(from.clone(), addr.incarnation());
    if document.book.enter(&holder, &addr, Way::Envelopes) {
        document.watch(&holder, &addr, ctx);
    }
    Ok(holder)
}

/// Tells a requester how its LOCK_REQUEST ended.
pub(super) fn answer_lock(
    ctx: &Context<DocumentAgent>,
    request: &Envelope,
    result: &Result<Vec<Grant<SectionId>>, LockDenied>,
) {
    match result {
        Ok(grants) => {
            let mut payload = String::new();
            for Grant { section, token, deadline } in grants {
                let until = deadline.as_millis();
                writeln!(payload, "lock: {section} {token} {until}")
                    .expect("invariant: a String takes all");
            }
            answer(ctx, request, MessageType::LockAcquired, payload);
        }
        Err(denied) => {
            let mut payload = format!("reason: {denied}\n");
            if let LockDenied::Busy { section, holder, until } = denied {
                let until = until.map(|until| format!("until-ms: {}\n", until.as_millis()));
                let until = until.unwrap_or_default();
                write!(payload, "section: {section}\nholder: {holder}\n{until}")
                    .expect("invariant: a String takes all");
            }
            answer(ctx, request, MessageType::LockDenied, payload);
        }
    }
}

/// Tells a holder that its lock is over.
pub(super) fn lock_lost(
    ctx: &Context<DocumentAgent>,
    to: &Holder,
    section: SectionId,
    token: Token,
) {
    let payload = format!("reason: the lock is over\nsection: {section}\ntoken: {token}\n");
    // Gone or full: the fence refuses what the old holder does in its ignorance.
    drop(ctx.send_to(to.agent(), MessageType::LockDenied, payload));
}

/// Hands a subscriber the next version; false when it does not take it now.
pub(super) fn update(ctx: &Context<DocumentAgent>, to: &Holder, delivery: &Delivery) -> bool {
    let payload = match delivery {
        Delivery::Update(update) => changes(update),
        Delivery::Resync { seq } => format!("seq: {seq}\nresync: yes\n"),
    };
    ctx.send_to(to.agent(), MessageType::DocUpdate, payload).is_ok()
}

/// An update in words.
fn changes(update: &Update) -> String {
    let outline = if update.outline.is_empty() { "" } else { "outline: yes\n" };
    let mut payload = format!("seq: {}\nauthor: {}\n{outline}", update.seq, update.author);
    for edit in &update.edits {
        writeln!(payload, "edit: {} {}", edit.section, edit.version)
            .expect("invariant: a String takes all");
        for Splice { at, removed, inserted } in &edit.splices {
            writeln!(payload, "splice: {at} {} {}", removed.len(), inserted.len())
                .expect("invariant: a String takes all");
        }
    }
    payload.push('\n');
    let splices = update.edits.iter().flat_map(|edit| &edit.splices);
    splices.for_each(|splice| payload.push_str(&splice.inserted));
    payload
}

fn answer(
    ctx: &Context<DocumentAgent>,
    question: &Envelope,
    kind: MessageType,
    payload: impl Into<ggml_agent::Bytes>,
) {
    // An asker that is gone is recorded by the system as a dead letter.
    drop(ctx.reply_to(question, kind, payload));
}

/// The fields of a payload, and what follows its blank line.
struct Fields<'a> {
    fields: Vec<(&'a str, &'a str)>,
    text: Option<&'a str>,
}

impl<'a> Fields<'a> {
    fn parse(payload: &'a str) -> Result<Self, String> {
        let (head, text) = match payload.split_once("\n\n") {
            Some((head, text)) => (head, Some(text)),
            None => (payload, None),
        };
        let lines = head.lines().filter(|line| !line.is_empty());
        let fields = lines
            .map(|line| {
                let (name, value) = line
                    .split_once(':')
                    .ok_or_else(|| format!("the line {line:.60?} is not \"name: value\""))?;
                Ok((name.trim(), value.trim()))
            })
            .collect::<Result<_, String>>()?;
        Ok(Self { fields, text })
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.fields.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn number(&self, name: &str) -> Result<Option<u64>, String> {
        self.get(name)
            .map(|value| value.parse().map_err(|_| format!("{name} is not a number: {value:.60?}")))
            .transpose()
    }

    fn required(&self, name: &str) -> Result<u64, String> {
        self.number(name)?.ok_or_else(|| format!("the field \"{name}\" is missing"))
    }

    fn section(&self) -> Result<SectionId, String> {
        let id = self.get("section").ok_or("the field \"section\" is missing")?;
        id.parse().map_err(|error| format!("{id:.60?}: {error}"))
    }

    fn lock(&self, now: Duration) -> Result<Lock, String> {
        let ids = self.get("sections").ok_or("the field \"sections\" is missing")?;
        let sections = ids
            .split_whitespace()
            .map(|id| id.parse().map_err(|error| format!("{id:.60?}: {error}")))
            .collect::<Result<BTreeSet<SectionId>, String>>()?;
        let lease = self.number("lease-ms")?.map_or(LEASE_DEFAULT, Duration::from_millis);
        let on_busy = match self.number("wait-ms")? {
            None => OnBusy::Deny,
            Some(0) => OnBusy::Queue { until: None },
            Some(wait) => {
                OnBusy::Queue { until: Some(now.saturating_add(Duration::from_millis(wait))) }
            }
        };
        Ok(Lock { sections, lease, on_busy })
    }

    fn edit(&self) -> Result<Edit, String> {
        let text = self.text.ok_or("the new text is missing: it follows after a blank line")?;
        Ok(Edit {
            section: self.section()?,
            token: self.number("token")?.map(Token::from_u64),
            base: self.number("base")?,
            text: text.to_owned(),
        })
    }
}
