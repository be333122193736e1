//! Each command in a table, and every refusal once.

mod batch;
mod once;
mod random;

use std::time::Duration;

use ggml_agent_core::lease::{Limits, OnBusy, Outcome};

use super::*;
use crate::coordinator::{EditError, Kind, Lock};
use crate::limits::{CURRENT_BYTES_MAX, OPS_REMEMBERED_MAX, SECTION_BYTES_MAX};
use crate::record::Record;
use crate::sheet::{Mode, OutlineChange};
use crate::text::{AnchorError, Change, Misfit};
use crate::{Document, Text};

const NOW: Duration = Duration::ZERO;
const LEASE: Duration = Duration::from_secs(30);
const TEXT: &str = "Intro.\n\n# A\n\nThe cat sat. The dog ran.\n\n# B\n\nb b\n";

fn sid(n: usize) -> SectionId {
    SectionId::nth(n)
}

/// The section that most tests are about.
fn a() -> SectionId {
    sid(1)
}

fn holder(name: &str) -> Holder {
    Holder::new(name.parse().unwrap(), 1)
}

fn coordinator(text: &str) -> Coordinator {
    Coordinator::new(&Document::parse(text).unwrap())
}

fn set_mode(c: &mut Coordinator, section: SectionId, mode: Mode) {
    let outline = vec![OutlineChange::Mode { section, mode }];
    c.draft(&holder("host"), Draft { outline, ..Draft::default() }, NOW).unwrap();
}

fn text(c: &Coordinator, section: SectionId) -> String {
    c.read(section).unwrap().text.to_string()
}

fn str_replace(old: &str, new: &str, expect: usize) -> Op {
    Op::StrReplace { old: old.into(), new: new.into(), expect }
}

fn append(text: &str) -> Op {
    Op::Append { text: text.into() }
}

fn insert(quote: &str, side: Side, text: &str) -> Op {
    let anchor = Anchor::Quote { text: quote.into(), nth: None };
    Op::Insert { anchor, side, text: text.into() }
}

fn replace(text: &str, on_stale: OnStale) -> Op {
    Op::Replace { text: text.into(), on_stale }
}

fn splice(at: usize, del: usize, insert: &str, rebase: bool) -> Op {
    Op::Splice { changes: Changes::one(at, del, insert), rebase }
}

fn op_id(id: &str) -> OpId {
    id.parse().unwrap()
}

/// Carried out alone.
fn run(c: &mut Coordinator, command: &Command) -> Result<Done, OpError> {
    c.command(&holder("one"), command, NOW).answer
}

fn on_a(op: Op) -> Command {
    Command::new(a(), op)
}

#[test]
fn d06_each_command_does_what_it_says() {
    let heading = |side| Op::Insert { anchor: Anchor::Heading, side, text: "x\n".into() };
    let at = |anchor| Op::Insert { anchor, side: Side::After, text: "# ".into() };
    let body = "The cat sat. The dog ran.\n\n";
    let cases = [
        (str_replace("cat", "cow", 1), "# A\n\nThe cow sat. The dog ran.\n\n"),
        (str_replace("The ", "A ", 2), "# A\n\nA cat sat. A dog ran.\n\n"),
        (str_replace("The dog ran.", "", 1), "# A\n\nThe cat sat. \n\n"),
        (append("More.\n"), &*format!("# A\n\n{body}More.\n")),
        (insert("cat", Side::Before, "big "), "# A\n\nThe big cat sat. The dog ran.\n\n"),
        (insert("cat", Side::After, "fish"), "# A\n\nThe catfish sat. The dog ran.\n\n"),
        (heading(Side::After), &*format!("# A\nx\n\n{body}")),
        (at(Anchor::Start), &*format!("# # A\n\n{body}")),
        (at(Anchor::End), &*format!("# A\n\n{body}# ")),
    ];
    for (op, expected) in cases {
        let mut c = coordinator(TEXT);
        let done = run(&mut c, &on_a(op.clone()));
        if matches!(op, Op::Insert { anchor: Anchor::End, .. }) {
            // It would be a heading, and no line of its own.
            assert_eq!(done, Err(EditError::SwallowsNext.into()));
            continue;
        }
        let done = done.unwrap();
        assert_eq!(text(&c, a()), expected, "{op:?}");
        assert_eq!((done.seq, &*done.sections), (1, &[(a(), 1)][..]));
        assert_eq!((done.base_moved, done.is_repeat, done.is_unchanged()), (false, false, false));
        assert_eq!(
            (text(&c, sid(0)).as_str(), text(&c, sid(2)).as_str()),
            ("Intro.\n\n", "# B\n\nb b\n")
        );
    }
}

