use super::{
    ApplyError, Boot, ClientId, Entry, Malformed, Mirror, ReceiveError, Received, SectionId, Seed,
    Splice, SpliceError, Verdict, YrsMirror,
};
use crate::limits;
use yrs::{
    Doc, GetString, Map, ReadTxn, StateVector, Text, Transact, Update,
    updates::{decoder::Decode, encoder::Encode},
};

fn section(id: &str) -> SectionId {
    id.parse().unwrap()
}

fn boot(client: u64) -> Boot {
    Boot { epoch: 1, client: ClientId::new(client).unwrap() }
}

fn open(texts: &[(&str, &str)]) -> YrsMirror {
    let seed = |(id, text): &(&str, &str)| Seed::new(section(id), *text, Entry::default());
    YrsMirror::open(boot(5), texts.iter().map(seed).collect()).unwrap()
}

fn editor(mirror: &YrsMirror, client: u64) -> Doc {
    let doc = Doc::with_client_id(client);
    give(&doc, &mirror.diff(&[0]).unwrap());
    doc
}

fn give(doc: &Doc, update: &[u8]) {
    doc.transact_mut().apply_update(Update::decode_v1(update).unwrap()).unwrap();
}

fn edit(doc: &Doc, id: &str, at: u32, del: u32, insert: &str) -> Vec<u8> {
    let text = doc.get_or_insert_text(format!("s/{id}"));
    let mut txn = doc.transact_mut();
    text.remove_range(&mut txn, at, del);
    text.insert(&mut txn, at, insert);
    txn.encode_update_v1()
}

fn text(doc: &Doc, id: &str) -> String {
    let text = doc.get_or_insert_text(format!("s/{id}"));
    text.get_string(&doc.transact())
}

fn accept(mirror: &mut YrsMirror, update: &[u8]) -> Received {
    mirror.receive(update, &mut |_| Verdict::Accept).unwrap()
}

fn refuse(mirror: &mut YrsMirror, update: &[u8], id: &str) -> Received {
    let verdict = |asked: &SectionId| {
        if asked.as_str() == id { Verdict::Refuse } else { Verdict::Accept }
    };
    mirror.receive(update, &mut { verdict }).unwrap()
}

#[test]
fn the_smallest_splice_leaves_common_ends_alone() {
    let table = [
        ("", "", None),
        ("abc", "abc", None),
        ("", "abc", Some((0, 0, "abc"))),
        ("one two three", "one 2 three", Some((4, 3, "2"))),
        ("aaa", "aaaa", Some((3, 0, "a"))),
        ("aaaa", "aaa", Some((3, 1, ""))),
        // é and è share their first byte, 😀 and 😁 the first three.
        ("xéy", "xèy", Some((1, 2, "è"))),
        ("😀", "😁", Some((0, 4, "😁"))),
        // ü (c3 bc) and ¼ (c2 bc) share their last.
        ("aü", "a¼", Some((1, 2, "¼"))),
    ];
    for (before, after, splice) in table {
        let wanted = splice.map(|(at, del, insert)| Splice { at, del, insert: insert.to_owned() });
        assert_eq!(Splice::between(before, after), wanted, "{before} -> {after}");
    }
}

#[test]
fn an_edit_that_does_not_fit_changes_nothing() {
    let mut mirror = open(&[("s1", "aü😀")]);
    let vector = mirror.state_vector();
    let long = "x".repeat(limits::SECTION_LEN_MAX);
    let table = [
        ("s1", Splice::insert(2, "x"), ApplyError::Splice(SpliceError::NotAtCharacter { at: 2 })),
        ("s1", Splice::delete(0, 5), ApplyError::Splice(SpliceError::NotAtCharacter { at: 5 })),
        (
            "s1",
            Splice::delete(3, usize::MAX),
            ApplyError::Splice(SpliceError::OutOfRange { at: 3, del: usize::MAX, len: 7 }),
        ),
        ("s9", Splice::insert(0, "x"), ApplyError::UnknownSection),
        (
            "s1",
            Splice::insert(0, long),
            ApplyError::TooLong { len: limits::SECTION_LEN_MAX + 7, max: limits::SECTION_LEN_MAX },
        ),
    ];
    for (id, splice, error) in table {
        // The first one fits: it must not stay alone.
        let splices = [Splice::insert(0, ""), splice];
        assert_eq!(mirror.apply(&section(id), &splices), Err(error));
        assert_eq!(mirror.state_vector(), vector);
    }
    let again = Seed::new(section("s1"), "", Entry::default());
    assert_eq!(mirror.add(again), Err(ApplyError::KnownSection));
}

