//! The room in its document's turn: agents write through the document, people through their editors.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use ggml_agent::{AgentId, ChildSpec, System};
use ggml_agent_core::lease::OnBusy;
use ggml_agent_doc::{
    Client, Coordinator, Document, DocumentAgent, DocumentRef, Edit, Holder, Kind, Lock, SectionId,
};
use ggml_agent_live::beside::{Beside, Connect, Link, Outgoing, Tell};
use ggml_agent_live::limits::UNLOAD_AFTER;
use ggml_agent_live::mirror::{Boot, ClientId};
use ggml_agent_live::protocol::Message;
use ggml_agent_live::room::{ConnId, RoomName, User, UserKind};
use tokio::sync::{mpsc, oneshot};
use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;
use yrs::{Doc, GetString, OffsetKind, Options, ReadTxn, StateVector, Text, Transact, Update};

use crate::random::Random;

const TEXT: &str = "# One\n\nfirst\n\n# Two\n\nsecond\n";

struct House {
    _system: System,
    document: DocumentRef,
    room: RoomName,
}

async fn house() -> House {
    let system = System::new();
    let document = Document::parse(TEXT).unwrap();
    let epochs = Arc::new(AtomicU64::new(7));
    let spec = ChildSpec::new("plan", move || {
        let epochs = Arc::clone(&epochs);
        let boot = move || {
            let epoch = epochs.fetch_add(1, Ordering::Relaxed);
            Boot { epoch, client: ClientId::small(epoch) }
        };
        DocumentAgent::new(&document).with_companion(Beside::new("plan", boot))
    });
    let document = DocumentRef::new(system.start(spec.temporary()).await.unwrap());
    let (reply, place) = oneshot::channel();
    document.tell_companion(Tell::Where(reply)).unwrap();
    let (room, _) = place.await.unwrap();
    House { _system: system, document, room }
}

fn person(name: &str) -> Holder {
    Holder::of(Kind::Person, name.parse().unwrap(), 1)
}

fn agent(name: &str) -> Holder {
    Holder::new(name.parse::<AgentId>().unwrap(), 1)
}

/// An editor, as stock ones work: it sends what is typed, and takes what comes.
struct Editor {
    conn: ConnId,
    doc: Doc,
    document: DocumentRef,
    frames: mpsc::Receiver<Outgoing>,
    is_full: Arc<AtomicBool>,
    /// What it was told, in any form.
    n_frames: usize,
}

impl Editor {
    async fn open(house: &House, conn: u64, name: &str) -> Self {
        let options = Options {
            offset_kind: OffsetKind::Utf16,
            ..Options::with_client_id(yrs::ClientID::new(1_000 + conn))
        };
        let doc = Doc::with_options(options);
        let (link, frames, is_full) = Link::new();
        let user = User {
            name: name.into(),
            colour: "#123456".into(),
            kind: UserKind::Person,
            may_write: true,
        };
        let (reply, answer) = oneshot::channel();
        let (room, holder, conn) = (house.room.clone(), person(name), ConnId(conn));
        let connect = Connect { conn, room, user, holder, notices: false, link, reply };
        house.document.tell_companion(Tell::Connect(Box::new(connect))).unwrap();
        answer.await.unwrap().unwrap();
        let document = house.document.clone();
        let mut editor = Self { conn, doc, document, frames, is_full, n_frames: 0 };
        let vector = StateVector::default().encode_v1();
        editor.say(Message::SyncStep1(&vector).encode());
        editor.settle().await;
        editor
    }

    fn say(&self, frame: Bytes) {
        self.document.tell_companion(Tell::Frame { conn: self.conn, frame }).unwrap();
    }

    fn text(&self, section: &str) -> String {
        let text = self.doc.get_or_insert_text(format!("s/{section}"));
        text.get_string(&self.doc.transact())
    }

    fn type_at(&self, section: &str, at: u32, del: u32, insert: &str) {
        let text = self.doc.get_or_insert_text(format!("s/{section}"));
        let mut txn = self.doc.transact_mut();
        text.remove_range(&mut txn, at, del);
        text.insert(&mut txn, at, insert);
        let update = txn.encode_update_v1();
        drop(txn);
        self.say(Message::Update(&update).encode());
    }

    /// Takes all that is there, or comes within two ticks.
    async fn settle(&mut self) {
        tokio::time::advance(Duration::from_millis(100)).await;
        // The document has worked off everything that was sent before this.
        self.document.look(|_, _| ()).await.unwrap();
        tokio::time::advance(Duration::from_millis(100)).await;
        self.document.look(|_, _| ()).await.unwrap();
        self.take();
    }

    fn take(&mut self) {
        while let Ok(Outgoing::Frame(frame)) = self.frames.try_recv() {
            self.n_frames += 1;
            match Message::decode(&frame).unwrap() {
                Message::SyncStep1(theirs) => {
                    let theirs = StateVector::decode_v1(theirs).unwrap();
                    let diff = self.doc.transact().encode_diff_v1(&theirs);
                    self.say(Message::SyncStep2(&diff).encode());
                }
                Message::SyncStep2(update) | Message::Update(update) => {
                    let update = Update::decode_v1(update).unwrap();
                    self.doc.transact_mut().apply_update(update).unwrap();
                }
                _ => {}
            }
        }
        if self.is_full.swap(false, Ordering::AcqRel) {
            self.document.tell_companion(Tell::Ready { conn: self.conn }).unwrap();
        }
    }
}

