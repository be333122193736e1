//! D20: suggestions move with the text, are answered once, and survive.

use std::time::Duration;

use ggml_agent_core::lease::{Limits, OnBusy};

use super::{DiffSpan, StaleReason, Suggest, SuggestError, SuggestionId};
use crate::coordinator::{EditError, Kind, Restructure, Structure};
use crate::limits::{NOTE_BYTES_MAX, SUGGESTIONS_PER_SECTION_MAX};
use crate::record::Record;
use crate::soup::each;
use crate::text::{Change, Changes};
use crate::{Coordinator, Cut, Document, Holder, Lock, Mode, SectionId, Splices};

const NOW: Duration = Duration::ZERO;

fn who(name: &str) -> Holder {
    Holder::new(name.parse().unwrap(), 1)
}

fn anna() -> Holder {
    Holder::of(Kind::Person, "anna".parse().unwrap(), 1)
}

fn a() -> SectionId {
    SectionId::nth(0)
}

fn started() -> Coordinator {
    Coordinator::new(&Document::parse("# A\n\nred green blue\n\n# B\n\nb\n").unwrap())
}

fn wish(c: &Coordinator, old: &str, new: &str) -> Suggest {
    let view = c.read(a()).unwrap();
    let at = view.text.to_string().find(old).unwrap();
    let changes = Changes::one(at, old.len(), new);
    Suggest { section: a(), base: view.version, changes, note: "why".into(), op: None }
}

fn suggest(c: &mut Coordinator, old: &str, new: &str) -> SuggestionId {
    let wish = wish(c, old, new);
    c.suggest(&who("one"), wish, NOW).answer.unwrap()
}

fn put(c: &mut Coordinator, old: &str, new: &str) {
    let view = c.read(a()).unwrap();
    let at = view.text.to_string().find(old).unwrap();
    let changes = [Change { at, del: old.len(), insert: new.into() }].into();
    let splices = Splices { section: a(), token: None, base: Some(view.version), changes };
    c.splice(&anna(), splices, NOW).answer.unwrap();
}

#[test]
fn d20_a_suggestion_moves_with_the_text_and_is_accepted_as_it_was_meant() {
    let mut c = started();
    let old = wish(&c, "blue", "BLUE");
    let id = suggest(&mut c, "green", "GREEN");
    put(&mut c, "red", "dark red");
    let late = c.suggest(&who("two"), old, NOW).answer.unwrap();
    let spans = c.preview(id).unwrap();
    assert_eq!(spans[1..3], [DiffSpan::Delete("green".into()), DiffSpan::Insert("GREEN".into())]);
    assert_eq!(c.read(a()).unwrap().version, 1, "nothing is written yet");
    let accepted = c.accept(&anna(), id, None, NOW).answer.unwrap();
    assert!(c.accept(&anna(), late, None, NOW).answer.is_ok());
    assert_eq!(c.read(a()).unwrap().text, "# A\n\ndark red GREEN BLUE\n\n");
    let update = c.history().get(accepted.seq).unwrap();
    assert_eq!((&update.author, update.writer()), (&anna(), &who("one")));
    let runs = c.blame(a()).unwrap();
    assert!(runs.iter().any(|run| run.len == 5 && run.author == Some(who("one"))), "{runs:?}");
    let again = c.accept(&anna(), id, None, NOW).answer;
    assert_eq!(again, Err(SuggestError::Unknown { id }));
}

#[test]
fn d20_where_its_words_are_changed_a_suggestion_is_stale_and_says_why() {
    let cases: &[(&str, &str, bool)] = &[
        ("red", "x", false),
        ("green", "x", true),
        ("ee", "i", true),
        (" green blue", "", true),
        ("red ", "", false),
        ("een", "e, n", true),
    ];
    for (old, new, is_stale) in cases {
        let mut c = started();
        let id = suggest(&mut c, "green", "GREEN");
        put(&mut c, old, new);
        let stale = c.suggestion(id).unwrap().stale;
        assert_eq!(stale, is_stale.then_some(StaleReason::Changed { seq: 1 }), "{old:?} {new:?}");
        let accepted = c.accept(&anna(), id, None, NOW).answer;
        assert_eq!(accepted.is_err(), *is_stale, "{accepted:?}");
        assert_eq!(c.preview(id), None);
    }
    let mut c = started();
    let old = wish(&c, "green", "x");
    put(&mut c, "green", "grey");
    let overtaken = SuggestError::Overtaken { section: a(), seq: 1 };
    assert_eq!(c.suggest(&who("one"), old, NOW).answer, Err(overtaken));
}

