//! The form of messages, states and results on disk: CBOR (RFC 8949), which names its fields, so that a
//! form with a new optional field reads an old one.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why a value could not be written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// serde could not write the value. Its type is at fault.
    #[error("the value cannot be written as CBOR: {why}")]
    Write {
        /// What serde says.
        why: String,
    },
    /// The bytes are not such a value: they are of another type or version.
    #[error("the bytes are no such value: {why}")]
    Read {
        /// What serde says.
        why: String,
    },
}

pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, CodecError> {
    let mut bytes = Vec::new();
    match ciborium::into_writer(value, &mut bytes) {
        Ok(()) => Ok(bytes.into()),
        Err(error) => Err(CodecError::Write { why: error.to_string() }),
    }
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let mut rest = bytes;
    let value = ciborium::from_reader(&mut rest)
        .map_err(|error| CodecError::Read { why: error.to_string() })?;
    if rest.is_empty() {
        return Ok(value);
    }
    Err(CodecError::Read { why: format!("{} bytes follow it", rest.len()) })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[test]
    fn a_new_optional_field_reads_an_old_form() {
        #[derive(Serialize)]
        struct Old {
            a: u32,
        }
        #[derive(Debug, PartialEq, Deserialize)]
        struct New {
            a: u32,
            #[serde(default)]
            b: Option<String>,
        }
        let old = encode(&Old { a: 7 }).expect("plain");
        assert_eq!(decode(&old), Ok(New { a: 7, b: None }));
    }

    #[test]
    fn what_is_cut_or_followed_by_more_is_refused() {
        let whole = encode(&(1, "two")).expect("plain");
        for len in 0..whole.len() {
            assert!(decode::<(u32, String)>(&whole[..len]).is_err(), "{len}");
        }
        let more = [&whole[..], &[0]].concat();
        assert!(decode::<(u32, String)>(&more).is_err());
    }
}