async fn text(house: &House, section: usize) -> String {
    house.document.snapshot().await.unwrap().sections[section].text.to_string()
}

async fn section(house: &House, at: usize) -> SectionId {
    house.document.snapshot().await.unwrap().sections[at].id
}

#[tokio::test(start_paused = true)]
async fn d17_what_an_agent_writes_and_what_a_person_types_are_one_text() {
    let house = house().await;
    let (mut anna, mut bob) =
        (Editor::open(&house, 1, "@anna").await, Editor::open(&house, 2, "@bob").await);
    assert_eq!(anna.text("s1"), "# One\n\nfirst\n\n");
    let first = section(&house, 0).await;
    let edit = Edit::optimistic(first, 0, "# One\n\nfirst by an agent 🎉\n\n");
    house.document.edit(&agent("writer"), edit).await.unwrap();
    anna.settle().await;
    // Behind the emoji, which is two units long.
    anna.type_at("s1", 27, 0, " and a person");
    anna.settle().await;
    bob.settle().await;
    let expected = "# One\n\nfirst by an agent 🎉 and a person\n\n";
    assert_eq!(text(&house, 0).await, expected);
    assert_eq!((anna.text("s1"), bob.text("s1")), (expected.into(), expected.into()));
    let authors = |document: &Coordinator, _| -> Vec<String> {
        document.history().iter().map(|update| update.author.to_string()).collect()
    };
    assert_eq!(house.document.look(authors).await.unwrap(), ["writer#1", "@anna#1"]);
}

#[tokio::test(start_paused = true)]
async fn d01_d17_what_is_typed_in_a_section_of_another_is_taken_back() {
    let house = house().await;
    let mut anna = Editor::open(&house, 1, "@anna").await;
    let first = section(&house, 0).await;
    let client = Client::unwatched(agent("writer"));
    let lock = Lock::one(first, Duration::from_secs(30), OnBusy::Deny);
    let grant = house.document.lock(&client, lock).await.unwrap()[0];
    anna.type_at("s1", 7, 5, "mine");
    anna.type_at("s2", 7, 6, "yours");
    anna.settle().await;
    assert_eq!(anna.text("s1"), "# One\n\nfirst\n\n", "taken back");
    assert_eq!(
        (text(&house, 0).await, text(&house, 1).await),
        ("# One\n\nfirst\n\n".into(), "# Two\n\nyours\n".into())
    );
    house.document.release(&client, first, grant.token).await.unwrap();
    anna.type_at("s1", 7, 5, "mine");
    anna.settle().await;
    assert_eq!(text(&house, 0).await, "# One\n\nmine\n\n");
}

#[tokio::test(start_paused = true)]
async fn d17_a_half_written_fence_or_heading_is_typed_through() {
    let house = house().await;
    let mut anna = Editor::open(&house, 1, "@anna").await;
    anna.type_at("s1", 12, 0, "\n```\ncode");
    anna.type_at("s2", 0, 5, "");
    anna.type_at("s2", 0, 0, "# Zwei");
    anna.settle().await;
    assert_eq!(text(&house, 0).await, "# One\n\nfirst\n```\ncode\n\n");
    assert_eq!(text(&house, 1).await, "# Zwei\n\nsecond\n");
    let about = |document: &Coordinator, _| document.about().map(|about| about.title).collect();
    let titles: Vec<String> = house.document.look(about).await.unwrap();
    assert_eq!(titles, ["One", "Zwei"]);
    // An agent has to leave the section in order.
    let first = section(&house, 0).await;
    let open = Edit::optimistic(first, 1, "# One\n\n```\nmore\n\n");
    assert!(house.document.edit(&agent("writer"), open).await.is_err());
    let closed = Edit::optimistic(first, 1, "# One\n\n```\nmore\n```\n\n");
    house.document.edit(&agent("writer"), closed).await.unwrap();
    anna.settle().await;
    assert_eq!(anna.text("s1"), "# One\n\n```\nmore\n```\n\n");
}

#[tokio::test(start_paused = true)]
async fn d17_a_room_that_everybody_has_left_is_made_anew() {
    let house = house().await;
    let mut anna = Editor::open(&house, 1, "@anna").await;
    anna.type_at("s1", 7, 0, "typed ");
    anna.settle().await;
    house.document.tell_companion(Tell::Gone { conn: anna.conn }).unwrap();
    let place = async || {
        let (reply, place) = oneshot::channel();
        house.document.tell_companion(Tell::Where(reply)).unwrap();
        place.await.unwrap().0
    };
    tokio::time::advance(UNLOAD_AFTER / 2).await;
    assert_eq!(place().await, house.room, "it may come back");
    for _ in 0..3 {
        tokio::time::advance(UNLOAD_AFTER / 2).await;
        house.document.look(|_, _| ()).await.unwrap();
    }
    let room = place().await;
    assert_eq!(room.epoch(), house.room.epoch() + 1);
    let house = House { room, ..house };
    let mut bob = Editor::open(&house, 2, "@bob").await;
    bob.settle().await;
    assert_eq!(bob.text("s1"), "# One\n\ntyped first\n\n");
}

