use super::*;
use crate::soup::{each, soup};
use crate::text::{Granularity, diff};

#[test]
fn changes_are_shown_with_what_stands_around() {
    let old = "The cat sat.";
    let cases = [
        (Changes::one(4, 3, "dog"), "The [-cat-]{+dog+} sat."),
        (Changes::one(0, 0, "Now: "), "{+Now: +}The cat sat."),
        (Changes::one(12, 0, " So."), "The cat sat.{+ So.+}"),
        (Changes::one(3, 4, ""), "The[- cat-] sat."),
        (Changes::none(), "…"),
    ];
    for (changes, expected) in cases {
        assert_eq!(show(old, &changes, 1_000).text, expected);
    }
    let long = format!("{}cat{}", "x".repeat(100), "y".repeat(100));
    let shown = show(&long, &Changes::one(100, 3, "dog"), 1_000);
    let (x, y) = ("x".repeat(AROUND), "y".repeat(AROUND));
    assert_eq!(shown.text, format!("…{x}[-cat-]{{+dog+}}{y}…"));
}

#[test]
fn what_has_no_room_is_counted() {
    let old = "a b c d e f g h ".repeat(40);
    let new = old.replace('c', "C");
    let shown = show(&old, &diff(&old, &new, Granularity::Words), 200);
    assert_eq!(shown.n, 40);
    assert!(shown.n_shown > 2 && shown.n_shown < 20, "{shown}");
    assert!(shown.to_string().ends_with(&format!(" (and {} changes more)", 40 - shown.n_shown)));
    each(500, "what_has_no_room_is_counted", |rng| {
        let (old, new) = (soup(rng, 20), soup(rng, 20));
        let changes = diff(&old, &new, Granularity::Words);
        let shown = show(&old, &changes, 300);
        assert!(shown.text.len() <= 300 + 2 * AROUND + 20, "{shown}");
        assert_eq!(shown.n, changes.as_slice().len());
        assert!(shown.n_shown >= usize::from(shown.n > 0));
    });
}
