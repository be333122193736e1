use super::*;

const TEXT: &str = "# A\n\none two one\n";

fn quote(text: &str, nth: Option<usize>) -> Anchor {
    Anchor::Quote { text: text.into(), nth }
}

#[test]
fn an_anchor_is_a_place_or_an_error_that_says_what_is_there() {
    let cases = [
        (Anchor::Start, Ok((0, 0))),
        (Anchor::End, Ok((17, 17))),
        (Anchor::Heading, Ok((0, 4))),
        (quote("two", None), Ok((9, 12))),
        (quote("one", Some(1)), Ok((5, 8))),
        (quote("one", Some(2)), Ok((13, 16))),
        (quote("one", None), Err("occurs 2 times; quote more")),
        (quote("one", Some(3)), Err("occurrence number 3 was asked for")),
        (quote("one", Some(0)), Err("occurrence number 0 was asked for")),
        (
            quote("One  two", None),
            Err("closest, 100 % alike, is line 3: \"# A\\n\\none two one\\n\""),
        ),
        (quote("three", None), Err("quote it word for word")),
        (quote("", None), Err("is empty")),
    ];
    for (anchor, expected) in cases {
        let before = anchor.find(TEXT, 4, Side::Before);
        let after = anchor.find(TEXT, 4, Side::After);
        match expected {
            Ok((start, end)) => assert_eq!((before, after), (Ok(start), Ok(end)), "{anchor:?}"),
            Err(message) => {
                let error = before.unwrap_err();
                assert!(error.to_string().contains(message), "{error}");
                assert_eq!(after, Err(error));
            }
        }
    }
    assert_eq!(Anchor::Heading.find(TEXT, 0, Side::Before), Err(AnchorError::NoHeading));
}

#[test]
fn an_ambiguous_quote_shows_the_first_occurrences() {
    let text = "x\n".repeat(10);
    let Err(AnchorError::Ambiguous { n, excerpts }) = quote("x", None).find(&text, 0, Side::After)
    else {
        panic!("there are ten")
    };
    assert_eq!((n, excerpts.len()), (10, EXCERPTS_MAX));
    assert_eq!(excerpts.iter().map(|e| e.line).collect::<Vec<_>>(), [1, 2, 3, 4]);
}