#[tokio::test(start_paused = true)]
async fn d17_the_last_line_of_a_section_keeps_its_end() {
    let house = house().await;
    let mut anna = Editor::open(&house, 1, "@anna").await;
    anna.type_at("s1", 7, 7, "last");
    anna.type_at("s2", 7, 7, "end");
    anna.settle().await;
    assert_eq!(text(&house, 0).await, "# One\n\nlast\n", "else the next heading would be text");
    assert_eq!(text(&house, 1).await, "# Two\n\nend", "nothing follows");
    assert_eq!(anna.text("s1"), "# One\n\nlast\n");
}

/// A place in a text as an editor counts, not inside a pair.
fn place(text: &str, random: &mut Random) -> u32 {
    let chars: Vec<char> = text.chars().collect();
    let n = random.below(chars.len() + 1);
    u32::try_from(chars[..n].iter().map(|c| c.len_utf16()).sum::<usize>()).unwrap()
}

/// An agent writes at the end of a section, with its lock or without; false if it may not.
async fn agent_writes(house: &House, writer: &Holder, id: SectionId, word: &str) -> bool {
    let look = move |document: &Coordinator, now| {
        (document.lease(id, now).cloned(), document.read(id).unwrap())
    };
    let (lease, view) = house.document.look(look).await.unwrap();
    let text = format!("{}{word}🎉\n\n", view.text);
    let edit = match lease {
        Some(lease) if lease.holder == *writer => Edit::locked(id, lease.token, text),
        _ => Edit::optimistic(id, view.version, text),
    };
    house.document.edit(writer, edit).await.is_ok()
}

/// A person types anything anywhere in a section, and deletes a character at most.
fn person_types(editor: &Editor, name: &str, random: &mut Random) {
    let text = editor.text(name);
    let at = place(&text, random);
    let after: Vec<u16> = text.encode_utf16().skip(at as usize).take(2).collect();
    let del = match after.first() {
        Some(unit) if at > 0 && random.below(2) > 0 => {
            if (0xd800..0xe000).contains(unit) {
                2
            } else {
                1
            }
        }
        _ => 0,
    };
    editor.type_at(name, at, del, ["x", "é", "🎉", "\n", ""][random.below(5)]);
}

/// What agents were told is done; each is a word that occurs once.
async fn random_work_of(house: &House, editors: &mut [Editor], random: &mut Random) -> Vec<String> {
    let writers = [agent("w1"), agent("w2")];
    let mut acked = Vec::new();
    for n in 0..60 {
        let at = random.below(2);
        let (name, id) = (["s1", "s2"][at], section(house, at).await);
        let writer = &writers[random.below(2)];
        match random.below(8) {
            0 => {
                let lock = Lock::one(id, Duration::from_millis(300), OnBusy::Deny);
                drop(house.document.lock(&Client::unwatched(writer.clone()), lock).await);
            }
            1 | 2 => {
                let word = format!("w{n} ");
                if agent_writes(house, writer, id, &word).await {
                    acked.push(word);
                }
            }
            3 => editors[random.below(3)].take(),
            _ => person_types(&editors[random.below(3)], name, random),
        }
    }
    acked
}

async fn random_work(seed: u64) {
    let mut random = Random::new(seed);
    let house = house().await;
    let mut editors = Vec::new();
    for (n, name) in (0..).zip(["@anna", "@bob", "@carl"]) {
        editors.push(Editor::open(&house, n, name).await);
    }
    let acked = random_work_of(&house, &mut editors, &mut random).await;
    for _ in 0..3 {
        for editor in &mut editors {
            editor.settle().await;
        }
    }
    for (at, name) in ["s1", "s2"].iter().enumerate() {
        let text = text(&house, at).await;
        for editor in &editors {
            assert_eq!(editor.text(name), text, "seed {seed}, {:?}", editor.conn);
        }
    }
    let seqs = |document: &Coordinator, _| -> Vec<u64> {
        document.history().iter().map(|update| update.seq).collect()
    };
    let seqs = house.document.look(seqs).await.unwrap();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "no gap");
    let written = |document: &Coordinator, _| -> String {
        let splices = document.history().iter().flat_map(|update| update.edits.iter());
        splices
            .flat_map(|edit| edit.splices.iter().map(|splice| splice.inserted.as_str()))
            .collect()
    };
    let written = house.document.look(written).await.unwrap();
    for word in acked {
        assert_eq!(written.matches(&word).count(), 1, "{word} stands in the log once");
    }
}

#[test]
fn d17_random_work_of_agents_and_editors_is_one_text() {
    for seed in 0..40 {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(random_work(seed));
    }
}
