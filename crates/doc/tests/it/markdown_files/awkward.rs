//! Files that are easy to cut wrongly.

use ggml_agent_doc::limits::{SECTION_BYTES_MAX, SECTIONS_MAX};
use ggml_agent_doc::{Document, LoadError};

use super::check;

const NESTED_FENCES: &str = "# Fences\n\n````md\n```sh\n# in the inner fence\n```\n# in the outer fence\n````\n\n~~~~\n```\n# tildes hold backticks\n~~~\n# three do not end four\n~~~~\n\n- item\n\n  ```\n  # in the fence of an item\n  ```\n\n## After\n\n```\n# never closed\n";

const SETEXT: &str = "Title\n=====\n\ntext\n\nTwo lines\nof a title\n---\n\ntext\n---\nnot a title, but this rule ends nothing:\n\n---\n\n| a | b |\n|---|---|\n| c | d |\n===\n\n[a]: /b\nUnder a definition\n===\nend\n";

const HTML: &str = "<h1 align=\"center\">\n# not a heading\n</h1>\n\n# One\n\n<!--\n# commented out\n\n# after a blank line, too\n-->\n<details>\n<summary>More</summary>\n\n## In the details, and a heading\n\n</details>\n\n<pre>\n# pre\n\n# still pre\n</pre>\n\n<script>\n# script\n\n</script>\n# Two\n";

const NESTED_HEADINGS: &str = "> # In a quotation\n\n- # In an item\n\n  text\n\n1. Title\n   ===\n\n[^1]: a footnote\n\n    # in the footnote\n\n# The only one\n\n    # code by its indent\n\n\\# escaped\n\n#hashtag\n\n####### seven\n";

const FRONT_MATTER: &str = "\u{feff}---\n# a comment, not a heading\ntitle: \"# no\"\n---\n# Title\n\n---\nnot: front\n---\n\nend\n";

#[test]
fn awkward_files_are_cut_where_they_should_be_and_saved_byte_for_byte() {
    let crlf = SETEXT.replace('\n', "\r\n");
    let mixed = "# One\r\ntext\r# Two\n\rmore\n\n# Three\r\r\nend\r";
    let many = "# a\n".repeat(SECTIONS_MAX);
    let setext = [
        "Title\n=====\n",
        "Two lines\nof a title\n---\n",
        "text\n---\n",
        "Under a definition\n===\n",
    ];
    let setext_crlf = setext.map(|heading| heading.replace('\n', "\r\n"));
    let cases: [(&str, &str, &[&str]); 10] = [
        ("nested fences", NESTED_FENCES, &["# Fences\n", "## After\n"]),
        ("setext", SETEXT, &setext),
        ("HTML blocks", HTML, &["", "# One\n", "## In the details, and a heading\n", "# Two\n"]),
        ("nested headings", NESTED_HEADINGS, &["", "# The only one\n"]),
        ("CRLF", &crlf, &setext_crlf.each_ref().map(String::as_str)),
        ("lone CR and mixed line ends", mixed, &["# One\r\n", "# Two\n", "# Three\r"]),
        ("BOM", "\u{feff}# One\n\ntext\n\n# Two\n", &["# One\n", "# Two\n"]),
        ("BOM and front matter", FRONT_MATTER, &["# Title\n", "not: front\n---\n"]),
        ("no final newline", "before\n\n# One\n\ntext\n\n## Two", &["", "# One\n", "## Two"]),
        ("10,000 headings", &many, &["# a\n"; SECTIONS_MAX]),
    ];
    for (name, source, expected) in cases {
        let document = Document::from_bytes(source.as_bytes()).unwrap();
        let found: Vec<&str> =
            document.sections().iter().map(|section| section.heading_source()).collect();
        assert_eq!(found, expected, "{name}");
        check(name, source.as_bytes(), &document);
    }
}

#[test]
fn a_section_of_five_mebibytes_is_refused_with_its_name_and_the_limit() {
    let huge = format!("# Small\n\n# Huge\n{}\n# After\n", "word\n".repeat(1024 * 1024));
    let error = Document::from_bytes(huge.as_bytes()).unwrap_err();
    let len = "# Huge\n\n".len() + 5 * 1024 * 1024;
    assert!(
        matches!(error, LoadError::SectionTooLarge { len: found, .. } if found == len),
        "{error:?}"
    );
    let expected = format!(
        "section s2 has {len} bytes, at most {SECTION_BYTES_MAX} are allowed; divide it with headings"
    );
    assert_eq!(error.to_string(), expected);
}
