//! D10 and D19: what comes back, what stays, and what is said about the rest.

use std::collections::BTreeMap;
use std::time::Duration;

use ggml_agent_core::lease::OnBusy;

use super::{Conflict, PastError, Revert, RevertError, Selection};
use crate::coordinator::{EditError, Restructure, Structure};
use crate::soup::{Rng, each};
use crate::{Change, Coordinator, DiffSpan, Document, Edit, Holder, Lock, SectionId, Splices};

const NOW: Duration = Duration::ZERO;

fn who(name: &str) -> Holder {
    Holder::new(name.parse().unwrap(), 1)
}

fn sid(n: usize) -> SectionId {
    SectionId::nth(n - 1)
}

fn started(text: &str) -> Coordinator {
    Coordinator::new(&Document::parse(text).unwrap())
}

fn text(c: &Coordinator, n: usize) -> String {
    c.read(sid(n)).unwrap().text.to_string()
}

/// Puts `new` in place of `old` in section `n`.
fn put(c: &mut Coordinator, name: &str, n: usize, old: &str, new: &str) -> u64 {
    let at = text(c, n).find(old).unwrap();
    splice(c, name, n, Change { at, del: old.len(), insert: new.into() }).unwrap()
}

fn splice(c: &mut Coordinator, name: &str, n: usize, change: Change) -> Result<u64, EditError> {
    let base = Some(c.read(sid(n)).unwrap().version);
    let splices = Splices { section: sid(n), token: None, base, changes: [change].into() };
    c.splice(&who(name), splices, NOW).answer.map(|accepted| accepted.seq)
}

fn revert(c: &mut Coordinator, by: Selection) -> Result<super::Reverted, RevertError> {
    c.revert(&who("boss"), Revert::of(by), NOW).answer
}

fn author(name: &str) -> Selection {
    Selection::Author(name.parse().unwrap())
}

#[test]
fn d19_what_one_author_wrote_goes_and_what_others_wrote_stays() {
    let mut c = started("# A\n\nred green blue\n\n# B\n\nb\n");
    put(&mut c, "one", 1, "green", "GREEN and more");
    put(&mut c, "two", 1, "red", "dark red");
    put(&mut c, "one", 2, "b\n", "b by one\n");
    let at = text(&c, 1).find(" more").unwrap();
    splice(&mut c, "two", 1, Change { at, del: 0, insert: " [two was here]".into() }).unwrap();
    put(&mut c, "two", 2, "# B", "# Bee");
    let done = revert(&mut c, author("one")).unwrap();
    assert_eq!((done.seq, done.n_updates, done.sections.len()), (Some(6), 2, 2));
    assert_eq!(text(&c, 1), "# A\n\ndark red green [two was here] blue\n\n");
    assert_eq!(text(&c, 2), "# Bee\n\nb\n");
    assert_eq!(done.conflicts, []);
}

#[test]
fn d19_words_that_were_changed_since_are_left_alone_and_listed() {
    let mut c = started("# A\n\nold words\n");
    put(&mut c, "one", 1, "old", "new");
    put(&mut c, "two", 1, "new", "newest");
    let before = c.to_markdown();
    let done = revert(&mut c, author("one")).unwrap();
    let conflict = Conflict::Overwritten {
        section: sid(1),
        seq: 2,
        by: who("two"),
        lost: "old".into(),
        stands: "newest".into(),
    };
    assert_eq!((done.seq, done.n_conflicts), (None, 1));
    assert_eq!(done.conflicts, [conflict]);
    assert_eq!(c.to_markdown(), before);
}

#[test]
fn d19_a_section_that_another_holds_is_listed_and_the_others_are_reverted() {
    let mut c = started("# A\n\na\n\n# B\n\nb\n");
    put(&mut c, "one", 1, "a\n", "a one\n");
    put(&mut c, "one", 2, "b\n", "b one\n");
    let lock = Lock::one(sid(1), Duration::from_secs(30), OnBusy::Deny);
    assert!(c.lock(&who("two"), lock, NOW).answer.is_ok());
    let done = revert(&mut c, author("one")).unwrap();
    assert_eq!(done.sections, [sid(2)]);
    assert!(
        matches!(&done.refused[..], [(section, EditError::Locked { .. })] if *section == sid(1)),
        "{done:?}"
    );
    assert_eq!(c.to_markdown(), "# A\n\na one\n\n# B\n\nb\n");
}

#[test]
fn d10_a_revert_is_taken_back_like_any_update() {
    let mut c = started("# A\n\na\n");
    let seq = put(&mut c, "one", 1, "a\n", "words\n");
    revert(&mut c, Selection::Seqs(seq, seq)).unwrap();
    assert_eq!(c.to_markdown(), "# A\n\na\n");
    let nothing = revert(&mut c, author("one"));
    assert_eq!(nothing, Err(RevertError::Nothing { since: 1 }), "it is taken back already");
    revert(&mut c, Selection::Seqs(2, 2)).unwrap();
    assert_eq!(c.to_markdown(), "# A\n\nwords\n");
    revert(&mut c, author("one")).unwrap();
    assert_eq!(c.to_markdown(), "# A\n\na\n", "it counts again");
}

