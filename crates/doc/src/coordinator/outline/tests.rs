//! D22: what each command does, what it is refused for, and that held sections are left alone.

use std::time::Duration;

use ggml_agent_core::lease::{OnBusy, Outcome, Token};

use super::{Cut, OutlineError, Restructure, Structure};
use crate::coordinator::{EditError, Kind};
use crate::soup::{each, soup};
use crate::{Coordinator, Document, Edit, Holder, Lock, Mode, SectionId};

const NOW: Duration = Duration::ZERO;
const TEXT: &str = "# A\n\na\n\n## Mid ##\n\nm\n\nSet\n---\n\ns\n\n# C\n\nc\n";

fn who(name: &str) -> Holder {
    Holder::new(name.parse().unwrap(), 1)
}

fn sid(n: usize) -> SectionId {
    SectionId::nth(n - 1)
}

fn started() -> Coordinator {
    Coordinator::new(&Document::parse(TEXT).unwrap())
}

fn lock(c: &mut Coordinator, holder: &Holder, section: SectionId) -> Token {
    let lock = Lock::one(section, Duration::from_secs(30), OnBusy::Deny);
    match c.lock(holder, lock, NOW).answer {
        Ok(Outcome::Granted(grants)) => grants[0].token,
        other => panic!("{other:?}"),
    }
}

fn try_it(c: &mut Coordinator, structure: Structure) -> Result<SectionId, OutlineError> {
    let wish = Restructure::seen(c.outline_version(), structure);
    c.restructure(&who("one"), wish, NOW).answer.map(|done| done.section)
}

fn rename(section: usize, title: &str) -> Structure {
    Structure::Rename { section: sid(section), title: title.into() }
}

#[test]
fn d22_each_command_changes_the_sections_and_nothing_else() {
    let split = |at: Cut, title: Option<&str>| Structure::Split {
        section: sid(1),
        at,
        title: title.map(str::to_owned),
    };
    let byte = |at| Cut::Byte { at, base: 0 };
    // The section that is answered, and which text became which; or why not.
    type Case = (Structure, Result<(usize, &'static str, &'static str), OutlineError>);
    let cases: &[Case] = &[
        (
            Structure::Insert { after: Some(sid(1)), text: "# N\n\nn\n\n".into() },
            Ok((5, "a\n\n", "a\n\n# N\n\nn\n\n")),
        ),
        (
            Structure::Insert { after: None, text: "no heading\n".into() },
            Err(EditError::HeadingMissing.into()),
        ),
        (split(byte(5), Some("New")), Ok((5, "a\n\n## Mid", "# New\n\na\n\n## Mid"))),
        (split(byte(5), None), Err(OutlineError::NoHeading { section: sid(1), at: 5 })),
        (split(byte(2), Some("x")), Err(EditError::NoSuchPlace { section: sid(1), at: 2 }.into())),
        (split(byte(5), Some("x\ny")), Err(OutlineError::BadTitle { section: sid(1) })),
        (Structure::Merge { section: sid(1) }, Ok((1, "", ""))),
        (Structure::Merge { section: sid(4) }, Err(OutlineError::NoNext { section: sid(4) })),
        (
            Structure::Move { section: sid(2), after: None },
            Ok((2, "# A\n\na\n\n## Mid ##\n\nm\n\n", "## Mid ##\n\nm\n\n# A\n\na\n\n")),
        ),
        (
            Structure::Move { section: sid(2), after: Some(sid(2)) },
            Err(OutlineError::BehindItself { section: sid(2) }),
        ),
        (rename(2, "Middle"), Ok((2, "## Mid ##\n", "## Middle ##\n"))),
        (rename(3, "Settled"), Ok((3, "Set\n---\n", "Settled\n---\n"))),
        (rename(3, "- x"), Err(OutlineError::BadTitle { section: sid(3) })),
        (rename(1, ""), Err(OutlineError::BadTitle { section: sid(1) })),
        (Structure::Archive { section: sid(2) }, Ok((2, "## Mid ##\n\nm\n\n", ""))),
        (
            Structure::Restore { section: sid(2), after: None },
            Err(EditError::NotArchived { section: sid(2) }.into()),
        ),
        (Structure::SetMode { section: sid(2), mode: Mode::Open }, Ok((2, "", ""))),
    ];
    for (structure, expected) in cases {
        let mut c = started();
        let answer = try_it(&mut c, structure.clone());
        match expected {
            Ok((section, old, new)) => {
                assert_eq!(answer, Ok(sid(*section)), "{structure:?}");
                assert_eq!(c.to_markdown(), TEXT.replacen(old, new, 1), "{structure:?}");
                assert_eq!(c.seq(), 1);
            }
            Err(error) => {
                assert_eq!(answer.as_ref(), Err(error), "{structure:?}");
                assert_eq!((c.to_markdown().as_str(), c.seq()), (TEXT, 0), "{structure:?}");
            }
        }
    }
}

