use ggml_agent_core::lease::OnBusy;

use super::*;
use crate::coordinator::{Command, Lock, Op};
use crate::soup::each;
use crate::{Document, OnStale};

const NOW: Duration = Duration::ZERO;

fn sid(n: usize) -> SectionId {
    SectionId::nth(n)
}

fn one() -> Holder {
    Holder::new("one".parse().unwrap(), 1)
}

fn ask(c: &Coordinator, sections: &[SectionId], since: Option<u64>) -> Result<View, QueryError> {
    c.query(&Query { sections: sections.to_vec(), since }, NOW)
}

fn replace(c: &mut Coordinator, section: SectionId, text: &str) {
    let base = c.read(section).unwrap().version;
    let op = Op::Replace { text: text.into(), on_stale: OnStale::Refuse };
    c.command(&one(), &Command::new(section, op).with_base(base), NOW).answer.unwrap();
}

#[test]
fn d16_the_outline_has_no_text_and_says_what_one_needs_to_write() {
    let mut c = Coordinator::new(&Document::parse("intro\n\n## *Two* `x`\n\ntext\n").unwrap());
    let lock = Lock::one(sid(1), Duration::from_secs(30), OnBusy::Deny);
    assert!(c.lock(&one(), lock, NOW).answer.is_ok());
    let view = ask(&c, &[], None).unwrap();
    assert_eq!((view.seq, view.sections, view.outline.len()), (0, vec![], 2));
    let intro = &view.outline[0];
    assert_eq!((intro.title.as_str(), intro.level, intro.bytes, &intro.holder), ("", 0, 7, &None));
    let two = &view.outline[1];
    assert_eq!((two.title.as_str(), two.level, two.bytes), ("Two x", 2, 19));
    assert_eq!((two.version, two.mode, two.is_archived), (0, Mode::Optimistic, false));
    assert_eq!(two.holder, Some(one()));
}

#[test]
fn d16_who_knows_an_update_is_told_what_changed_since() {
    let long = "One sentence. And another one. And so on, up to the end of it all.\n\n".repeat(3);
    let mut c = Coordinator::new(&Document::parse(&format!("# A\n\n{long}# B\n\nb\n")).unwrap());
    let (a, b) = (sid(0), sid(1));
    replace(&mut c, a, &format!("# A\n\n{}", long.replacen("another", "one more", 1)));
    replace(&mut c, b, "# B\n\nsomething else\n");
    let texts = |since| ask(&c, &[b, a], since).unwrap().sections;
    let whole = texts(None);
    assert_eq!(whole[0].text, TextSince::Whole("# B\n\nsomething else\n".into()));
    assert_eq!((whole[0].outline.id, whole[0].outline.version), (b, 1));
    let since = texts(Some(0));
    // Its changes would be longer than it is.
    assert!(matches!(since[0].text, TextSince::Whole(_)));
    let TextSince::Changed { from: 0, changes } = &since[1].text else { panic!("{since:?}") };
    assert!(changes.text.contains("[-another-]{+one more+}"), "{changes}");
    assert_eq!(texts(Some(1))[1].text, TextSince::Unchanged);
    assert!(texts(Some(2)).iter().all(|section| section.text == TextSince::Unchanged));
}

#[test]
fn d16_a_question_is_refused_for_what_is_wrong_with_it() {
    let text: String = (0..5).map(|n| format!("# {n}\n\n{}\n\n", "x".repeat(250 * 1024))).collect();
    let c = Coordinator::new(&Document::parse(&text).unwrap());
    let all: Vec<SectionId> = (0..5).map(sid).collect();
    assert_eq!(ask(&c, &all, None), Err(QueryError::TooLarge { bytes: text.len() }));
    assert!(ask(&c, &all[..4], None).is_ok() && ask(&c, &all, Some(0)).is_ok());
    assert_eq!(ask(&c, &all, Some(1)), Err(QueryError::NotYet { since: 1, seq: 0 }));
    assert_eq!(ask(&c, &[sid(7)], None), Err(QueryError::UnknownSection { section: sid(7) }));
    let n = SECTIONS_MAX + 1;
    assert_eq!(ask(&c, &vec![sid(0); n], Some(0)), Err(QueryError::TooMany { n }));
}

#[test]
fn d16_a_sheet_that_is_behind_its_history_is_answered_from() {
    each(200, "d16_a_sheet_that_is_behind", |rng| {
        // So long that what has changed is shorter.
        let text = |n: usize| format!("# A\n\none {n} two\n\n{}\n", "a b. ".repeat(100));
        let mut c = Coordinator::new(&Document::parse(&text(99)).unwrap());
        let mut sheets = vec![c.sheet().clone()];
        for n in 0..1 + rng.below(8) {
            replace(&mut c, sid(0), &text(n));
            sheets.push(c.sheet().clone());
        }
        let seq = rng.below(sheets.len());
        let since = rng.below(seq + 1);
        let source = Source { sheet: &sheets[seq], history: c.history(), holder: &|_| None };
        let query = Query { sections: vec![sid(0)], since: Some(since as u64) };
        let view = source.answer(&query).unwrap();
        let text = |seq: usize| sheets[seq].slot(sid(0)).unwrap().text.to_string();
        let (old, new) = (text(since), text(seq));
        let changes = show(&old, &diff(&old, &new, Granularity::Words), usize::MAX);
        let expected = if since == seq {
            TextSince::Unchanged
        } else {
            TextSince::Changed { from: since as u64, changes }
        };
        assert_eq!((view.seq, &view.sections[0].text), (seq as u64, &expected));
    });
}
