//! Outbox, timers, and results of effects outside.

use ggml_agent_core::store::{Accepted, Commit, Once, Revision};
use ggml_agent_core::{Envelope, MessageType};

use super::ground::{
    Ground, assert_malformed, commit_of, id, letter, letter_to, message_id, numbers, timer, urgent,
};

super::cases![
    the_outbox_keeps_what_was_not_reported_as_sent,
    what_is_reported_and_unknown_is_nothing_to_speak_of,
    an_outbox_is_for_anybody,
    a_timer_is_kept_until_it_fires,
    a_timer_of_the_same_key_is_replaced,
    a_timer_is_cancelled,
    a_timer_that_fires_is_set,
    a_timer_is_for_the_agent_itself,
    a_timer_fires_behind_all_others_in_its_lane,
    the_id_of_a_fired_timer_is_known,
    a_timer_fires_and_is_set_again_in_one_commit,
    keys_are_any_text,
    the_first_result_of_a_key_stays,
    a_forgotten_result_may_be_kept_anew,
];

pub(super) fn once(key: &str, result: &'static str) -> Once {
    Once { key: key.into(), result: result.into() }
}

/// Commits what `change` makes of a commit that changes nothing.
#[track_caller]
fn change(ground: &mut Ground<'_>, change: impl FnOnce(&mut Commit)) {
    let opened = ground.open("a");
    let mut commit = commit_of("a", &opened);
    change(&mut commit);
    assert_eq!(ground.commit(commit), Ok(Revision(opened.revision.0 + 1)));
}

fn the_outbox_keeps_what_was_not_reported_as_sent(ground: &mut Ground<'_>) {
    // Not by id, and not by receiver: in the order of the commits.
    change(ground, |commit| commit.outbox = vec![letter_to("b", 5), letter_to("c", 3)]);
    change(ground, |commit| commit.outbox = vec![letter_to("b", 4), letter_to("b", 1)]);
    change(ground, |commit| {
        commit.sent = vec![message_id(4), message_id(5)];
        commit.outbox = vec![letter_to("d", 2)];
    });
    ground.holds(|ground| {
        let left = [letter_to("c", 3), letter_to("b", 1), letter_to("d", 2)];
        assert_eq!(ground.open("a").outbox, left);
    });
}

fn what_is_reported_and_unknown_is_nothing_to_speak_of(ground: &mut Ground<'_>) {
    change(ground, |commit| commit.outbox = vec![letter_to("b", 1)]);
    change(ground, |commit| commit.sent = vec![message_id(9), message_id(1), message_id(1)]);
    change(ground, |commit| commit.sent = vec![message_id(1)]);
    assert_eq!(ground.open("a").outbox, []);
}

fn an_outbox_is_for_anybody(ground: &mut Ground<'_>) {
    let full = Envelope::new(message_id(1), 9, id("who was never begun"), MessageType::Task, "x")
        .sent_by(id("a"))
        .answering(message_id(3));
    let all = [full, letter_to("a", 2), urgent(3), letter_to("b", 4)];
    change(ground, |commit| commit.outbox = all.to_vec());
    ground.holds(|ground| {
        assert_eq!(ground.open("a").outbox, all);
        assert_eq!(ground.waiting(), [0; 0], "it is sent by its owner, not by the store");
    });
}

fn a_timer_is_kept_until_it_fires(ground: &mut Ground<'_>) {
    let timers =
        [timer("a", 9, letter(1)), timer("b", u64::MAX, urgent(2)), timer("c", 0, letter(3))];
    let set = [2, 0, 1].map(|at| timers[at].clone());
    change(ground, |commit| commit.set = set.to_vec());
    ground.holds(|ground| {
        assert_eq!(ground.open("a").timers, timers, "by key");
        assert_eq!(ground.waiting(), [0; 0]);
    });
    change(ground, |commit| commit.fire = vec!["a".into(), "b".into()]);
    ground.holds(|ground| {
        assert_eq!(ground.open("a").timers, timers[2..]);
        assert_eq!(ground.waiting(), [2, 1]);
        assert_eq!(ground.lane_of("a")[0].envelope, letter(1));
    });
}

fn a_timer_of_the_same_key_is_replaced(ground: &mut Ground<'_>) {
    change(ground, |commit| commit.set = vec![timer("t", 1, letter(1))]);
    change(ground, |commit| commit.set = vec![timer("t", 2, letter(2)), timer("t", 3, letter(3))]);
    ground.holds(|ground| assert_eq!(ground.open("a").timers, [timer("t", 3, letter(3))]));
}

fn a_timer_is_cancelled(ground: &mut Ground<'_>) {
    change(ground, |commit| commit.set = vec![timer("t", 1, letter(1)), timer("u", 1, letter(2))]);
    change(ground, |commit| commit.cancel = vec!["t".into(), "never set".into(), "t".into()]);
    ground.holds(|ground| assert_eq!(ground.open("a").timers, [timer("u", 1, letter(2))]));
    // First what was is cancelled, then what will be is set.
    change(ground, |commit| {
        commit.cancel = vec!["u".into()];
        commit.set = vec![timer("u", 2, letter(3))];
    });
    ground.holds(|ground| assert_eq!(ground.open("a").timers, [timer("u", 2, letter(3))]));
}