#[test]
fn offsets_are_bytes_here_and_utf_16_there() {
    let mut mirror = open(&[("s1", "ü😀e\u{301}漢")]);
    let doc = Doc::with_options(yrs::Options {
        offset_kind: yrs::OffsetKind::Utf16,
        ..yrs::Options::with_client_id(yrs::ClientID::new(9))
    });
    give(&doc, &mirror.diff(&[0]).unwrap());
    // Behind the emoji: 3 units there, 6 bytes here.
    let received = accept(&mut mirror, &edit(&doc, "s1", 3, 0, "|"));
    assert_eq!(received.changes, [(section("s1"), vec![Splice::insert(6, "|")])]);
    let update = mirror.apply(&section("s1"), &[Splice { at: 7, del: 3, insert: "é".into() }]);
    give(&doc, &update.unwrap());
    assert_eq!((text(&doc, "s1").as_str(), mirror.agrees()), ("ü😀|é漢", true));
}

#[test]
fn many_splices_are_joined_and_say_the_same() {
    let mut mirror = open(&[("s1", "")]);
    let doc = editor(&mirror, 9);
    let n = limits::SPLICES_PER_EDIT_MAX + 1;
    let splices: Vec<_> = (0..n).map(|at| Splice::insert(at, "x")).collect();
    give(&doc, &mirror.apply(&section("s1"), &splices).unwrap());
    assert_eq!((text(&doc, "s1"), mirror.agrees()), ("x".repeat(n), true));
}

#[test]
fn a_mixed_transaction_keeps_what_it_may() {
    let mut mirror = open(&[("s1", "locked"), ("s2", "open")]);
    let doc = editor(&mirror, 9);
    let vector = doc.transact().state_vector();
    edit(&doc, "s1", 1, 4, "XX");
    edit(&doc, "s2", 4, 0, "!");
    let both = doc.transact().encode_diff_v1(&vector);
    let received = refuse(&mut mirror, &both, "s1");
    assert_eq!(received.changes, [(section("s2"), vec![Splice::insert(4, "!")])]);
    assert_eq!(received.refused[0].section, section("s1"));
    give(&doc, &received.undo.unwrap());
    assert_eq!((text(&doc, "s1"), text(&doc, "s2")), ("locked".into(), "open!".into()));
}

#[test]
fn a_holder_who_types_where_another_is_refused_keeps_every_word() {
    let mut mirror = open(&[("s1", "hello world")]);
    let (holder, other) = (editor(&mirror, 9), editor(&mirror, 8));
    let typed = edit(&holder, "s1", 2, 0, "MINE");
    let received = refuse(&mut mirror, &edit(&other, "s1", 0, 11, "gone"), "s1");
    for doc in [&holder, &other] {
        give(doc, &received.update.clone().unwrap());
        give(doc, &received.undo.clone().unwrap());
    }
    let received = accept(&mut mirror, &typed);
    give(&other, &received.update.unwrap());
    let said = mirror.text(&section("s1")).unwrap().to_owned();
    // Beside the run, which came back as a copy: the price that the module's documentation names.
    assert!(said == "hello worldMINE" || said == "MINEhello world", "{said}");
    assert_eq!((text(&holder, "s1"), text(&other, "s1")), (said.clone(), said));
}

#[test]
fn what_waits_for_something_missing_is_never_taken_in_anothers_name() {
    let mut mirror = open(&[("s1", "text")]);
    let refused = editor(&mirror, 8);
    let first = edit(&refused, "s1", 0, 0, "a");
    let second = edit(&refused, "s1", 1, 0, "b");
    let received = refuse(&mut mirror, &second, "s1");
    assert_eq!(received, Received { missing: true, ..Received::default() });
    // Somebody who may write brings the missing one: only that one is taken.
    let received = accept(&mut mirror, &first);
    assert_eq!((mirror.text(&section("s1")).unwrap().len(), received.missing), (5, false));
    assert!(!mirror.text(&section("s1")).unwrap().contains('b'));

    // The same, where the missing one is another client's.
    let mut mirror = open(&[("s1", "text")]);
    let (peer, refused) = (editor(&mirror, 7), editor(&mirror, 8));
    let first = edit(&peer, "s1", 0, 0, "a");
    give(&refused, &first);
    let second = edit(&refused, "s1", 1, 0, "b");
    let received = refuse(&mut mirror, &second, "s1");
    assert_eq!(received, Received { missing: true, ..Received::default() });
    assert!(!accept(&mut mirror, &first).missing);
    assert_eq!(mirror.text(&section("s1")), Some("atext"));
}

