use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::limits::{AGENT_ID_LEN_MAX, ENVELOPE_HEADER_LEN_MAX, ENVELOPE_LEN_MAX, PAYLOAD_LEN_MAX};
use crate::seeded;

mod garbage;
mod golden;
#[cfg(feature = "serde")]
mod json;

/// 2023-11-14T22:13:20Z.
const NOW_MS: u64 = 1_700_000_000_000;

const ID: MessageId = MessageId::from_u128(0x018B_CFE5_6800_7000_8000_0123_4567_89AB);

fn agent(id: &str) -> AgentId {
    id.parse().unwrap()
}

fn minimal(kind: MessageType) -> Envelope {
    Envelope::new(ID, NOW_MS, agent("b"), kind, "")
}

/// Every field set.
fn full() -> Envelope {
    Envelope::new(ID, NOW_MS, agent("schreiber/ü"), MessageType::TaskResult, "grüße \"\n\u{1f980}")
        .sent_by(agent("editor-1"))
        .answering(MessageId::from_u128(7 << 80 | 9))
        .with_priority(Priority::High)
        .with_deadline_ms(NOW_MS + 5_000)
        .with_trace(TraceContext::new([0xAB; 16], [0x12; 8], 1).unwrap())
}

fn any_agent() -> impl Strategy<Value = AgentId> {
    "[a-zé日\u{1f980}/ -]{1,32}".prop_filter_map("an agent id", |id| id.parse().ok())
}

fn any_kind() -> impl Strategy<Value = MessageType> {
    (0..13usize).prop_map(|at| MessageType::ALL[at])
}

fn any_trace() -> impl Strategy<Value = TraceContext> {
    let parts = (any::<[u8; 16]>(), any::<[u8; 8]>(), any::<u8>());
    parts.prop_filter_map("no id is zero", |(t, s, f)| TraceContext::new(t, s, f).ok())
}

fn any_envelope() -> impl Strategy<Value = Envelope> {
    let payload = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        any::<String>().prop_map(String::into_bytes),
    ];
    let needed = (any::<u128>(), any::<u64>(), any_agent(), any_kind(), payload);
    let optional = (
        proptest::option::of(any_agent()),
        proptest::option::of(any::<u128>()),
        any::<bool>(),
        proptest::option::of(any::<u64>()),
        proptest::option::of(any_trace()),
    );
    (needed, optional).prop_map(
        |((id, at_ms, to, kind, payload), (from, answers, is_high, deadline_ms, trace))| {
            let id = MessageId::from_u128(id);
            let mut envelope = Envelope::new(id, at_ms, to, kind, payload);
            envelope.from = from;
            envelope.priority = if is_high { Priority::High } else { Priority::Normal };
            envelope.correlation_id = answers.map(MessageId::from_u128);
            envelope.deadline_ms = deadline_ms;
            envelope.trace = trace;
            envelope
        },
    )
}

/// What is seen of an envelope does not depend on whether there is memory for what few have.
#[test]
fn m08_optional_fields_are_read_and_written_as_the_others() {
    let plain = minimal(MessageType::Task);
    assert_eq!((plain.correlation_id, plain.deadline_ms, plain.trace), (None, None, None));
    let mut other = plain.clone();
    other.deadline_ms = Some(7);
    assert_eq!((other.deadline_ms, plain.deadline_ms), (Some(7), None));
    assert_ne!(other, plain);
    assert!(format!("{other:?}").contains("deadline_ms: Some(7)"), "{other:?}");
    other.deadline_ms = None;
    assert_eq!(other, plain);
    assert_eq!(format!("{other:?}"), format!("{plain:?}"));
    assert_eq!(other.encode(), plain.encode());
}

/// It is moved some ten times on its way, by moves without a call up to 128 bytes.
#[test]
fn an_envelope_is_small() {
    assert!(size_of::<Envelope>() <= 104, "{}", size_of::<Envelope>());
}