fn a_timer_that_fires_is_set(ground: &mut Ground<'_>) {
    let opened = ground.open("a");
    let fire = vec!["t".into()];
    assert_malformed(ground.commit(Commit { fire: fire.clone(), ..commit_of("a", &opened) }));
    // Not by the same commit: what fires was set before.
    let set = vec![timer("t", 1, letter(1))];
    assert_malformed(ground.commit(Commit { fire: fire.clone(), set, ..commit_of("a", &opened) }));
    change(ground, |commit| commit.set = vec![timer("t", 1, letter(1))]);
    // Fired and cancelled at once: it fires.
    change(ground, |commit| {
        commit.fire = fire.clone();
        commit.cancel = fire.clone();
    });
    assert_eq!(ground.waiting(), [1]);
    let opened = ground.open("a");
    assert_malformed(ground.commit(Commit { fire, ..commit_of("a", &opened) }));
}

fn a_timer_is_for_the_agent_itself(ground: &mut Ground<'_>) {
    let opened = ground.open("a");
    ground.open("b");
    let set = vec![timer("t", 1, letter_to("b", 1))];
    assert_malformed(ground.commit(Commit { set, ..commit_of("a", &opened) }));
    assert_eq!(ground.open("a").timers, []);
}

fn a_timer_fires_behind_all_others_in_its_lane(ground: &mut Ground<'_>) {
    let set = vec![timer("1", 1, letter(91)), timer("2", 2, urgent(92)), timer("3", 3, letter(93))];
    change(ground, |commit| commit.set = set);
    ground.send([letter(1), urgent(2)]);
    // In the order in which they are named.
    change(ground, |commit| commit.fire = vec!["3".into(), "2".into(), "1".into()]);
    ground.send([letter(3)]);
    ground.holds(|ground| {
        assert_eq!(ground.waiting(), [2, 92, 1, 93, 91, 3]);
        let positions = ground.lane_of("a");
        let positions: Vec<_> = positions.iter().map(|message| message.position.0).collect();
        assert_eq!(positions, [1, 3, 5, 6]);
        assert!(ground.attempts().iter().all(|attempts| *attempts == 0));
    });
}

fn the_id_of_a_fired_timer_is_known(ground: &mut Ground<'_>) {
    change(ground, |commit| commit.set = vec![timer("t", 1, letter(1)), timer("u", 1, letter(2))]);
    change(ground, |commit| commit.fire = vec!["t".into()]);
    ground.holds(|ground| assert_eq!(ground.append(letter(1)), Ok(Accepted::Duplicate)));
    // That of one which is only set is not.
    ground.send([letter(2)]);
    assert_eq!(numbers(&ground.lane_of("a")), [1, 2]);
}

fn a_timer_fires_and_is_set_again_in_one_commit(ground: &mut Ground<'_>) {
    change(ground, |commit| commit.set = vec![timer("t", 1, letter(1))]);
    for round in 2..=4 {
        change(ground, |commit| {
            commit.fire = vec!["t".into()];
            commit.set = vec![timer("t", round, letter(round))];
        });
    }
    ground.holds(|ground| {
        assert_eq!(ground.waiting(), [1, 2, 3]);
        assert_eq!(ground.open("a").timers, [timer("t", 4, letter(4))]);
    });
}

fn keys_are_any_text(ground: &mut Ground<'_>) {
    let keys = ["", "%", "A", "a", "a'b\"c", "käse\u{0}x", "\u{10ffff}"];
    change(ground, |commit| {
        commit.set = keys.iter().map(|key| timer(key, 1, letter(1))).collect();
        commit.once = keys.iter().map(|key| once(key, "x")).collect();
    });
    ground.holds(|ground| {
        let opened = ground.open("a");
        assert!(opened.timers.iter().map(|timer| &*timer.key).eq(keys), "{:?}", opened.timers);
        assert!(opened.once.iter().map(|once| &*once.key).eq(keys), "{:?}", opened.once);
    });
    change(ground, |commit| {
        commit.cancel = vec!["a".into(), "".into()];
        commit.forget = vec!["A".into()];
    });
    let opened = ground.open("a");
    assert_eq!((opened.timers.len(), opened.once.len()), (keys.len() - 2, keys.len() - 1));
}

fn the_first_result_of_a_key_stays(ground: &mut Ground<'_>) {
    change(ground, |commit| commit.once = vec![once("k", "first"), once("k", "second")]);
    change(ground, |commit| commit.once = vec![once("k", "third"), once("j", "")]);
    ground.holds(|ground| {
        assert_eq!(ground.open("a").once, [once("j", ""), once("k", "first")], "by key");
    });
}

fn a_forgotten_result_may_be_kept_anew(ground: &mut Ground<'_>) {
    change(ground, |commit| commit.once = vec![once("k", "first")]);
    change(ground, |commit| commit.forget = vec!["k".into(), "never kept".into()]);
    ground.holds(|ground| assert_eq!(ground.open("a").once, []));
    change(ground, |commit| commit.once = vec![once("k", "second")]);
    ground.holds(|ground| assert_eq!(ground.open("a").once, [once("k", "second")]));
    // Kept and forgotten at once: it is forgotten.
    change(ground, |commit| {
        commit.once = vec![once("j", "third")];
        commit.forget = vec!["j".into()];
    });
    assert_eq!(ground.open("a").once, [once("k", "second")]);
}
