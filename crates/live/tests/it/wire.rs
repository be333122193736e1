//! A room and two clients that run the real y-protocols, as y-websocket calls them.

use crate::node::{Node, parts};
use ggml_agent_live::{
    mirror::{Boot, ClientId, Entry, SectionId, Seed, Splice, Verdict, YrsMirror},
    protocol::Message,
    room::{ConnId, Room, User, UserKind},
};
use std::time::Duration;

/// A room, and the clients in node that are connected to it.
struct World {
    node: Node,
    room: Room<YrsMirror>,
    now: Duration,
    /// Connection and document of each client.
    clients: Vec<(ConnId, u64)>,
    n_conns: u64,
    /// Who may not write the section.
    refused: Option<ConnId>,
}

impl World {
    fn new(test: &str, text: &str) -> Option<Self> {
        let node = Node::start(test)?;
        let boot = Boot { epoch: 1, client: ClientId::small(9) };
        let seed = Seed::new(section(), text, Entry::default());
        let room = Room::new("plan", YrsMirror::open(boot, vec![seed]).unwrap(), Duration::ZERO);
        let (clients, now) = (Vec::new(), Duration::ZERO);
        Some(Self { node, room, now, clients, n_conns: 0, refused: None })
    }

    /// A client connects and, as y-websocket does, says what it has and who it is.
    fn connect(&mut self, doc: u64, name: &str) -> ConnId {
        self.n_conns += 1;
        let conn = ConnId(self.n_conns);
        let (name, colour) = (name.to_owned(), "green".to_owned());
        let user = User { name, colour, kind: UserKind::Person, may_write: true };
        let at = self.room.name().clone();
        self.room.connect(conn, &at, user, self.now).unwrap();
        self.clients.push((conn, doc));
        let answer = self.node.hello(doc);
        let frames = self.node.flush().swap_remove(answer);
        self.deliver(conn, &frames);
        conn
    }

    fn disconnect(&mut self, conn: ConnId) {
        self.room.disconnect(conn, self.now);
        self.clients.retain(|(id, _)| *id != conn);
    }

    /// Frames of a client, each with its length before it.
    fn deliver(&mut self, conn: ConnId, frames: &[u8]) {
        parts(frames).iter().for_each(|frame| self.deliver_one(conn, frame));
    }

    fn deliver_one(&mut self, conn: ConnId, frame: &[u8]) {
        let refused = self.refused == Some(conn);
        let step = self.room.frame(conn, frame, self.now, &mut |_| {
            if refused { Verdict::Refuse } else { Verdict::Accept }
        });
        assert_eq!(step.close, None, "{frame:?}");
    }

    /// Time goes on, tick by tick; all that waits is delivered, and what the clients say to it too.
    fn run(&mut self, duration: Duration) {
        let until = self.now + duration;
        while let Some(at) = self.room.next_tick().filter(|at| *at <= until) {
            self.now = at;
            self.room.tick(at);
            self.exchange();
        }
        self.now = until;
        self.exchange();
    }

    fn exchange(&mut self) {
        // A client that answers everything would go on for ever: then the test hangs here, and fails.
        for round in 0.. {
            assert!(round < 50, "the clients and the room do not come to rest");
            let waiting: Vec<_> = self.room.outgoing(self.now).collect();
            if waiting.is_empty() {
                return;
            }
            for conn in waiting {
                let doc = self.clients.iter().find(|(id, _)| *id == conn).unwrap().1;
                while let Some(frame) = self.room.take(conn, self.now) {
                    let answer = self.node.hear(doc, &frame);
                    let said = self.node.flush().swap_remove(answer);
                    self.deliver(conn, &said);
                }
            }
        }
    }

    fn edit(&mut self, conn: ConnId, script: &str) {
        let doc = self.clients.iter().find(|(id, _)| *id == conn).unwrap().1;
        let answer = self.node.run(doc, script);
        let update = self.node.flush().swap_remove(answer);
        let frame = Message::Update(&update).encode();
        self.deliver_one(conn, &frame);
    }

