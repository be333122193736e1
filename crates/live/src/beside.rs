//! The room beside its document: one turn of the document's agent changes both.
//!
//! [`Beside`] is the [`Companion`] of a document. What agents write goes to the mirror when it is decided and to the
//! editors when it is kept; what people type goes through the room, which asks the document about each section, to
//! the document in the same turn. So both texts are equal after every turn.

mod facts;
mod link;
mod outline;

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use ggml_agent_doc::history::Update;
use ggml_agent_doc::text::Changes;
use ggml_agent_doc::{Companion, Coordinator, Holder, Host, SectionId};
use tokio::sync::oneshot;

use self::facts::Facts;
pub(crate) use self::facts::{author, lock_of, mode};
pub use self::link::{Link, Links, Outgoing};
use self::outline::Outline;
pub(crate) use self::outline::order;
use crate::limits::{COMPACT_EVERY, UNLOAD_AFTER};
use crate::mirror::{self, Boot, Mirror, Seed, Splice, Verdict, YrsMirror};
use crate::room::{Close, ConnId, ConnectError, Room, RoomName, Step, User};

/// What the room of a document is told; see [`DocumentRef::tell_companion`].
///
/// [`DocumentRef::tell_companion`]: ggml_agent_doc::DocumentRef::tell_companion
#[derive(Debug)]
pub enum Tell {
    /// A socket was opened.
    Connect(Box<Connect>),
    /// A frame came in.
    Frame {
        /// On which connection.
        conn: ConnId,
        /// What the socket read.
        frame: Bytes,
    },
    /// A socket that had been full takes frames again.
    Ready {
        /// Which.
        conn: ConnId,
    },
    /// A socket was closed.
    Gone {
        /// Which.
        conn: ConnId,
    },
    /// What is the room called, and who is the server in it?
    Where(oneshot::Sender<(RoomName, mirror::ClientId)>),
}

/// A socket that wants in.
#[derive(Debug)]
pub struct Connect {
    /// Its number, which no other ever has.
    pub conn: ConnId,
    /// The room that it asked for.
    pub room: RoomName,
    /// Who is shown to the others.
    pub user: User,
    /// Whose edits and locks these are.
    pub holder: Holder,
    /// Whether it wants notices, which stock editors do not know.
    pub notices: bool,
    /// The way to its socket.
    pub link: Link,
    /// Hears whether it was let in.
    pub reply: oneshot::Sender<Result<(), ConnectError>>,
}

/// A connection as the room's owner knows it.
#[derive(Debug)]
struct Member {
    holder: Holder,
    notices: bool,
}

/// The room of one document, in its agent's turn.
#[derive(Debug)]
pub struct Beside<B> {
    document: String,
    boot: B,
    room: Option<Room<YrsMirror>>,
    members: BTreeMap<ConnId, Member>,
    links: Links,
    /// Updates of the mirror that editors may see once the document's update of this number is kept.
    in_doubt: VecDeque<(u64, Bytes)>,
    kept: u64,
    outline: Outline,
    facts: Facts,
    /// Since when nobody is in the room.
    empty_since: Option<Duration>,
    /// When the size of the CRDT was looked at last.
    looked_at: Duration,
}

