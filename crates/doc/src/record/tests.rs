//! Golden bytes, damage, and random work that is rebuilt again and again.

use std::time::Duration;

use ggml_agent_core::lease::{DEPTH_MAX, Kept, Limits, OnBusy, Op, OpId, Rank, Token};

use super::{Entry, FORMAT, Record, RecordError};
use smallvec::smallvec;

use crate::coordinator::{
    Coordinator, Edit, Holder, Kind, Lock, OnExit, Past, Restructure, StreamOpen, StreamPlace,
    Structure, Suggest, SuggestionId,
};
use crate::history::{Cause, History};
use crate::sheet::{Draft, OutlineChange};
use crate::soup::{Rng, each, soup};
use crate::{Change, Changes, Document, Mode, SectionId};

const LEASE: Duration = Duration::from_secs(30);

fn s(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn holder(agent: &str, incarnation: u64) -> Holder {
    Holder::new(agent.parse().unwrap(), incarnation)
}

fn started(document: &Document) -> Coordinator {
    let mut c = Coordinator::new(document);
    c.keep_entries();
    c
}

/// What form 1 knows: locks, and edits that replace the text of a section.
fn plain_sample() -> (Coordinator, Vec<Entry>) {
    let document = Document::parse("---\nt: x\n---\nIntro.\n\n# A\n\na é\n\n# B\n\nb\n").unwrap();
    let mut c = started(&document);
    let (one, two) = (holder("one", 1), holder("two", 3));
    let ids: Vec<SectionId> = document.sections().iter().map(|section| section.id()).collect();
    let token = |n| Token::from_u64(n);
    let lock = |id| Lock::one(id, LEASE, OnBusy::Deny);
    assert!(c.lock(&one, lock(ids[1]), s(1)).answer.is_ok());
    assert!(c.edit(&one, Edit::locked(ids[1], token(1), "# A\n\na è\n\n"), s(2)).answer.is_ok());
    assert!(c.renew(&one, ids[1], token(1), LEASE, s(3)).answer.is_ok());
    assert!(c.edit(&two, Edit::optimistic(ids[2], 0, "# B\n\nb\n\nb\n"), s(4)).answer.is_ok());
    assert!(c.lock(&two, lock(ids[0]), s(5)).answer.is_ok());
    assert!(c.release(&one, ids[1], token(1), s(6)).answer.is_ok());
    let entries = c.take_entries();
    (c, entries)
}

/// One of each entry, and the record behind them.
fn sample() -> (Coordinator, Vec<Entry>) {
    let (mut c, mut entries) = plain_sample();
    let person = Holder::of(Kind::Person, "anna".parse().unwrap(), 1);
    let [a, b] = [SectionId::nth(1), SectionId::nth(2)];
    let (new, archived) = (SectionId::nth(3), SectionId::nth(4));
    let draft = Draft {
        cause: Cause::Suggestion { by: holder("one", 1) },
        op: Some("op-1".parse().unwrap()),
        mark: None,
        is_typed: false,
        outline: vec![
            OutlineChange::Added { section: new, after: Some(a), from: Some((b, 3)) },
            OutlineChange::Added { section: archived, after: None, from: None },
            OutlineChange::Archived { section: archived },
            OutlineChange::Moved { section: b, after: Some(a) },
            OutlineChange::Mode { section: b, mode: Mode::SuggestOnly },
        ],
        edits: smallvec![
            (new, smallvec![Change { at: 0, del: 0, insert: "# N\n".into() }]),
            (archived, smallvec![Change { at: 0, del: 0, insert: "# O\n".into() }]),
            (
                a,
                smallvec![
                    Change { at: 4, del: 0, insert: "x".into() },
                    Change { at: 5, del: 2, insert: "y".into() },
                ]
            ),
        ],
    };
    c.draft(&person, draft, s(8)).unwrap();
    let restored = OutlineChange::Restored { section: archived, after: Some(new) };
    let cause = Cause::Revert { of: vec![(1, 1), (3, 3)] };
    let draft = Draft { cause, outline: vec![restored], ..Draft::default() };
    c.draft(&person, draft, s(9)).unwrap();
    beside_the_text(&mut c, &person);
    entries.extend(c.take_entries());
    (c, entries)
}

/// Streams, suggestions, and a section that is merged into another.
fn beside_the_text(c: &mut Coordinator, person: &Holder) {
    let section = SectionId::nth(1);
    let open = StreamOpen { section, place: StreamPlace::End, token: None, on_exit: OnExit::Abort };
    let stream = c.stream_open(person, open.clone(), s(10)).answer.unwrap();
    assert!(c.stream_push(person, stream, "Streamed.", s(10)).answer.is_ok());
    assert!(c.stream_commit(person, stream, s(10)).answer.is_ok());
    assert!(c.stream_open(person, open, s(10)).answer.is_ok());
    for n in 1..=3 {
        let suggest = Suggest {
            section,
            base: c.read(section).unwrap().version,
            changes: Changes::one(4, 0, "é"),
            note: "because".into(),
            op: (n < 3).then(|| format!("s-{n}").parse().unwrap()),
        };
        let id = c.suggest(&holder("two", 3), suggest, s(11)).answer.unwrap();
        assert_eq!(id.as_u64(), n);
    }
    assert!(c.accept(person, SuggestionId::from_u64(1), None, s(12)).answer.is_ok());
    assert!(c.reject(person, SuggestionId::from_u64(3), s(12)).answer.is_ok());
    let merge = Restructure::seen(c.outline_version(), Structure::Merge { section });
    assert!(c.restructure(person, merge, s(13)).answer.is_ok());
}

fn golden(form: u32, name: &str) -> Vec<u8> {
    let folder = format!("{}/../../tests/golden/document", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(format!("{folder}/v{form}/{name}.bin")).unwrap()
}

#[test]
fn d13_the_bytes_of_a_form_never_change() {
    let (mut c, mut entries) = sample();
    let record = c.record();
    assert!(c.end_all_lives(s(14)).outs.len() == 1);
    entries.extend(c.take_entries());
    assert_eq!(record.encode(), golden(2, "record"));
    assert_eq!(Record::decode(2, &golden(2, "record")), Ok(record));
    for (n, entry) in entries.iter().enumerate() {
        let bytes = golden(2, &format!("entry_{n}"));
        assert_eq!(entry.encode(), bytes, "{entry:?}");
        assert_eq!(Entry::decode(&bytes), Ok(entry.clone()));
    }
}

/// What locks have had since they are counted, preempted and reserved: it stands behind what was there.
#[test]
fn d13_counted_locks_and_reservations_are_kept_and_old_bytes_have_none() {
    let (section, one) = (SectionId::nth(1), holder("one", 1));
    let plain = Kept::new(section, one.clone(), Token::from_u64(1), LEASE);
    let op = OpId::from_u128(u128::MAX - 1);
    let deep = Kept {
        depth: 2,
        rank: Rank::Person,
        hold_max: Some(s(60)),
        ops: vec![
            Op::Lock(op),
            Op::Release(OpId::from_u128(7)),
            Op::Lock(OpId::from_u128(1 << 64)),
        ],
        ..plain.clone()
    };
    let entries = [
        ("held_deep", Entry::Held(deep)),
        ("reserved", Entry::Reserved { section, holder: holder("two", 3), length: s(20) }),
        ("unreserved", Entry::Unreserved { section, holder: holder("two", 3) }),
    ];
    let mut record = started(&document()).record();
    for (n, (name, entry)) in entries.iter().enumerate() {
        assert_eq!(entry.encode(), golden(FORMAT, name));
        assert_eq!(Entry::decode(&golden(FORMAT, name)).as_ref(), Ok(entry));
        record.apply(entry).unwrap();
        assert_eq!(Record::decode(FORMAT, &record.encode()).as_ref(), Ok(&record), "after {n}");
        if n == 1 {
            let mut next = Coordinator::resume(record.clone(), Limits::DEFAULT, s(100));
            assert_eq!(next.record(), record);
            assert_eq!(next.end_all_lives(s(101)).outs.len(), 2, "a lock and a reservation");
        }
    }
    assert!(record.apply(&entries[2].1).is_err(), "it was not reserved any more");
    let too_deep = Entry::Held(Kept { depth: DEPTH_MAX + 1, ..plain });
    assert!(matches!(Entry::decode(&too_deep.encode()), Err(RecordError::Damaged { .. })));
}

#[test]
fn d13_form_1_is_read_for_ever() {
    let (mut c, mut entries) = plain_sample();
    let mut record = c.record();
    record.history = History::default();
    // It does not say who wrote what.
    record.past = Past::new(&record.sheet);
    assert!(c.end_all_lives(s(7)).outs.len() == 1);
    entries.extend(c.take_entries());
    assert_eq!(Record::decode(1, &golden(1, "record")), Ok(record));
    let mut old = started(&document()).record();
    let mut new = old.clone();
    for (n, entry) in entries.iter().enumerate() {
        old.apply(&Entry::decode(&golden(1, &format!("entry_{n}"))).unwrap()).unwrap();
        new.apply(entry).unwrap();
        assert_eq!(old, new, "{entry:?}");
    }
}

#[test]
fn d13_a_newer_form_is_refused_by_name() {
    let (c, entries) = sample();
    let newer = RecordError::Newer { found: FORMAT + 1 };
    assert_eq!(Record::decode(FORMAT + 1, &c.record().encode()), Err(newer.clone()));
    let mut bytes = entries[0].encode().to_vec();
    bytes[0] += 1;
    assert_eq!(Entry::decode(&bytes), Err(newer.clone()));
    assert_eq!(
        newer.to_string(),
        "what is kept of the document has form 3, this release reads up to 2"
    );
}

#[test]
fn d13_damaged_bytes_give_an_error_and_never_a_panic() {
    let (c, entries) = sample();
    let bytes = c.record().encode();
    for len in 0..bytes.len() {
        assert!(Record::decode(FORMAT, &bytes[..len]).is_err(), "cut at {len}");
    }
    let start = Record::decode(FORMAT, &started(&document()).record().encode()).unwrap();
    each(3_000, "d13_damaged_bytes", |rng| {
        let mut bytes = bytes.to_vec();
        let entry = &entries[rng.below(entries.len())];
        let mut entry = entry.encode().to_vec();
        for bytes in [&mut bytes, &mut entry] {
            for _ in 0..=rng.below(3) {
                let at = rng.below(bytes.len());
                bytes[at] = u8::try_from(rng.below(256)).unwrap();
            }
        }
        // What passes for a record can be worked on, and written again.
        if let Ok(record) = Record::decode(FORMAT, &bytes) {
            let again = record.encode();
            assert_eq!(Record::decode(FORMAT, &again).as_ref(), Ok(&record));
            let mut c = Coordinator::resume(record, Limits::DEFAULT, s(0));
            drop(c.edit(&holder("x", 1), Edit::optimistic(SectionId::nth(0), 0, "x\n\n"), s(1)));
            drop(c.expire(s(1_000)));
        }
        if let Ok(entry) = Entry::decode(&entry) {
            drop(start.clone().apply(&entry));
        }
    });
}

#[test]
fn d13_entries_that_do_not_follow_are_refused() {
    let (_, entries) = sample();
    let start = started(&document()).record();
    for at in 0..entries.len() {
        let mut record = start.clone();
        for entry in entries[..at].iter() {
            record.apply(entry).unwrap();
        }
        if !matches!(entries[at], Entry::AliveFrom { .. } | Entry::Held(_)) {
            record.apply(&entries[at]).unwrap();
            assert!(record.apply(&entries[at]).is_err(), "twice: {:?}", entries[at]);
        }
    }
    let mut gap = start.clone();
    let edit = entries.iter().rfind(|entry| matches!(entry, Entry::Updated(_))).unwrap();
    let error = gap.apply(edit).unwrap_err();
    assert_eq!(
        error.to_string(),
        "what is kept of the document is damaged: update 7 does not follow update 0"
    );
}

fn document() -> Document {
    Document::parse("---\nt: x\n---\nIntro.\n\n# A\n\na é\n\n# B\n\nb\n").unwrap()
}

/// A command, drawn once and given to several coordinators.
fn command(rng: &mut Rng, c: &Coordinator, n_sections: usize, now: Duration) -> Command {
    let who = holder(rng.pick(&["w1", "w2", "w3"]), 1 + rng.below(3) as u64);
    let section = SectionId::nth(rng.below(n_sections));
    let lease = c.lease(section, now).cloned();
    let (who, token) = match lease {
        Some(lease) if rng.below(4) > 0 => (lease.holder, Some(lease.token)),
        Some(lease) => (who, Some(lease.token)),
        None => (who, None),
    };
    let token_or_old = token.unwrap_or(Token::from_u64(1 + rng.below(5) as u64));
    match rng.below(12) {
        0..=2 => {
            let lease = Duration::from_millis(1 + rng.below(60_000) as u64);
            let mut lock = Lock::one(section, lease, OnBusy::Deny);
            lock.sections.insert(SectionId::nth(rng.below(n_sections)));
            Command::Lock(who, lock)
        }
        3..=7 => {
            let text = match rng.below(3) {
                0 => soup(rng, 6),
                1 => format!("# x\n\n{}\n\n", soup(rng, 3)),
                _ => format!("{}more\n\n", c.read(section).unwrap().text),
            };
            let base = c.read(section).unwrap().version;
            let edit = match token {
                Some(token) => Edit::locked(section, token, text),
                None => {
                    Edit::optimistic(section, base - base.min(u64::from(rng.below(9) == 0)), text)
                }
            };
            Command::Edit(who, edit)
        }
        8 => Command::Renew(who, section, token_or_old),
        9 => Command::Release(who, section, token_or_old),
        10 => Command::Drop(who),
        _ => Command::Expire,
    }
}

#[derive(Debug)]
enum Command {
    Lock(Holder, Lock),
    Edit(Holder, Edit),
    Renew(Holder, SectionId, Token),
    Release(Holder, SectionId, Token),
    Drop(Holder),
    Expire,
}

impl Command {
    /// What `c` decides, in words that can be compared.
    fn give(&self, c: &mut Coordinator, now: Duration) -> String {
        match self {
            Self::Lock(who, lock) => format!("{:?}", c.lock(who, lock.clone(), now)),
            Self::Edit(who, edit) => format!("{:?}", c.edit(who, edit.clone(), now)),
            Self::Renew(who, section, token) => {
                let step = c.renew(who, *section, *token, LEASE, now);
                format!("{:?}", (step.answer.map(drop), step.outs))
            }
            Self::Release(who, section, token) => {
                format!("{:?}", c.release(who, *section, *token, now))
            }
            Self::Drop(who) => format!("{:?}", c.drop_holder(who, now)),
            Self::Expire => format!("{:?}", c.expire(now)),
        }
    }
}

/// Deadlines are what differs.
fn without_moments(answer: &str) -> String {
    let mut words = answer.split(' ');
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        kept.push(word);
        if matches!(word, "deadline:" | "until:") {
            words.next();
        }
    }
    kept.join(" ")
}

#[test]
fn d11_what_is_kept_makes_a_coordinator_that_decides_as_the_old_one() {
    each(400, "d11_what_is_kept", |rng| {
        let document = Document::parse(&soup(rng, 20)).unwrap();
        let n_sections = document.sections().len();
        let mut live = started(&document);
        let mut snapshot = live.record().encode();
        let mut journal = Vec::new();
        let mut now = Duration::ZERO;
        for _ in 0..60 {
            now += Duration::from_millis(rng.below(8_000) as u64);
            let command = command(rng, &live, n_sections, now);
            command.give(&mut live, now);
            journal.extend(live.take_entries().iter().map(Entry::encode));
            if rng.below(10) == 0 {
                snapshot = live.record().encode();
                journal.clear();
            }
            if rng.below(4) > 0 {
                continue;
            }
            // A lease that is over and was not yet swept begins anew as well: compared are the others.
            drop(live.expire(now));
            journal.extend(live.take_entries().iter().map(Entry::encode));
            let mut record = Record::decode(FORMAT, &snapshot).unwrap();
            for entry in &journal {
                record.apply(&Entry::decode(entry).unwrap()).unwrap();
            }
            assert_eq!(record, live.record());
            // It goes on as the living one would with every lease begun anew.
            let mut resumed = Coordinator::resume(record, Limits::DEFAULT, now);
            let deadlines: Vec<Duration> = live
                .snapshot()
                .sections
                .iter()
                .filter_map(|view| live.lease(view.id, now).map(|lease| (view.id, lease.deadline)))
                .map(|(id, deadline)| {
                    let lease = resumed.lease(id, now).expect("held");
                    assert!(lease.deadline >= deadline, "D12: shortened");
                    lease.deadline
                })
                .collect();
            assert!(deadlines.iter().all(|deadline| *deadline > now));
            let mut old = live.clone();
            let mut new = resumed.clone();
            for _ in 0..5 {
                let command = self::command(rng, &new, n_sections, now);
                let (answer, expected) = (command.give(&mut new, now), command.give(&mut old, now));
                assert_eq!(without_moments(&answer), without_moments(&expected), "{command:?}");
            }
            if rng.below(8) == 0 {
                assert!(resumed.end_all_lives(now).outs.len() >= deadlines.len());
                assert_eq!(resumed.next_deadline(), None);
            }
            if rng.below(3) == 0 {
                // The process that was is gone: this one is the living one now.
                resumed.keep_entries();
                live = resumed;
                live.take_entries();
                snapshot = live.record().encode();
                journal.clear();
            }
        }
    });
}