    fn text(&mut self, doc: u64) -> String {
        let answer = self.node.text(doc, "s/s1");
        String::from_utf8(self.node.flush().swap_remove(answer)).unwrap()
    }

    /// The names that the client of `doc` sees.
    fn sees(&mut self, doc: u64) -> String {
        let answer = self.node.states(doc);
        String::from_utf8(self.node.flush().swap_remove(answer)).unwrap()
    }
}

fn section() -> SectionId {
    "s1".parse().unwrap()
}

#[test]
fn clients_of_the_real_protocol_write_together_and_see_each_other() {
    let test = "clients_of_the_real_protocol_write_together_and_see_each_other";
    let Some(mut world) = World::new(test, "Grüße 😀") else { return };
    world.node.open(1, 100);
    world.node.open(2, 200);
    let (ann, ben) = (world.connect(1, "ann"), world.connect(2, "ben"));
    world.run(Duration::from_millis(500));
    world.edit(ann, "doc.getText('s/s1').insert(8, '!')");
    world.edit(ben, "doc.getText('s/s1').insert(0, '> ')");
    world.run(Duration::from_millis(100));
    assert_eq!((world.text(1), world.text(2)), ("> Grüße 😀!".into(), "> Grüße 😀!".into()));
    assert_eq!((world.sees(1), world.sees(2)), ("ben server".into(), "ann server".into()));

    // A refused edit is gone, from both.
    world.refused = Some(ben);
    world.edit(ben, "doc.getText('s/s1').delete(0, 9); doc.getText('s/s1').insert(0, 'MINE')");
    world.run(Duration::from_millis(100));
    assert_eq!((world.text(1), world.text(2)), ("> Grüße 😀!".into(), "> Grüße 😀!".into()));

    // An edit of ours reaches all.
    let update = world.room.apply(&section(), &[Splice::delete(0, 2)]).unwrap();
    world.room.changed(update, world.now);
    world.run(Duration::from_millis(100));
    assert_eq!((world.text(1), world.text(2)), ("Grüße 😀!".into(), "Grüße 😀!".into()));
    assert!(world.room.mirror().agrees());
}

#[test]
fn a_client_of_the_real_protocol_is_seen_again_at_once_and_brings_its_offline_work() {
    let test = "a_client_of_the_real_protocol_is_seen_again_at_once_and_brings_its_offline_work";
    let Some(mut world) = World::new(test, "text") else { return };
    world.node.open(1, 100);
    world.node.open(2, 200);
    let ann = world.connect(1, "ann");
    world.connect(2, "ben");
    world.run(Duration::from_secs(1));
    for round in 0..3 {
        let conn = if round == 0 { ann } else { world.clients.last().unwrap().0 };
        world.disconnect(conn);
        world.run(Duration::from_secs(1));
        assert_eq!(world.sees(2), "server", "round {round}");
        let offline = world.node.run(1, "doc.getText('s/s1').insert(0, 'x')");
        world.node.flush().swap_remove(offline);
        world.connect(1, "ann");
        world.run(Duration::from_millis(250));
        assert_eq!(world.sees(2), "ann server", "round {round}");
    }
    assert_eq!((world.text(1), world.text(2)), ("xxxtext".into(), "xxxtext".into()));
}

#[test]
fn idle_clients_of_the_real_protocol_come_to_rest() {
    let test = "idle_clients_of_the_real_protocol_come_to_rest";
    let Some(mut world) = World::new(test, "") else { return };
    for doc in 1..=3 {
        world.node.open(doc, doc * 100);
        world.connect(doc, "x");
    }
    world.run(Duration::from_secs(1));
    let before = world.node.heard();
    world.run(Duration::from_secs(60));
    // Six beats of the server to each, and nothing that answers begets.
    assert_eq!(world.node.heard() - before, 18);
}
