use super::{Document, LoadError, ParseSectionIdError, SectionId};
use crate::limits::{DOCUMENT_BYTES_MAX, SECTION_BYTES_MAX, SECTIONS_MAX};
use crate::soup::{each, soup};

fn texts(document: &Document) -> Vec<&str> {
    document.sections().iter().map(super::Section::text).collect()
}

#[test]
fn a_document_is_cut_at_its_top_level_headings() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("", "", &[""]),
        ("\n", "", &["\n"]),
        ("no heading at all", "", &["no heading at all"]),
        ("# a", "", &["# a"]),
        ("# a\n\nx\n## b\ny", "", &["# a\n\nx\n", "## b\ny"]),
        ("before\n\n# a\n", "", &["before\n\n", "# a\n"]),
        ("\u{feff}", "\u{feff}", &[""]),
        ("\u{feff}# a\r\n", "\u{feff}", &["# a\r\n"]),
        ("---\na: b\n---\n", "---\na: b\n---\n", &[""]),
        ("---\na: b\n---\n\n# a\n", "---\na: b\n---\n", &["\n", "# a\n"]),
        ("+++\n# a\n+++\n# b\n", "+++\n# a\n+++\n", &["# b\n"]),
        ("Two\n===\nx\n\nThree\n---\n", "", &["Two\n===\nx\n\n", "Three\n---\n"]),
        ("# a\n```\n# b\n```\n> # c\n\n- # d\n", "", &["# a\n```\n# b\n```\n> # c\n\n- # d\n"]),
    ];
    for (text, front, sections) in cases {
        let document = Document::parse(text).unwrap();
        assert_eq!((document.front(), &texts(&document)[..]), (*front, *sections), "{text:?}");
        assert_eq!(document.to_markdown(), *text);
        for (index, section) in document.sections().iter().enumerate() {
            assert_eq!(section.id().to_string(), format!("s{}", index + 1));
            assert_eq!(document.section(section.id()), Some(section));
            assert_eq!(format!("{}{}", section.heading_source(), section.body()), section.text());
        }
    }
}

#[test]
fn an_unedited_document_is_the_same_bytes() {
    each(20_000, "an_unedited_document", |rng| {
        let text = soup(rng, 24);
        let document = Document::from_bytes(text.as_bytes()).unwrap();
        assert_eq!(document.to_markdown(), text);
        let (_, body) = crate::markdown::split_front(&text);
        let mut rest = body;
        for (index, section) in document.sections().iter().enumerate() {
            assert_eq!(section.heading().is_none(), section.heading_source().is_empty());
            assert!(index == 0 || section.heading().is_some());
            rest = rest.strip_prefix(section.text()).unwrap();
            // The same section alone begins with the same heading, and so does what follows it.
            let alone = crate::markdown::headings(section.text());
            let first = alone.first().map(|h| (h.range.clone(), h.level));
            if let Some(heading) = section.heading() {
                assert_eq!(
                    first,
                    Some((heading.range.clone(), heading.level)),
                    "{:?}",
                    section.text()
                );
            }
        }
        assert_eq!(rest, "");
    });
}

#[test]
fn files_that_are_no_documents_are_refused_with_place_and_next_step() {
    let error = Document::from_bytes(b"# a\n\nb\xffc").unwrap_err();
    assert_eq!(error, LoadError::NotUtf8 { at: 6, line: 3 });
    assert_eq!(
        error.to_string(),
        "invalid UTF-8 at byte 6 (line 3); convert the file to UTF-8 first"
    );
    let utf16 = Document::from_bytes(b"\xff\xfe#\0").unwrap_err();
    assert_eq!(utf16, LoadError::NotUtf8 { at: 0, line: 1 });
    let cut = Document::from_bytes(&"é".as_bytes()[..1]).unwrap_err();
    assert_eq!(cut, LoadError::NotUtf8 { at: 0, line: 1 });

    let len = DOCUMENT_BYTES_MAX + 1;
    let large = Document::from_bytes(&vec![0xff; len]).unwrap_err();
    assert_eq!(large, LoadError::TooLarge { len });
    assert!(large.to_string().ends_with("split it into several files"));
    let many = Document::parse(&"# a\n".repeat(SECTIONS_MAX + 1)).unwrap_err();
    assert_eq!(many, LoadError::TooManySections { n: SECTIONS_MAX + 1 });
    let heavy = format!("# a\n# b\n{}", "x".repeat(SECTION_BYTES_MAX));
    let section = SectionId::nth(1);
    let len = SECTION_BYTES_MAX + 4;
    assert_eq!(Document::parse(&heavy), Err(LoadError::SectionTooLarge { section, len }));
    assert!(Document::parse(&heavy[..heavy.len() - 4]).is_ok());
    assert!(Document::parse(&"# a\n".repeat(SECTIONS_MAX)).is_ok());
}

#[test]
fn section_ids_have_one_spelling() {
    for good in ["s1", "s12", "s4294967295"] {
        assert_eq!(good.parse::<SectionId>().unwrap().to_string(), good);
    }
    assert_eq!("1".parse::<SectionId>(), Err(ParseSectionIdError::NoPrefix));
    for bad in ["s", "s0", "s01", "s+1", "s-1", "s x"] {
        assert_eq!(bad.parse::<SectionId>(), Err(ParseSectionIdError::NotCanonical), "{bad}");
    }
    for bad in ["s1x", "s4294967296"] {
        assert!(matches!(bad.parse::<SectionId>(), Err(ParseSectionIdError::NotANumber(_))));
    }
}