#[test]
fn d22_a_section_is_cut_at_a_heading_inside_of_it() {
    let mut c = started();
    let text = "# A\n\n## In it\n\nx\n\n";
    assert!(c.edit(&who("one"), Edit::optimistic(sid(1), 0, text), NOW).answer.is_ok());
    let cut = |anchor: &str| Structure::Split {
        section: sid(1),
        at: Cut::Heading(anchor.into()),
        title: None,
    };
    let anchor = "a".to_owned();
    assert_eq!(
        try_it(&mut c, cut("a")),
        Err(OutlineError::UnknownAnchor { section: sid(1), anchor })
    );
    assert_eq!(try_it(&mut c, cut("in-it")), Ok(sid(5)));
    assert_eq!(c.read(sid(5)).unwrap().text, "## In it\n\nx\n\n");
    let outline = c.outline();
    let titles: Vec<_> = outline.sections.iter().map(|item| (item.level, &*item.title)).collect();
    let expected =
        [(Some(1), "A"), (Some(2), "In it"), (Some(2), "Mid"), (Some(2), "Set"), (Some(1), "C")];
    assert_eq!(titles, expected);
}

#[test]
fn d22_a_command_needs_the_locks_or_the_outline_that_it_was_made_for() {
    let mut c = started();
    let one = who("one");
    let merge = Structure::Merge { section: sid(1) };
    let old = Restructure::seen(7, merge.clone());
    let outdated = OutlineError::Outdated { base: 7, current: 0 };
    assert_eq!(c.restructure(&one, old, NOW).answer, Err(outdated));
    let first = lock(&mut c, &one, sid(1));
    let half = Restructure::locked([(sid(1), first)], merge.clone());
    let missing = OutlineError::NoTokenAndNoOutline { section: Some(sid(2)) };
    assert_eq!(c.restructure(&one, half, NOW).answer, Err(missing));
    let second = lock(&mut c, &one, sid(2));
    let both = Restructure::locked([(sid(1), first), (sid(2), second)], merge);
    assert!(c.restructure(&one, both, NOW).answer.is_ok());
    assert_eq!(c.to_markdown(), TEXT);
    let view = c.read(sid(2)).unwrap();
    assert_eq!((view.text.len(), c.sheet.slot(sid(2)).unwrap().place), (0, None));
    let insert = Structure::Insert { after: None, text: "# N\n".into() };
    let none = OutlineError::NoTokenAndNoOutline { section: None };
    assert_eq!(c.restructure(&one, Restructure::locked([], insert), NOW).answer, Err(none));
}

#[test]
fn d22_a_section_that_another_holds_is_not_touched() {
    for structure in [
        Structure::Merge { section: sid(1) },
        Structure::Merge { section: sid(2) },
        Structure::Move { section: sid(2), after: None },
        Structure::Archive { section: sid(2) },
        Structure::SetMode { section: sid(2), mode: Mode::Open },
        Structure::Split {
            section: sid(2),
            at: Cut::Byte { at: 11, base: 0 },
            title: Some("x".into()),
        },
        rename(2, "x"),
    ] {
        let mut c = started();
        lock(&mut c, &who("two"), sid(2));
        let refused = try_it(&mut c, structure.clone());
        assert!(
            matches!(refused, Err(OutlineError::Edit(EditError::Locked { section, .. })) if section == sid(2)),
            "{structure:?}: {refused:?}"
        );
        assert_eq!(c.to_markdown(), TEXT);
    }
}

#[test]
fn d22_an_agent_does_not_open_a_section_where_it_only_suggests() {
    let mut c = started();
    let mode = |mode| Structure::SetMode { section: sid(1), mode };
    assert!(try_it(&mut c, mode(Mode::SuggestOnly)).is_ok());
    let refused = Err(OutlineError::Edit(EditError::SuggestOnly { section: sid(1) }));
    assert_eq!(try_it(&mut c, mode(Mode::Open)), refused);
    let anna = Holder::of(Kind::Person, "anna".parse().unwrap(), 1);
    assert!(c.restructure(&anna, Restructure::seen(1, mode(Mode::Open)), NOW).answer.is_ok());
    assert_eq!(c.read(sid(1)).unwrap().mode, Mode::Open);
}

#[test]
fn d22_random_commands_lose_no_byte_and_a_merge_takes_a_split_back() {
    let (mut n_splits, mut n_merges) = (0, 0);
    each(1_000, "d22_random_commands", |rng| {
        let mut c = Coordinator::new(&Document::parse(&soup(rng, 25)).unwrap());
        for _ in 0..25 {
            let before = c.snapshot();
            let view = &before.sections[rng.below(before.sections.len())];
            let (section, len) = (view.id, view.text.len());
            let at = Cut::Byte { at: rng.below(len + 1), base: view.version };
            let title = (rng.below(2) == 0).then(|| "T".to_owned());
            let is_split = rng.below(2) == 0;
            let structure = if is_split {
                Structure::Split { section, at, title: title.clone() }
            } else {
                Structure::Merge { section }
            };
            let Ok(_) = try_it(&mut c, structure) else {
                assert_eq!(c.snapshot(), before);
                continue;
            };
            n_splits += usize::from(is_split);
            n_merges += usize::from(!is_split);
            if !is_split || title.is_none() {
                assert_eq!(c.to_markdown(), before.to_markdown());
            }
            if is_split && title.is_none() {
                let mut again = c.clone();
                try_it(&mut again, Structure::Merge { section }).unwrap();
                assert_eq!(again.read(section).unwrap().text, view.text);
            }
        }
    });
    assert!(n_splits > 300 && n_merges > 300, "{n_splits} splits, {n_merges} merges");
}
