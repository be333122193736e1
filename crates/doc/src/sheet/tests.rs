//! What an edit may do to its neighbours, and that the quick answer is the right one.

use std::time::Duration;

use smallvec::smallvec;

use super::*;
use crate::coordinator::{EditError, Holder};
use crate::markdown::{Place, headings};
use crate::soup::{Rng, each, soup};
use crate::text::Change;

fn author() -> Holder {
    Holder::new("a".parse().unwrap(), 1)
}

fn sheet(text: &str) -> Sheet {
    Sheet::new(&Document::parse(text).unwrap())
}

fn sid(n: usize) -> SectionId {
    SectionId::nth(n - 1)
}

fn make(sheet: &mut Sheet, draft: Draft) -> Result<(), EditError> {
    let update = sheet.draft(draft, &author(), Duration::ZERO)?;
    sheet.apply(&update).unwrap();
    Ok(())
}

fn add(sheet: &Sheet, after: Option<SectionId>, text: &str) -> Draft {
    let section = SectionId::nth(sheet.slots.len());
    Draft {
        outline: vec![OutlineChange::Added { section, after, from: None }],
        ..Draft::edit(section, [Change { at: 0, del: 0, insert: text.into() }])
    }
}

fn outline(change: OutlineChange) -> Draft {
    Draft { outline: vec![change], ..Draft::default() }
}

/// Loaded again, the document has every section boundary that it had, and maybe more.
fn the_cuts_are_there(sheet: &Sheet) {
    let text = sheet.snapshot().to_markdown();
    let again = Document::parse(&text).unwrap();
    assert_eq!(again.front(), &*sheet.front, "{text:?}");
    let mut at = 0;
    let mut starts = vec![0];
    for section in again.sections() {
        at += section.text().len();
        starts.push(at);
    }
    at = 0;
    for id in &sheet.order {
        assert!(starts.contains(&at), "{id} moved in {text:?}");
        at += sheet.slot(*id).unwrap().text.len();
    }
}

#[test]
fn d06_sections_come_go_and_move_where_the_text_allows_it() {
    let mut sheet = sheet("# A\n\na\n\n# B\n\n```\nb");
    let text = |sheet: &Sheet| sheet.snapshot().to_markdown();
    // Behind an open fence nothing begins.
    let new = add(&sheet, Some(sid(2)), "# C\n");
    assert_eq!(make(&mut sheet, new), Err(EditError::JoinsPrevious));
    let open = OutlineChange::Moved { section: sid(2), after: None };
    assert_eq!(make(&mut sheet, outline(open)), Err(EditError::SwallowsNext));
    let new = add(&sheet, Some(sid(1)), "text");
    assert_eq!(make(&mut sheet, new), Err(EditError::HeadingMissing));
    let new = add(&sheet, Some(sid(1)), "# C\n");
    make(&mut sheet, new).unwrap();
    assert_eq!(text(&sheet), "# A\n\na\n\n# C\n# B\n\n```\nb");
    make(&mut sheet, outline(OutlineChange::Moved { section: sid(1), after: Some(sid(3)) }))
        .unwrap();
    assert_eq!(text(&sheet), "# C\n# A\n\na\n\n# B\n\n```\nb");
    make(&mut sheet, outline(OutlineChange::Archived { section: sid(1) })).unwrap();
    assert_eq!(text(&sheet), "# C\n# B\n\n```\nb");
    let gone = OutlineChange::Archived { section: sid(1) };
    assert_eq!(make(&mut sheet, outline(gone)), Err(EditError::UnknownSection { section: sid(1) }));
    make(&mut sheet, outline(OutlineChange::Restored { section: sid(1), after: None })).unwrap();
    assert_eq!(text(&sheet), "# A\n\na\n\n# C\n# B\n\n```\nb");
    assert_eq!((sheet.seq, sheet.outline_version), (4, 4));
    for section in [sid(1), sid(2)] {
        make(&mut sheet, outline(OutlineChange::Archived { section })).unwrap();
    }
    let last = OutlineChange::Archived { section: sid(3) };
    assert_eq!(make(&mut sheet, outline(last)), Err(EditError::LastSection));
    assert_eq!(text(&sheet), "# C\n");
}

