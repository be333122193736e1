use super::{Marks, abstract_of, annotate, escape, strip, toc};
use crate::markdown::{Heading, headings, split_front};
use crate::soup::{each, soup};
use crate::{Coordinator, Document, Edit, Holder};

fn parse(text: &str) -> Document {
    Document::parse(text).unwrap()
}

/// What a reader sees of every heading, nested ones included.
fn outline(text: &str) -> Vec<(u8, String, String)> {
    let (_, body) = split_front(text);
    headings(body)
        .into_iter()
        .map(|Heading { level, title, anchor, .. }| (level, title, anchor))
        .collect()
}

fn round_trip(text: &str) {
    let annotated = annotate(&parse(text));
    assert_eq!(strip(&annotated), text, "{annotated:?}");
    assert_eq!(outline(&annotated), outline(text), "{annotated:?}");
    // The end of the file may have been the end of the front matter's last line.
    let front = |text| split_front(text).0.trim_end_matches(['\r', '\n']).to_owned();
    assert_eq!(front(&annotated), front(text));
}

#[test]
fn an_annotated_document_looks_like_this() {
    let text = "---\nt: x\n---\n# Plan\n\nWe plan the plan. It is short.\n\nDetails\n-------\n```\ncode\n```\n";
    let expected = "---\nt: x\n---\n# Plan\n\
        <!-- ggml-agent:abstract -->\n\nWe plan the plan.\n\n<!-- /ggml-agent:abstract -->\n\
        <!-- ggml-agent:toc -->\n\n- [Plan](#plan)\n  - [Details](#details)\n\n<!-- /ggml-agent:toc -->\n\
        \nWe plan the plan. It is short.\n\nDetails\n-------\n\
        <!-- ggml-agent:abstract -->\n\nThis section holds one block of code.\n\n<!-- /ggml-agent:abstract -->\n\
        ```\ncode\n```\n";
    assert_eq!(annotate(&parse(text)), expected);
    assert_eq!(strip(expected), text);
}

#[test]
fn what_was_added_can_be_taken_out_of_nasty_documents() {
    let cases = [
        "",
        "no heading\n",
        "# a",
        "# a\n",
        "# a\r\n\r\ntext\r\n# b",
        "# a\rtext\r# b\r",
        "a\n=",
        "a\n===\ntext",
        "# a\n===\n---\n",
        "# a\n    code\n\tcode\n",
        "# a\n[x]: /y\n[x]\n",
        "[x]: /y\n2. a\n===\n",
        "# a\n<div>\n# b\n</div>\n# c",
        "# a\n<!-- open\n\n# b\n",
        "# a\n- item\n- item\n\n  # nested\n# b\n",
        "\u{feff}# a\n",
        "\u{feff}",
        "\u{feff}ggml-agent:toc",
        "---\nx: ggml-agent:toc\n---",
        "---\r\nx: ggml-agent:toc\r\n---",
        "\u{feff}---\na: b\n---\r\n# a",
        "# <!-- ggml-agent:toc -->\n",
        "<!-- ggml-agent:toc -->\n",
        "ggml-agent:abstract++",
        "# a\n<!-- ggml-agent:abstract -->\n\nx\n\n<!-- /ggml-agent:abstract -->\n",
        "# a\nggml-agent:`toc`+ is what it says. ggml-agent:**toc**+++ it is.\n",
        "# a\n1. one\n\n# b\n1) two\n\n# c\n+ d\n",
        "# \u{0} a\u{c}b\n",
    ];
    for text in cases {
        round_trip(text);
        let once = annotate(&parse(text));
        let twice = annotate(&parse(&once));
        assert_eq!(strip(&twice), once, "twice: {text:?}");
        assert_eq!(strip(&strip(&twice)), text, "twice: {text:?}");
    }
}

#[test]
fn what_was_added_can_be_taken_out_of_ten_thousand_random_documents() {
    each(10_000, "ten_thousand_random_documents", |rng| round_trip(&soup(rng, 24)));
}

#[test]
fn abstracts_and_contents_can_be_added_in_any_order() {
    for text in ["# a", "# a\n", "# a\r\n\r\nx\r\n", "\n\na\n===", "x\n\n# a\n"] {
        let document = parse(text);
        let marks = Marks::new(&document);
        let section = document.sections().last().unwrap();
        let (sentence, toc) = (abstract_of(section), toc(&document));
        let one = marks.with_toc(&marks.with_abstract(section.text(), &sentence), &toc);
        let other = marks.with_abstract(&marks.with_toc(section.text(), &toc), &sentence);
        assert_eq!(one, other);
        assert_eq!(strip(&one), section.text());
    }
    let marks = Marks::new(&parse("x\n"));
    assert_eq!(marks.with_abstract("x\n", "y"), "x\n", "no heading, no abstract");
}