#[test]
fn d06_the_answer_says_which_places_were_changed() {
    let mut c = coordinator(TEXT);
    let done = run(&mut c, &on_a(str_replace("The ", "A ", 2))).unwrap();
    let places: Vec<_> =
        done.applied.iter().map(|place| text(&c, a())[place.range.clone()].to_owned()).collect();
    assert_eq!((places, done.n_applied), (vec!["A".to_owned(); 2], 2));
    let many = format!("# M\n\n{}", "x y\n".repeat(200));
    let mut c = coordinator(&many);
    let done = run(&mut c, &Command::new(sid(0), str_replace("x", "z", 200))).unwrap();
    assert_eq!((done.applied.len(), done.n_applied), (APPLIED_MAX, 200));
}

#[test]
fn d06_what_changes_nothing_is_no_update_and_the_answer_says_so() {
    let mut c = coordinator(TEXT);
    assert!(c.subscribe(&holder("reader"), NOW).answer.is_ok());
    let same = text(&c, a());
    let nothing = [
        on_a(str_replace("cat", "cat", 1)),
        on_a(append("")),
        on_a(replace(&same, OnStale::Refuse)).with_base(0),
        on_a(splice(2, 1, "A", false)).with_base(0),
    ];
    for command in nothing {
        let step = c.command(&holder("one"), &command.named(op_id("n")), NOW);
        let done = step.answer.unwrap();
        assert!(done.is_unchanged());
        assert_eq!((done.seq, done.sections), (0, vec![(a(), 0)]));
        assert_eq!((step.outs, c.seq()), (vec![], 0));
    }
    // What goes at one place comes at another, and nobody can tell.
    let mut same = coordinator("# A\n\naaa\n");
    let change = |at, del, insert: &str| Change { at, del, insert: insert.into() };
    let changes = Changes::try_from(vec![change(5, 1, ""), change(8, 0, "a")]).unwrap();
    let moved = Command::new(sid(0), Op::Splice { changes, rebase: false }).with_base(0);
    assert!(run(&mut same, &moved).unwrap().is_unchanged());
    assert_eq!(same.seq(), 0);
    let there_and_back = [on_a(str_replace("cat", "cow", 1)), on_a(str_replace("cow", "cat", 1))];
    assert!(c.batch(&holder("one"), &there_and_back, NOW).answer.unwrap().is_unchanged());
    assert_eq!(c.seq(), 0);
}

#[test]
fn d09_a_text_to_replace_is_looked_for_exactly_in_the_text_that_is_there_now() {
    let mut c = coordinator(TEXT);
    run(&mut c, &on_a(str_replace("cat sat", "cat lay", 1))).unwrap();
    let missed = run(&mut c, &on_a(str_replace("The CAT  lay.", "x", 1)).with_base(0)).unwrap_err();
    let OpError::NoMatch { section, version, nearest: Some(nearest), current } = &missed else {
        panic!("{missed:?}")
    };
    assert_eq!((*section, *version, nearest.similarity), (a(), 1, 100));
    assert_eq!(&text(&c, a())[nearest.range.clone()], "The cat lay.");
    assert_eq!(*current, text(&c, a()));
    assert!(missed.to_string().contains("closest, 100 % alike, is line 3"), "{missed}");

    let count = run(&mut c, &on_a(str_replace("The", "A", 1))).unwrap_err();
    let OpError::Count { version: 1, expected: 1, found: 2, excerpts, .. } = &count else {
        panic!("{count:?}")
    };
    assert_eq!(excerpts.len(), 2);
    // Overlapping ones are counted, and cannot all be replaced.
    let mut c = coordinator("# A\n\naaa\n");
    let [one, two] = [1, 2].map(|n| Command::new(sid(0), str_replace("aa", "b", n)));
    assert!(matches!(run(&mut c, &one), Err(OpError::Count { found: 2, .. })));
    assert!(matches!(run(&mut c, &two), Err(OpError::Overlapping { found: 2, .. })));
    assert_eq!(run(&mut c, &Command::new(sid(0), str_replace("", "b", 1))), Err(OpError::EmptyOld));
    assert_eq!(c.seq(), 0);
}