#[test]
fn d20_accepting_needs_what_an_edit_needs() {
    let mut c = started();
    let id = suggest(&mut c, "green", "GREEN");
    let lock = Lock::one(a(), Duration::from_secs(30), OnBusy::Deny);
    assert!(c.lock(&who("two"), lock, NOW).answer.is_ok());
    let locked = c.accept(&anna(), id, None, NOW).answer;
    assert!(matches!(locked, Err(SuggestError::Edit(EditError::Locked { .. }))), "{locked:?}");
    c.drop_holder(&who("two"), NOW).outs.clear();
    let mode = Structure::SetMode { section: a(), mode: Mode::SuggestOnly };
    assert!(c.restructure(&anna(), Restructure::seen(0, mode), NOW).answer.is_ok());
    let only = SuggestError::Edit(EditError::SuggestOnly { section: a() });
    assert_eq!(c.accept(&who("one"), id, None, NOW).answer, Err(only.clone()));
    assert_eq!(c.reject(&who("one"), id, NOW).answer, Err(only));
    assert!(c.accept(&anna(), id, None, NOW).answer.is_ok());
    // One that the rules of an edit refuse stays.
    let bad = suggest(&mut c, "# A\n", "A\n");
    let refused = c.accept(&anna(), bad, None, NOW).answer;
    assert_eq!(refused, Err(EditError::HeadingMissing.into()));
    assert!(c.suggestion(bad).is_some());
}

#[test]
fn d20_a_suggestion_is_made_once_and_ended_by_whom_it_concerns() {
    let mut c = started();
    let op = Some("op-1".parse().unwrap());
    let named = Suggest { op, ..wish(&c, "red", "x") };
    let id = c.suggest(&who("one"), named.clone(), NOW).answer.unwrap();
    let later = Holder::new("one".parse().unwrap(), 2);
    assert_eq!(c.suggest(&later, named.clone(), NOW).answer, Ok(id));
    let other = c.suggest(&who("two"), named.clone(), NOW).answer.unwrap();
    assert_ne!(other, id, "another author's command");
    let not_yours = SuggestError::NotYours { id: other, author: who("two") };
    assert_eq!(c.withdraw(&later, other, NOW).answer, Err(not_yours));
    assert_eq!(c.withdraw(&later, id, NOW).answer, Ok(()));
    assert_eq!(c.suggest(&later, named, NOW).answer, Ok(id), "made and withdrawn");
    assert_eq!(c.reject(&anna(), other, NOW).answer, Ok(()));
    assert_eq!(c.suggestions(a()).count(), 0);
}

#[test]
fn d20_suggestions_have_limits() {
    let mut c = started();
    let long = Suggest { note: "x".repeat(NOTE_BYTES_MAX + 1), ..wish(&c, "red", "x") };
    let refused = c.suggest(&who("one"), long, NOW).answer;
    assert!(matches!(refused, Err(SuggestError::TooLarge { .. })), "{refused:?}");
    let empty = Suggest { changes: Changes::none(), ..wish(&c, "red", "x") };
    assert_eq!(c.suggest(&who("one"), empty, NOW).answer, Err(SuggestError::Empty));
    let beyond = Suggest { changes: Changes::one(500, 1, "x"), ..wish(&c, "red", "x") };
    let place = EditError::NoSuchPlace { section: a(), at: 500 };
    assert_eq!(c.suggest(&who("one"), beyond, NOW).answer, Err(place.into()));
    for _ in 0..SUGGESTIONS_PER_SECTION_MAX {
        suggest(&mut c, "red", "x");
    }
    let one_more = wish(&c, "red", "x");
    let too_many = SuggestError::TooMany { section: a() };
    assert_eq!(c.suggest(&who("one"), one_more, NOW).answer, Err(too_many));
}