#[test]
fn annotated_sections_pass_as_edits_one_by_one() {
    each(1_000, "annotated_sections_pass", |rng| {
        let text = soup(rng, 24);
        let document = parse(&text);
        let marks = Marks::new(&document);
        let mut coordinator = Coordinator::new(&document);
        let writer = Holder::new("writer".parse().unwrap(), 1);
        let mut order: Vec<usize> = (0..document.sections().len()).collect();
        while !order.is_empty() {
            let section = &document.sections()[order.swap_remove(rng.below(order.len()))];
            let new = marks.with_abstract(section.text(), &abstract_of(section));
            let edit = Edit::optimistic(section.id(), 0, new);
            let answer = coordinator.edit(&writer, edit, std::time::Duration::ZERO).answer;
            assert!(answer.is_ok(), "{answer:?} in {text:?}");
        }
        let annotated = coordinator.to_markdown();
        if annotated != text {
            assert_eq!(strip(&annotated), text);
        }
    });
}

#[test]
fn the_table_of_contents_nests_and_links() {
    let text = "### Deep\n# One [x](y) & *two*\n#### Four\n## Two\n## Two\n#\n> # nested\n\n# a ggml-agent:toc | b\n";
    let expected = "- [Deep](#deep)\n- [One x \\& two](#one-x--two)\n  - [Four](#four)\n  - [Two](#two)\n  \
        - [Two](#two-1)\n- [(untitled)](#)\n- [a ggml-agent\\:toc \\| b](#a-ggml-agenttoc--b)";
    assert_eq!(toc(&parse(text)), expected);
    let rows: Vec<String> = outline(expected).into_iter().map(|h| h.1).collect();
    assert_eq!(rows, Vec::<String>::new(), "the table itself holds no heading");
}

#[test]
fn the_abstract_is_the_most_telling_sentence() {
    let cases = [
        ("# T\n", "This section has no text of its own."),
        (
            "# T\n```\na\n```\n```\nb\n```\n| a |\n|---|\n",
            "This section holds 2 blocks of code and one table.",
        ),
        ("# T\nShort one.\n", "Short one."),
        ("# T\nno stop\n", "no stop."),
        ("# T\nA list:\n", "A list."),
        ("# T\n- tight item one\n- and two\n", "tight item one."),
        (
            "# Locks\nWe begin here, e.g. with words. Locks protect sections, and locks expire. The end is near.\n",
            "Locks protect sections, and locks expire.",
        ),
        ("# T\n*Em* `code_x` [link](y) <b>bold</b> a < b.\n", "Em code\\_x link bold a \\< b."),
        ("# T\n2020 was fine\n", "2020 was fine."),
        ("# T\nOk. 1) locks protect all locks\n", "1\\) locks protect all locks."),
        ("# T\n第一句话在这里。第二句话。\n", "第一句话在这里。"),
        ("# T\n--- x --- y z\n", "x --- y z."),
    ];
    for (text, expected) in cases {
        assert_eq!(abstract_of(&parse(text).sections()[0]), expected, "{text:?}");
    }
    let long = format!("# T\n{}, {}\n", ["word"; 12].join(" "), ["other"; 40].join(" "));
    assert_eq!(abstract_of(&parse(&long).sections()[0]), format!("{}…", ["word"; 12].join(" ")));
    let giant = format!("# T\n{}\n", "x".repeat(1_000));
    assert_eq!(abstract_of(&parse(&giant).sections()[0]).chars().count(), 241);
}

#[test]
fn escaped_text_shows_as_it_is() {
    each(2_000, "escaped_text_shows", |rng| {
        let text = soup(rng, 2);
        let words: Vec<&str> = text.split_whitespace().collect();
        let line = format!("x {}", words.join(" ").replace(['\u{0}', '\u{feff}'], ""));
        let markdown = format!("# {}.\n", escape(&line));
        let shown = &headings(&markdown)[0].title;
        assert_eq!(
            shown.split_whitespace().collect::<Vec<_>>(),
            format!("{line}.").split_whitespace().collect::<Vec<_>>()
        );
        assert!(!markdown.contains("ggml-agent:"));
    });
}