impl<B: FnMut() -> Boot + Send + 'static> Beside<B> {
    /// The room of the document that editors know as `document`. `boot` is asked for each room, and must never
    /// answer the same epoch or client twice.
    pub fn new(document: impl Into<String>, boot: B) -> Self {
        Self {
            document: document.into(),
            boot,
            room: None,
            members: BTreeMap::new(),
            links: Links::default(),
            in_doubt: VecDeque::new(),
            kept: 0,
            outline: Outline::default(),
            facts: Facts::default(),
            empty_since: None,
            looked_at: Duration::ZERO,
        }
    }

    /// The room, made anew if there is none: of the texts as they are, in an epoch of its own.
    fn open(&mut self, document: &Coordinator, now: Duration) -> &mut Room<YrsMirror> {
        if self.room.is_none() {
            self.outline = Outline::of(document);
            let seed = |(section, entry)| {
                let text = document.read(section).map(|view| view.text.to_string());
                Seed::new(name(section), text.unwrap_or_default(), entry)
            };
            let seeds = self.outline.iter().map(seed).collect();
            let mirror = YrsMirror::open((self.boot)(), seeds).expect(
                "invariant: a document is within the limits of a mirror, and names each section once",
            );
            let mut room = Room::new(&self.document, mirror, now);
            self.in_doubt.clear();
            if document.seq() > self.kept
                && let Some((section, entry)) = self.outline.iter().next()
                && let Ok(update) = room.ours(|mirror| mirror.outline(&name(section), entry))
            {
                // Nobody is given what is not kept yet: this says nothing new, and holds the rest back.
                self.in_doubt.push_back((document.seq(), update));
            }
            self.room = Some(room);
            self.facts.mark();
            self.empty_since = Some(now);
            self.looked_at = now;
        }
        self.room.as_mut().expect("invariant: made above")
    }

    fn connect(&mut self, connect: Connect, document: &Coordinator, now: Duration) {
        let Connect { conn, room, user, holder, notices, link, reply } = connect;
        let ours = self.open(document, now);
        let answer = ours.connect(conn, &room, user, now);
        let is_in = answer.is_ok();
        // A socket that is gone meanwhile says so next.
        drop(reply.send(answer));
        if is_in {
            self.members.insert(conn, Member { holder, notices });
            self.links.add(conn, link);
            self.empty_since = None;
        }
    }

    /// Ends the room that nobody has been in for a while, or whose CRDT has grown out of proportion: what was
    /// typed is in the document. Who comes later, or comes back, opens the next one.
    fn tidy(&mut self, now: Duration) {
        let is_left = self.empty_since.is_some_and(|since| now >= since + UNLOAD_AFTER);
        let is_due = now >= self.looked_at + COMPACT_EVERY;
        let Some(room) = self.room.as_ref().filter(|_| is_left || is_due) else { return };
        self.looked_at = now;
        if is_left || room.mirror().wants_compaction(room.mirror().save().len()) {
            for conn in std::mem::take(&mut self.members).into_keys() {
                self.links.close(conn, Close::OldEpoch);
                self.links.remove(conn);
            }
            self.room = None;
            self.in_doubt.clear();
        }
    }

    fn frame(&mut self, conn: ConnId, frame: &[u8], host: &mut Host<'_>, now: Duration) {
        let (Some(room), Some(member)) = (&mut self.room, self.members.get(&conn)) else { return };
        let Member { holder, notices } = member;
        let mut judge = |section: &mirror::SectionId| {
            let is_free =
                number(section).is_some_and(|section| host.may_type(holder, section, now));
            if is_free { Verdict::Accept } else { Verdict::Refuse }
        };
        let Step { changes, refused, close, .. } = room.frame(conn, frame, now, &mut judge);
        if *notices {
            for change in &refused {
                self.links.notice(conn, &facts::refusal(change, host.document(), now));
            }
        }
        if !changes.is_empty() {
            let holder = holder.clone();
            self.type_in(&holder, changes, host, now);
        }
        if let Some(close) = close {
            self.close(conn, close, now);
        }
    }

    /// Makes the document of what the mirror has become.
    fn type_in(
        &mut self,
        holder: &Holder,
        changes: Vec<(mirror::SectionId, Vec<Splice>)>,
        host: &mut Host<'_>,
        now: Duration,
    ) {
        let mut edits: BTreeMap<SectionId, Changes> = BTreeMap::new();
        for (section, splices) in &changes {
            let Some(section) = number(section) else { continue };
            let all = edits.entry(section).or_default();
            for Splice { at, del, insert } in splices {
                // Each refers to the text that the ones before it left, so none can miss it.
                if let Ok(next) = all.compose(&Changes::one(*at, *del, insert.clone())) {
                    *all = next;
                }
            }
        }
        let edits: Vec<(SectionId, Changes)> = edits.into_iter().collect();
        let touched: Vec<SectionId> = edits.iter().map(|(section, _)| *section).collect();
        // More than a document holds, nothing at all, or a line that the document ended: its text is the one that
        // counts.
        let is_whole = host.typed(holder, edits, now).is_some();
        for section in touched.iter().copied() {
            if !is_whole || !self.is_as_long(section, host.document()) {
                self.heal(section, host.document());
            }
        }
        self.tell_outline(&touched, host.document());
    }

    fn is_as_long(&self, section: SectionId, document: &Coordinator) -> bool {
        let theirs = self.room.as_ref().and_then(|room| room.mirror().text(&name(section)));
        let ours = document.read(section);
        theirs.map(str::len) == ours.map(|view| view.text.len())
    }

    /// Makes the mirror's text that of the document.
    fn heal(&mut self, section: SectionId, document: &Coordinator) {
        let Some(room) = &mut self.room else { return };
        let (name, seq) = (name(section), document.seq());
        let ours = document.read(section).map(|view| view.text.to_string()).unwrap_or_default();
        let splice = Splice::between(room.mirror().text(&name).unwrap_or_default(), &ours);
        if let Some(Ok(update)) = splice.map(|splice| room.apply(&name, &[splice])) {
            self.in_doubt.push_back((seq, update));
        }
    }

    fn tell_outline(&mut self, touched: &[SectionId], document: &Coordinator) {
        let Some(room) = &mut self.room else { return };
        for (section, entry) in self.outline.changed(touched, document) {
            if let Ok(update) = room.ours(|mirror| mirror.outline(&name(section), entry)) {
                self.in_doubt.push_back((document.seq(), update));
            }
        }
    }

    fn close(&mut self, conn: ConnId, close: Close, now: Duration) {
        self.links.close(conn, close);
        self.gone(conn, now);
    }

    fn gone(&mut self, conn: ConnId, now: Duration) {
        self.links.remove(conn);
        self.members.remove(&conn);
        if let Some(room) = &mut self.room {
            room.disconnect(conn, now);
        }
        if self.members.is_empty() {
            self.empty_since.get_or_insert(now);
        }
    }

    /// Lets editors see what is kept, and hands every socket what it has room for.
    fn send(&mut self, now: Duration) {
        let Some(room) = &mut self.room else { return };
        while self.in_doubt.front().is_some_and(|(needs, _)| *needs <= self.kept) {
            if let Some((_, update)) = self.in_doubt.pop_front() {
                room.changed(update, now);
            }
        }
        self.links.send(room, now);
    }
}

