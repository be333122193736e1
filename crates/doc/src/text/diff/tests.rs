use super::*;
use crate::soup::{Rng, each, soup};
use crate::text::change::tests::changes as random_changes;

const BOTH: [Granularity; 2] = [Granularity::Words, Granularity::Lines];

#[test]
fn a_diff_makes_the_new_text_of_the_old() {
    each(4_000, "a_diff_makes", |rng| {
        let old = soup(rng, 12);
        // Near, far, and with a common beginning.
        let new = match rng.below(3) {
            0 => soup(rng, 12),
            1 => format!("{old}{}", soup(rng, 4)),
            _ => random_changes(rng, &old).apply(&old).unwrap(),
        };
        for granularity in BOTH {
            let changes = diff(&old, &new, granularity);
            assert_eq!(changes.apply(&old).unwrap(), new, "{granularity:?} {old:?}");
            for pair in changes.as_slice().windows(2) {
                assert!(pair[0].end() < pair[1].at, "touching: {changes:?}");
            }
            assert_eq!(changes.is_empty(), old == new);
        }
    });
}

#[test]
fn spans_hold_both_texts() {
    each(1_000, "spans_hold", |rng| {
        let (old, new) = (soup(rng, 8), soup(rng, 8));
        let changes = diff(&old, &new, Granularity::Words);
        let (mut a, mut b) = (String::new(), String::new());
        for span in spans(&old, &changes) {
            match span {
                Span::Keep(text) => {
                    a.push_str(text);
                    b.push_str(text);
                }
                Span::Delete(text) => a.push_str(text),
                Span::Insert(text) => b.push_str(text),
            }
        }
        assert_eq!((a, b), (old, new));
    });
}

#[test]
fn diffs_by_table() {
    type One = (usize, usize, &'static str);
    let table: &[(Granularity, &str, &str, &[One])] = &[
        (Granularity::Words, "", "", &[]),
        (Granularity::Words, "", "new", &[(0, 0, "new")]),
        (Granularity::Words, "old", "", &[(0, 3, "")]),
        (Granularity::Words, "cat", "car", &[(0, 3, "car")]),
        (Granularity::Words, "a b c", "a c", &[(2, 2, "")]),
        (Granularity::Words, "a cat sat", "a car sat", &[(2, 3, "car")]),
        (Granularity::Words, "Is. One two. Is.", "Is. Two three. Is.", &[(4, 7, "Two three")]),
        (Granularity::Words, "fn f(a: u8)", "fn f(a: u16)", &[(8, 2, "u16")]),
        (Granularity::Words, "中文字", "中国字", &[(3, 3, "国")]),
        (Granularity::Words, "cafe\u{301} x", "cafe x", &[(0, 6, "cafe")]),
        (Granularity::Lines, "a\nb\nc\n", "a\nx\nc\n", &[(2, 2, "x\n")]),
        (Granularity::Lines, "a\nb\n", "a\nb\nc\n", &[(4, 0, "c\n")]),
        (Granularity::Lines, "one two\n", "one too\n", &[(0, 8, "one too\n")]),
        (Granularity::Lines, "a\nb", "a\nb\n", &[(2, 1, "b\n")]),
    ];
    for (granularity, old, new, want) in table {
        let got = diff(old, new, *granularity);
        let got: Vec<_> = got.into_iter().map(|c| (c.at, c.del, c.insert.as_str())).collect();
        assert_eq!(&got[..], *want, "{granularity:?}: {old:?} -> {new:?}");
    }
}

#[test]
fn two_edits_far_apart_are_two_small_changes() {
    let old = "Alpha beta gamma. ".repeat(500);
    let new = old.replacen("beta", "BETA", 1);
    let at = new.rfind("gamma").unwrap();
    let new = format!("{}GAMMA{}", &new[..at], &new[at + 5..]);
    let changes = diff(&old, &new, Granularity::Words);
    assert_eq!(changes.bytes(), (9, 9), "{changes:?}");
}

#[test]
fn what_is_too_long_to_compare_is_one_change() {
    let word = |rng: &mut Rng| rng.pick(&["a ", "b ", "c ", "d\n"]).to_owned();
    let mut rng = Rng(1);
    let n = COMPARED_BYTES_MAX / 2;
    let old: String = (0..=n / 2).map(|_| word(&mut rng)).collect();
    let new: String = (0..=n / 2).map(|_| word(&mut rng)).collect();
    let (old, new) = (format!("x {old}"), format!("y {new}"));
    let changes = diff(&old, &new, Granularity::Words);
    assert_eq!(changes.as_slice().len(), 1);
    assert_eq!(changes.apply(&old).unwrap(), new);
}