#[test]
fn d10_ones_own_edits_are_undone_from_the_newest_on() {
    let mut c = started("# A\n\n.\n");
    for (name, word) in [("one", "1"), ("two", "2"), ("one", "3"), ("two", "4")] {
        let change = Change { at: 5, del: 0, insert: word.into() };
        splice(&mut c, name, 1, change).unwrap();
    }
    assert_eq!(text(&c, 1), "# A\n\n4321.\n");
    let undo = |c: &mut Coordinator| {
        c.undo_own(&Holder::new("one".parse().unwrap(), 2), &BTreeMap::new(), NOW).answer
    };
    assert!(undo(&mut c).is_ok());
    assert_eq!(text(&c, 1), "# A\n\n421.\n");
    assert!(undo(&mut c).is_ok());
    assert_eq!(text(&c, 1), "# A\n\n42.\n");
    assert_eq!(undo(&mut c), Err(RevertError::Nothing { since: 1 }));
}

#[test]
fn d10_any_remembered_version_is_read_and_compared() {
    let mut c = started("# A\n\nsome words\n");
    put(&mut c, "one", 1, "some", "many");
    put(&mut c, "one", 1, "words", "more words");
    assert_eq!(c.text_at(sid(1), 0).unwrap(), "# A\n\nsome words\n");
    assert_eq!(c.text_at(sid(1), 1).unwrap(), "# A\n\nmany words\n");
    let diff = c.diff(sid(1), 0, 1).unwrap();
    let [keep, gone, come, rest] = ["# A\n\n", "some", "many", " words\n"].map(str::to_owned);
    let expected = [
        DiffSpan::Keep(keep),
        DiffSpan::Delete(gone),
        DiffSpan::Insert(come),
        DiffSpan::Keep(rest),
    ];
    assert_eq!(diff, expected);
    let unknown = PastError::UnknownVersion { section: sid(1), version: 3, current: 2 };
    assert_eq!(c.text_at(sid(1), 3), Err(unknown));
    assert_eq!(c.text_at(sid(7), 0), Err(PastError::UnknownSection { section: sid(7) }));
}

#[test]
fn d19_words_are_found_where_sections_were_cut_and_put_together() {
    let mut c = started("# A\n\nfirst\n\n# B\n\nb\n");
    put(&mut c, "one", 1, "first\n", "first\n\nby one\n");
    put(&mut c, "one", 2, "b\n", "b by one\n");
    let step = |c: &mut Coordinator, structure| {
        let wish = Restructure::seen(c.outline_version(), structure);
        c.restructure(&who("two"), wish, NOW).answer.unwrap();
    };
    let at = crate::Cut::Byte { at: 12, base: 1 };
    step(&mut c, Structure::Split { section: sid(1), at, title: Some("N".into()) });
    step(&mut c, Structure::Merge { section: sid(3) });
    assert_eq!(c.to_markdown(), "# A\n\nfirst\n\n# N\n\nby one\n\n# B\n\nb by one\n");
    revert(&mut c, author("one")).unwrap();
    assert_eq!(c.to_markdown(), "# A\n\nfirst\n# N\n\n\n# B\n\nb\n");
}

#[test]
fn d19_a_section_that_was_added_goes_unless_another_wrote_in_it() {
    for has_other in [false, true] {
        let mut c = started("# A\n\na\n");
        let insert = Structure::Insert { after: Some(sid(1)), text: "# N\n\nn\n".into() };
        c.restructure(&who("one"), Restructure::seen(0, insert), NOW).answer.unwrap();
        put(&mut c, "one", 2, "n\n", "n, more\n");
        if has_other {
            put(&mut c, "two", 2, "n,", "two's, n,");
        }
        let done = revert(&mut c, author("one")).unwrap();
        let expected = if has_other { "# A\n\na\n# N\n\ntwo's, n,\n" } else { "# A\n\na\n" };
        assert_eq!(c.to_markdown(), expected);
        let is_listed = matches!(done.conflicts[..], [Conflict::Outline { seq: 1, .. }]);
        assert_eq!(is_listed, has_other, "{done:?}");
    }
}

const AUTHORS: [&str; 3] = ["one", "two", "three"];

/// A small change of the words behind the heading.
fn typing(rng: &mut Rng, text: &str) -> Change {
    let at = 5 + rng.below(text.len() - 5);
    let del = rng.below(6).min(text.len() - 1 - at);
    let insert = rng.pick(&["a", "bc ", "d. ", "", "efg", " "]).to_owned();
    Change { at, del, insert }
}

