//! Base 64 of RFC 4648, section 4, with padding: for payloads that are not text.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The text of `bytes`.
pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3).saturating_mul(4));
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let group = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        for (at, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let digit = ALPHABET.get(((group >> shift) & 63) as usize);
            // n bytes have n + 1 digits; the rest of the four is padding.
            let is_padding = at > chunk.len();
            text.push(if is_padding { '=' } else { char::from(*digit.unwrap_or(&b'=')) });
        }
    }
    text
}

/// The bytes of `text`, or the offset of the byte that cannot stand there.
///
/// Only what [`encode`] writes is read: padded, and with zero bits behind the last byte.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, usize> {
    let text = text.as_bytes();
    if !text.len().is_multiple_of(4) {
        return Err(text.len());
    }
    let n_padding = text.iter().rev().take(2).take_while(|&&byte| byte == b'=').count();
    let n_digits = text.len().saturating_sub(n_padding);
    let mut bytes = Vec::with_capacity((text.len() / 4).saturating_mul(3));
    let mut group: u32 = 0;
    for (at, &byte) in text.iter().enumerate() {
        let value = match value_of(byte) {
            Some(value) if at < n_digits => value,
            None if at >= n_digits => 0,
            Some(_) | None => return Err(at),
        };
        group = (group << 6) | value;
        if at % 4 == 3 {
            let [_, all @ ..] = group.to_be_bytes();
            bytes.extend_from_slice(&all);
            group = 0;
        }
    }
    let n_bytes = bytes.len().saturating_sub(n_padding);
    if bytes.get(n_bytes..).is_some_and(|rest| rest.iter().any(|&byte| byte != 0)) {
        return Err(n_digits.saturating_sub(1));
    }
    bytes.truncate(n_bytes);
    Ok(bytes)
}

fn value_of(byte: u8) -> Option<u32> {
    let byte = u32::from(byte);
    let from =
        |first: u8, value: u32| Some(byte.wrapping_sub(u32::from(first)).wrapping_add(value));
    match char::from_u32(byte)? {
        'A'..='Z' => from(b'A', 0),
        'a'..='z' => from(b'a', 26),
        '0'..='9' => from(b'0', 52),
        '+' => Some(62),
        '/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_vectors_of_rfc_4648_hold() {
        let table = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, text) in table {
            assert_eq!(encode(plain.as_bytes()), text);
            assert_eq!(decode(text), Ok(plain.as_bytes().to_vec()), "{text}");
        }
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)), Ok(all));
    }

    #[test]
    fn anything_but_the_one_form_is_refused_with_the_byte_at_fault() {
        let table = [
            ("Zg", 2),
            ("Zg=", 3),
            ("Z===", 1),
            ("====", 0),
            ("Zg==Zg==", 2),
            ("=m9v", 0),
            ("Zm-v", 2),
            ("Zm\nv", 2),
            ("Zh==", 1),
            ("Zm9=", 2),
            ("é\u{e9}", 0),
        ];
        for (text, at) in table {
            assert_eq!(decode(text), Err(at), "{text:?}");
        }
    }
}