#[test]
fn what_yrs_does_not_report_is_found_all_the_same() {
    let mut mirror = open(&[("s1", "a😀b")]);
    let doc = Doc::with_options(yrs::Options {
        offset_kind: yrs::OffsetKind::Utf16,
        ..yrs::Options::with_client_id(yrs::ClientID::new(9))
    });
    give(&doc, &mirror.diff(&[0]).unwrap());
    let vector = doc.transact().state_vector();
    // Into the middle of the pair, and out again: nothing came and nothing went, but the pair is broken.
    edit(&doc, "s1", 2, 0, "x");
    edit(&doc, "s1", 2, 1, "");
    let update = doc.transact().encode_diff_v1(&vector);
    let received = accept(&mut mirror, &update);
    let broken = Splice { at: 1, del: 4, insert: "\u{fffd}\u{fffd}".into() };
    assert_eq!(received.changes, [(section("s1"), vec![broken])]);
    assert_eq!((text(&doc, "s1").as_str(), mirror.agrees()), ("a\u{fffd}\u{fffd}b", true));
}

#[test]
fn a_section_that_grows_too_long_is_undone() {
    let mut mirror = open(&[("s1", "text")]);
    let doc = editor(&mirror, 9);
    let update = edit(&doc, "s1", 0, 0, &"x".repeat(limits::SECTION_LEN_MAX));
    let received = accept(&mut mirror, &update);
    assert_eq!((received.changes, &received.refused[0].section), (vec![], &section("s1")));
    give(&doc, &received.undo.unwrap());
    assert_eq!(text(&doc, "s1"), "text");
}

#[test]
fn an_update_that_cannot_be_an_editors_is_refused_whole() {
    let item = |tail: &[u8]| [&[1, 1, 9, 0][..], tail, &[0]].concat();
    let root = |name: &[u8; 4]| [&[4, 1, 4][..], name, &[1, b'x']].concat();
    let table: &[(Vec<u8>, Malformed)] = &[
        (vec![], Malformed::Damaged),
        (vec![0, 0, 0], Malformed::Trailing),
        (vec![0xff; 9], Malformed::Damaged),
        (item(&root(b"s/s9")), Malformed::NotASection),
        (item(&root(b"root")), Malformed::NotASection),
        // Within an item, as a nested type would be.
        (item(&[4, 0, 5, 0, 1, b'x']), Malformed::NotASection),
        // An entry of a section.
        (item(&[0x24, 1, 4, b's', b'/', b's', b'1', 1, b'k', 1, b'x']), Malformed::NotASection),
        (item(&[8, 1, 4, b's', b'/', b's', b'1', 1, 119, 0]), Malformed::NotText { kind: 8 }),
        // No length; the largest clock; a removal of nothing.
        (item(&[0, 0]), Malformed::Clock),
        (vec![1, 1, 9, 0xff, 0xff, 0xff, 0xff, 7, 0, 1, 0], Malformed::Clock),
        (vec![0, 1, 9, 1, 0, 0], Malformed::Clock),
        // Under the id of the mirror.
        (vec![1, 1, 5, 90, 0, 1, 0], Malformed::Forged),
    ];
    for (update, malformed) in table {
        let mut mirror = open(&[("s1", "text")]);
        let refused = mirror.receive(update, &mut |_| Verdict::Accept);
        assert_eq!(refused, Err(ReceiveError::Malformed(malformed.clone())), "{update:?}");
    }
    let long = vec![0; limits::FRAME_LEN_MAX + 1];
    let refused = open(&[]).receive(&long, &mut |_| Verdict::Accept);
    let (len, max) = (long.len(), limits::FRAME_LEN_MAX);
    assert_eq!(refused, Err(ReceiveError::TooLong { len, max }));
}