#[test]
fn d19_reverting_everything_gives_the_text_that_was_loaded() {
    each(400, "d19_reverting_everything", |rng| {
        let original = "# A\n\nsome words to begin with\n\n# B\n\nand others here\n";
        let mut c = started(original);
        for _ in 0..30 {
            let n = 1 + rng.below(2);
            let change = typing(rng, &text(&c, n));
            drop(splice(&mut c, rng.pick(&AUTHORS), n, change));
            if rng.below(8) == 0 {
                let to = c.seq();
                let from = 1 + rng.below(usize::try_from(to).unwrap()) as u64;
                drop(revert(&mut c, Selection::Seqs(from, to)));
            }
        }
        let to = c.seq();
        revert(&mut c, Selection::Seqs(1, to)).unwrap();
        assert_eq!(c.to_markdown(), original);
        // And back again.
        let last = c.seq();
        let before = c.text_at(sid(1), c.read(sid(1)).unwrap().version).unwrap();
        let undone = revert(&mut c, Selection::Seqs(last, last)).unwrap();
        assert!(undone.conflicts.is_empty(), "{before:?}");
    });
}

#[test]
fn d19_without_an_author_the_text_is_as_if_he_had_not_written() {
    each(600, "d19_without_an_author", |rng| {
        // Each author has words of its own to work on, between fences that nobody touches.
        let start = |own: &[String; 3]| format!("# A\n\n{}|{}|{}|\n", own[0], own[1], own[2]);
        let mut own = ["one ", "two ", "three "].map(|word| word.repeat(3));
        let mut c = started(&start(&own));
        let mut without = own.clone();
        let gone = rng.below(3);
        for _ in 0..25 {
            let n = rng.below(3);
            let offset = 5 + own[..n].iter().map(|words| words.len() + 1).sum::<usize>();
            let at = rng.below(own[n].len() + 1);
            let del = rng.below(4).min(own[n].len() - at);
            let insert = rng.pick(&["x", "yz ", "", "w. "]).to_owned();
            own[n].replace_range(at..at + del, &insert);
            splice(&mut c, AUTHORS[n], 1, Change { at: offset + at, del, insert }).unwrap();
            assert_eq!(c.to_markdown(), start(&own));
            if n != gone {
                without[n].clone_from(&own[n]);
            }
        }
        match revert(&mut c, author(AUTHORS[gone])) {
            Ok(done) => assert_eq!(done.conflicts, []),
            Err(error) => assert_eq!(error, RevertError::Nothing { since: 1 }),
        }
        assert_eq!(c.to_markdown(), start(&without));
    });
}

#[test]
fn d19_the_words_of_others_are_never_lost() {
    each(600, "d19_the_words_of_others", |rng| {
        let mut c = started("# A\n\nsome words to begin with, and then some more of them\n");
        for n in 0..25 {
            let mut change = typing(rng, &text(&c, 1));
            // Each edit has words that are there once.
            change.insert = format!("{}{n};", change.insert);
            drop(splice(&mut c, rng.pick(&AUTHORS), 1, change));
        }
        let of_others = |c: &Coordinator| -> String {
            let text = text(c, 1);
            let mut at = 0;
            let runs = c.blame(sid(1)).unwrap();
            let words = runs.iter().map(|run| {
                at += run.len;
                let name = run.author.as_ref().map_or("", |author| author.agent().as_str());
                if matches!(name, "two" | "three") { &text[at - run.len..at] } else { "" }
            });
            words.collect()
        };
        let before = of_others(&c);
        drop(revert(&mut c, author("one")));
        assert_eq!(of_others(&c), before, "{}", c.to_markdown());
    });
}

#[test]
fn d10_every_version_is_what_it_was() {
    each(200, "d10_every_version", |rng| {
        let mut c = started("# A\n\nsome words to begin with\n");
        let mut texts = vec![text(&c, 1)];
        for _ in 0..30 {
            let change = typing(rng, &text(&c, 1));
            splice(&mut c, rng.pick(&AUTHORS), 1, change).unwrap();
            texts.push(text(&c, 1));
        }
        let version = rng.below(texts.len());
        assert_eq!(c.text_at(sid(1), version as u64).unwrap(), *texts[version]);
        let from = rng.below(texts.len());
        let (mut old, mut new) = (String::new(), String::new());
        for span in c.diff(sid(1), from as u64, version as u64).unwrap() {
            match span {
                DiffSpan::Keep(text) => {
                    old.push_str(&text);
                    new.push_str(&text);
                }
                DiffSpan::Delete(text) => old.push_str(&text),
                DiffSpan::Insert(text) => new.push_str(&text),
            }
        }
        assert_eq!((old, new), (texts[from].clone(), texts[version].clone()));
    });
}

#[test]
fn d19_a_range_that_is_not_remembered_is_refused() {
    let mut c = started("# A\n\na\n");
    let refused = revert(&mut c, Selection::Seqs(0, 4));
    assert_eq!(refused, Err(RevertError::Forgotten { since: 1 }));
    let edit = Edit::optimistic(sid(1), 0, "# A\n\nb\n");
    assert!(c.edit(&who("one"), edit, NOW).answer.is_ok());
    assert_eq!(revert(&mut c, author("two")), Err(RevertError::Nothing { since: 1 }));
}
