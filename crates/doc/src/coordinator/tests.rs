//! Named promises first, then random work that must keep every promise at every step.

use std::collections::BTreeMap;
use std::time::Duration;

use ggml_agent_core::lease::{Busy, Event, OnBusy, Outcome, Stale, Token};

use super::{Coordinator, Delivery, Edit, EditError, Gone, Holder, Lock, LockError, Note, Out};
use crate::limits::{HISTORY_LEN_MAX, IN_FLIGHT_MAX, LAG_MAX, SECTION_BYTES_MAX};
use crate::soup::{Rng, each, soup};
use crate::{Document, SectionId, Text};

const LEASE: Duration = Duration::from_secs(30);
const TEXT: &str = "---\nt: x\n---\nIntro.\n\n# A\n\na\n\nB\n===\n\nb\n\n# C\n\nc\n";

fn s(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn sid(n: usize) -> SectionId {
    SectionId::nth(n - 1)
}

fn holder(agent: &str, incarnation: u64) -> Holder {
    Holder::new(agent.parse().unwrap(), incarnation)
}

fn coordinator() -> Coordinator {
    Coordinator::new(&Document::parse(TEXT).unwrap())
}

fn lock(c: &mut Coordinator, who: &Holder, section: usize, now: u64) -> Token {
    match c.lock(who, Lock::one(sid(section), LEASE, OnBusy::Deny), s(now)).answer {
        Ok(Outcome::Granted(grants)) => grants[0].token,
        other => panic!("not granted: {other:?}"),
    }
}

fn wait(c: &mut Coordinator, who: &Holder, section: usize, now: u64) {
    let wish = Lock::one(sid(section), LEASE, OnBusy::Queue { until: None });
    let answer = c.lock(who, wish, s(now)).answer;
    assert!(matches!(answer, Ok(Outcome::Queued { .. })), "{answer:?}");
}

#[test]
fn d01_two_editors_cannot_hold_one_section() {
    let mut c = coordinator();
    let (one, two) = (holder("one", 1), holder("two", 1));
    lock(&mut c, &one, 2, 0);
    let refused = c.lock(&two, Lock::one(sid(2), LEASE, OnBusy::Deny), s(1)).answer;
    let busy = Busy::Held { holder: one.clone(), until: s(30) };
    assert_eq!(refused, Ok(Outcome::Denied { section: sid(2), busy }));
    assert_eq!(c.lease(sid(2), s(1)).map(|l| &l.holder), Some(&one));
}

#[test]
fn d02_an_edit_with_an_older_token_is_refused_and_changes_nothing() {
    let mut c = coordinator();
    let (one, two) = (holder("one", 1), holder("two", 1));
    let old = lock(&mut c, &one, 2, 0);
    let new = lock(&mut c, &two, 2, 30);
    let before = c.to_markdown();
    let edit = Edit::locked(sid(2), old, "# A\n\nstale\n\n");
    let stale = Stale::Superseded { token: old, current: new };
    assert_eq!(c.edit(&one, edit, s(31)).answer, Err(EditError::Stale(stale)));
    let stolen = Edit::locked(sid(2), new, "# A\n\nstolen\n\n");
    let not_yours = Stale::NotYours { token: new };
    assert_eq!(c.edit(&one, stolen, s(31)).answer, Err(EditError::Stale(not_yours)));
    assert_eq!((c.to_markdown(), c.seq()), (before, 0));
    assert!(c.edit(&two, Edit::locked(sid(2), new, "# A\n\nnew\n\n"), s(31)).answer.is_ok());
}

#[test]
fn d03_an_expired_lease_is_noted_to_its_holder_and_handed_on() {
    let mut c = coordinator();
    let (one, two) = (holder("one", 1), holder("two", 1));
    let old = lock(&mut c, &one, 2, 0);
    wait(&mut c, &two, 2, 1);
    assert_eq!(c.next_deadline(), Some(s(30)));
    let outs = c.expire(s(30)).outs;
    let [
        Out::Happened(Event::Expired { .. }),
        Out::ToHolder { to: lost, note: Note::LockLost { section, token } },
        Out::Happened(Event::Granted { .. }),
        Out::ToHolder { to: next, note: Note::LockGranted { grants } },
    ] = &outs[..]
    else {
        panic!("{outs:?}")
    };
    assert_eq!((lost, *section, *token, next), (&one, sid(2), old, &two));
    assert!(grants[0].token > old);
    let late = c.edit(&one, Edit::locked(sid(2), old, "# A\n"), s(30)).answer;
    assert!(matches!(late, Err(EditError::Stale(Stale::Superseded { .. }))), "{late:?}");
}

#[test]
fn d03_a_restarted_agents_locks_are_free_before_its_next_life_asks() {
    let mut c = coordinator();
    let (first, second, other) = (holder("one", 1), holder("one", 2), holder("two", 1));
    let old = lock(&mut c, &first, 2, 0);
    wait(&mut c, &other, 2, 1);
    let outs = c.drop_holder(&first, s(2)).outs;
    assert!(matches!(&outs[2], Out::ToHolder { to, .. } if *to == other), "{outs:?}");
    let refused = c.edit(&first, Edit::locked(sid(2), old, "# A\n"), s(2)).answer;
    assert_eq!(refused, Err(EditError::Gone(Gone { holder: first.clone() })));
    // A message of the dead that arrives late leaves no lock behind.
    let late = c.lock(&first, Lock::one(sid(3), LEASE, OnBusy::Deny), s(3)).answer;
    assert_eq!(late, Err(LockError::Gone(Gone { holder: first.clone() })));
    assert!(c.subscribe(&first, s(3)).answer.is_err());
    assert_eq!(c.lease(sid(3), s(3)), None);
    lock(&mut c, &second, 3, 3);
    // A new life ends the one before it even when nobody reported that death.
    let third = holder("one", 3);
    let step = c.lock(&third, Lock::one(sid(3), LEASE, OnBusy::Deny), s(4));
    assert!(matches!(step.answer, Ok(Outcome::Granted(_))), "{step:?}");
    assert!(matches!(step.outs[..], [Out::Happened(Event::Lost { .. })]));
}

#[test]
fn d04_denied_and_queued_requests_get_their_answer() {
    let mut c = coordinator();
    let (one, two) = (holder("one", 1), holder("two", 1));
    let token = lock(&mut c, &one, 2, 0);
    let until = Some(s(10));
    let wish = Lock::one(sid(2), LEASE, OnBusy::Queue { until });
    assert_eq!(c.lock(&two, wish, s(1)).answer, Ok(Outcome::Queued { position: 1 }));
    let outs = c.expire(s(10)).outs;
    let ended = Note::WaitEnded { sections: [sid(2)].into() };
    assert_eq!(outs[1], Out::ToHolder { to: two.clone(), note: ended });
    wait(&mut c, &two, 2, 11);
    let outs = c.release(&one, sid(2), token, s(12)).outs;
    assert!(matches!(&outs[2], Out::ToHolder { to, note: Note::LockGranted { .. } } if *to == two));
    assert!(!c.cancel(&two, s(13)).answer);
    assert_eq!(c.renew(&one, sid(2), token, LEASE, s(13)).answer.map(|_| ()), {
        let current = c.lease(sid(2), s(13)).unwrap().token;
        Err(Stale::Superseded { token, current })
    });
}

#[test]
fn d05_several_sections_are_locked_all_or_none() {
    let mut c = coordinator();
    let (one, two) = (holder("one", 1), holder("two", 1));
    lock(&mut c, &one, 3, 0);
    let wish = Lock { sections: [sid(2), sid(3)].into(), lease: LEASE, on_busy: OnBusy::Deny };
    assert!(matches!(c.lock(&two, wish.clone(), s(1)).answer, Ok(Outcome::Denied { .. })));
    assert_eq!(c.lease(sid(2), s(1)), None);
    let unknown = Lock { sections: [sid(2), sid(9)].into(), ..wish };
    let error = c.lock(&two, unknown, s(1)).answer.unwrap_err();
    assert_eq!(error, LockError::UnknownSection { section: sid(9) });
    assert_eq!(
        error.to_string(),
        "the document has no section s9; read the list of sections again"
    );
}

#[test]
fn d06_an_edit_is_applied_whole_or_refused_whole_with_the_reason() {
    type Case = (usize, &'static str, Result<(), EditError>);
    let cases: &[Case] = &[
        (1, "New intro.\n\n", Ok(())),
        (1, "", Ok(())),
        (1, "Intro", Err(EditError::SwallowsNext)),
        (1, "```\n", Err(EditError::SwallowsNext)),
        (2, "# A\n\nnew\n\n", Ok(())),
        (2, "## Other\n### More\n\n", Ok(())),
        (2, "# A\n\nnew", Err(EditError::SwallowsNext)),
        // Section 3 has an underlined heading, which a paragraph before it would swallow.
        (2, "# A\nnew\n", Err(EditError::SwallowsNext)),
        (2, "# A\n\n<!--\n", Err(EditError::SwallowsNext)),
        (2, "# A\n\n~~~\n\n", Err(EditError::SwallowsNext)),
        (2, "text\n\n", Err(EditError::HeadingMissing)),
        (2, "", Err(EditError::HeadingMissing)),
        (2, "\n# A\n\n", Err(EditError::HeadingMissing)),
        (2, "> # A\n\n", Err(EditError::HeadingMissing)),
        (2, "A\n---\n\n", Ok(())),
        (4, "# C\n\n```\nlast, may stay open", Ok(())),
    ];
    for (section, text, expected) in cases.iter().cloned() {
        let mut c = coordinator();
        let one = holder("one", 1);
        let token = lock(&mut c, &one, section, 0);
        let answer = c.edit(&one, Edit::locked(sid(section), token, text), s(1)).answer;
        assert_eq!(answer.map(|_| ()), expected, "{section} {text:?}");
        let view = c.read(sid(section)).unwrap();
        if expected.is_ok() {
            assert_eq!((view.text, view.version, c.seq()), (text.into(), 1, 1));
        } else {
            assert_eq!((c.to_markdown().as_str(), view.version, c.seq()), (TEXT, 0, 0));
        }
    }
}

#[test]
fn d06_edits_that_reach_outside_their_section_are_refused() {
    let edit = |text: &str, section: usize, new: &str| {
        let mut c = Coordinator::new(&Document::parse(text).unwrap());
        c.edit(&holder("one", 1), Edit::optimistic(sid(section), 0, new), s(0)).answer.map(|_| ())
    };
    assert_eq!(edit("# A\n- x\n# B\n", 2, "  # B\n"), Err(EditError::JoinsPrevious));
    assert_eq!(edit("# A\nx\n# B\n", 2, "B\n===\n"), Err(EditError::JoinsPrevious));
    assert_eq!(edit("# A\nx\n\n# B\n", 2, "B\n===\n"), Ok(()));
    assert_eq!(edit("x\n", 1, "---\na: b\n---\n"), Err(EditError::BecomesFrontMatter));
    assert_eq!(edit("x\n", 1, "\u{feff}x\n"), Err(EditError::BecomesFrontMatter));
    assert_eq!(edit("# A\n", 1, "+++\n===\n+++\n"), Err(EditError::BecomesFrontMatter));
    assert_eq!(edit("---\nx\n\n# B\n", 2, "# B\n\n---\n"), Err(EditError::BecomesFrontMatter));
    assert_eq!(edit("x\n\n# B\n\n---\n", 1, "---\nx\n\n"), Err(EditError::BecomesFrontMatter));
    assert_eq!(edit("---\n\nx\n\n# B\n", 2, "# B\n\n---\n"), Ok(()));
    assert_eq!(edit("---\na: b\n---\nx\n", 1, "---\na: b\n---\n"), Ok(()), "it has one already");
    let long = "x".repeat(SECTION_BYTES_MAX + 1);
    assert_eq!(edit("x", 1, &long), Err(EditError::SectionTooLarge { len: SECTION_BYTES_MAX + 1 }));
    assert_eq!(edit("x", 2, "x"), Err(EditError::UnknownSection { section: sid(2) }));
}

#[test]
fn d06_an_edit_without_a_lock_needs_the_current_version_and_a_free_section() {
    let mut c = coordinator();
    let (one, two) = (holder("one", 1), holder("two", 1));
    let bare = Edit { section: sid(2), token: None, base: None, text: "# A\n\n".into() };
    assert_eq!(c.edit(&one, bare, s(0)).answer, Err(EditError::NoTokenAndNoBase));
    assert!(c.edit(&one, Edit::optimistic(sid(2), 0, "# A\n\nx\n\n"), s(0)).answer.is_ok());
    let outdated = Err(EditError::Outdated { section: sid(2), base: 0, current: 1 });
    assert_eq!(c.edit(&two, Edit::optimistic(sid(2), 0, "# A\n\ny\n\n"), s(0)).answer, outdated);
    let token = lock(&mut c, &one, 2, 1);
    let locked = EditError::Locked { section: sid(2), holder: one.clone(), until: s(31) };
    assert!(locked.is_retryable());
    let edit = Edit::optimistic(sid(2), 1, "# A\n\ny\n\n");
    assert_eq!(c.edit(&two, edit.clone(), s(2)).answer, Err(locked.clone()));
    assert_eq!(
        c.edit(&one, edit.clone(), s(2)).answer,
        Err(locked),
        "the holder has a token: it must use it"
    );
    let based = Edit { base: Some(0), ..Edit::locked(sid(2), token, "# A\n\nz\n\n") };
    assert_eq!(c.edit(&one, based, s(2)).answer, outdated);
    assert!(c.edit(&two, edit, s(31)).answer.is_ok(), "the lease is over");
}

#[test]
fn d07_accepted_edits_have_gap_free_numbers_and_none_is_lost() {
    let mut c = coordinator();
    let one = holder("one", 1);
    for n in 0..300_u64 {
        let section = 2 + 2 * usize::try_from(n % 2).unwrap();
        let base = c.read(sid(section)).unwrap().version;
        let refused = Edit::optimistic(sid(section), base + 1, "# no\n\n");
        assert!(c.edit(&one, refused, s(n)).answer.is_err());
        let edit = Edit::optimistic(sid(section), base, format!("# {n}\n\n"));
        let accepted = c.edit(&one, edit, s(n)).answer.unwrap();
        assert_eq!((accepted.seq, accepted.version), (n + 1, n / 2 + 1));
    }
    let seqs: Vec<u64> = c.history().iter().map(|update| update.seq).collect();
    assert_eq!(seqs, (1..=300).collect::<Vec<_>>());
    let update = c.history().get(300).unwrap();
    let edit = update.edit(sid(4)).unwrap();
    assert_eq!((edit.version, &update.author, update.at), (150, &one, s(299)));
    let mut text = c.read(sid(4)).unwrap().text;
    assert_eq!(text, "# 299\n\n");
    assert!(edit.undo(&mut text));
    assert_eq!(text, "# 297\n\n");
}

#[test]
fn d08_a_slow_subscriber_is_told_to_resynchronise_and_holds_nobody_up() {
    let mut c = coordinator();
    let (slow, quick, author) = (holder("slow", 1), holder("quick", 1), holder("author", 1));
    assert_eq!(c.subscribe(&slow, s(0)).answer.unwrap().seq, 0);
    assert!(c.subscribe(&quick, s(0)).answer.is_ok());
    let n = IN_FLIGHT_MAX + LAG_MAX + 1;
    let (mut to_slow, mut to_quick) = (Vec::new(), Vec::new());
    for base in 0..n {
        let step = c.edit(&author, Edit::optimistic(sid(4), base, format!("# {base}\n")), s(0));
        assert!(step.answer.is_ok());
        for out in step.outs {
            let Out::ToSubscriber { to, delivery } = out else { panic!("{out:?}") };
            if to == quick {
                to_quick.push(delivery.seq());
                assert_eq!(c.confirm(&quick, delivery.seq()).outs, []);
            } else {
                to_slow.push(delivery);
            }
        }
    }
    assert_eq!(to_quick, (1..=n).collect::<Vec<_>>(), "every version in order");
    let sent: Vec<u64> = to_slow.iter().map(Delivery::seq).collect();
    assert_eq!(sent, (1..=IN_FLIGHT_MAX).collect::<Vec<_>>(), "bounded");
    // One step short of the limit it would still get every version; beyond it, one word.
    let outs = c.confirm(&slow, IN_FLIGHT_MAX).outs;
    let resync = Out::ToSubscriber { to: slow.clone(), delivery: Delivery::Resync { seq: n } };
    assert_eq!(outs, [resync]);
    assert_eq!(c.confirm(&slow, n).outs, []);
    let step = c.edit(&author, Edit::optimistic(sid(4), n, "# x\n"), s(0));
    assert_eq!(step.outs.len(), 2, "both follow again");
    assert!(c.unsubscribe(&quick) && !c.unsubscribe(&quick));
    assert!(c.drop_holder(&slow, s(1)).outs.is_empty());
    assert!(c.edit(&author, Edit::optimistic(sid(4), n + 1, "# y\n"), s(1)).outs.is_empty());
}

#[test]
fn d08_a_subscriber_that_catches_up_in_time_misses_nothing() {
    let mut c = coordinator();
    let (slow, author) = (holder("slow", 1), holder("author", 1));
    assert!(c.subscribe(&slow, s(0)).answer.is_ok());
    let n = IN_FLIGHT_MAX + LAG_MAX;
    let mut got = Vec::new();
    let keep = |outs: Vec<Out>, got: &mut Vec<u64>| {
        for out in outs {
            let Out::ToSubscriber { delivery: Delivery::Update(u), .. } = out else {
                panic!("{out:?}")
            };
            got.push(u.seq);
        }
    };
    for base in 0..n {
        keep(c.edit(&author, Edit::optimistic(sid(4), base, "# x\n"), s(0)).outs, &mut got);
    }
    while got.len() < usize::try_from(n).unwrap() {
        let last = *got.last().unwrap();
        keep(c.confirm(&slow, last).outs, &mut got);
    }
    assert_eq!(got, (1..=n).collect::<Vec<_>>());
}

#[test]
fn history_forgets_the_oldest_beyond_its_limit() {
    let mut c = coordinator();
    let author = holder("author", 1);
    let n = HISTORY_LEN_MAX as u64 + 5;
    for base in 0..n {
        assert!(c.edit(&author, Edit::optimistic(sid(4), base, "# x\n"), s(0)).answer.is_ok());
    }
    assert_eq!((c.history().len(), c.history().get(5)), (HISTORY_LEN_MAX, None));
    assert_eq!(c.history().get(6).unwrap().seq, 6);
    assert_eq!(c.history().get(n).unwrap().seq, n);
    assert_eq!(c.history().get(n + 1), None);
    assert!(!c.history().is_empty());
}

/// What one subscriber has put together from what it was sent.
struct Replica {
    seq: u64,
    texts: Vec<String>,
    inbox: Vec<Delivery>,
}

impl Replica {
    fn handle(&mut self, delivery: Delivery, c: &Coordinator) {
        match delivery {
            Delivery::Update(u) if u.seq <= self.seq => {}
            Delivery::Update(u) => {
                assert_eq!(u.seq, self.seq + 1, "D8: a gap");
                self.seq = u.seq;
                for edit in &u.edits {
                    let text = &mut self.texts[edit.section.index()];
                    let mut rope = Text::from(&**text);
                    assert!(edit.apply(&mut rope));
                    *text = rope.to_string();
                }
            }
            Delivery::Resync { seq } => {
                let snapshot = c.snapshot();
                assert!(snapshot.seq >= seq);
                self.seq = snapshot.seq;
                self.texts = snapshot.sections.iter().map(|v| v.text.to_string()).collect();
            }
        }
    }
}

#[test]
fn d06_to_d08_random_work_loses_no_edit_and_keeps_every_section_where_it_was() {
    each(1_000, "d06_to_d08_random_work", |rng| {
        let source = soup(rng, 20);
        let document = Document::parse(&source).unwrap();
        let mut c = Coordinator::new(&document);
        assert_eq!(c.to_markdown(), source);
        let n = document.sections().len();
        let mut expected: Vec<String> =
            document.sections().iter().map(|s| s.text().to_owned()).collect();
        let mut replicas: BTreeMap<Holder, Replica> = BTreeMap::new();
        for name in ["r1", "r2"] {
            let who = holder(name, 1);
            assert!(c.subscribe(&who, s(0)).answer.is_ok());
            replicas.insert(who, Replica { seq: 0, texts: expected.clone(), inbox: Vec::new() });
        }
        let mut now = Duration::ZERO;
        let mut accepted = 0;
        for _ in 0..60 {
            now += Duration::from_millis(rng.below(4_000) as u64);
            let section = sid(1 + rng.below(n));
            let outs = random_step(rng, &mut c, section, now, &mut expected, &mut accepted);
            deliver(rng, &mut c, outs, &mut replicas);
            let snapshot = c.snapshot();
            let versions: u64 = snapshot.sections.iter().map(|view| view.version).sum();
            assert_eq!((snapshot.seq, versions), (accepted, accepted), "D7");
            for (view, text) in snapshot.sections.iter().zip(&expected) {
                assert_eq!(view.text, **text, "D6");
            }
        }
        the_cuts_are_still_there(&c);
        while !replicas.values().all(|r| r.inbox.is_empty()) {
            deliver(rng, &mut c, Vec::new(), &mut replicas);
        }
        for replica in replicas.values() {
            assert_eq!((replica.seq, &replica.texts), (accepted, &expected), "D8");
        }
    });
}

fn random_step(
    rng: &mut Rng,
    c: &mut Coordinator,
    section: SectionId,
    now: Duration,
    expected: &mut [String],
    accepted: &mut u64,
) -> Vec<Out> {
    let who = holder(rng.pick(&["w1", "w2", "w3"]), rng.below(3) as u64);
    if rng.below(3) == 0 {
        return c.lock(&who, Lock::one(section, LEASE, OnBusy::Queue { until: None }), now).outs;
    }
    if rng.below(20) == 0 {
        return c.drop_holder(&who, now).outs;
    }
    let current = c.read(section).unwrap().version;
    let lease = c.lease(section, now).cloned();
    let text = match rng.below(3) {
        0 => soup(rng, 6),
        1 => format!("{}\n\n{}\n\n", rng.pick(&["# x", "   # y", "z\n==="]), soup(rng, 3)),
        _ => format!("# New\n{}\n", soup(rng, 2)),
    };
    let (who, edit) = match lease {
        Some(lease) if rng.below(4) > 0 => {
            let token = Token::from_u64(lease.token.as_u64() - u64::from(rng.below(5) == 0));
            (lease.holder.clone(), Edit::locked(section, token, text.clone()))
        }
        _ => (
            who,
            Edit::optimistic(
                section,
                current - current.min(u64::from(rng.below(5) == 0)),
                text.clone(),
            ),
        ),
    };
    let may = c.lease(section, now).is_none_or(|lease| {
        let replaced = lease.holder.agent() == who.agent() && lease.holder < who;
        replaced || (lease.holder == who && Some(lease.token) == edit.token)
    });
    let step = c.edit(&who, edit, now);
    if let Ok(done) = step.answer {
        assert!(may, "D2: accepted without the lock");
        *accepted += 1;
        assert_eq!((done.seq, done.version), (*accepted, current + 1));
        expected[section.index()] = text;
    }
    step.outs
}

/// Puts what was sent into inboxes; some of them are read now.
fn deliver(
    rng: &mut Rng,
    c: &mut Coordinator,
    outs: Vec<Out>,
    replicas: &mut BTreeMap<Holder, Replica>,
) {
    for out in outs {
        if let Out::ToSubscriber { to, delivery } = out {
            replicas.get_mut(&to).unwrap().inbox.push(delivery);
        }
    }
    let names: Vec<Holder> = replicas.keys().cloned().collect();
    for who in names {
        if rng.below(3) == 0 {
            let inbox = std::mem::take(&mut replicas.get_mut(&who).unwrap().inbox);
            for delivery in inbox {
                let seq = delivery.seq();
                replicas.get_mut(&who).unwrap().handle(delivery, c);
                for out in c.confirm(&who, seq).outs {
                    let Out::ToSubscriber { to, delivery } = out else { panic!("{out:?}") };
                    replicas.get_mut(&to).unwrap().inbox.push(delivery);
                }
            }
        }
    }
}

/// Loaded again, the document has every section boundary that it had, and maybe more.
fn the_cuts_are_still_there(c: &Coordinator) {
    let snapshot = c.snapshot();
    let again = Document::parse(&snapshot.to_markdown()).unwrap();
    assert_eq!(again.front(), &*snapshot.front);
    let mut at = 0;
    let starts: Vec<usize> = again
        .sections()
        .iter()
        .map(|section| {
            at += section.text().len();
            at - section.text().len()
        })
        .collect();
    let mut at = 0;
    for view in &snapshot.sections {
        assert!(starts.contains(&at), "{} moved in {:?}", view.id, snapshot.to_markdown());
        at += view.text.len();
    }
}
