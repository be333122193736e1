//! Who is there, and who has been told so.
//!
//! An entry of Yjs' awareness is a client's id, a clock and a state; the larger clock wins at every reader. Readers
//! remember clocks of clients that left, so the clocks that go out are counted here: a client that comes back with
//! the clock it had is visible at once. Which client a connection speaks for is decided by the first id it
//! announces that we did not tell it ourselves: a stock editor sends back all it hears, and that must neither loop
//! nor let anyone speak for somebody else.

use super::{ConnId, User};
use crate::{
    limits,
    mirror::ClientId,
    protocol::{Message, Presence},
};
use bytes::Bytes;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Longest presence frame, roughly: with its last entry it may be longer.
// A quarter of an outbox: 60 clients at their largest, 800 usual ones.
const FRAME_LEN: usize = limits::OUTBOX_LEN_MAX / 4;

/// The state of a client that left.
const GONE: &str = "null";

/// The presences of a room.
#[derive(Debug)]
pub(super) struct Presences {
    server: ClientId,
    entries: BTreeMap<ClientId, Entry>,
    /// Last clocks of clients that left, and the order in which they did.
    left: BTreeMap<ClientId, (u64, u64)>,
    n_left: u64,
    members: BTreeMap<ConnId, Member>,
    /// What is news to everyone.
    dirty: BTreeSet<ClientId>,
    due_at: Option<Duration>,
    /// The earliest time for the next frame.
    not_before: Duration,
}

#[derive(Debug)]
struct Entry {
    /// The client's own clock.
    theirs: u64,
    /// The clock that goes out.
    ours: u64,
    state: String,
}

/// What presence knows of a connection.
#[derive(Debug)]
struct Member {
    user: String,
    /// The client it speaks for.
    bound: Option<ClientId>,
    /// Clients that it believes to be there, from us.
    told: BTreeSet<ClientId>,
    /// Clients of whom it has to be told.
    owed: BTreeSet<ClientId>,
    /// From when on it is told at all: time for its own first announcement, which else could look like an echo of
    /// what it was told about its former connection.
    greet_at: Duration,
}

impl Presences {
    pub(super) fn new(server: ClientId) -> Self {
        let state = server_state(&Value::Null);
        let entries = BTreeMap::from([(server, Entry { theirs: 0, ours: 1, state })]);
        Self {
            server,
            entries,
            left: BTreeMap::new(),
            n_left: 0,
            members: BTreeMap::new(),
            dirty: BTreeSet::new(),
            due_at: None,
            not_before: Duration::ZERO,
        }
    }

    /// The frame with the server's own entry.
    pub(super) fn of_server(&self) -> Bytes {
        self.encode([self.server].iter())
    }

    pub(super) fn set_facts(&mut self, facts: &Value, now: Duration) {
        if let Some(entry) = self.entries.get_mut(&self.server) {
            entry.state = server_state(facts);
        }
        self.renew(now);
    }

    /// Says again that the server is there.
    pub(super) fn renew(&mut self, now: Duration) {
        if let Some(entry) = self.entries.get_mut(&self.server) {
            entry.ours += 1;
        }
        self.news(self.server, now);
    }

    pub(super) fn enter(&mut self, conn: ConnId, user: &User, now: Duration) {
        let owed = self.entries.keys().copied().collect();
        let greet_at = now + limits::PRESENCE_TICK;
        let (user, bound, told) = (user.name.clone(), None, BTreeSet::new());
        self.members.insert(conn, Member { user, bound, told, owed, greet_at });
    }

    pub(super) fn leave(&mut self, conn: ConnId, now: Duration) {
        if let Some(client) = self.members.remove(&conn).and_then(|member| member.bound) {
            self.remove(client, 0, now);
        }
    }

    /// The client that `conn` speaks for, by its own first word.
    pub(super) fn bound(&self, conn: ConnId) -> Option<ClientId> {
        self.members.get(&conn)?.bound
    }