#[test]
fn m08_reply_goes_back_with_the_id_of_what_it_answers() {
    let question = full();
    let id = MessageId::from_u128(1);
    let reply = question.reply(MessageType::Error, "no", id, NOW_MS + 3).unwrap();
    assert_eq!((reply.id, reply.timestamp_ms), (id, NOW_MS + 3));
    assert_eq!((&reply.from, &reply.to), (&Some(question.to.clone()), &agent("editor-1")));
    assert_eq!(reply.correlation_id, Some(question.id));
    assert_eq!((reply.kind, &reply.payload[..]), (MessageType::Error, &b"no"[..]));
    assert_eq!(
        (reply.priority, reply.deadline_ms, reply.trace),
        (question.priority, question.deadline_ms, question.trace)
    );
}

#[test]
fn m08_what_comes_from_outside_has_no_reply() {
    let question = minimal(MessageType::Task);
    assert_eq!(question.reply(MessageType::TaskResult, "", ID, NOW_MS), None);
}

#[test]
fn m08_deadline_is_over_at_its_millisecond() {
    let envelope = minimal(MessageType::User).with_deadline_ms(10);
    assert_eq!([9, 10, 11].map(|now_ms| envelope.is_expired(now_ms)), [false, true, true]);
    assert!(!minimal(MessageType::User).is_expired(u64::MAX));
}

#[test]
fn m08_every_field_survives_the_binary_form() {
    let name = "m08_every_field_survives_the_binary_form";
    seeded::check(name, 2_000, &any_envelope(), |envelope| {
        let bytes = envelope.encode().unwrap();
        prop_assert_eq!(&Envelope::decode(&bytes), &Ok(envelope.clone()));
        let shared = Envelope::decode_bytes(&bytes).unwrap();
        prop_assert_eq!(shared.encode().unwrap(), &bytes);
        // Zero-copy: the payload lies inside the input.
        prop_assert!(
            bytes.as_ptr_range().contains(&shared.payload.as_ptr()) || shared.payload.is_empty()
        );
        prop_assert_eq!(shared, envelope);
        Ok(())
    });
}

#[test]
fn m09_there_are_thirteen_types_with_stable_names_and_numbers() {
    let table = [
        (1, "USER"),
        (2, "HEARTBEAT"),
        (3, "HEARTBEAT_ACK"),
        (4, "SHUTDOWN"),
        (5, "ERROR"),
        (6, "TASK"),
        (7, "TASK_RESULT"),
        (8, "DOC_EDIT"),
        (9, "DOC_UPDATE"),
        (10, "LOCK_REQUEST"),
        (11, "LOCK_RELEASE"),
        (12, "LOCK_ACQUIRED"),
        (13, "LOCK_DENIED"),
    ];
    for (kind, (number, name)) in MessageType::ALL.into_iter().zip(table) {
        assert_eq!((kind.number(), kind.to_string().as_str()), (number, name));
        assert_eq!(name.parse(), Ok(kind));
        assert_eq!(MessageType::from_number(number), Some(kind));
    }
    for number in (0..=255).filter(|number| !(1..=13).contains(number)) {
        assert_eq!(MessageType::from_number(number), None);
    }
    let error = "task".parse::<MessageType>().unwrap_err();
    assert_eq!(error.to_string(), "unknown message type \"task\"");
    assert_eq!("X".repeat(1_000).parse::<MessageType>().unwrap_err().name.len(), 32);
}

#[test]
fn m09_unknown_types_versions_and_flags_are_errors_by_name() {
    let good = minimal(MessageType::User).encode().unwrap();
    let table = [
        (0, 0xA2, "envelope version 2 is not supported, only version 1 is at byte 0"),
        (0, 0xA0, "envelope version 0 is not supported, only version 1 is at byte 0"),
        (0, b'{', "not an envelope: first byte is 0x7b at byte 0"),
        (1, 0, "unknown message type number 0 at byte 1"),
        (1, 14, "unknown message type number 14 at byte 1"),
        (2, 0b0110_0000, "unknown flags 0b01100000 at byte 2"),
    ];
    for (at, byte, says) in table {
        let mut bytes = good.to_vec();
        bytes[at] = byte;
        assert_eq!(Envelope::decode(&bytes).unwrap_err().to_string(), says);
    }
}

