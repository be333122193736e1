//! What `callgrind_annotate` and `cargo build` print, as data.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use serde_json::Value;

/// Instructions of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) total: u64,
    /// Those of each function itself, without what it calls.
    pub(super) functions: BTreeMap<String, u64>,
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(listing: &str) -> Result<Self, String> {
        let mut profile = Self::default();
        for (count, rest) in listing.lines().filter_map(counted) {
            if rest == "PROGRAM TOTALS" {
                profile.total = count;
            } else if let Some(function) = function(rest) {
                // A function stands once per source file that is inlined into it.
                *profile.functions.entry(function).or_default() += count;
            }
        }
        match profile.total {
            0 => Err("callgrind_annotate prints no totals".to_owned()),
            _ => Ok(profile),
        }
    }
}

/// The number and the rest of `2,996,174 (23.36%)  file:function [object]`.
fn counted(line: &str) -> Option<(u64, &str)> {
    let (count, rest) = line.trim_start().split_once(" (")?;
    let count = count.replace(',', "").parse().ok()?;
    let (_share, rest) = rest.split_once("%)")?;
    Some((count, rest.trim()))
}

/// The function in `file:function [object]`, without what differs from build to build.
fn function(place: &str) -> Option<String> {
    let (place, object) = match place.rfind(" [/") {
        Some(at) => (&place[..at], place[at..].trim_end_matches(']').rsplit('/').next()),
        None => (place, None),
    };
    let (_file, name) = place.split_once(':')?;
    if let (Some(object), true) = (object, name.starts_with("0x")) {
        // A library without symbols.
        return Some(object.to_owned());
    }
    // One that calls itself is listed by depth: `name'2`.
    let deep = name.rsplit_once('\'').filter(|(_, depth)| is_all(depth, |c| c.is_ascii_digit()));
    let name = deep.map_or(name, |(name, _)| name);
    let is_hash = |hash: &str| hash.len() == 16 && is_all(hash, |c| c.is_ascii_hexdigit());
    let plain = name.rsplit_once("::h").filter(|(_, hash)| is_hash(hash));
    Some(plain.map_or(name, |(plain, _)| plain).to_owned())
}

fn is_all(text: &str, is: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(is)
}

/// The executable that cargo names in its messages, one JSON object a line.
pub(super) fn executable(messages: &str) -> Option<PathBuf> {
    messages.lines().rev().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "\
Profile data file 'x.callgrind' (creator: callgrind-3.19.0)
Ir
--------------------------------------------------------------------------------
12,827,347 (100.0%)  PROGRAM TOTALS

Ir                  file:function
2,996,174 (23.36%)  ???:a::cell::live::{{closure}} [/x/target/release/deps/instructions-ba43]
  860,098 ( 6.71%)  ???:a::Cell<A,Make,F>::turn::h0123456789abcdef [/x/instructions-ba43]
      902 ( 0.01%)  /rustc/5980/library/core/src/mem.rs:a::Cell<A,Make,F>::turn [/x/ins]
  642,219 ( 5.01%)  ./malloc/./malloc/malloc.c:_int_free [/usr/lib/libc.so.6]
   30,069 ( 0.23%)  ./malloc/./malloc/arena.c:free
       30 ( 0.00%)  ???:0x0000000000014c40 [/lib/x86_64-linux-gnu/libgcc_s.so.1]
       12 ( 0.00%)  ???:0x0000000000016330 [/lib/x86_64-linux-gnu/libgcc_s.so.1]
       12 ( 0.00%)  ???:<[T] as a::B>::fall'2 [/x/ins]
";

    #[test]
    fn a_listing_is_a_total_and_functions_by_name() {
        let profile: Profile = LISTING.parse().unwrap();
        assert_eq!(profile.total, 12_827_347);
        let functions: Vec<(&str, u64)> =
            profile.functions.iter().map(|(name, n)| (name.as_str(), *n)).collect();
        let expected = [
            ("<[T] as a::B>::fall", 12),
            ("_int_free", 642_219),
            ("a::Cell<A,Make,F>::turn", 861_000),
            ("a::cell::live::{{closure}}", 2_996_174),
            ("free", 30_069),
            ("libgcc_s.so.1", 42),
        ];
        assert_eq!(functions, expected);
    }

    #[test]
    fn a_listing_without_totals_is_refused() {
        assert!("".parse::<Profile>().is_err());
        assert!("nothing (0%) here".parse::<Profile>().is_err());
    }

    #[test]
    fn the_last_executable_is_the_one_that_was_asked_for() {
        let messages = r#"{"reason":"compiler-artifact","executable":null}
warning: not JSON
{"reason":"compiler-artifact","executable":"/x/build-script"}
{"reason":"compiler-artifact","executable":"/x/instructions-1"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages), Some(PathBuf::from("/x/instructions-1")));
        assert_eq!(executable(""), None);
    }
}
