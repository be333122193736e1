//! CBOR (RFC 8949) as people and other programs read it: messages, results and inputs of agents are kept
//! in it.

use ciborium::Value;
use serde_json::{Map, Value as Json};

/// The value that these bytes are, all of them.
pub(crate) fn read(bytes: &[u8]) -> Option<Value> {
    let mut rest = bytes;
    let value = ciborium::from_reader(&mut rest).ok()?;
    rest.is_empty().then_some(value)
}

/// The diagnostic notation of RFC 8949, §8.
pub(crate) fn notation(value: &Value) -> String {
    let list = |items: Vec<String>| items.join(", ");
    match value {
        Value::Integer(number) => i128::from(*number).to_string(),
        Value::Bytes(bytes) => format!("h'{}'", hex(bytes)),
        Value::Float(number) if number.is_infinite() => {
            if *number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
        }
        Value::Float(number) => format!("{number:?}"),
        Value::Text(text) => Json::from(text.as_str()).to_string(),
        Value::Bool(is_so) => is_so.to_string(),
        Value::Null => "null".to_owned(),
        Value::Tag(tag, value) => format!("{tag}({})", notation(value)),
        Value::Array(items) => format!("[{}]", list(items.iter().map(notation).collect())),
        Value::Map(pairs) => {
            let pair =
                |(key, value): &(Value, Value)| format!("{}: {}", notation(key), notation(value));
            format!("{{{}}}", list(pairs.iter().map(pair).collect()))
        }
        // A kind of a later version of the library.
        _ => format!("{value:?}"),
    }
}

/// JSON as far as it goes: what JSON has no word for is a text in diagnostic notation.
pub(crate) fn to_json(value: &Value) -> Json {
    match value {
        Value::Integer(number) => {
            let number = i128::from(*number);
            u64::try_from(number)
                .map(Json::from)
                .or_else(|_| i64::try_from(number).map(Json::from))
                .unwrap_or_else(|_| Json::from(number.to_string()))
        }
        Value::Float(number) if number.is_finite() => Json::from(*number),
        Value::Text(text) => Json::from(text.as_str()),
        Value::Bool(is_so) => Json::from(*is_so),
        Value::Null => Json::Null,
        Value::Array(items) => Json::Array(items.iter().map(to_json).collect()),
        Value::Map(pairs) => {
            let key = |key: &Value| key.as_text().map_or_else(|| notation(key), str::to_owned);
            let pairs = pairs.iter().map(|(name, value)| (key(name), to_json(value)));
            Json::Object(pairs.collect::<Map<_, _>>())
        }
        _ => Json::from(notation(value)),
    }
}

/// What was kept, as JSON: `{"hex": ...}` if it is no CBOR.
pub(crate) fn kept_as_json(bytes: &[u8]) -> Json {
    read(bytes).map_or_else(|| serde_json::json!({ "hex": hex(bytes) }), |value| to_json(&value))
}

/// What was kept, in one line of at most `chars_max` characters.
pub(crate) fn kept_in_line(bytes: &[u8], chars_max: usize) -> String {
    let text = read(bytes).map_or_else(|| format!("h'{}'", hex(bytes)), |value| notation(&value));
    let text = crate::output::plain(&text);
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}... ({} bytes)", &text[..end], bytes.len()),
        None => text,
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let pair = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
        (0..hex.len()).step_by(2).map(pair).collect()
    }

    #[test]
    fn values_are_written_as_the_standard_writes_them() {
        // RFC 8949, appendix A; the last column is ours.
        let table = [
            ("00", "0", "0"),
            ("1bffffffffffffffff", "18446744073709551615", "18446744073709551615"),
            ("3bffffffffffffffff", "-18446744073709551616", "\"-18446744073709551616\""),
            ("3903e7", "-1000", "-1000"),
            ("f93c00", "1.0", "1.0"),
            ("f97c00", "Infinity", "\"Infinity\""),
            ("f9fc00", "-Infinity", "\"-Infinity\""),
            ("f97e00", "NaN", "\"NaN\""),
            ("f5", "true", "true"),
            ("f6", "null", "null"),
            ("c11a514b67b0", "1(1363896240)", "\"1(1363896240)\""),
            ("4401020304", "h'01020304'", "\"h'01020304'\""),
            ("62225c", "\"\\\"\\\\\"", "\"\\\"\\\\\""),
            ("8301820203820405", "[1, [2, 3], [4, 5]]", "[1,[2,3],[4,5]]"),
            ("a201020304", "{1: 2, 3: 4}", "{\"1\":2,\"3\":4}"),
            ("a26161016162820203", "{\"a\": 1, \"b\": [2, 3]}", "{\"a\":1,\"b\":[2,3]}"),
        ];
        for (hex, expected, json) in table {
            let value = read(&bytes(hex)).expect(hex);
            assert_eq!(notation(&value), expected, "{hex}");
            assert_eq!(to_json(&value).to_string(), json, "{hex}");
        }
    }

    #[test]
    fn what_is_cut_or_followed_by_more_is_no_value() {
        for hex in ["", "62", "6261", "0000", "ff", "9bffffffffffffffff"] {
            assert_eq!(read(&bytes(hex)), None, "{hex}");
        }
        assert_eq!(kept_as_json(&[0xff, 0x01]).to_string(), "{\"hex\":\"ff01\"}");
        assert_eq!(kept_in_line(&[0xff, 0x01], 9), "h'ff01'");
    }

    #[test]
    fn a_long_value_is_cut_for_people_between_characters() {
        let mut bytes = vec![0x78, 100];
        bytes.extend("\u{e9}".repeat(50).bytes());
        assert_eq!(kept_in_line(&bytes, 4), "\"\u{e9}\u{e9}\u{e9}... (102 bytes)");
    }
}
