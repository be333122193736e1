use super::*;
use crate::soup::{each, soup};

/// The pieces but the gaps, one letter for each kind.
fn pieces(text: &str) -> Vec<(char, &str)> {
    let letter = |kind| match kind {
        Kind::Sentence => Some('s'),
        Kind::Row => Some('r'),
        Kind::Code => Some('c'),
        Kind::Gap => None,
    };
    let list = units(text).list;
    list.iter().filter_map(|u| Some((letter(u.kind)?, &text[u.range.clone()]))).collect()
}

#[test]
fn pieces_cover_the_text_without_a_hole() {
    each(3_000, "pieces_cover", |rng| {
        let text = soup(rng, 12);
        let list = units(&text).list;
        let mut at = 0;
        for unit in &list {
            assert_eq!(unit.range.start, at);
            assert!(unit.range.end > at, "an empty piece");
            let is_space = text[unit.range.clone()].trim().is_empty();
            assert!(unit.kind != Kind::Gap || is_space, "{:?}", &text[unit.range.clone()]);
            at = unit.range.end;
        }
        assert_eq!(at, text.len());
    });
}

#[test]
fn pieces_by_table() {
    let table: &[(&str, &[(char, &str)])] = &[
        ("One. Two!\nThree? Four", &[('s', "One."), ('s', "Two!"), ('s', "Three?"), ('s', "Four")]),
        ("goes on\nhere. End.", &[('s', "goes on\nhere."), ('s', "End.")]),
        ("See e.g. Rust. Or v. 1.2 of it.", &[('s', "See e.g. Rust."), ('s', "Or v. 1.2 of it.")]),
        ("J. Doe (\"Yes.\") Then.", &[('s', "J. Doe (\"Yes.\")"), ('s', "Then.")]),
        ("1. One. Two.\n2. Three", &[('s', "1. One."), ('s', "Two."), ('s', "2. Three")]),
        ("- a\n- b\n  more", &[('s', "- a"), ('s', "- b\n  more")]),
        ("# Title\nText", &[('s', "# Title"), ('s', "Text")]),
        ("Title\n===\nText", &[('s', "Title"), ('s', "==="), ('s', "Text")]),
        ("中文。更多。", &[('s', "中文。"), ('s', "更多。")]),
        (
            "```rust\nA. B.\n```\nSee. Dee.",
            &[('c', "```rust"), ('c', "A. B."), ('c', "```"), ('s', "See."), ('s', "Dee.")],
        ),
        ("~~~~\n~~~\n~~~~\nx", &[('c', "~~~~"), ('c', "~~~"), ('c', "~~~~"), ('s', "x")]),
        (
            "- ```\n  A. B.\n  ```\nx",
            &[('c', "- ```"), ('c', "  A. B."), ('c', "  ```"), ('s', "x")],
        ),
        ("``` a`b\nx", &[('s', "``` a`b\nx")]),
        (
            "a | b\n--|--\nA. B. | c\n\nx",
            &[('r', "a | b"), ('r', "--|--"), ('r', "A. B. | c"), ('s', "x")],
        ),
        ("---\na: B. C.\n---\nx", &[('r', "---"), ('r', "a: B. C."), ('r', "---"), ('s', "x")]),
        ("---\nno end. Here.", &[('s', "---"), ('s', "no end."), ('s', "Here.")]),
    ];
    for (text, want) in table {
        assert_eq!(&pieces(text)[..], *want, "{text:?}");
    }
}

#[test]
fn an_open_fence_is_seen() {
    assert!(units("a\n```\nb").is_open);
    assert!(!units("a\n```\nb\n```\n").is_open);
}
