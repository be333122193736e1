use super::{FrameError, Message, Presence};
use crate::{limits, mirror::ClientId};

fn client(id: u64) -> ClientId {
    ClientId::new(id).unwrap()
}

#[test]
fn frames_are_those_of_y_protocols() {
    let presence = |state| Presence { client: client(300), clock: 2, state };
    let table: &[(Message<'_>, &[u8])] = &[
        (Message::SyncStep1(&[0]), &[0, 0, 1, 0]),
        (Message::SyncStep2(&[0, 0]), &[0, 1, 2, 0, 0]),
        (Message::Update(&[7, 8, 9]), &[0, 2, 3, 7, 8, 9]),
        (
            Message::Awareness(vec![presence("null")]),
            &[1, 9, 1, 0xac, 2, 2, 4, b'n', b'u', b'l', b'l'],
        ),
        (Message::AuthDenied("no"), &[2, 0, 2, b'n', b'o']),
        (Message::QueryAwareness, &[3]),
    ];
    for (message, bytes) in table {
        assert_eq!(message.encode(), *bytes);
        assert_eq!(Message::decode(bytes).as_ref(), Ok(message));
    }
}

#[test]
fn a_frame_is_one_whole_message() {
    let table: &[(&[u8], FrameError)] = &[
        (&[], FrameError::Damaged),
        (&[0], FrameError::Damaged),
        (&[0, 2, 3, 7, 8], FrameError::Damaged),
        // Two messages, as some servers pack them: SyncStep1 and presence.
        (&[0, 0, 1, 0, 1, 1, 0], FrameError::Trailing),
        (&[3, 0], FrameError::Trailing),
        (&[1, 2, 0, 0], FrameError::Trailing),
        (&[0, 3, 0], FrameError::UnknownKind { kind: 3 }),
        (&[2, 1, 0], FrameError::UnknownKind { kind: 1 }),
        (&[100, 0], FrameError::UnknownKind { kind: 100 }),
        // 0 in two bytes; 2^53; more than 8 bytes.
        (&[0x80, 0], FrameError::Damaged),
        (&[1, 10, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10, 0], FrameError::Damaged),
        (&[0xff; 12], FrameError::Damaged),
        // A length that no memory has.
        (&[0, 2, 0xff, 0xff, 0xff, 0xff, 0x0f], FrameError::Damaged),
        (&[1, 2, 0xff, 0x7f], FrameError::TooManyClients { count: 0x3fff }),
        (&[2, 0, 1, 0xff], FrameError::Damaged),
    ];
    for (bytes, error) in table {
        assert_eq!(Message::decode(bytes), Err(*error), "{bytes:?}");
    }
    let long = vec![0; limits::FRAME_LEN_MAX + 1];
    assert_eq!(Message::decode(&long), Err(FrameError::TooLong { len: long.len() }));
}
