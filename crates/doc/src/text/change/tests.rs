use super::*;
use crate::soup::{Rng, each, soup};

/// A random boundary of `text` at or after `from`.
fn boundary(rng: &mut Rng, text: &str, from: usize, reach: usize) -> usize {
    let mut at = (from + rng.below(reach + 1)).min(text.len());
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

/// Random changes of `text`; many stand at its beginning, so that two lists of one text meet.
pub(crate) fn changes(rng: &mut Rng, text: &str) -> Changes {
    let mut changes = Changes::none();
    let mut from = 0;
    for _ in 0..rng.below(6) {
        let at = boundary(rng, text, from, 6);
        let end = if rng.below(2) == 0 { at } else { boundary(rng, text, at, 5) };
        let insert = rng.pick(&["", "x", "é", "two words", "\n", "🎉z"]);
        changes.push(Change { at, del: end - at, insert: insert.to_owned() }).unwrap();
        from = end;
    }
    changes
}

fn assert_canonical(changes: &Changes) {
    for change in changes {
        assert!(change.del > 0 || !change.insert.is_empty(), "nothing changes in {changes:?}");
    }
    for pair in changes.as_slice().windows(2) {
        assert!(pair[0].end() < pair[1].at, "touching in {changes:?}");
    }
}

#[test]
fn a_composed_list_does_what_its_two_do() {
    each(4_000, "a_composed_list", |rng| {
        let old = soup(rng, 4);
        let first = changes(rng, &old);
        let mid = first.apply(&old).unwrap();
        let then = changes(rng, &mid);
        let both = first.compose(&then).unwrap();
        assert_canonical(&both);
        assert_eq!(both.apply(&old).unwrap(), then.apply(&mid).unwrap());
    });
}

#[test]
fn composing_may_be_grouped_either_way() {
    each(1_000, "composing_may", |rng| {
        let old = soup(rng, 4);
        let a = changes(rng, &old);
        let mid = a.apply(&old).unwrap();
        let b = changes(rng, &mid);
        let late = b.apply(&mid).unwrap();
        let c = changes(rng, &late);
        let left = a.compose(&b).unwrap().compose(&c).unwrap();
        let right = a.compose(&b.compose(&c).unwrap()).unwrap();
        assert_eq!(left.apply(&old).unwrap(), right.apply(&old).unwrap());
    });
}

#[test]
fn inverted_changes_lead_back() {
    each(2_000, "inverted_changes", |rng| {
        let old = soup(rng, 4);
        let there = changes(rng, &old);
        let new = there.apply(&old).unwrap();
        let back = there.invert(&old).unwrap();
        assert_canonical(&back);
        assert_eq!(back.apply(&new).unwrap(), old);
        assert_eq!(back.invert(&new).unwrap(), there, "and there again");
    });
}

#[test]
fn both_orders_of_two_lists_make_one_text() {
    each(4_000, "both_orders", |rng| {
        let old = soup(rng, 4);
        let (a, b) = (changes(rng, &old), changes(rng, &old));
        let a_later = a.rebase(&b, Side::Before);
        let b_later = b.rebase(&a, Side::After);
        assert_canonical(&a_later);
        assert_canonical(&b_later);
        let b_last = b_later.apply(&a.apply(&old).unwrap()).unwrap();
        let a_last = a_later.apply(&b.apply(&old).unwrap()).unwrap();
        assert_eq!(a_last, b_last, "{a:?} and {b:?} of {old:?}");
    });
}

#[test]
fn a_mapped_place_keeps_the_text_around_it() {
    each(2_000, "a_mapped_place", |rng| {
        let old = soup(rng, 4);
        let list = changes(rng, &old);
        let new = list.apply(&old).unwrap();
        for (at, _) in old.char_indices().chain([(old.len(), ' ')]) {
            for side in [Side::Before, Side::After] {
                let mapped = list.map(at, side);
                assert!(new.is_char_boundary(mapped));
                let is_kept = !list.into_iter().any(|c| c.at <= at && at <= c.end());
                if is_kept {
                    // The same as the length of what stands before it.
                    let head =
                        Changes(list.into_iter().filter(|c| c.end() < at).cloned().collect());
                    assert_eq!(head.apply(&old[..at]).unwrap().len(), mapped);
                }
            }
        }
    });
}

#[test]
fn rebase_by_table() {
    // old text, mine, theirs, my list for their text
    type One = (usize, usize, &'static str);
    let table: &[(One, One, &[One])] = &[
        ((5, 0, "m"), (2, 0, "tt"), &[(7, 0, "m")]),
        ((2, 0, "m"), (5, 0, "tt"), &[(2, 0, "m")]),
        ((3, 0, "m"), (3, 0, "tt"), &[(5, 0, "m")]),
        ((3, 4, ""), (4, 2, ""), &[(3, 2, "")]),
        ((4, 2, ""), (3, 4, ""), &[]),
        ((3, 4, ""), (5, 0, "tt"), &[(3, 2, ""), (7, 2, "")]),
        ((5, 0, "m"), (3, 4, "tt"), &[(5, 0, "m")]),
        ((3, 2, "m"), (3, 2, "tt"), &[(5, 0, "m")]),
    ];
    for ((at, del, ins), (t_at, t_del, t_ins), want) in table {
        let mine = Changes::one(*at, *del, *ins);
        let theirs = Changes::one(*t_at, *t_del, *t_ins);
        let want = want.iter().map(|(at, del, insert)| Change {
            at: *at,
            del: *del,
            insert: (*insert).to_owned(),
        });
        let got = mine.rebase(&theirs, Side::After);
        assert_eq!(got.as_slice(), want.collect::<Vec<_>>(), "{mine:?} over {theirs:?}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let text = "aéz";
    assert_eq!(Changes::one(3, 9, "").apply(text), Err(Misfit::Beyond { at: 3, end: 12, len: 4 }));
    assert_eq!(Changes::one(usize::MAX, 9, "").check(text).map_err(|_| ()), Err(()));
    assert_eq!(Changes::one(2, 1, "").apply(text), Err(Misfit::InsideCharacter { at: 2 }));
    assert_eq!(Changes::one(0, 2, "").invert(text), Err(Misfit::InsideCharacter { at: 2 }));
    let cut = Changes::one(1, 1, "").compose(&Changes::none());
    assert_eq!(cut, Ok(Changes::one(1, 1, "")), "nobody looked at the text");
    let cut = Changes::one(0, 0, "é").compose(&Changes::one(1, 0, "x"));
    assert!(matches!(cut, Err(Misfit::InsideCharacter { .. })), "{cut:?}");
    let late = Change { at: 1, del: 0, insert: "x".into() };
    let early = Change { at: 0, del: 2, insert: String::new() };
    assert_eq!(
        Changes::try_from(vec![early.clone(), late.clone()]),
        Err(Misfit::Disorder { at: 1, end: 2 })
    );
    assert!(Changes::try_from(vec![late, early]).is_err());
}

#[test]
fn touching_changes_become_one() {
    let of = |at, del, insert: &str| Change { at, del, insert: insert.to_owned() };
    let list = Changes::try_from(vec![of(0, 1, "a"), of(1, 1, "b"), of(2, 0, ""), of(4, 0, "")]);
    assert_eq!(list, Ok(Changes::one(0, 2, "ab")));
    assert_eq!(list.unwrap().to_string(), "1 change, -2 +2 bytes");
}
