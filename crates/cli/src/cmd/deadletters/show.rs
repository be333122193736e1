//! `ggml-agent deadletters show`.

use ggml_agent_core::store::DeadRecord;
use serde_json::Value;

use crate::cbor;
use crate::cmd::result;
use crate::failure::Failure;
use crate::moment;
use crate::output::{Line, Screen, plain};
use crate::state::State;

use super::find;

pub(super) fn run(number: u64, state: &State, screen: &mut Screen) -> Result<(), Failure> {
    let letter = find(state, number)?;
    let payload = Payload::of(&letter.envelope.payload);
    let text = format!("{}\n{}", headers_text(&letter), payload.text(&letter.envelope.payload));
    let line = headers(&letter, result("deadletter", text));
    screen.line(&line.with("payload", payload.json(&letter.envelope.payload)));
    Ok(())
}

/// What is known of one but its payload.
pub(super) fn headers(letter: &DeadRecord, line: Line) -> Line {
    let envelope = &letter.envelope;
    line.with("number", letter.number)
        .with("reason", letter.reason.as_str())
        .with("attempts", letter.attempts)
        .with("id", envelope.id.to_string())
        .with("from", envelope.from.as_ref().map(ToString::to_string))
        .with("to", envelope.to.as_str())
        .with("type", envelope.kind.as_str())
        .with("sent_ms", envelope.timestamp_ms)
        .with("payload_bytes", envelope.payload.len())
}

fn headers_text(letter: &DeadRecord) -> String {
    let envelope = &letter.envelope;
    let outside = || "outside".to_owned();
    let mut rows = vec![
        ("number", letter.number.to_string()),
        ("reason", plain(&letter.reason)),
        ("attempts", letter.attempts.to_string()),
        ("id", envelope.id.to_string()),
        ("from", envelope.from.as_ref().map_or_else(outside, ToString::to_string)),
        ("to", envelope.to.to_string()),
        ("type", envelope.kind.as_str().to_owned()),
        ("sent", moment::say(envelope.timestamp_ms)),
    ];
    if let Some(question) = envelope.correlation_id {
        rows.push(("answers", question.to_string()));
    }
    if let Some(deadline_ms) = envelope.deadline_ms {
        rows.push(("deadline", moment::say(deadline_ms)));
    }
    let rows = rows.iter().map(|(name, value)| format!("{name:<9} {value}"));
    rows.collect::<Vec<_>>().join("\n")
}

/// How a payload can be read. A short one may well be both: then both are said, since nobody knows.
struct Payload {
    cbor: Option<ciborium::Value>,
    text: Option<String>,
}

impl Payload {
    fn of(bytes: &[u8]) -> Self {
        let is_text = |text: &&str| !text.chars().any(|c| c.is_control() && !c.is_whitespace());
        let text = std::str::from_utf8(bytes).ok().filter(is_text).map(str::to_owned);
        Self { cbor: cbor::read(bytes), text }
    }

    fn text(&self, bytes: &[u8]) -> String {
        let len = bytes.len();
        let mut forms = Vec::new();
        if let Some(value) = &self.cbor {
            forms.push(format!(
                "payload   {len} bytes, as CBOR:\n{}",
                plain(&cbor::notation(value))
            ));
        }
        if let Some(text) = &self.text {
            let lines: Vec<_> = text.lines().map(plain).collect();
            forms.push(format!("payload   {len} bytes, as text:\n{}", lines.join("\n")));
        }
        if forms.is_empty() {
            forms.push(format!("payload   {len} bytes, in hex:\n{}", cbor::hex(bytes)));
        }
        forms.join("\n")
    }

    fn json(&self, bytes: &[u8]) -> Value {
        let mut forms = serde_json::Map::new();
        if let Some(value) = &self.cbor {
            forms.insert("cbor".to_owned(), cbor::notation(value).into());
            forms.insert("json".to_owned(), cbor::to_json(value));
        }
        if let Some(text) = &self.text {
            forms.insert("text".to_owned(), text.as_str().into());
        }
        if forms.is_empty() {
            forms.insert("hex".to_owned(), cbor::hex(bytes).into());
        }
        Value::Object(forms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_shown_in_each_form_that_it_has() {
        let table: &[(&[u8], &str)] = &[
            (b"", r#"{"text":""}"#),
            (b"two\nlines", r#"{"text":"two\nlines"}"#),
            (b"\xa1aa\x01", r#"{"cbor":"{\"a\": 1}","json":{"a":1}}"#),
            // A word, or the text "all" in CBOR.
            (b"call", r#"{"cbor":"\"all\"","json":"all","text":"call"}"#),
            (b"\xff\x00", r#"{"hex":"ff00"}"#),
            (b"a\x1b[2J", r#"{"hex":"611b5b324a"}"#),
        ];
        for (bytes, expected) in table {
            assert_eq!(Payload::of(bytes).json(bytes).to_string(), *expected);
        }
    }
}
