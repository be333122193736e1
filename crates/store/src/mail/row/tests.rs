use ggml_agent_core::{Envelope, MessageId, MessageType};

use super::*;

/// At positions with gaps, as where the other lane's messages stand in between.
fn mails(n: u64, payload: usize) -> Vec<Mail> {
    let mut prev = 7;
    let mail = |at: u64| {
        let id = MessageId::from_u128(at.into());
        let to = "writer".parse().expect("an id");
        let envelope = Envelope::new(id, at, to, MessageType::User, vec![b'x'; payload]);
        let position = 10 + at * 3;
        let mail = Mail {
            position,
            prev,
            arrival: if at == 2 { 0 } else { 1000 + at },
            attempts: u32::from(at == 1),
            bytes: payload as u64,
            body: Body { inline: envelope.encode().expect("short"), blob: None },
            row: 10,
            ends_row: at == n - 1,
        };
        prev = position;
        mail
    };
    (0..n).map(mail).collect()
}

#[test]
fn a_run_says_what_was_put_into_it() {
    for n in [2, 5, RUN_LEN_MAX as u64] {
        let mails = mails(n, 50);
        let (row, taken) = Row::of(&mails);
        assert_eq!((taken as u64, row.position, row.prev), (n, 10, 7));
        assert_eq!(row.mails().expect("whole"), mails);
    }
}

#[test]
fn one_message_stands_as_in_format_1() {
    let mails = mails(1, 50);
    let (row, n) = Row::of(&mails);
    assert_eq!((n, &row.body), (1, &mails[0].body));
    assert_eq!(row.mails().expect("whole"), mails);
}

#[test]
fn a_run_is_bounded_by_count_and_bytes_and_holds_no_long_message() {
    assert_eq!(Row::of(&mails(100, 10)).1, RUN_LEN_MAX);
    // Each has 4,000 bytes and its header: the fifth is the first behind 16 KiB.
    assert_eq!(Row::of(&mails(100, 4000)).1, 5);
    assert_eq!(Row::of(&mails(100, PART_LEN_MAX)).1, 1);
    let mut mixed = mails(9, 10);
    mixed[4].body.blob = Some(crate::sum::Hash::of(b"large"));
    assert_eq!(Row::of(&mixed).1, 4);
    assert_eq!(Row::of(&mixed[4..]).1, 1);
}

#[test]
fn a_run_that_is_cut_anywhere_is_refused_or_ends_with_a_message() {
    let mails = mails(4, 50);
    let (row, _) = Row::of(&mails);
    let mut whole = 0;
    for len in 0..row.body.inline.len() {
        let inline = row.body.inline.slice(..len);
        let cut = Row { body: Body { inline, blob: None }, ..row.clone() };
        // Without its first byte it is an empty envelope, which whoever unpacks it refuses.
        let Ok(found) = cut.mails() else { continue };
        if len > 0 {
            whole += 1;
            assert_eq!(found.len(), whole);
        }
    }
    assert_eq!(whole, 3);
}
