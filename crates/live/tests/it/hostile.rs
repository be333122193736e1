//! Clients that are no editors of this document, or broken ones.

use crate::{node::Node, random::Random};
use bytes::Bytes;
use ggml_agent_live::{
    mirror::{
        Boot, ClientId, Entry, Malformed, Mirror, ReceiveError, Received, SectionId, Seed, Splice,
        Verdict, YrsMirror,
    },
    protocol::{Message, Presence},
    room::{ConnId, Room, User, UserKind},
};
use std::time::Duration;
use yrs::updates::decoder::Decode;
use yrs::{Doc, OffsetKind, Options, ReadTxn, StateVector, Text, Transact, Update};

/// Damaged frames in a run.
const FRAMES: usize = 20_000;
/// After so many the room is opened anew, so that a failure has a short history.
const FRAMES_PER_ROOM: usize = 200;

const A: ConnId = ConnId(1);
const NOW: Duration = Duration::ZERO;

fn section(id: &str) -> SectionId {
    id.parse().unwrap()
}

fn mirror(text: &str) -> YrsMirror {
    let boot = Boot { epoch: 1, client: ClientId::small(4) };
    let seeds = ["s1", "s2"].map(|id| Seed::new(section(id), text, Entry::default()));
    YrsMirror::open(boot, seeds.to_vec()).unwrap()
}

fn accept(mirror: &mut YrsMirror, update: &[u8]) -> Result<Received, ReceiveError> {
    mirror.receive(update, &mut |_| Verdict::Accept)
}

fn open_room() -> Room<YrsMirror> {
    Room::new("plan", mirror("Grüße 😀, 漢字.\n"), NOW)
}

fn connect(room: &mut Room<YrsMirror>) {
    let (name, colour) = ("mallory".to_owned(), "red".to_owned());
    let user = User { name, colour, kind: UserKind::Person, may_write: true };
    let at = room.name().clone();
    room.connect(A, &at, user, NOW).unwrap();
}