#[test]
fn d09_a_refusal_does_not_grow_with_the_text() {
    let long = format!("# A\n\n{}", "ä b\n".repeat(40_000));
    let mut c = coordinator(&long);
    let Err(OpError::NoMatch { current, .. }) =
        run(&mut c, &Command::new(sid(0), str_replace("no", "", 1)))
    else {
        panic!("it is not there")
    };
    assert!(current.len() <= CURRENT_BYTES_MAX && current.len() > CURRENT_BYTES_MAX - 4);
    let Err(OpError::Count { excerpts, .. }) =
        run(&mut c, &Command::new(sid(0), str_replace("b", "", 1)))
    else {
        panic!("it is there too often")
    };
    assert_eq!(excerpts.len(), crate::text::anchor::EXCERPTS_MAX);
    let too_long = Command::new(sid(0), str_replace("b", &"x".repeat(100), 40_000));
    let len = long.len() + 99 * 40_000;
    assert_eq!(run(&mut c, &too_long), Err(EditError::SectionTooLarge { len }.into()));
    let len = SECTION_BYTES_MAX + 1;
    let too_long = Command::new(sid(0), replace(&"x".repeat(len), OnStale::Merge)).with_base(0);
    assert_eq!(run(&mut c, &too_long), Err(EditError::SectionTooLarge { len }.into()));
}

#[test]
fn d09_an_anchor_that_vanished_is_refused_with_what_is_there() {
    let mut c = coordinator(TEXT);
    let refused = run(&mut c, &on_a(insert("The cat lay", Side::After, "x"))).unwrap_err();
    let OpError::NoPlace { version: 0, error: AnchorError::NoQuote { nearest }, current, .. } =
        refused
    else {
        panic!("{refused:?}")
    };
    assert!(nearest.is_some() && current == text(&c, a()));
    let twice = run(&mut c, &on_a(insert("The", Side::After, "x"))).unwrap_err();
    assert!(matches!(twice, OpError::NoPlace { error: AnchorError::Ambiguous { n: 2, .. }, .. }));
    let heading = Op::Insert { anchor: Anchor::Heading, side: Side::After, text: "x".into() };
    let intro = run(&mut c, &Command::new(sid(0), heading)).unwrap_err();
    assert!(matches!(intro, OpError::NoPlace { error: AnchorError::NoHeading, .. }));
}

#[test]
fn d09_a_text_from_an_older_version_is_refused_merged_or_suggested() {
    let cat = "# A\n\nA cat sat. The dog ran.\n\n";
    let dog = "# A\n\nThe cat sat. The dog slept.\n\n";
    for on_stale in [OnStale::Refuse, OnStale::Merge, OnStale::Suggest] {
        let mut c = coordinator(TEXT);
        let first = run(&mut c, &on_a(replace(cat, on_stale)).with_base(0)).unwrap();
        assert!(!first.base_moved);
        assert_eq!((text(&c, a()).as_str(), first.n_applied), (cat, 1));
        let late = run(&mut c, &on_a(replace(dog, on_stale)).with_base(0));
        match on_stale {
            OnStale::Refuse => {
                let Err(OpError::Outdated { base: 0, current: 1, since, .. }) = &late else {
                    panic!("{late:?}")
                };
                assert!(since.text.contains("[-The-]{+A+} cat sat."), "{since}");
            }
            OnStale::Merge => {
                assert!(late.unwrap().base_moved);
                assert_eq!(text(&c, a()), "# A\n\nA cat sat. The dog slept.\n\n");
                // Both changed the first sentence.
                let cow = replace("# A\n\nThe cow sat. The dog ran.\n\n", on_stale);
                let refused = run(&mut c, &on_a(cow).with_base(0)).unwrap_err();
                let OpError::Conflict { base: 0, current: 2, conflict, since, .. } = &refused
                else {
                    panic!("{refused:?}")
                };
                assert_eq!((conflict.n_overlaps, since.n), (1, 2));
            }
            OnStale::Suggest => {
                let Err(OpError::AsSuggestion(proposal)) = late else { panic!("{late:?}") };
                assert_eq!((proposal.section, proposal.base), (a(), 0));
                let old = text(&coordinator(TEXT), a());
                assert_eq!(proposal.changes.apply(&old).unwrap(), dog);
            }
        }
    }
    let mut c = coordinator(TEXT);
    let never = run(&mut c, &on_a(replace(dog, OnStale::Merge)).with_base(7)).unwrap_err();
    assert_eq!(never, OpError::BaseUnknown { section: a(), base: 7, current: 0 });
}

