//! One test per trap of the wire; the clients speak as stock y-websocket does.

use super::{Close, ConnId, ConnectError, Room, RoomName, Step, User, UserKind};
use crate::{
    limits,
    mirror::{Boot, ClientId, Entry, Mirror, SectionId, Seed, Splice, Verdict, YrsMirror},
    protocol::{Message, Presence},
};
use bytes::Bytes;
use std::{collections::BTreeMap, time::Duration};
use yrs::{
    Doc, GetString, ReadTxn, StateVector, Text, Transact, Update, updates::decoder::Decode,
    updates::encoder::Encode,
};

const A: ConnId = ConnId(1);
const B: ConnId = ConnId(2);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn section() -> SectionId {
    "s1".parse().unwrap()
}

fn client(id: u64) -> ClientId {
    ClientId::new(id).unwrap()
}

fn room_with(text: &str) -> Room<YrsMirror> {
    let boot = Boot { epoch: 3, client: ClientId::small(6) };
    let seeds = ["s1", "s2"].map(|id| Seed::new(id.parse().unwrap(), text, Entry::default()));
    Room::new("plan", YrsMirror::open(boot, seeds.to_vec()).unwrap(), ms(0))
}

fn user(name: &str) -> User {
    let (name, colour) = (name.to_owned(), "#123456".to_owned());
    User { name, colour, kind: UserKind::Person, may_write: true }
}

fn connect(room: &mut Room<YrsMirror>, conn: ConnId, name: &str, now: Duration) {
    let at = room.name().clone();
    room.connect(conn, &at, user(name), now).unwrap();
}

fn accept(room: &mut Room<YrsMirror>, conn: ConnId, message: &Message<'_>, now: Duration) -> Step {
    room.frame(conn, &message.encode(), now, &mut |_| Verdict::Accept)
}

fn drain(room: &mut Room<YrsMirror>, conn: ConnId, now: Duration) -> Vec<Bytes> {
    std::iter::from_fn(|| room.take(conn, now)).collect()
}

/// Runs the room's clock to `until`, tick by tick.
fn run(room: &mut Room<YrsMirror>, until: Duration) {
    while let Some(at) = room.next_tick().filter(|at| *at <= until) {
        room.tick(at);
    }
    room.tick(until);
}

fn say(client: ClientId, clock: u64, state: &str) -> Message<'_> {
    Message::Awareness(vec![Presence { client, clock, state }])
}

/// An editor: its document, and who it believes is there, by the rules of y-protocols.
struct Editor {
    doc: Doc,
    there: BTreeMap<u64, (u64, String)>,
    synced: bool,
}

impl Editor {
    fn new(id: u64) -> Self {
        let doc = Doc::with_client_id(id);
        Self { doc, there: BTreeMap::new(), synced: false }
    }