#[test]
fn encoding_has_the_documented_layout() {
    // Written by hand from the module's table, not by the encoder.
    let mut bytes = vec![0xA1, 6, 0b1_1111];
    bytes.extend(0x0102_0304_0506_0708_090A_0B0C_0D0E_0F10_u128.to_be_bytes());
    bytes.extend([0xAC, 0x02]); // 300
    bytes.extend([2, b't', b'o']);
    bytes.extend([1, b'f']);
    bytes.extend([0xFF; 16]);
    bytes.extend([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01]); // 2^64 - 1
    bytes.extend([0xCC; 16]);
    bytes.extend([0xDD; 8]);
    bytes.push(3);
    bytes.extend([3, 0, 0xFF, 7]);
    let id = MessageId::from_u128(0x0102_0304_0506_0708_090A_0B0C_0D0E_0F10);
    let expected = Envelope::new(id, 300, agent("to"), MessageType::Task, vec![0, 0xFF, 7])
        .sent_by(agent("f"))
        .answering(MessageId::from_u128(u128::MAX))
        .with_priority(Priority::High)
        .with_deadline_ms(u64::MAX)
        .with_trace(TraceContext::new([0xCC; 16], [0xDD; 8], 3).unwrap());
    assert_eq!(Envelope::decode(&bytes), Ok(expected.clone()));
    assert_eq!(expected.encode().unwrap(), bytes);
}

#[test]
fn longest_envelope_fits_its_limit_and_one_byte_more_is_refused() {
    let longest = agent(&"x".repeat(AGENT_ID_LEN_MAX));
    let mut envelope =
        Envelope { timestamp_ms: u64::MAX, to: longest.clone(), from: Some(longest), ..full() }
            .with_deadline_ms(u64::MAX);
    envelope.payload = Bytes::from(vec![7; PAYLOAD_LEN_MAX]);
    let bytes = envelope.encode().unwrap();
    assert_eq!(bytes.len(), ENVELOPE_LEN_MAX);
    assert_eq!(bytes.len() - PAYLOAD_LEN_MAX, ENVELOPE_HEADER_LEN_MAX);
    assert_eq!(Envelope::decode_bytes(&bytes), Ok(envelope.clone()));

    envelope.payload = Bytes::from(vec![7; PAYLOAD_LEN_MAX + 1]);
    let mut out = BytesMut::from(&b"kept"[..]);
    let len = PAYLOAD_LEN_MAX + 1;
    assert_eq!(envelope.encode_into(&mut out), Err(EncodeError::PayloadTooLong { len }));
    assert_eq!(&out[..], b"kept");
}

#[test]
fn traceparent_is_refused_with_the_byte_at_fault() {
    let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    assert_eq!(good.parse::<TraceContext>().unwrap().to_string(), good);
    let later = format!("cc{}-more", &good[2..]);
    assert_eq!(later.parse::<TraceContext>().unwrap().to_string(), good);
    let zero_trace = format!("00-{:032}-00f067aa0ba902b7-01", 0);
    let zero_span = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{:016}-01", 0);
    let table = [
        (String::new(), TraceContextError::WrongLength { len: 0 }),
        (good[..54].into(), TraceContextError::WrongLength { len: 54 }),
        (format!("{good}-"), TraceContextError::WrongLength { len: 56 }),
        (format!("cc{}x", &good[2..]), TraceContextError::BadByte { at: 55 }),
        (format!("ff{}", &good[2..]), TraceContextError::BadByte { at: 0 }),
        (good.to_uppercase(), TraceContextError::BadByte { at: 4 }),
        (good.replace("-01", "_01"), TraceContextError::BadByte { at: 52 }),
        (zero_trace, TraceContextError::ZeroTraceId),
        (zero_span, TraceContextError::ZeroSpanId),
    ];
    for (text, error) in table {
        assert_eq!(text.parse::<TraceContext>(), Err(error), "{text}");
    }
}
