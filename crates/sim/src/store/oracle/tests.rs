use super::*;

fn id(name: &str) -> AgentId {
    name.parse().expect("an id")
}

fn letter(sequence: u64) -> Letter {
    Letter { sender: id("s"), lane: Priority::Normal, sequence, says: sequence * 10 }
}

fn message(sequence: u64) -> MessageId {
    MessageId::from_u128(sequence.into())
}

fn sent(sequence: u64, heard: Heard) -> Sent {
    Sent { to: id("a"), letter: letter(sequence), id: Some(message(sequence)), heard }
}

fn accepted(sequence: u64) -> Sent {
    sent(sequence, Heard::Accepted(Some(Position(sequence))))
}

fn waiting(sequence: u64) -> Waiting {
    Waiting { position: Position(sequence), id: message(sequence), letter: letter(sequence) }
}

fn dead(sequence: u64) -> Dead {
    Dead { to: id("a"), id: message(sequence), letter: letter(sequence) }
}

/// Five accepted letters of which two were applied, two wait and one is dead, and one that nobody heard of.
fn good() -> History {
    let watermarks = Watermarks { normal: Position(3), ..Watermarks::default() };
    let mut sent: Vec<_> = (1..=5).map(accepted).collect();
    sent.push(super::tests::sent(6, Heard::Nothing));
    History {
        sent,
        kept: vec![Kept {
            agent: id("a"),
            applied: vec![letter(1), letter(3)],
            watermarks,
            waiting: vec![waiting(4), waiting(5)],
            outbox: vec![],
        }],
        dead: vec![dead(2)],
        effects: vec![
            Effect::Began(id("a"), Epoch(1)),
            Effect::Committed(id("a"), Epoch(1)),
            Effect::Began(id("b"), Epoch(7)),
            Effect::Began(id("a"), Epoch(2)),
            Effect::Committed(id("a"), Epoch(2)),
            Effect::Committed(id("b"), Epoch(7)),
        ],
    }
}

/// What is wrong with the good history after `change`.
fn after(change: impl FnOnce(&mut History)) -> Vec<Violation> {
    let mut history = good();
    change(&mut history);
    judge(&history)
}

#[test]
fn a_good_history_is_good() {
    assert_eq!(judge(&good()), []);
    assert_eq!(judge(&History::default()), []);
    // What nobody heard of may have arrived.
    assert_eq!(after(|history| history.kept[0].waiting.push(waiting(6))), []);
    // What an outbox holds is not lost.
    let promised = |history: &mut History| {
        history.sent.push(Sent { to: id("b"), id: None, ..accepted(1) });
        history.kept[0].outbox.push((id("b"), letter(1)));
    };
    assert_eq!(after(promised), []);
}

#[test]
fn an_accepted_letter_that_is_nowhere_is_lost() {
    let lost = |sequence| vec![Violation::Lost { to: id("a"), letter: letter(sequence) }];
    assert_eq!(after(|history| drop(history.kept[0].waiting.pop())), lost(5));
    // Its sender does not know its position: it asked again and heard of a duplicate.
    let unknown = |history: &mut History| {
        history.sent[0].heard = Heard::Accepted(None);
        history.kept[0].applied.remove(0);
    };
    assert_eq!(after(unknown), lost(1));
    assert_eq!(after(|history| history.sent.push(accepted(9))), lost(9));
}

#[test]
fn state_and_acknowledgement_are_one() {
    let forgotten = Violation::AcknowledgedWithoutState {
        to: id("a"),
        letter: letter(3),
        position: Position(3),
        watermark: Position(3),
    };
    assert_eq!(after(|history| drop(history.kept[0].applied.pop())), [forgotten]);
    let ahead = Violation::StateWithoutAcknowledgement {
        to: id("a"),
        letter: letter(4),
        position: Position(4),
    };
    assert_eq!(after(|history| history.kept[0].applied.push(letter(4))), [ahead]);
}

