//! What clients do: lock, read, think, append, release; or only read.

use std::collections::BTreeSet;
use std::time::Duration;

use ggml_agent_core::lease::{Grant, Token};

use super::server::{Command, Holder, Reply};
use super::wgl::{Operation, Seen, What};
use super::world::World;

/// How often a client sends an append of which it hears nothing.
const TRIES_MAX: u32 = 3;

pub(super) struct Client {
    id: u8,
    life: u32,
    rounds_left: u32,
    state: State,
    /// What it was granted last, and did not give back.
    held: Vec<(u8, Token)>,
    /// Which of its timers counts.
    pub(super) timer: u32,
}

#[derive(Debug, Clone)]
enum State {
    Idle,
    Locking {
        op: u32,
        sections: BTreeSet<u8>,
    },
    /// Reads the last of `todo`, under its lock.
    Reading {
        ask: u32,
        invoked: u32,
        todo: Vec<(u8, Token)>,
    },
    Working {
        invoked: u32,
        saw: Seen,
        todo: Vec<(u8, Token)>,
    },
    Appending {
        id: u32,
        tries: u32,
        invoked: u32,
        saw: Seen,
        todo: Vec<(u8, Token)>,
    },
    Observing {
        section: u8,
        ask: u32,
        invoked: u32,
    },
}

impl Client {
    pub(super) fn new(id: u8, n_rounds: u32) -> Self {
        let (state, held) = (State::Idle, Vec::new());
        Self { id, life: 1, rounds_left: n_rounds, state, held, timer: 0 }
    }

    pub(super) fn holder(&self) -> Holder {
        (self.id, self.life)
    }

    /// Its process ends, and a new one begins; answers the life that ended.
    pub(super) fn crash(&mut self, world: &mut World) -> Holder {
        let former = self.holder();
        if let State::Appending { id, invoked, todo, .. } = &self.state
            && let Some((section, _)) = todo.last()
        {
            world.unheard(*section, *id, *invoked);
        }
        self.life += 1;
        self.held.clear();
        self.rest(world);
        former
    }

    /// Its timer went off.
    pub(super) fn wake(&mut self, world: &mut World) {
        match self.state.clone() {
            State::Idle => self.begin(world),
            State::Locking { .. } => {
                world.send(self.holder(), &Command::Cancel);
                self.rest(world);
            }
            State::Reading { .. } => self.finish(world),
            State::Observing { .. } => self.rest(world),
            State::Working { invoked, saw, todo } => {
                world.protect(self.holder(), false);
                let id = world.fresh();
                self.append(State::Appending { id, tries: 1, invoked, saw, todo }, world);
            }
            State::Appending { id, tries, invoked, saw, todo } if tries < TRIES_MAX => {
                let tries = tries + 1;
                self.append(State::Appending { id, tries, invoked, saw, todo }, world);
            }
            State::Appending { id, invoked, todo, .. } => {
                if let Some((section, _)) = todo.last() {
                    world.unheard(*section, id, invoked);
                }
                self.finish(world);
            }
        }
    }

    pub(super) fn hear(&mut self, reply: Reply, world: &mut World) {
        match (reply, self.state.clone()) {
            (Reply::Locked(grants), state) => self.locked(&grants, &state, world),
            (Reply::NotLocked { op }, State::Locking { op: asked, .. }) if op == asked => {
                self.rest(world);
            }
            (Reply::Read { ask, saw }, State::Observing { section, ask: asked, invoked })
                if ask == asked =>
            {
                world.returned(section, invoked, What::Read { saw });
                self.rest(world);
            }
            (Reply::Read { ask, saw }, State::Reading { ask: asked, invoked, todo })
                if ask == asked =>
            {
                self.work(State::Working { invoked, saw, todo }, world);
            }
            (Reply::Appended { id }, State::Appending { id: own, invoked, saw, mut todo, .. })
                if id == own =>
            {
                if let Some((section, _)) = todo.pop() {
                    world.returned(section, invoked, What::Append { id, saw: Some(saw) });
                }
                self.read_next(todo, world);
            }
            // Its token is good for nothing any more, so no copy of it has had or will have an effect.
            (Reply::Stale { id }, State::Appending { id: own, .. }) if id == own => {
                self.finish(world);
            }
            _ => {}
        }
    }