#[test]
fn d20_suggestions_go_along_when_sections_are_cut_and_put_together() {
    let mut c = started();
    let [head, tail] = [suggest(&mut c, "red", "RED"), suggest(&mut c, "blue", "BLUE")];
    let step = |c: &mut Coordinator, structure| {
        let wish = Restructure::seen(c.outline_version(), structure);
        c.restructure(&anna(), wish, NOW).answer
    };
    put(&mut c, " green", "\ngreen");
    let at = Cut::Byte { at: 9, base: 1 };
    let split = Structure::Split { section: a(), at, title: Some("N".into()) };
    let new = step(&mut c, split).unwrap().section;
    assert_eq!(c.suggestion(head).unwrap().section, a());
    assert_eq!(c.suggestion(tail).unwrap().section, new);
    assert!(c.accept(&anna(), tail, None, NOW).answer.is_ok());
    let again = suggest(&mut c, "red", "R");
    step(&mut c, Structure::Merge { section: a() }).unwrap();
    assert!(c.accept(&anna(), head, None, NOW).answer.is_ok());
    assert_eq!(c.read(a()).unwrap().text, "# A\n\nRED\n# N\n\ngreen BLUE\n\n");
    assert!(matches!(c.suggestion(again).unwrap().stale, Some(StaleReason::Changed { .. })));
    step(&mut c, Structure::Archive { section: a() }).unwrap();
    assert_eq!(c.suggestions(a()).count(), 1);
}

#[test]
fn d20_suggestions_survive_and_a_replay_has_the_same() {
    each(200, "d20_suggestions_survive", |rng| {
        let mut c = started();
        c.keep_entries();
        let mut replay = c.record();
        for n in 0..40 {
            let view = c.read(a()).unwrap();
            let len = view.text.len();
            let at = 5 + rng.below(len - 5);
            let del = rng.below(4).min(len - 1 - at);
            let insert = rng.pick(&["x", "yz", "", "w "]).to_owned();
            let author = who(rng.pick(&["one", "two"]));
            let some = c.suggestions(a()).nth(rng.below(6)).map(|suggestion| suggestion.id);
            match (rng.below(6), some) {
                (0 | 1, _) => {
                    let changes = Changes::one(at, del, insert);
                    let op = Some(format!("op-{}", n / 2).parse().unwrap());
                    let base = view.version.saturating_sub(rng.below(3) as u64);
                    let wish = Suggest { section: a(), base, changes, note: String::new(), op };
                    drop(c.suggest(&author, wish, NOW));
                }
                (2, Some(id)) => drop(c.accept(&anna(), id, None, NOW)),
                (3, Some(id)) => drop(c.withdraw(&author, id, NOW)),
                _ => {
                    let changes = [Change { at, del, insert }].into();
                    let base = Some(view.version);
                    let splices = Splices { section: a(), token: None, base, changes };
                    drop(c.splice(&author, splices, NOW));
                }
            }
        }
        for entry in c.take_entries() {
            replay.apply(&entry).unwrap();
        }
        assert_eq!(replay, c.record());
        let read = Record::decode(2, &replay.encode()).unwrap();
        assert_eq!(read, replay);
        let mut resumed = Coordinator::resume(read, Limits::DEFAULT, NOW);
        let ids: Vec<SuggestionId> = c.suggestions(a()).map(|suggestion| suggestion.id).collect();
        for id in ids {
            assert_eq!(resumed.preview(id), c.preview(id));
            let (new, old) =
                (resumed.accept(&anna(), id, None, NOW), c.accept(&anna(), id, None, NOW));
            assert_eq!(new.answer, old.answer);
        }
    });
}
