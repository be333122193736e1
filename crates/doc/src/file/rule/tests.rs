//! Histories, and what is done.

use super::*;

type E = Event<&'static str>;
type C = Command<&'static str>;

const AFTER: Duration = Duration::from_millis(300);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn print(n: u64) -> Fingerprint {
    Fingerprint { len: 10, modified: i128::from(n), changed: 0, inode: 1 }
}

const EMPTY: Fingerprint = Fingerprint { len: 0, modified: 9, changed: 9, inode: 1 };

fn polled(n: u64) -> E {
    Event::Polled(Some(print(n)))
}

/// A rule that knows the file, and is sure.
fn sure(n: u64) -> Rule {
    let mut rule = Rule::new(AFTER);
    assert_eq!(rule.on::<&str>(Event::Same(print(n)), ms(0)), []);
    rule
}

/// Each event, half a second after the one before, and what is done.
fn check(name: &str, mut rule: Rule, history: Vec<(E, Vec<C>)>) -> Rule {
    for (n, (event, commands)) in (0..).zip(history) {
        let now = ms(500 * n);
        let text = format!("{name}, event {n}: {event:?}");
        assert_eq!(rule.on(event, now), commands, "{text}");
    }
    rule
}

fn write() -> C {
    Command::Write { may_create: false }
}

fn create() -> C {
    Command::Write { may_create: true }
}

#[test]
fn d23_a_change_of_the_document_is_written_after_a_moment() {
    let wait = |ms_: u64| vec![Command::Wait(ms(ms_))];
    check(
        "one write for many changes",
        sure(1),
        vec![
            (Event::Changed, wait(300)),
            (Event::Changed, vec![]),
            (Event::Due, vec![write()]),
            (Event::Written { is: Some(print(2)) }, vec![]),
            (Event::Due, vec![]),
            (Event::Changed, wait(2_800)),
        ],
    );
    check(
        "a file that was never there",
        Rule::new(AFTER),
        vec![(Event::Changed, wait(300)), (Event::Due, vec![create()])],
    );
    check(
        "nothing to do is nothing done",
        sure(1),
        vec![(polled(1), vec![]), (Event::Due, vec![]), (Event::Stop, vec![])],
    );
    check(
        "at the end at once",
        sure(1),
        vec![
            (Event::Changed, wait(300)),
            (Event::Stop, vec![write()]),
            (Event::Written { is: Some(print(2)) }, vec![]),
        ],
    );
}

#[test]
fn d24_an_outside_change_is_read_when_it_is_at_rest_and_before_anything_is_written() {
    let taken = Event::Taken { is: print(3), has_conflicts: false };
    check(
        "it is still being written",
        sure(1),
        vec![
            (polled(2), vec![]),
            (Event::Changed, vec![Command::Wait(ms(800))]),
            (Event::Due, vec![]),
            (polled(3), vec![]),
            (polled(3), vec![Command::Read]),
            (taken, vec![Command::Wait(ms(2_800))]),
            (Event::Due, vec![write()]),
        ],
    );
    check(
        "cut off first, and written then",
        sure(1),
        vec![
            (Event::Polled(Some(EMPTY)), vec![]),
            (Event::Polled(Some(EMPTY)), vec![]),
            (Event::Polled(Some(EMPTY)), vec![]),
            (polled(2), vec![]),
            (polled(2), vec![Command::Read]),
        ],
    );
    check(
        "empty on purpose",
        sure(1),
        vec![
            (Event::Polled(Some(EMPTY)), vec![]),
            (Event::Polled(Some(EMPTY)), vec![]),
            (Event::Polled(Some(EMPTY)), vec![]),
            (Event::Polled(Some(EMPTY)), vec![]),
            (Event::Polled(Some(EMPTY)), vec![Command::Read]),
        ],
    );
    check(
        "seen only when it is to be written",
        sure(1),
        vec![
            (Event::Changed, vec![Command::Wait(ms(300))]),
            (Event::Due, vec![write()]),
            (Event::Outside, vec![]),
            // Nothing shows: it has been changed within a tick.
            (polled(1), vec![Command::Read]),
            (Event::Taken { is: print(1), has_conflicts: false }, vec![Command::Wait(ms(2_300))]),
        ],
    );
    let mut history: Vec<(E, Vec<C>)> = (0..20).map(|n| (polled(100 + n), vec![])).collect();
    history.push((polled(200), vec![Command::Read]));
    check("never at rest", sure(1), history);
    check(
        "the document cannot take it now",
        sure(1),
        vec![
            (polled(2), vec![]),
            (polled(2), vec![Command::Read]),
            (Event::NotNow, vec![]),
            (polled(2), vec![Command::Read]),
            (Event::Elusive, vec![]),
            (polled(3), vec![]),
            (polled(3), vec![Command::Read]),
        ],
    );
}