    /// Whether another connection than `conn` speaks for `client`.
    pub(super) fn is_anothers(&self, client: ClientId, conn: ConnId) -> bool {
        let speaks = |(id, it): (&ConnId, &Member)| *id != conn && it.bound == Some(client);
        self.members.iter().any(speaks)
    }

    /// Takes what a connection says of clients; all but its own are left aside.
    pub(super) fn hear(&mut self, conn: ConnId, user: &User, said: &[Presence<'_>], now: Duration) {
        for presence in said.iter().filter(|it| it.clock < limits::PRESENCE_CLOCK_MAX) {
            if self.bound(conn).is_none() && presence.state != GONE {
                self.bind(conn, presence.client);
            }
            if self.bound(conn) == Some(presence.client) {
                self.update(user, presence, now);
            }
        }
        if let Some(member) = self.members.get_mut(&conn) {
            member.greet_at = member.greet_at.min(now);
        }
    }

    /// Everyone is news to `conn`: it asked, or lost what it was to be told.
    pub(super) fn owe_all(&mut self, conn: ConnId) {
        let present: BTreeSet<_> = self.entries.keys().copied().collect();
        if let Some(member) = self.members.get_mut(&conn) {
            member.owed.extend(present.iter().chain(&member.told.clone()));
        }
    }

    /// When [`send`](Self::send) has something to do.
    pub(super) fn due_at(&self) -> Option<Duration> {
        self.due_at
    }

    /// What is news, once for all: gives each connection that keeps up one frame.
    pub(super) fn send(
        &mut self,
        now: Duration,
        push: &mut dyn FnMut(ConnId, Bytes),
        keeps_up: &dyn Fn(ConnId) -> bool,
    ) {
        let news = std::mem::take(&mut self.dirty);
        (self.due_at, self.not_before) = (None, now + limits::PRESENCE_TICK);
        let shared = self.encode(news.iter());
        let mut members = std::mem::take(&mut self.members);
        for (conn, member) in &mut members {
            let greeted = member.greet_at <= now && member.owed.is_empty();
            if !greeted || !keeps_up(*conn) || shared.len() > FRAME_LEN {
                member.owed.extend(&news);
                continue;
            }
            match member.bound.filter(|own| news.contains(own)) {
                // Its own entry would be changed by ours, and come back as its own.
                Some(own) if news.len() > 1 => {
                    push(*conn, self.encode(news.iter().filter(|client| **client != own)));
                }
                Some(_) => {}
                None => push(*conn, shared.clone()),
            }
            self.told(member, news.iter());
        }
        self.members = members;
    }

    /// Whether `conn` has to be told something that is not in its outbox.
    pub(super) fn owes(&self, conn: ConnId, now: Duration) -> bool {
        let due = |member: &Member| member.greet_at <= now && !member.owed.is_empty();
        self.members.get(&conn).is_some_and(due)
    }

    /// When a connection is told for the first time, if it keeps silent.
    pub(super) fn greet_at(&self, after: Duration) -> Option<Duration> {
        self.members.values().map(|member| member.greet_at).filter(|at| *at > after).min()
    }

    /// The next frame of what `conn` has to be told.
    pub(super) fn take_owed(&mut self, conn: ConnId, now: Duration) -> Option<Bytes> {
        let mut member = self.members.remove(&conn)?;
        let frame = (member.greet_at <= now).then(|| self.owed_frame(&mut member)).flatten();
        self.members.insert(conn, member);
        frame
    }

    fn owed_frame(&self, member: &mut Member) -> Option<Bytes> {
        if let Some(own) = member.bound {
            member.owed.remove(&own);
        }
        let (mut len, mut some) = (0, Vec::new());
        while len < FRAME_LEN
            && let Some(client) = member.owed.pop_first()
        {
            len += self.entries.get(&client).map_or(0, |entry| entry.state.len());
            some.push(client);
        }
        self.told(member, some.iter());
        (!some.is_empty()).then(|| self.encode(some.iter()))
    }

    fn told<'a>(&self, member: &mut Member, clients: impl Iterator<Item = &'a ClientId>) {
        for client in clients.filter(|client| member.bound != Some(**client)) {
            if self.entries.contains_key(client) {
                member.told.insert(*client);
            } else {
                member.told.remove(client);
            }
        }
    }

