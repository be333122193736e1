//! What is put into a mailbox is in it, once.

use ggml_agent_core::store::{Accepted, Position, StoreError};
use ggml_agent_core::{Envelope, MessageId, MessageType, Priority, TraceContext};

use super::End;
use super::ground::{ALL, Ground, id, letter, letter_to, message_id, numbers, saying, urgent};

super::cases![
    nobody_has_a_mailbox_who_was_never_begun,
    a_message_is_kept_as_it_was_sent,
    positions_grow_over_both_lanes,
    a_message_comes_once,
    mailboxes_know_ids_for_themselves,
    an_id_is_known_after_its_message_was_applied,
    an_id_is_known_within_the_window_and_not_behind_it,
    a_refused_message_is_not_known,
    a_lane_is_read_in_pages,
];

fn nobody_has_a_mailbox_who_was_never_begun(ground: &mut Ground<'_>) {
    let unknown = StoreError::UnknownMailbox { agent: id("a") };
    ground.open("b");
    assert_eq!(ground.append(letter(1)), Err(unknown.clone()));
    assert_eq!(ground.page("a", Priority::Normal, 0, ALL), Err(unknown.clone()));
    let journal = ground.store().journal(id("a"), 0, ALL);
    assert_eq!(ground.run(journal), Err(unknown));
    ground.open("a");
    assert_eq!(ground.append(letter(1)), Ok(Accepted::At(Position(1))));
}

fn a_message_is_kept_as_it_was_sent(ground: &mut Ground<'_>) {
    let names = ["a", "käse/1 '\";--", "%_\\"];
    for name in names {
        ground.open(name);
    }
    let trace = TraceContext::new([7; 16], [9; 8], 1).expect("invariant: nothing is zero");
    let full = |to: &str, number, payload: Vec<u8>| {
        let envelope = Envelope::new(message_id(number), 123, id(to), MessageType::Task, payload);
        let envelope = envelope.sent_by(id("käse/1 '\";--")).answering(message_id(77));
        envelope.with_deadline_ms(u64::MAX).with_trace(trace)
    };
    let mut all = Vec::new();
    for name in names {
        let number = all.len() as u64 * 10;
        all.push(full(name, number + 1, vec![]));
        all.push(full(name, number + 2, (0..=255).collect()));
        all.push(full(name, number + 3, vec![b'x'; 300 * 1024]));
        all.push(letter_to(name, number + 4));
    }
    let last = MessageId::from_u128(u128::MAX);
    all.push(Envelope::new(last, u64::MAX, id("a"), MessageType::LockDenied, "last"));
    ground.send(all.clone());
    ground.holds(|ground| {
        let mut found = Vec::new();
        for name in names {
            found.extend(ground.lane_of(name).into_iter().map(|message| message.envelope));
        }
        let of = |name: &str| {
            all.iter().filter(|envelope| envelope.to == id(name)).cloned().collect::<Vec<_>>()
        };
        assert_eq!(found, names.map(of).concat());
    });
}

fn positions_grow_over_both_lanes(ground: &mut Ground<'_>) {
    ground.open("a");
    for (envelope, position) in [(letter(1), 1), (urgent(2), 2), (letter(3), 3), (urgent(4), 4)] {
        assert_eq!(ground.append(envelope), Ok(Accepted::At(Position(position))));
    }
    ground.holds(|ground| {
        let mut positions = Vec::new();
        for lane in [Priority::High, Priority::Normal] {
            let messages = ground.page("a", lane, 0, ALL).expect("it was begun");
            positions.extend(messages.iter().map(|message| message.position.0));
        }
        assert_eq!(positions, [2, 4, 1, 3]);
        assert_eq!(ground.waiting(), [2, 4, 1, 3]);
    });
    assert_eq!(ground.append(letter(5)), Ok(Accepted::At(Position(5))));
}

fn a_message_comes_once(ground: &mut Ground<'_>) {
    ground.open("a");
    ground.send([letter(1), letter(2)]);
    ground.holds(|ground| {
        // The id alone decides, in whatever lane and with whatever payload.
        for again in [letter(1), urgent(1), saying(2, "other")] {
            assert_eq!(ground.append(again), Ok(Accepted::Duplicate));
        }
        assert_eq!(ground.waiting(), [1, 2]);
    });
}

fn mailboxes_know_ids_for_themselves(ground: &mut Ground<'_>) {
    ground.open("a");
    ground.open("b");
    ground.send([letter_to("a", 1), letter_to("b", 1)]);
    assert_eq!(numbers(&ground.lane_of("a")), [1]);
    assert_eq!(numbers(&ground.lane_of("b")), [1]);
}

fn an_id_is_known_after_its_message_was_applied(ground: &mut Ground<'_>) {
    let opened = ground.open("a");
    ground.send([letter(1)]);
    let mut commit = super::ground::commit_of("a", &opened);
    commit.applied.normal = Position(1);
    ground.commit(commit).expect("good");
    ground.holds(|ground| {
        assert_eq!(ground.append(letter(1)), Ok(Accepted::Duplicate));
        assert_eq!(ground.waiting(), [0; 0]);
    });
    // A position is never given twice.
    assert_eq!(ground.append(letter(2)), Ok(Accepted::At(Position(2))));
}

fn an_id_is_known_within_the_window_and_not_behind_it(ground: &mut Ground<'_>) {
    let window = ground.dedupe_ids_max() as u64;
    if window > 1_000 {
        return;
    }
    ground.open("a");
    ground.send((1..=window).map(letter));
    assert_eq!(ground.append(letter(1)), Ok(Accepted::Duplicate));
    ground.send([letter(window + 1)]);
    ground.reopen(End::Cut);
    // A duplicate makes no id younger: the first one is forgotten now, and the second one is not.
    assert_eq!(ground.append(letter(2)), Ok(Accepted::Duplicate));
    ground.send([letter(1)]);
    ground.send([letter(2)]);
    assert_eq!(ground.append(letter(4)), Ok(Accepted::Duplicate));
}

fn a_refused_message_is_not_known(ground: &mut Ground<'_>) {
    assert!(ground.append(letter(1)).is_err());
    ground.open("a");
    ground.send([letter(1)]);
}

fn a_lane_is_read_in_pages(ground: &mut Ground<'_>) {
    ground.open("a");
    let all = (1..=10).map(|number| if number % 2 == 0 { urgent(number) } else { letter(number) });
    ground.send(all);
    ground.holds(|ground| {
        let rows: [(u64, usize, &[u128]); 8] = [
            (0, 2, &[1, 3]),
            (3, 2, &[5, 7]),
            (4, 2, &[5, 7]),
            (7, 9, &[9]),
            (9, 9, &[]),
            (0, 0, &[]),
            (0, usize::MAX, &[1, 3, 5, 7, 9]),
            (u64::MAX, usize::MAX, &[]),
        ];
        for (after, limit, numbers_there) in rows {
            let page = ground.page("a", Priority::Normal, after, limit).expect("it was begun");
            assert_eq!(numbers(&page), numbers_there, "{limit} behind {after}");
        }
    });
}
