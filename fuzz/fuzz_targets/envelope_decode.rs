//! Any bytes: an envelope, whose encoding is these bytes again, or an error inside them. Never a panic.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run envelope_decode`, with `tests/golden/v1` as a first corpus.
#![no_main]

use bytes::Bytes;
use ggml_agent_core::Envelope;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let decoded = Envelope::decode(input);
    assert_eq!(Envelope::decode_bytes(&Bytes::copy_from_slice(input)), decoded);
    match decoded {
        Ok(envelope) => assert_eq!(envelope.encode().as_deref(), Ok(input)),
        Err(error) => assert!(error.at <= input.len(), "{error}"),
    }
});
