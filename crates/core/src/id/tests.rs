use super::*;

#[test]
fn agent_id_is_refused_with_the_byte_at_fault() {
    let long = "x".repeat(129);
    let table: &[(&str, ParseAgentIdError)] = &[
        ("", ParseAgentIdError::Empty),
        ("/", ParseAgentIdError::SlashAlone),
        (&long, ParseAgentIdError::TooLong { len: 129 }),
        ("\0", ParseAgentIdError::ControlCharacter { at: 0 }),
        ("ab\ncd", ParseAgentIdError::ControlCharacter { at: 2 }),
        ("é\u{7f}", ParseAgentIdError::ControlCharacter { at: 2 }),
        ("日\u{85}", ParseAgentIdError::ControlCharacter { at: 3 }),
    ];
    for (text, error) in table {
        assert_eq!(AgentId::new(text), Err(*error), "{text:?}");
    }
}

#[test]
fn agent_id_keeps_every_other_text() {
    let longest = "é".repeat(64);
    for text in ["a", "//", "a/b", " ", "writer-1", "日本", "\u{1f980}", &longest] {
        assert_eq!(AgentId::new(text).unwrap().as_str(), text);
    }
}

#[test]
fn message_id_text_is_the_ulid_form() {
    // The example of the ULID specification, and the ends of the range.
    let table = [
        (0x0156_3E3A_B5D3_D676_4C61_EFB9_9302_BD5B, "01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        (0, "00000000000000000000000000"),
        (u128::MAX, "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"),
    ];
    for (bits, text) in table {
        assert_eq!(MessageId::from_u128(bits).to_string(), text);
        assert_eq!(text.parse(), Ok(MessageId::from_u128(bits)));
        assert_eq!(text.to_lowercase().parse(), Ok(MessageId::from_u128(bits)));
    }
}

#[test]
fn message_id_is_refused_with_the_byte_at_fault() {
    let good = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    for at in 0..good.len() {
        for wrong in ["I", "l", "O", "U", "-", " ", "é", "\0"] {
            let text = format!("{}{wrong}{}", &good[..at], &good[at + 1..]);
            let error = Err(ParseMessageIdError::BadCharacter { at });
            assert_eq!(text.parse::<MessageId>(), error, "{text}");
        }
    }
    for len in [0, 1, 25] {
        assert_eq!(good[..len].parse::<MessageId>(), Err(ParseMessageIdError::WrongLength { len }));
    }
    let long = format!("{good}0");
    assert_eq!(long.parse::<MessageId>(), Err(ParseMessageIdError::WrongLength { len: 27 }));
    let large = "8ZZZZZZZZZZZZZZZZZZZZZZZZZ";
    assert_eq!(large.parse::<MessageId>(), Err(ParseMessageIdError::TooLarge));
}

#[test]
fn message_ids_increase_strictly_whatever_the_clock_does() {
    let times = [5, 5, 5, 4, 0, 6, u64::MAX, 7, 1 << 48, u64::MAX, 0];
    for seed in 0..1_000 {
        let mut ids = MessageIds::new(seed);
        let made: Vec<_> = times.iter().map(|&now_ms| ids.next(now_ms)).collect();
        assert!(made.is_sorted_by(|a, b| a < b), "seed {seed}: {made:?}");
        assert!(made.is_sorted_by(|a, b| a.to_string() < b.to_string()), "seed {seed}");
        assert_eq!((made[0].time_ms(), made[5].time_ms()), (5, 6), "seed {seed}");
    }
}

#[test]
fn message_ids_repeat_by_seed_and_differ_between_seeds() {
    let run = |seed| {
        let mut ids = MessageIds::new(seed);
        (0..64).map(|now_ms| ids.next(now_ms / 4)).collect::<Vec<_>>()
    };
    let mut all: Vec<_> = (0..1_000).flat_map(run).collect();
    assert_eq!(run(7), run(7));
    let n_made = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), n_made);
}

#[cfg(feature = "serde")]
#[test]
fn ids_in_json_are_checked_strings() {
    let agent: AgentId = serde_json::from_str("\"writer-1\"").unwrap();
    assert_eq!(serde_json::to_string(&agent).unwrap(), "\"writer-1\"");
    let message: MessageId = serde_json::from_str("\"01ARZ3NDEKTSV4RRFFQ69G5FAV\"").unwrap();
    assert_eq!(serde_json::to_string(&message).unwrap(), "\"01ARZ3NDEKTSV4RRFFQ69G5FAV\"");
    for (json, says) in [("\"a\\nb\"", "control character at byte 1"), ("7", "an agent id")] {
        let error = serde_json::from_str::<AgentId>(json).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    let error = serde_json::from_str::<MessageId>("\"0\"").unwrap_err().to_string();
    assert!(error.contains("1 bytes, it needs 26"), "{error}");
}