#[test]
fn d06_what_moves_to_the_front_does_not_become_front_matter() {
    let mut sheet = sheet("intro\n\n---\n===\n\n# B\n\n---\n");
    let rule = OutlineChange::Moved { section: sid(2), after: None };
    assert!(make(&mut sheet, outline(rule)).is_err());
    the_cuts_are_there(&sheet);
}

#[test]
fn d06_a_heading_that_only_looks_like_one_of_its_own_is_not_joined() {
    let mut sheet = sheet("a\n\n#x\n===\n");
    let join = Draft::edit(sid(1), [Change { at: 2, del: 1, insert: String::new() }]);
    assert_eq!(make(&mut sheet, join), Err(EditError::SwallowsNext));
}

#[test]
fn d06_changes_of_one_edit_are_in_order_and_apart() {
    let mut sheet = sheet("# A\n\nabcdef\n");
    let change = |at, del, insert: &str| Change { at, del, insert: insert.into() };
    for wrong in [
        vec![change(8, 0, "x"), change(6, 0, "y")],
        vec![change(6, 2, "x"), change(8, 0, "y")],
        vec![change(6, 100, "x")],
        vec![change(100, 0, "x")],
        vec![change(usize::MAX, 1, "x")],
    ] {
        let refused = make(&mut sheet, Draft::edit(sid(1), wrong));
        assert!(matches!(refused, Err(EditError::NoSuchPlace { .. })), "{refused:?}");
    }
    make(&mut sheet, Draft::edit(sid(1), [change(5, 1, "X"), change(8, 0, "YY")])).unwrap();
    assert_eq!(sheet.slots[0].text, "# A\n\nXbcYYdef\n");
}

#[test]
fn an_update_that_does_not_follow_is_refused() {
    let mut sheet = sheet("# A\n\na\n");
    let draft = Draft::edit(sid(1), [Change { at: 5, del: 1, insert: "b".into() }]);
    let update = sheet.draft(draft, &author(), Duration::ZERO).unwrap();
    sheet.apply(&update).unwrap();
    let twice = sheet.clone().apply(&update).unwrap_err();
    assert_eq!(twice, "update 1 does not follow update 1");
    let wrong_text = Update { seq: 2, ..update.clone() };
    assert!(sheet.clone().apply(&wrong_text).is_err(), "another version");
    let added = OutlineChange::Added { section: sid(2), after: None, from: None };
    let empty = Update { seq: 2, outline: vec![added], edits: smallvec![], ..(*update).clone() };
    assert!(sheet.clone().apply(&empty).is_err(), "a section without its text");
}

/// A change of a piece of text, as typing makes it: small, anywhere, often at an awkward place.
fn typing(rng: &mut Rng, text: &str) -> Change {
    let mut at = rng.below(text.len() + 1);
    let mut end = text.len().min(at + [0, 0, 0, 1, 1, 2, 8][rng.below(7)]);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    while !text.is_char_boundary(end) {
        end += 1;
    }
    let insert = match rng.below(10) {
        0..=3 => rng.pick(&["x", "é", " ", "1", ".", "-"]).to_owned(),
        4 => rng.pick(&["`", "~", "<", "```", "#", "\n", "\r", "\n\n", ">", "="]).to_owned(),
        5 => soup(rng, 1),
        _ => String::new(),
    };
    Change { at, del: end - at, insert }
}

/// The next change of somebody who types at `at`: goes on, or takes the last character back.
fn typing_on(rng: &mut Rng, text: &str, at: usize) -> Change {
    let last = text[..at].chars().next_back().map_or(0, char::len_utf8);
    if rng.below(3) == 0 {
        return Change { at: at - last, del: last, insert: String::new() };
    }
    let insert = rng.pick(&["x", "x", "é", " ", "1", "-", "`", "<", "\n", "\r"]).to_owned();
    Change { at, del: 0, insert }
}

