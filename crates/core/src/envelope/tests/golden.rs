//! Bytes that were once written are read for ever: `tests/golden/v1` at the root of the repository.
//!
//! `GGML_AGENT_BLESS=1 cargo test -p ggml-agent-core --all-features golden` writes files that are missing,
//! and never changes one: a changed encoding is a new version and a new folder.

use std::fs;
use std::path::PathBuf;

use super::*;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/v1")
}

/// Name of the file, and the envelope in it.
fn table() -> Vec<(String, Envelope)> {
    let kinds = MessageType::ALL.into_iter().map(|kind| {
        let payload = format!("payload of {kind}");
        let envelope = Envelope::new(ID, NOW_MS, agent("writer-1"), kind, payload);
        (kind.as_str().to_lowercase(), envelope.sent_by(agent("editor")))
    });
    let mut bytes = full();
    bytes.payload = Bytes::from_static(&[0, 1, 0x7F, 0x80, 0xFE, 0xFF]);
    let ends = [
        ("full", full()),
        ("minimal", minimal(MessageType::User)),
        ("payload_bytes", bytes),
        (
            "payload_300",
            Envelope { payload: Bytes::from(vec![b'x'; 300]), ..minimal(MessageType::User) },
        ),
    ];
    kinds.chain(ends.map(|(name, envelope)| (name.to_owned(), envelope))).collect()
}

/// The bytes of the file, written first if it is missing and the run may bless.
pub(super) fn golden(file: &str, fresh: &[u8]) -> Vec<u8> {
    let path = folder().join(file);
    if !path.exists() && std::env::var_os("GGML_AGENT_BLESS").is_some() {
        fs::create_dir_all(folder()).unwrap();
        fs::write(&path, fresh).unwrap();
    }
    fs::read(&path).unwrap_or_else(|error| panic!("{file}: {error}"))
}

#[test]
fn m09_golden_bytes_of_version_1_decode_and_encode_to_themselves() {
    for (name, envelope) in table() {
        let bytes = golden(&format!("{name}.bin"), &envelope.encode().unwrap());
        assert_eq!(Envelope::decode(&bytes), Ok(envelope.clone()), "{name}");
        assert_eq!(envelope.encode().unwrap(), bytes, "{name}");
    }
}

#[cfg(feature = "serde")]
#[test]
fn m09_golden_json_of_version_1_reads_and_writes_to_itself() {
    for (name, envelope) in table() {
        let fresh = serde_json::to_string_pretty(&envelope).unwrap() + "\n";
        let json = String::from_utf8(golden(&format!("{name}.json"), fresh.as_bytes())).unwrap();
        assert_eq!(serde_json::from_str::<Envelope>(&json).unwrap(), envelope, "{name}");
        assert_eq!(fresh, json, "{name}");
    }
}

#[test]
fn no_golden_file_is_without_a_row() {
    let names: Vec<_> = table().into_iter().map(|(name, _)| name).collect();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        assert!(names.iter().any(|name| name == stem), "{stem}");
    }
}
