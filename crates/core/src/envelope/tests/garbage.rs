//! Bytes that no encoder wrote: always a typed error with a place, never a panic.

use std::error::Error;

use super::*;
use crate::id::ParseAgentIdError;
use crate::seeded::Rng;

/// The minimal envelope, cut open: version, type, flags, id | timestamp | to | payload length.
fn with_parts(timestamp: &[u8], to: &[u8], rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xA1, 1, 0];
    bytes.extend(ID.to_bytes());
    for part in [timestamp, to, rest] {
        bytes.extend_from_slice(part);
    }
    bytes
}

#[test]
fn m09_garbage_is_refused_with_what_and_where() {
    let bad_id = |source| DecodeFault::BadAgentId { field: Field::To, source };
    let table: &[(Vec<u8>, usize, DecodeFault)] = &[
        (vec![], 0, DecodeFault::Truncated { field: Field::Version, n_missing: 1 }),
        (vec![0xA1], 1, DecodeFault::Truncated { field: Field::Type, n_missing: 1 }),
        (vec![0xA1, 1, 0, 9], 4, DecodeFault::Truncated { field: Field::Id, n_missing: 15 }),
        (
            with_parts(&[0x80, 0], b"\x01b", b"\0"),
            19,
            DecodeFault::PaddedVarint { field: Field::Timestamp },
        ),
        (
            with_parts(&[0xFF; 10], b"\x01b", b"\0"),
            19,
            DecodeFault::VarintTooLarge { field: Field::Timestamp },
        ),
        (
            with_parts(&[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2], b"\x01b", b"\0"),
            19,
            DecodeFault::VarintTooLarge { field: Field::Timestamp },
        ),
        (with_parts(&[5], b"\0", b"\0"), 21, bad_id(ParseAgentIdError::Empty)),
        (with_parts(&[5], b"\x01/", b"\0"), 21, bad_id(ParseAgentIdError::SlashAlone)),
        (
            with_parts(&[5], b"\x02a\n", b"\0"),
            21,
            bad_id(ParseAgentIdError::ControlCharacter { at: 1 }),
        ),
        (with_parts(&[5], b"\x02a\xFF", b"\0"), 22, DecodeFault::NotUtf8 { field: Field::To }),
        (
            with_parts(&[5], b"\x81\x01", b"\0"),
            20,
            DecodeFault::FieldTooLong { field: Field::To, len: 129, len_max: 128 },
        ),
        (
            with_parts(&[5], b"\x01b", b"\x02x"),
            24,
            DecodeFault::Truncated { field: Field::Payload, n_missing: 1 },
        ),
        (with_parts(&[5], b"\x01b", b"\x01xyz"), 24, DecodeFault::TrailingBytes { n_extra: 2 }),
        (
            with_parts(&[5], b"\x01b", b"\x81\x80\x40"),
            22,
            DecodeFault::FieldTooLong {
                field: Field::Payload,
                len: 1024 * 1024 + 1,
                len_max: 1024 * 1024,
            },
        ),
        (
            vec![0; ENVELOPE_LEN_MAX + 1],
            ENVELOPE_LEN_MAX,
            DecodeFault::TooLong { len: ENVELOPE_LEN_MAX + 1 },
        ),
    ];
    for (bytes, at, fault) in table {
        let error = Envelope::decode(bytes).unwrap_err();
        assert_eq!((error.at, error.fault), (*at, *fault), "{error}");
        assert!(!error.is_retryable());
    }
}

#[test]
fn error_tells_the_cause_behind_it() {
    let error = Envelope::decode(&with_parts(&[5], b"\x02a\n", b"\0")).unwrap_err();
    assert_eq!(error.to_string(), "to is not an agent id at byte 21");
    assert_eq!(error.source().unwrap().to_string(), "agent id has a control character at byte 1");
    let mut bytes = full().encode().unwrap().to_vec();
    let at = bytes.windows(16).position(|window| window == [0xAB; 16]).unwrap();
    bytes[at..at + 16].fill(0);
    let error = Envelope::decode(&bytes).unwrap_err();
    assert_eq!(error.to_string(), format!("bad trace context at byte {at}"));
    assert_eq!(error.source().unwrap().to_string(), "trace id is all zero");
}

#[test]
fn every_prefix_of_an_envelope_is_truncated_at_its_end() {
    let bytes = full().encode().unwrap();
    for len in 0..bytes.len() {
        let error = Envelope::decode(&bytes[..len]).unwrap_err();
        assert!(matches!(error.fault, DecodeFault::Truncated { .. }), "{len}: {error}");
        assert_eq!(error.at, len);
    }
}

/// One to four changes: a byte replaced, a bit flipped, a cut, bytes inserted or moved.
fn mutate(rng: &mut Rng, bytes: &mut Vec<u8>) {
    for _ in 0..=rng.below(4) {
        let at = rng.below(bytes.len().max(1));
        match rng.below(6) {
            0 if !bytes.is_empty() => bytes[at] = rng.byte(),
            1 if !bytes.is_empty() => bytes[at] ^= 1 << rng.below(8),
            2 => bytes.truncate(at),
            3 => bytes.insert(at, [0, 1, 0x7F, 0x80, 0xFF, 16][rng.below(6)]),
            4 if !bytes.is_empty() => drop(bytes.remove(at)),
            _ => {
                let more: Vec<u8> = (0..rng.below(4)).map(|_| rng.byte()).collect();
                bytes.extend(more);
            }
        }
    }
}

#[test]
fn m09_a_million_mutated_inputs_never_panic_and_have_one_encoding() {
    let seed = seeded::seed();
    let name = "m09_a_million_mutated_inputs_never_panic_and_have_one_encoding";
    let repeat = seeded::repeat(name, seed);
    let mut rng = Rng(seed);
    let mut seeds: Vec<_> = MessageType::ALL.map(|kind| minimal(kind).encode().unwrap()).into();
    seeds.push(full().encode().unwrap());
    seeds.push(full().encode().unwrap());
    let mut bytes = Vec::new();
    let (mut n_accepted, mut n_refused) = (0_u32, 0_u32);
    for _ in 0..1_000_000 {
        bytes.clear();
        bytes.extend_from_slice(&seeds[rng.below(seeds.len())]);
        mutate(&mut rng, &mut bytes);
        match Envelope::decode(&bytes) {
            Ok(envelope) => {
                n_accepted += 1;
                assert_eq!(envelope.encode().unwrap(), bytes, "{repeat}");
            }
            Err(error) => {
                n_refused += 1;
                assert!(error.at <= bytes.len(), "{error} in {bytes:?}: {repeat}");
            }
        }
    }
    // Both roads were walked, or the mutations test nothing.
    assert!(n_accepted > 10_000 && n_refused > 10_000, "{n_accepted} {n_refused}: {repeat}");
}