#[test]
fn what_nobody_sent_is_invented() {
    let invented = |place, letter: Letter| vec![Violation::Invented { to: id("a"), letter, place }];
    let other = Letter { says: 0, ..letter(7) };
    let says_other = Letter { says: 0, ..letter(6) };
    let state = |letter: &Letter| after(|history| history.kept[0].applied.push(letter.clone()));
    assert_eq!(state(&other), invented(Place::State, other.clone()));
    assert_eq!(state(&says_other), invented(Place::State, says_other.clone()));
    assert_eq!(
        after(|history| history.kept[0].waiting.push(waiting(7))),
        invented(Place::Mailbox, letter(7))
    );
    assert_eq!(
        after(|history| history.dead.push(dead(7))),
        invented(Place::DeadLetters, letter(7))
    );
}

#[test]
fn an_id_is_for_good() {
    let (to, letter, sent_as) = (id("a"), letter(6), message(6));
    let renamed = Violation::Renamed { to, letter, id: message(60), sent_as };
    let rename = |history: &mut History| {
        history.kept[0].waiting.push(Waiting { id: message(60), ..waiting(6) });
    };
    assert_eq!(after(rename), [renamed]);
}

#[test]
fn nothing_is_applied_twice_or_waits_twice() {
    let (to, letter_3) = (id("a"), letter(3));
    let twice = Violation::AppliedTwice { to, letter: letter_3, first: 1, again: 2 };
    assert_eq!(after(|history| history.kept[0].applied.push(letter(3))), [twice]);
    let (to, letter_5) = (id("a"), letter(5));
    let twice =
        Violation::WaitsTwice { to, letter: letter_5, first: Position(5), again: Position(9) };
    let wait = |history: &mut History| {
        history.kept[0].waiting.push(Waiting { position: Position(9), ..waiting(5) });
    };
    assert_eq!(after(wait), [twice]);
}

#[test]
fn the_order_of_a_sender_holds_in_each_lane() {
    let behind = |sequence, behind, place| {
        let (letter, behind) = (letter(sequence), letter(behind));
        vec![Violation::Reordered { to: id("a"), letter, behind, place }]
    };
    let state = after(|history| history.kept[0].applied.swap(0, 1));
    assert_eq!(state, behind(1, 3, Place::State));
    let mailbox = after(|history| history.kept[0].waiting.swap(0, 1));
    assert_eq!(mailbox, behind(4, 5, Place::Mailbox));
    // What waits is older than what was applied.
    let both = after(|history| {
        history.kept[0].waiting[0] = waiting(1);
        history.kept[0].applied[0] = letter(4);
        history.kept[0].applied.swap(0, 1);
    });
    assert_eq!(both, behind(1, 4, Place::Mailbox));
    // The lanes overtake each other.
    let high = Letter { lane: Priority::High, ..letter(6) };
    let other_lane = after(|history| {
        history.sent[5].letter = high.clone();
        history.kept[0].applied.insert(0, high);
    });
    assert_eq!(other_lane, []);
}

#[test]
fn a_dead_letter_is_nothing_else() {
    let (to, position) = (id("a"), Position(4));
    assert_eq!(
        after(|history| history.dead.push(dead(1))),
        [Violation::DeadAndApplied { to: to.clone(), letter: letter(1) }]
    );
    assert_eq!(
        after(|history| history.dead.push(dead(4))),
        [Violation::DeadAndWaiting { to: to.clone(), letter: letter(4), position }]
    );
    assert_eq!(
        after(|history| history.dead.push(dead(2))),
        [Violation::DeadTwice { to, letter: letter(2) }]
    );
}

#[test]
fn an_older_incarnation_commits_no_more() {
    let (agent, epoch, current) = (id("a"), Epoch(1), Epoch(2));
    let late = Effect::Committed(agent.clone(), epoch);
    assert_eq!(
        after(|history| history.effects.push(late)),
        [Violation::Unfenced { agent, epoch, current }]
    );
}