    fn begin(&mut self, world: &mut World) {
        if self.rounds_left == 0 {
            return;
        }
        self.rounds_left -= 1;
        let section = u8::from(world.rng.chance(40));
        if world.rng.chance(30) {
            let (ask, invoked) = (world.fresh(), world.moment());
            self.enter(State::Observing { section, ask, invoked }, 600, world);
            return world.send(self.holder(), &Command::Read { section, ask });
        }
        let both = world.rng.chance(25);
        let sections: BTreeSet<u8> = if both { [0, 1].into() } else { [section].into() };
        let op = world.fresh();
        let lease = Duration::from_millis(500 + world.rng.bits() % 1_500);
        let until = world.now + Duration::from_secs(4);
        self.enter(State::Locking { op, sections: sections.clone() }, 5_000, world);
        let command = if self.id == 0 && world.rng.chance(40) {
            Command::Preempt { sections, op, lease }
        } else {
            Command::Lock { sections, op, lease, until }
        };
        world.send(self.holder(), &command);
    }

    fn locked(&mut self, grants: &[Grant<u8>], state: &State, world: &mut World) {
        let granted: Vec<_> = grants.iter().map(|grant| (grant.section, grant.token)).collect();
        if let State::Locking { sections, .. } = state
            && sections.iter().eq(granted.iter().map(|(section, _)| section))
        {
            self.held.clone_from(&granted);
            return self.read_next(granted, world);
        }
        // Too late, unless it is what it knows already.
        for (section, token) in granted {
            if !self.held.contains(&(section, token)) {
                let op = world.fresh();
                world.send(self.holder(), &Command::Release { section, token, op });
            }
        }
    }

    fn read_next(&mut self, todo: Vec<(u8, Token)>, world: &mut World) {
        let Some(&(section, _)) = todo.last() else { return self.finish(world) };
        let (ask, invoked) = (world.fresh(), world.moment());
        self.enter(State::Reading { ask, invoked, todo }, 900, world);
        world.send(self.holder(), &Command::Read { section, ask });
    }

    /// Thinks, now and then for longer than its lease.
    fn work(&mut self, state: State, world: &mut World) {
        let pause = world.rng.chance(30);
        let ms = if pause { 1_500 + world.rng.below(4_000) } else { 5 + world.rng.below(100) };
        self.enter(state, ms, world);
        if world.rng.chance(25) {
            let lease = Duration::from_secs(2);
            for &(section, token) in &self.held {
                world.send(self.holder(), &Command::Renew { section, token, lease });
            }
        }
        if world.rng.chance(10) {
            world.protect(self.holder(), true);
        }
    }

    fn append(&mut self, state: State, world: &mut World) {
        if let State::Appending { id, todo, .. } = &state
            && let Some(&(section, token)) = todo.last()
        {
            world.send(self.holder(), &Command::Append { section, token, id: *id });
        }
        self.enter(state, 700, world);
    }

    fn finish(&mut self, world: &mut World) {
        for (section, token) in std::mem::take(&mut self.held) {
            let op = world.fresh();
            world.send(self.holder(), &Command::Release { section, token, op });
        }
        self.rest(world);
    }

    fn rest(&mut self, world: &mut World) {
        let ms = 1 + world.rng.below(300);
        self.enter(State::Idle, ms, world);
    }

    fn enter(&mut self, state: State, ms: usize, world: &mut World) {
        self.state = state;
        self.timer = world.fresh();
        world.wake_later(self.id, self.timer, ms);
    }
}

impl World {
    fn unheard(&mut self, section: u8, id: u32, invoked: u32) {
        self.server.outcome.unknown += 1;
        let what = What::Append { id, saw: None };
        self.record(section, Operation { invoked, returned: None, what });
    }

    pub(super) fn returned(&mut self, section: u8, invoked: u32, what: What) {
        match what {
            What::Read { .. } => self.server.outcome.reads += 1,
            What::Append { .. } => self.server.outcome.appended += 1,
        }
        let returned = Some(self.moment());
        self.record(section, Operation { invoked, returned, what });
    }
}