impl<B: FnMut() -> Boot + Send + 'static> Companion for Beside<B> {
    fn begin(&mut self, document: &Coordinator, _: Duration) {
        // Whatever is in the document when an incarnation begins is kept. The room waits for somebody to come.
        self.kept = document.seq();
    }

    fn decided(&mut self, update: &Update, document: &Coordinator, _: Duration) {
        let Some(room) = &mut self.room else { return };
        for (section, entry) in self.outline.added(document) {
            let seed = Seed::new(name(section), "", entry);
            if let Ok(update) = room.ours(|mirror| mirror.add(seed)) {
                self.in_doubt.push_back((document.seq(), update));
            }
        }
        let mut touched = Vec::with_capacity(update.edits.len());
        for edit in &update.edits {
            // From the back, so that each finds the places as they were.
            let splices: Vec<Splice> = edit
                .splices
                .iter()
                .rev()
                .map(|splice| Splice {
                    at: splice.at,
                    del: splice.removed.len(),
                    insert: splice.inserted.clone(),
                })
                .collect();
            touched.push(edit.section);
            if let Ok(bytes) = room.apply(&name(edit.section), &splices) {
                self.in_doubt.push_back((update.seq, bytes));
            }
        }
        if !update.outline.is_empty() {
            touched = document.about().map(|about| about.id).collect();
        }
        self.tell_outline(&touched, document);
        debug_assert!(self.agrees(document), "both texts are equal");
    }

    fn kept(&mut self, seq: u64, now: Duration) {
        self.kept = seq;
        self.send(now);
    }

    fn locks(&mut self, _: &Coordinator, now: Duration) {
        self.facts.note(now);
        self.send(now);
    }

    fn message(&mut self, message: Box<dyn Any + Send>, host: &mut Host<'_>, now: Duration) {
        // Somebody else's message.
        let Ok(message) = message.downcast::<Tell>() else { return };
        match *message {
            Tell::Connect(connect) => self.connect(*connect, host.document(), now),
            Tell::Frame { conn, frame } => {
                self.frame(conn, &frame, host, now);
                debug_assert!(self.agrees(host.document()), "both texts are equal");
            }
            Tell::Ready { .. } => {}
            Tell::Gone { conn } => self.gone(conn, now),
            Tell::Where(reply) => {
                let room = self.open(host.document(), now);
                // Who asked may have gone.
                drop(reply.send((room.name().clone(), room.mirror().client())));
            }
        }
        self.send(now);
    }

    fn next_tick(&self) -> Option<Duration> {
        let room = self.room.as_ref()?;
        if let Some(since) = self.empty_since {
            return Some(since + UNLOAD_AFTER);
        }
        let due = [room.next_tick(), self.facts.due(), Some(self.looked_at + COMPACT_EVERY)];
        due.into_iter().flatten().min()
    }

    fn tick(&mut self, document: &Coordinator, now: Duration) {
        let Some(room) = &mut self.room else { return };
        if let Some(facts) = self.facts.take(document, now) {
            // Facts are cut to what a room takes.
            drop(room.locks(&facts, now));
        }
        room.tick(now);
        self.send(now);
        self.tidy(now);
    }
}

impl<B> Beside<B> {
    /// Whether the mirror has the text of the document, in every section.
    fn agrees(&self, document: &Coordinator) -> bool {
        let Some(room) = &self.room else { return true };
        document.about().all(|about| {
            let ours = document.read(about.id).map(|view| view.text);
            let theirs = room.mirror().text(&name(about.id));
            ours.zip(theirs).is_some_and(|(ours, theirs)| ours == *theirs)
        })
    }
}

/// The name of a section among editors.
fn name(section: SectionId) -> mirror::SectionId {
    section.to_string().parse().expect("invariant: \"s\" and a number is a name")
}

/// The section behind a name.
fn number(name: &mirror::SectionId) -> Option<SectionId> {
    name.as_str().parse().ok()
}