#[test]
fn d06_the_quick_answer_of_a_shape_is_the_one_that_parsing_gives() {
    let (mut n_quick, mut n_decided) = (0, 0);
    each(1_500, "d06_the_quick_answer", |rng| {
        let mut sheet = sheet(&soup(rng, 20));
        let mut cursor = (sheet.order[0], 0);
        for _ in 0..40 {
            if rng.below(3) == 0 {
                cursor = (sheet.order[rng.below(sheet.order.len())], usize::MAX);
            }
            let (section, at) = cursor;
            let text = sheet.slot(section).unwrap().text.to_string();
            let change =
                if at > text.len() { typing(rng, &text) } else { typing_on(rng, &text, at) };
            cursor = (section, change.at + change.insert.len());
            let mut changes = vec![change];
            let more = typing(rng, &text);
            if rng.below(8) == 0 && more.at > changes[0].end() {
                changes.push(more);
            }
            let draft = Draft::edit(section, changes.clone());
            cursor.1 = if changes.len() == 1 { cursor.1 } else { usize::MAX };
            let Ok(update) = sheet.draft(draft, &author(), Duration::ZERO) else {
                cursor.1 = usize::MAX;
                continue;
            };
            let is_quick = update.edits.iter().all(|edit| {
                let shape = sheet.shape_after(edit);
                shape.is_some_and(|shape| sheet.is_harmless(edit.section, &shape))
            });
            assert_eq!(sheet.check(&update), Ok(()), "{changes:?} in {:?}", sheet.snapshot());
            n_quick += usize::from(is_quick);
            sheet.apply(&update).unwrap();
            let slot = sheet.slot(section).unwrap();
            let text = slot.text.to_string();
            let mut known = Shape::again(&text);
            // Lines far below may make a heading of the first ones: it is noticed when those are edited.
            if !slot.shape.is_headed() {
                known = Shape::of(&text, 0);
            }
            // That it is plain may be unknown, and nothing else.
            assert!(known.is_plain || !slot.shape.is_plain, "{text:?}");
            let Shape { is_plain, decided, .. } = known;
            let shape = Shape { is_plain, decided, ..slot.shape };
            assert_eq!(shape, known, "{changes:?} {text:?}");
            n_decided += usize::from(slot.shape.is_decided_in(&text).unwrap());
        }
        the_cuts_are_there(&sheet);
    });
    assert!(n_quick > 5_000, "{n_quick} quick answers");
    assert!(n_decided > 1_000, "{n_decided} times a place to type on");
}

#[test]
fn d06_a_plain_text_never_swallows_a_heading() {
    each(20_000, "d06_a_plain_text", |rng| {
        let text = format!("# A\n{}\n", soup(rng, 6));
        if Shape::of(&text, 4).is_plain {
            let heading = "# B\n";
            let found = headings(&format!("{text}{heading}"));
            let last = found.last().unwrap();
            assert!(last.place == Place::Top && last.range.start == text.len(), "{text:?}");
        }
    });
}

#[test]
fn d06_random_outlines_keep_every_section_where_it_is() {
    each(800, "d06_random_outlines", |rng| {
        let mut sheet = sheet(&soup(rng, 15));
        for _ in 0..20 {
            let pick = |rng: &mut Rng, sheet: &Sheet| SectionId::nth(rng.below(sheet.slots.len()));
            let section = pick(rng, &sheet);
            let after = (rng.below(4) > 0).then(|| pick(rng, &sheet));
            let draft = match rng.below(5) {
                0 => add(&sheet, after, &format!("# N\n{}\n", soup(rng, 2))),
                1 => outline(OutlineChange::Moved { section, after }),
                2 => outline(OutlineChange::Archived { section }),
                3 if sheet.slot(section).unwrap().place.is_none() => {
                    outline(OutlineChange::Restored { section, after })
                }
                _ => Draft::edit(
                    section,
                    [typing(rng, &sheet.slot(section).unwrap().text.to_string())],
                ),
            };
            let before = sheet.clone();
            match sheet.draft(draft, &author(), Duration::ZERO) {
                Ok(update) => sheet.apply(&update).unwrap(),
                Err(_) => assert_eq!(sheet, before),
            }
            let bytes = sheet.slots.iter().map(|slot| slot.text.len()).sum::<usize>();
            assert_eq!(sheet.bytes, bytes + sheet.front.len());
            for (place, id) in sheet.order.iter().enumerate() {
                assert_eq!(sheet.slot(*id).unwrap().place, Some(place));
            }
        }
        the_cuts_are_there(&sheet);
    });
}
