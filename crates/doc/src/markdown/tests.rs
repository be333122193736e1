use super::{Place, headings, lines, split_front};

#[test]
fn front_matter_is_split_off_only_where_it_is_front_matter() {
    let cases = [
        ("", ""),
        ("# a\n", ""),
        ("---\ntitle: x\n---\n# a\n", "---\ntitle: x\n---\n"),
        ("---\r\ntitle: x\r\n---\r\n# a\r\n", "---\r\ntitle: x\r\n---\r\n"),
        ("---\rtitle: x\r---\r# a", "---\rtitle: x\r---\r"),
        ("---\na: b\n...\nx", "---\na: b\n...\n"),
        ("+++\na = 1\n---\n+++\nx", "+++\na = 1\n---\n+++\n"),
        ("---\na: b\n---", "---\na: b\n---"),
        ("---\n---\nx", "---\n---\n"),
        ("--- \na: b\n---\t\nx", "--- \na: b\n---\t\n"),
        ("---\na: b\n", ""),
        ("---\n\n# a\n\n---\n", ""),
        ("----\na\n----\n", ""),
        ("\n---\na: b\n---\n", ""),
        (" ---\na: b\n---\n", ""),
        ("\u{feff}# a", "\u{feff}"),
        ("\u{feff}---\na: b\n---\n# a", "\u{feff}---\na: b\n---\n"),
    ];
    for (text, front) in cases {
        assert_eq!(split_front(text), (front, &text[front.len()..]), "{text:?}");
    }
}

#[test]
fn headings_are_those_of_commonmark() {
    // text, then (source of the heading, title) of each heading at the top level
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("", &[]),
        ("text", &[]),
        ("# a", &[("# a", "a")]),
        ("# a\n", &[("# a\n", "a")]),
        ("# a  ##  \nx", &[("# a  ##  \n", "a")]),
        ("#a\n#\n", &[("#\n", "")]),
        ("   # a\n    # b\n", &[("   # a\n", "a")]),
        ("x\n# a\ny", &[("# a\n", "a")]),
        ("a\n=\n", &[("a\n=\n", "a")]),
        ("a\nb\n---\nc", &[("a\nb\n---\n", "a b")]),
        ("a\r\n===\r\nb", &[("a\r\n===\r\n", "a")]),
        ("# a\r# b\r\n# c\n", &[("# a\r", "a"), ("# b\r\n", "b"), ("# c\n", "c")]),
        ("```\n# a\n```\n# b", &[("# b", "b")]),
        ("~~~\n# a\n```\n# b", &[]),
        ("<div>\n# a\n</div>\n\n# b", &[("# b", "b")]),
        ("<!--\n# a\n\n# b\n-->\n# c", &[("# c", "c")]),
        ("> # a\n\n- # b\n\n1. c\n   ===\n\n# d", &[("# d", "d")]),
        ("- a\n# b", &[("# b", "b")]),
        ("- a\n\n  # b", &[]),
        ("[a]: /x\nb\n===\n", &[("b\n===\n", "b")]),
        ("[a]: /x\n===\n", &[]),
        ("| a | b |\n|---|---|\n| c | d |\n===\n", &[]),
        ("[^1]: a\n\n    # b\n\n# c", &[("# c", "c")]),
        ("# `a` *b* [c](d) ![e](f)", &[("# `a` *b* [c](d) ![e](f)", "a b c e")]),
        ("    # code\n\n---\n\n***\n", &[]),
    ];
    for (text, expected) in cases {
        let all = headings(text);
        let top: Vec<(&str, &str)> = all
            .iter()
            .filter(|h| h.place == Place::Top)
            .map(|h| (&text[h.range.clone()], h.title.as_str()))
            .collect();
        assert_eq!(top, *expected, "{text:?}");
    }
}

#[test]
fn anchors_are_those_of_github() {
    let text = "# Hello, World!\n# hello world\n# Hello World-1\n# hello world\n> # Hello World\n\n\
                # A_b-c `d`\n# Über 中文\n# ![x](y)\n# !!!\n# ???\n# a  b\n# नमस्ते\n";
    let anchors: Vec<String> = headings(text).into_iter().map(|h| h.anchor).collect();
    let expected = [
        "hello-world",
        "hello-world-1",
        "hello-world-1-1",
        "hello-world-2",
        "hello-world-3",
        "a_b-c-d",
        "über-中文",
        "",
        "-1",
        "-2",
        "a--b",
        "नमस्ते",
    ];
    assert_eq!(anchors, expected);
}

#[test]
fn lines_keep_their_endings() {
    let all: Vec<&str> = lines("a\r\nb\rc\n\n\rd").collect();
    assert_eq!(all, ["a\r\n", "b\r", "c\n", "\n", "\r", "d"]);
    assert_eq!(lines("").next(), None);
}
