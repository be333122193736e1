//! Writes happen in the order in which they are begun, whoever listens.

use std::thread;

use ggml_agent_core::store::{Accepted, Commit, Position, Revision, Write, Written};

use super::End;
use super::ground::{ALL, Ground, commit_of, id, letter, timer};

super::cases![
    many_writes_at_once_come_in_order,
    writes_of_several_threads_keep_each_its_order,
    a_read_sees_what_was_begun_before_it,
    an_answer_that_nobody_hears_is_no_loss,
    what_survives_of_writes_without_an_answer_is_a_prefix,
    a_commit_without_an_answer_happened_whole_or_not_at_all,
    what_was_answered_survives,
];

fn many_writes_at_once_come_in_order(ground: &mut Ground<'_>) {
    ground.open("a");
    let store = ground.store();
    let answers: Vec<_> = (1..=300).map(|number| (number, store.append(letter(number)))).collect();
    // Whoever listens to the last one first.
    for (position, answer) in answers.into_iter().rev() {
        assert_eq!(ground.run(answer), Ok(Accepted::At(Position(position))));
    }
    drop(store);
    ground.holds(|ground| assert!(ground.waiting().into_iter().eq(1..=300)));
}

fn writes_of_several_threads_keep_each_its_order(ground: &mut Ground<'_>) {
    ground.open("a");
    let store = ground.store();
    let begin = &|thread: u64| {
        let numbers = thread * 100..thread * 100 + 50;
        numbers.map(|number| store.append(letter(number))).collect::<Vec<_>>()
    };
    let answers: Vec<_> = thread::scope(|scope| {
        let threads = [1, 2, 3, 4].map(|thread| scope.spawn(move || begin(thread)));
        threads.into_iter().flat_map(|thread| thread.join().expect("it only writes")).collect()
    });
    for answer in answers {
        let answer = ground.run(answer);
        assert!(matches!(answer, Ok(Accepted::At(_))), "{answer:?}");
    }
    drop(store);
    ground.holds(|ground| {
        let waiting = ground.waiting();
        for thread in [1, 2, 3, 4] {
            let of_thread = waiting.iter().copied().filter(|number| number / 100 == thread);
            assert!(of_thread.eq(thread * 100..thread * 100 + 50), "{waiting:?}");
        }
    });
}

fn a_read_sees_what_was_begun_before_it(ground: &mut Ground<'_>) {
    let opened = ground.open("a");
    let store = ground.store();
    for number in 1..=50 {
        let appended = store.append(letter(number));
        let found = store.messages(id("a"), Default::default(), Position(0), ALL);
        assert_eq!(ground.run(found).map(|found| found.len() as u64), Ok(number));
        assert_eq!(ground.run(appended), Ok(Accepted::At(Position(number))));
    }
    let mut commit = commit_of("a", &opened);
    commit.applied.normal = Position(49);
    let committed = store.commit(commit);
    let found = store.messages(id("a"), Default::default(), Position(0), ALL);
    assert_eq!(ground.run(found).map(|found| found.len()), Ok(1));
    assert_eq!(ground.run(committed), Ok(Revision(1)));
}

fn an_answer_that_nobody_hears_is_no_loss(ground: &mut Ground<'_>) {
    ground.open("a");
    for number in 1..=20 {
        drop(ground.store().write(Write::Append(letter(number))));
    }
    assert_eq!(ground.append(letter(21)), Ok(Accepted::At(Position(21))));
    ground.holds(|ground| assert!(ground.waiting().into_iter().eq(1..=21)));
}

fn what_survives_of_writes_without_an_answer_is_a_prefix(ground: &mut Ground<'_>) {
    ground.open("a");
    ground.open("b");
    if !ground.survives() {
        return;
    }
    let mut n_before = 0;
    for round in 0..20 {
        let begin = round * 100 + 1;
        for number in begin..begin + 12 {
            drop(ground.store().write(Write::Append(letter(number))));
        }
        ground.reopen(End::Cut);
        let waiting = ground.waiting();
        let kept = &waiting[n_before..];
        assert!(kept.iter().copied().eq((begin.into()..).take(kept.len())), "{kept:?}");
        n_before = waiting.len();
    }
}

fn a_commit_without_an_answer_happened_whole_or_not_at_all(ground: &mut Ground<'_>) {
    ground.open("a");
    if !ground.survives() {
        return;
    }
    for round in 1..=20 {
        let opened = ground.open("a");
        assert!(opened.timers.len() <= 1 && opened.outbox.len() <= 1);
        let number = round * 10;
        ground.send([letter(number)]);
        let before = ground.everything();
        let opened = ground.open("a");
        let commit = Commit {
            snapshot: Some(super::state::snapshot(1, &format!("state {round}"))),
            journal: vec![format!("entry {round}").into()],
            applied: up_to_the_last(ground),
            dead: Vec::new(),
            outbox: vec![super::ground::letter_to("b", number + 1)],
            sent: opened.outbox.iter().map(|envelope| envelope.id).collect(),
            set: vec![timer(&format!("timer {round}"), round, letter(number + 2))],
            cancel: opened.timers.iter().map(|timer| timer.key.clone()).collect(),
            fire: Vec::new(),
            once: vec![super::effects::once(&format!("once {round}"), "done")],
            forget: opened.once.iter().map(|once| once.key.clone()).collect(),
            ..commit_of("a", &opened)
        };
        drop(ground.store().write(Write::Commit(Box::new(commit.clone()))));
        ground.reopen(End::Cut);
        let after = ground.open("a");
        if after.revision == opened.revision {
            assert_eq!(ground.everything(), before, "not at all");
            continue;
        }
        assert_eq!(after.revision, Revision(opened.revision.0 + 1));
        assert_eq!(after.snapshot, commit.snapshot);
        assert_eq!(
            (after.journal_after + 1, ground.journal(0, ALL).len()),
            (after.journal_last, 1)
        );
        assert_eq!((after.applied, after.queued), (commit.applied, 0));
        assert_eq!((after.outbox, after.timers), (commit.outbox, commit.set));
        assert_eq!(after.once, commit.once);
    }
}

fn up_to_the_last(ground: &mut Ground<'_>) -> ggml_agent_core::store::Watermarks {
    let last = ground.lane_of("a").last().map_or(Position(0), |message| message.position);
    super::ground::up_to(0, last.0)
}

fn what_was_answered_survives(ground: &mut Ground<'_>) {
    ground.open("a");
    for number in 1..=20 {
        assert_eq!(
            ground.write(Write::Append(letter(number))),
            Ok(Written::Accepted(Accepted::At(Position(number))))
        );
        ground.reopen(if number % 2 == 0 { End::Close } else { End::Cut });
        assert!(ground.waiting().into_iter().eq(1..=number.into()));
    }
}