#[test]
fn a_hole_in_an_update_ends_it() {
    let mut mirror = open(&[("s1", "text")]);
    let clock = |mirror: &YrsMirror, client| {
        let vector = StateVector::decode_v1(&mirror.state_vector()).unwrap();
        vector.get(&yrs::ClientID::new(client))
    };
    // "x" at clock 0, a hole of 3, and something behind it.
    let update = [1, 3, 9, 0, 4, 1, 4, b's', b'/', b's', b'1', 1, b'x', 10, 3, 0, 2, 0];
    assert!(accept(&mut mirror, &update).missing);
    assert!(mirror.text(&section("s1")).unwrap().contains('x'));
    assert_eq!(clock(&mirror, 9), 1);
    // What fills the hole does not bring back what was behind it.
    assert!(!accept(&mut mirror, &[1, 1, 9, 1, 0, 3, 0]).missing);
    assert_eq!(clock(&mirror, 9), 4);
    // A client that begins too late.
    assert!(accept(&mut mirror, &[1, 1, 8, 70, 0, 1, 0]).missing);
    assert_eq!(clock(&mirror, 8), 0);
}

#[test]
fn a_saved_state_goes_on_under_a_fresh_id() {
    let mut mirror = open(&[("s1", "text"), ("s2", "")]);
    let entry = Entry { title: "Plan".into(), order: "a".into(), archived: true, level: 2 };
    mirror.outline(&section("s1"), entry.clone()).unwrap();
    let doc = editor(&mirror, 9);
    let sections = vec![(section("s1"), entry), (section("s2"), Entry::default())];
    // The same random number again, by bad luck.
    let mut loaded = YrsMirror::load(boot(5), sections.clone(), &mirror.save()).unwrap();
    assert_ne!(loaded.client(), mirror.client());
    assert_eq!(loaded.state_vector(), mirror.state_vector(), "loading writes nothing");
    assert_eq!(loaded.text(&section("s1")), Some("text"));
    give(&doc, &loaded.apply(&section("s1"), &[Splice::insert(4, "!")]).unwrap());
    assert_eq!(text(&doc, "s1"), "text!", "an editor that was there goes on without doubling");
    let title = doc.get_or_insert_map("outline").get(&doc.transact(), "s1");
    assert!(format!("{title:?}").contains("Plan"));
    for damaged in [&[][..], &[1, 2, 3], &mirror.save()[1..]] {
        assert!(YrsMirror::load(boot(6), sections.clone(), damaged).is_err());
    }
}

#[test]
fn compaction_forgets_what_was_removed() {
    let mut mirror = open(&[("s1", &"a".repeat(400))]);
    // Removed from between what stays: the CRDT remembers each place.
    for round in 0..400 {
        let (at, len) = (round * round * 7_919 % 400, 1 + round * 31 % 17);
        mirror.apply(&section("s1"), &[Splice::insert(at, "x".repeat(len))]).unwrap();
        mirror.apply(&section("s1"), &[Splice::delete(at, len)]).unwrap();
    }
    let (before, text) = (mirror.save().len(), mirror.text(&section("s1")).unwrap().to_owned());
    let fresh = mirror.compact(Boot { epoch: 2, client: ClientId::small(77) }).unwrap();
    assert_eq!((fresh.epoch(), fresh.text(&section("s1"))), (2, Some(&*text)));
    assert!(fresh.save().len() * 4 < before, "{} of {before}", fresh.save().len());
    assert!(!mirror.wants_compaction(limits::COMPACT_STATE_LEN_MIN));
    assert!(mirror.wants_compaction(limits::COMPACT_STATE_LEN_MIN + 1));
    assert_eq!(doc_vector(&mirror).len(), 1);
}

fn doc_vector(mirror: &YrsMirror) -> StateVector {
    let vector = StateVector::decode_v1(&mirror.state_vector()).unwrap();
    assert_eq!(vector.encode_v1(), mirror.state_vector());
    vector
}

#[test]
fn names_of_sections_are_short_and_plain() {
    for good in ["s1", "a-b_c.D", &"x".repeat(64)] {
        assert_eq!(good.parse::<SectionId>().unwrap().root(), format!("s/{good}"));
    }
    for bad in ["", "a/b", "ü", " ", &"x".repeat(65)] {
        assert!(bad.parse::<SectionId>().is_err(), "{bad}");
    }
}