    fn hear(&mut self, frames: &[Bytes]) {
        for frame in frames {
            match Message::decode(frame).unwrap() {
                Message::SyncStep2(update) | Message::Update(update) => {
                    self.synced |= matches!(Message::decode(frame), Ok(Message::SyncStep2(_)));
                    let update = Update::decode_v1(update).unwrap();
                    self.doc.transact_mut().apply_update(update).unwrap();
                }
                Message::Awareness(said) => {
                    for Presence { client, clock, state } in said {
                        let known = self.there.get(&client.get());
                        if known.is_none_or(|(known, _)| *known < clock) {
                            self.there.insert(client.get(), (clock, state.to_owned()));
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn sees(&self, client: ClientId) -> bool {
        self.there.get(&client.get()).is_some_and(|(_, state)| state != "null")
    }

    fn text(&self) -> String {
        let text = self.doc.get_or_insert_text("s/s1");
        text.get_string(&self.doc.transact())
    }

    fn vector(&self) -> Vec<u8> {
        self.doc.transact().state_vector().encode_v1()
    }

    fn edit(&self, at: u32, del: u32, insert: &str) -> Vec<u8> {
        let text = self.doc.get_or_insert_text("s/s1");
        let mut txn = self.doc.transact_mut();
        text.remove_range(&mut txn, at, del);
        text.insert(&mut txn, at, insert);
        txn.encode_update_v1()
    }

    fn all(&self) -> Vec<u8> {
        self.doc.transact().encode_state_as_update_v1(&StateVector::default())
    }

    fn join(&mut self, room: &mut Room<YrsMirror>, conn: ConnId, now: Duration) {
        accept(room, conn, &Message::SyncStep1(&self.vector()), now);
        self.hear(&drain(room, conn, now));
    }
}

#[test]
fn a_new_connection_is_asked_what_it_has_and_told_of_the_server_in_frames_of_one_message() {
    let mut room = room_with("text");
    connect(&mut room, A, "ann", ms(0));
    let frames = drain(&mut room, A, ms(0));
    let [question, presence] = frames.as_slice() else { panic!("{frames:?}") };
    let vector = room.mirror().state_vector();
    assert_eq!(Message::decode(question), Ok(Message::SyncStep1(&vector)));
    let Ok(Message::Awareness(said)) = Message::decode(presence) else { panic!("{presence:?}") };
    assert_eq!(said[0].client, room.mirror().client());
}

#[test]
fn a_question_is_answered_by_what_is_lacking_as_an_answer() {
    let mut room = room_with("text");
    connect(&mut room, A, "ann", ms(0));
    let mut ann = Editor::new(100);
    ann.join(&mut room, A, ms(0));
    assert!(ann.synced, "only an answer makes a stock editor call itself in sync");
    assert_eq!(ann.text(), "text");
}

#[test]
fn an_old_epoch_is_closed_with_4001() {
    let mut room = room_with("");
    for (name, code) in [("plan@3", None), ("plan@2", Some(4001)), ("other@3", Some(4001))] {
        let name: RoomName = name.parse().unwrap();
        let refused = room.connect(A, &name, user("ann"), ms(0)).err();
        assert_eq!(refused.as_ref().map(|e| e.close().code()), code, "{name}");
    }
    for name in ["plan", "@1", "plan@", "plan@x"] {
        assert!(name.parse::<RoomName>().is_err(), "{name}");
    }
    let at = room.name().clone();
    assert_eq!(room.connect(A, &at, user("ann"), ms(0)), Err(ConnectError::Twice));
    assert_eq!(room.into_mirror().1, [A], "all are to be closed when the epoch ends");
}

#[test]
fn an_idle_connection_hears_of_the_server_every_ten_seconds() {
    let mut room = room_with("");
    connect(&mut room, A, "ann", ms(0));
    drain(&mut room, A, ms(0));
    let mut clocks = Vec::new();
    for second in 1..=60 {
        run(&mut room, ms(second * 1_000));
        for frame in drain(&mut room, A, ms(second * 1_000)) {
            let Ok(Message::Awareness(said)) = Message::decode(&frame) else { continue };
            clocks.extend(said.iter().map(|it| (second, it.clock)));
        }
    }
    // What was owed from the beginning, then one beat every ten seconds, each newer than the last.
    let beats: Vec<_> = clocks.iter().filter(|(second, _)| *second >= 10).copied().collect();
    assert_eq!(beats, [(10, 2), (20, 3), (30, 4), (40, 5), (50, 6), (60, 7)]);
}

#[test]
fn somebody_who_comes_back_is_visible_at_once() {
    let mut room = room_with("");
    let (mut ben, ann) = (Editor::new(200), client(100));
    connect(&mut room, B, "ben", ms(0));
    connect(&mut room, A, "ann", ms(0));
    accept(&mut room, A, &say(ann, 5, "{}"), ms(0));
    run(&mut room, ms(1_000));
    ben.hear(&drain(&mut room, B, ms(1_000)));
    assert!(ben.sees(ann));
    room.disconnect(A, ms(1_000));
    run(&mut room, ms(2_000));
    ben.hear(&drain(&mut room, B, ms(2_000)));
    assert!(!ben.sees(ann));
    // With the clock it had: a stock editor does not count its reconnections.
    let again = ConnId(3);
    connect(&mut room, again, "ann", ms(2_000));
    accept(&mut room, again, &say(ann, 5, "{}"), ms(2_000));
    run(&mut room, ms(2_200));
    ben.hear(&drain(&mut room, B, ms(2_200)));
    assert!(ben.sees(ann));
}

#[test]
fn somebody_who_is_back_before_the_loss_was_noticed_stays_visible() {
    let mut room = room_with("");
    let (mut ben, ann) = (Editor::new(200), client(100));
    connect(&mut room, B, "ben", ms(0));
    connect(&mut room, A, "ann", ms(0));
    accept(&mut room, A, &say(ann, 5, "{}"), ms(0));
    run(&mut room, ms(300));
    let again = ConnId(3);
    connect(&mut room, again, "ann", ms(300));
    accept(&mut room, again, &say(ann, 5, "{}"), ms(310));
    room.disconnect(A, ms(320));
    run(&mut room, ms(2_000));
    ben.hear(&drain(&mut room, B, ms(2_000)));
    assert!(ben.sees(ann), "the end of the old connection is not the end of the client");
}

#[test]
fn a_connection_speaks_for_nobody_but_the_client_it_announced() {
    let mut room = room_with("");
    let (mut cay, ann, ben) = (Editor::new(300), client(100), client(200));
    let watcher = ConnId(3);
    for (conn, name) in [(A, "ann"), (B, "ben"), (watcher, "cay")] {
        connect(&mut room, conn, name, ms(0));
    }
    accept(&mut room, A, &say(ann, 1, r#"{"x":1}"#), ms(0));
    accept(&mut room, B, &say(ben, 1, r#"{"x":2}"#), ms(0));
    // Of another's, of the server's, and of one nobody knows.
    let server = room.mirror().client();
    for other in [ben, server, client(999)] {
        accept(&mut room, A, &say(other, 90, r#"{"x":"forged"}"#), ms(10));
        accept(&mut room, A, &say(other, 91, "null"), ms(10));
    }
    // A connection that announces another's id first speaks for nobody.
    accept(&mut room, watcher, &say(ben, 95, r#"{"x":"forged"}"#), ms(20));
    run(&mut room, ms(1_000));
    cay.hear(&drain(&mut room, watcher, ms(1_000)));
    assert!(cay.sees(ann) && cay.sees(ben) && cay.sees(server) && !cay.sees(client(999)));
    assert!(!format!("{:?}", cay.there).contains("forged"));
}

#[test]
fn each_is_told_of_the_others_and_never_of_itself() {
    let mut room = room_with("");
    let mut editors = [Editor::new(100), Editor::new(200)];
    let conns = [(A, client(100)), (B, client(200))];
    for again in 0..3 {
        let now = ms(again * 10_000);
        for (conn, own) in conns {
            connect(&mut room, conn, "x", now);
            accept(&mut room, conn, &say(own, 5, "{}"), now);
        }
        run(&mut room, now + ms(1_000));
        for moved in 0..3 {
            let now = now + ms(1_000 + moved * 1_000);
            for ((conn, own), editor) in conns.into_iter().zip(&mut editors) {
                editor.hear(&drain(&mut room, conn, now));
                accept(&mut room, conn, &say(own, 6 + moved, &format!(r#"{{"x":{moved}}}"#)), now);
            }
            run(&mut room, now + ms(500));
            let [ann, ben] = &mut editors;
            for (conn, editor, other) in [(A, ann, 200), (B, ben, 100)] {
                editor.hear(&drain(&mut room, conn, now + ms(500)));
                let said = &editor.there[&other].1;
                assert!(said.contains(&format!(r#""x":{moved}"#)), "{said} after {moved}");
                assert!(!editor.there.contains_key(&editor.doc.client_id().get()));
            }
        }
        conns.iter().for_each(|(conn, _)| room.disconnect(*conn, now + ms(5_000)));
    }
}

#[test]
fn a_second_window_of_one_person_does_not_take_over_the_first_by_its_echo() {
    let mut room = room_with("");
    let (mut ben, ann, window) = (Editor::new(200), client(100), ConnId(3));
    connect(&mut room, B, "ben", ms(0));
    connect(&mut room, A, "ann", ms(0));
    connect(&mut room, window, "ann", ms(0));
    accept(&mut room, A, &say(ann, 1, r#"{"x":1}"#), ms(0));
    run(&mut room, ms(1_000));
    for frame in drain(&mut room, window, ms(1_000)) {
        if let Ok(Message::Awareness(said)) = Message::decode(&frame) {
            accept(&mut room, window, &Message::Awareness(said), ms(1_000));
        }
    }
    assert_eq!(room.presences.bound(window), None);
    accept(&mut room, A, &say(ann, 2, r#"{"x":2}"#), ms(1_001));
    run(&mut room, ms(2_000));
    ben.hear(&drain(&mut room, B, ms(2_000)));
    assert!(ben.there[&100].1.contains(r#""x":2"#), "{:?}", ben.there);
}

#[test]
fn what_a_client_says_of_itself_is_stamped_with_who_it_is() {
    let mut room = room_with("");
    let (mut ben, ann) = (Editor::new(200), client(100));
    connect(&mut room, B, "ben", ms(0));
    connect(&mut room, A, "ann", ms(0));
    let state = r#"{"cursor":7,"server":{"locks":[]},"user":{"name":"ben"}}"#;
    accept(&mut room, A, &say(ann, 1, state), ms(0));
    run(&mut room, ms(1_000));
    ben.hear(&drain(&mut room, B, ms(1_000)));
    let said: serde_json::Value = serde_json::from_str(&ben.there[&100].1).unwrap();
    let user = serde_json::json!({ "name": "ann", "color": "#123456", "kind": "person" });
    assert_eq!(said, serde_json::json!({ "cursor": 7, "user": user }));
}

#[test]
fn a_clock_that_would_end_javascripts_numbers_is_left_aside() {
    let mut room = room_with("");
    connect(&mut room, B, "ben", ms(0));
    connect(&mut room, A, "ann", ms(0));
    accept(&mut room, A, &say(client(100), limits::CLIENT_ID_MAX - 1, "{}"), ms(0));
    room.disconnect(A, ms(1));
    run(&mut room, ms(1_000));
    let frames = drain(&mut room, B, ms(1_000));
    let mut ben = Editor::new(200);
    ben.hear(&frames);
    assert!(!ben.there.contains_key(&100));
}

#[test]
fn a_room_may_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    is_send(&room_with(""));
}

#[test]
fn many_bytes_do_not_wait_for_the_tick() {
    let mut room = room_with("");
    connect(&mut room, A, "ann", ms(0));
    drain(&mut room, A, ms(0));
    let text = "x".repeat(limits::COLLECTED_LEN_MAX - 2);
    let update = room.apply(&section(), &[Splice::insert(0, text)]).unwrap();
    room.changed(update, ms(0));
    assert_eq!(room.outgoing(ms(0)).collect::<Vec<_>>(), [A]);
    assert_eq!(drain(&mut room, A, ms(0)).len(), 1);
}

#[test]
fn presence_that_others_would_stumble_over_is_left_aside() {
    let long = format!(r#"{{"x":"{}"}}"#, "x".repeat(limits::PRESENCE_LEN_MAX));
    for state in ["", "{", "7", "[]", "\"x\"", &long] {
        let mut room = room_with("");
        connect(&mut room, B, "ben", ms(0));
        connect(&mut room, A, "ann", ms(0));
        let step = accept(&mut room, A, &say(client(100), 1, state), ms(0));
        assert_eq!(step, Step::default(), "{state}");
        run(&mut room, ms(1_000));
        let mut ben = Editor::new(200);
        ben.hear(&drain(&mut room, B, ms(1_000)));
        assert!(!ben.sees(client(100)), "{state}");
    }
}

#[test]
fn an_editor_that_sends_back_all_it_hears_makes_no_loop() {
    let mut room = room_with("");
    connect(&mut room, A, "ann", ms(0));
    connect(&mut room, B, "ben", ms(0));
    accept(&mut room, A, &say(client(100), 1, "{}"), ms(0));
    accept(&mut room, B, &say(client(200), 1, "{}"), ms(0));
    let mut frames = 0;
    for step in 1..=45 {
        let now = ms(step * 200);
        run(&mut room, now);
        for conn in [A, B] {
            for frame in drain(&mut room, conn, now) {
                if let Ok(Message::Awareness(said)) = Message::decode(&frame) {
                    frames += 1;
                    accept(&mut room, conn, &Message::Awareness(said), now);
                }
            }
        }
    }
    // In 9 s: the server's entry, and each other's, for both.
    assert!(frames <= 6, "{frames} frames");
}

#[test]
fn presence_is_one_frame_for_all_changes_of_200_ms() {
    let mut room = room_with("");
    connect(&mut room, B, "ben", ms(0));
    let crowd: Vec<_> = (10..60).map(ConnId).collect();
    for conn in &crowd {
        connect(&mut room, *conn, "crowd", ms(0));
    }
    run(&mut room, ms(1_000));
    drain(&mut room, B, ms(1_000));
    for moved in 0..100 {
        for conn in &crowd {
            accept(&mut room, *conn, &say(client(conn.0), 1 + moved, "{}"), ms(1_000 + moved * 10));
        }
        run(&mut room, ms(1_000 + moved * 10));
    }
    run(&mut room, ms(2_000));
    let frames = drain(&mut room, B, ms(2_000)).len();
    assert!((5..=6).contains(&frames), "5,000 moves within a second came in {frames} frames");
}

#[test]
fn the_lock_table_is_in_the_servers_presence() {
    let mut room = room_with("");
    connect(&mut room, A, "ann", ms(0));
    let mut ann = Editor::new(100);
    run(&mut room, ms(1_000));
    ann.hear(&drain(&mut room, A, ms(1_000)));
    room.locks(r#"{"locks":{"s1":"ben"}}"#, ms(1_000)).unwrap();
    assert!(room.locks("{", ms(1_000)).is_err());
    assert!(room.locks(&"7".repeat(limits::FACTS_LEN_MAX + 1), ms(1_000)).is_err());
    run(&mut room, ms(1_200));
    ann.hear(&drain(&mut room, A, ms(1_200)));
    let state = &ann.there[&room.mirror().client().get()].1;
    assert_eq!(state, r#"{"server":{"locks":{"s1":"ben"}}}"#);
}

#[test]
fn updates_of_a_tick_are_one_frame_that_all_share() {
    let mut room = room_with("");
    let mut editors = [Editor::new(100), Editor::new(200)];
    for (conn, editor) in [A, B].into_iter().zip(&mut editors) {
        connect(&mut room, conn, "x", ms(0));
        editor.join(&mut room, conn, ms(0));
    }
    for (at, letter) in (0..).zip(["a", "b", "c"]) {
        let update = editors[0].edit(at, 0, letter);
        let step = accept(&mut room, A, &Message::Update(&update), ms(10 * u64::from(at)));
        let splices = vec![Splice::insert(at as usize, letter)];
        assert_eq!(step.changes, [(section(), splices)]);
    }
    assert_eq!(room.outgoing(ms(39)).count(), 0);
    run(&mut room, ms(40));
    let (to_a, to_b) = (drain(&mut room, A, ms(40)), drain(&mut room, B, ms(40)));
    assert_eq!((to_a.len(), to_b.len()), (1, 1));
    assert_eq!(to_a[0].as_ptr(), to_b[0].as_ptr(), "encoded once");
    editors[1].hear(&to_b);
    assert_eq!(editors[1].text(), "abc");
}

#[test]
fn a_refused_change_is_undone_for_its_author_at_once() {
    let mut room = room_with("locked");
    let mut ann = Editor::new(100);
    connect(&mut room, A, "ann", ms(0));
    ann.join(&mut room, A, ms(0));
    let update = ann.edit(0, 3, "MINE");
    let frame = Message::Update(&update).encode();
    let step = room.frame(A, &frame, ms(5), &mut |_| Verdict::Refuse);
    assert_eq!((step.changes.as_slice(), &step.refused[0].section), (&[][..], &section()));
    assert_eq!(step.updates.len(), 2, "what came, and what undid it, for the log");
    ann.hear(&drain(&mut room, A, ms(5)));
    assert_eq!(ann.text(), "locked");
}

#[test]
fn offline_work_is_taken_on_return_and_what_was_refused_stays_away() {
    let mut room = room_with("text");
    let mut ann = Editor::new(100);
    connect(&mut room, A, "ann", ms(0));
    ann.join(&mut room, A, ms(0));
    let refused = ann.edit(0, 0, "no ");
    let frame = Message::Update(&refused).encode();
    room.frame(A, &frame, ms(1), &mut |_| Verdict::Refuse);
    room.disconnect(A, ms(2));
    // It never heard of the undoing, and goes on offline.
    ann.edit(7, 0, " more");
    connect(&mut room, B, "ann", ms(10));
    let [question, _] = drain(&mut room, B, ms(10)).try_into().unwrap();
    let Ok(Message::SyncStep1(vector)) = Message::decode(&question) else { panic!() };
    let theirs = StateVector::decode_v1(vector).unwrap();
    let all = ann.doc.transact().encode_diff_v1(&theirs);
    let step = accept(&mut room, B, &Message::SyncStep2(&all), ms(10));
    assert_eq!(step.changes, [(section(), vec![Splice::insert(4, " more")])]);
    ann.join(&mut room, B, ms(11));
    assert_eq!(ann.text(), "text more");
}

#[test]
fn a_reader_that_stalls_is_given_one_frame_that_makes_up_for_all() {
    let mut room = room_with("");
    let (mut ann, mut ben) = (Editor::new(100), Editor::new(200));
    for (conn, name, editor) in [(A, "ann", &mut ann), (B, "ben", &mut ben)] {
        connect(&mut room, conn, name, ms(0));
        editor.join(&mut room, conn, ms(0));
    }
    run(&mut room, ms(1_000));
    ben.hear(&drain(&mut room, B, ms(1_000)));
    // What is lost with the queue: that somebody is there, and a question.
    let mut now = ms(1_000);
    accept(&mut room, A, &say(client(100), 1, "{}"), now);
    let unknown = Bytes::from_static(&[1, 1, 77, 70, 0, 1, 0]);
    accept(&mut room, B, &Message::Update(&unknown), now);
    let mut most = 0;
    for word in 0..2 * limits::OUTBOX_FRAMES_MAX {
        let at = u32::try_from(ann.text().len()).unwrap();
        let update = ann.edit(at, 0, &format!("{word} "));
        accept(&mut room, A, &Message::Update(&update), now);
        now += limits::UPDATE_TICK;
        run(&mut room, now);
        drain(&mut room, A, now);
        most = most.max(room.conns[&B].outbox.len());
    }
    assert!(most <= limits::OUTBOX_FRAMES_MAX);
    assert_eq!(room.outgoing(now).collect::<Vec<_>>(), [B]);
    let frames = drain(&mut room, B, now);
    assert!(frames.len() <= 4, "{} frames", frames.len());
    let question = |frame: &Bytes| matches!(Message::decode(frame), Ok(Message::SyncStep1(_)));
    assert!(frames.iter().any(question));
    let bytes: usize = frames.iter().map(Bytes::len).sum();
    assert!(bytes < 8_000, "{bytes} bytes for what the reader lacks");
    ben.hear(&frames);
    assert_eq!(ben.text(), ann.text());
    assert!(ben.sees(client(100)));
}

#[test]
fn a_long_frame_to_a_full_outbox_drops_it_too() {
    let mut room = room_with("");
    let mut ben = Editor::new(200);
    connect(&mut room, B, "ben", ms(0));
    ben.join(&mut room, B, ms(0));
    let mut now = ms(0);
    for _ in 0..9 {
        let long = "x".repeat(limits::SECTION_LEN_MAX / 2);
        let len = room.mirror().text(&section()).unwrap().len();
        let splice = Splice { at: 0, del: len, insert: long };
        let update = room.apply(&section(), &[splice]).unwrap();
        room.changed(update, now);
        now += limits::UPDATE_TICK;
        run(&mut room, now);
        assert!(room.conns[&B].outbox.bytes() <= limits::OUTBOX_LEN_MAX);
    }
    ben.hear(&drain(&mut room, B, now));
    assert_eq!(Some(ben.text().as_str()), room.mirror().text(&section()));
}

#[test]
fn nobody_is_given_an_edit_that_is_not_durable() {
    let mut room = room_with("old");
    let mut ann = Editor::new(100);
    connect(&mut room, A, "ann", ms(0));
    let update = room.apply(&section(), &[Splice::insert(3, " new")]).unwrap();
    ann.join(&mut room, A, ms(1));
    run(&mut room, ms(500));
    ann.hear(&drain(&mut room, A, ms(500)));
    assert_eq!(ann.text(), "");
    room.changed(update, ms(501));
    assert_eq!(room.outgoing(ms(501)).collect::<Vec<_>>(), [A]);
    ann.hear(&drain(&mut room, A, ms(501)));
    assert_eq!(ann.text(), "old new");
}

#[test]
fn a_reader_without_the_right_to_write_is_told_so_and_changes_nothing() {
    let mut room = room_with("text");
    let reader = User { may_write: false, ..user("ann") };
    let at = room.name().clone();
    room.connect(A, &at, reader, ms(0)).unwrap();
    let mut ann = Editor::new(100);
    ann.join(&mut room, A, ms(0));
    assert_eq!(ann.text(), "text");
    // Its answer to our question holds nothing new: no reason to tell it anything.
    let nothing = ann.doc.transact().encode_diff_v1(&ann.doc.transact().state_vector());
    accept(&mut room, A, &Message::SyncStep2(&nothing), ms(1));
    assert_eq!(drain(&mut room, A, ms(1)), [] as [Bytes; 0]);
    for at in [10, 20, 30, 1_500] {
        let step = accept(&mut room, A, &Message::Update(&ann.edit(0, 1, "x")), ms(at));
        assert_eq!(step, Step::default());
    }
    let told = drain(&mut room, A, ms(1_500));
    let denied = |frame: &&Bytes| matches!(Message::decode(frame), Ok(Message::AuthDenied(_)));
    assert_eq!(told.iter().filter(denied).count(), 2, "once a second");
    assert_eq!(room.mirror().text(&section()), Some("text"));
}

#[test]
fn what_cannot_be_an_editors_closes_the_connection() {
    let update = |bytes: &'static [u8]| Message::Update(bytes).encode();
    let table: &[(Bytes, Close)] = &[
        (Bytes::new(), Close::Protocol),
        (Bytes::from_static(&[100, 0]), Close::Protocol),
        (Message::AuthDenied("you").encode(), Close::Protocol),
        (Message::SyncStep1(&[9]).encode(), Close::Protocol),
        (update(&[]), Close::Unfit),
        (update(&[0, 0, 0]), Close::Unfit),
        // An embedded value (kind 5) in a section.
        (update(&[1, 1, 9, 0, 5, 1, 4, b's', b'/', b's', b'1', 2, b'{', b'}', 0]), Close::Unfit),
    ];
    for (frame, close) in table {
        let mut room = room_with("text");
        connect(&mut room, A, "ann", ms(0));
        let step = room.frame(A, frame, ms(0), &mut |_| Verdict::Accept);
        assert_eq!(step, Step { close: Some(*close), ..Step::default() }, "{frame:?}");
        assert_eq!(room.n_connections(), 0);
    }
}

#[test]
fn what_builds_on_something_unknown_is_asked_for_less_and_less_often() {
    let mut room = room_with("text");
    let ann = Editor::new(100);
    connect(&mut room, A, "ann", ms(0));
    drain(&mut room, A, ms(0));
    ann.edit(0, 0, "lost ");
    let later = ann.edit(5, 0, "later");
    let mut asked = Vec::new();
    for second in 0..100 {
        let now = ms(second * 1_000);
        accept(&mut room, A, &Message::Update(&later), now);
        run(&mut room, now);
        let question = |frame: &Bytes| matches!(Message::decode(frame), Ok(Message::SyncStep1(_)));
        asked.extend(drain(&mut room, A, now).iter().filter(|it| question(it)).map(|_| second));
    }
    assert_eq!(asked, [1, 3, 7, 15, 31, 63]);
    let step = accept(&mut room, A, &Message::SyncStep2(&ann.all()), ms(100_000));
    assert_eq!(step.changes, [(section(), vec![Splice::insert(4, "lost later")])]);
}

#[test]
fn nobody_brings_the_changes_of_somebody_else_who_is_here() {
    let mut room = room_with("");
    let (ann, ben) = (Editor::new(100), Editor::new(200));
    connect(&mut room, A, "ann", ms(0));
    connect(&mut room, B, "ben", ms(0));
    accept(&mut room, A, &say(client(100), 1, "{}"), ms(0));
    accept(&mut room, B, &say(client(200), 1, "{}"), ms(0));
    let update = ben.edit(0, 0, "ben's");
    // Refused as ann's, it would be lost to ben, who may write.
    let mut only_ben = |_: &SectionId| Verdict::Refuse;
    let step = room.frame(A, &Message::Update(&update).encode(), ms(1), &mut only_ben);
    assert_eq!(step, Step::default());
    let step = accept(&mut room, B, &Message::Update(&update), ms(2));
    assert_eq!(step.changes, [(section(), vec![Splice::insert(0, "ben's")])]);
    assert_eq!(ann.text(), "");
}