    fn bind(&mut self, conn: ConnId, client: ClientId) {
        let Some(member) = self.members.get(&conn) else { return };
        if client == self.server || member.told.contains(&client) {
            return;
        }
        let speaker = self.members.iter().find(|(_, it)| it.bound == Some(client));
        if let Some((other, speaker)) = speaker {
            // Back before the loss of the former connection was noticed.
            if speaker.user != member.user {
                return;
            }
            let other = *other;
            if let Some(speaker) = self.members.get_mut(&other) {
                speaker.bound = None;
                // Whatever it still says of this client is not its own word any more.
                speaker.told.insert(client);
            }
            if let Some(entry) = self.entries.get_mut(&client) {
                // Its clock may be the one it had.
                entry.theirs = 0;
            }
        }
        if let Some(member) = self.members.get_mut(&conn) {
            member.bound = Some(client);
            member.owed.remove(&client);
        }
    }

    fn update(&mut self, user: &User, said: &Presence<'_>, now: Duration) {
        let former = self.entries.get(&said.client);
        if said.state == GONE {
            if former.is_some_and(|entry| said.clock >= entry.theirs) {
                self.remove(said.client, said.clock, now);
            }
            return;
        }
        if former.is_some_and(|entry| said.clock <= entry.theirs && entry.theirs > 0) {
            return;
        }
        let Some(state) = stamped(said.state, user) else { return };
        let last = former.map(|entry| entry.ours);
        let last = last.or_else(|| self.left.remove(&said.client).map(|(clock, _)| clock));
        // The first clock of a client may be 0, which is no clock that a reader without it would miss.
        let ours = last.map_or(said.clock, |last| said.clock.max(last + 1));
        self.entries.insert(said.client, Entry { theirs: said.clock, ours, state });
        self.news(said.client, now);
    }

    fn remove(&mut self, client: ClientId, clock: u64, now: Duration) {
        let Some(entry) = self.entries.remove(&client) else { return };
        self.n_left += 1;
        self.left.insert(client, (clock.max(entry.ours + 1), self.n_left));
        if self.left.len() > limits::CLOCKS_REMEMBERED_MAX {
            let oldest = self.left.iter().min_by_key(|(_, (_, order))| *order);
            if let Some(oldest) = oldest.map(|(client, _)| *client) {
                self.left.remove(&oldest);
            }
        }
        self.news(client, now);
    }

    fn news(&mut self, client: ClientId, now: Duration) {
        self.dirty.insert(client);
        self.due_at.get_or_insert(now.max(self.not_before));
    }

    fn encode<'a>(&self, clients: impl Iterator<Item = &'a ClientId>) -> Bytes {
        let presence = |client: &ClientId| {
            let present = self.entries.get(client).map(|it| (it.ours, it.state.as_str()));
            let gone = || self.left.get(client).map(|(clock, _)| (*clock, GONE));
            let (clock, state) = present.or_else(gone)?;
            Some(Presence { client: *client, clock, state })
        };
        Message::Awareness(clients.filter_map(presence).collect()).encode()
    }
}

fn server_state(facts: &Value) -> String {
    json!({ "server": facts }).to_string()
}

/// What a client says of itself, and who it really is; `None` if others would stumble over it.
fn stamped(state: &str, user: &User) -> Option<String> {
    if state.len() > limits::PRESENCE_LEN_MAX {
        return None;
    }
    let Ok(Value::Object(mut state)) = serde_json::from_str(state) else { return None };
    let User { name, colour, kind, .. } = user;
    // The names that the bindings of Yjs look for.
    let user = json!({ "name": name, "color": colour, "kind": kind.as_str() });
    state.insert("user".to_owned(), user);
    // Only the server speaks as the server.
    state.remove("server");
    Some(Value::Object(state).to_string())
}