#[test]
fn d24_what_was_written_or_read_is_compared_once_more() {
    check(
        "after a write",
        sure(1),
        vec![
            (Event::Changed, vec![Command::Wait(ms(300))]),
            (Event::Due, vec![write()]),
            (Event::Written { is: Some(print(2)) }, vec![]),
            (polled(2), vec![]),
            (polled(2), vec![Command::Read]),
            (Event::Elusive, vec![]),
            (polled(2), vec![Command::Read]),
            (Event::Same(print(2)), vec![]),
            (polled(2), vec![]),
            (polled(2), vec![]),
        ],
    );
}

#[test]
fn d24_what_was_not_taken_is_saved_before_the_file_is_written() {
    check(
        "first saved",
        sure(1),
        vec![
            (polled(2), vec![]),
            (polled(2), vec![Command::Read]),
            (Event::Taken { is: print(2), has_conflicts: true }, vec![Command::Save]),
            (
                Event::NotSaved("full"),
                vec![Command::TellNotWritten("full"), Command::Wait(ms(3_500))],
            ),
            (Event::Changed, vec![]),
            (Event::Due, vec![Command::Save]),
            (Event::NotSaved("full"), vec![Command::Wait(ms(5_000))]),
            (Event::Stop, vec![Command::Save]),
            (Event::Saved, vec![write()]),
        ],
    );
}

#[test]
fn d23_a_file_that_vanished_is_written_again_after_two_polls() {
    check(
        "gone",
        sure(1),
        vec![
            (Event::Polled(None), vec![]),
            (Event::Changed, vec![Command::Wait(ms(800))]),
            (Event::Due, vec![]),
            (Event::Polled(None), vec![Command::TellMissing, create()]),
            (
                Event::NotWritten("why"),
                vec![Command::TellNotWritten("why"), Command::Wait(ms(4_000))],
            ),
            (Event::Polled(None), vec![]),
            (Event::Due, vec![create()]),
            (Event::Written { is: Some(print(2)) }, vec![]),
        ],
    );
    check(
        "saved by renaming",
        sure(1),
        vec![(Event::Polled(None), vec![]), (polled(2), vec![]), (polled(2), vec![Command::Read])],
    );
}

#[test]
fn d23_a_file_that_cannot_be_read_is_left_alone() {
    let refused = |n| Event::Refused { is: Some(print(n)), why: "not UTF-8" };
    check(
        "left alone",
        sure(1),
        vec![
            (polled(2), vec![]),
            (polled(2), vec![Command::Read]),
            (refused(2), vec![Command::TellRefused("not UTF-8")]),
            (Event::Changed, vec![Command::Wait(ms(1_800))]),
            (Event::Due, vec![]),
            (polled(2), vec![]),
            (Event::Stop, vec![]),
        ],
    );
    check(
        "once told, and tried again when it is another",
        sure(1),
        vec![
            (Event::Refused { is: None, why: "a" }, vec![Command::TellRefused("a")]),
            (Event::Refused { is: None, why: "a" }, vec![]),
            (polled(1), vec![]),
            (polled(1), vec![Command::Read]),
            (Event::Same(print(1)), vec![]),
            (Event::Changed, vec![Command::Wait(ms(2_800))]),
            (Event::Due, vec![write()]),
        ],
    );
}

#[test]
fn d23_a_bad_spell_is_told_once_and_tried_again() {
    check(
        "full",
        sure(1),
        vec![
            (Event::Changed, vec![Command::Wait(ms(300))]),
            (Event::Due, vec![write()]),
            (
                Event::NotWritten("full"),
                vec![Command::TellNotWritten("full"), Command::Wait(ms(3_000))],
            ),
            (Event::Due, vec![write()]),
            (Event::NotWritten("full"), vec![Command::Wait(ms(4_000))]),
            (Event::Due, vec![write()]),
            (Event::Written { is: Some(print(2)) }, vec![]),
            (Event::Changed, vec![Command::Wait(ms(3_800))]),
            (Event::Due, vec![write()]),
            (
                Event::NotWritten("full"),
                vec![Command::TellNotWritten("full"), Command::Wait(ms(6_500))],
            ),
        ],
    );
}

#[test]
fn d24_at_the_end_an_outside_change_is_taken_before_the_last_write() {
    let taken = |n| Event::Taken { is: print(n), has_conflicts: false };
    check(
        "known",
        sure(1),
        vec![(polled(2), vec![]), (Event::Stop, vec![Command::Read]), (taken(2), vec![write()])],
    );
    check(
        "found",
        sure(1),
        vec![
            (Event::Changed, vec![Command::Wait(ms(300))]),
            (Event::Stop, vec![write()]),
            (Event::Outside, vec![Command::Read]),
            (taken(2), vec![write()]),
            (Event::Outside, vec![Command::Read]),
            (taken(3), vec![write()]),
            // Somebody writes all the time: the file is his.
            (Event::Outside, vec![]),
        ],
    );
}