#[test]
fn d09_places_are_moved_over_what_others_did_where_that_is_allowed() {
    for (mode, rebase, is_done) in [
        (Mode::Optimistic, false, false),
        (Mode::Optimistic, true, true),
        (Mode::Open, false, true),
    ] {
        let mut c = coordinator(TEXT);
        set_mode(&mut c, a(), mode);
        run(&mut c, &on_a(str_replace("The cat", "Yesterday a cat", 1))).unwrap();
        let late = on_a(splice(22, 3, "cow", rebase)).with_base(0);
        match run(&mut c, &late) {
            Ok(done) if is_done => {
                assert!(done.base_moved);
                assert_eq!(text(&c, a()), "# A\n\nYesterday a cat sat. The cow ran.\n\n");
            }
            Err(OpError::Outdated { base: 0, current: 1, .. }) if !is_done => {}
            other => panic!("{other:?}"),
        }
        let beyond = run(&mut c, &on_a(splice(1_000, 0, "x", rebase)).with_base(0)).unwrap_err();
        assert!(matches!(beyond, OpError::Misfit { base: 0, misfit: Misfit::Beyond { .. }, .. }));
    }
}

#[test]
fn d09_rights_are_those_of_an_edit() {
    let mut c = coordinator(TEXT);
    for op in [replace("# A\n", OnStale::Merge), splice(0, 0, "x", true)] {
        assert_eq!(run(&mut c, &on_a(op)), Err(EditError::NoTokenAndNoBase.into()));
    }
    let unknown = Command::new(sid(9), append("x"));
    assert_eq!(run(&mut c, &unknown), Err(EditError::UnknownSection { section: sid(9) }.into()));
    // What the lock says.
    let two = holder("two");
    let wish = Lock::one(a(), LEASE, OnBusy::Deny);
    let Ok(Outcome::Granted(grants)) = c.lock(&two, wish, NOW).answer else { panic!("free") };
    let token = grants[0].token;
    let locked = run(&mut c, &on_a(append("x\n"))).unwrap_err();
    assert_eq!(
        locked,
        EditError::Locked { section: a(), holder: two.clone(), until: LEASE }.into()
    );
    assert!(locked.is_retryable());
    let stolen = run(&mut c, &on_a(append("x\n")).with_token(token)).unwrap_err();
    assert!(matches!(stolen, OpError::Edit(EditError::Stale(_))));
    let own = on_a(replace("# A\n\nown\n\n", OnStale::Refuse)).with_token(token);
    assert!(c.command(&two, &own, NOW).answer.is_ok());
    let own = on_a(replace("# A\n\nold\n\n", OnStale::Refuse)).with_token(token).with_base(0);
    assert!(matches!(c.command(&two, &own, NOW).answer, Err(OpError::Outdated { .. })));
    assert!(c.release(&two, a(), token, NOW).answer.is_ok());
    // What the mode says.
    set_mode(&mut c, a(), Mode::Locked);
    assert_eq!(
        run(&mut c, &on_a(append("x\n"))),
        Err(EditError::NeedsLock { section: a() }.into())
    );
    set_mode(&mut c, a(), Mode::SuggestOnly);
    let suggest = run(&mut c, &on_a(append("x\n")));
    assert_eq!(suggest, Err(EditError::SuggestOnly { section: a() }.into()));
    let proposal = c.propose(&on_a(append("x\n"))).unwrap();
    assert_eq!((proposal.base, proposal.changes), (1, Changes::one(10, 0, "x\n")));
    let person = Holder::of(Kind::Person, "anna".parse().unwrap(), 1);
    assert!(c.command(&person, &on_a(append("x\n")), NOW).answer.is_ok());
    let outline = vec![OutlineChange::Archived { section: a() }];
    c.draft(&two, Draft { outline, ..Draft::default() }, NOW).unwrap();
    assert_eq!(run(&mut c, &on_a(append("x"))), Err(EditError::Archived { section: a() }.into()));
    // Who is over.
    drop(c.drop_holder(&holder("one"), NOW));
    let gone = run(&mut c, &Command::new(sid(2), append("x\n"))).unwrap_err();
    assert!(matches!(gone, OpError::Edit(EditError::Gone(_))));
}

/// The same document after its process.
fn restarted(c: &Coordinator) -> Coordinator {
    let bytes = c.record().encode();
    let record = Record::decode(crate::record::FORMAT, &bytes).unwrap();
    Coordinator::resume(record, Limits::DEFAULT, NOW)
}
