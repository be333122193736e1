//! JSON form of an envelope, version 1: one object, for people, logs and the edges of a system.
//!
//! An unknown field is an error, like an unknown flag in the binary form. The payload is text when it is
//! UTF-8, and base 64 under another name when it is not. Absent fields are not written.

use std::borrow::Cow;

use bytes::Bytes;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::extras::{Extra, Extras};
use super::{Envelope, MessageType, Priority, TraceContext, base64};
use crate::id::{AgentId, MessageId};
use crate::limits::PAYLOAD_LEN_MAX;

/// The only place where the names of the JSON form stand.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an envelope object")]
struct Wire<'a> {
    #[serde(rename = "id")]
    id: MessageId,
    #[serde(rename = "type")]
    kind: MessageType,
    #[serde(rename = "from", default, skip_serializing_if = "Option::is_none")]
    from: Option<AgentId>,
    #[serde(rename = "to")]
    to: AgentId,
    #[serde(rename = "timestamp_ms")]
    timestamp_ms: u64,
    #[serde(rename = "correlation_id", default, skip_serializing_if = "Option::is_none")]
    correlation_id: Option<MessageId>,
    #[serde(rename = "priority", default, skip_serializing_if = "is_normal")]
    priority: Priority,
    #[serde(rename = "deadline_ms", default, skip_serializing_if = "Option::is_none")]
    deadline_ms: Option<u64>,
    #[serde(rename = "trace", default, skip_serializing_if = "Option::is_none")]
    trace: Option<TraceContext>,
    #[serde(rename = "payload", default, skip_serializing_if = "Option::is_none")]
    text: Option<Cow<'a, str>>,
    #[serde(rename = "payload_base64", default, skip_serializing_if = "Option::is_none")]
    base64: Option<Cow<'a, str>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_normal(priority: &Priority) -> bool {
    *priority == Priority::Normal
}

impl Serialize for Envelope {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let (text, base64) = match std::str::from_utf8(&self.payload) {
            Ok("") => (None, None),
            Ok(text) => (Some(Cow::Borrowed(text)), None),
            Err(_) => (None, Some(Cow::Owned(base64::encode(&self.payload)))),
        };
        let wire = Wire {
            id: self.id,
            kind: self.kind,
            from: self.from.clone(),
            to: self.to.clone(),
            timestamp_ms: self.timestamp_ms,
            correlation_id: self.correlation_id,
            priority: self.priority,
            deadline_ms: self.deadline_ms,
            trace: self.trace,
            text,
            base64,
        };
        wire.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Envelope {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(from)?;
        let payload = match (wire.text, wire.base64) {
            (None, None) => Bytes::new(),
            (Some(text), None) => Bytes::from(text.into_owned()),
            (None, Some(text)) => Bytes::from(base64::decode(&text).map_err(|at| {
                D::Error::custom(format_args!("payload_base64 is not base 64 at byte {at}"))
            })?),
            (Some(_), Some(_)) => {
                return Err(D::Error::custom("payload and payload_base64 exclude each other"));
            }
        };
        let len = payload.len();
        if len > PAYLOAD_LEN_MAX {
            let message =
                format_args!("payload has {len} bytes, at most {PAYLOAD_LEN_MAX} are allowed");
            return Err(D::Error::custom(message));
        }
        Ok(Self {
            id: wire.id,
            from: wire.from,
            to: wire.to,
            kind: wire.kind,
            payload,
            timestamp_ms: wire.timestamp_ms,
            priority: wire.priority,
            extras: Extra::from(Extras {
                correlation_id: wire.correlation_id,
                deadline_ms: wire.deadline_ms,
                trace: wire.trace,
            }),
        })
    }
}
