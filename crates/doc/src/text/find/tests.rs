use super::*;
use crate::soup::{each, soup};

#[test]
fn every_occurrence_is_found_also_those_that_overlap() {
    each(2_000, "every_occurrence_is_found", |rng| {
        let text = if rng.below(2) == 0 {
            soup(rng, 8)
        } else {
            (0..rng.below(30)).map(|_| rng.pick(&["a", "b", "é", "aa"])).collect()
        };
        let needle: String =
            (0..=rng.below(3)).map(|_| rng.pick(&["a", "b", "é", "\n", "# "])).collect();
        let naive: Vec<usize> = text
            .char_indices()
            .map(|(at, _)| at)
            .filter(|at| text[*at..].starts_with(&needle))
            .collect();
        assert_eq!(find(&text, &needle).collect::<Vec<_>>(), naive, "{needle:?} in {text:?}");
    });
    assert_eq!(find("abc", "").count(), 0);
}

#[test]
fn an_excerpt_says_where_it_is_and_is_short() {
    let text = "one\ntwo three\nfour";
    assert_eq!(Excerpt::around(text, &(8..13)), Excerpt { line: 2, text: text.into() });
    each(1_000, "an_excerpt_says_where", |rng| {
        let text = soup(rng, 60);
        let (a, b) = (rng.below(text.len() + 1), rng.below(text.len() + 5));
        let excerpt = Excerpt::around(&text, &(a.min(b)..a.max(b)));
        assert!(excerpt.text.len() <= EXCERPT_BYTES_MAX + 3 * '…'.len_utf8(), "{excerpt:?}");
        assert_eq!(excerpt.line, 1 + text[..floor(&text, a.min(b))].matches('\n').count());
        let pieces = excerpt.text.split('…');
        assert!(pieces.into_iter().all(|piece| text.contains(piece)), "{excerpt:?} of {text:?}");
    });
}

#[test]
fn the_closest_place_is_a_hint() {
    let text = "# A\n\nThe cat sat on the mat.\nThe dog ran.\n";
    let cases = [
        ("the  cat\nsat on the mat.", Some(("The cat sat on the mat.", 100))),
        ("The cat lay on the mat.", Some(("The cat sat on the mat.", 76))),
        // Pairs of neighbours decide between places with the same words.
        ("dog The ran.", Some(("The dog ran.", 71))),
        ("Nothing of this here", None),
        ("", None),
        ("   ", None),
    ];
    for (needle, expected) in cases {
        let found = nearest(text, needle);
        let found = found.as_ref().map(|c| (&text[c.range.clone()], c.similarity));
        assert_eq!(found, expected, "{needle:?}");
    }
    assert_eq!(nearest("", "a"), None);
}

#[test]
fn a_part_with_other_spaces_and_capitals_is_found_where_it_is() {
    each(1_000, "a_part_with_other_spaces", |rng| {
        let text = soup(rng, 20);
        let words: Vec<Range<usize>> = tokens(&text).collect();
        if words.is_empty() {
            return;
        }
        let (a, b) = (rng.below(words.len()), rng.below(words.len()));
        let range = words[a.min(b)].start..words[a.max(b)].end;
        let needle = text[range].replace(' ', "  \n").replace("one", "ONE");
        let found = nearest(&text, &needle).unwrap();
        assert_eq!(found.similarity, 100, "{needle:?} in {text:?}");
        let same = |text: &str| tokens(text).map(|t| text[t].to_lowercase()).collect::<Vec<_>>();
        // Repeated words may stand in another order.
        let (mut found, mut wanted) = (same(&text[found.range]), same(&needle));
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted);
    });
}

#[test]
fn hostile_texts_cost_no_more_than_others() {
    // Quadratic work would take minutes here.
    for (text, needle) in [
        ("a".repeat(256 * 1024), "a".repeat(128 * 1024)),
        ("a ".repeat(128 * 1024), "a b ".repeat(1024)),
        ("é".repeat(128 * 1024), "é ".repeat(2 * 1024)),
        ("-".repeat(256 * 1024), "-".repeat(64 * 1024)),
    ] {
        assert!(find(&text, &needle).count() <= text.len());
        drop(nearest(&text, &needle));
    }
}
