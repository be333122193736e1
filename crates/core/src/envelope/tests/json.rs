use super::*;

#[test]
fn m08_every_field_survives_the_json_form() {
    let name = "m08_every_field_survives_the_json_form";
    seeded::check(name, 2_000, &any_envelope(), |envelope| {
        let json = serde_json::to_string(&envelope).unwrap();
        prop_assert_eq!(serde_json::from_str::<Envelope>(&json).unwrap(), envelope);
        Ok(())
    });
}

#[test]
fn m09_wrong_json_is_refused_by_name() {
    let id = r#""id":"01HF7YAT003G00000014D2PF2V","to":"b","timestamp_ms":5"#;
    let table = [
        ("[]".to_owned(), "an envelope object"),
        ("{}".to_owned(), "missing field `id`"),
        (format!(r#"{{{id}}}"#), "missing field `type`"),
        (format!(r#"{{{id},"type":"NOPE"}}"#), "unknown message type \"NOPE\""),
        (format!(r#"{{{id},"type":6}}"#), "the name of a message type"),
        (format!(r#"{{{id},"type":"TASK","deadine_ms":5}}"#), "unknown field `deadine_ms`"),
        (format!(r#"{{{id},"type":"TASK","type":"TASK"}}"#), "duplicate field `type`"),
        (format!(r#"{{{id},"type":"TASK","deadline_ms":-5}}"#), "invalid value: integer `-5`"),
        (format!(r#"{{{id},"type":"TASK","priority":"urgent"}}"#), "unknown variant `urgent`"),
        (format!(r#"{{{id},"type":"TASK","from":"/"}}"#), "names the root"),
        (format!(r#"{{{id},"type":"TASK","correlation_id":"7"}}"#), "message id has 1 bytes"),
        (format!(r#"{{{id},"type":"TASK","trace":"00"}}"#), "traceparent has 2 bytes"),
        (format!(r#"{{{id},"type":"TASK","payload_base64":"Zm!v"}}"#), "not base 64 at byte 2"),
        (
            format!(r#"{{{id},"type":"TASK","payload":"","payload_base64":""}}"#),
            "exclude each other",
        ),
    ];
    for (json, says) in table {
        let error = serde_json::from_str::<Envelope>(&json).unwrap_err().to_string();
        assert!(error.contains(says), "{json}: {error}");
    }
}

#[test]
fn json_payload_above_the_limit_is_refused() {
    let mut envelope = minimal(MessageType::User);
    for (byte, len) in [(b'x', PAYLOAD_LEN_MAX), (0xFF, PAYLOAD_LEN_MAX)] {
        envelope.payload = Bytes::from(vec![byte; len]);
        let json = serde_json::to_string(&envelope).unwrap();
        assert!(serde_json::from_str::<Envelope>(&json).is_ok());
        envelope.payload = Bytes::from(vec![byte; len + 1]);
        let json = serde_json::to_string(&envelope).unwrap();
        let error = serde_json::from_str::<Envelope>(&json).unwrap_err().to_string();
        assert!(error.contains("payload has 1048577 bytes"), "{error}");
    }
}