/// Frames as an editor really sends them.
fn frames() -> Vec<Bytes> {
    let mut mirror = mirror("Grüße 😀, 漢字.\n");
    let doc = Doc::with_options(Options {
        offset_kind: OffsetKind::Utf16,
        ..Options::with_client_id(yrs::ClientID::new(77))
    });
    let all = mirror.diff(&[0]).unwrap();
    doc.transact_mut().apply_update(Update::decode_v1(&all).unwrap()).unwrap();
    let texts = ["s/s1", "s/s2"].map(|root| doc.get_or_insert_text(root));
    let mut frames = vec![Message::SyncStep1(&mirror.state_vector()).encode()];
    for (at, del, insert) in [(0, 0, "a😀b"), (3, 2, ""), (2, 1, "ü"), (7, 4, "x"), (0, 9, "漢")]
    {
        let mut txn = doc.transact_mut();
        for text in &texts {
            text.remove_range(&mut txn, at, del);
            text.insert(&mut txn, at, insert);
        }
        frames.push(Message::Update(&txn.encode_update_v1()).encode());
    }
    // With items of the mirror among the neighbours.
    mirror.apply(&section("s1"), &[Splice::insert(1, "!")]).unwrap();
    let whole = doc.transact().encode_diff_v1(&StateVector::default());
    frames.push(Message::SyncStep2(&whole).encode());
    let client = ClientId::new(77).unwrap();
    let presence = Presence { client, clock: 3, state: r#"{"cursor":{"at":[1,"😀"]}}"# };
    frames.push(Message::Awareness(vec![presence]).encode());
    frames.push(Message::QueryAwareness.encode());
    frames
}

/// `frame` with a few bytes changed, lost, doubled, or from another frame.
fn damaged(random: &mut Random, frames: &[Bytes]) -> Vec<u8> {
    let mut frame = frames[random.below(frames.len())].to_vec();
    for _ in 0..1 + random.below(3) {
        let at = random.below(frame.len().max(1));
        let end = (at + random.below(6)).min(frame.len());
        match random.below(6) {
            _ if frame.is_empty() => {}
            0 => frame[at] = u8::try_from(random.below(256)).unwrap(),
            1 => frame[at] ^= 1 << random.below(8),
            2 => frame.truncate(at),
            3 => drop(frame.drain(at..end)),
            4 => frame.extend_from_within(at..end),
            _ => {
                let other = &frames[random.below(frames.len())];
                let from = random.below(other.len());
                frame.splice(at..end, other[from..(from + 6).min(other.len())].iter().copied());
            }
        }
    }
    repaired(frame)
}

/// The length of an update set right, so that damage reaches what is inside of it.
fn repaired(frame: Vec<u8>) -> Vec<u8> {
    match frame.as_slice() {
        [0, kind @ (1 | 2), _, body @ ..] if body.len() < 128 => {
            [&[0, *kind, u8::try_from(body.len()).unwrap()], body].concat()
        }
        _ => frame,
    }
}

#[test]
fn damaged_frames_are_refused_or_taken_and_never_break_the_room() {
    let frames = frames();
    let mut room = open_room();
    let (mut taken, mut closed, mut refused) = (0, 0, 0);
    for seed in 0..FRAMES {
        let mut random = Random::new(seed as u64);
        if seed % FRAMES_PER_ROOM == 0 {
            room = open_room();
        }
        if room.n_connections() == 0 {
            connect(&mut room);
        }
        let before = room.mirror().text(&section("s1")).unwrap().to_owned();
        let frame = damaged(&mut random, &frames);
        let held = random.one_in(2);
        let step = room.frame(A, &frame, NOW, &mut |id| {
            if held && id.as_str() == "s1" { Verdict::Refuse } else { Verdict::Accept }
        });
        let after = room.mirror().text(&section("s1")).unwrap();
        assert!(room.mirror().agrees(), "seed {seed}: {frame:?}");
        assert!(!held || before == after, "seed {seed}: {frame:?}");
        let mut model = before;
        for (_, splices) in step.changes.iter().filter(|(id, _)| id.as_str() == "s1") {
            splices.iter().for_each(|splice| splice.apply(&mut model).unwrap());
        }
        assert_eq!(model, after, "seed {seed}: {frame:?}");
        while room.take(A, NOW).is_some() {}
        taken += usize::from(!step.changes.is_empty());
        refused += usize::from(!step.refused.is_empty());
        closed += usize::from(step.close.is_some());
    }
    // The damage is neither too much to get in nor too little to be noticed.
    assert!(taken > 100 && refused > 100 && closed > 1_000, "{taken}, {refused}, {closed}");
}

#[test]
fn what_no_plain_text_holds_is_turned_away_from_real_yjs() {
    let Some(mut node) = Node::start("what_no_plain_text_holds_is_turned_away_from_real_yjs")
    else {
        return;
    };
    let text = "doc.getText('s/s1')";
    let table: &[(String, Malformed)] = &[
        (format!("{text}.format(0, 2, {{ bold: true }})"), Malformed::NotText { kind: 6 }),
        (format!("{text}.insertEmbed(0, {{ image: 'x' }})"), Malformed::NotText { kind: 5 }),
        (format!("{text}.insertEmbed(0, new Y.Map())"), Malformed::NotText { kind: 7 }),
        (format!("{text}.setAttribute('k', 'v')"), Malformed::NotText { kind: 8 }),
        ("doc.getText('s/s3').insert(0, 'x')".into(), Malformed::NotASection),
        ("doc.getText('default').insert(0, 'x')".into(), Malformed::NotASection),
        ("doc.getText('outline').insert(0, 'x')".into(), Malformed::NotASection),
        ("doc.getArray('list').push([new Uint8Array(3)])".into(), Malformed::NotText { kind: 3 }),
        ("doc.getMap('outline').set('s9', {})".into(), Malformed::NotText { kind: 8 }),
        ("doc.getMap('outline').set('s1', {})".into(), Malformed::NotText { kind: 8 }),
        ("doc.getMap('docs').set('d', new Y.Doc())".into(), Malformed::NotText { kind: 9 }),
        (
            "doc.getXmlFragment('x').push([new Y.XmlElement('p')])".into(),
            Malformed::NotText { kind: 7 },
        ),
    ];
    let mirror = mirror("text");
    let all = mirror.diff(&[0]).unwrap();
    for (at, (script, malformed)) in (0u64..).zip(table) {
        node.open(at, 1_000 + at);
        node.apply(at, &all);
        let answer = node.run(at, script);
        let update = node.flush().swap_remove(answer);
        let mut mirror = self::mirror("text");
        let refused = accept(&mut mirror, &update);
        assert_eq!(refused, Err(ReceiveError::Malformed(malformed.clone())), "{script}");
        assert_eq!(mirror.state_vector(), self::mirror("text").state_vector(), "{script}");
    }
}

#[test]
fn what_an_editor_does_to_the_outline_is_undone() {
    let Some(mut node) = Node::start("what_an_editor_does_to_the_outline_is_undone") else {
        return;
    };
    let mut mirror = mirror("text");
    node.open(1, 1_000);
    node.apply(1, &mirror.diff(&[0]).unwrap());
    let script = "doc.getMap('outline').delete('s1'); doc.getText('s/s2').insert(0, 'more ')";
    let answer = node.run(1, script);
    let update = node.flush().swap_remove(answer);
    let received = accept(&mut mirror, &update).unwrap();
    // The rest of the same transaction stays.
    assert_eq!(received.changes, [(section("s2"), vec![Splice::insert(0, "more ")])]);
    node.apply(1, &received.undo.unwrap());
    let said =
        "doc.getText('s/s1').insert(0, JSON.stringify(doc.getMap('outline').get('s1').level))";
    node.run(1, said);
    let answer = node.text(1, "s/s1");
    assert_eq!(node.flush().swap_remove(answer), b"0text");
}

#[test]
fn a_half_of_a_pair_that_is_refused_comes_back_whole_in_real_yjs() {
    let Some(mut node) = Node::start("a_half_of_a_pair_that_is_refused_comes_back_whole") else {
        return;
    };
    let mut mirror = mirror("a😀b👩\u{200d}👧");
    node.open(1, 1_000);
    node.apply(1, &mirror.diff(&[0]).unwrap());
    let answer = node.run(1, "doc.getText('s/s1').delete(2, 3)");
    let update = node.flush().swap_remove(answer);
    let received = mirror.receive(&update, &mut |_| Verdict::Refuse).unwrap();
    assert_eq!(received.refused[0].section, section("s1"));
    assert_eq!(mirror.text(&section("s1")), Some("a😀b👩\u{200d}👧"));
    assert!(mirror.agrees());
    node.apply(1, &received.undo.unwrap());
    let answer = node.text(1, "s/s1");
    assert_eq!(node.flush().swap_remove(answer), "a😀b👩\u{200d}👧".as_bytes());
}
