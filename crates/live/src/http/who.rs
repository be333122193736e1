//! Who asks: a name of the person's own choice, behind the token that all share.

use axum::http::HeaderMap;
use ggml_agent_core::AgentId;
use ggml_agent_doc::{Holder, Kind};
use percent_encoding::percent_decode_str;

use super::problem::Problem;
use crate::limits::PERSON_CHARS_MAX;
use crate::room::{User, UserKind};

/// The header that has the name, percent-encoded.
const USER: &str = "x-doc-user";

/// Who has no name.
const NOBODY: &str = "somebody";

/// The colours of people; the page has the same, and chooses as we do.
const COLOURS: [&str; 8] =
    ["#0b6b5d", "#9a4f00", "#3f57b5", "#a1316b", "#4c6b12", "#7a3fb0", "#006a8e", "#8a3b2e"];

/// The person that the headers of a request name.
pub(super) fn of(headers: &HeaderMap) -> Result<Holder, Problem> {
    let Some(name) = headers.get(USER) else { return person(NOBODY) };
    let name = percent_decode_str(name.to_str().map_err(|_| unreadable())?);
    person(&name.decode_utf8().map_err(|_| unreadable())?)
}

/// The person of this name. Two tabs with one name are one person.
pub(super) fn person(name: &str) -> Result<Holder, Problem> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > PERSON_CHARS_MAX {
        return Err(wrong(name));
    }
    let id: AgentId = format!("@{name}").parse().map_err(|_| wrong(name))?;
    // A person has one life: two tabs of it are one holder.
    Ok(Holder::of(Kind::Person, id, 1))
}

/// As the others see this person.
pub(super) fn user(holder: &Holder) -> User {
    let id = holder.agent().as_str();
    let name = id.strip_prefix('@').unwrap_or(id);
    let sum = name.chars().fold(7u32, |sum, c| sum.wrapping_mul(31).wrapping_add(c as u32));
    let colour = COLOURS[sum as usize % COLOURS.len()];
    User {
        name: name.to_owned(),
        colour: colour.to_owned(),
        kind: UserKind::Person,
        may_write: true,
    }
}

fn wrong(name: &str) -> Problem {
    let title = format!("{:?} cannot be a name", name.chars().take(32).collect::<String>());
    let detail = format!(
        "choose one of 1 to {PERSON_CHARS_MAX} characters, at most {} bytes, without control characters",
        ggml_agent_core::limits::AGENT_ID_LEN_MAX - 1
    );
    Problem::bad(title, detail)
}

fn unreadable() -> Problem {
    Problem::bad("the name in x-doc-user is not UTF-8", "percent-encode its UTF-8 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_person_or_says_what_is_wrong() {
        let long = "ü".repeat(64);
        let table = [
            ("Ana", Some("@Ana")),
            (" Ana ", Some("@Ana")),
            ("Ana%20M%C3%BCller", Some("@Ana Müller")),
            ("@Ana", Some("@@Ana")),
            ("%0A%0A", None),
            ("a%00b", None),
            ("%FF", None),
            ("", None),
            (long.as_str(), None),
        ];
        for (name, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(USER, axum::http::HeaderValue::from_bytes(name.as_bytes()).unwrap());
            let holder = of(&headers).ok();
            assert_eq!(holder.as_ref().map(|holder| holder.agent().as_str()), expected, "{name}");
            assert!(holder.is_none_or(|holder| holder.kind() == Kind::Person));
        }
        assert_eq!(of(&HeaderMap::new()).unwrap().agent().as_str(), "@somebody");
    }
}
